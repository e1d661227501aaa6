"""Saving a session to a file, and loading it again: the shortlist, and the inputs of the Design page."""

from functools import partial

import streamlit as st

from pages.parts.common.requests.current import current_request, restore_request
from pages.parts.common.sessions import put_aside, state
from pages.parts.common.sessions.session_file import MAX_SESSION_BYTES, Session, read_session, write_session
from pages.parts.common.text import counted, sentence
from vaereg.model.checkpoint import Checkpoint

__all__ = ["session_inputs"]


def session_inputs(checkpoint: Checkpoint) -> None:
    """A button to save the session, and a place for the file of a former one."""
    st.subheader("Session", help="The shortlist and the inputs of the page Design, in one file.")
    session = Session(items=put_aside.shortlist(), inputs=current_request(checkpoint).stored())
    st.download_button(
        "Save the session",
        data=partial(write_session, session),
        file_name="vaereg-session.zip",
        mime="application/zip",
        on_click="ignore",
        disabled=not (session.items or session.inputs),
        width="stretch",
    )
    st.file_uploader(
        "Load a session",
        type="zip",
        key=state.SESSION_FILE,
        max_upload_size=MAX_SESSION_BYTES >> 20,
        on_change=_load,
        args=(checkpoint,),
        help="It takes the place of the shortlist and of the inputs of the page Design.",
    )
    kind, text, hashes = st.session_state.get(state.SESSION_MESSAGE, ("", "", []))
    if kind == "error":
        st.error(text)
    elif kind and hashes == _hashes():  # of what is still there
        st.success(text)


def _load(checkpoint: Checkpoint) -> None:
    """Take the session of the file that was chosen; what is no session changes nothing."""
    st.session_state.pop(state.SESSION_MESSAGE, None)
    file = st.session_state[state.SESSION_FILE]
    if file is None:
        return
    try:
        session = read_session(file, name=file.name)
    except ValueError as error:
        message = f"{sentence(str(error))} What was here before is kept."
        st.session_state[state.SESSION_MESSAGE] = ("error", message, [])
        return
    put_aside.set_shortlist(session.items)
    restore_request(checkpoint, session.inputs)
    message = f"Loaded {counted(len(session.items), 'design')}"
    message += " and the inputs of Design." * bool(session.inputs)
    st.session_state[state.SESSION_MESSAGE] = ("success", message, _hashes())


def _hashes() -> list[str]:
    return [item.hash for item in put_aside.shortlist()]
