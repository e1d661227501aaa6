"""The chart of the Chart page: axes, figure, and what a box drawn in it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from pages.parts.chart.figure import GUIDES, Points, box_ends, chart_figure, guide_slope
from pages.parts.common import background
from pages.parts.common.known import known_volumes
from pages.parts.common.requests.current import current_request, set_request
from pages.parts.common.requests.modes import component_title
from pages.parts.common.requests.quantities import (
    axis_title,
    describe_quantity,
    missing_property,
    offered_quantities,
    span_text,
    symbol,
    with_symbols,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import put_aside
from pages.parts.common.sessions.shown import shown_designs
from pages.parts.common.text import sentence
from pages.parts.common.views.figures import PREDICTED, SOLVER
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import CellProperties, Wanted

__all__ = ["axis_inputs", "show_chart", "with_ranges"]

ACROSS, UP, GUIDE, CHART = "chart-across", "chart-up", "chart-guide", "chart"
_NONE = "none"


def axis_inputs(pair: TwoPhase) -> tuple[str, str, str | None]:
    """Choice of the quantities across and up, and of the guide lines."""
    offered = [name for name in offered_quantities() if not missing_property(name, pair)]
    first, second = st.columns(2, gap="small")
    usual = "density" if "density" in offered else "volume_fraction"
    across = first.selectbox(
        "Across",
        offered,
        index=offered.index(usual),
        format_func=describe_quantity,
        key=f"{ACROSS}-{usual}",
        persist_state="session",
    )
    up = second.selectbox(
        "Up",
        offered,
        index=offered.index("E"),
        format_func=describe_quantity,
        key=UP,
        persist_state="session",
    )
    guide = st.segmented_control(
        "Guide lines",
        [_NONE, *GUIDES],
        default=_NONE,
        required=True,
        key=GUIDE,
        help="Lines of equal merit for ties (E/ρ), beams (√E/ρ) and plates (∛E/ρ) of least mass; for Young's "
        "moduli over the density.",
        persist_state="session",
    )
    if guide != _NONE and guide_slope(across, up, guide) is None:
        st.caption("Guide lines need the density across and a Young's modulus up.")
    return across, up, None if guide == _NONE else guide


def show_chart(checkpoint: Checkpoint, axes: tuple[str, str], guide: str | None) -> None:
    """The chart, and a button that asks for the box that was drawn."""
    request = current_request(checkpoint)
    points = [*_designs(checkpoint, axes), *_shortlist(axes)]
    figure: Any = chart_figure(axes, _regions(checkpoint, request.pair, axes), points, request.wanted, guide)
    event: Any = st.plotly_chart(
        figure,
        key=f"{CHART}-{'-'.join(axes)}",
        on_select="rerun",
        selection_mode="box",
        config={"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "autoScale2d"]},
        alt=f"Materials, structures and designs: {axis_title(axes[1])} over {axis_title(axes[0])}",
    )
    selection = event.get("selection") or {}
    boxes, chosen = selection.get("box") or [], selection.get("points") or []
    if not boxes:
        st.caption(
            "Draw a box to ask for its ranges. Each region is around the known structures of a mode, as "
            "predicted with these phases; a click in the legend hides one."
        )
        return
    ranges = {}
    for name, key, axis in ((axes[0], "x", figure.layout.xaxis), (axes[1], "y", figure.layout.yaxis)):
        values = [float(point[key]) for point in chosen if key in point]
        ends = box_ends(boxes[-1].get(key) or [], values, axis.type == "log")
        if ends is not None:
            ranges[name] = ends
    texts = [f"{axis_title(name)} {span_text(*ends)}" for name, ends in ranges.items()]
    names = [str(point.get("text", "")) for point in chosen]
    inside = ", ".join(name for name in dict.fromkeys(names) if name)
    st.markdown(f"Box: **{'**, **'.join(texts)}**" + (f"  \nIn it: {inside[:400]}" if inside else ""))
    others = [symbol(item.name) for item in request.wanted if item.name not in ranges]
    with st.container(horizontal=True):
        alone = st.button("Ask for these ranges alone", type="primary", disabled=not ranges)
        added = bool(others) and st.button(
            "Add them to the target",
            disabled=not ranges,
            help=f"What is asked of {', '.join(others)} stays.",
        )
    if (alone or added) and _ask(checkpoint, ranges, keep=added):
        st.switch_page("pages/design.py")


def with_ranges(request: Request, ranges: Mapping[str, tuple[float, float]], *, keep: bool) -> Request:
    """Request with ranges in place of all targets, or only of those of the same quantities.

    Args:
        request: What was asked for.
        ranges: Ends by quantity.
        keep: Whether other targets stay.

    Raises:
        InputError: A quantity cannot have such a range.
    """
    asked = tuple(Wanted(name=name, low=low, high=high) for name, (low, high) in ranges.items())
    others = tuple(item for item in request.wanted if item.name not in ranges)
    return replace(request, wanted=(*(others if keep else ()), *asked))


def _ask(checkpoint: Checkpoint, ranges: Mapping[str, tuple[float, float]], *, keep: bool) -> bool:
    """Ask for ranges; says so where they cannot be asked for."""
    try:
        set_request(checkpoint, with_ranges(current_request(checkpoint), ranges, keep=keep))
    except InputError as error:
        st.error(sentence(with_symbols(str(error))))
        return False
    return True


def _regions(checkpoint: Checkpoint, pair: TwoPhase, axes: tuple[str, str]) -> dict[Any, Any]:
    known = known_volumes(checkpoint, pair)
    if known is None:
        return {}
    values = known.cells.values(list(axes))
    return {
        (mode, component_title(checkpoint, mode)): (
            values[known.mode == mode, 0],
            values[known.mode == mode, 1],
        )
        for mode in np.unique(known.mode).tolist()
    }


def _designs(checkpoint: Checkpoint, axes: tuple[str, str]) -> list[Points]:
    """Designs of the Design page, predicted, and by the solver where it has seen them."""
    designs = shown_designs()
    if designs is None:
        return []
    outcomes = background.solver().outcomes(list(designs.microstructures), designs.materials)
    solved = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, HomogenizationResult)]
    open_ = [i for i in range(len(outcomes)) if i not in solved]
    found = []
    if open_:
        values = designs.cells.rows(np.array(open_)).values(list(axes))
        found.append(_points("designs, predicted", values, open_, PREDICTED, "circle"))
    if solved:
        stiffness = np.stack([outcomes[i].stiffness for i in solved])  # type: ignore[union-attr]
        cells = replace(designs.cells.rows(np.array(solved)), stiffness=stiffness)
        found.append(_points("designs, solver", cells.values(list(axes)), solved, SOLVER, "diamond"))
    return found


def _points(title: str, values: Any, numbers: Sequence[int], color: str, symbol: str) -> Points:  # noqa: ANN401
    return Points(
        title=title,
        x=values[:, 0],
        y=values[:, 1],
        names=[f"design #{number + 1}" for number in numbers],
        color=color,
        symbol=symbol,
    )


def _shortlist(axes: tuple[str, str]) -> list[Points]:
    """Volumes of the shortlist with what is known of them, each with its own phases."""
    names, values = [], []
    for item in put_aside.shortlist():
        stiffness = item.stiffness if item.stiffness is not None else item.predicted
        if stiffness is None or any(missing_property(name, item.materials) for name in axes):
            continue
        conductivity = None if item.conductivity is None else item.conductivity[None]
        cell = CellProperties(
            stiffness=np.asarray(stiffness, dtype=np.float64)[None],
            fraction=np.array([item.volume.mean(dtype=np.float64)]),
            materials=item.materials,
            conductivity=conductivity,
        )
        values.append(cell.values(list(axes))[0])
        names.append(item.name)
    if not names:
        return []
    table = np.array(values)
    title, star = "shortlist", "star"
    return [Points(title=title, x=table[:, 0], y=table[:, 1], names=names, color="#c92970", symbol=star)]
