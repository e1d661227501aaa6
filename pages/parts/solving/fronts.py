"""Pareto fronts in a worker process of the solver; free of any user interface."""

from pathlib import Path

from vaereg.errors import InputError
from vaereg.inverse.fronts.verified import DesignFront, design_front
from vaereg.inverse.orders import DesignOrder
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.targets import Targets

__all__ = ["CANDIDATES", "find_front"]

CANDIDATES = 160
"""Candidates of a front: a minute of one processor."""
_models: dict[Path | None, Checkpoint] = {}


def find_front(order: DesignOrder, targets: Targets, candidates: int = CANDIDATES) -> DesignFront:
    """Designs on the front of two objectives.

    Args:
        order: Phases, constraints, modes, cell size and seed.
        targets: The two objectives, and what else is wanted.
        candidates: Number of cells that are decoded.

    Raises:
        InputError: As `design_front` does, or the model here is another one than where the order comes from.
    """
    checkpoint = _models.get(order.checkpoint)
    if checkpoint is None:
        checkpoint = _models[order.checkpoint] = load_checkpoint(order.checkpoint)
    if order.checkpoint_hash not in ("", checkpoint.hash):
        raise InputError(f"expected the model {order.checkpoint_hash}, got {checkpoint.hash}")
    return design_front(
        checkpoint,
        targets,
        candidates,
        order.size,
        materials=order.materials,
        seed=order.seed,
        component=order.component,
        constraints=order.constraints,
    )
