"""Bounds of the quantities of one cell whose stiffness lies between two matrices.

From L <= C <= U in the Loewner order follows A = U^-1 <= S <= B = L^-1 for the compliance S. Moduli that are
monotone in C, such as C_ii, E_i = 1 / S_ii, G, K and their averages over orientations, lie between their
values at L and at U. An entry beside the diagonal obeys

    |C_ij - (U_ij + L_ij) / 2| <= sqrt(W_ii W_jj) / 2,    W = U - L,

and the same holds for every bilinear form of C or S. For the Poisson ratio nu = -S_ij / S_ii the form
S_ij + t S_ii, which is zero for t = nu, gives the two roots of

    (M_ij + t M_ii)^2 = W_ii (W_jj + 2 t W_ij + t^2 W_ii) / 4,    M = (A + B) / 2,    W = B - A,

as its ends. All these bounds of a single quantity are attained by some matrix between L and U, but for the
averages over orientations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import voigt_to_mandel
from vaereg.materials import TwoPhase
from vaereg.targets.bounds import quantity_bounds
from vaereg.targets.properties import CellProperties
from vaereg.targets.quantities import STIFFNESS_ENTRIES, canonical_name

__all__ = ["quantity_enclosure"]

_SINGULAR = 1e-9
"""Eigenvalue of a bound over the largest of the upper one [-], below which it bounds no compliance: that of a
cell with a void, which may carry no load."""


def quantity_enclosure(
    names: Sequence[str],
    fraction: float,
    materials: TwoPhase,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Least and largest value that each quantity of a cell can have, shape (T, 2), each in its unit.

    Args:
        names: T quantities.
        fraction: Volume fraction of the stiff phase [-].
        materials: The two phases.
        lower: Lower bound of the stiffness in the Loewner order, Voigt order, shape (6, 6) [GPa]; without it
            only the bounds of the phases at this fraction are known.
        upper: Upper bound in the same sense.

    Returns:
        Ends; infinite where there is none.

    Raises:
        InputError: A name is unknown, or a phase lacks a property that a quantity needs.
    """
    names = [canonical_name(name) for name in names]
    enclosure = np.array([_of_phases(name, fraction, materials) for name in names]).reshape(-1, 2)
    if lower is None or upper is None:
        return enclosure
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    cells = CellProperties(
        stiffness=np.stack([low, high]), fraction=np.full(2, float(fraction)), materials=materials
    )
    for place, name in enumerate(names):
        least, most = _between(name, cells)
        enclosure[place] = max(enclosure[place, 0], least), min(enclosure[place, 1], most)
    return enclosure


def _of_phases(name: str, fraction: float, materials: TwoPhase) -> tuple[float, float]:
    bounds = quantity_bounds(name, np.array([fraction]), materials)
    return float(bounds.low[0]), float(bounds.high[0])


def _between(name: str, cells: CellProperties) -> tuple[float, float]:
    """Ends of one quantity; infinite for those that no stiffness bounds alone."""
    low, high = cells.stiffness
    kind, _, suffix = name.rpartition("_")
    if name in STIFFNESS_ENTRIES:
        i, j = int(name[1]) - 1, int(name[2]) - 1
        if i != j:
            middle, half = 0.5 * (low + high)[i, j], 0.5 * _width(high - low, i, j)
            return float(middle - half), float(middle + half)
    elif kind == "nu":
        return _poisson(low, high, "xyz".index(suffix[0]), "xyz".index(suffix[1]))
    elif name == "nu":
        (bulk, shear), (larger_bulk, larger_shear) = cells.values(["K", "G"])
        return _mean_poisson(bulk, larger_shear), _mean_poisson(larger_bulk, shear)
    elif not (name in ("E", "G", "K") or kind in ("E", "G") or name.startswith("specific_")):
        return -np.inf, np.inf
    ends = cells.values([name])[:, 0]
    return (float(ends[0]), float(ends[1])) if np.isfinite(ends).all() else (-np.inf, np.inf)


def _width(width: NDArray[np.float64], i: int, j: int) -> float:
    return float(np.sqrt(max(width[i, i], 0.0) * max(width[j, j], 0.0)))


def _mean_poisson(bulk: float, shear: float) -> float:
    """Poisson ratio of an isotropic material."""
    return float((3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear)) if bulk + shear > 0.0 else np.nan


def _poisson(low: NDArray[np.float64], high: NDArray[np.float64], i: int, j: int) -> tuple[float, float]:
    """Ends of -S_ij / S_ii; see the module."""
    least, largest = (np.linalg.eigvalsh(voigt_to_mandel(matrix)) for matrix in (low, high))
    if least[0] <= _SINGULAR * largest[-1]:
        return -np.inf, np.inf
    # of a compliance, the same factors lead from Mandel to Voigt
    stiff, soft = (voigt_to_mandel(np.linalg.inv(voigt_to_mandel(matrix))) for matrix in (high, low))
    middle, width = 0.5 * (stiff + soft), soft - stiff
    square = middle[i, i] ** 2 - 0.25 * width[i, i] ** 2
    linear = middle[i, j] * middle[i, i] - 0.25 * width[i, i] * width[i, j]
    constant = middle[i, j] ** 2 - 0.25 * width[i, i] * width[j, j]
    root = np.sqrt(max(linear**2 - square * constant, 0.0))
    return float((-linear - root) / square), float((-linear + root) / square)
