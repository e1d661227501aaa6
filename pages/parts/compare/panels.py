"""The parts of the Compare page: summary and solver, gallery and chosen volume, tables and figures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import background, widgets
from pages.parts.common.requests.constraints import constraint_words
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.quantities import axis_title, target_text
from pages.parts.common.requests.request import Request, VoxelLength
from pages.parts.common.sessions import put_aside, state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.sessions.shown import show_volume
from pages.parts.common.text import counted, plain, sentence
from pages.parts.common.views.cards import COLUMN_KINDS, COLUMNS, Judgement, card_lines
from pages.parts.common.views.figures import COMPONENT_COLORS
from pages.parts.common.views.gallery import (
    Caption,
    Mark,
    Row,
    pinned_volume,
    selected_volume,
    volume_gallery,
)
from pages.parts.common.views.scene import open_scene
from pages.parts.compare import tables
from pages.parts.compare.figures import parallel_figure, section_figure, statistics_figure, surfaces_figure
from pages.parts.compare.tables import Compared
from pages.parts.solving.queue import Outcome
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.constraints import check
from vaereg.microstructure.morphology import Statistics, measure
from vaereg.microstructure.volume import volume_hash

__all__ = ["is_solving", "measured", "show_figures", "show_gallery", "show_summary"]

IN_CAPTIONS = 3
"""Properties in the captions of the gallery."""
MAX_SURFACES = 6
"""Directional stiffness surfaces at a time: each needs a part of the graphics card of its own."""
PLAIN = {"displayModeBar": False}


def measured(item: ShortlistItem) -> Statistics:
    """Statistics of an item, computed once."""
    return _measure(item.hash, item.volume)


@st.cache_data(max_entries=256, show_spinner="Measuring the structure …")
def _measure(name: str, _volume: NDArray[np.uint8]) -> Statistics:
    return measure(_volume)


def is_solving(items: Sequence[ShortlistItem]) -> bool:
    """Whether the solver is at work on the shortlist; has it work on what was asked for."""
    missing = [item for item in items if not item.verified]
    asked = st.session_state.get(state.SOLVE_SHORTLIST, False)
    pairs, volumes = [item.materials for item in missing], [item.volume for item in missing]
    outcomes = background.watch(pairs, volumes, [asked] * len(missing))
    if asked and None not in outcomes:
        st.session_state[state.SOLVE_SHORTLIST] = asked = False
    return asked


def show_summary(compared: Sequence[Compared], polling: bool) -> None:
    """How many, how alike, how far the solver is; to be run again while it is at work."""
    items = [entry.item for entry in compared]
    missing = [item for item in items if not item.verified]
    pairs = [item.materials for item in missing]
    outcomes = background.outcomes_of(pairs, [item.volume for item in missing])
    news = any(outcome is not None and not isinstance(outcome, Exception) for outcome in outcomes)
    if news or polling != is_solving(items):
        st.rerun()  # once more as a whole: with the new values, with or without the clock
    done = len(items) - len(missing)
    both = [item for item in items if item.verified and item.mean is not None]
    fractions = [entry.statistics.volume_fraction for entry in compared]
    with st.container(key="summary"):
        first, second, third, fourth = st.columns([2, 2, 3, 2])
    first.metric("Designs", len(items), delta="in the shortlist", **widgets.PLAIN)
    second.metric(
        "Volume fraction",
        f"{min(fractions):.2f} – {max(fractions):.2f}" if len(items) > 1 else f"{fractions[0]:.3f}",
        delta="of the stiff phase",
        **widgets.PLAIN,
    )
    error = np.median([_difference(item) for item in both]) if both else np.nan
    third.metric(
        "Prediction against solver",
        f"{100 * error:.1f} %" if both else "…",
        delta="median difference, C11 to C66",
        help="Of the designs of which both are known.",
        **widgets.PLAIN,
    )
    fourth.metric("Solver check", f"{done}/{len(items)}", help=widgets.SOLVER_HELP)
    fourth.progress(done / len(items), text=f"verified {done}/{len(items)}")
    _solver_actions(missing, outcomes, polling)


def _difference(item: ShortlistItem) -> float:
    return float(np.median(np.abs(np.asarray(item.mean) / np.diag(np.asarray(item.stiffness)) - 1.0)))


def _solver_actions(missing: Sequence[ShortlistItem], outcomes: Sequence[Outcome], polling: bool) -> None:
    """Ask the solver for what is missing, or call it off."""
    for item, outcome in zip(missing, outcomes, strict=True):
        if isinstance(outcome, Exception):
            st.error(f"The solver gave up on {plain(item.name)}. {sentence(str(outcome))}")
    open_ = sum(outcome is None for outcome in outcomes)
    if not open_:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if polling:
            st.write(f"The solver is at work on {counted(open_, 'design')} …")
        else:
            st.write(f"{open_} design{'s have' if open_ > 1 else ' has'} no values of this solver yet.")
        st.button(
            "Cancel" if polling else "Solve all",
            type="secondary" if polling else "primary",
            on_click=st.session_state.update,
            args=({state.SOLVE_SHORTLIST: not polling},),
        )


def show_gallery(compared: Sequence[Compared], voxel: VoxelLength | None) -> None:
    """All volumes with linked cameras, and what can be done with the chosen one.

    Args:
        compared: The shortlist.
        voxel: Edge of a voxel, where it is known.
    """
    if [entry.item.hash for entry in compared] != [item.hash for item in put_aside.shortlist()]:
        st.rerun()  # one was taken out by its star
    volumes = [entry.item.volume for entry in compared]
    chosen = selected_volume(state.COMPARE_VIEW, volumes) or 0
    volume_gallery(
        state.COMPARE_VIEW,
        volumes,
        [Row(panels=list(range(len(volumes))), color=COMPONENT_COLORS[0])],
        [_caption(entry) for entry in compared],
        selected=chosen,
        pinned=range(len(volumes)),
        on_pin=lambda: _take_out(volumes),
    )
    _show_chosen(compared[chosen], voxel)


def _take_out(volumes: Sequence[NDArray[np.uint8]]) -> None:
    index = pinned_volume(state.COMPARE_VIEW, volumes)
    if index is not None:
        put_aside.remove_from_shortlist(volume_hash(volumes[index]))


def _caption(entry: Compared) -> Caption:
    item = entry.item
    judgement = Judgement(targets=item.wanted, predicted=item.predicted_cells, solved=item.solved_cells)
    columns = list(COLUMNS)
    if entry.source == "file":
        columns[1] = tables.FROM_FILE
    return Caption(
        title=entry.label,
        columns=columns,
        kinds=COLUMN_KINDS,
        lines=card_lines(judgement, 0, "–", usual=PROPERTIES[:IN_CAPTIONS]),
        marks=[
            Mark(text=constraint_words(told.name, Request(constraints=item.constraints)), met=told.met)
            for told in check(item.volume, item.constraints).results
        ],
    )


def _show_chosen(entry: Compared, voxel: VoxelLength | None) -> None:
    """Name, origin and actions of the chosen volume."""
    item = entry.item
    key = f"name-{item.hash}"
    st.subheader(f"Design {entry.letter}")
    st.session_state[key] = item.name
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", max_chars=80, key=key, on_change=_rename, args=(item.hash, key), width=360)
        if st.button("Open in pyvista", help="A full scene of this design, with axes."):
            open_scene(entry.label, item.volume, voxel)
        if st.button("Open in Predict"):
            show_volume(item.name, item.volume)
            st.switch_page("pages/predict.py")
        st.button("Take out of the shortlist", on_click=put_aside.remove_from_shortlist, args=(item.hash,))
    wanted = f" · asked for {target_text(item.wanted)}" if item.wanted else ""
    size = " × ".join(map(str, item.volume.shape))
    st.caption(
        f"{plain(f'{pair_line(item.materials)} · {item.origin}{wanted}')} · {size} voxels · "
        f"hash `{item.hash[:10]}`"
    )
    if st.session_state.pop(state.RENAMED, False):
        st.rerun()  # every table and figure has the name


def _rename(volume: str, key: str) -> None:
    put_aside.rename_in_shortlist(volume, st.session_state[key])
    st.session_state[state.RENAMED] = True


def show_figures(compared: Sequence[Compared]) -> None:
    """Tables and figures of all volumes; what is not looked at is not drawn."""
    views = {
        "Stiffness": _show_stiffness,
        "Target": _show_target,
        "Engineering constants": _show_constants,
        "Directional stiffness": _show_directions,
        "Statistics": _show_statistics,
        "Parallel coordinates": _show_parallel,
    }
    for tab, show in zip(
        st.tabs(list(views), key="compare-tabs", on_change="rerun"), views.values(), strict=True
    ):
        if tab.open:
            with tab:
                show(compared)


def _show_target(compared: Sequence[Compared]) -> None:
    if not tables.asked_quantities(compared):
        st.info("None of these volumes was designed for a target.")
        return
    table = tables.target_table(compared)
    st.dataframe(table, hide_index=True, key="target-table")
    st.caption(
        "The best first, by the largest deviation over what was asked for; by the solver where it knows the "
        "design, else by prediction. In brackets: deviation from the target, 0 % within a range."
    )


def _show_stiffness(compared: Sequence[Compared]) -> None:
    st.markdown("**By the solver** (verified, unless marked as from a file)")
    _table(tables.solver_table(compared), "solver-table")
    st.markdown("**By the model** (predicted, with its standard deviation)")
    _table(tables.predicted_table(compared), "predicted-table")
    st.markdown("**Whole matrices** by the solver [GPa]", help="Voigt order, engineering shear strain.")
    st.html(tables.matrices_html(compared))


def _show_constants(compared: Sequence[Compared]) -> None:
    table = tables.constants_table(compared)
    if _has_solved(compared):
        _table(table, "constants-table", 2)
        st.caption(
            "From the solver's whole stiffness. νxy: contraction along y over extension along x, under "
            "tension along x. Universal anisotropy: 0 where a material is isotropic."
        )


def _show_directions(compared: Sequence[Compared]) -> None:
    if not _has_solved(compared):
        return
    letters = [entry.letter for entry in compared]
    solved = {i: entry.item.stiffness for i, entry in enumerate(compared) if entry.item.stiffness is not None}
    chosen = st.pills(
        f"Designs, at most {MAX_SURFACES}",
        list(solved),
        selection_mode="multi",
        default=list(solved)[:MAX_SURFACES],
        format_func=lambda place: plain(compared[place].label),
        key="surfaces-of",
    )
    shown = {place: solved[place] for place in chosen[:MAX_SURFACES]}
    if not shown:
        st.info("Choose at least one design.")
        return
    surfaces = surfaces_figure({letters[place]: matrix for place, matrix in shown.items()})
    st.plotly_chart(
        section_figure(shown, letters),
        key="sections",
        config=PLAIN,
        alt="Young's modulus by direction, in three sections",
    )
    st.plotly_chart(surfaces, key="surfaces", config=PLAIN, alt="Surfaces of Young's modulus by direction")
    st.caption("Young's modulus E(n) under tension along the direction n, by the solver; one scale for all.")


def _show_statistics(compared: Sequence[Compared]) -> None:
    _table(tables.statistics_table(compared), "statistics-table", 2)
    figure = statistics_figure({entry.letter: entry.statistics for entry in compared})
    st.plotly_chart(figure, key="statistics", config=PLAIN, alt="Statistics of the structures")
    st.caption(
        "Two-point: probability that two voxels at this lag are both stiff. Path: probability that a whole "
        "segment of this length lies in the phase."
    )


def _show_parallel(compared: Sequence[Compared]) -> None:
    with_stiffness = [entry for entry in compared if entry.source != "unknown"]
    if not with_stiffness:
        st.info("Nothing is known of the stiffness of these designs yet: have the solver look at them.")
        return
    sources = [entry.source for entry in with_stiffness]
    wanted = tables.common_target(with_stiffness)
    band = {} if wanted is None else {axis_title(item.name): (item.low, item.high) for item in wanted}
    if wanted is not None and "volume_fraction" in wanted.names:
        band["fraction [-]"] = wanted.range_of("volume_fraction")
    figure = parallel_figure(
        [entry.letter for entry in with_stiffness], sources, tables.property_axes(with_stiffness), band
    )
    st.plotly_chart(figure, key="parallel", config=PLAIN, alt="Designs on parallel axes of quantities")
    st.caption(
        "Draw along an axis to pick lines, click there to let them go, draw an axis sideways by its name to "
        'move it. Between the lines of "target" lies what was asked for, where that is the same of all '
        "designs. Stiffness is the solver's where it is known, else predicted; cluster: share of the phase "
        "that is in its largest cluster."
    )


def _has_solved(compared: Sequence[Compared]) -> bool:
    missing = [entry.letter for entry in compared if entry.item.stiffness is None]
    if missing:
        st.info(
            f"This needs the solver's whole stiffness, which is not known of {', '.join(missing)}: "
            "**Solve all** above has it computed."
        )
    return len(missing) < len(compared)


def _table(table: pd.DataFrame, key: str, digits: int = 1) -> None:
    widgets.show_table(table, key=key, missing="–", digits=digits)
