"""The equations of `vaereg.solver.homogenization` in plain torch: for CUDA, and as a second implementation.

Nothing is shared with the compiled solver: element matrices come from Gauss points, Fourier blocks from the
element matrices, the stiffness from the energy of total displacements. All load cases of all volumes are
solved at once; precision and device are those of the phase field.

The operators are in `vaereg.solver.on_torch.cells`. Letters: B volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import lame_parameters
from vaereg.materials import TwoPhase
from vaereg.solver.batches import BatchResult, in_halves
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult
from vaereg.solver.on_torch.cells import (
    corner_values,
    elastic_cells,
)
from vaereg.solver.problem import choose_element, voxel_edges, without_rounding

__all__ = [
    "BatchResult",
    "check_phases",
    "homogenize_batch",
    "homogenize_on",
    "solve_cells",
]

_RESTARTS = 2


def homogenize_batch(
    phase: Tensor,
    materials: TwoPhase | None = None,
    *,
    rtol: float = 1e-6,
    max_iter: int = 1000,
    raise_on_failure: bool = True,
    sensitivities: bool = False,
    keep_displacement: bool = False,
    initial: Tensor | None = None,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> BatchResult:
    """Effective stiffness of periodic cells (Leuschner & Fritzen 2018, doi:10.1007/s00466-017-1501-5).

    A batch for which the memory of the device does not suffice is solved in halves.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (B, X, Y, Z), float32 or float64, on any device.
        materials: The two phases; the reference pair if left out.
        rtol: Residual, relative to that of the uniform strain, at which a load case is taken as solved.
        max_iter: Upper limit of iterations.
        raise_on_failure: With False, a result that has not converged is returned with its status.
        sensitivities: Return dC_ij / d phase of each voxel as well.
        keep_displacement: Return the displacements as well.
        initial: Displacements of similar cells to start from, shape (B, 6, 3, X, Y, Z).
        voxel_size: Edges of a voxel along x, y, z; cubes of edge 1 if left out.
        element: As in `homogenize`.

    Raises:
        InputError: `voxel_size` or `element` is not what is expected.
        ValueError: `phase` has another shape or dtype, is empty, or leaves 0 to 1; `rtol` or `max_iter` is
            not positive; `initial` has another shape.
        ConvergenceError: A residual stayed above `rtol` after `max_iter` iterations.
    """
    check_phases(phase, rtol, max_iter)
    expected = (phase.shape[0], 6, 3, *phase.shape[1:])
    if initial is not None and tuple(initial.shape) != expected:
        raise ValueError(
            f"expected initial displacements of shape {expected}, got shape {tuple(initial.shape)}"
        )
    options = (materials, rtol, max_iter, raise_on_failure, sensitivities, keep_displacement)
    return in_halves(
        lambda part, start: _solve_batch(part, start, *options, voxel_size, element), phase, initial
    )


def _solve_batch(
    phase: Tensor,
    initial: Tensor | None,
    materials: TwoPhase | None,
    rtol: float,
    max_iter: int,
    raise_on_failure: bool,
    sensitivities: bool,
    keep_displacement: bool,
    voxel_size: Sequence[float] | None,
    element: str,
) -> BatchResult:
    with torch.no_grad():
        pair = TwoPhase() if materials is None else materials
        unit = max(pair.e_stiff, pair.e_soft)
        stiff = lame_parameters(pair.e_stiff / unit, pair.nu_stiff)
        soft = lame_parameters(pair.e_soft / unit, pair.nu_soft)
        steps = (stiff[0] - soft[0], stiff[1] - soft[1])
        element_name = choose_element(element, pair)
        edges = voxel_edges(voxel_size)
        mean_edge = float(np.prod(edges)) ** (1.0 / 3.0)
        cells = elastic_cells(phase, pair, edges, element_name, soft_reference=True)
        start = None if initial is None else initial / mean_edge
        u, iterations, residual = solve_cells(cells, rtol, max_iter, start)
        converged = bool((residual <= rtol).all())
        if not converged and raise_on_failure:
            raise ConvergenceError(
                f"residual {float(residual.max()):.2e} is above the tolerance {rtol:.2e} after "
                f"{iterations} iterations: allow more iterations, a looser tolerance or, at a tolerance near "
                "rounding, float64"
            )
        total = corner_values(u) + cells.uniform_strain.reshape(6, 24, 1, 1, 1)
        forces = cells.element_forces(total, cells.first, cells.shear)
        voxels = phase[0].numel()
        rows = [(total[:, i, None] * forces).sum(dim=(2, 3, 4, 5), dtype=torch.float64) for i in range(6)]
        stiffness = torch.stack(rows, dim=1) * (unit / voxels)
        sensitivity = None
        if sensitivities:
            forces = cells.element_forces(total, steps[0] * unit / voxels, steps[1] * unit / voxels)
            pairs = [(i, j) for i in range(6) for j in range(i, 6)]
            sensitivity = torch.stack([(total[:, i] * forces[:, j]).sum(dim=1) for i, j in pairs], dim=1)
        stiffness = (stiffness + stiffness.transpose(1, 2)) / 2.0
        unloaded: tuple[tuple[str, ...], ...] = ((),) * len(phase)
        if pair.has_void:
            cleaned = [without_rounding(matrix / unit) for matrix in stiffness.cpu().numpy()]
            stiffness = torch.from_numpy(unit * np.stack([matrix for matrix, _ in cleaned])).to(stiffness)
            unloaded = tuple(names for _, names in cleaned)
        return BatchResult(
            stiffness=stiffness,
            element=element_name,
            unloaded=unloaded,
            iterations=iterations,
            residual=residual,
            converged=converged,
            sensitivity=sensitivity,
            displacement=mean_edge * u if keep_displacement else None,
        )


def check_phases(phase: Tensor, rtol: float, max_iter: int) -> None:
    """Raise a ValueError for a batch of phases, a tolerance or a limit that no solver takes."""
    if phase.ndim != 4 or phase.numel() == 0:
        raise ValueError(f"expected phase fields of shape (B, X, Y, Z), got shape {tuple(phase.shape)}")
    if phase.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be float32 or float64, got {phase.dtype}")
    low, high = float(phase.min()), float(phase.max())
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"expected phase values from 0 (soft) to 1 (stiff), got {low:g} to {high:g}")
    if not rtol > 0.0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter}")


def homogenize_on(
    device: str,
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    rtol: float = 1e-6,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> HomogenizationResult:
    """One volume (X, Y, Z) in float64 on a device of torch; returned even if it has not converged."""
    phase = torch.from_numpy(volume[None]).to(device, torch.float64)
    result = homogenize_batch(
        phase, materials, rtol=rtol, raise_on_failure=False, voxel_size=voxel_size, element=element
    )
    return HomogenizationResult(
        stiffness=result.stiffness[0].cpu().numpy(),
        iterations=result.iterations,
        residual=float(result.residual.max()),
        converged=result.converged,
        element=result.element,
        unloaded=result.unloaded[0],
    )


class LinearCells(Protocol):
    """Operators of many cells at once, on fields of shape (B, L, n, X, Y, Z)."""

    largest_modulus: Tensor

    def load(self) -> Tensor: ...

    def apply(self, u: Tensor) -> Tensor: ...

    def precondition(self, residual: Tensor) -> Tensor: ...


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each load case, shape (B, 6), in float64."""
    return (a * b).sum(dim=(2, 3, 4, 5), dtype=torch.float64)


