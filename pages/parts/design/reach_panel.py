"""What of a target is out of reach, and the figure of what is reachable."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from pages.parts.common import background
from pages.parts.common.known import known_values
from pages.parts.common.requests.controls import controlled, first_of
from pages.parts.common.requests.modes import mode_title, with_titles
from pages.parts.common.requests.quantities import (
    axis_title,
    missing_property,
    offered_quantities,
    symbol,
    with_symbols,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import state
from pages.parts.common.text import sentence
from pages.parts.design import view
from pages.parts.design.closure import closure_figure, default_axes
from pages.parts.design.inputs import set_nearest
from pages.parts.design.outlook import Outlook
from pages.parts.design.targets_panel import closure_axes
from pages.parts.design.wording import nearest_text
from vaereg.errors import InputError
from vaereg.inverse.designs import Designs
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, ImpossibleTargetError, Targets

__all__ = ["show_closure", "show_out_of_reach", "show_problem"]

_NEAREST_OF = "nearest-of"


def show_problem(checkpoint: Checkpoint, problem: InputError, *, coming: bool) -> None:
    """Say why a target cannot be had, and offer what can.

    Args:
        checkpoint: The model.
        problem: Why.
        coming: Whether there are designs all the same.
    """
    addition = " These designs come as near as they can." if coming else ""
    st.warning(sentence(with_symbols(with_titles(str(problem)))) + addition)
    if isinstance(problem, UnreachableTargetError) and problem.nearest:
        nearest, label = problem.nearest, "Use the nearest reachable target"
    elif isinstance(problem, ImpossibleTargetError):
        nearest, label = {problem.name: problem.bound}, "Use the bound"
    else:
        return
    if nearest:
        st.button(
            label,
            on_click=set_nearest,
            args=(checkpoint, nearest),
            help="Sets the target to what comes nearest: the designs follow at once.",
        )


def show_out_of_reach(checkpoint: Checkpoint, outlook: Sequence[Outlook]) -> None:
    """Modes that cannot reach the target, each with the nearest that it has."""
    missing = [mode for mode in outlook if not mode.reached]
    known = {mode.name: mode for mode in missing if mode.nearest}
    with st.container(key="out-of-reach"):
        if not missing:
            return
        # Few elements, since the browser takes long for each.
        rows = "".join(_mode_line(mode) for mode in missing)
        st.html(f"<p><b>Out of reach</b> for {len(missing)} of {len(outlook)} modes</p><ul>{rows}</ul>")
        if known:
            st.pills(
                "Ask for the nearest of",
                list(known),
                format_func=mode_title,
                key=controlled(_NEAREST_OF, None),
                help="Sets the target to the nearest that this mode has.",
                on_change=_ask_nearest,
                args=(checkpoint, known),
            )


def _mode_line(mode: Outlook) -> str:
    """Picture, name and sentence of a mode and the nearest that it has, as HTML."""
    offer = f"Nearest {nearest_text(mode.nearest)}" if mode.nearest else "It has no cells like that"
    text = f"<b>{escape(mode.title)}</b> · {escape(f'{mode.sentence} {offer}')}"
    return f'<li><img src="{mode.picture}" width="34" height="34" alt=""><span>{text}</span></li>'


def _ask_nearest(checkpoint: Checkpoint, known: Mapping[str, Outlook]) -> None:
    name = st.session_state[_NEAREST_OF]
    if name in known:
        set_nearest(checkpoint, known[name].nearest)


def _choose_axis(key: str, usual: str) -> None:
    """Keep what was chosen for an axis; the usual quantity lets the axis follow the target again."""
    chosen = st.session_state[f"{key}-shown"]
    st.session_state[key] = None if chosen == usual else chosen


def show_closure(checkpoint: Checkpoint, request: Request, designs: Designs | None) -> None:
    """Where the target lies among what is reachable, in the plane of two quantities."""
    targets, pair = Targets(request.wanted), request.pair
    offered = [*TARGETS] if checkpoint.modes is None else offered_quantities()
    names = [name for name in offered if not missing_property(name, pair)]
    st.markdown(
        "**What is reachable**",
        help="Grey: what known structures of these phases have in two quantities; lines: what the phases "
        "allow at all. The target and the designs lie over it. Both axes can be chosen.",
    )
    chosen = closure_axes(targets, pair)
    if not chosen:
        return
    columns = st.columns(2, gap="small")
    usual = default_axes(targets)
    for place, (label, key) in enumerate(zip(("Across", "Up"), state.CLOSURE_AXES, strict=True)):
        columns[place].selectbox(
            label,
            first_of(names, chosen[place]),
            format_func=symbol,
            key=controlled(f"{key}-shown", chosen[place]),
            label_visibility="collapsed",
            on_change=_choose_axis,
            args=(key, usual[place]),
        )
    known = {name: known_values(checkpoint, pair, name) for name in chosen}
    predicted, truth = {}, {}
    if designs is not None:
        outcomes = background.outcomes_of(designs.materials, list(designs.microstructures))
        judgement = view.judgement_of(designs, outcomes)
        predicted, truth = (
            dict(zip(chosen, cells.values(chosen).T, strict=True))
            for cells in (judgement.predicted, judgement.solved)
        )
    figure = closure_figure((chosen[0], chosen[1]), known, targets, predicted, truth, pair)
    alt = f"What is reachable: {axis_title(chosen[1])} over {axis_title(chosen[0])}"
    st.plotly_chart(figure, key="closure", config={"displayModeBar": False}, alt=alt)
