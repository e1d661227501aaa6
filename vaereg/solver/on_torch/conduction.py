"""The equations of `vaereg.solver.conduction` in plain torch: for CUDA, and as a second implementation.

Nothing is shared with the compiled solver but the rule for what conducts nothing: element matrices come from
Gauss points, the conductivity from the energy of total temperatures.

Letters: B volumes, 8 corners of an element.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.materials import TwoPhase
from vaereg.solver.conduction import ConductionResult, phase_conductivities, without_blocked_flow
from vaereg.solver.homogenization import ConvergenceError, voxel_edges
from vaereg.solver.on_torch.cells import AXES, CORNERS, assemble_corners, corner_values
from vaereg.solver.on_torch.homogenization import check_phases, solve_cells

__all__ = ["BatchConduction", "conduct_batch", "conduct_on"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConduction:
    """Effective conductivity of a batch of cells; tensors on the device of the phase."""

    conductivity: Tensor
    """Shape (B, 3, 3), float64, in the unit of the phases' [W/(m K)]."""
    iterations: int
    """Conjugate-gradient iterations, those of the slowest load case of the batch."""
    residual: Tensor
    """Largest relative residual of each volume in the norm of the preconditioner [-], shape (B,)."""
    converged: bool
    """Whether all residuals reached the tolerance."""
    blocked: tuple[tuple[str, ...], ...]
    """Axes of each volume along which an insulating phase stops all flow."""
    sensitivity: Tensor | None = None
    """Derivatives as in `ConductionResult`, shape (B, 6, X, Y, Z), where asked for."""


def conduct_batch(
    phase: Tensor,
    materials: TwoPhase,
    *,
    rtol: float = 1e-6,
    max_iter: int = 1000,
    raise_on_failure: bool = True,
    sensitivities: bool = False,
    voxel_size: Sequence[float] | None = None,
) -> BatchConduction:
    """Effective conductivity of periodic cells.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (B, X, Y, Z), float32 or float64, on any device.
        materials: The two phases, whose conductivities are used; one of these may be zero.
        rtol: Residual, relative to that of the uniform gradient, at which a load case is taken as solved.
        max_iter: Upper limit of iterations.
        raise_on_failure: With False, a result that has not converged is returned with its status.
        sensitivities: Return the derivatives with respect to the phase of each voxel as well.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.

    Raises:
        InputError: A phase has no conductivity, or both are zero; `voxel_size` is not three positive numbers.
        ValueError: `phase` has another shape or dtype, is empty, or leaves 0 to 1; `rtol` or `max_iter` is
            not positive.
        ConvergenceError: A residual stayed above `rtol` after `max_iter` iterations.
    """
    check_phases(phase, rtol, max_iter)
    with torch.no_grad():
        stiff, soft = phase_conductivities(materials)
        unit = max(stiff, soft)
        step = (stiff - soft) / unit
        edges = voxel_edges(voxel_size)
        mean_edge = float(np.prod(edges)) ** (1.0 / 3.0)
        x, y, z = (edge / mean_edge for edge in edges)
        cells = _ScalarCells(soft / unit + phase * step, _scalar_element((x, y, z)))
        temperature, iterations, residual = solve_cells(cells, rtol, max_iter, None)
        converged = bool((residual <= rtol).all())
        if not converged and raise_on_failure:
            raise ConvergenceError(
                f"residual {float(residual.max()):.2e} of conduction is above the tolerance {rtol:.2e} after "
                f"{iterations} iterations: allow more iterations, a looser tolerance or float64"
            )
        total = corner_values(temperature) + cells.uniform_gradient.reshape(3, 8, 1, 1, 1)
        forces = cells.element_forces(total)
        voxels = phase[0].numel()
        rows = [(total[:, i, None] * forces).sum(dim=(2, 3, 4, 5), dtype=torch.float64) for i in range(3)]
        conductivity = torch.stack(rows, dim=1) / voxels
        conductivity = (conductivity + conductivity.transpose(1, 2)) / 2.0
        blocked: tuple[tuple[str, ...], ...] = ((),) * len(phase)
        if min(stiff, soft) == 0.0:
            cleaned = [without_blocked_flow(matrix) for matrix in conductivity.cpu().numpy()]
            conductivity = torch.from_numpy(np.stack([matrix for matrix, _ in cleaned])).to(conductivity)
            blocked = tuple(axes for _, axes in cleaned)
        sensitivity = None
        if sensitivities:
            images = cells.uniform_forces(total) * (step * unit / voxels)
            pairs = [(i, j) for i in range(3) for j in range(i, 3)]
            sensitivity = torch.stack([(total[:, i] * images[:, j]).sum(dim=1) for i, j in pairs], dim=1)
        return BatchConduction(
            conductivity=unit * conductivity,
            iterations=iterations,
            residual=residual,
            converged=converged,
            blocked=blocked,
            sensitivity=sensitivity,
        )


