"""Designs as rows, captions, tables, files and items of the shortlist; what the Design page shows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.answers import guaranteed_ends
from pages.parts.common.requests.constraints import constraint_words
from pages.parts.common.requests.modes import (
    component_color,
    component_column,
    component_kind,
    component_title,
    lowered,
    mode_picture,
)
from pages.parts.common.requests.quantities import (
    OF_VOXELS,
    axis_title,
    figure_text,
    guaranteed_text,
    missing_property,
    signed_deviations,
    symbol,
    target_text,
    wanted_text,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.views.cards import (
    COLUMN_KINDS,
    COLUMNS,
    Judgement,
    card_lines,
    deviation_text,
    largest_first,
)
from pages.parts.common.views.figures import deviation_figure
from pages.parts.common.views.gallery import Caption, Mark, Row
from pages.parts.design import designing
from pages.parts.design.outlook import probability_text
from pages.parts.solving.queue import Outcome, SolverQueue
from pages.parts.solving.tasks import solver_settings
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.designs import Designs, save_designs
from vaereg.microstructure.morphology import describe
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import CellProperties, Targets

if TYPE_CHECKING:  # the first designs of a server do not wait for it
    import pandas as pd

__all__ = [
    "best_design",
    "design_captions",
    "design_item",
    "design_rows",
    "design_table",
    "judgement_of",
    "latest_designs_file",
    "quantity_table",
    "target_figure",
]

_ALSO = ("volume_fraction", "density", "E_x", "E_y", "E_z", "G_yz", "G_xz", "G_xy", "nu_xy", "nu_xz", "nu_yz")
"""Quantities of the table of one design that are not asked for, before C11 to C66."""


def design_rows(checkpoint: Checkpoint, designs: Designs) -> list[Row]:
    """The rows of the gallery, one per mode or component; designs that meet the constraints come first."""
    rows = []
    for component in np.unique(designs.component):
        own = np.flatnonzero(designs.component == component)
        panels = own[np.argsort((~designs.met[own]).sum(axis=1), kind="stable")].tolist()
        weight = float(designs.weights[component])
        if checkpoint.modes is None:
            volumes = designs.microstructures[panels]
            note = f"weight {100 * weight:.0f} %"
            character = _character(volumes, "".join(volume_hash(volume) for volume in volumes))
            drawn = ""
        else:
            note, character = probability_text(weight), checkpoint.modes.catalogue[component].sentence
            drawn = mode_picture(checkpoint.modes, component)
        rows.append(
            Row(
                panels=panels,
                color=component_color(component),
                title=component_title(checkpoint, component),
                weight=weight,
                note=note,
                character=character,
                picture=drawn,
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


def judgement_of(designs: Designs, outcomes: Sequence[Outcome]) -> Judgement:
    """What prediction and solver say of designs; the conductivity is always solved."""
    predicted = designs.cells
    solved = CellProperties(
        stiffness=widgets.solved_stiffness(outcomes),
        fraction=designs.fraction,
        materials=designs.materials,
        conductivity=predicted.conductivity,
    )
    return Judgement(targets=designs.wanted, predicted=predicted, solved=solved)


def best_design(designs: Designs, outcomes: Sequence[Outcome]) -> tuple[int, str]:
    """The design nearest to the target, and who says so: the solver once it knows all, before the model.

    Designs that meet the constraints come first; of those near the target the one that is best by the
    objectives.
    """
    judgement = judgement_of(designs, outcomes)
    rows, cells, judge = np.arange(len(designs.component)), judgement.predicted, "prediction"
    if all(outcome is not None for outcome in outcomes) and judgement.is_solved.any():
        rows, judge = np.flatnonzero(judgement.is_solved), "solver"
        cells = judgement.solved.rows(rows)
    order = rows[designs.wanted.order(cells, tolerance=_NEAR)]
    unmet = (~designs.met[order]).sum(axis=1)
    return int(order[np.argmin(unmet)]), judge


_NEAR = 0.03
"""Largest deviation within which objectives decide [-]."""


def design_captions(
    designs: Designs,
    request: Request,
    outcomes: Sequence[Outcome],
    asked: Sequence[bool],
    *,
    raw: bool = False,
) -> list[Caption]:
    """Return the captions of the panels of the gallery.

    Args:
        designs: What is shown.
        request: What is asked for: the length of a voxel.
        outcomes: What the solver knows of each.
        asked: Whether the solver works on it.
        raw: Whether these are a first look, before corrections.
    """
    judgement = judgement_of(designs, outcomes)
    best, judge = best_design(designs, outcomes)
    captions = []
    for i, outcome in enumerate(outcomes):
        state = "failed" if isinstance(outcome, Exception) else "…" if asked[i] or raw else "–"
        captions.append(
            Caption(
                title=designing.design_title(designs, i) + (", raw" if raw else ""),
                badge=f"best by {judge}" if i == best else "",
                columns=COLUMNS,
                kinds=COLUMN_KINDS,
                pending=outcome is None and asked[i],
                lines=card_lines(judgement, i, state),
                marks=constraint_marks(designs, request, i),
            )
        )
    return captions


def constraint_marks(designs: Designs, request: Request, row: int) -> list[Mark]:
    """Constraints of one design, and whether its voxels meet each."""
    own = Request(constraints=designs.constraints, voxel=request.voxel)
    return [
        Mark(text=constraint_words(name, own), met=bool(designs.met[row, place]))
        for place, name in enumerate(designs.constraints.names)
    ]


def quantity_table(
    targets: Targets | None,
    judgement: Judgement,
    row: int,
    std: NDArray[np.float64] | None,
    volume: NDArray[np.uint8],
) -> pd.DataFrame:
    """Table of one cell with a row per quantity: those asked for, the farthest off first, then usual ones.

    Args:
        targets: What is wanted; None where nothing is.
        judgement: What is known of the cells.
        row: The cell.
        std: Standard deviation of the predicted C11 to C66 [GPa], shape (6,).
        volume: Voxels of the cell, for guaranteed bounds.
    """
    import pandas as pd

    pair = judgement.predicted.materials
    asked = [] if targets is None else largest_first(targets, judgement.best, row)
    known = np.isfinite(judgement.best.stiffness[row]).all()
    usual = [name for name in _ALSO if known or name in OF_VOXELS]
    names = asked + [
        name for name in (*usual, *PROPERTIES) if name not in asked and not missing_property(name, pair)
    ]
    predicted, solved = (
        cells.rows([row]).values(names)[0] for cells in (judgement.predicted, judgement.solved)
    )
    items = {} if targets is None else {item.name: item for item in targets}
    off = dict.fromkeys(names, np.nan)
    if targets is not None:
        signed = signed_deviations(targets, judgement.best.rows([row]))[0]
        off |= dict(zip(targets.names, signed.tolist(), strict=True))
    ends = guaranteed_ends(names, volume, pair).tolist()
    rows = []
    for name, own, truth, (low, high) in zip(names, predicted.tolist(), solved.tolist(), ends, strict=True):
        of_voxels = name in OF_VOXELS
        spread = std[PROPERTIES.index(name)] if std is not None and name in PROPERTIES else np.nan
        rows.append(
            {
                "Quantity": axis_title(name),
                "Target": wanted_text(items[name], unit=False) if name in items else "free",
                "Predicted": figure_text(own),
                "Solver": figure_text(truth),
                "Off target": deviation_text(off[name]) if name in items else "",
                "Guaranteed": guaranteed_text(name, low, high),
                "± std": "" if np.isnan(spread) else figure_text(spread),
                "Prediction error": ""
                if np.isnan(truth) or of_voxels
                else deviation_text(own / truth - 1 if truth else 0.0),
            }
        )
    return pd.DataFrame(rows)


def target_figure(designs: Designs, judgement: Judgement, row: int) -> go.Figure:
    """One design against its target, a line for each quantity that is asked for."""
    targets = designs.wanted
    ranges = {name: targets.range_of(name) for name in largest_first(targets, judgement.best, row)}
    names = [name for name, ends in ranges.items() if np.isfinite(ends).any()]
    places = [targets.names.index(name) for name in names]
    scales = targets.scales(judgement.best.rows([row]))[0][places]
    low, high = (ends[places] for ends in targets.limits())
    middle = np.where(np.isfinite(low + high), 0.5 * (low + high), np.where(np.isfinite(low), low, high))
    values = [cells.rows([row]).values(names)[0] for cells in (judgement.predicted, judgement.solved)]
    std = np.array(
        [designs.std[row, PROPERTIES.index(name)] if name in PROPERTIES else np.nan for name in names]
    )
    bands = list(zip((low - middle) / scales, (high - middle) / scales, strict=True))
    return deviation_figure(
        [symbol(name) for name in names],
        bands,
        *((value - middle) / scales for value in values),
        spread=std / scales if np.isfinite(std).any() else None,
    )


def design_table(checkpoint: Checkpoint, designs: Designs, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """All figures of the designs, one line each."""
    import pandas as pd

    judgement = judgement_of(designs, outcomes)
    predicted, verified = judgement.deviations()
    names = [*designs.wanted.names, *(name for name in PROPERTIES if name not in designs.wanted.names)]
    own, truth = judgement.predicted.values(names), judgement.solved.values(names)
    table = {
        "Design": np.arange(1, len(designs.component) + 1),
        component_kind(checkpoint).capitalize(): component_column(checkpoint, designs.component),
        "Largest deviation, predicted [%]": 100 * predicted,
        "Largest deviation, solver [%]": 100 * verified,
        "Mean deviation, predicted [%]": 100 * designs.mean_distance,
        "Mean deviation, solver [%]": 100
        * np.where(judgement.is_solved, designs.wanted.mean_deviation(judgement.solved), np.nan),
        "Volume fraction [-]": designs.fraction,
    }
    if not missing_property("density", designs.materials):
        table["Density [g/cm³]"] = designs.cells.values(["density"])[:, 0]
    for place, name in enumerate(designs.constraints.names):
        title = constraint_words(name, Request(constraints=designs.constraints))
        table[title] = np.where(designs.met[:, place], "met", "not met")
    for j, name in enumerate(names):
        if name in OF_VOXELS:
            continue
        unit = axis_title(name).partition(" [")[2]
        table[f"{symbol(name)} predicted [{unit}"] = own[:, j]
        if name in PROPERTIES:
            table[f"{symbol(name)} ± std [{unit}"] = designs.std[:, PROPERTIES.index(name)]
        table[f"{symbol(name)} solver [{unit}"] = truth[:, j]
    return pd.DataFrame(table)


def design_item(checkpoint: Checkpoint, designs: Designs, index: int, outcome: Outcome) -> ShortlistItem:
    """One design as it is put aside."""
    component = int(designs.component[index])
    made_by = component_title(checkpoint, component)
    mode = designs.modes[component] if designs.modes else ""
    title = designing.design_title(designs, index)
    subject = f"{made_by} {title}" if mode else title
    solved = isinstance(outcome, HomogenizationResult)
    stiffness, conductivity = designs.stiffness[index], designs.conductivity[index]
    return ShortlistItem(
        name=f"{subject}, {target_text(designs.wanted)}",
        volume=designs.microstructures[index],
        origin=f"design #{index + 1}, {lowered(made_by)}, {designing.origin(designs)}",
        targets=designs.wanted,
        materials=designs.materials,
        constraints=designs.constraints,
        mean=designs.mean[index],
        std=designs.std[index],
        predicted=stiffness if np.isfinite(stiffness).all() else None,
        conductivity=conductivity if np.isfinite(conductivity).all() else None,
        stiffness=outcome.stiffness if solved else None,
        latent=designs.latent[index].astype(np.float64),
        component=component,
        mode=mode,
        seed=designs.seed,
        checkpoint=designs.checkpoint,
    )


def designs_file(designs: Designs, outcomes: Sequence[Outcome]) -> bytes:
    """The designs as `designs.h5`, with the solver's stiffness where every design was verified."""
    results = [outcome for outcome in outcomes if isinstance(outcome, HomogenizationResult)]
    complete, settings = len(results) == len(designs.component), solver_settings(designs.materials)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.h5"
        save_designs(
            path,
            designs,
            stiffness=np.stack([outcome.stiffness for outcome in results]) if complete else None,
            solver_tolerance=settings["rtol"] if complete else None,
            solver_dtype=np.dtype(settings["dtype"]).name if complete else "",
            solves=np.ones(len(results), dtype=np.int64) if complete else None,
        )
        return path.read_bytes()


def latest_designs_file(designs: Designs, solver: SolverQueue) -> bytes:
    """The designs with what the solver knows of them now."""
    return designs_file(designs, solver.outcomes(list(designs.microstructures), designs.materials))
