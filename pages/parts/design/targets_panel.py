"""Targets in the sidebar: a row for each quantity that is asked for, and the list of all others."""

import math
from dataclasses import replace
from functools import partial

import streamlit as st

from pages.parts.common.requests.controls import controlled, first_of, fresh
from pages.parts.common.requests.current import current_request, set_request
from pages.parts.common.requests.live import LiveSlider, live_slider
from pages.parts.common.requests.quantities import (
    axis_title,
    describe_quantity,
    missing_property,
    offered_quantities,
    range_of_phases,
    rounded_number,
    symbol,
    with_symbols,
)
from pages.parts.common.requests.request import MAX_TARGETS, Request
from pages.parts.common.sessions import state
from pages.parts.common.text import plain, sentence
from pages.parts.design.closure import default_axes
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import QUANTITIES, TARGETS, ImpossibleTargetError, Targets, Wanted, check_possible

__all__ = ["KINDS", "closure_axes", "kind_of", "slider_range", "target_rows", "with_kind"]

KINDS = ("value", "range", "at least", "at most", "as large as possible", "as small as possible")
"""What can be wanted of a quantity; one that is free has no row."""
_GOALS = {"as large as possible": "max", "as small as possible": "min"}
_SHORT = {"as large as possible": "maximise", "as small as possible": "minimise"}
"""Words that have room beside a quantity."""
_PRIORITIES = {0.25: "lowest", 0.5: "low", 1.0: "normal", 2.0: "high", 4.0: "highest"}
_STEPS = 60
"""Least number of steps of a slider, each of 1, 0.1, 0.01 …"""


def kind_of(item: Wanted) -> str:
    """What is wanted of a quantity, one of `KINDS`."""
    if item.goal:
        return next(kind for kind, goal in _GOALS.items() if goal == item.goal)
    if item.is_value:
        return "value"
    if not math.isfinite(item.high):
        return "at least"
    return "range" if math.isfinite(item.low) else "at most"


def with_kind(item: Wanted, kind: str, ends: tuple[float, float]) -> Wanted:
    """The same quantity, asked for in another way, with its number as far as it has one.

    Args:
        item: What was wanted.
        kind: One of `KINDS`.
        ends: Ends of the slider: their middle is the number of one that had none.
    """
    known = [end for end in (item.low, item.high) if math.isfinite(end)]
    middle = rounded_number(sum(known or ends) / len(known or ends))
    if kind in _GOALS:
        return Wanted(name=item.name, goal=_GOALS[kind], weight=item.weight)
    low, high = {
        "value": (middle, middle),
        "range": tuple(sorted((rounded_number(0.9 * middle), rounded_number(1.1 * middle)))),
        "at least": (known[0] if known else middle, math.inf),
        "at most": (-math.inf, known[-1] if known else middle),
    }[kind]
    return Wanted(name=item.name, low=low, high=high, weight=item.weight)


def slider_range(checkpoint: Checkpoint, name: str) -> tuple[float, float]:
    """Ends of the slider of a quantity: those of the phases, or of the data of a model without modes."""
    if checkpoint.modes is None and name in TARGETS:
        digits = 2 if name == state.FRACTION else 1
        ends = checkpoint.fraction_range if name == state.FRACTION else checkpoint.property_ranges[name]
        return round(ends[0], digits), round(ends[1], digits)
    return range_of_phases(name, current_request(checkpoint).pair)


def closure_axes(targets: Targets, pair: TwoPhase) -> list[str]:
    """Quantities across and up of the figure of what is reachable; none where they need other phases.

    Each is what was chosen in this session; without a choice, or where the phases do not have it, it follows
    the target.
    """
    names = []
    for key, own in zip(state.CLOSURE_AXES, default_axes(targets), strict=True):
        chosen = st.session_state.get(key)
        names.append(own if chosen is None or missing_property(chosen, pair) else chosen)
    return [] if any(missing_property(name, pair) for name in names) else names


