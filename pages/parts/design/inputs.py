"""The inputs of the Design page: what is asked for, how many designs, how large; all in the URL too."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from pages.parts.common import start, state
from pages.parts.common.design_inputs import (
    ALL_COMPONENTS,
    DEFAULT_COUNT,
    DEFAULT_SEED,
    DEFAULT_SIZE,
    DEFAULT_TARGET,
    MAX_SEED,
    MODES,
    SIZES,
    Quantity,
    clean_link,
    component_names,
    current_inputs,
    default_mode,
    quantities,
    restore_inputs,
    set_target,
)
from pages.parts.common.keeper import save_inputs
from pages.parts.common.modes import component_color, mode_title
from pages.parts.design.outlook import Outlook, mode_outlook
from pages.parts.design.presets import presets, reachable_properties
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES, MODES as ALL_MODES
from vaereg.targets import Target, interval

__all__ = [
    "lasting_inputs",
    "outlook_of",
    "reachable",
    "rounded",
    "sampling_inputs",
    "set_nearest",
    "target_inputs",
]

_HELP = {
    "C11": "Stress along x per strain along x, all other strains held at zero.",
    "C22": "Stress along y per strain along y, all other strains held at zero.",
    "C33": "Stress along z per strain along z, all other strains held at zero.",
    "C44": "Shear stress per shear strain in the y-z plane.",
    "C55": "Shear stress per shear strain in the x-z plane.",
    "C66": "Shear stress per shear strain in the x-y plane.",
    "volume_fraction": "Volume fraction: share of the voxels that are stiff; designs have it to the voxel.",
}


@contextmanager
def lasting_inputs(checkpoint: Checkpoint) -> Iterator[None]:
    """Around all inputs: keeps them over page changes.

    Leaving the page puts an address without inputs into the browser's history. Where Back leads to it,
    Streamlit sets all inputs to their defaults: then all runs once more, with the inputs as they were left.
    """
    left: dict[str, Any] | None = st.session_state.pop(state.INPUTS_LEFT, None)
    if left is not None:
        restore_inputs(checkpoint, left)
    kept = st.session_state.get(state.KEPT_INPUTS) if start.has_arrived() and not st.query_params else None
    yield
    if kept is not None and kept != current_inputs():
        st.session_state[state.INPUTS_LEFT] = kept
        st.rerun()
    st.session_state[state.KEPT_INPUTS] = current_inputs()
    save_inputs()


def target_inputs(checkpoint: Checkpoint) -> dict[str, Target]:
    """Free, value or range per property, and its slider.

    Returns:
        Value or (low, high) per property that is not free, [GPa] or volume fraction [-].
    """
    st.subheader("Target", help="A property that is free takes any value that goes with the others.")
    st.selectbox(
        "Preset",
        list(_presets(checkpoint, checkpoint.hash)),
        index=None,
        placeholder="Start from a preset …",
        key=state.PRESET,
        label_visibility="collapsed",
        on_change=_take_preset,
        args=(checkpoint,),
    )
    _take_link(checkpoint)
    targets: dict[str, Target] = {}
    for name, quantity in quantities(checkpoint).items():
        with st.container(key=f"row-{name}", gap=None):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"**{quantity.label}**", help=_HELP[name])
                mode = st.segmented_control(
                    f"{quantity.label} is",
                    MODES,
                    default=default_mode(name),
                    required=True,
                    key=state.mode_key(name),
                    label_visibility="collapsed",
                    on_change=_begin_range,
                    args=(name, quantity),
                    bind="query-params",
                    persist_state="session",
                )
            if mode == "value":
                targets[name] = float(_slider(name, quantity, single=True))
            elif mode == "range":
                low, high = sorted(_slider(name, quantity, single=False))  # a link may have them reversed
                targets[name] = (float(low), float(high))
    return targets


def sampling_inputs(checkpoint: Checkpoint, outlook: Sequence[Outlook]) -> state.Sampling:
    """Number, seed, cell size and modes or component.

    Args:
        checkpoint: The model.
        outlook: Prospects of its modes for the target; none without modes or target.
    """
    options: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
    st.subheader("Designs")
    size = st.segmented_control(
        "Cell size [voxel per edge]",
        list(SIZES),
        default=DEFAULT_SIZE,
        required=True,
        key=state.SIZE,
        help="Larger cells represent the material better and take longer: 96³ is 27 times 32³.",
        **options,
    )
    count = st.slider("Number of designs", 1, max(SIZES.values()), DEFAULT_COUNT, key=state.COUNT, **options)
    if count > SIZES[size]:
        st.caption(f"At most {SIZES[size]} designs of {size}³ voxels are made.")
    components: tuple[int, ...] = ()
    if checkpoint.modes is not None:
        components = _chosen_modes(outlook)
    with st.container(horizontal=True, gap="small"):
        seed = st.number_input(
            "Seed",
            0,
            MAX_SEED,
            DEFAULT_SEED,
            key=state.SEED,
            help="The same target and seed give the same designs; another seed gives others.",
            **options,
        )
        if checkpoint.modes is None:
            component = st.selectbox(
                "Component",
                component_names(checkpoint),
                key=state.COMPONENT,
                help="Kind of microstructure: all components of the mixture, or one of them.",
                **options,
            )
            components = () if component == ALL_COMPONENTS else (int(component) - 1,)
    return state.Sampling(
        count=min(int(count), SIZES[size]),
        seed=int(seed),
        size=int(size),
        components=components,
    )


def _chosen_modes(outlook: Sequence[Outlook]) -> tuple[int, ...]:
    """Chips of the modes, in their colours and grey where a mode cannot reach the target; those chosen."""
    sentences = "  \n".join(f"**{mode_title(mode.name)}**: {mode.sentence}" for mode in ALL_MODES)
    with st.container(key="modes-chips"):
        chosen = st.pills(
            "Modes",
            MODE_NAMES,
            selection_mode="multi",
            format_func=mode_title,
            key=state.CHOSEN_MODES,
            help="Kinds of structure. Without a choice, all that reach the target make designs; grey ones "
            f"cannot reach it.  \n{sentences}",
            bind="query-params",
            persist_state="session",
        )
        st.html(_chip_style(outlook))
    return tuple(sorted(MODE_NAMES.index(name) for name in chosen))


def _chip_style(outlook: Sequence[Outlook]) -> str:
    """Style sheet of the chips: a dot in the colour of each mode, grey where it cannot reach the target."""
    rules = []
    for index in range(len(MODE_NAMES)):
        chip = f".st-key-modes-chips button[data-variant=pills]:nth-of-type({index + 1})"
        rules.append(f"{chip}::before {{ background: {component_color(index)}; }}")
        if outlook and not outlook[index].reached:
            rules.append(f"{chip} {{ opacity: 0.5; }} {chip}::before {{ filter: grayscale(1); }}")
    return f"<style>{' '.join(rules)}</style>"


def rounded(checkpoint: Checkpoint, values: Mapping[str, float]) -> dict[str, Target]:
    """Values as the sliders show them."""
    return {
        name: round(values[name], quantity.digits)
        for name, quantity in quantities(checkpoint).items()
        if name in values
    }


def set_nearest(checkpoint: Checkpoint, target: Mapping[str, Target], nearest: Mapping[str, float]) -> None:
    """Ask for what can be had in place of a target that cannot; ranges in which it lies stay."""
    inside = {
        name for name, value in target.items() if interval(value)[0] <= nearest[name] <= interval(value)[1]
    }
    set_target(checkpoint, {name: target[name] if name in inside else nearest[name] for name in target})


def _slider(name: str, quantity: Quantity, *, single: bool) -> Any:  # noqa: ANN401 (one number or two)
    unit = quantity.unit or "-"
    start: float | tuple[float, float] = quantity.clamped(
        DEFAULT_TARGET.get(name, 0.5 * (quantity.low + quantity.high))
    )
    if not single:
        start = _around(start, quantity)
    return st.slider(
        f"{quantity.label} [{unit}]" if single else f"{quantity.label} from and to [{unit}]",
        quantity.low,
        quantity.high,
        start,
        10.0**-quantity.digits,
        quantity.format,
        key=state.value_key(name) if single else state.range_key(name),
        label_visibility="collapsed",
        bind="query-params",
        persist_state="session",
    )


def _take_link(checkpoint: Checkpoint) -> None:
    """Numbers of a link that cannot be set become the nearest ones that can; the sliders would drop them."""
    notices = ["A part of the link is no number and was left out."] * clean_link()
    other = state.CHOSEN_MODES if checkpoint.modes is None else state.COMPONENT
    if other in st.query_params:  # such as of version 0.1
        asked = ", ".join(st.query_params.get_all(other))
        del st.query_params[other]
        if asked != ALL_COMPONENTS:
            what = "modes" if other == state.CHOSEN_MODES else "a component"
            notices.append(f"The link asks for {what} of another model, which was left out.")
    for name, quantity in quantities(checkpoint).items():
        for key, count in ((state.value_key(name), 1), (state.range_key(name), 2)):
            given = st.query_params.get_all(key)
            if key in st.session_state or len(given) != count:
                continue
            try:
                wanted = [float(text) for text in given]
            except ValueError:
                continue
            inside = all(quantity.low <= end <= quantity.high for end in wanted)
            if inside or not all(map(math.isfinite, wanted)):
                continue
            taken = sorted(quantity.clamped(end) for end in wanted)
            st.query_params[key] = [f"{end:g}" for end in taken]
            notices.append(
                f"{quantity.label} of the link is out of range, {quantity.low:g} to {quantity.high:g}: "
                f"{' to '.join(f'{end:g}' for end in taken)} is taken."
            )
    if notices:
        st.session_state[state.LINK_NOTICES] = notices
        st.rerun()  # by the address as it is now
    for notice in st.session_state.pop(state.LINK_NOTICES, []):
        st.toast(notice)


def _begin_range(name: str, quantity: Quantity) -> None:
    """A range begins around the value that was set."""
    key = state.range_key(name)
    if st.session_state[state.mode_key(name)] == "range" and key not in st.session_state:
        value = st.session_state.get(state.value_key(name))
        if value is not None:
            st.session_state[key] = _around(value, quantity)


def _around(value: float, quantity: Quantity) -> tuple[float, float]:
    return quantity.clamped(0.9 * value), quantity.clamped(1.1 * value)


def _take_preset(checkpoint: Checkpoint) -> None:
    name = st.session_state[state.PRESET]
    if name is not None:
        set_target(checkpoint, _presets(checkpoint, checkpoint.hash)[name])
        st.session_state[state.PRESET] = None


@st.cache_data(show_spinner=False)
def _presets(_checkpoint: Checkpoint, checkpoint_hash: str) -> dict[str, dict[str, Target]]:
    return presets(_checkpoint)


def outlook_of(checkpoint: Checkpoint, targets: Mapping[str, Target]) -> list[Outlook]:
    """Prospects of the modes for a target; none of a model without modes."""
    return _outlook(checkpoint, checkpoint.hash, dict(targets))


@st.cache_data(max_entries=256, show_spinner=False)
def _outlook(_checkpoint: Checkpoint, checkpoint_hash: str, targets: dict[str, Target]) -> list[Outlook]:
    return mode_outlook(_checkpoint, targets)


@st.cache_data(show_spinner=False)
def reachable(_checkpoint: Checkpoint, checkpoint_hash: str) -> dict[str, Any]:
    """Properties of the training set's volumes, by name; see `reachable_properties`."""
    return reachable_properties(_checkpoint)
