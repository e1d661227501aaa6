"""Predict: a volume of the user to its elastic stiffness, with uncertainty, beside the solver's."""

import numpy as np
import streamlit as st

from pages.shared import state, widgets
from pages.shared.figures import COMPONENT_COLORS, prediction_figure
from pages.shared.gallery import Caption, Row, volume_gallery
from vaereg.checkpoint import Checkpoint
from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.prediction import Prediction

POLL = 0.7  # time between two looks at the solver's progress [s]
SMALL = 40  # edge up to which the solver runs unasked [voxel]: it takes about half a second
NORMAL_90 = 1.645  # half width of the central 90 % of a normal distribution, in standard deviations


def show_results(
    checkpoint: Checkpoint, shown: state.ShownVolume, prediction: Prediction, asked: bool, polling: bool
) -> None:
    """Everything about the volume; run again by itself until the solver is through."""
    (outcome,) = state.watch(checkpoint, [shown.volume]) if asked else [None]
    if polling and outcome is not None:
        st.rerun()  # once more as a whole, without the clock
    truth = widgets.solved([outcome])[0]
    known = bool(np.isfinite(truth).all())
    mean, half = prediction.mean[0], NORMAL_90 * prediction.std[0]
    fraction, materials = float(prediction.volume_fraction[0]), checkpoint.model.materials
    lower, upper = np.diag(reuss_bound(fraction, materials)), np.diag(voigt_bound(fraction, materials))
    least, most = np.maximum(mean - half, lower), np.minimum(mean + half, upper)
    widgets.volume_summary(prediction, outcome, asked=asked)
    if not prediction.in_distribution[0]:
        st.warning("This volume is unlike the training data: rely on the solver, not on the prediction.")
    if isinstance(outcome, Exception):
        st.error(f"The solver gave up on this volume. {state.sentence(str(outcome))}")
    with st.container(key="volume-panes"):
        view, plot = st.columns([6, 7], gap="medium")
    with view:
        row = Row(panels=[0], color=COMPONENT_COLORS[0])
        volume_gallery(state.VOLUME_VIEW, shown.volume[None], [row], [Caption(title="")])
    figure = prediction_figure(mean, least, most, lower, upper, truth if known else None)
    plot.plotly_chart(figure, key="volume-figure", config={"displayModeBar": False})
    table = {
        "Predicted [GPa]": mean,
        "90 % from [GPa]": least,
        "90 % to [GPa]": most,
        "Solver [GPa]": truth,
        "Difference [%]": 100 * (mean / truth - 1),
        "Reuss bound [GPa]": lower,
        "Voigt bound [GPa]": upper,
    }
    widgets.show_table(widgets.property_table(table), key="volume-properties", missing="–")


checkpoint = state.start_page("pages/predict.py")
with st.sidebar:
    st.subheader("Volume")
    file = st.file_uploader(
        "NumPy file (.npy) of 0 (soft) and 1 (stiff), cubic",
        type="npy",
        key=state.UPLOAD,
        max_upload_size=20,
    )
    st.button(
        "Show an example", on_click=state.show_example, help="A generated volume, another one each time."
    )

problem = state.show_upload(file) if file is not None else None
shown = state.shown_volume()
st.title(f"Stiffness of {state.plain(shown.name)}")
if problem:
    st.error(f"{state.plain(problem)}. The former volume is still shown.")
st.caption(f"{' × '.join(map(str, shown.volume.shape))} voxels · hash `{shown.hash[:10]}`")

try:
    prediction = state.predict_volume(checkpoint, shown)
except ValueError as error:
    st.error(state.sentence(str(error)))
    st.stop()
asked = max(shown.volume.shape) <= SMALL
if not asked:
    asked = st.toggle("Run the solver on this volume", key=state.SOLVE_LARGE)
pending = asked and state.watch(checkpoint, [shown.volume]) == [None]
st.fragment(show_results, run_every=POLL if pending else None)(checkpoint, shown, prediction, asked, pending)
