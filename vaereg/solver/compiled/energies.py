"""Compiled element energies, the sensitivities of the stiffness, on packed fields as in `kernels`."""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit

__all__ = ["element_energies", "strain_energies"]

_BLOCK = 64
"""Real numbers of a row treated at once; a constant, so that the compiler can vectorise over scratch rows."""


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def element_energies(u0, u1, u2, first, shear, constants, out):  # noqa: ANN001, ANN201
    """Energies between all load cases per element, for one Lamé pair: the sensitivities of the stiffness.

    Args:
        u0, u1, u2: Packed displacements of load cases (0, 1), (2, 3), (4, 5), shape (3, X, Y, 2 Z).
        first, shear: Lamé constants / 16 of the law whose energy is taken.
        constants: As in `apply_stiffness`.
        out: Entries (i, j), i <= j, row by row, shape (21, X, Y, Z).
    """
    nx, ny, nz = u0.shape[1], u0.shape[2], u0.shape[3] // 2
    half = _BLOCK // 2
    sums = np.empty((12, _BLOCK + 2), u0.dtype)
    # 22 strains of each load case, in which the energy is diagonal, and their moduli
    strain = np.empty((6, 22, half), u0.dtype)
    stress = np.empty((22, half), u0.dtype)
    modulus = np.empty(22, u0.dtype)
    gx, gy, gz = constants[2], constants[3], constants[4]
    gyz, gxz, gxy = gy * gz, gx * gz, gx * gy
    byz, bxz, bxy = np.sqrt(gyz), np.sqrt(gxz), np.sqrt(gxy)
    high = constants[5] * first + constants[6] * shear
    modulus[0], modulus[1:4], modulus[4:7] = first, 2 * shear, shear
    modulus[7:10], modulus[16:19] = high / 3, shear / 3
    modulus[10], modulus[11] = shear * gx * (2 * gx + gy) / 3, shear * gx * (2 * gx + gz) / 3
    modulus[12], modulus[13] = shear * gy * (2 * gy + gx) / 3, shear * gy * (2 * gy + gz) / 3
    modulus[14], modulus[15] = shear * gz * (2 * gz + gx) / 3, shear * gz * (2 * gz + gy) / 3
    modulus[19] = ((high + 2 * shear) * gx * gx + shear * (gxy + gxz)) / 9
    modulus[20] = ((high + 2 * shear) * gy * gy + shear * (gxy + gyz)) / 9
    modulus[21] = ((high + 2 * shear) * gz * gz + shear * (gxz + gyz)) / 9
    for x in range(nx):
        x1 = x + 1 if x + 1 < nx else 0
        for y in range(ny):
            y1 = y + 1 if y + 1 < ny else 0
            for begin in range(0, nz, half):
                size = min(half, nz - begin)
                for pair in range(3):
                    u = u0 if pair == 0 else (u1 if pair == 1 else u2)
                    for i in range(3):
                        for k in range(2 * size + 2):
                            w = 2 * begin + k
                            if w >= 2 * nz:
                                w -= 2 * nz
                            low, high = u[i, x, y, w] + u[i, x1, y, w], u[i, x, y1, w] + u[i, x1, y1, w]
                            dlow, dhigh = u[i, x1, y, w] - u[i, x, y, w], u[i, x1, y1, w] - u[i, x, y1, w]
                            sums[4 * i, k] = low + high
                            sums[4 * i + 1, k] = dlow + dhigh
                            sums[4 * i + 2, k] = high - low
                            sums[4 * i + 3, k] = dhigh - dlow
                    for part in range(2):
                        load = 2 * pair + part
                        e = strain[load]
                        for n in range(size):
                            k = 2 * n + part
                            ux, uy = sums[1, k + 2] + sums[1, k], sums[2, k + 2] + sums[2, k]
                            uz = sums[0, k + 2] - sums[0, k]
                            vx, vy = sums[5, k + 2] + sums[5, k], sums[6, k + 2] + sums[6, k]
                            vz = sums[4, k + 2] - sums[4, k]
                            wx, wy = sums[9, k + 2] + sums[9, k], sums[10, k + 2] + sums[10, k]
                            wz = sums[8, k + 2] - sums[8, k]
                            e[1, n], e[2, n], e[3, n] = gx * ux, gy * vy, gz * wz
                            e[4, n], e[5, n], e[6, n] = byz * (vz + wy), bxz * (uz + wx), bxy * (uy + vx)
                        for n in range(size):
                            k = 2 * n + part
                            uxy, uxz = sums[3, k + 2] + sums[3, k], sums[1, k + 2] - sums[1, k]
                            uyz, uxyz = sums[2, k + 2] - sums[2, k], sums[3, k + 2] - sums[3, k]
                            vxy, vxz = sums[7, k + 2] + sums[7, k], sums[5, k + 2] - sums[5, k]
                            vyz, vxyz = sums[6, k + 2] - sums[6, k], sums[7, k + 2] - sums[7, k]
                            wxy, wxz = sums[11, k + 2] + sums[11, k], sums[9, k + 2] - sums[9, k]
                            wyz, wxyz = sums[10, k + 2] - sums[10, k], sums[11, k + 2] - sums[11, k]
                            e[7, n], e[8, n] = gy * vxy + gz * wxz, gx * uxy + gz * wyz
                            e[9, n] = gx * uxz + gy * vyz
                            e[10, n], e[11, n], e[12, n] = uxy, uxz, vxy
                            e[13, n], e[14, n], e[15, n] = vyz, wxz, wyz
                            e[16, n], e[17, n] = byz * (vxz + wxy), bxz * (uyz + wxy)
                            e[18, n] = bxy * (uyz + vxz)
                            e[19, n], e[20, n], e[21, n] = uxyz, vxyz, wxyz
                        # the macroscopic unit strain, in units of s_m
                        for n in range(size):
                            e[load + 1, n] += 4
                        for n in range(size):
                            e[0, n] = e[1, n] + e[2, n] + e[3, n]
                entry = 0
                for i in range(6):
                    for c in range(22):
                        for n in range(half):
                            stress[c, n] = modulus[c] * strain[i, c, n]
                    for j in range(i, 6):
                        e, row = strain[j], out[entry, x, y, begin:]
                        for n in range(size):
                            row[n] = (
                                stress[0, n] * e[0, n]
                                + stress[1, n] * e[1, n]
                                + stress[2, n] * e[2, n]
                                + stress[3, n] * e[3, n]
                                + stress[4, n] * e[4, n]
                                + stress[5, n] * e[5, n]
                                + stress[6, n] * e[6, n]
                                + stress[7, n] * e[7, n]
                                + stress[8, n] * e[8, n]
                                + stress[9, n] * e[9, n]
                                + stress[10, n] * e[10, n]
                            )
                        for n in range(size):
                            row[n] += (
                                stress[11, n] * e[11, n]
                                + stress[12, n] * e[12, n]
                                + stress[13, n] * e[13, n]
                                + stress[14, n] * e[14, n]
                                + stress[15, n] * e[15, n]
                                + stress[16, n] * e[16, n]
                                + stress[17, n] * e[17, n]
                                + stress[18, n] * e[18, n]
                                + stress[19, n] * e[19, n]
                                + stress[20, n] * e[20, n]
                                + stress[21, n] * e[21, n]
                            )
                        entry += 1


