"""The refinements of this session."""

from collections.abc import Sequence

import streamlit as st

from pages.parts.common.background import solver
from pages.parts.common.state import REFINEMENTS
from pages.parts.design.refinement import Run, refreshed

__all__ = ["session_runs", "set_session_runs"]


def session_runs() -> list[Run]:
    """Return the refinements of this session as far as the solver is with them, the oldest first."""
    runs = [refreshed(run, solver().progress) for run in st.session_state.get(REFINEMENTS, [])]
    set_session_runs(runs)
    return runs


def set_session_runs(runs: Sequence[Run]) -> None:
    """Put these refinements in place of those of this session."""
    st.session_state[REFINEMENTS] = list(runs)
