"""Linear elasticity of two isotropic phases: notation, stiffness, bounds.

Second-order tensors are written in Voigt order (xx, yy, zz, yz, xz, xy) with engineering shear strain,
moduli in GPa. Letters: T properties, `f` volume fraction of the stiff phase [-], `C` stiffness [GPa].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.materials import TwoPhase

__all__ = [
    "AXIS_ORDERS",
    "MANDEL_FACTORS",
    "PROPERTIES",
    "SYMMETRY_ORDERS",
    "VOIGT_ORDER",
    "VOIGT_PAIRS",
    "HashinShtrikmanBounds",
    "bulk_and_shear",
    "diagonal_properties",
    "hashin_shtrikman_bounds",
    "isotropic_stiffness",
    "lame_parameters",
    "mandel_to_voigt",
    "properties_from_ratio",
    "reuss_bound",
    "rotate_stiffness",
    "unpack_symmetric",
    "voigt_bound",
    "voigt_reuss_ratio",
    "voigt_to_mandel",
]

VOIGT_ORDER = ("xx", "yy", "zz", "yz", "xz", "xy")
VOIGT_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Axes of each component in `VOIGT_ORDER`."""
MANDEL_FACTORS = np.sqrt(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))
"""Components of a stress in the Mandel basis over those in Voigt order [-]."""
PROPERTIES = ("C11", "C22", "C33", "C44", "C55", "C66")
"""Diagonal of the stiffness matrix: the properties that the model is conditioned on."""
AXIS_ORDERS = tuple((*order, *(3 + axis for axis in order)) for order in permutations(range(3)))
"""Indices of `PROPERTIES` under the six permutations of the axes.

A shear is named by the normal of its plane, so that C44, C55, C66 are permuted as C11, C22, C33 are."""
SYMMETRY_ORDERS = {
    "none": ((0, 1, 2),),
    "orthotropic": ((0, 1, 2),),
    "tetragonal": ((0, 1, 2), (1, 0, 2)),
    "cubic": tuple(permutations(range(3))),
}
"""Orders of the axes in which a cell of each symmetry is the same; all but "none" have mirrors as well."""

_BULK_PROJECTION = np.pad(np.ones((3, 3)), (0, 3))
_SHEAR_PROJECTION = np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 1.0]) - 2.0 / 3.0 * _BULK_PROJECTION


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


def bulk_and_shear(materials: TwoPhase | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bulk and shear modulus [GPa] of the stiff and of the soft phase."""
    pair = TwoPhase() if materials is None else materials
    stiff, soft = (
        lame_parameters(phase.young_modulus, phase.poisson_ratio) for phase in (pair.stiff, pair.soft)
    )
    return (stiff[0] + 2.0 * stiff[1] / 3.0, stiff[1]), (soft[0] + 2.0 * soft[1] / 3.0, soft[1])


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
    (bulk_stiff, shear_stiff), (bulk_soft, shear_soft) = bulk_and_shear(materials)
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
    (bulk_stiff, shear_stiff), (bulk_soft, shear_soft) = bulk_and_shear(materials)
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


def voigt_to_mandel(stiffness: ArrayLike) -> NDArray[np.float64]:
    """Stiffness [GPa] in the Mandel basis, shape (..., 6, 6): shear rows and columns times the square root
    of 2, so that norms and products of matrices are those of the tensors (Mandel 1965).
    """
    return np.asarray(stiffness, dtype=np.float64) * np.outer(MANDEL_FACTORS, MANDEL_FACTORS)


def mandel_to_voigt(stiffness: ArrayLike) -> NDArray[np.float64]:
    """Inverse of `voigt_to_mandel`: stiffness [GPa] in Voigt notation, shape (..., 6, 6)."""
    return np.asarray(stiffness, dtype=np.float64) / np.outer(MANDEL_FACTORS, MANDEL_FACTORS)


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
    for row, (i, j) in enumerate(VOIGT_PAIRS):
        for column, (a, b) in enumerate(VOIGT_PAIRS):
            symmetrised = (r[i, a] * r[j, b] + r[i, b] * r[j, a]) / 2.0
            turn[row, column] = symmetrised * MANDEL_FACTORS[row] * MANDEL_FACTORS[column]
    return mandel_to_voigt(turn @ voigt_to_mandel(stiffness) @ turn.T)


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


def _diagonal_bounds(
    volume_fraction: ArrayLike, materials: TwoPhase | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lower = diagonal_properties(reuss_bound(volume_fraction, materials))
    upper = diagonal_properties(voigt_bound(volume_fraction, materials))
    return lower, upper
