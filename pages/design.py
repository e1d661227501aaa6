"""Design: from phases and targets to microstructures of every mode, checked by the solver."""

import time

import streamlit as st

from pages.parts.common import start
from pages.parts.common.first_visit import first_steps
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.quantities import target_text
from pages.parts.common.text import plain
from pages.parts.common.views.copy_panel import copy_panel
from pages.parts.design import designing, panels, reach_panel, wording
from pages.parts.design.inputs import outlook_of, request_inputs, sampling_inputs
from pages.parts.design.refining import refine_panels
from vaereg.inverse.designs import Designs
from vaereg.inverse.reach import out_of_reach
from vaereg.model.checkpoint import Checkpoint

POLL = 0.7  # time between two looks at the solver's progress [s]
DRAWING = 0.3  # time in which the browser draws a first look, before what follows [s]; designs take longer


def show_refinements(checkpoint: Checkpoint, designs: Designs | None) -> None:
    """What was refined in this session, whether or not there are designs now."""
    refining = refine_panels.is_pending()
    st.fragment(refine_panels.show_runs, run_every=POLL if refining else None)(checkpoint, designs, refining)


checkpoint = start.start_page("pages/design.py")
request = current_request(checkpoint)
targets = request.targets
unknown = wording.unknown_property(request)
begun = None if targets is None or unknown else designing.begin_designs(checkpoint, request)
with st.sidebar:
    request_inputs(checkpoint)
    plane = st.container()
    outlook = [] if targets is None or unknown else outlook_of(checkpoint, targets, request)
    sampling_inputs(checkpoint, outlook)

if targets is None or unknown:
    st.title("Design" if targets is None else f"No designs for {target_text(request.wanted)}")
    st.caption(plain(pair_line(request.pair)))
    if targets is None:
        if checkpoint.modes is not None:
            first_steps(checkpoint)
        st.info("Ask for at least one quantity in the sidebar: the designs follow at once.")
    else:
        st.warning(unknown)
    show_refinements(checkpoint, None)
    st.stop()

title = st.empty()  # at once: the designs take a moment
title.title(f"Designs for {target_text(request.wanted)}")
st.caption(plain(pair_line(request.pair)))
# Says what is being made, in one place: all that follows stays the same to the browser.
over = st.container(gap=None)
with over:
    shown = panels.make_designs(checkpoint, request, begun)
stale = shown.cancelled or shown.problem is not None
if stale:
    title.title(f"No designs for {target_text(request.wanted)}")
if checkpoint.modes is not None:
    first_steps(checkpoint)
designs, notice = shown.designs, ""
notices = st.container()
with notices:
    if shown.cancelled:
        st.warning("Designing was cancelled.")
        st.button("Make these designs", on_click=designing.resume_designs)
    chosen = request.components(checkpoint)
    reached = any(mode.reached for index, mode in enumerate(outlook) if not chosen or index in chosen)
    far = None
    if not (stale or reached):
        pair, symmetry = request.pair, request.constraints.symmetry
        far = out_of_reach(checkpoint, targets, pair, component=chosen or None, symmetry=symmetry)
    problem = shown.problem or far
    if shown.problem:
        st.toast("This target is out of reach.")  # seen wherever the page is scrolled to
    if problem:
        reach_panel.show_problem(checkpoint, problem, coming=far is not None)
if designs is None:
    with plane:
        reach_panel.show_closure(checkpoint, request, None)
    reach_panel.show_out_of_reach(checkpoint, outlook)
    if shown.problem:
        st.info("Move the target back into reach: the designs follow at once.")
    show_refinements(checkpoint, None)
    st.stop()
if stale:
    notice = f"These designs belong to the former {wording.former_text(designs, request)}"

fitting = None if stale else designs
with notices:
    if shown.job is None:
        panels.make_relatives(checkpoint, designs)
    relatives = designing.relatives(designs)
    if relatives is not None:
        designs = relatives.designs
        panels.relatives_bar(checkpoint, relatives)
if shown.job is not None:
    st.fragment(panels.show_first_look)(checkpoint, designs)
    time.sleep(DRAWING)
    with plane:
        reach_panel.show_closure(checkpoint, request, designs)
    reach_panel.show_out_of_reach(checkpoint, outlook)
    with over:
        panels.finish_designs(checkpoint, request, shown.job)
pending = panels.is_pending(designs)
st.fragment(panels.show_gallery, run_every=POLL if pending else None)(checkpoint, designs, notice, pending)
with plane:  # after the gallery, which is what is waited for
    reach_panel.show_closure(checkpoint, request, fitting)
reach_panel.show_out_of_reach(checkpoint, outlook)
st.fragment(panels.show_details, key=panels.DETAILS)(checkpoint, designs, pending)
st.fragment(refine_panels.show_inputs)(checkpoint, designs)
show_refinements(checkpoint, designs)
panels.show_table(checkpoint, designs)
if not stale and relatives is None:
    copy_panel(panels.copied_request(checkpoint, request), "these designs", "copy-designs")
