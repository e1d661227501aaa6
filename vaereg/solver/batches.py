"""Results of batches of cells, and batches that are halved where memory ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BatchResult", "in_halves"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """Effective stiffness of a batch of cells, with what it cost; tensors on the device of the phase."""

    stiffness: Tensor
    """Shape (B, 6, 6), float64, Voigt order, engineering shear [GPa]."""
    iterations: int
    """Conjugate-gradient iterations, those of the slowest load case of the batch."""
    residual: Tensor
    """Largest relative residual of each volume in the norm of the preconditioner [-], shape (B,)."""
    converged: bool
    """Whether all residuals reached the tolerance."""
    sensitivity: Tensor | None = None
    """Sensitivities as in `HomogenizationResult`, shape (B, 21, X, Y, Z) [GPa], where asked for."""
    displacement: Tensor | None = None
    """Displacements as in `HomogenizationResult`, shape (B, 6, 3, X, Y, Z), where asked for."""
    element: str = "hex8"
    """Kind of elements, as in `HomogenizationResult`."""
    unloaded: tuple[tuple[str, ...], ...] = ()
    """Directions without load of each volume, as in `HomogenizationResult`."""


def in_halves(
    solve: Callable[[Tensor, Tensor | None], BatchResult], phase: Tensor, initial: Tensor | None = None
) -> BatchResult:
    """Result of a batch, solved in halves, and these in halves, where memory ends.

    Args:
        solve: Function of phases (B, X, Y, Z) and of the displacements to start from.
        phase: All phases.
        initial: Displacements of all cells to start from, shape (B, 6, 3, X, Y, Z), or none.

    Raises:
        RuntimeError: Memory does not suffice for one cell.
    """
    try:
        return solve(phase, initial)
    except RuntimeError as error:
        if len(phase) < 2 or not _is_out_of_memory(error):
            raise
    # outside of the handler, which would keep the tensors of the attempt
    if phase.is_cuda:
        torch.cuda.empty_cache()
    half = len(phase) // 2
    _log.info("%d cells do not fit into memory: in halves", len(phase))
    parts = [slice(0, half), slice(half, len(phase))]
    return _joined([in_halves(solve, phase[p], None if initial is None else initial[p]) for p in parts])


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _joined(results: Sequence[BatchResult]) -> BatchResult:
    def joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
        present = [tensor for tensor in tensors if tensor is not None]
        return torch.cat(present) if present else None

    return BatchResult(
        stiffness=torch.cat([result.stiffness for result in results]),
        iterations=max(result.iterations for result in results),
        residual=torch.cat([result.residual for result in results]),
        converged=all(result.converged for result in results),
        sensitivity=joined([result.sensitivity for result in results]),
        displacement=joined([result.displacement for result in results]),
        element=results[0].element,
        unloaded=tuple(names for result in results for names in result.unloaded),
    )
