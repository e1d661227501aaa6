"""Bounds on the uploaded files that a session, and all sessions of the server, hold in memory."""

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.parts.common.sessions import state

__all__ = ["bounded_uploads", "refusal"]

MAX_SESSION_BYTES = 400 * 2**20
"""Size of all uploaded files of a session [byte]: four of the largest."""
MAX_ALL_BYTES = 2 * 2**30
"""Size of the uploaded files of all sessions [byte]."""


def bounded_uploads(files: Sequence[UploadedFile]) -> list[UploadedFile]:
    """Remove uploaded files that are too many from the memory of the server, and return the others.

    The latest files go first. `refusal` says so until the user has chosen other files.

    Args:
        files: Files of an uploader, the oldest first.
    """
    chosen = [file.file_id for file in files]
    seen, refused, message = st.session_state.get(state.REFUSED_UPLOADS, ([], [], ""))
    if not set(chosen) <= set(seen):  # the user has chosen others since
        seen, refused, message = chosen, [], ""
    kept = [file for file in files if file.file_id not in refused]  # a rerun has removed files once more
    while kept and (reason := _surplus()):
        message = f"{kept[-1].name}: {reason}"
        refused = [*refused, kept[-1].file_id]
        _remove(kept.pop())
    st.session_state[state.REFUSED_UPLOADS] = (seen, refused, message)
    return kept


def refusal() -> str | None:
    """Return why the last file was refused; None where none was."""
    return st.session_state.get(state.REFUSED_UPLOADS, ([], [], ""))[2] or None


def _surplus() -> str | None:
    """Return what is expected of all uploads, in words, where they are too large together."""
    manager, session = _manager()
    if manager is None:
        return None
    sizes = {
        owner: sum(len(record.data) for record in list(records.values()))
        for owner, records in list(manager.file_storage.items())
    }
    if sizes.get(session, 0) > MAX_SESSION_BYTES:
        return f"expected at most {MAX_SESSION_BYTES >> 20} MB of files in a session, got more: take some out"
    if sum(sizes.values()) > MAX_ALL_BYTES:
        return f"expected at most {MAX_ALL_BYTES >> 20} MB of files of all users, got more: try later"
    return None


def _remove(file: UploadedFile) -> None:
    manager, session = _manager()
    if manager is not None:
        manager.remove_file(session, file.file_id)


def _manager() -> tuple[MemoryUploadedFileManager | None, str]:
    """Return the server's uploaded files and the name by which it knows this session."""
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return None, ""
    return context.uploaded_file_mgr, context.session_id
