"""The parts of the Batch page: a table of targets in, progress of every row, table and zip out."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.common import background
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.modes import with_titles
from pages.parts.common.requests.order import design_order
from pages.parts.common.requests.quantities import missing_property, target_text, with_symbols
from pages.parts.common.sessions.session_store import default_folder
from pages.parts.common.text import counted, plain, sentence
from pages.parts.solving.batches import MAX_ROWS, BatchRun, read_rows, start_batch, status_of
from vaereg.errors import InputError
from vaereg.inverse.orders import DesignOrder
from vaereg.model.checkpoint import Checkpoint

__all__ = ["batch_order", "is_running", "show_progress", "table_inputs"]

RUN, UPLOAD, COUNT = "batch-run", "batch-upload", "batch-count"
EXAMPLE = "name,E_x [GPa],E_y [GPa],density [g/cm3]\nplate,20,12,:2.1\nbeam,15:20,,min\n"
"""Table that can be downloaded to begin with."""
EXAMPLE_WITHOUT_DENSITY = "name,E_x [GPa],E_y [GPa],volume_fraction\nplate,20,12,:0.5\nbeam,15:20,,min\n"
"""The same for phases of which one has no density."""
_BEST = "Best design, off target [%]"
_BEST_HELP = "Largest relative deviation over all that is asked for, by prediction."
_SHOWN = 500
"""Rows that are shown; the file has all."""
_EXPLAINED = 5
"""Refusals that are written out below the table."""


def batch_order(checkpoint: Checkpoint, count: int) -> DesignOrder:
    """Settings of every row: phases, constraints, modes, size and seed of the Design page."""
    return replace(design_order(checkpoint, current_request(checkpoint)), count=count)


def table_inputs(checkpoint: Checkpoint) -> None:
    """Choice of the table, and the button that begins."""
    has_density = not missing_property("density", current_request(checkpoint).pair)
    st.download_button(
        "Download an example table",
        data=EXAMPLE if has_density else EXAMPLE_WITHOUT_DENSITY,
        file_name="targets.csv",
        mime="text/csv",
        on_click="ignore",
        help="One target a row, quantities with units in the header. A cell is a value, a range low:high, "
        "low: or :high, max or min; an empty cell leaves the quantity free.",
    )
    upload = st.file_uploader("Table of targets (CSV)", type=["csv", "txt"], key=UPLOAD)
    count = st.number_input("Designs for each row", 1, 48, 4, key=COUNT, persist_state="session")
    if upload is None:
        return
    content = upload.getvalue()
    try:
        rows = read_rows(content)
    except InputError as error:
        st.error(sentence(with_symbols(str(error))))
        return
    st.caption(f"{counted(len(rows), 'row')} of at most {MAX_ROWS}.")
    folder = default_folder().parent / "batches"
    begin = partial(_begin, checkpoint, content, int(count), folder)
    st.button("Make designs for the table", type="primary", on_click=begin)


def _begin(checkpoint: Checkpoint, content: bytes, count: int, folder: Path) -> None:
    order = batch_order(checkpoint, count)
    st.session_state[RUN] = start_batch(background.solver(), content, order, folder)


def _run() -> BatchRun | None:
    return st.session_state.get(RUN)


def is_running() -> bool:
    """Whether a table of this session is under way."""
    run = _run()
    return run is not None and run.is_running


def show_progress(polling: bool) -> None:
    """How far the table is, row by row; to be run again while it is under way."""
    run = _run()
    if run is None:
        st.info(
            "Choose a table in the sidebar, then **Make designs for the table**: each row is a target, and "
            "its designs are made in the background with the phases, constraints, modes, cell size and seed "
            "of the Design page."
        )
        return
    if polling != run.is_running:
        st.rerun()
    total = len(run.rows)
    outcomes = run.outcomes()
    refused = sum(1 for outcome in outcomes.values() if not outcome.file)
    st.progress(
        run.done / total,
        text=f"{run.done} of {counted(total, 'row')} done" + (f", {refused} refused" if refused else ""),
    )
    with st.container(horizontal=True):
        if run.is_running:
            st.button("Stop", on_click=run.stop, help="The same table goes on from there.")
        elif run.error:
            st.warning(f"Ended early: {plain(run.error)}. The same table goes on from there.")
        made = len(outcomes) > refused
        st.download_button(
            "Download all designs (zip)",
            data=run.archive,
            file_name="vaereg-batch.zip",
            mime="application/zip",
            on_click="ignore",
            disabled=not made,
            type="primary",
        )
        st.download_button(
            "Download the table (CSV)",
            data=run.table,
            file_name="vaereg-batch.csv",
            mime="text/csv",
            on_click="ignore",
        )
    lines = []
    for row in run.rows[:_SHOWN]:
        outcome = outcomes.get(row.line)
        best = run.best(outcome)
        lines.append(
            {
                "Line": row.line,
                "Name": row.name,
                "Target": target_text(row.targets),
                "Status": status_of(outcome),
                _BEST: None if best is None else 100.0 * best,
                "Why not": "" if outcome is None else with_symbols(with_titles(outcome.error)),
            }
        )
    widths: dict[str, Any] = dict.fromkeys(("Line", "Status"), "small")
    widths |= {"Name": "small", "Target": "medium", "Why not": "large"}
    if not any(line["Why not"] for line in lines):
        widths |= {"Target": "large", "Why not": None}
    columns = {name: width and st.column_config.Column(width=width) for name, width in widths.items()}
    columns[_BEST] = st.column_config.NumberColumn(width="small", format="%.1f", help=_BEST_HELP)
    table = pd.DataFrame(lines).astype({_BEST: float})
    st.dataframe(table, hide_index=True, key="batch-table", column_config=columns, placeholder="–")
    for line in [line for line in lines if line["Why not"]][:_EXPLAINED]:
        name = f"Line {line['Line']}" + (f", {line['Name']}" if line["Name"] else "")
        st.caption(f"**{plain(name)}**: {sentence(line['Why not'])}")
    if total > _SHOWN:
        st.caption(f"The first {_SHOWN} rows; the file has all.")
