"""Design: from a target stiffness to microstructures of every mixture component, checked by the solver."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from pages.shared import state, widgets
from pages.shared.background import Outcome
from pages.shared.figures import design_figure
from pages.shared.gallery import selected_volume, volume_gallery
from vaereg.checkpoint import Checkpoint
from vaereg.design import Designs
from vaereg.elasticity import PROPERTIES

SIZE = 32
DETAILS = "details"
POLL = 0.7  # time between two looks at the solver's progress [s]


def show_gallery(checkpoint: Checkpoint, designs: Designs, notice: str, polling: bool) -> None:
    """Summary and gallery; run again by itself until the solver has seen all designs."""
    outcomes = state.watch(checkpoint, list(designs.microstructures))
    if polling and all(outcome is not None for outcome in outcomes):
        st.rerun()  # once more as a whole, without the clock
    widgets.design_summary(designs, outcomes, components=checkpoint.components)
    volume_gallery(
        state.GALLERY,
        designs.microstructures,
        widgets.design_rows(designs),
        widgets.design_captions(designs, outcomes),
        selected=chosen_design(designs, outcomes),
        notice=notice,
        on_select=lambda: st.rerun(DETAILS),
    )


def show_details(checkpoint: Checkpoint, designs: Designs) -> None:
    """Figures and files of the chosen design, and the table of all; run again when another one is chosen."""
    outcomes = state.watch(checkpoint, list(designs.microstructures))
    chosen = chosen_design(designs, outcomes)
    mean, std, truth = designs.mean[chosen], designs.std[chosen], widgets.solved(outcomes)[chosen]
    st.subheader(f"Design #{chosen + 1}, component {designs.component[chosen] + 1}")
    left, right = st.columns([6, 5], gap="medium")
    with left:
        wanted = [widgets.value_text(designs.targets.get(name)) for name in PROPERTIES]
        table = {"Target [GPa]": wanted, "Predicted [GPa]": mean, "± std [GPa]": std, "Solver [GPa]": truth}
        table["Difference [%]"] = 100 * (mean / truth - 1)
        widgets.show_table(widgets.property_table(table), key="selected-table", missing="–")
        if isinstance(outcomes[chosen], Exception):
            st.error(f"The solver gave up on this design. {state.sentence(str(outcomes[chosen]))}")
        with st.container(horizontal=True):
            st.download_button(
                f"Download design #{chosen + 1} (.npy)",
                data=partial(widgets.volume_file, designs.microstructures[chosen]),
                file_name=f"design-{chosen + 1}.npy",
                on_click="ignore",
            )
            if st.button("Open in Predict"):
                state.show_volume(
                    f"design #{chosen + 1}, seed {designs.seed}", designs.microstructures[chosen]
                )
                st.switch_page("pages/predict.py")
    with right:
        known = truth if np.isfinite(truth).all() else None
        figure = design_figure(mean, std, known, designs.targets, checkpoint.property_ranges)
        st.plotly_chart(figure, key="selected-figure", config={"displayModeBar": False})
    st.subheader("All designs")
    widgets.show_table(widgets.design_table(designs, outcomes), key="design-table", missing="…")


def chosen_design(designs: Designs, outcomes: Sequence[Outcome]) -> int:
    """The design that the user chose, or else the best one."""
    chosen = selected_volume(state.GALLERY, designs.microstructures)
    return widgets.best_design(designs, outcomes)[0] if chosen is None else chosen


checkpoint = state.start_page("pages/design.py")
with st.sidebar:
    targets = widgets.target_inputs(checkpoint.property_ranges)
    count, seed = widgets.sampling_inputs()
    widgets.material_note(checkpoint, SIZE)

if not targets:
    st.title("Design")
    st.info("Fix at least one property in the sidebar: the designs follow at once.")
    st.stop()

shown = state.show_designs(checkpoint, targets, count=count, size=SIZE, seed=seed)
st.title(f"{'No designs' if shown.problem else 'Designs'} for {widgets.target_text(targets)}")
designs, notice = shown.designs, ""
if shown.problem:
    st.toast("This target is out of reach.")  # seen wherever the page is scrolled to
    st.warning(state.sentence(shown.problem))
if designs is None:
    st.info("Move the target back into reach: the designs follow at once.")
    st.stop()
if shown.problem:
    notice = f"These designs belong to the former target: {widgets.target_text(designs.targets)}"

pending = any(outcome is None for outcome in state.watch(checkpoint, list(designs.microstructures)))
st.fragment(show_gallery, run_every=POLL if pending else None)(checkpoint, designs, notice, pending)
st.fragment(show_details, key=DETAILS)(checkpoint, designs)
# Built from what is known when it is clicked.
st.download_button(
    "Download all designs (designs.h5)",
    data=partial(widgets.latest_designs_file, designs, state.solver(), checkpoint.model.materials),
    file_name="designs.h5",
    mime="application/x-hdf5",
    on_click="ignore",
)
