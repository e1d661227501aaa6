"""Batch: a table of targets to designs for every row, in the background."""

import streamlit as st

from pages.parts.batch.panel import is_running, show_progress, table_inputs
from pages.parts.common import start
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.text import plain

POLL = 1.0  # time between two looks at the progress [s]

checkpoint = start.start_page("pages/batch.py")
with st.sidebar:
    st.subheader("Table")
    table_inputs(checkpoint)
st.title("Designs for a table of targets")
st.caption(plain(pair_line(current_request(checkpoint).pair)))
running = is_running()
st.fragment(show_progress, run_every=POLL if running else None)(running)
