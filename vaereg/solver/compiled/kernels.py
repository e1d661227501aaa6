"""Compiled kernels of the homogenization solver: element operator, preconditioner of any cell.

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
]

_BLOCK = 64
"""Real numbers of a row treated at once; a constant, so that the compiler can vectorise over scratch rows."""
_LANES = _BLOCK + 16
"""Length of a scratch row: a block of nodes, the elements before it and the nodes of these; a multiple of 16,
or the compiler keeps to shorter vectors, for fear of reading what was just stored beside."""


def _stiffness_operator(general: bool):  # noqa: ANN202
    """Compile the element operator for cubes and full integration, or for the general case.

    The branches on `general` are settled when the kernel is compiled.
    """

    @njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
    def apply(u, first, shear, constants, shape, out, held, begin_x, end_x):  # noqa: ANN001, ANN202
        """Write the forces of some planes of elements to their first nodes, and to `held` what the last of
        them exert on the plane behind, which is added where these are all planes; return the inner products
        of u and `out` of both load cases. All fields are flat; `shape` is (X, Y, 2 Z).

        Scratch arrays hold rows at constant distances: sums of corner values before the step along z
        (component x (1, xi, eta, xi eta)), the law, the forces of the elements (per component the odd part
        of the first, then even and odd parts; the force at z + 1 is their sum, at z their difference), and
        the forces on the nodes of the next row.
        """
        nx, ny, row = shape
        plane = ny * row
        volume = nx * plane
        third, ninth, gx, gy, gz = constants[0], constants[1], constants[2], constants[3], constants[4]
        keep, shift = constants[5], constants[6]
        gyz, gxz, gxy = gy * gz, gx * gz, gx * gy
        cxy, cxz, cyx = gx * (gx + gx + gy), gx * (gx + gx + gz), gy * (gy + gy + gx)
        cyz, czx, czy = gy * (gy + gy + gz), gz * (gz + gz + gx), gz * (gz + gz + gy)
        sums, law = np.empty(12 * _LANES, u.dtype), np.empty(2 * _LANES, u.dtype)
        parts, carried = np.empty(21 * _LANES, u.dtype), np.empty(6 * _LANES, u.dtype)
        work = np.empty(_LANES, u.dtype)
        first_work, second_work = 0.0, 0.0
        for k in range(3 * plane):
            held[k] = 0
        for x in range(begin_x, end_x):
            at_x, at_x1 = x * plane, (x + 1) % nx * plane
            for begin in range(0, row, _BLOCK):
                size = min(_BLOCK, row - begin)
                start = 2 if size == row else 0  # the elements before a whole row are its last
                inner, outer = max(start, 2 - begin), min(size + 4, row - begin + 2)
                for k in range(6 * _LANES):
                    carried[k] = 0
                for k in range(_LANES):
                    work[k] = 0
                for y in range(ny):
                    at_y, at_y1 = y * row, (y + 1) % ny * row
                    for segment in range(3):  # those inside of the row, and its periodic continuation
                        if segment == 0:
                            low, high, base = start, inner, begin - 2 + row
                        elif segment == 1:
                            low, high, base = inner, outer, begin - 2
                        else:
                            low, high, base = outer, size + 4, begin - 2 - row
                        base += low
                        for i in range(3):
                            to = sums[4 * i * _LANES + low :]
                            a, b = u[i * volume + at_x + at_y + base :], u[i * volume + at_x1 + at_y + base :]
                            c, d = (
                                u[i * volume + at_x + at_y1 + base :],
                                u[i * volume + at_x1 + at_y1 + base :],
                            )
                            for k in range(high - low):
                                near, far = a[k] + b[k], c[k] + d[k]
                                dnear, dfar = b[k] - a[k], d[k] - c[k]
                                to[k] = near + far
                                to[_LANES + k] = dnear + dfar
                                to[2 * _LANES + k] = far - near
                                to[3 * _LANES + k] = dfar - dnear
                        to, a, b = law[low:], first[at_x + at_y + base :], shear[at_x + at_y + base :]
                        for k in range(high - low):
                            to[k] = a[k]
                            to[_LANES + k] = b[k]
                    w, lame, force = sums[start:], law[start:], parts[start:]
                    for k in range(size + 2 - start):
                        la, m = lame[k], lame[_LANES + k]
                        # corner sums with the signs of each monomial
                        a, b = w[k], w[k + 2]
                        uz = b - a
                        a, b = w[_LANES + k], w[_LANES + k + 2]
                        ux, uxz = b + a, b - a
                        a, b = w[2 * _LANES + k], w[2 * _LANES + k + 2]
                        uy, uyz = b + a, b - a
                        a, b = w[3 * _LANES + k], w[3 * _LANES + k + 2]
                        uxy, uxyz = b + a, b - a
                        a, b = w[4 * _LANES + k], w[4 * _LANES + k + 2]
                        vz = b - a
                        a, b = w[5 * _LANES + k], w[5 * _LANES + k + 2]
                        vx, vxz = b + a, b - a
                        a, b = w[6 * _LANES + k], w[6 * _LANES + k + 2]
                        vy, vyz = b + a, b - a
                        a, b = w[7 * _LANES + k], w[7 * _LANES + k + 2]
                        vxy, vxyz = b + a, b - a
                        a, b = w[8 * _LANES + k], w[8 * _LANES + k + 2]
                        wz = b - a
                        a, b = w[9 * _LANES + k], w[9 * _LANES + k + 2]
                        wx, wxz = b + a, b - a
                        a, b = w[10 * _LANES + k], w[10 * _LANES + k + 2]
                        wy, wyz = b + a, b - a
                        a, b = w[11 * _LANES + k], w[11 * _LANES + k + 2]
                        wxy, wxyz = b + a, b - a
                        m2 = m + m
                        m3 = m * third
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
                            fuxy, fvxy = m3 * cxy * uxy + gx * ty, m3 * cyx * vxy + gy * tx
                            fuxz, fwxz = m3 * cxz * uxz + gx * tz, m3 * czx * wxz + gz * tx
                            fvyz, fwyz = m3 * cyz * vyz + gy * tz, m3 * czy * wyz + gz * ty
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
                            m33 = m3 + m3 + m3
                            tx, ty, tz = la3 * (vxy + wxz), la3 * (uxy + wyz), la3 * (uxz + vyz)
                            yz, xz, xy = m3 * (vxz + wxy), m3 * (uyz + wxy), m3 * (uyz + vxz)
                            fuxy, fvxy = m33 * uxy + ty, m33 * vxy + tx
                            fuxz, fwxz = m33 * uxz + tz, m33 * wxz + tx
                            fvyz, fwyz = m33 * vyz + tz, m33 * wyz + ty
                            # monomials eta zeta, xi zeta, xi eta
                            t = ninth * (la + m2 + m2)
                            fuxyz, fvxyz, fwxyz = t * uxyz, t * vxyz, t * wxyz
                        force[k] = sxz
                        force[_LANES + k], force[2 * _LANES + k] = sxx, fuxz
                        force[3 * _LANES + k], force[4 * _LANES + k] = sxy, xz + xy
                        force[5 * _LANES + k], force[6 * _LANES + k] = fuxy, fuxyz
                        force[7 * _LANES + k] = syz
                        force[8 * _LANES + k], force[9 * _LANES + k] = sxy, yz + xy
                        force[10 * _LANES + k], force[11 * _LANES + k] = syy, fvyz
                        force[12 * _LANES + k], force[13 * _LANES + k] = fvxy, fvxyz
                        force[14 * _LANES + k] = szz
                        force[15 * _LANES + k], force[16 * _LANES + k] = sxz, fwxz
                        force[17 * _LANES + k], force[18 * _LANES + k] = syz, fwyz
                        force[19 * _LANES + k], force[20 * _LANES + k] = yz + xz, fwxyz
                    if start == 2:
                        for part in range(21):
                            at = part * _LANES
                            parts[at], parts[at + 1] = parts[at + size], parts[at + size + 1]
                    for i in range(3):
                        w, ahead = parts[7 * i * _LANES :], carried[2 * i * _LANES :]
                        to = out[i * volume + at_x + at_y + begin :]
                        behind, own = held[i * plane + at_y + begin :], u[i * volume + at_x + at_y + begin :]
                        for k in range(size):
                            # sums over x and y of the forces on the node that two elements share
                            e = w[k] - w[k + 2]
                            f = (w[_LANES + k] + w[_LANES + k + 2]) + (
                                w[2 * _LANES + k] - w[2 * _LANES + k + 2]
                            )
                            g = (w[3 * _LANES + k] + w[3 * _LANES + k + 2]) + (
                                w[4 * _LANES + k] - w[4 * _LANES + k + 2]
                            )
                            h = (w[5 * _LANES + k] + w[5 * _LANES + k + 2]) + (
                                w[6 * _LANES + k] - w[6 * _LANES + k + 2]
                            )
                            p, q, r, t = e - f, e + f, g - h, g + h
                            to[k] = behind[k] + ahead[k] + (p - r)
                            behind[k] = ahead[_LANES + k] + (q - t)
                            ahead[k] = p + r
                            ahead[_LANES + k] = q + t
                        for k in range(size):
                            work[k] += own[k] * to[k]
                for i in range(3):
                    ahead, to = carried[2 * i * _LANES :], out[i * volume + at_x + begin :]
                    behind, own = held[i * plane + begin :], u[i * volume + at_x + begin :]
                    for k in range(size):
                        work[k] += own[k] * ahead[k]
                        to[k] += ahead[k]
                        behind[k] += ahead[_LANES + k]
                for k in range(size // 2):
                    first_work += work[2 * k]
                    second_work += work[2 * k + 1]
        if begin_x == 0 and end_x == nx:  # the plane behind the last is the first
            for i in range(3):
                own, to, behind = u[i * volume :], out[i * volume :], held[i * plane :]
                for k in range(plane // 2):
                    first_work += own[2 * k] * behind[2 * k]
                    second_work += own[2 * k + 1] * behind[2 * k + 1]
                    to[2 * k] += behind[2 * k]
                    to[2 * k + 1] += behind[2 * k + 1]
        return first_work, second_work

    return apply


_apply_to_cubes = _stiffness_operator(general=False)
_apply_in_general = _stiffness_operator(general=True)


def apply_stiffness(
    u: NDArray, first: NDArray, shear: NDArray, constants: NDArray, general: bool, out: NDArray
) -> NDArray[np.float64]:
    """out = K u, fields of shape (3, X, Y, 2 Z); `first`, `shear` (X, Y, 2 Z): Lamé fields / 16.

    Returns u . K u of both load cases, shape (2,).

    `constants` are those of `element_constants`; without `general` they are taken to be those of a cube with
    full integration.
    """
    kernel = _apply_in_general if general else _apply_to_cubes
    shape = u.shape[1:]
    fields = u.reshape(-1), first.reshape(-1), shear.reshape(-1), constants, shape, out.reshape(-1)

    def part(begin: int, end: int) -> tuple[NDArray, tuple[float, float]]:
        held = np.empty((3, *shape[1:]), u.dtype)
        return held, kernel(*fields, held.reshape(-1), begin, end)

    parts = parts_of(u.size, shape[0])
    if len(parts) == 1:
        return np.array(part(0, shape[0])[1])
    # the elements at the end of a part add to the first nodes of the next one as well
    total = np.zeros(2)
    for (_, end), (held, work) in zip(parts, share(part, parts), strict=True):
        plane = end % shape[0]
        total += work + (held * u[:, plane]).reshape(-1, 2).sum(0, dtype=np.float64)
        out[:, plane] += held
    return total


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