def conduct_on(
    device: str,
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    rtol: float = 1e-6,
    voxel_size: Sequence[float] | None = None,
) -> ConductionResult:
    """One volume (X, Y, Z) in float64 on a device of torch; returned even if it has not converged."""
    phase = torch.from_numpy(volume[None]).to(device, torch.float64)
    result = conduct_batch(phase, materials, rtol=rtol, raise_on_failure=False, voxel_size=voxel_size)
    return ConductionResult(
        conductivity=result.conductivity[0].cpu().numpy(),
        iterations=result.iterations,
        residual=float(result.residual.max()),
        converged=result.converged,
        blocked=result.blocked[0],
    )


def _scalar_element(edges: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Element matrix for the conductivity 1, (8, 8), and corner temperatures of unit gradients, (3, 8)."""
    corners = np.array(CORNERS, dtype=np.float64)
    slopes = 2.0 * corners - 1.0
    matrix = np.zeros((8, 8))
    for point in itertools.product((0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5), repeat=3):
        shapes = np.where(corners == 1.0, point, 1.0 - np.array(point))
        for axis, edge in enumerate(edges):
            gradient = slopes[:, axis] * np.delete(shapes, axis, axis=1).prod(axis=1) / edge
            matrix += np.outer(gradient, gradient) / 8.0
    return matrix, corners.T * np.array(edges)[:, None]


class _ScalarCells:
    """Operators on fields of shape (B, 3, 1, X, Y, Z) for volumes with given conductivities (B, X, Y, Z)."""

    def __init__(self, conductivity: Tensor, element: tuple[np.ndarray, np.ndarray]) -> None:
        self.conductivity = conductivity[:, None, None]
        self.largest_modulus = conductivity.amax(dim=AXES)
        self.matrix, self.uniform_gradient = (torch.from_numpy(part).to(conductivity) for part in element)
        self.green = self._green(torch.from_numpy(element[0]))

    def uniform_forces(self, corners: Tensor) -> Tensor:
        """Corner flows of each element for the conductivity 1."""
        return (self.matrix @ corners.flatten(3)).view_as(corners)

    def element_forces(self, corners: Tensor) -> Tensor:
        """Corner flows of each element."""
        return self.conductivity * self.uniform_forces(corners)

    def apply(self, u: Tensor) -> Tensor:
        """K u."""
        return assemble_corners(self.element_forces(corner_values(u)), 1)

    def load(self) -> Tensor:
        """Right-hand sides of the three unit gradients."""
        shape = (self.conductivity.shape[0], 3, 8, *self.conductivity.shape[3:])
        gradient = self.uniform_gradient.reshape(3, 8, 1, 1, 1).expand(shape).contiguous()
        return -assemble_corners(self.element_forces(gradient), 1)

    def precondition(self, residual: Tensor) -> Tensor:
        """Inverse of K of a uniform medium."""
        modes = torch.fft.rfftn(residual, dim=AXES) * self.green
        return torch.fft.irfftn(modes, s=residual.shape[-3:], dim=AXES)

    def _green(self, matrix: Tensor) -> Tensor:
        """Inverse of K for the conductivity 1 per Fourier mode, shape (X, Y, Z // 2 + 1); 0 at mode 0."""
        x, y, z = self.conductivity.shape[-3:]
        frequencies = [torch.fft.fftfreq(x), torch.fft.fftfreq(y), torch.fft.rfftfreq(z)]
        waves = torch.meshgrid(*[2.0 * torch.pi * item.double() for item in frequencies], indexing="ij")
        angles = [sum(c * wave for c, wave in zip(corner, waves, strict=True)) for corner in CORNERS]
        phases = torch.exp(1j * torch.stack([torch.as_tensor(angle) for angle in angles]))
        block = torch.einsum("axyz,ab,bxyz->xyz", phases.conj(), matrix.to(phases.dtype), phases).real
        block[0, 0, 0] = torch.inf
        return (1.0 / block).to(self.conductivity)
