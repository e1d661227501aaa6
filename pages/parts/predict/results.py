"""Everything that the Predict page says of a volume: prediction, guaranteed bounds, solver, constants."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import streamlit as st

from pages.parts.common import background, widgets
from pages.parts.common.answers import LARGEST, PairOutcome, predict_pair
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shown import ShownVolume
from pages.parts.common.text import sentence
from pages.parts.common.views import mesh_panel
from pages.parts.common.views.figures import COMPONENT_COLORS, prediction_figure
from pages.parts.common.views.gallery import Caption, Row, volume_gallery
from pages.parts.predict import answers, panels
from pages.parts.predict.alike import alike_panel
from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import Prediction, log_interval
from vaereg.solver.homogenization import HomogenizationResult

__all__ = ["INTERVAL", "TABS", "show_results"]

TABS = "predict-tabs"

INTERVAL = 0.9
"""Probability of the interval that is shown [-]."""


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
    answer = predict_pair(shown.volume, own) if shown.volume.size <= LARGEST else None
    watched, pair = [shown.volume] if asked else [], own if scale is None else model
    outcome = (background.solver().watch(background.session_name(), watched, pair) or [None])[0]
    if polling and (outcome or not asked) and not mesh_panel.mesh_at_work(shown.volume, own):
        st.rerun()  # once more as a whole, without the clock
    factor = 1.0 if scale is None else scale
    truth = factor * widgets.solved([outcome])[0]
    fraction = float(prediction.volume_fraction[0])
    table = _prediction(answer, prediction, scale)
    bounds = _bounds(answer, fraction, own)
    mean, least, most = table
    lower, upper = bounds.values()
    least, most = np.maximum(least, lower), np.minimum(most, upper)
    # What comes and goes has one place: what follows stays the same to the browser, and is not built anew.
    head = st.container()
    if not np.isfinite(mean).all():
        head.warning("This volume is too large for a prediction with these phases. The solver takes any.")
    with head:
        widgets.volume_summary(prediction, mean / factor, outcome, asked=asked)
        if isinstance(outcome, Exception):
            st.error(f"The solver gave up on this volume. {sentence(str(outcome))}")
        judge = prediction if scale is not None or answer is None else answer.stiffness
        panels.scan_notice(shown.volume, novel=not judge.in_distribution[0])
    whole = factor * outcome.stiffness if isinstance(outcome, HomogenizationResult) else None
    with st.container(horizontal=True):
        panels.shortlist_button(checkpoint, shown, own, answer, whole)
        alike_panel(checkpoint, shown, own, answer.mean if whole is None and answer is not None else whole)
    with st.container(key="volume-panes"):
        view, plot = st.columns([6, 7], gap="medium")
    with view:
        rows = [Row(panels=[0], color=COMPONENT_COLORS[0])]
        volume_gallery(state.VOLUME_VIEW, shown.volume[None], rows, [Caption(title="")])
    solved = truth if np.isfinite(truth).all() else None
    name = "Reuss to Voigt bound" if answer is None else "guaranteed"
    figure = prediction_figure(mean, least, most, lower, upper, solved, name)
    plot.plotly_chart(
        figure,
        key="volume-figure",
        config={"displayModeBar": False},
        alt="C11 to C66: guaranteed, predicted, solved",
    )
    columns = {
        "Predicted [GPa]": mean,
        "90 % from [GPa]": least,
        "90 % to [GPa]": most,
        "Solver [GPa]": truth,
        "Difference [%]": 100 * (mean / truth - 1),
        **bounds,
    }
    views: dict[str, Callable[[], None]] = {
        "Stiffness": lambda: widgets.show_table(
            widgets.property_table(columns),
            key="volume-properties",
            missing="–",
            digits=2,  # ends of an interval that differ
        ),
        "Whole matrix": lambda: _predicted(answer, answers.matrix_panel),
        "Engineering constants": lambda: panels.constants_panel(answer, whole, shown.volume, own),
        "Conduction and mass": lambda: _predicted(
            answer, lambda known: answers.conduction_panel(known, fraction, own)
        ),
        "Place in the training data": lambda: panels.place_panel(checkpoint, prediction, scale),
        "Mesh check": lambda: mesh_panel.mesh_panel(shown.volume, own),
    }
    # What is not looked at is neither computed nor drawn.
    for tab, show in zip(st.tabs(list(views), key=TABS, on_change="rerun"), views.values(), strict=True):
        if tab.open:
            with tab:
                show()


def _predicted(answer: PairOutcome | None, show: Callable[[PairOutcome], None]) -> None:
    """Show what follows from the prediction for a pair, where there is one."""
    if answer is None:
        st.info("This volume is too large for a prediction with these phases.")
    else:
        show(answer)


def _prediction(
    answer: PairOutcome | None, prediction: Prediction, scale: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C11 ... C66 with both ends of their interval [GPa], shape (6,) each; NaN where there are none."""
    if answer is not None:
        mean = np.diag(answer.mean)
        half = NormalDist().inv_cdf(0.5 + 0.5 * INTERVAL) * np.diag(answer.std)
        return mean, mean - half, mean + half
    if scale is None:
        return np.full(6, np.nan), np.full(6, np.nan), np.full(6, np.nan)
    mean = scale * prediction.mean[0]
    return mean, *log_interval(mean, scale * prediction.std[0], INTERVAL)


def _bounds(answer: PairOutcome | None, fraction: float, own: TwoPhase) -> dict[str, np.ndarray]:
    """Guaranteed bounds of C11 ... C66 [GPa], by their headings: lower, upper."""
    reuss, voigt = np.diag(reuss_bound(fraction, own)), np.diag(voigt_bound(fraction, own))
    if answer is None:
        return {"Reuss bound [GPa]": reuss, "Voigt bound [GPa]": voigt}
    lower, upper = np.diag(answer.stiffness.lower[0]), np.diag(answer.stiffness.upper[0])
    return {
        "Guaranteed from [GPa]": np.maximum(lower, reuss),
        "Guaranteed to [GPa]": np.minimum(upper, voigt),
    }
