"""Compare & export: the shortlist side by side, in figures and numbers, and its files for other programs."""

from functools import partial

import streamlit as st

from pages.parts.common import start
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.sessions import put_aside
from pages.parts.common.text import plain
from pages.parts.compare import panels
from pages.parts.compare.export_panel import export_inputs
from pages.parts.compare.report import report_bytes, server_address
from pages.parts.compare.session_panel import session_inputs
from pages.parts.compare.tables import compare

POLL = 0.7  # time between two looks at the solver's progress [s]

checkpoint = start.start_page("pages/compare.py")
items = put_aside.complete_shortlist()
with st.sidebar:
    session_inputs(checkpoint)
if not items:
    st.title("Compare & export")
    st.caption(plain(pair_line(current_request(checkpoint).pair)))
    st.info(
        "The shortlist is empty. Put designs aside with the star in a gallery or **Add to the shortlist**, "
        "or load a session in the sidebar."
    )
    with st.container(horizontal=True):
        st.page_link("pages/design.py", label="Find designs for a target")
        st.page_link("pages/predict.py", label="Predict a volume of your own")
    st.stop()

with st.container():  # its spinner comes and goes: what follows is not built anew
    compared = compare(items, panels.measured)
st.title(f"Compare {len(items)} designs" if len(items) > 1 else "One design: put more aside to compare")
st.caption(plain("; ".join(dict.fromkeys(pair_line(item.materials) for item in items))))
solving = panels.is_solving(items)
st.fragment(panels.show_summary, run_every=POLL if solving else None)(compared, solving)
voxel = current_request(checkpoint).voxel
st.fragment(panels.show_gallery)(compared, voxel)
st.fragment(panels.show_figures)(compared)
st.subheader("Export", help="The volumes and what is known of them, in the files of other programs.")
st.fragment(export_inputs)(compared, voxel, partial(report_bytes, voxel=voxel, address=server_address()))
