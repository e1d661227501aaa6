"""Predict: volumes of the user to their elastic stiffness, with uncertainty, beside the solver's."""

import numpy as np
import streamlit as st

from pages.parts.common import background, mesh_panel, start, state, widgets
from pages.parts.common.figures import COMPONENT_COLORS, prediction_figure
from pages.parts.common.gallery import Caption, Row, volume_gallery
from pages.parts.common.shown import ShownVolume, predict_volume, show_example, shown_volume
from pages.parts.common.text import plain, sentence
from pages.parts.predict import panels
from pages.parts.predict.upload import chosen_blocks, upload_inputs
from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import Prediction, log_interval
from vaereg.solver.homogenization import HomogenizationResult

POLL = 0.7  # time between two looks at the solver's progress [s]
SMALL = 40**3  # voxels up to which the solver runs unasked: it takes about half a second
INTERVAL = 0.9  # probability of the interval that is shown


def show_results(
    checkpoint: Checkpoint,
    shown: ShownVolume,
    prediction: Prediction,
    own: TwoPhase,
    asked: bool,
    polling: bool,
) -> None:
    """Everything about the volume; run again by itself until the solver is through."""
    model = checkpoint.model.materials
    scale = panels.scale_of(own, model)
    watched, pair = [shown.volume] if asked else [], own if scale is None else model
    outcome = (background.solver().watch(background.session_name(), watched, pair) or [None])[0]
    if polling and (outcome or not asked) and not mesh_panel.mesh_at_work(shown.volume, own):
        st.rerun()  # once more as a whole, without the clock
    factor = 1.0 if scale is None else scale
    truth = factor * widgets.solved([outcome])[0]
    mean = factor * prediction.mean[0]
    least, most = log_interval(mean, factor * prediction.std[0], INTERVAL)
    fraction = float(prediction.volume_fraction[0])
    lower, upper = np.diag(reuss_bound(fraction, own)), np.diag(voigt_bound(fraction, own))
    least, most = np.maximum(least, lower), np.minimum(most, upper)
    # What comes and goes has one place: what follows stays the same to the browser, and is not built anew.
    head = st.container()
    if scale is None:
        head.warning(
            f"The prediction does not apply: the model knows a contrast of {model.contrast:g} and a Poisson "
            f"ratio of {model.nu_stiff:g}. The solver takes any materials."
        )
        mean = least = most = np.full(6, np.nan)
    with head:
        widgets.volume_summary(prediction, outcome, asked=asked, applies=scale is not None)
        if isinstance(outcome, Exception):
            st.error(f"The solver gave up on this volume. {sentence(str(outcome))}")
        novel = scale is not None and not prediction.in_distribution[0]
        panels.scan_notice(shown.volume, novel=novel)
    panels.shortlist_button(checkpoint, shown, prediction, None if scale is None else outcome)
    with st.container(key="volume-panes"):
        view, plot = st.columns([6, 7], gap="medium")
    with view:
        rows = [Row(panels=[0], color=COMPONENT_COLORS[0])]
        volume_gallery(state.VOLUME_VIEW, shown.volume[None], rows, [Caption(title="")])
    solved = truth if np.isfinite(truth).all() else None
    figure = prediction_figure(mean, least, most, lower, upper, solved)
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
    stiffness, constants, place, mesh = st.tabs(
        ["Stiffness", "Engineering constants", "Place in the training data", "Mesh check"]
    )
    with stiffness:
        widgets.show_table(widgets.property_table(table), key="volume-properties", missing="–")
    with constants:
        whole = factor * outcome.stiffness if isinstance(outcome, HomogenizationResult) else None
        panels.constants_panel(whole)
    with place:
        panels.place_panel(checkpoint, prediction, scale)
    with mesh:
        mesh_panel.mesh_panel(shown.volume, own)


checkpoint = start.start_page("pages/predict.py")
with st.sidebar:
    st.subheader("Volume")
    st.button("Show an example", on_click=show_example, help="A generated volume, another one each time.")
    files, problem = upload_inputs()
    own = panels.material_inputs(checkpoint.model.materials)

shown = shown_volume()
st.title(f"Stiffness of {plain(shown.name)}")
with st.container():
    if problem:
        st.error(f"{plain(problem)}. The former volume is still shown.")
reading = "" if shown.read_as is None else f"  \nRead as {plain(shown.read_as.sentence())}"
st.caption(f"{' × '.join(map(str, shown.volume.shape))} voxels · hash `{shown.hash[:10]}`{reading}")

try:
    with st.spinner("Predicting …", show_time=True):
        prediction = predict_volume(checkpoint, shown.volume)
except ValueError as error:
    st.error(sentence(str(error)))
    st.stop()
panels.note_file(shown, prediction)
asked = shown.volume.size <= SMALL
choice = st.container()
if not asked:
    asked = choice.toggle(
        "Run the solver on this volume",
        key=state.SOLVE_LARGE,
        help="It takes seconds for 64³ voxels, a minute for 128³. Switch it off to stop.",
        persist_state="session",
    )
scale = panels.scale_of(own, checkpoint.model.materials)
materials = own if scale is None else checkpoint.model.materials
pending = asked and background.solver().watch(background.session_name(), [shown.volume], materials) == [None]
pending = pending or mesh_panel.mesh_at_work(shown.volume, own)
st.fragment(show_results, run_every=POLL if pending else None)(
    checkpoint, shown, prediction, own, asked, pending
)
if scale is not None and (blocks := chosen_blocks()) is not None:
    panels.blocks_panel(checkpoint, blocks, scale)
if scale is not None and len(files) > 1:
    panels.files_panel(checkpoint, files, scale)
