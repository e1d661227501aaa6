"""A refined design in the Design page: both volumes, all figures, and what can be done with it."""

from typing import Any

import numpy as np
import streamlit as st

from pages.parts.common import widgets
from pages.parts.common.answers import QUICK, stiffness_bounds
from pages.parts.common.requests.constraints import constraint_words
from pages.parts.common.requests.modes import (
    component_color,
    component_kind,
    component_title,
    lowered,
)
from pages.parts.common.requests.quantities import figure_text, signed_deviations, target_text, with_unit
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.sessions.shown import show_volume
from pages.parts.common.text import counted, sentence
from pages.parts.common.views import mesh_panel
from pages.parts.common.views.cards import deviation_text, largest_first
from pages.parts.common.views.gallery import Caption, Line, Mark, Row, volume_gallery
from pages.parts.design.refining.refinement import Entry, Run, comparison_table
from vaereg.inverse.constraints import check
from vaereg.inverse.designs import with_volumes
from vaereg.inverse.refining.refinement import VERIFICATION_RTOL, Refinement
from vaereg.inverse.refining.search import STALLED
from vaereg.model.checkpoint import Checkpoint

__all__ = ["show_refined", "stalled_words"]

IN_CAPTIONS = 6
"""Largest number of quantities in the captions of the gallery."""


def show_refined(checkpoint: Checkpoint, run: Run, entry: Entry, result: Refinement) -> None:
    """One refined design: both volumes, all figures, and what can be done with it."""
    st.selectbox(
        "Before and after",
        [other.index for other in run.done],
        format_func={
            other.index: f"Design #{other.index + 1}, {other.status}" for other in run.done
        }.__getitem__,
        key=state.REFINE_DESIGN,
        persist_state="session",
    )
    with st.container(key="refined-panes"):
        view, figures = st.columns([7, 6], gap="medium")
    with view:
        _gallery(run, entry, result)
    with figures:
        volume, pair = result.volume, run.designs.materials
        bounds = stiffness_bounds(volume, pair) if volume.size <= QUICK else ()
        table = comparison_table(run, entry, bounds)
        digits = {"Before, solver": "%.4g", "After, verified": "%.4g", "Off target [%]": "%+.2f"}
        config: dict[Any, Any] = {name: st.column_config.NumberColumn(format=f) for name, f in digits.items()}
        config["Target"] = widgets.whole_text(table["Target"])
        st.dataframe(table, hide_index=True, key="refined-table", placeholder="–", column_config=config)
        usual = "–" if run.usual is None else f"{run.usual:.4f}"
        with st.container(key="summary-changes"):
            first, second = st.columns(2)
        first.metric("Voxels changed", f"{100 * result.changed:.2f} %", delta="highlighted", **widgets.PLAIN)
        second.metric(
            "Two-point statistics moved",
            f"{result.moved:.4f}",
            delta=f"within a {component_kind(checkpoint)}: {usual}",
            help="Root mean square change of the two-point correlation over all lags [-]; below, the mean "
            f"of it between two shown designs of one {component_kind(checkpoint)}.",
            **widgets.PLAIN,
        )
        if entry.begun_words:
            st.caption(sentence(f"Design #{entry.index + 1}: {entry.begun_words}"))
        if result.stalled:
            st.caption(stalled_words(result))
        _actions(checkpoint, run, entry, result)
    with st.expander("Mesh check of the refined design: the cell refined by two"):
        mesh_panel.mesh_panel(result.volume, run.designs.materials)


def stalled_words(result: Refinement) -> str:
    """What a refinement that stalled has reached, and what would help."""
    return (
        f"Stalled {100 * result.largest_distance:.2g} % off the target after "
        f"{counted(result.solves, 'solve')}: {STALLED}."
    )


