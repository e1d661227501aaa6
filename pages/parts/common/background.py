"""The background solver that all sessions share, as a page uses it."""

from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.sessions.keeper import load_part, save_part
from pages.parts.common.sessions.state import OWNER, SESSION_NAME
from pages.parts.solving.precedence import server_precedence
from pages.parts.solving.queue import Outcome, SolverQueue
from pages.parts.solving.shared_folder import open_shared_folder
from vaereg.materials import TwoPhase

__all__ = ["outcomes_of", "owner_name", "session_name", "solver", "watch"]

_OWNER = "owner"
"""Name of the owner among what is saved of a session."""


@st.cache_resource(show_spinner=False)
def solver() -> SolverQueue:
    """Return the solver queue of all sessions."""
    queue = SolverQueue(shared=open_shared_folder(), precedence=server_precedence())
    queue.close_with_program()
    return queue


def session_name() -> str:
    """Return the name of this session in the solver queue."""
    return st.session_state.setdefault(SESSION_NAME, uuid4().hex)


def owner_name() -> str:
    """Return the name that this browser tab keeps over its sessions, on whichever server, for its limits."""
    if OWNER not in st.session_state:
        stored = load_part(_OWNER, [])
        st.session_state[OWNER] = stored if isinstance(stored, str) else session_name()
        save_part(_OWNER, st.session_state[OWNER])
    return st.session_state[OWNER]


def watch(
    pairs: TwoPhase | Sequence[TwoPhase],
    volumes: Sequence[NDArray[np.uint8]],
    asked: Sequence[bool] | None = None,
) -> list[Outcome]:
    """Have the solver work on the volumes that this session shows now, and return their outcomes so far.

    Args:
        pairs: The two phases, or those of each volume.
        volumes: Shown volumes of shape (X, Y, Z), the most wanted first.
        asked: Whether the solver is to work on each volume; on all of them if left out.
    """
    every = [pairs] * len(volumes) if isinstance(pairs, TwoPhase) else [*pairs]
    flags = [True] * len(volumes) if asked is None else asked
    wanted = [job for job, flag in zip(zip(volumes, every, strict=True), flags, strict=True) if flag]
    solver().watch(session_name(), [volume for volume, _ in wanted], [pair for _, pair in wanted])
    return outcomes_of(every, volumes)


def outcomes_of(pairs: TwoPhase | Sequence[TwoPhase], volumes: Sequence[NDArray[np.uint8]]) -> list[Outcome]:
    """Return the solver's outcome per volume, without asking the solver to work on it."""
    return solver().outcomes(volumes, pairs)
