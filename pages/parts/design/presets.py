"""Targets to start from, and what is reachable: both follow from the checkpoint; free of any user interface.

Letters: N volumes, T properties.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.inverse.plausible import UnreachableTargetError, check_reachable
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, Target, check_targets

__all__ = ["presets", "reachable_properties"]

_SHARE = (0.85, 0.97)
"""Quantiles of a character between which its preset lies: marked, and still common enough to be reached."""
_TENSION, _SHEAR = PROPERTIES[:3], PROPERTIES[3:]

# Name, properties that are to be large, properties that are to be small.
_CHARACTERS = (
    ("Stiff along x", ("C11",), ("C22", "C33")),
    ("Stiff along y", ("C22",), ("C11", "C33")),
    ("Stiff along z", ("C33",), ("C11", "C22")),
    ("Stiff in the x-y plane", ("C11", "C22"), ("C33",)),
    ("Stiff in the x-z plane", ("C11", "C33"), ("C22",)),
    ("Stiff in the y-z plane", ("C22", "C33"), ("C11",)),
)


def reachable_properties(checkpoint: Checkpoint) -> dict[str, NDArray[np.float64]]:
    """Properties [GPa] and volume fraction [-] of the volumes of the training set, by name."""
    values = checkpoint.fitted.training_properties.values
    return {name: values[:, place].astype(np.float64) for place, name in enumerate(TARGETS)}


def presets(checkpoint: Checkpoint) -> dict[str, dict[str, Target]]:
    """Targets [GPa] by name, each from the volumes that show its character: see `_CHARACTERS`."""
    properties = checkpoint.fitted.training_properties.values[:, : len(PROPERTIES)].astype(np.float64)
    logs: dict[str, NDArray[np.float64]] = dict(zip(PROPERTIES, np.log(properties).T, strict=True))
    targets = {"Isotropic": _isotropic(logs)}
    for name, large, small in _CHARACTERS:
        score = _mean_log(logs, large) - _mean_log(logs, small)
        low, high = np.quantile(score, _SHARE)
        rows = (score >= low) & (score <= high)
        targets[name] = {key: _middle(logs, group, rows) for group in (large, small) for key in group}
    middle = {name: float(np.exp(np.median(values))) for name, values in logs.items()}
    return {name: _within_reach(checkpoint, target, middle) for name, target in targets.items()}


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
) -> dict[str, Target]:
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
