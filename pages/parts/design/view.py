"""Designs as rows, captions, tables, files and items of the shortlist; what the Design page shows."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.gallery import Caption, Line, Row
from pages.parts.common.modes import (
    component_color,
    component_column,
    component_kind,
    component_title,
    lowered,
    mode_named,
)
from pages.parts.common.shortlist import ShortlistItem
from pages.parts.design import designing
from pages.parts.design.outlook import probability_text
from pages.parts.solving.queue import Outcome, SolverQueue
from pages.parts.solving.tasks import RTOL
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.designs import Designs, save_designs
from vaereg.materials import TwoPhase
from vaereg.microstructure.morphology import describe
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODES
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import CellProperties, target_distance

__all__ = [
    "best_design",
    "design_captions",
    "design_item",
    "design_rows",
    "design_table",
    "latest_designs_file",
]

IN_CAPTIONS = 3
"""Properties in the captions of the gallery."""


def design_rows(checkpoint: Checkpoint, designs: Designs) -> list[Row]:
    """The rows of the gallery: one per mode or mixture component that has designs."""
    rows = []
    for component in np.unique(designs.component):
        panels = np.flatnonzero(designs.component == component).tolist()
        weight = float(designs.weights[component])
        if checkpoint.modes is None:
            volumes = designs.microstructures[panels]
            note = f"weight {100 * weight:.0f} %"
            character = _character(volumes, "".join(volume_hash(volume) for volume in volumes))
        else:
            note, character = probability_text(weight), MODES[component].sentence
        rows.append(
            Row(
                panels=panels,
                color=component_color(component),
                title=component_title(checkpoint, component),
                weight=weight,
                note=note,
                character=character,
            )
        )
    return rows


@st.cache_data(max_entries=512, show_spinner=False)
def _character(_volumes: NDArray[np.uint8], names: str) -> str:
    """Return the look of volumes in words; nothing where a volume has one phase only."""
    try:
        return describe(_volumes).name
    except ValueError:
        return ""


def deviations(
    designs: Designs, outcomes: Sequence[Outcome]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest deviation over what is asked for, predicted and by the solver, each of shape (N,) [-]."""
    cells = CellProperties.from_diagonal(widgets.solved(outcomes), designs.fraction, designs.materials)
    return designs.largest_deviation, designs.wanted.largest_deviation(cells)


def best_design(designs: Designs, outcomes: Sequence[Outcome]) -> tuple[int, str]:
    """The design nearest to the target, and who says so: the solver once it knows all, before the model."""
    predicted, verified = deviations(designs, outcomes)
    verified = np.where(np.isfinite(widgets.solved(outcomes)).all(axis=1), verified, np.nan)
    if all(outcome is not None for outcome in outcomes) and np.isfinite(verified).any():
        return int(np.nanargmin(verified)), "solver"
    return int(np.argmin(predicted)), "prediction"


def design_captions(
    checkpoint: Checkpoint, designs: Designs, outcomes: Sequence[Outcome], asked: Sequence[bool]
) -> list[Caption]:
    """Return the captions of the panels of the gallery.

    Args:
        checkpoint: The model.
        designs: What is shown.
        outcomes: What the solver knows of each.
        asked: Whether the solver works on it.
    """
    names = [name for name in PROPERTIES if name in designs.targets]
    names = (names + [name for name in PROPERTIES if name not in names])[:IN_CAPTIONS]
    columns = [PROPERTIES.index(name) for name in names]
    truth = widgets.solved(outcomes)
    off, verified = deviations(designs, outcomes)
    best, judge = best_design(designs, outcomes)
    captions = []
    for i, outcome in enumerate(outcomes):
        predicted = [f"{100 * off[i]:.1f} %"] + [f"{designs.mean[i, j]:.1f}" for j in columns]
        spread = [""] + [f"{designs.std[i, j]:.1f}" for j in columns]
        if isinstance(outcome, HomogenizationResult):
            figures = [f"{100 * verified[i]:.1f} %"] + [f"{truth[i, j]:.1f}" for j in columns]
            solver = Line(label="solver", values=figures, kind="solver")
        elif outcome is None:
            text, kind = ("…", "pending") if asked[i] else ("–", "spread")
            solver = Line(label="solver", values=[text] * (len(columns) + 1), kind=kind)
        else:
            solver = Line(label="solver", values=["failed"] * (len(columns) + 1), kind="failed")
        captions.append(
            Caption(
                title=f"#{i + 1}",
                badge=f"best by {judge}" if i == best else "",
                columns=["most off", *names],
                lines=[
                    Line(label="predicted", values=predicted, kind="predicted"),
                    Line(label="± std", values=spread, kind="spread"),
                    solver,
                ],
            )
        )
    return captions


def design_table(checkpoint: Checkpoint, designs: Designs, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """All figures of the designs, one line each."""
    truth = widgets.solved(outcomes)
    predicted, verified = deviations(designs, outcomes)
    table = {
        "Design": np.arange(1, len(designs.component) + 1),
        component_kind(checkpoint).capitalize(): component_column(checkpoint, designs.component),
        "Largest deviation, predicted [%]": 100 * predicted,
        "Largest deviation, solver [%]": 100 * verified,
        "Mean deviation, predicted [%]": 100 * designs.mean_distance,
        "Mean deviation, solver [%]": 100 * target_distance(truth, designs.targets),
        "Volume fraction [-]": designs.microstructures.mean(axis=(1, 2, 3)),
    }
    for j, name in enumerate(PROPERTIES):
        table[f"{name} predicted [GPa]"] = designs.mean[:, j]
        table[f"{name} ± std [GPa]"] = designs.std[:, j]
        table[f"{name} solver [GPa]"] = truth[:, j]
    return pd.DataFrame(table)


def design_item(checkpoint: Checkpoint, designs: Designs, index: int, outcome: Outcome) -> ShortlistItem:
    """One design as it is put aside."""
    component = int(designs.component[index])
    made_by = component_title(checkpoint, component)
    mode = mode_named(made_by)
    subject = f"{made_by} #{index + 1}" if mode else f"#{index + 1}"
    solved = isinstance(outcome, HomogenizationResult)
    return ShortlistItem(
        name=f"{subject}, {widgets.target_text(designs.targets)}",
        volume=designs.microstructures[index],
        origin=f"design #{index + 1}, {lowered(made_by)}, {designing.origin(designs)}",
        targets=designs.targets,
        mean=designs.mean[index],
        std=designs.std[index],
        stiffness=outcome.stiffness if solved else None,
        latent=designs.latent[index].astype(np.float64),
        component=component,
        mode=mode,
        seed=designs.seed,
        checkpoint=designs.checkpoint,
    )


def designs_file(designs: Designs, outcomes: Sequence[Outcome], materials: TwoPhase | None = None) -> bytes:
    """The designs as `designs.h5`, with the solver's stiffness where every design was verified."""
    results = [outcome for outcome in outcomes if isinstance(outcome, HomogenizationResult)]
    complete = len(results) == len(designs.component)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.h5"
        save_designs(
            path,
            designs,
            materials=materials,
            stiffness=np.stack([outcome.stiffness for outcome in results]) if complete else None,
            solver_tolerance=RTOL if complete else None,
            solver_dtype="float32" if complete else "",
            solves=np.ones(len(results), dtype=np.int64) if complete else None,
        )
        return path.read_bytes()


def latest_designs_file(designs: Designs, solver: SolverQueue, materials: TwoPhase) -> bytes:
    """The designs with what the solver knows of them now."""
    return designs_file(designs, solver.outcomes(list(designs.microstructures), materials), materials)
