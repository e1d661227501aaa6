"""Linear elasticity of two isotropic phases: notation, stiffness, bounds, derived quantities.

Second-order tensors are written in Voigt order (xx, yy, zz, yz, xz, xy) with engineering shear strain,
moduli in GPa. Letters: T properties, `f` volume fraction of the stiff phase [-], `C` stiffness [GPa], `S` its
inverse, the compliance [1/GPa].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.materials import TwoPhase

__all__ = [
    "AXIS_ORDERS",
    "ENGINEERING_NAMES",
    "PROPERTIES",
    "VOIGT_ORDER",
    "EngineeringConstants",
    "HashinShtrikmanBounds",
    "diagonal_properties",
    "directional_young",
    "engineering_constants",
    "hashin_shtrikman_bounds",
    "isotropic_stiffness",
    "lame_parameters",
    "loaded_directions",
    "mandel_to_voigt",
    "mixed_density",
    "properties_from_ratio",
    "reuss_bound",
    "rotate_stiffness",
    "thermal_expansion",
    "universal_anisotropy",
    "unpack_symmetric",
    "voigt_bound",
    "voigt_reuss_ratio",
    "voigt_to_mandel",
]

VOIGT_ORDER = ("xx", "yy", "zz", "yz", "xz", "xy")
PROPERTIES = ("C11", "C22", "C33", "C44", "C55", "C66")
"""Diagonal of the stiffness matrix: the properties that the model is conditioned on."""
AXIS_ORDERS = tuple((*order, *(3 + axis for axis in order)) for order in permutations(range(3)))
"""Indices of `PROPERTIES` under the six permutations of the axes.

