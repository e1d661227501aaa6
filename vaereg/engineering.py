"""Engineering constants, anisotropy, thermal expansion and density of a cell of known stiffness.

Notation as in `vaereg.elasticity`: Voigt order with engineering shear strain, moduli in GPa; `S` is the
inverse of the stiffness, the compliance [1/GPa].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import (
    MANDEL_FACTORS,
    VOIGT_PAIRS,
    bulk_and_shear,
    diagonal_properties,
    voigt_to_mandel,
)
from vaereg.errors import InputError
from vaereg.materials import TwoPhase

__all__ = [
    "ENGINEERING_NAMES",
    "EngineeringConstants",
    "conduction_factor",
    "directional_young",
    "engineering_constants",
    "loaded_directions",
    "mixed_density",
    "thermal_expansion",
    "universal_anisotropy",
]

ENGINEERING_NAMES = (
    *("E_x", "E_y", "E_z", "G_yz", "G_xz", "G_xy"),
    *("nu_xy", "nu_xz", "nu_yx", "nu_yz", "nu_zx", "nu_zy"),
    *("K", "G", "anisotropy"),
)
"""Engineering constants by name: see `EngineeringConstants.by_name`."""

_SINGULAR = 1e-12
"""Eigenvalue of a stiffness over its largest [-], below which a strain meets no stress."""
_NO_LOAD = 1e-9
"""Share of a unit stress outside the range of the stiffness, above which it is not carried [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineeringConstants:
    """Constants that tensile and shear tests along the axes of the cell would measure.

    A direction that carries no load has a modulus of zero and Poisson ratios that are NaN.
    """

    young: NDArray[np.float64]
    """E_x, E_y, E_z [GPa], shape (..., 3)."""
    shear: NDArray[np.float64]
    """G_yz, G_xz, G_xy [GPa], shape (..., 3)."""
    poisson: NDArray[np.float64]
    """Entry (i, j): contraction along j over extension along i, under tension along i [-], shape (..., 3, 3).
    The diagonal is zero; nu_ij / E_i = nu_ji / E_j."""
    bulk: NDArray[np.float64]
    """Bulk modulus [GPa], shape (...): Hill's mean of the averages of Voigt and Reuss."""
    mean_shear: NDArray[np.float64]
    """Shear modulus averaged over orientations [GPa], shape (...): Hill's mean of Voigt and Reuss."""
    anisotropy: NDArray[np.float64]
    """Universal anisotropy [-], shape (...); NaN where a direction carries no load."""
    loaded: NDArray[np.bool_]
    """Whether the stress of each Voigt component is carried, shape (..., 6)."""

    def by_name(self) -> dict[str, float | None]:
        """The constants of one material by the names in `ENGINEERING_NAMES`; None where there is none."""
        nu = self.poisson
        pairs = [nu[0, 1], nu[0, 2], nu[1, 0], nu[1, 2], nu[2, 0], nu[2, 1]]
        values = [*self.young, *self.shear, *pairs, self.bulk, self.mean_shear, self.anisotropy]
        return {
            name: float(value) if np.isfinite(value) else None
            for name, value in zip(ENGINEERING_NAMES, values, strict=True)
        }


def engineering_constants(stiffness: ArrayLike) -> EngineeringConstants:
    """Young's moduli, shear moduli and Poisson ratios from the compliance (Nye 1957, Physical Properties of
    Crystals, chapter VIII); of any material, with the couplings to shear left out.

    Args:
        stiffness: Voigt order, shape (..., 6, 6) [GPa]; eigenvalues may be zero, not negative.

    Raises:
        ValueError: `stiffness` has another shape, is not finite, or has a negative eigenvalue.
    """
    matrix, compliance, residual = _compliance(stiffness)
    loaded = residual < _NO_LOAD
    diagonal = np.where(loaded, diagonal_properties(compliance), np.inf)
    extension = np.where(loaded, diagonal, 1.0)[..., :3, None]
    poisson = np.where(loaded[..., :3, None], -compliance[..., :3, :3] / extension, np.nan)
    # what a strain without stress leaves open: a contraction along an axis that carries no load
    free = loaded[..., :3, None] & ~loaded[..., None, :3]
    poisson = np.where(free, np.nan, poisson)
    poisson[..., range(3), range(3)] = 0.0
    whole = loaded.all(axis=-1)
    bulk_voigt, shear_voigt, bulk_reuss, shear_reuss = _orientation_averages(matrix, compliance)
    bulk_reuss, shear_reuss = (np.where(whole, modulus, 0.0) for modulus in (bulk_reuss, shear_reuss))
    with np.errstate(divide="ignore", invalid="ignore"):
        anisotropy = 5.0 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6.0
    return EngineeringConstants(
        young=1.0 / diagonal[..., :3],
        shear=1.0 / diagonal[..., 3:],
        poisson=poisson,
        bulk=(bulk_voigt + bulk_reuss) / 2.0,
        mean_shear=(shear_voigt + shear_reuss) / 2.0,
        anisotropy=np.where(whole, anisotropy, np.nan),
        loaded=loaded,
    )


def loaded_directions(stiffness: ArrayLike) -> NDArray[np.bool_]:
    """Whether a cell carries the stress of each Voigt component, shape (..., 6): whether a unit stress lies
    in the range of the stiffness, shape (..., 6, 6).
    """
    _, _, residual = _compliance(stiffness)
    return residual < _NO_LOAD


def directional_young(stiffness: ArrayLike, directions: ArrayLike) -> NDArray[np.float64]:
    """Young's modulus under tension along any direction n: 1 / E(n) = (n n) : S : (n n) (Nye 1957).

    Args:
        stiffness: Voigt order, shape (6, 6) [GPa].
        directions: Shape (..., 3), of any length but zero.

    Returns:
        E(n) [GPa], shape (...).

    Raises:
        ValueError: A direction is zero, or `stiffness` is no positive definite matrix of shape (6, 6).
    """
    matrix = _as_stiffness(stiffness)
    n = np.asarray(directions, dtype=np.float64)
    length = np.linalg.norm(n, axis=-1, keepdims=True) if n.ndim and n.shape[-1] == 3 else np.zeros(1)
    if matrix.ndim != 2 or not (np.isfinite(length).all() and (length > 0.0).all()):
        raise ValueError(
            "expected one stiffness (6, 6) and directions (..., 3) of non-zero length, got shapes "
            f"{matrix.shape} and {n.shape}"
        )
    n = n / length
    stress = np.stack([n[..., i] * n[..., j] for i, j in VOIGT_PAIRS], axis=-1)
    return 1.0 / np.einsum("...i,ij,...j->...", stress, np.linalg.inv(matrix), stress)


def universal_anisotropy(stiffness: ArrayLike) -> NDArray[np.float64]:
    """A = 5 G_Voigt / G_Reuss + K_Voigt / K_Reuss - 6 [-], 0 if isotropic (Ranganathan & Ostoja-Starzewski
    2008, doi:10.1103/PhysRevLett.101.055504), with the averages over orientations of Hill 1952.

    Args:
        stiffness: Voigt order, shape (..., 6, 6) [GPa].

    Returns:
        Shape (...).
    """
    c = _as_stiffness(stiffness)
    bulk_voigt, shear_voigt, bulk_reuss, shear_reuss = _orientation_averages(
        c, np.asarray(np.linalg.inv(c), dtype=np.float64)
    )
    return 5.0 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6.0


_MIXED_CONTRAST = 100.0
"""Contrast up to which the logarithmic rule of mixtures holds, above which percolation counts [-]."""
_LEAST_CONDUCTIVITY = 1e-150
"""Conductivity that stands for none [W/(m K)]."""
_ALIKE_BULK = 1e-4
"""Relative difference of the bulk moduli [-], below which thermal expansion is the mean of the phases': the
exact relation divides by the difference."""


def thermal_expansion(
    stiffness: ArrayLike, volume_fraction: ArrayLike, materials: TwoPhase
) -> NDArray[np.float64]:
    """Thermal expansion of a two-phase cell, exact for any geometry (Levin 1967; Rosen & Hashin 1970,
    doi:10.1016/0020-7225(70)90066-2): alpha = alpha0 + (S - S0) : (S1 - S0)^-1 : (alpha1 - alpha0).

    A porous solid expands as the solid does.

    Args:
        stiffness: Effective stiffness, Voigt order, shape (..., 6, 6) [GPa].
        volume_fraction: Volume fraction of the stiff phase, shape (...) [-].
        materials: The two phases, with their thermal expansions (that of a void is not needed).

    Returns:
        Free strain per kelvin, Voigt order with engineering shear, shape (..., 6) [1e-6/K]; NaN along
        directions that carry no load, whose expansion is not determined.

    Raises:
        InputError: A phase that carries load has no thermal expansion.
    """
    for key, phase in (("stiff", materials.stiff), ("soft", materials.soft)):
        if phase.thermal_expansion is None and not phase.is_void:
            raise InputError(
                f"expected the thermal expansion of the {key} phase{phase.quoted}, which is not given"
            )
    isotropic = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    _, compliance, residual = _compliance(stiffness)
    first, second = materials.stiff.thermal_expansion, materials.soft.thermal_expansion
    if materials.has_void:
        solid = second if materials.stiff.is_void else first
        return np.where(residual < _NO_LOAD, float(solid or 0.0) * isotropic, np.nan)
    first, second = float(first or 0.0), float(second or 0.0)
    (bulk_stiff, _), (bulk_soft, _) = bulk_and_shear(materials)
    if abs(bulk_stiff - bulk_soft) <= _ALIKE_BULK * bulk_stiff:
        return (second + np.asarray(volume_fraction)[..., None] * (first - second)) * isotropic
    excess = compliance @ isotropic - isotropic / (3.0 * bulk_soft)
    slope = 1.0 / (3.0 * bulk_stiff) - 1.0 / (3.0 * bulk_soft)
    return second * isotropic + (first - second) / slope * excess


def mixed_density(volume_fraction: float, materials: TwoPhase) -> float:
    """Mass density of a cell [g/cm³].

    Raises:
        InputError: A phase has no density.
    """
    densities = []
    for key, phase in (("stiff", materials.stiff), ("soft", materials.soft)):
        if phase.density is None:
            raise InputError(f"expected the density of the {key} phase{phase.quoted}, which is not given")
        densities.append(phase.density)
    return float(volume_fraction * densities[0] + (1.0 - volume_fraction) * densities[1])


def conduction_factor(difference: NDArray[np.float64], materials: TwoPhase) -> NDArray[np.float64]:
    """Conductivity of cells over that of cells with another volume fraction, by the logarithmic rule of
    mixtures (Lichtenecker 1926), shape (N,) [-]: below one where the stiff phase conducts less.

    Args:
        difference: Volume fractions of the stiff phase less the other ones, shape (N,) [-].
        materials: The two phases; one without conductivity conducts nothing.
    """
    stiff, soft = (
        max(phase.conductivity or 0.0, _LEAST_CONDUCTIVITY) for phase in (materials.stiff, materials.soft)
    )
    contrast = np.clip(stiff / soft, 1.0 / _MIXED_CONTRAST, _MIXED_CONTRAST)
    return np.asarray(contrast**difference)


def _compliance(
    stiffness: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Stiffness, its (pseudo-)inverse, and the part of each unit stress that it does not carry, (..., 6)."""
    matrix = np.asarray(stiffness, dtype=np.float64)
    if matrix.shape[-2:] != (6, 6):
        raise ValueError(f"expected stiffness of shape (..., 6, 6), got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("expected a stiffness of finite numbers")
    values, axes = np.linalg.eigh(voigt_to_mandel(matrix))
    floor = _SINGULAR * np.abs(values).max(axis=-1, keepdims=True, initial=0.0)
    if (values < -floor).any():
        raise ValueError("expected a positive semi-definite stiffness")
    carried = values > floor
    inverse = np.where(carried, 1.0 / np.where(carried, values, 1.0), 0.0)
    factors = np.outer(MANDEL_FACTORS, MANDEL_FACTORS)
    compliance = np.einsum("...ik,...k,...jk->...ij", axes, inverse, axes) * factors
    return matrix, compliance, (axes**2 * ~carried[..., None, :]).sum(axis=-1)


def _as_stiffness(stiffness: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(stiffness, dtype=np.float64)
    if matrix.shape[-2:] != (6, 6):
        raise ValueError(f"expected stiffness of shape (..., 6, 6), got shape {matrix.shape}")
    if not (np.isfinite(matrix).all() and np.linalg.eigvalsh(matrix).min(initial=np.inf) > 0.0):
        raise ValueError("expected a positive definite stiffness")
    return matrix


def _orientation_averages(
    stiffness: NDArray[np.float64], compliance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bulk and shear modulus of Voigt, then of Reuss [GPa], averaged over orientations (Hill 1952)."""

    def sums(m: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        normal = np.trace(m[..., :3, :3], axis1=-2, axis2=-1)
        coupling = m[..., 0, 1] + m[..., 0, 2] + m[..., 1, 2]
        return normal, coupling, np.trace(m[..., 3:, 3:], axis1=-2, axis2=-1)

    normal, coupling, shear = sums(stiffness)
    bulk_voigt, shear_voigt = (normal + 2.0 * coupling) / 9.0, (normal - coupling + 3.0 * shear) / 15.0
    normal, coupling, shear = sums(compliance)
    with np.errstate(divide="ignore"):
        bulk_reuss = 1.0 / (normal + 2.0 * coupling)
        shear_reuss = 15.0 / (4.0 * (normal - coupling) + 3.0 * shear)
    return bulk_voigt, shear_voigt, bulk_reuss, shear_reuss
