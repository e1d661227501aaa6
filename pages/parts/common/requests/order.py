"""The request of a session as an order of designs, which a worker carries out; free of any user interface."""

import os
from pathlib import Path

from pages.parts.common.requests.request import Request
from vaereg.inverse.orders import DesignOrder
from vaereg.model.checkpoint import Checkpoint

__all__ = ["checkpoint_path", "design_order"]

_CHECKPOINT = "VAEREG_CHECKPOINT"
"""Variable of the environment that names the model of the dashboard: the shipped one without it."""


def checkpoint_path() -> Path | None:
    """Return the file of the model that the environment names; None for the shipped one."""
    given = os.environ.get(_CHECKPOINT)
    return Path(given) if given else None


def design_order(checkpoint: Checkpoint, request: Request) -> DesignOrder:
    """Return phases, constraints, modes, size and seed of a request; targets and number are not in it."""
    return DesignOrder(
        size=request.size,
        seed=request.seed,
        component=request.components(checkpoint) or None,
        constraints=request.constraints,
        materials=request.pair,
        checkpoint=checkpoint_path(),
        checkpoint_hash=checkpoint.hash,
    )
