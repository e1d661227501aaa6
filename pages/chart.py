"""Chart: materials, what each mode reaches with these phases, and designs, in the plane of two quantities."""

import streamlit as st

from pages.parts.chart.front import front_inputs, is_searching, show_front
from pages.parts.chart.panel import axis_inputs, show_chart
from pages.parts.common import start
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.text import plain

POLL = 1.0  # time between two looks at the search [s]

checkpoint = start.start_page("pages/chart.py")
request = current_request(checkpoint)
st.title("Materials and structures")
st.caption(plain(pair_line(request.pair)))
across, up, guide = axis_inputs(request.pair)
show_chart(checkpoint, (across, up), guide)
if checkpoint.modes is not None:
    st.subheader("Trade-off", help="Designs of which no other one is better in both quantities.")
    front_inputs(checkpoint)
    searching = is_searching()
    st.fragment(show_front, run_every=POLL if searching else None)(checkpoint, searching)
