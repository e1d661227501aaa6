"""Two-sided bounds of the effective stiffness in torch, differentiable with respect to the phases.

The formulas are those of `vaereg.solver.bounds`. The few conjugate-gradient iterations are recorded by
autograd, so that gradients are those of the bounds as they are computed, with the dependence of the iterates
on the phases. A loss on L_k holds for the stiffness itself: whatever L_k exceeds, C exceeds, too.

Letters: B volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.on_torch.cells import AXES, ElasticCells, assemble_corners, corner_values, elastic_cells
from vaereg.solver.on_torch.homogenization import check_phases
from vaereg.solver.problem import choose_element, voxel_edges

__all__ = ["BatchBounds", "bound_batch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchBounds:
    """Matrices between which the effective stiffness of each cell lies in the Loewner order."""

    lower: Tensor
    """L, shape (B, 6, 6), float64, Voigt order [GPa]; zero if a phase is a void."""
    upper: Tensor
    """U, shape (B, 6, 6), float64, Voigt order [GPa]."""
    residual: Tensor
    """Largest relative residual over the load cases, shape (B,) [-]; carries no gradient."""


def bound_batch(
    phase: Tensor,
    materials: TwoPhase | None = None,
    *,
    iterations: int = 5,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> BatchBounds:
    """Bounds of the effective stiffness after some conjugate-gradient iterations, differentiable.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (B, X, Y, Z), float32 or float64, on any device.
        materials: The two phases; the reference pair if left out.
        iterations: How many. With gradients, each keeps some thirty fields of the six load cases.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.
        element: As in `homogenize`.

    Raises:
        InputError: `iterations` is negative, or `voxel_size` or `element` is not what is expected.
        ValueError: `phase` has another shape or dtype, is empty, or leaves 0 to 1.
    """
    if iterations < 0:
        raise InputError(f"expected 0 or more iterations, got {iterations}")
    check_phases(phase.detach(), 1.0, 1)
    pair = TwoPhase() if materials is None else materials
    element_name = choose_element(element, pair)
    cells = elastic_cells(phase, pair, voxel_edges(voxel_size), element_name, soft_reference=False)
    voxels, unit = phase[0].numel(), max(pair.e_stiff, pair.e_soft)

    load = cells.load()
    # a uniform or layered cell leaves forces at rounding level, and the solution is zero
    rounding = 64.0 * torch.finfo(load.dtype).eps * cells.largest_modulus.detach()
    forced = load.detach().abs().amax(dim=(2, 3, 4, 5)) > rounding[:, None]
    load = _scaled(forced, load)
    displacement, residual = torch.zeros_like(load), load
    conditioned = cells.precondition(residual)
    direction, energy = conditioned, _dots(residual, conditioned)
    start = torch.where(forced, energy, 1.0).detach()
    for _ in range(iterations):
        image = cells.apply(direction)
        curvature = _dots(direction, image)
        active = (curvature > 0.0) & (energy > torch.finfo(load.dtype).eps ** 2 * start)
        step = _ratio(energy, curvature, active)
        displacement = displacement + _scaled(step, direction)
        residual = residual - _scaled(step, image)
        conditioned = cells.precondition(residual)
        former, energy = energy, _dots(residual, conditioned)
        direction = conditioned + _scaled(_ratio(energy, former, active), direction)

    mean = _mean_stiffness(cells)
    work, loaded = (_gram(a, b) / voxels for a, b in ((displacement, residual), (load, displacement)))
    upper = mean - _symmetric(work + loaded)
    lower = torch.zeros_like(upper)
    if not pair.has_void:
        dual = _gram(conditioned, _apply_dual(cells, conditioned)) / voxels
        complementary = upper + work + work.transpose(1, 2) + _symmetric(dual)
        stress = mean - loaded
        lower = _symmetric(stress @ torch.linalg.solve(complementary, stress.transpose(1, 2)))
    relative = (energy.detach().clamp(min=0.0) / start).sqrt().amax(dim=1)
    return BatchBounds(lower=unit * lower, upper=unit * upper, residual=relative)


def _mean_stiffness(cells: ElasticCells) -> Tensor:
    """Voigt's bound, shape (B, 6, 6), float64."""
    first, shear = (item.mean(dim=(1, 2, *AXES), dtype=torch.float64) for item in (cells.first, cells.shear))
    sums = torch.zeros(6, 6, dtype=torch.float64, device=first.device)
    sums[:3, :3] = 1.0
    doubled = torch.tensor([2.0, 2.0, 2.0, 1.0, 1.0, 1.0], dtype=torch.float64, device=first.device)
    return first[:, None, None] * sums + shear[:, None, None] * torch.diag(doubled)


def _apply_dual(cells: ElasticCells, field: Tensor) -> Tensor:
    """K' field with the law C0 C^-1 C0 in each voxel, C0 that of the reference medium."""
    first, shear = (item.mean(dim=AXES, keepdim=True) for item in (cells.first, cells.shear))
    bulk = first + 2.0 * shear / 3.0
    dual_shear = shear**2 / cells.shear
    dual_first = bulk**2 / (cells.first + 2.0 * cells.shear / 3.0) - 2.0 * dual_shear / 3.0
    return assemble_corners(cells.element_forces(corner_values(field), dual_first, dual_shear), 3)


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each load case, shape (B, 6), in float64."""
    return (a * b).sum(dim=(2, 3, 4, 5), dtype=torch.float64)


def _gram(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of all load cases, shape (B, 6, 6), in float64."""
    return torch.stack([_dots(a, b[:, i : i + 1].expand_as(a)) for i in range(6)], dim=2)


def _scaled(factor: Tensor, field: Tensor) -> Tensor:
    return factor.to(field.dtype)[:, :, None, None, None, None] * field


def _ratio(numerator: Tensor, denominator: Tensor, active: Tensor) -> Tensor:
    return torch.where(active, numerator / torch.where(active, denominator, 1.0), 0.0)


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.transpose(1, 2)) / 2.0