def _scaled(factor: Tensor, field: Tensor) -> Tensor:
    return factor.to(field.dtype)[:, :, None, None, None, None] * field


def _ratio(numerator: Tensor, denominator: Tensor, active: Tensor) -> Tensor:
    return torch.where(active, numerator / torch.where(active, denominator, 1.0), 0.0)


def solve_cells(
    cells: LinearCells, rtol: float, max_iter: int, initial: Tensor | None
) -> tuple[Tensor, int, Tensor]:
    """Conjugate gradients: displacements, iterations and largest relative residual of each volume, (B,)."""
    load = cells.load()
    # a uniform or layered cell leaves forces at rounding level, and the solution is zero
    rounding = 64.0 * torch.finfo(load.dtype).eps * cells.largest_modulus
    forced = load.abs().amax(dim=(2, 3, 4, 5)) > rounding[:, None]
    load = _scaled(forced, load)
    u = torch.zeros_like(load) if initial is None else _scaled(forced, initial.to(load))
    start = torch.where(forced, _dot(load, cells.precondition(load)), 1.0)

    def relative(energy: Tensor) -> Tensor:
        return (energy.clamp(min=0.0) / start).sqrt().amax(dim=1)

    def true_residual() -> tuple[Tensor, Tensor, Tensor]:
        residual = load - cells.apply(u)
        conditioned = cells.precondition(residual)
        return residual, conditioned, _dot(residual, conditioned)

    residual, direction, energy = true_residual()
    iterations, restarts = 0, 0
    while bool((relative(energy) > rtol).any()) and iterations < max_iter:
        iterations += 1
        image = cells.apply(direction)
        curvature = _dot(direction, image)
        active = (curvature > 0.0) & (energy > 0.0)
        step = _ratio(energy, curvature, active)
        u += _scaled(step, direction)
        residual -= _scaled(step, image)
        conditioned = cells.precondition(residual)
        former, energy = energy, _dot(residual, conditioned)
        if bool((relative(energy) <= rtol).all()) or iterations == max_iter:
            residual, direction, energy = true_residual()
            if restarts == _RESTARTS:
                break
            restarts += 1
            continue
        direction = conditioned + _scaled(_ratio(energy, former, active), direction)
    return u, iterations, relative(energy)
