"""The solver as a differentiable torch function: effective stiffness in a loss.

    C = effective_stiffness(phase)            # phase: (X, Y, Z) or (B, X, Y, Z), 0 to 1
    ((C[0, 0] - 60.0) ** 2).backward()        # phase.grad: the derivative at each voxel, no further solve

On the CPU the compiled solver is used, elsewhere the one in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vaereg.materials import TwoPhase
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.solver.on_torch.conduction import conduct_batch
from vaereg.solver.on_torch.homogenization import homogenize_batch

__all__ = ["SolverState", "effective_conductivity", "effective_stiffness"]


@dataclass(kw_only=True, slots=True)
class SolverState:
    """What an optimisation keeps from call to call: the warm start, and a count of what was solved."""

    solves: int = 0
    """Volumes solved so far; a solve is six load cases."""
    iterations: int = 0
    """Conjugate-gradient iterations so far, those of the slowest load case of each solve."""
    displacement: Tensor | None = None
    """Displacements of the last call [voxel], shape (B, 6, 3, X, Y, Z): where the next call starts."""


def effective_stiffness(
    phase: Tensor,
    materials: TwoPhase | None = None,
    *,
    rtol: float | None = None,
    max_iter: int = 1000,
    state: SolverState | None = None,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> Tensor:
    """Effective stiffness, differentiable once with respect to the phase (adjoint method; self-adjoint).

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (X, Y, Z) or (B, X, Y, Z), float32 or float64.
        materials: The two phases; the reference pair if left out.
        rtol: Tolerance of the solver, also the order of the relative error of the gradient; 1e-4 for float32
            and 1e-6 for float64 if left out.
        max_iter: Upper limit of iterations per load case.
        state: Counts the solves and starts from the displacements of the former call, where those have the
            same shape; for optimisation loops.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.
        element: As in `homogenize`.

    Returns:
        Stiffness, shape (6, 6) or (B, 6, 6) [GPa], in the dtype and on the device of `phase`. Each entry is
        that of a symmetric matrix: C12 and C21 carry the same derivative.

    Raises:
        ValueError: `phase` has another shape or dtype, or leaves 0 to 1.
        ConvergenceError: The solver stopped above `rtol`.
    """
    batch, tolerance = _batch(phase), _tolerance(phase, rtol)
    cell = _Options(materials, tolerance, max_iter, voxel_size, element)
    stiffness = _EffectiveStiffness.apply(batch, cell, state)
    return stiffness if phase.ndim == 4 else stiffness[0]


def effective_conductivity(
    phase: Tensor,
    materials: TwoPhase,
    *,
    rtol: float | None = None,
    max_iter: int = 1000,
    voxel_size: Sequence[float] | None = None,
) -> Tensor:
    """Effective conductivity, differentiable once with respect to the phase (adjoint method; self-adjoint).

    Args:
        phase: As in `effective_stiffness`.
        materials: The two phases, whose conductivities are used.
        rtol: As in `effective_stiffness`.
        max_iter: Upper limit of iterations per load case.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.

    Returns:
        Conductivity, shape (3, 3) or (B, 3, 3) [W/(m K)], in the dtype and on the device of `phase`.

    Raises:
        InputError: A phase has no conductivity, or both are zero.
        ValueError: `phase` has another shape or dtype, or leaves 0 to 1.
        ConvergenceError: The solver stopped above `rtol`.
    """
    batch = _batch(phase)
    options = _Options(materials, _tolerance(phase, rtol), max_iter, voxel_size, "")
    conductivity = _EffectiveConductivity.apply(batch, options)
    return conductivity if phase.ndim == 4 else conductivity[0]


def _batch(phase: Tensor) -> Tensor:
    if phase.ndim not in (3, 4):
        raise ValueError(f"expected phases of shape (X, Y, Z) or (B, X, Y, Z), got {tuple(phase.shape)}")
    if phase.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be float32 or float64, got {phase.dtype}")
    return phase if phase.ndim == 4 else phase[None]


def _tolerance(phase: Tensor, rtol: float | None) -> float:
    return rtol if rtol is not None else (1e-4 if phase.dtype == torch.float32 else 1e-6)


@dataclass(frozen=True, slots=True)
class _Options:
    """What `homogenize` is called with."""

    materials: TwoPhase | None
    rtol: float
    max_iter: int
    voxel_size: Sequence[float] | None
    element: str


class _EffectiveStiffness(torch.autograd.Function):
    """Stiffness (B, 6, 6) of phases (B, X, Y, Z)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        phase: Tensor,
        options: _Options,
        state: SolverState | None,
    ) -> Tensor:
        initial = None if state is None else state.displacement
        if initial is not None and initial.shape != (phase.shape[0], 6, 3, *phase.shape[1:]):
            initial = None
        solve = _solve_compiled if phase.device.type == "cpu" else _solve_torch
        stiffness, sensitivity = solve(phase, options, initial, ctx.needs_input_grad[0], state)
        ctx.save_for_backward(sensitivity)
        return stiffness.to(phase.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 # pyright: ignore[reportIncompatibleMethodOverride]
        (sensitivity,) = ctx.saved_tensors
        return _weighted(grad, sensitivity), None, None


class _EffectiveConductivity(torch.autograd.Function):
    """Conductivities (B, 3, 3) of phases (B, X, Y, Z)."""

    @staticmethod
    def forward(ctx: Any, phase: Tensor, options: _Options) -> Tensor:  # noqa: ANN401
        solve = _conduct_compiled if phase.device.type == "cpu" else _conduct_torch
        conductivity, sensitivity = solve(phase, options, ctx.needs_input_grad[0])
        ctx.save_for_backward(sensitivity)
        return conductivity.to(phase.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 # pyright: ignore[reportIncompatibleMethodOverride]
        (sensitivity,) = ctx.saved_tensors
        return _weighted(grad, sensitivity), None


def _weighted(grad: Tensor, sensitivity: Tensor) -> Tensor:
    """Derivative of a loss at each voxel, (B, X, Y, Z), from that at the entries, (B, n, n)."""
    rows, columns = torch.triu_indices(*grad.shape[1:], device=grad.device)
    # an entry off the diagonal stands at two places of the matrix
    weights = grad[:, rows, columns] + torch.where(rows == columns, 0.0, grad[:, columns, rows])
    return torch.einsum("bp,bpxyz->bxyz", weights.to(sensitivity.dtype), sensitivity)


_Solved = tuple[Tensor, Tensor | None]


def _solve_compiled(
    phase: Tensor,
    options: _Options,
    initial: Tensor | None,
    sensitivities: bool,
    state: SolverState | None,
) -> _Solved:
    results = [
        homogenize(
            volume.detach().numpy(),
            options.materials,
            rtol=options.rtol,
            voxel_size=options.voxel_size,
            element=options.element,
            dtype=np.float32 if phase.dtype == torch.float32 else np.float64,
            max_iter=options.max_iter,
            sensitivities=sensitivities,
            keep_displacement=state is not None,
            initial=None if initial is None else initial[index].cpu().numpy(),
        )
        for index, volume in enumerate(phase)
    ]
    if state is not None:
        state.solves += len(results)
        state.iterations += sum(result.iterations for result in results)
        state.displacement = torch.from_numpy(
            np.stack([np.asarray(result.displacement) for result in results])
        )
    stiffness = torch.from_numpy(np.stack([result.stiffness for result in results]))
    if not sensitivities:
        return stiffness, None
    return stiffness, torch.from_numpy(np.stack([np.asarray(result.sensitivity) for result in results]))


def _solve_torch(
    phase: Tensor,
    options: _Options,
    initial: Tensor | None,
    sensitivities: bool,
    state: SolverState | None,
) -> _Solved:
    result = homogenize_batch(
        phase.detach(),
        options.materials,
        rtol=options.rtol,
        max_iter=options.max_iter,
        voxel_size=options.voxel_size,
        element=options.element,
        sensitivities=sensitivities,
        keep_displacement=state is not None,
        initial=initial,
    )
    if state is not None:
        state.solves += len(phase)
        state.iterations += result.iterations * len(phase)
        state.displacement = result.displacement
    return result.stiffness, result.sensitivity


def _conduct_compiled(phase: Tensor, options: _Options, sensitivities: bool) -> _Solved:
    results = [
        conduct(
            volume.detach().numpy(),
            options.materials or TwoPhase(),
            rtol=options.rtol,
            max_iter=options.max_iter,
            voxel_size=options.voxel_size,
            dtype=np.float32 if phase.dtype == torch.float32 else np.float64,
            sensitivities=sensitivities,
        )
        for volume in phase
    ]
    conductivity = torch.from_numpy(np.stack([result.conductivity for result in results]))
    if not sensitivities:
        return conductivity, None
    return conductivity, torch.from_numpy(np.stack([np.asarray(result.sensitivity) for result in results]))


def _conduct_torch(phase: Tensor, options: _Options, sensitivities: bool) -> _Solved:
    result = conduct_batch(
        phase.detach(),
        options.materials or TwoPhase(),
        rtol=options.rtol,
        max_iter=options.max_iter,
        voxel_size=options.voxel_size,
        sensitivities=sensitivities,
    )
    return result.conductivity, result.sensitivity
