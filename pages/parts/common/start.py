"""Start of a page: the app runs its pages, the model is loaded, the session is kept."""

import streamlit as st
import torch

from pages.parts.common.first_visit import help_panel
from pages.parts.common.requests.live_server import offer_checkpoint
from pages.parts.common.requests.materials_panel import materials_panel
from pages.parts.common.requests.order import checkpoint_path
from pages.parts.common.requests.quantities import with_symbols
from pages.parts.common.sessions import state
from pages.parts.common.sessions.keeper import keep_session
from pages.parts.common.text import plain, sentence
from vaereg.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint

__all__ = ["enter_app", "has_arrived", "shared_checkpoint", "start_page"]


@st.cache_resource(show_spinner=False)
def shared_checkpoint() -> Checkpoint:
    """Return the checkpoint that all sessions share and nobody changes.

    Raises:
        CheckpointError: The file is no checkpoint.
        OSError: The file cannot be read.
    """
    # Sessions and the solver share the processors: threads that wait for each other cost all of them more.
    torch.set_num_threads(1)
    return load_checkpoint(checkpoint_path())


def enter_app() -> None:
    """Note that the app runs its pages, and open the one that was asked for before it did."""
    st.session_state[state.ENTERED] = True
    wanted = st.session_state.pop(state.WANTED_PAGE, None)
    if wanted is not None:
        st.switch_page(wanted, query_params=st.session_state.pop(state.WANTED_LINK))


def start_page(path: str) -> Checkpoint:
    """The model of the dashboard, shared and never changed; without it the page says so and ends.

    Until the app has run once in a server, Streamlit runs the file of a page that is opened by its own
    address instead of the app: then the app is run first.

    Args:
        path: File of the page, from the root of the app.
    """
    if not st.session_state.get(state.ENTERED):
        st.session_state[state.WANTED_PAGE] = path
        st.session_state[state.WANTED_LINK] = {key: st.query_params.get_all(key) for key in st.query_params}
        st.switch_page("app.py")
    st.session_state[state.ARRIVED] = st.session_state.get(state.PAGE) != path
    st.session_state[state.PAGE] = path
    try:
        checkpoint = shared_checkpoint()
    except (CheckpointError, OSError) as error:
        st.error(f"The model could not be loaded. {sentence(str(error))}")
        st.info(
            "`python -m vaereg generate` and `python -m vaereg train` make one; then load this page again."
        )
        st.stop()
    offer_checkpoint(checkpoint)
    keep_session(checkpoint)
    notices = st.session_state.pop(state.LINK_NOTICES, [])
    if notices or st.session_state[state.ARRIVED]:
        st.session_state[state.SHOWN_NOTICES] = notices
    if told := st.session_state.get(state.SHOWN_NOTICES):  # until another page is opened
        st.warning("  \n".join(plain(with_symbols(notice)) for notice in told))
    with st.sidebar:
        help_panel(path)
        materials_panel(checkpoint)
    return checkpoint


def has_arrived() -> bool:
    """Whether the session was on another page before this run."""
    return st.session_state[state.ARRIVED]
