"""Targets that exclude each other whatever the phases are: stability and the relations between constants.

Every relation is checked at the ends of the ranges that are left open, so that a refusal is never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.targets.quantities import QUANTITIES, STIFFNESS_ENTRIES
from vaereg.targets.wanted import Targets

__all__ = ["check_consistency"]

_ROUNDED = 5e-3
"""Relative change of a target that counts as its rounding, to three digits [-]."""
_TOLERANCE = 4.0 * _ROUNDED
"""Relative difference of two ways to the same quantity that counts as the rounding of targets [-]."""
_POWERS = {"specific_E": 1.0, "specific_sqrt_E": 0.5, "specific_cbrt_E": 1.0 / 3.0}
"""Power of the modulus in each specific modulus [-]."""
_SHEARS = {"C44": "G_yz", "C55": "G_xz", "C66": "G_xy"}

Span = Callable[[str], tuple[float, float]]


def check_consistency(targets: Targets, span: Span) -> None:
    """Refuse targets that exclude each other.

    Args:
        wanted: What is wanted.
        span: Least and largest value of a quantity that targets and bounds leave open.

    Raises:
        InputError: With the limit and the value beyond it.
    """
    names = set(targets.names)
    _check_moduli(names, span)
    _check_poisson_ratios(names, span)
    _check_compliance(targets)
    _check_entries(targets, names, span)
    _check_averages(names, span)
    _check_specific(names, span)


def _check_moduli(names: set[str], span: Span) -> None:
    """A modulus with free sides is at most that with held sides: 1 / S_ii <= C_ii."""
    pairs = {"C11": "E_x", "C22": "E_y", "C33": "E_z"} | _SHEARS
    for entry, modulus in pairs.items():
        if entry in names and modulus in names and span(modulus)[0] > span(entry)[1] * (1.0 + _TOLERANCE):
            raise InputError(
                f"{modulus} = {span(modulus)[0]:.4g} GPa and {entry} = {span(entry)[1]:.4g} GPa exclude each "
                f"other: {modulus} is at most {entry}, {span(entry)[1]:.4g} GPa"
            )


def _nearest_to_zero(ends: tuple[float, float]) -> float:
    return 0.0 if ends[0] <= 0.0 <= ends[1] else min(ends, key=abs)


def _check_poisson_ratios(names: set[str], span: Span) -> None:
    """Stability of each pair of axes, nu_ij² < E_i / E_j, and reciprocity, nu_ij E_j = nu_ji E_i."""
    for i, j in ("xy", "xz", "yx", "yz", "zx", "zy"):
        name = f"nu_{i}{j}"
        if name not in names:
            continue
        modulus_i, modulus_j = span(f"E_{i}"), span(f"E_{j}")
        if modulus_j[0] > 0.0 and math.isfinite(modulus_i[1]):
            limit, least = math.sqrt(modulus_i[1] / modulus_j[0]), abs(_nearest_to_zero(span(name)))
            if least >= limit * (1.0 + _ROUNDED):
                raise InputError(
                    f"{name} = {_nearest_to_zero(span(name)):.4g} is beyond stability: its size is below "
                    f"sqrt(E_{i} / E_{j}), at most {limit:.4g}"
                )
        back = f"nu_{j}{i}"
        if back in names and i < j:
            if all(ends[0] > 0.0 for ends in (span(name), span(back))) and (
                span(name)[0] * span(back)[0] >= 1.0 + 2.0 * _ROUNDED
            ):
                raise InputError(
                    f"{name} = {span(name)[0]:.4g} and {back} = {span(back)[0]:.4g} are beyond stability: "
                    f"their product is below 1, not {span(name)[0] * span(back)[0]:.4g}"
                )
            first, second = _product(span(name), modulus_j), _product(span(back), modulus_i)
            if not _overlap(first, second):
                raise InputError(
                    f"{name} and {back} exclude each other with these E_{i} and E_{j}: {name} E_{j} = "
                    f"{back} E_{i}, but the targets give {_ends_text(first, ' GPa')} and "
                    f"{_ends_text(second, ' GPa')}"
                )


def _ends_text(ends: tuple[float, float], unit: str) -> str:
    """Ends of a range, or a value, with the unit."""
    return (f"{ends[0]:.4g}" if ends[0] == ends[1] else f"{ends[0]:.4g} to {ends[1]:.4g}") + unit


def _product(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    ends = [a * b if a and b else 0.0 for a in first for b in second]
    return min(ends), max(ends)


def _overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    slack = _TOLERANCE * max((abs(end) for end in (*first, *second) if math.isfinite(end)), default=0.0)
    return first[0] <= second[1] + slack and second[0] <= first[1] + slack


def _values(targets: Targets) -> dict[str, float]:
    return {item.name: item.low for item in targets if item.is_value}


def _check_compliance(targets: Targets) -> None:
    """A compliance of the normal directions that is known in full is positive definite."""
    values = _values(targets)
    compliance = np.zeros((3, 3))
    for i, axis in enumerate("xyz"):
        if f"E_{axis}" not in values:
            return
        compliance[i, i] = 1.0 / values[f"E_{axis}"]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        ratios = [(i, j), (j, i)]
        known_pairs = [pair for pair in ratios if f"nu_{'xyz'[pair[0]]}{'xyz'[pair[1]]}" in values]
        if not known_pairs:
            return
        a, b = known_pairs[0]
        compliance[i, j] = compliance[j, i] = -values[f"nu_{'xyz'[a]}{'xyz'[b]}"] * compliance[a, a]
    least = float(np.linalg.eigvalsh(compliance)[0] / np.abs(compliance).max())
    if least <= -2.0 * _ROUNDED * len(compliance):
        raise InputError(
            "these Young's moduli and Poisson ratios are beyond stability: their compliance has an "
            f"eigenvalue of {least:.3g} of its largest entry, which must be above 0"
        )


def _check_entries(targets: Targets, names: set[str], span: Span) -> None:
    """Entries of a positive definite matrix: |C_ij| < sqrt(C_ii C_jj), and whole blocks."""
    for name in STIFFNESS_ENTRIES:
        if name not in names or name in PROPERTIES:
            continue
        ends = [span(f"C{digit}{digit}")[1] for digit in name[1:]]
        limit, least = math.sqrt(max(ends[0], 0.0) * max(ends[1], 0.0)), _nearest_to_zero(span(name))
        if abs(least) >= limit * (1.0 + 2.0 * _ROUNDED):
            raise InputError(
                f"{name} = {least:.4g} GPa is beyond stability: its size is below sqrt(C{name[1]}{name[1]} "
                f"C{name[2]}{name[2]}), at most {limit:.4g} GPa"
            )
    values = _values(targets)
    for size in (3, 6):
        entries = [name for name in STIFFNESS_ENTRIES if int(name[2]) <= size]
        if not set(entries) <= set(values):
            continue
        block = np.zeros((size, size))
        for name in entries:
            i, j = int(name[1]) - 1, int(name[2]) - 1
            block[i, j] = block[j, i] = values[name]
        _check_block(block, targets)


def _check_block(block: NDArray[np.float64], targets: Targets) -> None:
    """A block of the stiffness that is known in full, and the moduli that it allows."""
    least = float(np.linalg.eigvalsh(block)[0])
    rounding = float(np.linalg.norm(_ROUNDED * block, 2))
    if least <= -rounding:
        raise InputError(
            f"these C11 to C{len(block)}{len(block)} are beyond stability: their matrix has an eigenvalue of "
            f"{least:.4g} GPa, which must be above 0"
        )
    if least <= rounding:  # rounding decides what it says of the moduli
        return
    compliance = np.linalg.inv(block)
    softest = 1.0 / np.diag(compliance)
    unsure = np.diag(np.abs(compliance) @ np.abs(_ROUNDED * block) @ np.abs(compliance)) * softest
    moduli = ("E_x", "E_y", "E_z", *_SHEARS.values())[: len(block)]
    for name, limit, share in zip(moduli, softest, unsure, strict=True):
        low, high = targets.range_of(name)
        exact = len(block) == len(PROPERTIES)
        slack = _ROUNDED + float(share)
        if low > limit * (1.0 + slack) or (exact and high < limit * (1.0 - slack)):
            value, word = (low, "at most") if low > limit else (high, "exactly")
            raise InputError(
                f"{name} = {value:.4g} GPa and these C_ij exclude each other: they give {name} {word} "
                f"{limit:.4g} GPa"
            )


def _check_averages(names: set[str], span: Span) -> None:
    """Two of the four averages over orientations give the others."""

    def refuse(name: str, ends: tuple[float, float], by: str) -> None:
        rounding = 2.0 * _ROUNDED if name == "nu" else 0.0  # of the ratio of the moduli
        if name in names and not _overlap(span(name), (ends[0] - rounding, ends[1] + rounding)):
            low, high = span(name)
            value, unit = low if low > ends[1] else high, QUANTITIES[name].unit_after
            raise InputError(
                f"{name} = {value:.4g}{unit} excludes {by}: these give {name} = {_ends_text(ends, unit)}"
            )

    if {"K", "G"} <= names:
        (bulk, bulk_high), (shear, shear_high) = span("K"), span("G")
        refuse("E", (_young(bulk, shear), _young(bulk_high, shear_high)), "K and G")
        refuse("nu", (_poisson(bulk, shear_high), _poisson(bulk_high, shear)), "K and G")
    if {"E", "nu"} <= names:
        (young, young_high), (poisson, poisson_high) = span("E"), span("nu")
        if poisson > -1.0:
            refuse("G", (young / (2.0 + 2.0 * poisson_high), young_high / (2.0 + 2.0 * poisson)), "E and nu")
        if poisson_high < 0.5:
            ends = (young / (3.0 - 6.0 * poisson), young_high / (3.0 - 6.0 * poisson_high))
            refuse("K", ends, "E and nu")


def _check_specific(names: set[str], span: Span) -> None:
    """A modulus, or its root, over the density is that of the two."""
    for name in sorted(names):
        kind, _, axis = name.rpartition("_")
        kind, modulus = (kind, f"E_{axis}") if axis in ("x", "y", "z") else (name, "E")
        if kind not in _POWERS or not {modulus, "density"} & names:
            continue
        (young, young_high), (light, heavy) = span(modulus), span("density")
        power = _POWERS[kind]
        ends = young**power / heavy, young_high**power / light if light > 0.0 else math.inf
        if not _overlap(span(name), ends):
            unit, (low, high) = QUANTITIES[name].unit_after, span(name)
            raise InputError(
                f"{name} = {low if low > ends[1] else high:.4g}{unit} cannot be had: {modulus} of "
                f"{_ends_text((young, young_high), ' GPa')} and a density of "
                f"{_ends_text((light, heavy), ' g/cm³')} give {_ends_text(ends, unit)}"
            )


def _young(bulk: float, shear: float) -> float:
    return 9.0 * bulk * shear / (3.0 * bulk + shear) if bulk + shear > 0.0 else 0.0


def _poisson(bulk: float, shear: float) -> float:
    return (3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear) if bulk + shear > 0.0 else 0.0