A shear is named by the normal of its plane, so that C44, C55, C66 are permuted as C11, C22, C33 are."""

_BULK_PROJECTION = np.pad(np.ones((3, 3)), (0, 3))
_SHEAR_PROJECTION = np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 1.0]) - 2.0 / 3.0 * _BULK_PROJECTION
_SINGULAR = 1e-12
"""Eigenvalue of a stiffness over its largest [-], below which a strain meets no stress."""
_MANDEL = np.sqrt(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))
_PAIRS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def lame_parameters(young: float, poisson: float) -> tuple[float, float]:
    """First Lamé parameter and shear modulus [GPa] of an isotropic material."""
    first = young * poisson / ((1.0 + poisson) * (1.0 - 2.0 * poisson))
    return first, young / (2.0 * (1.0 + poisson))


def isotropic_stiffness(young: float, poisson: float) -> NDArray[np.float64]:
    """Stiffness matrix of an isotropic material, shape (6, 6) [GPa]."""
    first, shear = lame_parameters(young, poisson)
    stiffness = np.diag([2.0 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += first
    return stiffness


def diagonal_properties(stiffness: ArrayLike) -> NDArray[np.float64]:
    """Properties of stiffness matrices in Voigt order: their diagonals, shape (..., 6) [GPa].

    Args:
        stiffness: Shape (..., 6, 6) [GPa].
    """
    return np.diagonal(np.asarray(stiffness), axis1=-2, axis2=-1).astype(np.float64)


def voigt_bound(volume_fraction: ArrayLike, materials: TwoPhase | None = None) -> NDArray[np.float64]:
    """Arithmetic mean of the phase stiffnesses, an upper bound (Voigt 1889).

    Args:
        volume_fraction: Volume fraction of the stiff phase [-], shape (...).
        materials: The two phases.

    Returns:
        Stiffness, shape (..., 6, 6) [GPa].
    """
    stiff, soft = _phase_stiffness(materials)
    f = np.asarray(volume_fraction, dtype=np.float64)[..., None, None]
    return soft + f * (stiff - soft)


def reuss_bound(volume_fraction: ArrayLike, materials: TwoPhase | None = None) -> NDArray[np.float64]:
    """Harmonic mean of the phase stiffnesses, a lower bound (Reuss 1929). Arguments as in `voigt_bound`."""
    f = np.asarray(volume_fraction, dtype=np.float64)
    (bulk_stiff, shear_stiff), (bulk_soft, shear_soft) = _bulk_and_shear(materials)
    bulk = _mean_beside(f, bulk_stiff, bulk_soft, 0.0)[..., None, None]
    shear = _mean_beside(f, shear_stiff, shear_soft, 0.0)[..., None, None]
    return bulk * _BULK_PROJECTION + shear * _SHEAR_PROJECTION


def voigt_reuss_ratio(
    properties: ArrayLike, volume_fraction: ArrayLike, materials: TwoPhase | None = None
) -> NDArray[np.float64]:
    """Position of each property between the bounds: 0 at Reuss, 1 at Voigt (Voigt-Reuss networks, arXiv
    2511.11388).

    Args:
        properties: Diagonal stiffness components in the order of `PROPERTIES` [GPa], shape (..., 6).
        volume_fraction: Volume fraction of the stiff phase [-], shape (...).
        materials: The two phases.

    Returns:
        Normalised properties t = (C_ii - R_ii) / (V_ii - R_ii) [-], shape (..., 6).

    Raises:
        ValueError: A volume has only one phase, where both bounds coincide.
    """
    lower, upper = _diagonal_bounds(volume_fraction, materials)
    if np.any(upper <= lower):
        raise ValueError(
            "expected volume fractions between 0 and 1 (exclusive): the bounds coincide otherwise"
        )
    return (np.asarray(properties, dtype=np.float64) - lower) / (upper - lower)


def properties_from_ratio(
    ratio: ArrayLike, volume_fraction: ArrayLike, materials: TwoPhase | None = None
) -> NDArray[np.float64]:
    """Inverse of `voigt_reuss_ratio`: properties [GPa] from their ratio, shape (..., 6)."""
    lower, upper = _diagonal_bounds(volume_fraction, materials)
    return lower + np.asarray(ratio, dtype=np.float64) * (upper - lower)


@dataclass(frozen=True, kw_only=True, slots=True)
class HashinShtrikmanBounds:
    """Bounds of the bulk and shear modulus of statistically isotropic two-phase materials [GPa]."""

    bulk_lower: NDArray[np.float64]
    bulk_upper: NDArray[np.float64]
    shear_lower: NDArray[np.float64]
    shear_upper: NDArray[np.float64]


def hashin_shtrikman_bounds(
    volume_fraction: ArrayLike, materials: TwoPhase | None = None
) -> HashinShtrikmanBounds:
    """Hashin & Shtrikman 1963 (doi:10.1016/0022-5096(63)90060-7), for phases of any order as in Walpole 1966
    (doi:10.1016/0022-5096(66)90035-4): the tightest bounds that know the volume fraction and isotropy alone.

    Args:
        volume_fraction: Volume fraction of the stiff phase [-], shape (...).
        materials: The two phases.

    Returns:
        Bulk and shear moduli [GPa], each of shape (...).
    """
    f = np.asarray(volume_fraction, dtype=np.float64)
    (bulk_stiff, shear_stiff), (bulk_soft, shear_soft) = _bulk_and_shear(materials)
    bulk, shear = [], []
    for choose in (min, max):
        k, g = choose(bulk_stiff, bulk_soft), choose(shear_stiff, shear_soft)
        bulk.append(_mean_beside(f, bulk_stiff, bulk_soft, 4.0 * g / 3.0))
        beside = g / 6.0 * (9.0 * k + 8.0 * g) / (k + 2.0 * g) if g else 0.0
        shear.append(_mean_beside(f, shear_stiff, shear_soft, beside))
    return HashinShtrikmanBounds(
        bulk_lower=bulk[0], bulk_upper=bulk[1], shear_lower=shear[0], shear_upper=shear[1]
    )


def _mean_beside(f: NDArray[np.float64], stiff: float, soft: float, beside: float) -> NDArray[np.float64]:
    """Harmonic mean of moduli with a comparison modulus `beside` added to both."""
    upper, lower = stiff + beside, soft + beside
    weight = f * lower + (1.0 - f) * upper
    # zero where the comparison modulus is zero and the cell holds nothing but the other phase than the void
    alone = f * upper + (1.0 - f) * lower
    return np.where(weight > 0.0, upper * lower / np.where(weight > 0.0, weight, 1.0), alone) - beside


ENGINEERING_NAMES = (
    *("E_x", "E_y", "E_z", "G_yz", "G_xz", "G_xy"),
    *("nu_xy", "nu_xz", "nu_yx", "nu_yz", "nu_zx", "nu_zy"),
    *("K", "G", "anisotropy"),
)
"""Engineering constants by name: see `EngineeringConstants.by_name`."""

_NO_LOAD = 1e-9
"""Share of a unit stress outside the range of the stiffness, above which it is not carried [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineeringConstants:
    """What a tensile or shear test along the axes of the cell would measure.

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


def loaded_directions(stiffness: ArrayLike) -> NDArray[np.bool_]:
    """Whether a cell carries the stress of each Voigt component, shape (..., 6): whether a unit stress lies
    in the range of the stiffness, shape (..., 6, 6).
    """
    _, _, residual = _compliance(stiffness)
    return residual < _NO_LOAD


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
    compliance = np.einsum("...ik,...k,...jk->...ij", axes, inverse, axes) * np.outer(_MANDEL, _MANDEL)
    return matrix, compliance, (axes**2 * ~carried[..., None, :]).sum(axis=-1)


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


_ALIKE_BULK = 1e-4
"""Relative difference of the bulk moduli [-], below which thermal expansion is the mean of the phases': the
exact relation divides by the difference."""


def thermal_expansion(
    stiffness: ArrayLike, volume_fraction: float, materials: TwoPhase
) -> NDArray[np.float64]:
    """Thermal expansion of a two-phase cell, exact for any geometry (Levin 1967; Rosen & Hashin 1970,
    doi:10.1016/0020-7225(70)90066-2): alpha = alpha0 + (S - S0) : (S1 - S0)^-1 : (alpha1 - alpha0).

    A porous solid expands as the solid does.

    Args:
        stiffness: Effective stiffness, Voigt order, shape (6, 6) [GPa].
        volume_fraction: Volume fraction of the stiff phase [-].
        materials: The two phases, with their thermal expansions (that of a void is not needed).

    Returns:
        Free strain per kelvin, Voigt order with engineering shear, shape (6,) [1e-6/K]; NaN along directions
        that carry no load, whose expansion is not determined.

    Raises:
        InputError: A phase that carries load has no thermal expansion.
    """
    for key, phase in (("stiff", materials.stiff), ("soft", materials.soft)):
        if phase.thermal_expansion is None and not phase.is_void:
            raise InputError(
                f"expected the thermal expansion of the {key} phase {phase.name!r}, which is not given"
            )
    isotropic = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    _, compliance, residual = _compliance(stiffness)
    first, second = materials.stiff.thermal_expansion, materials.soft.thermal_expansion
    if materials.has_void:
        solid = second if materials.stiff.is_void else first
        return np.where(residual < _NO_LOAD, float(solid or 0.0) * isotropic, np.nan)
    first, second = float(first or 0.0), float(second or 0.0)
    (bulk_stiff, _), (bulk_soft, _) = _bulk_and_shear(materials)
    if abs(bulk_stiff - bulk_soft) <= _ALIKE_BULK * bulk_stiff:
        return (second + volume_fraction * (first - second)) * isotropic
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
            raise InputError(f"expected the density of the {key} phase {phase.name!r}, which is not given")
        densities.append(phase.density)
    return float(volume_fraction * densities[0] + (1.0 - volume_fraction) * densities[1])


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
    stress = np.stack([n[..., i] * n[..., j] for i, j in _PAIRS], axis=-1)
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


def voigt_to_mandel(stiffness: ArrayLike) -> NDArray[np.float64]:
    """Stiffness [GPa] in the Mandel basis, shape (..., 6, 6): shear rows and columns times the square root
    of 2, so that norms and products of matrices are those of the tensors (Mandel 1965).
    """
    return np.asarray(stiffness, dtype=np.float64) * np.outer(_MANDEL, _MANDEL)


def mandel_to_voigt(stiffness: ArrayLike) -> NDArray[np.float64]:
    """Inverse of `voigt_to_mandel`: stiffness [GPa] in Voigt notation, shape (..., 6, 6)."""
    return np.asarray(stiffness, dtype=np.float64) / np.outer(_MANDEL, _MANDEL)


def rotate_stiffness(stiffness: ArrayLike, rotation: ArrayLike) -> NDArray[np.float64]:
    """Stiffness of the material turned by R: C'_ijkl = R_ia R_jb R_kc R_ld C_abcd (Mehrabadi & Cowin 1990,
    doi:10.1093/qjmam/43.1.15, whose 6x6 matrix of R is orthogonal in the Mandel basis).

    Args:
        stiffness: Voigt order, shape (..., 6, 6) [GPa].
        rotation: Orthogonal matrix R, shape (3, 3) [-].

    Returns:
        Shape (..., 6, 6) [GPa].

    Raises:
        ValueError: `rotation` is not orthogonal.
    """
    r = np.asarray(rotation, dtype=np.float64)
    if r.shape != (3, 3) or not np.allclose(r @ r.T, np.eye(3), rtol=0.0, atol=1e-9):
        raise ValueError(f"expected an orthogonal matrix of shape (3, 3), got {r.tolist()}")
    turn = np.empty((6, 6))
    for row, (i, j) in enumerate(_PAIRS):
        for column, (a, b) in enumerate(_PAIRS):
            both = (r[i, a] * r[j, b] + r[i, b] * r[j, a]) / 2.0
            turn[row, column] = both * _MANDEL[row] * _MANDEL[column]
    return mandel_to_voigt(turn @ voigt_to_mandel(stiffness) @ turn.T)


def _as_stiffness(stiffness: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(stiffness, dtype=np.float64)
    if matrix.shape[-2:] != (6, 6):
        raise ValueError(f"expected stiffness of shape (..., 6, 6), got shape {matrix.shape}")
    if not (np.isfinite(matrix).all() and np.linalg.eigvalsh(matrix).min(initial=np.inf) > 0.0):
        raise ValueError("expected a positive definite stiffness")
    return matrix


def unpack_symmetric(packed: ArrayLike) -> NDArray:
    """Symmetric matrices, shape (6, 6, ...), from their entries i <= j row by row, shape (21, ...)."""
    entries = np.asarray(packed)
    if entries.ndim == 0 or len(entries) != 21:
        raise ValueError(
            f"expected the 21 entries of a symmetric matrix, shape (21, ...), got {entries.shape}"
        )
    rows, columns = np.triu_indices(6)
    full = np.empty((6, 6, *entries.shape[1:]), dtype=entries.dtype)
    full[rows, columns] = entries
    full[columns, rows] = entries
    return full


def _phase_stiffness(materials: TwoPhase | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = TwoPhase() if materials is None else materials
    return (
        isotropic_stiffness(pair.e_stiff, pair.nu_stiff),
        isotropic_stiffness(pair.e_soft, pair.nu_soft),
    )


def _bulk_and_shear(materials: TwoPhase | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bulk and shear modulus [GPa] of the stiff and of the soft phase."""
    pair = TwoPhase() if materials is None else materials
    stiff, soft = (
        lame_parameters(phase.young_modulus, phase.poisson_ratio) for phase in (pair.stiff, pair.soft)
    )
    return (stiff[0] + 2.0 * stiff[1] / 3.0, stiff[1]), (soft[0] + 2.0 * soft[1] / 3.0, soft[1])


def _diagonal_bounds(
    volume_fraction: ArrayLike, materials: TwoPhase | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lower = diagonal_properties(reuss_bound(volume_fraction, materials))
    upper = diagonal_properties(voigt_bound(volume_fraction, materials))
    return lower, upper
