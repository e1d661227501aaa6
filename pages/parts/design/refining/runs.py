"""The refinements of this session, which outlive it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import streamlit as st

from pages.parts.common.background import owner_name, session_name, solver
from pages.parts.common.sessions.keeper import former_token, load_part, save_part
from pages.parts.common.sessions.state import REFINEMENTS, RESTORED_REFINEMENTS, SAVED_REFINEMENTS
from pages.parts.design.refining.refinement import Entry, Run, cancelled, refreshed
from pages.parts.solving.queue import QueueFullError
from pages.parts.solving.tasks import Progress, RefineTask
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs
from vaereg.inverse.idle import Idle
from vaereg.inverse.refining.search import Drawn, Origin, Refinement, Step
from vaereg.materials import Phase, TwoPhase
from vaereg.targets import CellProperties, Targets, Wanted

__all__ = ["session_runs", "set_session_runs"]

_PART = "refinements"
"""Name of the refinements among what is saved of a session."""
_TYPES = (
    Run,
    Entry,
    RefineTask,
    TwoPhase,
    Phase,
    Designs,
    Idle,
    CellProperties,
    Targets,
    Wanted,
    Constraints,
    Progress,
    Refinement,
    Step,
    Origin,
    Drawn,
)


def session_runs() -> list[Run]:
    """Return the refinements of this session, and of the former one of this tab, the oldest first.

    They are as far as the solver is with them. What the former session had not finished is begun anew.
    """
    if former_token() is not None and RESTORED_REFINEMENTS not in st.session_state:
        st.session_state[RESTORED_REFINEMENTS] = True
        numbers = count(1)
        runs = [*map(_begun_anew, load_part(_PART, _TYPES) or []), *st.session_state.get(REFINEMENTS, [])]
        st.session_state[REFINEMENTS] = [replace(run, number=next(numbers)) for run in runs]
    runs = [refreshed(run, solver().progress) for run in st.session_state.get(REFINEMENTS, [])]
    set_session_runs(runs)
    return runs


def set_session_runs(runs: Sequence[Run]) -> None:
    """Put these refinements in place of those of this session, and save them where a design has ended."""
    st.session_state[REFINEMENTS] = list(runs)
    ended = [(run.number, run.name, [entry.unfinished for entry in run.entries]) for run in runs]
    if ended != st.session_state.get(SAVED_REFINEMENTS, []):
        st.session_state[SAVED_REFINEMENTS] = ended
        save_part(_PART, list(runs))


def _begun_anew(run: Run) -> Run:
    """Have the solver take up the unfinished designs of a saved run."""
    tasks = [entry.task for entry in run.entries if entry.unfinished]
    try:
        solver().start(session_name(), tasks, owner=owner_name())
    except (QueueFullError, ValueError):
        return cancelled(run)
    return run