def strain_energies(u0, u1, u2, strain, first, shear, constants):  # noqa: ANN001, ANN201
    """Energies of each element under one macroscopic strain, those of `element_energies` times its entries,
    shape (X, Y, Z); one strain costs a twentieth of all pairs of load cases.

    Args:
        u0, u1, u2: As in `element_energies`, and so are `first`, `shear` and `constants`.
        strain: Macroscopic strain, Voigt order with engineering shear, shape (6,).
    """
    weights = strain.astype(u0.dtype)
    shape = (*u0.shape[:3], u0.shape[3] // 2)
    displacement, out = np.empty(shape, u0.dtype), np.empty(shape[1:], u0.dtype)
    _superpose(u0.ravel(), u1.ravel(), u2.ravel(), weights, displacement.ravel())
    _energies_under(displacement, weights, u0.dtype.type(first), u0.dtype.type(shear), constants, out)
    return out


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _superpose(u0, u1, u2, weights, out):  # noqa: ANN001, ANN202
    """Weighted sum of six load cases, of packed displacements seen as vectors."""
    a, b, c, d, e, f = weights
    for k in range(out.size):
        first, second, third = u0[2 * k], u0[2 * k + 1], u1[2 * k]
        out[k] = a * first + b * second + c * third + d * u1[2 * k + 1] + e * u2[2 * k] + f * u2[2 * k + 1]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _energies_under(u, strain, first, shear, constants, out):  # noqa: ANN001, ANN202
    """Energies of the elements under a macroscopic strain and a displacement of shape (3, X, Y, Z)."""
    _, nx, ny, nz = u.shape
    gx, gy, gz = constants[2], constants[3], constants[4]
    byz, bxz, bxy = np.sqrt(gy * gz), np.sqrt(gx * gz), np.sqrt(gx * gy)
    high = constants[5] * first + constants[6] * shear
    normal = high + 2 * shear
    exx, eyy, ezz, eyz, exz, exy = 4 * strain
    sums = np.empty((12, nz + 1), u.dtype)
    for x in range(nx):
        x1 = x + 1 if x + 1 < nx else 0
        for y in range(ny):
            y1 = y + 1 if y + 1 < ny else 0
            for i in range(3):
                a, b, c, d = u[i, x, y], u[i, x1, y], u[i, x, y1], u[i, x1, y1]
                for k in range(nz):
                    low, high_side, dlow, dhigh = a[k] + b[k], c[k] + d[k], b[k] - a[k], d[k] - c[k]
                    sums[4 * i, k] = low + high_side
                    sums[4 * i + 1, k] = dlow + dhigh
                    sums[4 * i + 2, k] = high_side - low
                    sums[4 * i + 3, k] = dhigh - dlow
            sums[:, nz] = sums[:, 0]
            row = out[x, y]
            for k in range(nz):
                ux, uy = sums[1, k + 1] + sums[1, k], sums[2, k + 1] + sums[2, k]
                vx, vy = sums[5, k + 1] + sums[5, k], sums[6, k + 1] + sums[6, k]
                wx, wy = sums[9, k + 1] + sums[9, k], sums[10, k + 1] + sums[10, k]
                uz, vz = sums[0, k + 1] - sums[0, k], sums[4, k + 1] - sums[4, k]
                wz = sums[8, k + 1] - sums[8, k]
                xx, yy, zz = gx * ux + exx, gy * vy + eyy, gz * wz + ezz
                yz, xz, xy = byz * (vz + wy) + eyz, bxz * (uz + wx) + exz, bxy * (uy + vx) + exy
                trace = xx + yy + zz
                energy = 2 * (xx * xx + yy * yy + zz * zz) + yz * yz + xz * xz + xy * xy
                row[k] = first * trace * trace + shear * energy
            for k in range(nz):
                uxy, uxz = sums[3, k + 1] + sums[3, k], sums[1, k + 1] - sums[1, k]
                uyz, uxyz = sums[2, k + 1] - sums[2, k], sums[3, k + 1] - sums[3, k]
                vxy, vxz = sums[7, k + 1] + sums[7, k], sums[5, k + 1] - sums[5, k]
                vyz, vxyz = sums[6, k + 1] - sums[6, k], sums[7, k + 1] - sums[7, k]
                wxy, wxz = sums[11, k + 1] + sums[11, k], sums[9, k + 1] - sums[9, k]
                wyz, wxyz = sums[10, k + 1] - sums[10, k], sums[11, k + 1] - sums[11, k]
                in_x, in_y, in_z = gy * vxy + gz * wxz, gx * uxy + gz * wyz, gx * uxz + gy * vyz
                bend = high * (in_x * in_x + in_y * in_y + in_z * in_z)
                turn_x, turn_y, turn_z = byz * (vxz + wxy), bxz * (uyz + wxy), bxy * (uyz + vxz)
                bend += shear * (turn_x * turn_x + turn_y * turn_y + turn_z * turn_z)
                bend += shear * gx * ((2 * gx + gy) * uxy * uxy + (2 * gx + gz) * uxz * uxz)
                bend += shear * gy * ((2 * gy + gz) * vyz * vyz + (2 * gy + gx) * vxy * vxy)
                bend += shear * gz * ((2 * gz + gx) * wxz * wxz + (2 * gz + gy) * wyz * wyz)
                twist = (normal * gx * gx + shear * gx * (gy + gz)) * uxyz * uxyz
                twist += (normal * gy * gy + shear * gy * (gx + gz)) * vxyz * vxyz
                twist += (normal * gz * gz + shear * gz * (gx + gy)) * wxyz * wxyz
                row[k] += bend / 3 + twist / 9
