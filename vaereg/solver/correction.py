"""Correction of the preconditioner where the stiff phase is, beside its shear modulus, stiffer in bulk.

The reference medium of a full solve has the softer phase's ratio of bulk to shear modulus. In a stiff phase
with a larger one, the operator is that of a proportional medium plus a volumetric stiffness c K0, with

    c = (K / G) / (K0 / G0) - 1,    x = K0 / (K0 + 4/3 G0),

where x is the largest share of volumetric energy in the reference medium, that of gradients of a potential.
For these the preconditioned operator is 1 + c x times what it is for isochoric strains: 4.1 times for Poisson
ratios of 0.45 and 0.2. To first order (Neumann's series of the inverse), the inverse G of the homogeneous
operator becomes

    G - G Q G,    Q = c K0 / (1 + c x) in the stiff phase,

with the secant of 1 / (1 + c x) from no volumetric energy to the largest share in place of the tangent: of
4.1, 1.6 is left. G Q has no eigenvalue above c x / (1 + c x), so that the preconditioner is symmetric and
positive for any cell, as conjugate gradients ask for. Motions that leave every stiff body rigid keep the one
eigenvalue that they have without correction.

In B-bar elements Q acts on the mean dilatation alone, and one scalar field is transformed for it. With full
integration it is an element operator, and G is applied twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_EDGE", "LEAST_SPREAD", "BulkCorrection", "bulk_correction"]

LEAST_SPREAD = 4.0
"""Spread 1 + c x [-] from which the correction is used: at 19 (Poisson ratios 0.49 and 0.2, B-bar) it takes
half of the iterations and three quarters of the time, at 4.1 (0.45 and 0.2) 0.6 of the iterations and a tenth
to a fifth more time; below that it costs more still."""
LEAST_EDGE = 32
"""Edge of a cube [voxel] from which on it is used: small cells are solved as soon without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkCorrection:
    """The volumetric stiffness Q that is taken off the preconditioner of a cell."""

    law: NDArray[np.float32]
    """Q of each voxel, shape (X, Y, Z)."""
    rows: NDArray[np.float32]
    """-Q / 16, twice for each voxel, as the element operator takes it, shape (X, Y, 2 Z)."""
    no_shear: NDArray[np.float32]
    """Zeros beside them: Q has no shear modulus."""


def bulk_correction(
    first: NDArray[np.float64], shear: NDArray[np.float64], reference: tuple[float, float]
) -> BulkCorrection | None:
    """Correction for a cube of voxels that are cubes, or None where there is none.

    Args:
        first: First Lamé parameter of each voxel, shape (X, Y, Z).
        shear: Shear modulus of each voxel.
        reference: Both of the reference medium.
    """
    first0, shear0 = reference
    bulk = first0 + 2.0 * shear0 / 3.0
    share = bulk / (bulk + 4.0 * shear0 / 3.0)
    if len(first) < LEAST_EDGE or not shear.min() > 0.0:
        return None
    excess = np.maximum((first / shear + 2.0 / 3.0) * (shear0 / bulk) - 1.0, 0.0)
    if 1.0 + share * float(excess.max()) < LEAST_SPREAD:
        return None
    law = (bulk * excess / (1.0 + share * excess)).astype(np.float32)
    rows = np.repeat(law / np.float32(-16.0), 2, axis=2)
    return BulkCorrection(law=law, rows=rows, no_shear=np.zeros_like(rows))
