"""Values of the inputs of the Design page: their limits, how they are read, saved and restored."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import streamlit as st

from pages.parts.common import state
from pages.parts.common.modes import mode_named, mode_title
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.targets import TARGETS, Target

__all__ = [
    "ALL_COMPONENTS",
    "DEFAULT_COUNT",
    "DEFAULT_SEED",
    "DEFAULT_SIZE",
    "DEFAULT_TARGET",
    "LINK_NAMES",
    "MAX_SEED",
    "MODES",
    "SIZES",
    "Quantity",
    "clean_link",
    "component_names",
    "current_inputs",
    "default_mode",
    "link_of_inputs",
    "quantities",
    "restore_inputs",
    "set_target",
    "take_link",
]

MODES = ("free", "value", "range")
SIZES = {32: 48, 64: 16, 96: 6}
"""Voxels per edge, and the largest number of designs of that size: about ten seconds of work."""
ALL_COMPONENTS = "all"
MAX_SEED = 2**31 - 1
DEFAULT_TARGET = {"C11": 60.0, "C22": 40.0, "C33": 40.0}
"""Target of a new session [GPa]."""
DEFAULT_COUNT, DEFAULT_SEED, DEFAULT_SIZE = 12, 0, 32
_WHOLE_NUMBERS = (state.COUNT, state.SEED, state.SIZE)
LINK_NAMES = [
    *_WHOLE_NUMBERS,
    state.COMPONENT,
    state.CHOSEN_MODES,
    *(key(name) for name in TARGETS for key in (state.mode_key, state.value_key, state.range_key)),
]
"""Names of the inputs in the address of a page."""
_WORDS = (state.COMPONENT, state.CHOSEN_MODES, *map(state.mode_key, TARGETS))
"""Those whose values are words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """Limits and format of one target."""

    label: str
    unit: str
    low: float
    """Lowest value of the slider."""
    high: float
    """Highest value of the slider."""
    digits: int
    """Decimal places."""

    @property
    def format(self) -> str:
        """Format of a value on the slider."""
        return f"%.{self.digits}f" + (f" {self.unit}" if self.unit else "")

    def clamped(self, value: float) -> float:
        """Return the value of the slider that is nearest to this value."""
        return min(max(round(float(value), self.digits), self.low), self.high)


def quantities(checkpoint: Checkpoint) -> dict[str, Quantity]:
    """Return every property that can be targeted, with the range of the training data."""
    limits = {}
    for name in TARGETS:
        unit, digits = ("", 2) if name == state.FRACTION else ("GPa", 1)
        ends = checkpoint.fraction_range if name == state.FRACTION else checkpoint.property_ranges[name]
        low, high = (round(end, digits) for end in ends)
        label = "Fraction" if name == state.FRACTION else name
        limits[name] = Quantity(label=label, unit=unit, low=low, high=high, digits=digits)
    return limits


def component_names(checkpoint: Checkpoint) -> list[str]:
    """Return the choices of the mixture component: all components, or one by its number from 1; none of a
    model with modes, which are chosen by name.
    """
    if checkpoint.modes is not None:
        return []
    return [ALL_COMPONENTS, *(str(k + 1) for k in range(checkpoint.components))]


def set_target(checkpoint: Checkpoint, target: Mapping[str, Target]) -> None:
    """Ask for these values and ranges, and leave all other properties free; called before the inputs."""
    for name, quantity in quantities(checkpoint).items():
        wanted = target.get(name)
        st.session_state[state.mode_key(name)] = MODES[(wanted is not None) + isinstance(wanted, tuple)]
        if isinstance(wanted, tuple):
            low, high = sorted(quantity.clamped(end) for end in wanted)
            st.session_state[state.range_key(name)] = (low, high)
        elif wanted is not None:
            st.session_state[state.value_key(name)] = quantity.clamped(wanted)


def current_inputs() -> dict[str, Any]:
    """Return all inputs of the Design page as plain values."""
    return {key: st.session_state[key] for key in LINK_NAMES if key in st.session_state}


