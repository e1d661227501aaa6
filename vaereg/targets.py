"""Targets of inverse design: what can be asked for, whether it can be had, how far a volume is from it.

Letters: N volumes, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.io.datasets import Target
from vaereg.model.checkpoint import Checkpoint

__all__ = [
    "TARGETS",
    "Target",
    "UnreachableTargetError",
    "check_reachable",
    "check_targets",
    "complete_targets",
    "interval",
    "parse_target",
    "scaling",
    "target_distance",
    "target_ratio",
]

TARGETS = (*PROPERTIES, "volume_fraction")
"""What can be asked for: properties [GPa], and the volume fraction of the stiff phase [-]."""


class UnreachableTargetError(ValueError):
    """No microstructure of the training set's kind has these properties.

    Attributes:
        nearest: The nearest that can be had, by name: properties [GPa], volume fraction [-].
        distance: How far that is from the target: largest relative deviation, as a logarithm [-].
    """

    def __init__(self, message: str, nearest: dict[str, float], distance: float) -> None:
        super().__init__(message)
        self.nearest = nearest
        self.distance = distance


def parse_target(text: str) -> tuple[str, Target]:
    """Name and wanted value or range, from a text such as "C11=60", "C22=30:40" or "volume_fraction=0.4".

    Raises:
        ValueError: The text has another form.
    """
    name, separator, value = text.partition("=")
    try:
        numbers = [float(part) for part in value.split(":")]
    except ValueError:
        numbers = []
    if not separator or len(numbers) not in (1, 2):
        raise ValueError(f"expected a target such as C11=60 or C22=30:40 in GPa, got {text!r}")
    return name.strip(), numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def check_targets(targets: Mapping[str, Target]) -> dict[str, Target]:
    """Names, signs and order of what is wanted, as plain floats in the order of `TARGETS`.

    Raises:
        ValueError: No property, an unknown one, or a value that is not positive and finite.
    """
    if unknown := sorted(set(targets) - set(TARGETS)):
        raise ValueError(f"unknown property {unknown[0]!r}: expected one of {', '.join(TARGETS)}")
    if not targets:
        raise ValueError("expected at least one target property, such as C11=60")
    wanted: dict[str, Target] = {}
    for name in (name for name in TARGETS if name in targets):
        low, high = interval(targets[name])
        if name == "volume_fraction" and not 0.0 < low <= high < 1.0:
            raise ValueError(
                f"volume_fraction must be between 0 and 1, or a range low:high, got {targets[name]}"
            )
        if not (np.isfinite(low) and np.isfinite(high) and 0.0 < low <= high):
            raise ValueError(
                f"{name} must be a positive number of GPa, or a range low:high, got {targets[name]}"
            )
        wanted[name] = low if low == high else (low, high)
    return wanted


def check_reachable(checkpoint: Checkpoint, wanted: Mapping[str, Target]) -> None:
    """Refuse targets that are far from the properties of every volume of the training set.

    Raises:
        UnreachableTargetError: With the nearest that can be had, and the range of each target outside of it.
    """
    known = checkpoint.fitted.known
    reach = known.reach({TARGETS.index(name): interval(value) for name, value in wanted.items()})
    if reach.distance <= reach.limit:
        return
    nearest = {name: float(reach.nearest[TARGETS.index(name)]) for name in wanted}
    asked, offer = (", ".join(_named(*item) for item in each.items()) for each in (wanted, nearest))
    message = (
        f"no known microstructure comes near {asked}: the nearest has {offer}, {_percent(reach.distance)} off"
    )
    for name, value in wanted.items():
        low, high = known.ranges[TARGETS.index(name)]
        if interval(value)[1] < low or interval(value)[0] > high:
            message += f"; reachable: {_named(name, (float(low), float(high)))}"
    raise UnreachableTargetError(message, nearest, reach.distance)


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


def target_distance(properties: NDArray[np.float64], wanted: Mapping[str, Target]) -> NDArray[np.float64]:
    """Mean relative distance from the wanted values or ranges, shape (N,) [-], of properties (N, T) [GPa].

    The volume fraction is no part of it: designs have the one that was asked for, to the voxel. NaN where a
    property is not known.
    """
    distances = [np.where(np.isnan(properties).any(axis=1), np.nan, 0.0)]
    for name, value in wanted.items():
        if name not in PROPERTIES:
            continue
        low, high = interval(value)
        own = properties[:, PROPERTIES.index(name)]
        distances.append(np.maximum(np.maximum(low - own, own - high), 0.0) / (0.5 * (low + high)))
    return np.sum(distances, axis=0) / max(1, len(distances) - 1)


def target_ratio(properties: NDArray[np.float64], wanted: Mapping[str, Target]) -> NDArray[np.float64]:
    """Wanted over own value, shape (N,) [-]: geometric mean over `wanted`; 1 within a range."""
    logs = [np.zeros(len(properties))]
    for name, value in wanted.items():
        if name in PROPERTIES:
            own = properties[:, PROPERTIES.index(name)]
            logs.append(np.log(np.clip(own, *interval(value)) / own))
    return np.exp(np.sum(logs, axis=0) / max(1, len(logs) - 1))


def _fixed(
    checkpoint: Checkpoint, wanted: Mapping[str, Target]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which of `TARGETS` have a single wanted value, shape (T + 1,), and those values, standardised."""
    location, scale = scaling(checkpoint)
    fixed = np.array([isinstance(wanted.get(name), float) for name in TARGETS])
    given = [wanted[name] for name, is_fixed in zip(TARGETS, fixed, strict=True) if is_fixed]
    return fixed, (np.log(np.array(given, dtype=np.float64)) - location[fixed]) / scale[fixed]


def scaling(checkpoint: Checkpoint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What standardises the logarithms of `TARGETS`; that of the volume fraction stays as it is."""
    model = checkpoint.model
    location, scale = model.property_location.cpu().numpy(), model.property_scale.cpu().numpy()
    return np.append(location, 0.0).astype(np.float64), np.append(scale, 1.0).astype(np.float64)


def interval(value: Target) -> tuple[float, float]:
    """Lowest and highest value of a target; equal for a single value."""
    low, high = value if isinstance(value, tuple) else (value, value)
    return float(low), float(high)


def _percent(distance: float) -> str:
    """A distance between logarithms as text."""
    return f"{100 * np.expm1(distance):.0f} %" if distance < np.log(11.0) else "more than 1000 %"


def _named(name: str, value: Target) -> str:
    """A target as text, with its unit."""
    low, high = interval(value)
    digits = ".3f" if name == "volume_fraction" else ".4g"
    number = f"{low:{digits}}" if low == high else f"{low:{digits}} to {high:{digits}}"
    return f"{name} = {number}" + ("" if name == "volume_fraction" else " GPa")
