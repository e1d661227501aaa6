"""Targets on the diagonal of the stiffness, which the model of version 0.1 is conditioned on.

Letters: N volumes, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError

__all__ = [
    "FRACTION",
    "TARGETS",
    "Target",
    "check_targets",
    "interval",
    "named_target",
    "parse_target",
    "target_distance",
    "target_ratio",
]

Target = float | tuple[float, float]
"""A property that is asked for [GPa]: a value or a range."""

FRACTION = "volume_fraction"
"""Name of the quantity beside the properties that can be targeted [-]."""

TARGETS = (*PROPERTIES, "volume_fraction")
"""Names of targets: properties [GPa], and the volume fraction of the stiff phase [-]."""


def parse_target(text: str) -> tuple[str, Target]:
    """Name and wanted value or range, from a text such as "C11=60", "C22=30:40" or "volume_fraction=0.4".

    Raises:
        InputError: The text has another form.
    """
    name, separator, value = text.partition("=")
    try:
        numbers = [float(part) for part in value.split(":")]
    except ValueError:
        numbers = []
    if not separator or len(numbers) not in (1, 2):
        raise InputError(f"expected a target such as C11=60 or C22=30:40 in GPa, got {text!r}")
    return name.strip(), numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def check_targets(targets: Mapping[str, Target]) -> dict[str, Target]:
    """Names, signs and order of what is wanted, as plain floats in the order of `TARGETS`.

    Raises:
        InputError: No property, an unknown one, or a value that is not positive and finite.
    """
    if unknown := sorted(set(targets) - set(TARGETS)):
        raise InputError(f"unknown property {unknown[0]!r}: expected one of {', '.join(TARGETS)}")
    if not targets:
        raise InputError("expected at least one target property, such as C11=60")
    checked: dict[str, Target] = {}
    for name in (name for name in TARGETS if name in targets):
        low, high = interval(targets[name])
        if name == "volume_fraction" and not 0.0 < low <= high < 1.0:
            raise InputError(
                f"volume_fraction must be between 0 and 1, or a range low:high, got {targets[name]}"
            )
        if not (np.isfinite(low) and np.isfinite(high) and 0.0 < low <= high):
            raise InputError(
                f"{name} must be a positive number of GPa, or a range low:high, got {targets[name]}"
            )
        checked[name] = low if low == high else (low, high)
    return checked


def target_distance(properties: NDArray[np.float64], targets: Mapping[str, Target]) -> NDArray[np.float64]:
    """Mean relative distance from the wanted values or ranges, shape (N,) [-], of properties (N, T) [GPa].

    The volume fraction is no part of it: designs have the one that was asked for, to the voxel. NaN where a
    property is not known.
    """
    distances = [np.where(np.isnan(properties).any(axis=1), np.nan, 0.0)]
    for name, value in targets.items():
        if name not in PROPERTIES:
            continue
        low, high = interval(value)
        values = properties[:, PROPERTIES.index(name)]
        distances.append(np.maximum(np.maximum(low - values, values - high), 0.0) / (0.5 * (low + high)))
    return np.sum(distances, axis=0) / max(1, len(distances) - 1)


def target_ratio(properties: NDArray[np.float64], targets: Mapping[str, Target]) -> NDArray[np.float64]:
    """Wanted over own value, shape (N,) [-]: geometric mean over `wanted`; 1 within a range."""
    logs = [np.zeros(len(properties))]
    for name, value in targets.items():
        if name in PROPERTIES:
            values = properties[:, PROPERTIES.index(name)]
            logs.append(np.log(np.clip(values, *interval(value)) / values))
    return np.exp(np.sum(logs, axis=0) / max(1, len(logs) - 1))


def interval(value: Target) -> tuple[float, float]:
    """Lowest and highest value of a target; equal for a single value."""
    low, high = value if isinstance(value, tuple) else (value, value)
    return float(low), float(high)


def named_target(name: str, value: Target) -> str:
    """A target as text, with its unit."""
    low, high = interval(value)
    digits = ".3f" if name == "volume_fraction" else ".4g"
    number = f"{low:{digits}}" if low == high else f"{low:{digits}} to {high:{digits}}"
    return f"{name} = {number}" + ("" if name == "volume_fraction" else " GPa")