def target_rows(checkpoint: Checkpoint) -> None:
    """Rows of what is asked for, and a choice of what else can be."""
    request = current_request(checkpoint)
    name, problem = _problem(request)
    for item in request.wanted:
        _row(checkpoint, item, problem if name == item.name else "")
    if problem and not name:
        st.error(problem)
    asked = {item.name for item in request.wanted}
    offered = [*TARGETS] if checkpoint.modes is None else offered_quantities()
    free = [name for name in offered if name not in asked]

    def shown(name: str) -> str:
        missing = missing_property(name, request.pair)
        return describe_quantity(name) + (f" (needs {missing})" if missing else "")

    st.selectbox(
        "Add a quantity",
        free,
        index=None,
        format_func=shown,
        key=controlled(state.ADDED, None),
        placeholder="Add a quantity …",
        label_visibility="collapsed",
        on_change=_add,
        args=(checkpoint,),
        disabled=len(asked) >= MAX_TARGETS,
        help="Quantities without a row take any value that goes with the others.",
    )


def _problem(request: Request) -> tuple[str, str]:
    """Quantity that no cell of these phases can have, and why; no name where quantities exclude others."""
    if request.targets is None or any(missing_property(item.name, request.pair) for item in request.wanted):
        return "", ""
    try:
        check_possible(request.targets, request.pair, symmetry=request.constraints.symmetry)
    except InputError as error:
        name = error.name if isinstance(error, ImpossibleTargetError) else ""
        return name, sentence(with_symbols(str(error)))
    return "", ""


def _row(checkpoint: Checkpoint, item: Wanted, problem: str) -> None:
    name, title = item.name, symbol(item.name)
    missing = missing_property(name, current_request(checkpoint).pair)
    note = st.session_state.get(state.TARGET_NOTE, ("", "", ""))
    if missing:
        problem = f"{title} needs {plain(missing)}: choose another material, or one with it."
    elif (note[0], note[2]) == (name, current_request(checkpoint).key):
        problem = note[1]
    with st.container(key=f"row-{name}", gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{title}**", width="content")
            kind = kind_of(item)
            st.selectbox(
                f"{title} is",
                first_of(KINDS, kind),
                format_func=lambda kind: str(_SHORT.get(kind, kind)),
                key=controlled(_key(name, "is"), kind),
                label_visibility="collapsed",
                on_change=_take_kind,
                args=(checkpoint, name),
                width="stretch",
            )
            with st.popover("⋯", help=f"Priority of {title}, or leave it free", width="content"):
                st.caption(f"{title}: {QUANTITIES[name].description}")
                st.selectbox(
                    f"Priority of {title}",
                    first_of(sorted(_PRIORITIES), item.weight),
                    format_func=lambda weight: f"{_PRIORITIES.get(weight, 'own')} (×{weight:g})",
                    key=controlled(_key(name, "priority"), item.weight),
                    on_change=_take_priority,
                    args=(checkpoint, name),
                    help="Factor of its deviation among the others.",
                )
                st.button(
                    f"Leave {title} free", key=_key(name, "free"), on_click=_remove, args=(checkpoint, name)
                )
        if item.is_bounded:
            _numbers(checkpoint, item)
        if problem:
            st.error(problem)


def _numbers(checkpoint: Checkpoint, item: Wanted) -> None:
    """Slider and typed numbers of a quantity."""
    name, ends = item.name, [end for end in (item.low, item.high) if math.isfinite(end)]
    low, high = slider_range(checkpoint, name)
    room = high - low  # what is asked for is shown as it is, but for what is far away
    low, high = max(low - room, min(low, *ends)), min(high + room, max(high, *ends))
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-6) / _STEPS))
    shown = [min(max(end, low), high) for end in ends]
    is_range = len(ends) == 2 and not item.is_value
    label = axis_title(name)
    take = {"on_change": _take_numbers, "label_visibility": "collapsed"}
    request = current_request(checkpoint)
    slider_place = st.container()
    line = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with slider_place if is_range else line, st.container(width="stretch"):
        live_slider(
            LiveSlider(
                name=name,
                label=label,
                low=low,
                high=high,
                step=step,
                values=tuple(shown) if is_range else (shown[0],),
                ends=(math.isfinite(item.low), math.isfinite(item.high)),
            ),
            key=_key(name, "range" if is_range else "slider"),
            link=request.text(),
            labels={other.name: symbol(other.name) for other in request.wanted},
            units={other.name: QUANTITIES[other.name].unit.strip("-") for other in request.wanted},
            wanted={other.name: (other.low, other.high) for other in request.wanted},
            axes=closure_axes(Targets(request.wanted), request.pair),
            on_change=partial(_take_positions, checkpoint, name),
        )
    with line:
        for which, end in [("from", item.low), ("to", item.high)] if is_range else [("", ends[0])]:
            key = _key(name, f"typed-{which}" if which else "typed")
            st.number_input(
                f"{label} {which}, typed" if which else f"{label}, typed",
                value=float(end),
                format="%.5g",
                step=step,
                key=controlled(key, float(end)),
                args=(checkpoint, name, key),
                width="stretch" if is_range else 84,
                **take,
            )


