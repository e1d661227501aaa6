"""Design: from a target stiffness to microstructures of every mode, checked by the solver."""

import streamlit as st

from pages.parts.common import start, widgets
from pages.parts.common.modes import with_titles
from pages.parts.common.text import sentence
from pages.parts.design import designing, panels, refine_panels
from pages.parts.design.inputs import (
    lasting_inputs,
    outlook_of,
    sampling_inputs,
    set_nearest,
    target_inputs,
)
from vaereg.inverse.designs import Designs
from vaereg.model.checkpoint import Checkpoint

POLL = 0.7  # time between two looks at the solver's progress [s]


def show_refinements(checkpoint: Checkpoint, designs: Designs | None) -> None:
    """What was refined in this session, whether or not there are designs now."""
    refining = refine_panels.is_pending(checkpoint)
    st.fragment(refine_panels.show_runs, run_every=POLL if refining else None)(checkpoint, designs, refining)


checkpoint = start.start_page("pages/design.py")
with st.sidebar, lasting_inputs(checkpoint):
    targets = target_inputs(checkpoint)
    plane = st.container()
    outlook = outlook_of(checkpoint, targets)
    sampling = sampling_inputs(checkpoint, outlook)
    widgets.material_note(checkpoint, sampling.size)

if not targets:
    st.title("Design")
    st.info("Ask for at least one property in the sidebar: the designs follow at once.")
    show_refinements(checkpoint, None)
    st.stop()

shown = panels.make_designs(checkpoint, targets, sampling)
stale = shown.cancelled or shown.problem is not None
st.title(f"{'No designs' if stale else 'Designs'} for {widgets.target_text(targets)}")
designs, notice = shown.designs, ""
notices = st.container()  # what comes and goes has one place: all that follows stays the same to the browser
with notices:
    if shown.cancelled:
        st.warning("Designing was cancelled.")
        st.button("Make these designs", on_click=designing.resume_designs)
    if shown.problem:
        st.toast("This target is out of reach.")  # seen wherever the page is scrolled to
        st.warning(sentence(with_titles(str(shown.problem))))
        st.button(
            "Use the nearest reachable target",
            on_click=set_nearest,
            args=(checkpoint, targets, shown.problem.nearest),
            help="Sets the sliders to what comes nearest: the designs follow at once.",
        )
if designs is None:
    with plane:
        panels.show_closure(checkpoint, targets, None)
    panels.show_out_of_reach(checkpoint, targets, outlook)
    if shown.problem:
        st.info("Move the target back into reach: the designs follow at once.")
    show_refinements(checkpoint, None)
    st.stop()
if stale:
    if widgets.target_text(designs.targets) == widgets.target_text(targets):
        former = f"settings: cells of {designs.size}³ voxels, seed {designs.seed}"
    else:
        former = f"target: {widgets.target_text(designs.targets)}"
    notice = f"These designs belong to the former {former}"

fitting = None if stale else designs
with notices:
    panels.make_relatives(checkpoint, designs)
    relatives = designing.relatives(designs)
    if relatives is not None:
        designs = relatives.designs
        panels.relatives_bar(checkpoint, relatives)
pending = panels.is_pending(checkpoint, designs)
st.fragment(panels.show_gallery, run_every=POLL if pending else None)(checkpoint, designs, notice, pending)
with plane:  # after the gallery, which is what is waited for
    panels.show_closure(checkpoint, targets, fitting)
panels.show_out_of_reach(checkpoint, targets, outlook)
st.fragment(panels.show_details, key=panels.DETAILS)(checkpoint, designs, pending)
st.fragment(refine_panels.show_inputs)(checkpoint, designs)
show_refinements(checkpoint, designs)
panels.show_table(checkpoint, designs)
