"""Model: what the checkpoint is, how far it can be trusted, and what it does not cover."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import start, widgets
from pages.parts.common.sessions import state
from pages.parts.model import panels
from pages.parts.model.figures import coverage_figure, log_figure
from vaereg.evaluation.records import comparable_baselines, comparable_runs, read_record
from vaereg.model import checkpoint as released
from vaereg.model.embedding import Embedding
from vaereg.model.modes.release import Modes


@st.cache_resource(max_entries=4, show_spinner=False)
def read_metrics(path: Path, modified: float) -> dict[str, Any]:
    """Test figures; shared, never changed."""
    return json.loads(path.read_text(encoding="utf-8"))


@st.cache_resource(max_entries=4, show_spinner=False)
def read_benchmark(path: Path, modified: float) -> dict[str, Any]:
    """Record of a benchmark; shared, never changed."""
    return read_record(path, path.stem)


@st.cache_data(max_entries=4, show_spinner=False)
def read_log(path: Path, modified: float) -> dict[str, NDArray[np.float64]]:
    """Columns of the training log."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))


def record(name: str) -> dict[str, Any] | None:
    """Record of a benchmark, where it was run."""
    path = state.BENCHMARKS / f"{name}.json"
    return read_benchmark(path, path.stat().st_mtime) if path.is_file() else None


def data(embedding: Embedding) -> None:
    """What the training data cover."""
    st.subheader("What the data cover")
    figure = coverage_figure(embedding.properties, embedding.family, checkpoint.model.materials)
    st.plotly_chart(
        figure, key="coverage-figure", config=panels.PLAIN, alt="Properties of the training volumes"
    )


def training(path: Path) -> None:
    """Curves of the training log."""
    log = read_log(path, path.stat().st_mtime)
    st.subheader("Training")
    st.caption(
        "Terms of the loss before they are weighted, as means over some thirty steps; validation mape is the "
        "encoder's error on C11, C22 and C33 of unseen volumes, components used the number of equal ones."
    )
    names = [name for name, values in log.items() if np.isfinite(values).any()]
    figure = log_figure(log, [name for name in names if name not in ("step", "seconds")])
    st.plotly_chart(
        figure, key="log-figure", config=panels.PLAIN, alt="Terms of the loss over the steps of the training"
    )


def modes(named: Modes) -> None:
    """What the modes reach, and how their designs did."""
    panels.modes(named, checkpoint.model.materials)
    if "modes" in metrics:
        panels.mode_figures(metrics["modes"])


checkpoint = start.start_page("pages/model.py")
st.title("Model")
kinds = "mixture components" if checkpoint.modes is None else "named modes"
st.caption(f"Checkpoint {checkpoint.hash}, {checkpoint.components} {kinds}")

metrics: dict[str, Any] = {}
metrics_path = released.DEFAULT_CHECKPOINT.with_suffix(".json")
log_path = released.DEFAULT_CHECKPOINT.with_name(f"{released.DEFAULT_CHECKPOINT.stem}-log.csv")
if not metrics_path.is_file():
    st.info("No test figures yet: `python -m vaereg evaluate` writes them beside the checkpoint.")
else:
    metrics = read_metrics(metrics_path, metrics_path.stat().st_mtime)
    if metrics.get("checkpoint") != checkpoint.hash:
        st.warning("The test figures below were measured on another checkpoint: run `vaereg evaluate` again.")
others = record("baselines")

parts: dict[str, Callable[[], None]] = {"Overview": lambda: panels.overview(checkpoint, metrics)}
if "forward" in metrics:
    parts["Prediction"] = lambda: panels.prediction(metrics, comparable_baselines(metrics, others))
if "inverse" in metrics:
    runs = comparable_runs(checkpoint.hash, checkpoint.card, others)
    parts["Inverse design"] = lambda: panels.inverse(checkpoint, metrics, runs)
if (named := checkpoint.modes) is not None:
    parts["Modes"] = partial(modes, named)
parts["Refinement"] = lambda: panels.refinement(record("refinement"), checkpoint)
if "components" in metrics:
    parts["Components"] = lambda: panels.components(metrics["components"], of_irregular=named is not None)
if "decoder" in metrics:
    parts["Decoder"] = lambda: panels.decoder(metrics["decoder"])
if (embedding := checkpoint.embedding) is not None:
    parts["Data"] = partial(data, embedding)
if log_path.is_file():
    parts["Training"] = lambda: training(log_path)

for tab, show in zip(widgets.lasting_tabs(list(parts), state.MODEL_PART), parts.values(), strict=True):
    if tab.open:
        with tab:
            show()
