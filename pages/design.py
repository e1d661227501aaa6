"""Design: from a target stiffness to microstructures of every mixture component, checked by the solver."""

from functools import partial

import streamlit as st

from pages.shared import design_panels, design_view, state, widgets
from pages.shared.targets import sampling_inputs, target_inputs

POLL = 0.7  # time between two looks at the solver's progress [s]

checkpoint = state.start_page("pages/design.py")
with st.sidebar:
    targets = target_inputs(checkpoint)
    plane = st.container()
    sampling = sampling_inputs(checkpoint)
    widgets.material_note(checkpoint, sampling.size)

if not targets:
    st.title("Design")
    st.info("Ask for at least one property in the sidebar: the designs follow at once.")
    st.stop()

with st.spinner("Designing …", show_time=sampling.size > 32):
    shown = state.show_designs(checkpoint, targets, sampling)
st.title(f"{'No designs' if shown.problem else 'Designs'} for {widgets.target_text(targets)}")
designs, notice = shown.designs, ""
if shown.problem:
    st.toast("This target is out of reach.")  # seen wherever the page is scrolled to
    st.warning(state.sentence(str(shown.problem)))
with plane:
    design_panels.show_closure(checkpoint, targets, None if shown.problem else designs)
if designs is None:
    st.info("Move the target back into reach: the designs follow at once.")
    st.stop()
if shown.problem:
    notice = f"These designs belong to the former target: {widgets.target_text(designs.targets)}"

pending = design_panels.is_pending(checkpoint, designs)
st.fragment(design_panels.show_gallery, run_every=POLL if pending else None)(
    checkpoint, designs, notice, pending
)
st.fragment(design_panels.show_details, key=design_panels.DETAILS)(checkpoint, designs)
# Built from what is known when it is clicked.
st.download_button(
    "Download all designs (designs.h5)",
    data=partial(design_view.latest_designs_file, designs, state.solver(), checkpoint.model.materials),
    file_name="designs.h5",
    mime="application/x-hdf5",
    on_click="ignore",
)
