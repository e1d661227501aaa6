"""The sidebar of the Design page: targets and their history, constraints, modes, number, size and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.common.requests.controls import controlled, first_of, fresh
from pages.parts.common.requests.current import (
    can_redo,
    can_undo,
    current_request,
    former_requests,
    redo,
    set_request,
    undo,
)
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.modes import mode_picture, mode_title
from pages.parts.common.requests.quantities import rounded_number, target_text
from pages.parts.common.requests.request import MAX_SEED, SIZES, Request
from pages.parts.common.sessions.state import CHOSEN_MODES, COMPONENT, COUNT, FORMER, PRESET, SEED, SIZE
from pages.parts.design.constraints_panel import constraints_box
from pages.parts.design.outlook import Outlook, mode_outlook
from pages.parts.design.presets import presets
from pages.parts.design.targets_panel import target_rows
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.release import Modes
from vaereg.targets import Targets, Wanted

__all__ = ["outlook_of", "request_inputs", "sampling_inputs", "set_nearest"]

_AXES = Path(__file__).parents[3] / "assets" / "axes.svg"
_ALL = "all"
"""Choice of all components."""


def request_inputs(checkpoint: Checkpoint) -> None:
    """Targets with their presets and history, and constraints."""
    with st.container(key="target-head", horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Targets")
        st.button("↶", help="Undo the last change", key="undo", on_click=undo, disabled=not can_undo())
        st.button("↷", help="Redo what was undone", key="redo", on_click=redo, disabled=not can_redo())
        with st.popover("…", help="Former targets of this session, and what the symbols mean"):
            _former(checkpoint)
            st.image(
                _AXES, width=260, alt="Axes of the cell; E is measured with free sides, C11 between walls"
            )
    request = current_request(checkpoint)
    known = _presets(checkpoint, checkpoint.hash, request.pair)
    active = next((name for name, wanted in known.items() if wanted == request.wanted), None)
    st.selectbox(
        "Preset",
        list(known),
        index=None,
        placeholder="Start from a preset …",
        key=controlled(PRESET, active),
        label_visibility="collapsed",
        on_change=_take_preset,
        args=(checkpoint,),
    )
    target_rows(checkpoint)
    if checkpoint.modes is not None:
        constraints_box(checkpoint)


def _former(checkpoint: Checkpoint) -> None:
    """Buttons of the former targets of this session."""
    now = current_request(checkpoint)
    others = [request for request in former_requests() if request.wanted != now.wanted][:20]
    if not others:
        st.caption("Targets that were asked for before appear here.")
    for number, request in enumerate(others):
        st.button(
            f"{target_text(request.wanted)} · {pair_line(request.pair)}",
            key=f"{FORMER}-{number}",
            type="tertiary",
            on_click=set_request,
            args=(checkpoint, request),
        )


def sampling_inputs(checkpoint: Checkpoint, outlook: Sequence[Outlook]) -> None:
    """Modes or component, number, seed and cell size.

    Args:
        checkpoint: The model.
        outlook: Prospects of its modes for the target; none without modes or target.
    """
    request = current_request(checkpoint)
    options: dict[str, Any] = {"on_change": _take_sampling, "args": (checkpoint,)}
    if checkpoint.modes is not None:
        _mode_chips(checkpoint.modes, request.modes, outlook, options)
    st.subheader("Designs")
    st.segmented_control(
        "Cell size [voxel per edge]",
        list(SIZES),
        default=request.size,
        required=True,
        key=controlled(SIZE, request.size),
        help="Larger cells represent the material better and take longer: 96³ is 27 times 32³.",
        **options,
    )
    st.slider(
        "Number of designs",
        1,
        max(SIZES.values()),
        request.count,
        key=controlled(COUNT, request.count),
        **options,
    )
    if request.count > request.made:
        st.caption(f"At most {request.made} designs of {request.size}³ voxels are made.")
    with st.container(horizontal=True, gap="small"):
        st.number_input(
            "Seed",
            0,
            MAX_SEED,
            request.seed,
            key=controlled(SEED, request.seed),
            help="The same request and seed give the same designs; another seed gives others.",
            **options,
        )
        if checkpoint.modes is None:
            chosen = _ALL if request.component is None else str(request.component + 1)
            st.selectbox(
                "Component",
                first_of([_ALL, *(str(k + 1) for k in range(checkpoint.components))], chosen),
                key=controlled(COMPONENT, chosen),
                help="Kind of microstructure: all components of the mixture, or one of them.",
                **options,
            )


def _take_sampling(checkpoint: Checkpoint) -> None:
    request = current_request(checkpoint)
    names, component, chosen = (), request.component, ()
    if checkpoint.modes is not None:
        names, chosen = checkpoint.modes.names, fresh(CHOSEN_MODES, list(request.modes)) or []
    else:
        shown = _ALL if component is None else str(component + 1)
        shown = fresh(COMPONENT, shown)
        component = None if shown == _ALL else int(shown) - 1
    changed = replace(
        request,
        count=int(fresh(COUNT, request.count)),
        seed=int(fresh(SEED, request.seed) or 0),
        size=int(fresh(SIZE, request.size) or request.size),
        modes=tuple(name for name in names if name in chosen),
        component=component,
    )
    set_request(checkpoint, changed)


def _mode_chips(
    modes: Modes, chosen: Sequence[str], outlook: Sequence[Outlook], options: Mapping[str, Any]
) -> None:
    """Chips of the modes with their pictures, grey where a mode cannot reach the target."""
    sentences = "  \n".join(f"**{mode_title(mode.name)}**: {mode.sentence}" for mode in modes.catalogue)
    with st.container(key="modes-chips"):
        st.pills(
            "Modes",
            modes.names,
            default=list(chosen),
            selection_mode="multi",
            format_func=mode_title,
            key=controlled(CHOSEN_MODES, list(chosen)),
            help="Kinds of structure. Without a choice, all that reach the target make designs; grey ones "
            f"cannot reach it.  \n{sentences}",
            **options,
        )
        st.html(_chip_style(modes, outlook))


def _chip_style(modes: Modes, outlook: Sequence[Outlook]) -> str:
    """Style sheet of the chips: a small picture of each mode, grey where it cannot reach the target."""
    rules = []
    for index in range(len(modes.names)):
        chip = f".st-key-modes-chips button[data-variant=pills]:nth-of-type({index + 1})"
        rules.append(f"{chip}::before {{ background-image: url({mode_picture(modes, index)}); }}")
        if outlook and not outlook[index].reached:
            rules.append(f"{chip} {{ opacity: 0.5; }} {chip}::before {{ filter: grayscale(1); }}")
    return f"<style>{' '.join(rules)}</style>"


def set_nearest(checkpoint: Checkpoint, nearest: Mapping[str, float]) -> None:
    """Ask for what can be had in place of what cannot; what it meets stays as it is."""
    request = current_request(checkpoint)
    wanted = tuple(_moved(item, nearest.get(item.name)) for item in request.wanted)
    set_request(checkpoint, replace(request, wanted=wanted))


def _moved(item: Wanted, nearest: float | None) -> Wanted:
    if nearest is None or not item.is_bounded or item.low <= nearest <= item.high:
        return item
    end = rounded_number(nearest)
    if item.is_value:
        return replace(item, low=end, high=end)
    return replace(item, low=min(item.low, end), high=max(item.high, end))


def _take_preset(checkpoint: Checkpoint) -> None:
    request, name = current_request(checkpoint), fresh(PRESET, None)
    if name is not None:
        wanted = _presets(checkpoint, checkpoint.hash, request.pair)[name]
        set_request(checkpoint, replace(request, wanted=wanted))


@st.cache_data(max_entries=32, show_spinner=False)
def _presets(_checkpoint: Checkpoint, checkpoint_hash: str, pair: TwoPhase) -> dict[str, tuple[Wanted, ...]]:
    return presets(_checkpoint, pair)


def outlook_of(checkpoint: Checkpoint, targets: Targets, request: Request) -> list[Outlook]:
    """Prospects of the modes for a target with the phases and the symmetry of a request; none of a model
    without modes.
    """
    return _outlook(checkpoint, checkpoint.hash, targets, request.pair, request.constraints.symmetry)


@st.cache_data(max_entries=256, show_spinner=False)
def _outlook(
    _checkpoint: Checkpoint, checkpoint_hash: str, targets: Targets, pair: TwoPhase, symmetry: str
) -> list[Outlook]:
    return mode_outlook(_checkpoint, targets, pair, symmetry=symmetry)
