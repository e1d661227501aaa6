"""Model: what the checkpoint is, how far it can be trusted, and what it does not cover."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.shared import state, widgets
from pages.shared.figures_model import (
    TIER_NAMES,
    coverage_figure,
    family_figure,
    log_figure,
    parity_figure,
    reliability_figure,
)
from vaereg import checkpoint as released
from vaereg.elasticity import PROPERTIES

CURVES = ("regression", "validation_mape", "divergence", "correlation", "style", "components_used")
PLAIN: dict[str, Any] = {"displayModeBar": False}


@st.cache_data(show_spinner=False)
def read_metrics(path: Path, modified: float) -> dict[str, Any]:
    """Test figures."""
    return json.loads(path.read_text(encoding="utf-8"))


@st.cache_data(show_spinner=False)
def read_log(path: Path, modified: float) -> dict[str, NDArray[np.float64]]:
    """Columns of the training log."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))


def show_forward(forward: dict[str, Any], held_out: dict[str, Any]) -> None:
    """Errors of the predictions: table, by family, parity, reliability."""
    names = {**TIER_NAMES, "volume_fraction_only": "volume fraction only"}
    rows = [
        {"Prediction": title}
        | {f"{name} [%]": 100 * forward[key]["mape"][name] for name in PROPERTIES}
        | {"C11, C22, C33 [%]": 100 * forward[key]["mape_axial"]}
        for key, title in names.items()
        if key in forward
    ]
    st.subheader("Prediction against the solver", help="Mean absolute percentage error on unseen volumes.")
    widgets.show_table(pd.DataFrame(rows), key="forward-table", missing="–")
    tiers = [tier for tier in TIER_NAMES if tier in forward]
    left, right = st.columns(2, gap="medium")
    strange = {tier: held_out.get(tier, {}).get("mape_axial_by_family", {}) for tier in tiers}
    errors = {tier: forward[tier].get("mape_axial_by_family", {}) | strange[tier] for tier in tiers}
    families = sorted({name for each in strange.values() for name in each})
    left.plotly_chart(family_figure(errors, families), key="family-figure", config=PLAIN)
    if "reliability" in forward:
        observed = {tier: forward["reliability"][tier] for tier in tiers}
        figure = reliability_figure(forward["reliability"]["nominal"], observed)
        right.plotly_chart(figure, key="reliability-figure", config=PLAIN)
    if "parity" in forward:
        parity = forward["parity"]
        for tab, tier in zip(st.tabs([TIER_NAMES[tier] for tier in tiers]), tiers, strict=True):
            figure = parity_figure(parity["truth"], parity[tier]["mean"])
            tab.plotly_chart(figure, key=f"parity-{tier}", config=PLAIN)


checkpoint = state.start_page("pages/model.py")
pair, card = checkpoint.model.materials, checkpoint.card
st.title("Model")
facts = {key: value for key, value in card.items() if isinstance(value, str | int | float)}
st.caption(f"Checkpoint {checkpoint.hash}, {checkpoint.components} mixture components")
with st.expander("What it was made from", expanded=False):
    table = {"": [key.replace("_", " ") for key in facts], "Value": [str(value) for value in facts.values()]}
    st.dataframe(pd.DataFrame(table), hide_index=True, key="card-table")

st.subheader("Limits of validity")
st.markdown(
    f"- Periodic two-phase cells of **{pair.e_stiff:g} GPa** (stiff) and **{pair.e_soft:g} GPa** (soft), "
    f"Poisson ratio {pair.nu_stiff:g} and {pair.nu_soft:g}; linear elasticity, small strain. For another "
    "contrast of the phases the predictions do not hold: use the solver.\n"
    "- Trained on random families of volumes. Where a volume is marked as novel, rely on the solver.\n"
    "- Stiffness is that of trilinear elements on the given voxels: finer voxels of the same geometry would "
    "give lower values.\n"
    "- One cell is one realisation: another of the same kind differs, the more the coarser its structure is."
)

metrics_path = released.DEFAULT_CHECKPOINT.with_suffix(".json")
if metrics_path.is_file():
    metrics = read_metrics(metrics_path, metrics_path.stat().st_mtime)
    if metrics.get("checkpoint") != checkpoint.hash:
        st.warning("The test figures below were measured on another checkpoint: run `vaereg evaluate` again.")
    show_forward(metrics["forward"], metrics.get("held_out", {}))
else:
    st.info("No test figures yet: `python -m vaereg evaluate` writes them beside the checkpoint.")

if checkpoint.embedding is not None:
    st.subheader("What the data cover")
    figure = coverage_figure(checkpoint.embedding.properties, checkpoint.embedding.family, pair)
    st.plotly_chart(figure, key="coverage-figure", config=PLAIN)

log_path = released.DEFAULT_CHECKPOINT.with_name(f"{released.DEFAULT_CHECKPOINT.stem}-log.csv")
if log_path.is_file():
    log = read_log(log_path, log_path.stat().st_mtime)
    st.subheader("Training")
    st.plotly_chart(log_figure(log, [name for name in CURVES if name in log]), key="log-figure", config=PLAIN)
