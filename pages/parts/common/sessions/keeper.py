"""What outlives a session of the server: its name in the browser tab, its saved work, the inputs in the link.

A tab keeps the token of its session. A session that begins in a tab which has a token already, after a reload
or a restart of the server, takes over what was saved under that token, and goes on under a token of its own:
so two tabs, of which one is a copy of the other, do not write over each other's work.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from pages.parts.common.requests.current import current_request, restore_request, take_link
from pages.parts.common.requests.request import default_request
from pages.parts.common.requests.request_link import LINK_NAMES
from pages.parts.common.sessions import state
from pages.parts.common.sessions.packing import pack, unpack
from pages.parts.common.sessions.session_store import SessionStore, default_folder, new_token
from vaereg.model.checkpoint import Checkpoint

__all__ = ["former_token", "keep_session", "load_part", "save_part"]

_ASSETS = Path(__file__).parents[4] / "assets"
PARTS = ("shortlist", "refinements", "inputs", "owner")
"""Names of everything that is saved of a session."""
_INPUTS = "inputs"
"""Name of the inputs among what is saved of a session."""
_log = logging.getLogger(__name__)

_component = component("vaereg_keeper", js=(_ASSETS / "keeper.js").read_text(encoding="utf-8"))


def keep_session(checkpoint: Checkpoint) -> None:
    """Exchange tokens with the tab, and keep the request in its address; draws nothing."""
    _restore_inputs(checkpoint)
    fresh = state.FORMER_TOKEN not in st.session_state
    st.session_state[state.KEEPER_RUNS] = st.session_state.get(state.KEEPER_RUNS, 0) + 1
    data = {  # texts, since Streamlit takes lists for tables
        "token": _token(),
        "fresh": fresh,
        "run": st.session_state[state.KEEPER_RUNS] if fresh else 0,  # the component acts on new data alone
        "page": st.session_state.get(state.PAGE, ""),
        "names": " ".join(LINK_NAMES),
        "link": _link(checkpoint),
    }
    st.session_state[state.LINK_TAKEN] = True
    with st.container(key="session-keeper"):
        _component(key=state.KEEPER, data=data, on_stored_change=_adopt)


def former_token() -> str | None:
    """Return the token under which this tab has saved work before this session; None where it has not."""
    return st.session_state.get(state.FORMER_TOKEN)


def save_part(part: str, value: object) -> None:
    """Save a part of the work of this session."""
    try:
        _store().save(_token(), part, pack(value))
    except TypeError as error:
        _log.warning("the %s cannot be saved: %s", part, error)


def load_part(part: str, types: Sequence[type]) -> Any:  # noqa: ANN401 (whatever was saved)
    """Return a part of the work that this tab saved in its former session; None where there is none.

    Args:
        part: Name of the part.
        types: Dataclasses that it may hold.
    """
    token = former_token()
    content = None if token is None else _store().load(token, part)
    if content is None:
        return None
    try:
        return unpack(content, types)
    except ValueError as error:  # such as of another version of the program
        _log.warning("the saved %s cannot be taken over: %s", part, error)
        return None


def _restore_inputs(checkpoint: Checkpoint) -> None:
    """Ask for what the former session of this tab asked for, unless the address asks for something."""
    if former_token() is None or state.RESTORED_INPUTS in st.session_state:
        return
    st.session_state[state.RESTORED_INPUTS] = True
    inputs = load_part(_INPUTS, [])
    if isinstance(inputs, dict) and not any(name in st.query_params for name in LINK_NAMES):
        restore_request(checkpoint, inputs)


def _link(checkpoint: Checkpoint) -> str:
    """Save the request and return it as an address has it; a session that begins takes it from there."""
    if state.LINK_TAKEN not in st.session_state:
        take_link(checkpoint)
    request = current_request(checkpoint)
    inputs = request.stored()
    if inputs != st.session_state.get(state.SAVED_INPUTS):
        st.session_state[state.SAVED_INPUTS] = inputs
        save_part(_INPUTS, inputs)
    return "" if request == default_request(checkpoint) else request.text()


def _token() -> str:
    return st.session_state.setdefault(state.TOKEN, new_token())


def _adopt() -> None:
    """Note the token of the former session in this tab, and go on with its saved work."""
    stored = (st.session_state.get(state.KEEPER) or {}).get("stored")
    if isinstance(stored, str) and state.FORMER_TOKEN not in st.session_state:
        st.session_state[state.FORMER_TOKEN] = stored
        for part in PARTS:  # a page that takes a part over may not be opened before the next restart
            content = _store().load(stored, part)
            if content is not None and _store().load(_token(), part) is None:
                _store().save(_token(), part, content)


@st.cache_resource(show_spinner=False)
def _store() -> SessionStore:
    return SessionStore(default_folder())
