"""Green operator of the preconditioner: the inverse of the homogeneous finite element operator."""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["green_operator"]


def green_operator(
    shape: tuple[int, ...],
    first: float,
    shear: float,
    *,
    edges: tuple[float, float, float] = (1.0, 1.0, 1.0),
    bbar: bool = False,
) -> NDArray[np.float64]:
    """Inverse of the homogeneous finite element operator per Fourier mode.

    Args:
        shape: Voxels (X, Y, Z).
        first: First Lamé parameter of the homogeneous medium [GPa].
        shear: Its shear modulus [GPa].
        edges: Edges h of a voxel; displacements are taken times these, forces over these.
        bbar: Elements with mean dilatation in place of full integration.

    Returns:
        Independent entries (xx, yy, zz, yz, xz, xy) of the symmetric blocks, shape (6, X, Y, Z) [1/GPa];
        zero at the mode of rigid translation.
    """
    half = [np.pi * np.arange(n) / n for n in shape]
    sines, cosines = (tuple(2.0 * wave(angle) for angle in half) for wave in (np.sin, np.cos))
    first, shear = first / 16.0, shear / 16.0
    moduli = (first, shear, -2.0 / 3.0 * shear if bbar else first)
    x, y, z = shape
    out = np.empty((6, x, y, z))
    _inverse(sines, cosines, moduli, tuple(1.0 / edge**2 for edge in edges), out)
    return out


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _inverse(sines, cosines, moduli, gradients, out):  # noqa: ANN001, ANN202
    """Inverse of the 3x3 block of every Fourier mode; zero at the first mode.

    Args:
        sines: Twice the sines of half the angles of the modes along x, y, z.
        cosines: Twice their cosines.
        moduli: Lamé parameters / 16, and the first one / 16 of the monomials other than 1.
        gradients: g_x, g_y, g_z.
        out: Entries (xx, yy, zz, yz, xz, xy), shape (6, X, Y, Z).
    """
    (sin_x, sin_y, sin_z), (cos_x, cos_y, cos_z) = sines, cosines
    first, shear, high = moduli
    gx, gy, gz = gradients
    normal, mixed, high_mixed = high + 2.0 * shear, first + shear, (high + shear) / 3.0
    along = first + 2.0 * shear
    for i in range(sin_x.size):
        sx, cx = sin_x[i], cos_x[i]
        for j in range(sin_y.size):
            sy, cy = sin_y[j], cos_y[j]
            for k in range(sin_z.size):
                sz, cz = sin_z[k], cos_z[k]
                # corner sums of exp(i k x) for each monomial, up to a phase that cancels
                px, py, pz = sx * cy * cz, cx * sy * cz, cx * cy * sz
                pyz, pxz, pxy = cx * sy * sz, sx * cy * sz, sx * sy * cz
                x2, y2, z2 = px * px, py * py, pz * pz
                yz2, xz2, xy2 = pyz * pyz, pxz * pxz, pxy * pxy
                xyz2 = (sx * sy * sz) ** 2
                kxx = gx * (along * gx * x2 + shear * (gy * y2 + gz * z2))
                kyy = gy * (along * gy * y2 + shear * (gx * x2 + gz * z2))
                kzz = gz * (along * gz * z2 + shear * (gx * x2 + gy * y2))
                kxx += gx * (normal * gx * (xy2 + xz2) + shear * (gy * xy2 + gz * xz2)) / 3.0
                kyy += gy * (normal * gy * (xy2 + yz2) + shear * (gx * xy2 + gz * yz2)) / 3.0
                kzz += gz * (normal * gz * (xz2 + yz2) + shear * (gx * xz2 + gy * yz2)) / 3.0
                kxx += shear * gx * (gy + gz) * (yz2 / 3.0 + xyz2 / 9.0) + normal * gx * gx * xyz2 / 9.0
                kyy += shear * gy * (gx + gz) * (xz2 / 3.0 + xyz2 / 9.0) + normal * gy * gy * xyz2 / 9.0
                kzz += shear * gz * (gx + gy) * (xy2 / 3.0 + xyz2 / 9.0) + normal * gz * gz * xyz2 / 9.0
                kyz = gy * gz * (mixed * py * pz + high_mixed * pxy * pxz)
                kxz = gx * gz * (mixed * px * pz + high_mixed * pxy * pyz)
                kxy = gx * gy * (mixed * px * py + high_mixed * pxz * pyz)
                a, b, c = kyy * kzz - kyz * kyz, kxx * kzz - kxz * kxz, kxx * kyy - kxy * kxy
                d, e, f = kxy * kxz - kxx * kyz, kxy * kyz - kyy * kxz, kxz * kyz - kzz * kxy
                if i + j + k == 0:
                    factor = 0.0
                else:
                    factor = 1.0 / (kxx * a + kxy * f + kxz * e)
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = factor * a, factor * b, factor * c
                out[3, i, j, k], out[4, i, j, k], out[5, i, j, k] = factor * d, factor * e, factor * f