def _key(name: str, what: str) -> str:
    return f"target-{name}-{what}"


def _replaced(request: Request, item: Wanted) -> Request:
    wanted = tuple(item if other.name == item.name else other for other in request.wanted)
    return replace(request, wanted=wanted)


def _item(request: Request, name: str) -> Wanted | None:
    return next((item for item in request.wanted if item.name == name), None)


def _take(checkpoint: Checkpoint, item: Wanted, low: float, high: float) -> None:
    """Ask for other numbers of a quantity; numbers that it cannot have are told in its row."""
    try:
        changed = replace(item, low=low, high=high)
    except InputError as error:
        message, key = sentence(with_symbols(str(error))), current_request(checkpoint).key
        st.session_state[state.TARGET_NOTE] = (item.name, message, key)
        return
    set_request(checkpoint, _replaced(current_request(checkpoint), changed))


def _take_kind(checkpoint: Checkpoint, name: str) -> None:
    request = current_request(checkpoint)
    item = _item(request, name)
    if item is not None:
        kind = fresh(_key(name, "is"), kind_of(item))
        set_request(checkpoint, _replaced(request, with_kind(item, kind, slider_range(checkpoint, name))))


def _take_positions(checkpoint: Checkpoint, name: str, values: tuple[float, ...]) -> None:
    """Take where the handles of a slider were let go."""
    item = _item(current_request(checkpoint), name)
    if item is None:
        return
    ends = [float(f"{value:.6g}") for value in values]
    low, high = (
        end if math.isfinite(old) else old
        for end, old in zip((ends[0], ends[-1]), (item.low, item.high), strict=True)
    )
    _take(checkpoint, item, low, high)


def _take_numbers(checkpoint: Checkpoint, name: str, key: str) -> None:
    """Take what a typed number says."""
    item, value = _item(current_request(checkpoint), name), fresh(key, None)
    if item is None or value is None:
        return
    low, high = item.low, item.high
    if key == _key(name, "typed-from"):
        low = value
    elif key == _key(name, "typed-to"):
        high = value
    else:
        low, high = (value if math.isfinite(end) else end for end in (low, high))
    _take(checkpoint, item, float(low), float(high))


def _take_priority(checkpoint: Checkpoint, name: str) -> None:
    request = current_request(checkpoint)
    item = _item(request, name)
    if item is not None:
        changed = replace(item, weight=float(fresh(_key(name, "priority"), item.weight)))
        set_request(checkpoint, _replaced(request, changed))


def _remove(checkpoint: Checkpoint, name: str) -> None:
    request = current_request(checkpoint)
    set_request(
        checkpoint, replace(request, wanted=tuple(item for item in request.wanted if item.name != name))
    )


def _add(checkpoint: Checkpoint) -> None:
    """Ask for one more quantity: its middle, or a least or largest value where that is what is usual."""
    name, request = st.session_state[state.ADDED], current_request(checkpoint)
    if name is None or _item(request, name) is not None:
        return
    low, high = slider_range(checkpoint, name)
    middle = rounded_number(0.5 * (low + high))
    if name in ("density", "anisotropy"):
        item = Wanted(name=name, high=0.1 if name == "anisotropy" else middle)
    elif name.startswith("specific_"):
        item = Wanted(name=name, goal="max")
    else:
        item = Wanted(name=name, low=middle, high=middle)
    set_request(checkpoint, replace(request, wanted=(*request.wanted, item)))
