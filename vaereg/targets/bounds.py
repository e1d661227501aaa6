"""Bounds of every quantity at a volume fraction.

Bounds of a stiffness in the Loewner order, R <= C <= V, bound every quantity that is a square in C or in its
inverse S: C_ii, E_i = 1 / S_ii, G, K. An entry beside the diagonal obeys

    |C_ij - (V_ij + R_ij) / 2| <= sqrt(W_ii W_jj) / 2,    W = V - R,

and so does any bilinear form, such as the thermal expansion in S. Hashin and Shtrikman's bounds hold for
cells that are isotropic, and for the bulk modulus, conductivity and thermal expansion of cubic ones.

Letters: F volume fractions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import bulk_and_shear, hashin_shtrikman_bounds, reuss_bound, voigt_bound
from vaereg.materials import TwoPhase

__all__ = ["Curve", "QuantityBounds", "phase_conductivities", "quantity_bounds"]

Curve = NDArray[np.float64]
"""Values at F volume fractions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantityBounds:
    """Least and largest value of a quantity at each volume fraction."""

    low: Curve
    """Shape (F,), minus infinity where there is no bound."""
    high: Curve
    """Shape (F,), infinity where there is no bound."""
    low_by: str
    """Name of the lower bound, such as "Reuss' bound"."""
    high_by: str
    """Name of the upper bound."""


def phase_conductivities(materials: TwoPhase, fractions: Curve) -> tuple[float, float, Curve, Curve]:
    """Smaller and larger conductivity of the phases, their arithmetic and their harmonic mean."""
    stiff, soft = float(materials.stiff.conductivity or 0.0), float(materials.soft.conductivity or 0.0)
    mixed = soft + fractions * (stiff - soft)
    weight = fractions * soft + (1.0 - fractions) * stiff
    beside = np.where(weight > 0.0, stiff * soft / np.where(weight > 0.0, weight, 1.0), 0.0)
    return min(stiff, soft), max(stiff, soft), mixed, beside


def quantity_bounds(
    name: str,
    fractions: NDArray[np.float64],
    materials: TwoPhase,
    *,
    isotropic: bool = False,
    symmetry: str = "none",
) -> QuantityBounds:
    """Bounds of a quantity at given volume fractions.

    Args:
        name: One of `QUANTITIES`.
        fractions: Volume fractions of the stiff phase, shape (F,) [-].
        materials: The two phases.
        isotropic: Whether the cell is isotropic: then the bounds are Hashin and Shtrikman's.
        symmetry: Symmetry of the cell; "cubic" allows Hashin and Shtrikman's bounds for some quantities.
    """
    kind, _, suffix = name.rpartition("_")
    cubic = isotropic or symmetry == "cubic"
    phases = ("the bound of the phases",) * 2
    if name == "volume_fraction":
        return QuantityBounds(low=fractions, high=fractions, low_by=phases[0], high_by=phases[1])
    if name == "density":
        stiff, soft = float(materials.stiff.density or 0.0), float(materials.soft.density or 0.0)
        mixed = soft + fractions * (stiff - soft)
        return QuantityBounds(low=mixed, high=mixed, low_by=phases[0], high_by=phases[1])
    if name == "anisotropy":
        low, high = np.zeros_like(fractions), np.full_like(fractions, np.inf)
        return QuantityBounds(low=low, high=high, low_by="the least value", high_by="no bound")
    if name == "k" or kind == "k":
        return _conduction_bounds(suffix if kind else "x", fractions, materials, cubic)
    if name.startswith("specific_"):
        power = {"specific_E": 1.0, "specific_sqrt_E": 0.5, "specific_cbrt_E": 1.0 / 3.0}
        young = quantity_bounds(
            "E_x" if suffix in "xyz" else "E", fractions, materials, isotropic=isotropic, symmetry=symmetry
        )
        density = quantity_bounds("density", fractions, materials).low
        exponent = power[kind if suffix in "xyz" else name]
        with np.errstate(divide="ignore"):
            low, high = young.low**exponent / density, young.high**exponent / density
        return QuantityBounds(low=low, high=high, low_by=young.low_by, high_by=young.high_by)
    if name == "alpha" or kind == "alpha":
        return _expansion_bounds(name, fractions, materials, isotropic, cubic)
    return _elastic_bounds(name, fractions, materials, isotropic, cubic)


_MEANS = ("Reuss' bound", "Voigt's bound")
_TIGHT = ("Hashin and Shtrikman's lower bound", "Hashin and Shtrikman's upper bound")


def _conduction_bounds(axes: str, fractions: Curve, materials: TwoPhase, isotropic: bool) -> QuantityBounds:
    small, large, mixed, beside = phase_conductivities(materials, fractions)
    if len(axes) == 2 and axes[0] != axes[1]:
        half = np.zeros_like(mixed) if isotropic else (mixed - beside) / 2.0
        return QuantityBounds(low=-half, high=half, low_by=_MEANS[0], high_by=_MEANS[1])
    if not isotropic:
        by = ("Reuss' bound (series)", "Voigt's bound (parallel)")
        return QuantityBounds(low=beside, high=mixed, low_by=by[0], high_by=by[1])
    share = (
        fractions
        if (materials.stiff.conductivity or 0.0) >= (materials.soft.conductivity or 0.0)
        else 1.0 - fractions
    )
    low, high = (_mean_beside(share, large, small, 2.0 * base) for base in (small, large))
    return QuantityBounds(low=low, high=high, low_by=_TIGHT[0], high_by=_TIGHT[1])


