"""The request of this session: as it is now, its changes with undo and redo, its link, former targets."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.common.requests.request import Request, default_request
from pages.parts.common.requests.request_link import read_link, read_stored
from pages.parts.common.sessions import state
from vaereg.materials import Phase, library
from vaereg.model.checkpoint import Checkpoint

__all__ = [
    "can_redo",
    "can_undo",
    "current_request",
    "former_requests",
    "own_phases",
    "redo",
    "restore_request",
    "set_request",
    "take_link",
    "undo",
]

MAX_STEPS = 60
"""Largest number of changes that can be undone."""


def current_request(checkpoint: Checkpoint) -> Request:
    """Return what this session asks for now."""
    if state.REQUESTS not in st.session_state:
        st.session_state[state.REQUESTS] = [default_request(checkpoint)]
        st.session_state[state.REQUEST_PLACE] = 0
    return st.session_state[state.REQUESTS][st.session_state[state.REQUEST_PLACE]]


def set_request(checkpoint: Checkpoint, request: Request) -> None:
    """Ask for something else; the former request can be had again by `undo`."""
    if request == current_request(checkpoint):
        return
    kept = st.session_state[state.REQUESTS][: st.session_state[state.REQUEST_PLACE] + 1]
    st.session_state[state.REQUESTS] = [*kept, request][-MAX_STEPS - 1 :]
    st.session_state[state.REQUEST_PLACE] = len(st.session_state[state.REQUESTS]) - 1


def can_undo() -> bool:
    """Whether there is a former request."""
    return st.session_state.get(state.REQUEST_PLACE, 0) > 0


def can_redo() -> bool:
    """Whether a request was undone."""
    return st.session_state.get(state.REQUEST_PLACE, 0) + 1 < len(st.session_state.get(state.REQUESTS, []))


def undo() -> None:
    """Ask for what was asked for before the last change."""
    st.session_state[state.REQUEST_PLACE] -= can_undo()


def redo() -> None:
    """Ask for what was undone."""
    st.session_state[state.REQUEST_PLACE] += can_redo()


def former_requests() -> list[Request]:
    """Return the requests of this session, one for each target and pair of phases, the newest first."""
    latest: dict[tuple, Request] = {}
    for request in reversed(st.session_state.get(state.REQUESTS, [])):
        latest.setdefault((request.pair, request.wanted), request)
    return [request for request in latest.values() if request.wanted]


def own_phases(checkpoint: Checkpoint) -> dict[str, Phase]:
    """Return phases of this session that are not of the library, by a text that names them."""
    known = library()
    phases: dict[str, Phase] = {}
    for request in [current_request(checkpoint), *st.session_state[state.REQUESTS]]:
        for phase in (request.pair.stiff, request.pair.soft):
            if phase in known.values() or phase.is_void or phase in phases.values():
                continue
            numbers = f"{phase.young_modulus:g} GPa, ν {phase.poisson_ratio:g}"
            label = phase.name or numbers
            while label in known or label in phases:
                label += f", {numbers}" if numbers not in label else " (own)"
            phases[label] = phase
    return phases


def take_link(checkpoint: Checkpoint) -> None:
    """Ask for what the address of a new session asks for, and note what of it is left out."""
    values = {name: st.query_params.get_all(name) for name in st.query_params}
    request, st.session_state[state.LINK_NOTICES] = read_link(values, checkpoint)
    if request is not None:
        st.session_state[state.REQUESTS], st.session_state[state.REQUEST_PLACE] = [request], 0


def restore_request(checkpoint: Checkpoint, stored: Mapping[str, Any]) -> None:
    """Ask for what a session file or a former session asked for."""
    request, st.session_state[state.LINK_NOTICES] = read_stored(stored, checkpoint)
    if request is not None:
        set_request(checkpoint, request)
