"""The periodic cell as the solver's iterations see it: element constants, operator, preconditioner, loads.

Packed fields have shape (3, X, Y, Z) with complex entries, two load cases as their real and imaginary parts,
or (3, X, Y, 2 Z) when seen as real numbers.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from vaereg.elasticity import TwoPhase, lame_parameters
from vaereg.solver import kernels

__all__ = ["Cell", "green_operator"]


class Cell:
    """What the iterations share: element constants, the preconditioner and the shapes of the fields."""

    def __init__(self, field: NDArray[np.float64], materials: TwoPhase, dtype: np.dtype) -> None:
        self.shape = field.shape
        self.dtype = dtype
        stiff = lame_parameters(materials.e_stiff, materials.nu_stiff)
        soft = lame_parameters(materials.e_soft, materials.nu_soft)
        self.first_step, self.shear_step = stiff[0] - soft[0], stiff[1] - soft[1]
        first, shear = soft[0] + field * self.first_step, soft[1] + field * self.shear_step
        self.largest_modulus = float((first + 2.0 * shear).max())
        # scaled by the two factors 1/4 of the gradient coefficients; each voxel twice, for real and
        # imaginary part
        self.first_rows = np.repeat((first / 16.0).astype(dtype), 2, axis=2)
        self.shear_rows = np.repeat((shear / 16.0).astype(dtype), 2, axis=2)
        self.weights = np.array([1.0 / 3.0, 1.0 / 9.0], dtype=dtype)
        green = green_operator(self.shape, float(first.mean()), float(shear.mean()))
        self.green = green.astype(np.float32).reshape(6, -1)
        # the law is linear in the phase, hence so are the forces of a uniform strain
        self.phase_forces = [_node_divergence(field, axis).astype(dtype) for axis in range(3)]

    def empty(self) -> NDArray:
        x, y, z = self.shape
        return np.empty((3, x, y, 2 * z), dtype=self.dtype)

    def pack(self, displacements: NDArray) -> NDArray:
        """Two displacement fields, shape (2, 3, X, Y, Z), as one packed field."""
        out = self.empty()
        out[..., 0::2], out[..., 1::2] = displacements
        return out

    def apply(self, displacement: NDArray, out: NDArray) -> None:
        """out = K displacement, both of shape (3, X, Y, 2 Z)."""
        kernels.apply_stiffness(displacement, self.first_rows, self.shear_rows, self.weights, out)

    def precondition(self, residual: NDArray) -> NDArray:
        """Inverse of the homogeneous operator applied to `residual`, shape (3, X, Y, 2 Z), float32 always.

        Its rounding is relative to the residual of the moment, so it limits no tolerance; the residual and
        all that is added up keep the precision of the fields.
        """
        single = residual.astype(np.float32, copy=False).view(np.complex64)
        modes = np.asarray(scipy.fft.fftn(single, axes=(1, 2, 3)))
        kernels.apply_green(self.green, modes.view(np.float32).reshape(3, -1))
        solution = np.asarray(scipy.fft.ifftn(modes, axes=(1, 2, 3), overwrite_x=True))
        return solution.view(np.float32)

    def load(self, pair: tuple[int, int]) -> NDArray:
        """Right-hand sides -f(E) of the unit strains `pair`, packed, shape (3, X, Y, 2 Z)."""
        out = np.zeros_like(self.empty())
        for part, index in enumerate(pair):
            if index < 3:
                for axis in range(3):
                    modulus = self.first_step + (2.0 * self.shear_step if axis == index else 0.0)
                    out[axis, ..., part::2] = self.dtype.type(-modulus) * self.phase_forces[axis]
            else:
                a, b = [(1, 2), (0, 2), (0, 1)][index - 3]
                out[a, ..., part::2] = self.dtype.type(-self.shear_step) * self.phase_forces[b]
                out[b, ..., part::2] = self.dtype.type(-self.shear_step) * self.phase_forces[a]
        return out


def green_operator(shape: tuple[int, ...], first: float, shear: float) -> NDArray[np.float64]:
    """Inverse of the homogeneous finite element operator per Fourier mode.

    Args:
        shape: Voxels (X, Y, Z).
        first: First Lamé parameter of the homogeneous medium [GPa].
        shear: Its shear modulus [GPa].

    Returns:
        Independent entries (xx, yy, zz, yz, xz, xy) of the symmetric blocks, shape (6, X, Y, Z) [1/GPa];
        zero at the mode of rigid translation.
    """
    half = [np.pi * np.arange(n) / n for n in shape]
    sx, sy, sz = np.meshgrid(*[2.0 * np.sin(angle) for angle in half], indexing="ij", sparse=True)
    cx, cy, cz = np.meshgrid(*[2.0 * np.cos(angle) for angle in half], indexing="ij", sparse=True)
    # corner sums of exp(i k x) for each monomial, up to a phase that cancels
    px, py, pz = sx * cy * cz, cx * sy * cz, cx * cy * sz
    pyz, pxz, pxy = cx * sy * sz, sx * cy * sz, sx * sy * cz
    pxyz2 = (sx * sy * sz) ** 2
    first, shear = first / 16.0, shear / 16.0
    normal = first + 2.0 * shear
    trilinear = (first + 4.0 * shear) / 9.0 * pxyz2
    kxx = normal * px**2 + shear * (py**2 + pz**2) + trilinear
    kyy = normal * py**2 + shear * (px**2 + pz**2) + trilinear
    kzz = normal * pz**2 + shear * (px**2 + py**2) + trilinear
    kxx += ((normal + shear) * (pxy**2 + pxz**2) + 2.0 * shear * pyz**2) / 3.0
    kyy += ((normal + shear) * (pxy**2 + pyz**2) + 2.0 * shear * pxz**2) / 3.0
    kzz += ((normal + shear) * (pxz**2 + pyz**2) + 2.0 * shear * pxy**2) / 3.0
    kyz = (first + shear) * (py * pz + pxy * pxz / 3.0)
    kxz = (first + shear) * (px * pz + pxy * pyz / 3.0)
    kxy = (first + shear) * (px * py + pxz * pyz / 3.0)
    cofactors = np.stack(
        [
            kyy * kzz - kyz**2,
            kxx * kzz - kxz**2,
            kxx * kyy - kxy**2,
            kxy * kxz - kxx * kyz,
            kxy * kyz - kyy * kxz,
            kxz * kyz - kzz * kxy,
        ]
    )
    determinant = kxx * cofactors[0] + kxy * cofactors[5] + kxz * cofactors[4]
    determinant[0, 0, 0] = np.inf
    return cofactors / determinant


def _node_divergence(stress: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Nodal forces of elements under `stress` [GPa], by the shape functions' derivative along `axis`."""
    force = stress
    for direction in range(3):
        former = np.roll(force, 1, axis=direction)
        force = former - force if direction == axis else (former + force) / 2.0
    return force