def _mean_beside(share: Curve, large: float, small: float, beside: float) -> Curve:
    """Harmonic mean with a comparison conductivity added to both (Hashin & Shtrikman 1962)."""
    upper, lower = large + beside, small + beside
    weight = share * lower + (1.0 - share) * upper
    return np.where(weight > 0.0, upper * lower / np.where(weight > 0.0, weight, 1.0), 0.0) - beside


def _moduli(fractions: Curve, materials: TwoPhase, tight: bool) -> tuple[Curve, Curve, Curve, Curve]:
    """Lower and upper bulk modulus, lower and upper shear modulus."""
    if tight:
        bounds = hashin_shtrikman_bounds(fractions, materials)
        return bounds.bulk_lower, bounds.bulk_upper, bounds.shear_lower, bounds.shear_upper
    low, high = reuss_bound(fractions, materials), voigt_bound(fractions, materials)
    bulk_low, bulk_high = (matrix[:, 0, 0] - 4.0 / 3.0 * matrix[:, 3, 3] for matrix in (low, high))
    return np.maximum(bulk_low, 0.0), bulk_high, low[:, 3, 3], high[:, 3, 3]


def _young(bulk: Curve, shear: Curve) -> Curve:
    denominator = 3.0 * bulk + shear
    return np.where(
        denominator > 0.0, 9.0 * bulk * shear / np.where(denominator > 0.0, denominator, 1.0), 0.0
    )


def _poisson(bulk: Curve, shear: Curve) -> Curve:
    denominator = 6.0 * bulk + 2.0 * shear
    return np.where(
        denominator > 0.0, (3.0 * bulk - 2.0 * shear) / np.where(denominator > 0.0, denominator, 1.0), 0.0
    )


def _elastic_bounds(
    name: str, fractions: Curve, materials: TwoPhase, isotropic: bool, cubic: bool
) -> QuantityBounds:
    tight = isotropic or (cubic and name == "K")
    bulk_low, bulk_high, shear_low, shear_high = _moduli(fractions, materials, tight)
    by = _TIGHT if tight else _MEANS

    def made(low: Curve, high: Curve) -> QuantityBounds:
        return QuantityBounds(low=low, high=high, low_by=by[0], high_by=by[1])

    kind = name.rpartition("_")[0]
    if name == "K":
        return made(bulk_low, bulk_high)
    if name == "G" or kind == "G" or name in ("C44", "C55", "C66"):
        return made(shear_low, shear_high)
    if name == "E" or kind == "E":
        return made(_young(bulk_low, shear_low), _young(bulk_high, shear_high))
    if name == "nu" or (kind == "nu" and isotropic):
        return made(_poisson(bulk_low, shear_high), _poisson(bulk_high, shear_low))
    if kind == "nu":
        low, high = _young(bulk_low, shear_low), _young(bulk_high, shear_high)
        ratio = np.sqrt(np.where(low > 0.0, high / np.where(low > 0.0, low, 1.0), np.inf))
        stable = "the limit of stability"
        return QuantityBounds(low=-ratio, high=ratio, low_by=stable, high_by=stable)
    i, j = int(name[1]) - 1, int(name[2]) - 1
    if i == j:
        return made(bulk_low + 4.0 / 3.0 * shear_low, bulk_high + 4.0 / 3.0 * shear_high)
    lower, upper = reuss_bound(fractions, materials), voigt_bound(fractions, materials)
    if isotropic and max(i, j) < 3:
        return made(bulk_low - 2.0 / 3.0 * shear_high, bulk_high - 2.0 / 3.0 * shear_low)
    width = upper - lower
    middle, half = (
        (upper + lower)[:, i, j] / 2.0,
        np.sqrt(np.maximum(width[:, i, i] * width[:, j, j], 0.0)) / 2.0,
    )
    return QuantityBounds(
        low=middle - half,
        high=middle + half,
        low_by="Voigt and Reuss' bound",
        high_by="Voigt and Reuss' bound",
    )


def _expansion_bounds(
    name: str, fractions: Curve, materials: TwoPhase, isotropic: bool, cubic: bool
) -> QuantityBounds:
    first, second = (float(phase.thermal_expansion or 0.0) for phase in (materials.stiff, materials.soft))
    phases = "the value of the phases"
    if materials.has_void:
        solid = np.full_like(fractions, second if materials.stiff.is_void else first)
        return QuantityBounds(low=solid, high=solid, low_by=phases, high_by=phases)
    (stiff, _), (soft, _) = bulk_and_shear(materials)
    if abs(stiff - soft) <= 1e-4 * stiff:
        mixed = second + fractions * (first - second)
        return QuantityBounds(low=mixed, high=mixed, low_by=phases, high_by=phases)
    bulk_low, bulk_high, shear_low, shear_high = _moduli(fractions, materials, isotropic or cubic)
    # e_x : S : (1, 1, 1), three times the linear compressibility where the cell is isotropic
    ends = [1.0 / (3.0 * bulk_high), 1.0 / (3.0 * bulk_low)]
    by = (_TIGHT if isotropic or cubic else _MEANS)[::-1]
    if name != "alpha" and not (isotropic or cubic):
        middle = (ends[0] + ends[1]) / 2.0
        tension = 1.0 / _young(bulk_low, shear_low) - 1.0 / _young(bulk_high, shear_high)
        half = np.sqrt(np.maximum(tension * 3.0 * (ends[1] - ends[0]), 0.0)) / 2.0
        ends = [middle - half, middle + half]
    slope = (first - second) / (1.0 / (3.0 * stiff) - 1.0 / (3.0 * soft))
    values = np.sort(np.stack([second + slope * (end - 1.0 / (3.0 * soft)) for end in ends]), axis=0)
    return QuantityBounds(low=values[0], high=values[1], low_by=by[0], high_by=by[1])
