"""Compiled kernels of the homogenization solver: element operator, element energies, preconditioner.

A packed field holds two load cases as the real and the imaginary part of complex numbers. Seen as real
numbers it has shape (3, X, Y, 2 Z), or (n,) where only sums over all entries matter; even entries belong to
the first load case, odd ones to the second.

In the basis of corner sums and differences ("Hadamard": 1, xi, eta, zeta, xi eta, ...) the monomials of the
strain are orthogonal under the 2x2x2 rule, so the 24x24 element matrix falls apart into a few isotropic 3x3
laws, weighted 1, 1/3 and 1/9. Writing s_m for the sums of corner values with the signs of monomial m, the
coefficient of the displacement gradient is s_m / 4; both factors 1/4 of the quadratic form are folded into
the Lamé constants. In the code `uxy` is s_m of the displacement u with the signs of xi eta, and so on.

Boxes with edges h_x, h_y, h_z need no other element: with displacements u_i h_i in place of u_i, the normal
strains are those of a unit cube times g_i = 1 / h_i^2 and the shears those times 1 / (h_i h_j), so that only
constants of the law change. B-bar elements (mean dilatation, Hughes 1980, doi:10.1002/nme.1620150914) take
the volume change from the monomial 1 alone: for all others the first Lamé parameter is -2/3 of the shear
modulus.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.solver.compiled.threads import parts_of, share

__all__ = [
    "apply_green",
    "apply_stiffness",
    "element_constants",
    "element_energies",
]

_BLOCK = 64
"""Real numbers of a row treated at once; a constant, so that the compiler can vectorise over scratch rows."""


def _stiffness_operator(general: bool):  # noqa: ANN202
    """Compile the element operator for cubes and full integration, or for the general case.

    The branches on `general` are settled when the kernel is compiled.
    """

    @njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
    def apply(u, first, shear, constants, out, begin_x, end_x):  # noqa: ANN001, ANN202
        nx, ny, row = u.shape[1], u.shape[2], u.shape[3]
        third, ninth, gx, gy, gz = constants[0], constants[1], constants[2], constants[3], constants[4]
        keep, shift = constants[5], constants[6]
        sums = np.empty(
            (12, _BLOCK + 2), u.dtype
        )  # component x (1, xi, eta, xi eta), before the step along z
        near = np.empty((12, _BLOCK), u.dtype)  # forces on the nodes at z ...
        far = np.empty((12, _BLOCK), u.dtype)  # ... and at z + 1
        gyz, gxz, gxy = gy * gz, gx * gz, gx * gy
        cxy, cxz, cyx = gx * (gx + gx + gy), gx * (gx + gx + gz), gy * (gy + gy + gx)
        cyz, czx, czy = gy * (gy + gy + gz), gz * (gz + gz + gx), gz * (gz + gz + gy)
        for x in range(begin_x, end_x):
            x1 = x + 1 if x + 1 < nx else 0
            for y in range(ny):
                y1 = y + 1 if y + 1 < ny else 0
                for begin in range(0, row, _BLOCK):
                    size = min(_BLOCK, row - begin)
                    inner = min(size + 2, row - begin)
                    for i in range(3):
                        a, b = u[i, x, y, begin:], u[i, x1, y, begin:]
                        c, d = u[i, x, y1, begin:], u[i, x1, y1, begin:]
                        for k in range(inner):
                            low, high = a[k] + b[k], c[k] + d[k]
                            dlow, dhigh = b[k] - a[k], d[k] - c[k]
                            sums[4 * i, k] = low + high
                            sums[4 * i + 1, k] = dlow + dhigh
                            sums[4 * i + 2, k] = high - low
                            sums[4 * i + 3, k] = dhigh - dlow
                        for k in range(inner, size + 2):  # periodic continuation along z
                            w = begin + k - row
                            low, high = u[i, x, y, w] + u[i, x1, y, w], u[i, x, y1, w] + u[i, x1, y1, w]
                            dlow, dhigh = u[i, x1, y, w] - u[i, x, y, w], u[i, x1, y1, w] - u[i, x, y1, w]
                            sums[4 * i, k] = low + high
                            sums[4 * i + 1, k] = dlow + dhigh
                            sums[4 * i + 2, k] = high - low
                            sums[4 * i + 3, k] = dhigh - dlow
                    lam, mu = first[x, y, begin:], shear[x, y, begin:]
                    for k in range(size):
                        la, m = lam[k], mu[k]
                        # corner sums with the signs of each monomial
                        uz, vz, wz = (
                            sums[0, k + 2] - sums[0, k],
                            sums[4, k + 2] - sums[4, k],
                            sums[8, k + 2] - sums[8, k],
                        )
                        ux, vx, wx = (
                            sums[1, k + 2] + sums[1, k],
                            sums[5, k + 2] + sums[5, k],
                            sums[9, k + 2] + sums[9, k],
                        )
                        uxz, vxz, wxz = (
                            sums[1, k + 2] - sums[1, k],
                            sums[5, k + 2] - sums[5, k],
                            sums[9, k + 2] - sums[9, k],
                        )
                        uy, vy, wy = (
                            sums[2, k + 2] + sums[2, k],
                            sums[6, k + 2] + sums[6, k],
                            sums[10, k + 2] + sums[10, k],
                        )
                        uyz, vyz, wyz = (
                            sums[2, k + 2] - sums[2, k],
                            sums[6, k + 2] - sums[6, k],
                            sums[10, k + 2] - sums[10, k],
                        )
                        uxy, vxy, wxy = (
                            sums[3, k + 2] + sums[3, k],
                            sums[7, k + 2] + sums[7, k],
                            sums[11, k + 2] + sums[11, k],
                        )
                        uxyz, vxyz, wxyz = (
                            sums[3, k + 2] - sums[3, k],
                            sums[7, k + 2] - sums[7, k],
                            sums[11, k + 2] - sums[11, k],
                        )
                        m2 = m + m
                        m3 = m * third
                        m32 = m3 + m3
                        if general:
                            # monomial 1
                            trace = la * (gx * ux + gy * vy + gz * wz)
                            sxx, syy = gx * (trace + m2 * gx * ux), gy * (trace + m2 * gy * vy)
                            szz = gz * (trace + m2 * gz * wz)
                            syz, sxz, sxy = gyz * m * (vz + wy), gxz * m * (uz + wx), gxy * m * (uy + vx)
                            # monomials xi, eta, zeta
                            lah = keep * la + shift * m
                            la3 = lah * third
                            tx, ty = la3 * (gy * vxy + gz * wxz), la3 * (gx * uxy + gz * wyz)
                            tz = la3 * (gx * uxz + gy * vyz)
                            yz, xz = gyz * m3 * (vxz + wxy), gxz * m3 * (uyz + wxy)
                            xy = gxy * m3 * (uyz + vxz)
                            fuxy, fvxy = (m3 * cxy * uxy + gx * ty), (m3 * cyx * vxy + gy * tx)
                            fuxz, fwxz = (m3 * cxz * uxz + gx * tz), (m3 * czx * wxz + gz * tx)
                            fvyz, fwyz = (m3 * cyz * vyz + gy * tz), (m3 * czy * wyz + gz * ty)
                            fwxy, fvxz, fuyz = yz + xz, yz + xy, xz + xy
                            # monomials eta zeta, xi zeta, xi eta
                            normal = lah + m2
                            fuxyz = ninth * (normal * gx * gx + m * (gxy + gxz)) * uxyz
                            fvxyz = ninth * (normal * gy * gy + m * (gxy + gyz)) * vxyz
                            fwxyz = ninth * (normal * gz * gz + m * (gxz + gyz)) * wxyz
                        else:
                            # monomial 1
                            trace = la * (ux + vy + wz)
                            sxx, syy, szz = trace + m2 * ux, trace + m2 * vy, trace + m2 * wz
                            syz, sxz, sxy = m * (vz + wy), m * (uz + wx), m * (uy + vx)
                            # monomials xi, eta, zeta
                            la3 = la * third
                            tx, ty, tz = la3 * (vxy + wxz), la3 * (uxy + wyz), la3 * (uxz + vyz)
                            yz, xz, xy = m3 * (vxz + wxy), m3 * (uyz + wxy), m3 * (uyz + vxz)
                            fuxy, fvxy, fwxy = m3 * uxy + ty + m32 * uxy, m3 * vxy + tx + m32 * vxy, yz + xz
                            fuxz, fvxz, fwxz = m3 * uxz + tz + m32 * uxz, yz + xy, m3 * wxz + tx + m32 * wxz
                            fuyz, fvyz, fwyz = xz + xy, m3 * vyz + tz + m32 * vyz, m3 * wyz + ty + m32 * wyz
                            # monomials eta zeta, xi zeta, xi eta
                            t = ninth * (la + m2 + m2)
                            fuxyz, fvxyz, fwxyz = t * uxyz, t * vxyz, t * wxyz
                        # back to sums over x and y: force at z + 1 is even + odd part, at z their difference
                        near[0, k], far[0, k] = -sxz, sxz
                        near[1, k], far[1, k] = sxx - fuxz, sxx + fuxz
                        near[2, k], far[2, k] = sxy - fuyz, sxy + fuyz
                        near[3, k], far[3, k] = fuxy - fuxyz, fuxy + fuxyz
                        near[4, k], far[4, k] = -syz, syz
                        near[5, k], far[5, k] = sxy - fvxz, sxy + fvxz
                        near[6, k], far[6, k] = syy - fvyz, syy + fvyz
                        near[7, k], far[7, k] = fvxy - fvxyz, fvxy + fvxyz
                        near[8, k], far[8, k] = -szz, szz
                        near[9, k], far[9, k] = sxz - fwxz, sxz + fwxz
                        near[10, k], far[10, k] = syz - fwyz, syz + fwyz
                        near[11, k], far[11, k] = fwxy - fwxyz, fwxy + fwxyz
                    ahead = inner - 2
                    for i in range(3):
                        j = 4 * i
                        a, b = out[i, x, y, begin:], out[i, x1, y, begin:]
                        c, d = out[i, x, y1, begin:], out[i, x1, y1, begin:]
                        for k in range(size):
                            a[k] += near[j, k] - near[j + 1, k] - near[j + 2, k] + near[j + 3, k]
                        for k in range(size):
                            b[k] += near[j, k] + near[j + 1, k] - near[j + 2, k] - near[j + 3, k]
                        for k in range(size):
                            c[k] += near[j, k] - near[j + 1, k] + near[j + 2, k] - near[j + 3, k]
                        for k in range(size):
                            d[k] += near[j, k] + near[j + 1, k] + near[j + 2, k] + near[j + 3, k]
                        for k in range(ahead):
                            a[k + 2] += far[j, k] - far[j + 1, k] - far[j + 2, k] + far[j + 3, k]
                        for k in range(ahead):
                            b[k + 2] += far[j, k] + far[j + 1, k] - far[j + 2, k] - far[j + 3, k]
                        for k in range(ahead):
                            c[k + 2] += far[j, k] - far[j + 1, k] + far[j + 2, k] - far[j + 3, k]
                        for k in range(ahead):
                            d[k + 2] += far[j, k] + far[j + 1, k] + far[j + 2, k] + far[j + 3, k]
                        for k in range(ahead, size):
                            w = begin + k + 2 - row
                            out[i, x, y, w] += far[j, k] - far[j + 1, k] - far[j + 2, k] + far[j + 3, k]
                            out[i, x1, y, w] += far[j, k] + far[j + 1, k] - far[j + 2, k] - far[j + 3, k]
                            out[i, x, y1, w] += far[j, k] - far[j + 1, k] + far[j + 2, k] - far[j + 3, k]
                            out[i, x1, y1, w] += far[j, k] + far[j + 1, k] + far[j + 2, k] + far[j + 3, k]

    return apply


_apply_to_cubes = _stiffness_operator(general=False)
_apply_in_general = _stiffness_operator(general=True)


def apply_stiffness(
    u: NDArray, first: NDArray, shear: NDArray, constants: NDArray, general: bool, out: NDArray
) -> None:
    """out = K u, fields of shape (3, X, Y, 2 Z); `first`, `shear` (X, Y, 2 Z): Lamé fields / 16.

    `constants` are those of `element_constants`; without `general` they are taken to be those of a cube with
    full integration.
    """
    kernel = _apply_in_general if general else _apply_to_cubes
    parts = parts_of(u.size, u.shape[1])

    def apply_inside(begin: int, end: int) -> None:
        out[:, begin:end] = 0
        kernel(u, first, shear, constants, out, begin, end - 1)

    share(apply_inside, parts)
    # an element at the end of a part adds to the first nodes of the next one as well
    share(lambda begin, end: kernel(u, first, shear, constants, out, end - 1, end), parts)


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


def element_constants(edges: tuple[float, float, float], bbar: bool, dtype: np.dtype) -> NDArray:
    """Weights of the monomials, g_x, g_y, g_z, and (p, q) of the first Lamé parameter p first + q shear that
    the monomials other than 1 have.
    """
    gradients = [1.0 / edge**2 for edge in edges]
    volumetric = (0.0, -2.0 / 3.0) if bbar else (1.0, 0.0)
    return np.array([1.0 / 3.0, 1.0 / 9.0, *gradients, *volumetric], dtype=dtype)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _apply_green(green, modes, begin, end):  # noqa: ANN001, ANN202
    for n in range(begin, end):
        xx, yy, zz = green[0, n], green[1, n], green[2, n]
        yz, xz, xy = green[3, n], green[4, n], green[5, n]
        for k in range(2 * n, 2 * n + 2):
            a, b, c = modes[0, k], modes[1, k], modes[2, k]
            modes[0, k] = xx * a + xy * b + xz * c
            modes[1, k] = xy * a + yy * b + yz * c
            modes[2, k] = xz * a + yz * b + zz * c


def apply_green(green: NDArray, modes: NDArray) -> None:
    """Multiply each complex mode, shape (3, 2 N), by its real symmetric block, shape (6, N), in place."""
    parts = parts_of(modes.size, green.shape[1], _BLOCK)
    share(lambda begin, end: _apply_green(green, modes, begin, end), parts)
