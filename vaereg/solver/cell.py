"""The periodic cell as the solver's iterations see it: element constants, operator, preconditioner, loads.

Packed fields have shape (3, X, Y, Z) with complex entries, two load cases as their real and imaginary parts,
or (3, X, Y, 2 Z) when seen as real numbers.
"""

from __future__ import annotations

import copy

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from vaereg.elasticity import lame_parameters
from vaereg.materials import TwoPhase
from vaereg.solver.compiled import bulk, kernels, transforms, vectors
from vaereg.solver.compiled.threads import parts_of
from vaereg.solver.correction import bulk_correction
from vaereg.solver.green import green_operator

__all__ = ["LOAD_PAIRS", "Cell", "node_divergence"]

LOAD_PAIRS = ((0, 1), (2, 3), (4, 5))
"""Voigt indices of the macroscopic strains that share one complex field."""


class Cell:
    """What the iterations share: element constants, the preconditioner and the shapes of the fields.

    With edges of the voxels that differ, displacements u_i are stored times the edge h_i (`kernels`), where
    the product of the edges is one.

    Args:
        field: Stiff phase per voxel, 0 to 1, shape (X, Y, Z).
        materials: The two phases, with moduli of order one.
        dtype: Precision of the fields.
        edges: Edges of a voxel along x, y, z in any unit.
        bbar: Elements with mean dilatation in place of full integration.
        soft_reference: Lamé parameters of the reference medium in the ratio of the softer phase in place of
            the arithmetic mean's. It saves iterations where a contrast is high and the Poisson ratios
            differ; bounds after few iterations are tighter with the mean.
    """

    def __init__(
        self,
        field: NDArray[np.float64],
        materials: TwoPhase,
        dtype: np.dtype,
        *,
        edges: tuple[float, float, float] = (1.0, 1.0, 1.0),
        bbar: bool = False,
        soft_reference: bool = False,
    ) -> None:
        self.shape = field.shape
        self.dtype = dtype
        mean_edge = edges[0] if len(set(edges)) == 1 else float(np.prod(edges)) ** (1.0 / 3.0)
        x, y, z = (edge / mean_edge for edge in edges)
        self.edges, self.bbar = (x, y, z), bbar
        self.general = bbar or self.edges != (1.0, 1.0, 1.0)
        self.displacement_scale = mean_edge / np.array(self.edges)
        stiff = lame_parameters(materials.e_stiff, materials.nu_stiff)
        soft = lame_parameters(materials.e_soft, materials.nu_soft)
        self.first_step, self.shear_step = stiff[0] - soft[0], stiff[1] - soft[1]
        first, shear = soft[0] + field * self.first_step, soft[1] + field * self.shear_step
        self.largest_modulus = float((first + 2.0 * shear).max())
        # scaled by the two factors 1/4 of the gradient coefficients; each voxel twice, for real and
        # imaginary part
        self.first_rows = np.repeat((first / 16.0).astype(dtype), 2, axis=2)
        self.shear_rows = np.repeat((shear / 16.0).astype(dtype), 2, axis=2)
        self.constants = kernels.element_constants(self.edges, bbar, dtype)
        self.first_field, self.shear_field = first, shear
        self.reference = _reference_medium(
            float(first.mean()), float(shear.mean()), materials, soft_reference
        )
        green = green_operator(self.shape, *self.reference, edges=self.edges, bbar=bbar)
        self.modes: NDArray[np.float32] | None = None
        self.correction, self.slopes, self.forces = None, np.empty(0, np.float32), np.empty(0, np.float32)
        if len(set(self.shape)) == 1 and self.shape[0] in transforms.EDGES:
            self.green = transforms.transposed_green(green)
            self.modes = np.empty((2, 3, self.shape[0], self.shape[0] ** 2), np.float32)
            if soft_reference and self.edges == (1.0, 1.0, 1.0):
                self.correction = bulk_correction(first, shear, self.reference)
            if self.correction is not None and bbar:
                self.slopes = bulk.dilatation_slopes(self.green)
            elif self.correction is not None:
                self.forces = np.empty((3, *self.shape[:2], 2 * self.shape[2]), np.float32)
        else:
            self.green = green.astype(np.float32).reshape(6, -1)
        # the law is linear in the phase, hence so are the forces of a uniform strain
        self.phase_forces = [node_divergence(field, axis).astype(dtype) for axis in range(3)]

    def in_single(self) -> Cell:
        """The same cell with fields in float32; the preconditioner is shared."""
        single = copy.copy(self)
        single.dtype = np.dtype(np.float32)
        single.first_rows = self.first_rows.astype(np.float32)
        single.shear_rows = self.shear_rows.astype(np.float32)
        single.constants = self.constants.astype(np.float32)
        single.phase_forces = [force.astype(np.float32) for force in self.phase_forces]
        return single

    def empty(self) -> NDArray:
        """A packed field without values."""
        x, y, z = self.shape
        return np.empty((3, x, y, 2 * z), dtype=self.dtype)

    def pack(self, displacements: NDArray) -> NDArray:
        """Two displacement fields, shape (2, 3, X, Y, Z), as one packed field."""
        out = self.empty()
        scale = self.displacement_scale[:, None, None, None]
        out[..., 0::2], out[..., 1::2] = displacements[0] / scale, displacements[1] / scale
        return out

    def unpack(self, fields: list[NDArray]) -> NDArray:
        """Displacements of packed fields, in the unit of the edges, shape (2 len(fields), 3, X, Y, Z)."""
        scale = self.displacement_scale[:, None, None, None].astype(self.dtype)
        return np.stack([field[..., part::2] * scale for field in fields for part in range(2)])

    def apply(self, displacement: NDArray, out: NDArray) -> NDArray[np.float64]:
        """out = K displacement, both of shape (3, X, Y, 2 Z); returns their inner products, shape (2,)."""
        return kernels.apply_stiffness(
            displacement, self.first_rows, self.shear_rows, self.constants, self.general, out
        )

    def apply_dual(self, displacements: list[NDArray], out: list[NDArray]) -> None:
        """out = K' displacement with the law C0 C^-1 C0 in each voxel, C0 that of the reference medium."""
        first, shear = self.reference
        bulk = first + 2.0 * shear / 3.0
        dual_bulk = bulk**2 / (self.first_field + 2.0 * self.shear_field / 3.0)
        dual_shear = shear**2 / self.shear_field
        dual_first = dual_bulk - 2.0 * dual_shear / 3.0
        first_rows, shear_rows = (
            np.repeat((law / 16.0).astype(self.dtype), 2, axis=2) for law in (dual_first, dual_shear)
        )
        for displacement, image in zip(displacements, out, strict=True):
            kernels.apply_stiffness(displacement, first_rows, shear_rows, self.constants, self.general, image)

    def precondition(
        self, residual: NDArray, image: NDArray | None = None, step: NDArray | None = None
    ) -> tuple[NDArray, NDArray[np.float64]]:
        """Inverse of the homogeneous operator applied to `residual`, shape (3, X, Y, 2 Z), float32 always,
        corrected where there is a `correction`, and its inner products with `residual`, shape (2,).

        Its rounding is relative to the residual of the moment, so it limits no tolerance; the residual and
        all that is added up keep the precision of the fields. Where an `image` is given, `step` times it is
        taken off the residual beforehand, in place, with one step per load case.
        """
        if self.modes is not None and residual.dtype == np.float32:
            solution = np.empty_like(residual)
            return solution, self._invert_cube(self.modes, residual, solution, image, step)
        if image is not None and step is not None:
            flat = image.reshape(-1)
            vectors.move(residual.reshape(-1), flat, flat, -step, np.zeros_like(step))
        solution = self._invert(residual.astype(np.float32, copy=False))
        return solution, np.array(vectors.pair_dot(residual.reshape(-1), solution.reshape(-1)))

    def _invert(self, single: NDArray[np.float32]) -> NDArray[np.float32]:
        """Preconditioner applied to a packed field."""
        if self.modes is not None:
            solution = np.empty_like(single)
            self._invert_cube(self.modes, single, solution)
            return solution
        threads = len(parts_of(single.size, self.shape[0]))
        packed = single.view(np.complex64)
        modes = np.asarray(scipy.fft.fftn(packed, axes=(1, 2, 3), workers=threads))
        kernels.apply_green(self.green, modes.view(np.float32).reshape(3, -1))
        solution = np.asarray(scipy.fft.ifftn(modes, axes=(1, 2, 3), overwrite_x=True, workers=threads))
        return solution.view(np.float32)

    def _invert_cube(
        self,
        modes: NDArray[np.float32],
        field: NDArray[np.float32],
        out: NDArray[np.float32],
        image: NDArray[np.float32] | None = None,
        step: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """Preconditioner of cubes with transforms of their own; arguments of `apply_green_operator`."""
        if self.correction is None:
            return transforms.apply_green_operator(self.green, field, modes, out, image, step)
        if self.bbar:
            transforms.to_modes(field, modes, image, step)
            bulk.apply_mean_dilatation(self.green, self.slopes, self.correction.law, modes)
            return transforms.from_modes(modes, field, out)
        transforms.apply_green_operator(self.green, field, modes, out, image, step)
        constants, forces = self.constants.astype(np.float32, copy=False), self.forces
        rows, no_shear = self.correction.rows, self.correction.no_shear
        kernels.apply_stiffness(out, rows, no_shear, constants, False, forces)
        minus = np.full(2, -1.0, np.float32)
        return transforms.apply_green_operator(self.green, forces, modes, out, field, minus, field)

    def load(self, pair: tuple[int, int]) -> NDArray:
        """Right-hand sides -f(E) of the unit strains `pair`, packed, shape (3, X, Y, 2 Z)."""
        out = np.zeros_like(self.empty())
        for part, index in enumerate(pair):
            if index < 3:
                for axis in range(3):
                    modulus = self.first_step + (2.0 * self.shear_step if axis == index else 0.0)
                    force = -modulus / self.edges[axis] ** 2
                    out[axis, ..., part::2] = self.dtype.type(force) * self.phase_forces[axis]
            else:
                a, b = [(1, 2), (0, 2), (0, 1)][index - 3]
                force = -self.shear_step / (self.edges[a] * self.edges[b])
                out[a, ..., part::2] = self.dtype.type(force) * self.phase_forces[b]
                out[b, ..., part::2] = self.dtype.type(force) * self.phase_forces[a]
        return out


def _reference_medium(
    mean_first: float, mean_shear: float, materials: TwoPhase, soft_reference: bool
) -> tuple[float, float]:
    """Lamé parameters of the homogeneous medium: the iterates depend on their ratio alone."""
    if materials.has_void:
        solid = materials.soft if materials.stiff.is_void else materials.stiff
        return lame_parameters(solid.young_modulus, solid.poisson_ratio)
    if not soft_reference:
        return mean_first, mean_shear
    soft = materials.ordered().soft
    first, shear = lame_parameters(soft.young_modulus, soft.poisson_ratio)
    return first * mean_shear / shear, mean_shear


def node_divergence(stress: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Nodal forces of elements under `stress` [GPa], by the shape functions' derivative along `axis`."""
    force = stress
    for direction in range(3):
        former = np.roll(force, 1, axis=direction)
        force = former - force if direction == axis else (former + force) / 2.0
    return force
