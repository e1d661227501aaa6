"""Targets to start from, as far as they follow from the model and the phases.

Letters: N volumes, T properties.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pages.parts.common.known import known_values
from pages.parts.common.requests.quantities import missing_property, rounded_number
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.plausible import UnreachableTargetError, check_reachable
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Wanted, check_targets

__all__ = ["presets"]

_SHARE = (0.85, 0.97)
"""Quantiles of a character between which its preset lies: marked, and still common enough to be reached."""
_ISOTROPIC = 0.05
"""Universal anisotropy that the preset allows [-]."""
_YOUNG = ("E_x", "E_y", "E_z")
_TENSION, _SHEAR = PROPERTIES[:3], PROPERTIES[3:]

# Name, directions that are to be large, directions that are to be small.
_CHARACTERS = (
    ("Stiff along x", (0,), (1, 2)),
    ("Stiff along y", (1,), (0, 2)),
    ("Stiff along z", (2,), (0, 1)),
    ("Stiff in the x-y plane", (0, 1), (2,)),
    ("Stiff in the x-z plane", (0, 2), (1,)),
    ("Stiff in the y-z plane", (1, 2), (0,)),
)


def presets(checkpoint: Checkpoint, pair: TwoPhase) -> dict[str, tuple[Wanted, ...]]:
    """Targets by name, each from the volumes that show its character: see `_CHARACTERS`."""
    if checkpoint.modes is None:
        return _plain_presets(checkpoint)
    young = np.stack([known_values(checkpoint, pair, name) for name in _YOUNG], axis=1)
    sound = np.isfinite(young).all(axis=1) & (young > 0.0).all(axis=1)
    if not sound.any():
        return {}
    logs = np.log(young[sound])
    middle = rounded_number(float(np.exp(np.median(logs))))
    chosen: dict[str, tuple[Wanted, ...]] = {
        "Isotropic": (
            Wanted(name="E", low=middle, high=middle),
            Wanted(name="anisotropy", high=_ISOTROPIC),
        )
    }
    for title, large, small in _CHARACTERS:
        own = _of_character(logs, large, small)
        chosen[title] = tuple(
            Wanted(name=name, low=value, high=value) for name, value in zip(_YOUNG, own, strict=True)
        )
    if not missing_property("density", pair):
        chosen["Light and stiff"] = (Wanted(name="specific_E", goal="max"),)
    if not missing_property("k", pair):
        chosen["Heat spreader along x"] = (Wanted(name="k_x", goal="max"), Wanted(name="E_z", low=middle))
    return chosen


def _of_character(logs: NDArray[np.float64], large: Sequence[int], small: Sequence[int]) -> list[float]:
    """One value a direction, those of a group alike, shape (N, 3) of the logarithms."""
    score = logs[:, list(large)].mean(axis=1) - logs[:, list(small)].mean(axis=1)
    low, high = np.quantile(score, _SHARE)
    rows = (score >= low) & (score <= high)
    values = np.zeros(logs.shape[1])
    for group in (large, small):
        values[list(group)] = np.exp(np.median(logs[np.ix_(rows, list(group))]))
    return [rounded_number(float(value)) for value in values]


def _plain_presets(checkpoint: Checkpoint) -> dict[str, tuple[Wanted, ...]]:
    """Targets of C11 ... C66 for a model without modes."""
    properties = checkpoint.fitted.training_properties.values[:, : len(PROPERTIES)].astype(np.float64)
    logs: dict[str, NDArray[np.float64]] = dict(zip(PROPERTIES, np.log(properties).T, strict=True))
    targets = {"Isotropic": _isotropic(logs)}
    for title, *groups in _CHARACTERS:
        names = [tuple(_TENSION[place] for place in group) for group in groups]
        score = _mean_log(logs, names[0]) - _mean_log(logs, names[1])
        low, high = np.quantile(score, _SHARE)
        rows = (score >= low) & (score <= high)
        targets[title] = {key: _middle(logs, group, rows) for group in names for key in group}
    middle = {name: float(np.exp(np.median(values))) for name, values in logs.items()}
    return {
        title: tuple(
            Wanted(name=name, low=value, high=value)
            for name, value in _within_reach(checkpoint, target, middle).items()
        )
        for title, target in targets.items()
    }


def _mean_log(logs: Mapping[str, NDArray[np.float64]], group: tuple[str, ...]) -> NDArray[np.float64]:
    """Mean logarithm of the properties of a group, shape (N,)."""
    return np.mean([logs[name] for name in group], axis=0)


def _isotropic(logs: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """The middle of those volumes whose properties differ least along x, y and z."""
    spread = np.sum([np.ptp([logs[name] for name in group], axis=0) for group in (_TENSION, _SHEAR)], axis=0)
    rows = spread <= np.quantile(spread, 0.02)
    return {name: _middle(logs, group, rows) for group in (_TENSION, _SHEAR) for name in group}


def _middle(
    logs: Mapping[str, NDArray[np.float64]], group: tuple[str, ...], rows: NDArray[np.bool_]
) -> float:
    """One value for a group of properties [GPa]."""
    return float(np.exp(np.mean([np.median(logs[name][rows]) for name in group])))


def _within_reach(
    checkpoint: Checkpoint, target: Mapping[str, float], middle: Mapping[str, float]
) -> dict[str, float]:
    """The target in round figures or, where it is out of reach, one that is nearer to what is common."""
    for share in (1.0, 0.85, 0.7, 0.5, 0.25, 0.0):
        near = {
            name: round(float(value**share * middle[name] ** (1.0 - share)), 1)
            for name, value in target.items()
        }
        try:
            check_reachable(checkpoint, check_targets(near))
        except UnreachableTargetError:
            continue
        break
    return {name: near[name] for name in PROPERTIES if name in near}