def default_mode(name: str) -> str:
    """Return how a property is asked for in a new session: free, or by a value."""
    return "value" if name in DEFAULT_TARGET else "free"


def link_of_inputs() -> list[tuple[str, str]]:
    """Return names and values of the inputs that are not those of a new session, as the address has them."""
    inputs = current_inputs()
    link: list[tuple[str, str]] = []
    for name in TARGETS:
        mode = inputs.get(state.mode_key(name), default_mode(name))
        if mode != default_mode(name):
            link.append((state.mode_key(name), mode))
        value, ends = inputs.get(state.value_key(name)), inputs.get(state.range_key(name))
        if mode == "value" and value is not None and value != DEFAULT_TARGET.get(name):
            link.append((state.value_key(name), f"{value:g}"))
        if mode == "range" and ends is not None:
            link += [(state.range_key(name), f"{end:g}") for end in ends]
    defaults = {
        state.COUNT: DEFAULT_COUNT,
        state.SEED: DEFAULT_SEED,
        state.SIZE: DEFAULT_SIZE,
        state.COMPONENT: ALL_COMPONENTS,
    }
    link += [(key, str(inputs[key])) for key, value in defaults.items() if inputs.get(key, value) != value]
    return link + [(state.CHOSEN_MODES, mode_title(name)) for name in inputs.get(state.CHOSEN_MODES) or []]


def clean_link() -> bool:
    """Remove from the address what is no number where the inputs need one; return whether there was such.

    Streamlit converts the numbers of an address without a check: an infinite seed would end the page.
    """
    wrong = []
    for key in LINK_NAMES:
        if key in _WORDS:
            continue
        if not all(_is_finite(text) for text in st.query_params.get_all(key)):
            wrong.append(key)
    for key in wrong:
        del st.query_params[key]
    return bool(wrong)


def take_link(checkpoint: Checkpoint) -> None:
    """Set the inputs to those in the address of a page that does not show them."""
    inputs: dict[str, Any] = {}
    for key in LINK_NAMES:
        texts = st.query_params.get_all(key)
        if key == state.CHOSEN_MODES:
            inputs |= {key: texts} if texts else {}
        elif key in _WORDS:
            inputs |= {key: texts[0]} if texts else {}
        elif texts and all(map(_is_finite, texts)):
            numbers = [int(float(text)) if key in _WHOLE_NUMBERS else float(text) for text in texts]
            inputs[key] = numbers[0] if len(numbers) == 1 else numbers
    if inputs:
        restore_inputs(checkpoint, inputs)


def restore_inputs(checkpoint: Checkpoint, inputs: Mapping[str, Any]) -> None:
    """Set the inputs to saved values; a value that is no input of this checkpoint is skipped."""
    st.session_state.pop(state.KEPT_INPUTS, None)  # else the page would bring back its former inputs
    for name, quantity in quantities(checkpoint).items():
        if inputs.get(state.mode_key(name)) in MODES:
            st.session_state[state.mode_key(name)] = inputs[state.mode_key(name)]
        if _is_number(value := inputs.get(state.value_key(name))):
            st.session_state[state.value_key(name)] = quantity.clamped(value)
        ends = inputs.get(state.range_key(name))
        if isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends)):
            low, high = sorted(quantity.clamped(end) for end in ends)
            st.session_state[state.range_key(name)] = (low, high)
    for key, choices in ((state.SIZE, list(SIZES)), (state.COMPONENT, component_names(checkpoint))):
        if inputs.get(key) in choices:
            st.session_state[key] = inputs[key]
    names = inputs.get(state.CHOSEN_MODES)
    if checkpoint.modes is not None and isinstance(names, list | tuple):
        chosen = {mode_named(name) for name in names if isinstance(name, str)}
        st.session_state[state.CHOSEN_MODES] = [name for name in MODE_NAMES if name in chosen]
    for key, low, high in ((state.COUNT, 1, max(SIZES.values())), (state.SEED, 0, MAX_SEED)):
        if _is_number(number := inputs.get(key)):
            st.session_state[key] = int(min(max(number, low), high))


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except (ValueError, OverflowError):
        return False


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
