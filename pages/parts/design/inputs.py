"""The inputs of the Design page: what is asked for, how many designs, how large; all in the URL too."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeGuard

import streamlit as st

from pages.parts.common import state
from pages.parts.design.presets import presets, reachable_properties
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, Target, interval

__all__ = [
    "current_inputs",
    "lasting_inputs",
    "restore_inputs",
    "reachable",
    "sampling_inputs",
    "set_nearest",
    "set_target",
    "target_inputs",
]

DEFAULTS = {"C11": 60.0, "C22": 40.0, "C33": 40.0}
"""What is asked for at first [GPa]."""
MODES = ("free", "value", "range")
SIZES = {32: 48, 64: 16, 96: 6}
"""Voxels per edge, and the most designs of that size: about ten seconds of work."""
ALL = "all"

_HELP = {
    "C11": "Stress along x per strain along x, all other strains held at zero.",
    "C22": "Stress along y per strain along y, all other strains held at zero.",
    "C33": "Stress along z per strain along z, all other strains held at zero.",
    "C44": "Shear stress per shear strain in the y-z plane.",
    "C55": "Shear stress per shear strain in the x-z plane.",
    "C66": "Shear stress per shear strain in the x-y plane.",
    "volume_fraction": "Volume fraction: share of the voxels that are stiff; designs have it to the voxel.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """How one target is shown and set."""

    label: str
    unit: str
    low: float
    """Least value that can be set."""
    high: float
    digits: int
    """Decimal places."""

    @property
    def format(self) -> str:
        """Of a value on its slider."""
        return f"%.{self.digits}f" + (f" {self.unit}" if self.unit else "")

    def clamped(self, value: float) -> float:
        """The value that can be set nearest to this one."""
        return min(max(round(float(value), self.digits), self.low), self.high)


def quantities(checkpoint: Checkpoint) -> dict[str, Quantity]:
    """Every property that can be asked for, with the range of the training data."""
    found = {}
    for name in TARGETS:
        unit, digits = ("", 2) if name == state.FRACTION else ("GPa", 1)
        ends = checkpoint.fraction_range if name == state.FRACTION else checkpoint.property_ranges[name]
        low, high = (round(end, digits) for end in ends)
        label = "Fraction" if name == state.FRACTION else name
        found[name] = Quantity(label=label, unit=unit, low=low, high=high, digits=digits)
    return found


@contextmanager
def lasting_inputs(checkpoint: Checkpoint) -> Iterator[None]:
    """Around all inputs: keeps them over page changes.

    Leaving the page puts an address without inputs into the browser's history. Where Back leads to it,
    Streamlit sets all inputs to their defaults: then all runs once more, with the inputs as they were left.
    """
    left: dict[str, Any] | None = st.session_state.pop(state.INPUTS_LEFT, None)
    if left is not None:
        restore_inputs(checkpoint, left)
    kept = st.session_state.get(state.KEPT_INPUTS) if state.has_arrived() and not st.query_params else None
    yield
    if kept is not None and kept != current_inputs():
        st.session_state[state.INPUTS_LEFT] = kept
        st.rerun()
    st.session_state[state.KEPT_INPUTS] = current_inputs()


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
                    default="value" if name in DEFAULTS else "free",
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


def sampling_inputs(checkpoint: Checkpoint) -> state.Sampling:
    """Number, seed, cell size and component."""
    options: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
    st.subheader("Designs")
    size = st.segmented_control(
        "Cell size [voxel per edge]",
        list(SIZES),
        default=32,
        required=True,
        key=state.SIZE,
        help="Larger cells represent the material better and take longer: 96³ is 27 times 32³.",
        **options,
    )
    count = st.slider("Number of designs", 1, max(SIZES.values()), 12, key=state.COUNT, **options)
    if count > SIZES[size]:
        st.caption(f"At most {SIZES[size]} designs of {size}³ voxels are made.")
    with st.container(horizontal=True, gap="small"):
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key=state.SEED,
            help="The same target and seed give the same designs; another seed gives others.",
            **options,
        )
        component = st.selectbox(
            "Component",
            [ALL, *(str(k + 1) for k in range(checkpoint.components))],
            key=state.COMPONENT,
            help="Kind of microstructure: all components of the mixture, or one of them.",
            **options,
        )
    return state.Sampling(
        count=min(int(count), SIZES[size]),
        seed=int(seed),
        size=int(size),
        component=None if component == ALL else int(component) - 1,
    )


def set_target(checkpoint: Checkpoint, target: Mapping[str, Target]) -> None:
    """Ask for these values and ranges, and leave all other properties free; before the inputs are drawn."""
    for name, quantity in quantities(checkpoint).items():
        wanted = target.get(name)
        st.session_state[state.mode_key(name)] = MODES[(wanted is not None) + isinstance(wanted, tuple)]
        if isinstance(wanted, tuple):
            low, high = sorted(quantity.clamped(end) for end in wanted)
            st.session_state[state.range_key(name)] = (low, high)
        elif wanted is not None:
            st.session_state[state.value_key(name)] = quantity.clamped(wanted)


def set_nearest(checkpoint: Checkpoint, target: Mapping[str, Target], nearest: Mapping[str, float]) -> None:
    """Ask for what can be had in place of a target that cannot; ranges in which it lies stay."""
    inside = {
        name for name, value in target.items() if interval(value)[0] <= nearest[name] <= interval(value)[1]
    }
    set_target(checkpoint, {name: target[name] if name in inside else nearest[name] for name in target})


def current_inputs() -> dict[str, Any]:
    """All inputs of the Design page as plain values, to be saved."""
    keys = [state.COUNT, state.SEED, state.SIZE, state.COMPONENT]
    keys += [key(name) for name in TARGETS for key in (state.mode_key, state.value_key, state.range_key)]
    return {key: st.session_state[key] for key in keys if key in st.session_state}


def restore_inputs(checkpoint: Checkpoint, inputs: Mapping[str, Any]) -> None:
    """Take saved inputs; what does not fit this checkpoint, or is no such input, is left as it is."""
    st.session_state.pop(state.KEPT_INPUTS, None)  # the page must not bring back what was there before
    for name, quantity in quantities(checkpoint).items():
        if inputs.get(state.mode_key(name)) in MODES:
            st.session_state[state.mode_key(name)] = inputs[state.mode_key(name)]
        if _is_number(value := inputs.get(state.value_key(name))):
            st.session_state[state.value_key(name)] = quantity.clamped(value)
        ends = inputs.get(state.range_key(name))
        if isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends)):
            low, high = sorted(quantity.clamped(end) for end in ends)
            st.session_state[state.range_key(name)] = (low, high)
    components = [ALL, *(str(k + 1) for k in range(checkpoint.components))]
    for key, allowed in ((state.SIZE, list(SIZES)), (state.COMPONENT, components)):
        if inputs.get(key) in allowed:
            st.session_state[key] = inputs[key]
    for key, most in ((state.COUNT, max(SIZES.values())), (state.SEED, 2**31 - 1)):
        if _is_number(number := inputs.get(key)):
            st.session_state[key] = int(min(max(number, key == state.COUNT), most))


def _slider(name: str, quantity: Quantity, *, single: bool) -> Any:  # noqa: ANN401 (one number or two)
    unit = quantity.unit or "-"
    start: float | tuple[float, float] = quantity.clamped(
        DEFAULTS.get(name, 0.5 * (quantity.low + quantity.high))
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
    notices = []
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


@st.cache_data(show_spinner=False)
def reachable(_checkpoint: Checkpoint, checkpoint_hash: str) -> dict[str, Any]:
    """Properties of the training set's volumes, by name; see `reachable_properties`."""
    return reachable_properties(_checkpoint)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