def _gallery(run: Run, entry: Entry, result: Refinement) -> None:
    designs, before = run.designs, entry.task.volume
    first = entry.progress.history[0]
    names = largest_first(designs.wanted, result.properties, 0)[:IN_CAPTIONS]
    known = dict(zip(designs.wanted.names, first.quantities.tolist(), strict=True))
    predicted = designs.cells.rows([entry.index]).values(names)[0]
    if not np.array_equal(before, designs.microstructures[entry.index]):
        predicted = np.full_like(predicted, np.nan)  # a refinement that goes on begins with another volume
    after = result.properties.values(names)[0]
    off = dict(
        zip(
            designs.wanted.names,
            signed_deviations(designs.wanted, result.properties)[0].tolist(),
            strict=True,
        )
    )
    lines = [
        Line(label=with_unit(name), values=[figure_text(own), figure_text(known[name])])
        for name, own in zip(names, predicted.tolist(), strict=True)
    ]
    verified = [
        Line(label=with_unit(name), values=[figure_text(value), deviation_text(off[name])])
        for name, value in zip(names, after.tolist(), strict=True)
    ]
    volume_gallery(
        state.REFINED_VIEW,
        [before, result.volume],
        [Row(panels=[0, 1], color=component_color(int(designs.component[entry.index])))],
        [
            Caption(
                title="before", columns=["predicted", "solver"], kinds=["predicted", "solver"], lines=lines
            ),
            Caption(
                title="after",
                badge=entry.status,
                columns=["verified", "off"],
                kinds=["solver", "off"],
                lines=verified,
                marks=_marks(run, result),
            ),
        ],
        marked=[before ^ result.volume] * 2,
    )


def _marks(run: Run, result: Refinement) -> list[Mark]:
    """Constraints of a refined design, and whether it meets each."""
    constraints = run.designs.constraints
    own = Request(constraints=constraints)
    return [
        Mark(text=constraint_words(told.name, own), met=told.met)
        for told in check(result.volume, constraints).results
    ]


def _actions(checkpoint: Checkpoint, run: Run, entry: Entry, result: Refinement) -> None:
    """Show the buttons of a refined design."""
    name = f"design #{entry.index + 1}"
    with st.container(horizontal=True):
        widgets.shortlist_button(
            result.volume, lambda: _item(checkpoint, run, entry, result), "the refined one "
        )
        if st.button("Open the refined one in Predict"):
            show_volume(f"{name} refined, {run.origin}", result.volume)
            st.switch_page("pages/predict.py")


def _item(checkpoint: Checkpoint, run: Run, entry: Entry, result: Refinement) -> ShortlistItem:
    """A refined design as it is put aside."""
    own = with_volumes(checkpoint, run.designs, result.volume[None], [entry.index], [entry.decoded_from])
    component = int(run.designs.component[entry.index])
    made_by = component_title(checkpoint, component, made_by=run.designs.checkpoint)
    modes = run.designs.modes
    mode = modes[component] if modes else ""
    subject = f"{made_by} #{entry.index + 1}" if mode else f"#{entry.index + 1}"
    conductivity = result.properties.conductivity
    return ShortlistItem(
        name=f"{subject} refined, {target_text(run.designs.wanted)}",
        volume=result.volume,
        origin=f"refined from design #{entry.index + 1}, {lowered(made_by)}, {run.origin}: "
        f"{entry.status.split(' after')[0]} {100 * run.tolerance:g} % after "
        f"{counted(result.solves, 'solve')}, verified"
        + (f"; {entry.begun_words}" if entry.begun_words else ""),
        targets=run.designs.wanted,
        materials=run.designs.materials,
        constraints=run.designs.constraints,
        mean=own.mean[0],
        std=own.std[0],
        predicted=own.stiffness[0] if np.isfinite(own.stiffness).all() else None,
        conductivity=None if conductivity is None else conductivity[0],
        stiffness=result.stiffness,
        tolerance=VERIFICATION_RTOL,
        solves=result.solves,
        latent=own.latent[0].astype(np.float64),
        component=component,
        mode=mode,
        seed=run.designs.seed,
        checkpoint=run.designs.checkpoint,
    )
