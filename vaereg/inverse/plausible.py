"""Which targets a model can reach, and how the properties that a target leaves free are completed.

Letters: N volumes, T properties.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, Target, interval, named_target

__all__ = [
    "UnreachableTargetError",
    "check_reachable",
    "complete_targets",
    "scaling",
]


class UnreachableTargetError(InputError):
    """No microstructure of the training set's kind has these properties.

    Attributes:
        nearest: The nearest that can be had, by name: properties [GPa], volume fraction [-].
        distance: How far that is from the target: largest relative deviation, as a logarithm [-].
    """

    def __init__(self, message: str, nearest: dict[str, float], distance: float) -> None:
        super().__init__(message)
        self.nearest = nearest
        self.distance = distance


def check_reachable(checkpoint: Checkpoint, wanted: Mapping[str, Target]) -> None:
    """Refuse targets that are far from the properties of every volume of the training set.

    Raises:
        UnreachableTargetError: With the nearest that can be had, and the range of each target outside of it.
    """
    training = checkpoint.fitted.training_properties
    near = training.reachability({TARGETS.index(name): interval(value) for name, value in wanted.items()})
    if near.distance <= near.limit:
        return
    nearest = {name: float(near.nearest[TARGETS.index(name)]) for name in wanted}
    asked, offer = (", ".join(named_target(*item) for item in target.items()) for target in (wanted, nearest))
    message = (
        f"no known microstructure comes near {asked}: the nearest has {offer}, {_percent(near.distance)} off"
    )
    for name, value in wanted.items():
        low, high = training.ranges[TARGETS.index(name)]
        if interval(value)[1] < low or interval(value)[0] > high:
            message += f"; reachable: {named_target(name, (float(low), float(high)))}"
    raise UnreachableTargetError(message, nearest, near.distance)


def complete_targets(
    checkpoint: Checkpoint, wanted: Mapping[str, Target], count: int, *, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Full targets, shape (count, T) [GPa]: values are kept, ranges and free properties drawn from p(c)."""
    location, scale = scaling(checkpoint)
    fixed, values = _fixed(checkpoint, wanted)
    result = np.empty((count, len(TARGETS)))
    result[:, fixed] = values
    if not fixed.all():
        mixture = checkpoint.fitted.mixture.conditional(fixed, values)
        oversampling = 16 if len(wanted) > fixed.sum() else 1
        drawn = mixture.sample(oversampling * count, generator=generator)
        free = np.flatnonzero(~fixed)
        low, high = np.full(len(free), -np.inf), np.full(len(free), np.inf)
        for place, index in enumerate(free):
            if TARGETS[index] in wanted:
                ends = np.log(interval(wanted[TARGETS[index]]))
                low[place], high[place] = (ends - location[index]) / scale[index]
        violation = np.maximum(low - drawn, drawn - high).max(1)
        best = np.argsort(np.maximum(violation, 0.0), kind="stable")[:count]
        best = generator.permutation(best)  # rows are dealt to the components: none gets the worst of them
        result[:, free] = np.clip(drawn[best], low, high)
    return np.exp(location + scale * result)[:, : len(PROPERTIES)]


def _fixed(
    checkpoint: Checkpoint, wanted: Mapping[str, Target]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Mask of the `TARGETS` with a single wanted value, shape (T + 1,), and those values, standardised."""
    location, scale = scaling(checkpoint)
    fixed = np.array([isinstance(wanted.get(name), float) for name in TARGETS])
    values = [wanted[name] for name, is_fixed in zip(TARGETS, fixed, strict=True) if is_fixed]
    return fixed, (np.log(np.array(values, dtype=np.float64)) - location[fixed]) / scale[fixed]


def scaling(checkpoint: Checkpoint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Location and scale that standardise the logarithms of `TARGETS`; 0 and 1 for the volume fraction."""
    model = checkpoint.model
    location, scale = model.property_location.cpu().numpy(), model.property_scale.cpu().numpy()
    return np.append(location, 0.0).astype(np.float64), np.append(scale, 1.0).astype(np.float64)


def _percent(distance: float) -> str:
    """A distance between logarithms as text."""
    return f"{100 * np.expm1(distance):.0f} %" if distance < np.log(11.0) else "more than 1000 %"
