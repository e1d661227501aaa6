"""The background solver that all sessions share."""

from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.state import SESSION_NAME
from pages.parts.solving.queue import Outcome, SolverQueue
from vaereg.model.checkpoint import Checkpoint


@st.cache_resource(show_spinner=False)
def solver() -> SolverQueue:
    """The background solver of all sessions."""
    queue = SolverQueue()
    queue.close_with_program()
    return queue


def session_name() -> str:
    """What the background solver calls this session."""
    return st.session_state.setdefault(SESSION_NAME, uuid4().hex)


def watch(
    checkpoint: Checkpoint, volumes: Sequence[NDArray[np.uint8]], asked: Sequence[bool] | None = None
) -> list[Outcome]:
    """Have the solver work on the volumes that this session shows now; what is known of them so far.

    Args:
        checkpoint: Whose materials count.
        volumes: What is shown, the most wanted first.
        asked: Which of them the solver is to work on; all if left out.
    """
    materials = checkpoint.model.materials
    wanted = volumes if asked is None else [v for v, one in zip(volumes, asked, strict=True) if one]
    solver().watch(session_name(), wanted, materials)
    return known(checkpoint, volumes)


def known(checkpoint: Checkpoint, volumes: Sequence[NDArray[np.uint8]]) -> list[Outcome]:
    """What the solver knows of volumes, without asking it to work on them."""
    return solver().known(volumes, checkpoint.model.materials)
