"""Widgets whose values belong to something else, such as the request of a session."""

import time
from collections.abc import Iterable
from typing import Any, TypeVar

import streamlit as st

__all__ = ["controlled", "first_of", "fresh"]

_Option = TypeVar("_Option")
_SET = "values-set"
"""State: values that widgets showed when the page set others, and those, with the time of it [s], by key."""
_ON_THE_WAY = 2.0
"""Time after which a browser has a value that was set [s]."""


def controlled(key: str, value: object) -> str:
    """Key of a widget that is to show a value; called before the widget.

    The value is set where the widget has another one only: Streamlit sends a value that was set to the
    browser, which may have gone on by then. Give it to the widget as its default, too: a browser that did not
    get the value, of a run that another one cut short, falls back on the default.
    """
    if key not in st.session_state or st.session_state[key] != value:
        if key in st.session_state:
            now, known = time.monotonic(), st.session_state.setdefault(_SET, {})
            known[key] = [*_lately(key), (st.session_state[key], now), (value, now)]
        st.session_state[key] = value
    return key


def fresh(key: str, value: Any) -> Any:  # noqa: ANN401 (of any widget)
    """Value that was entered in a widget; the given one where it is only what the widget showed just before.

    With whatever is done next the browser sends the values of all widgets: until it has one that the page has
    set, the former one comes back as if it was entered, and would undo what set the other.
    """
    own = st.session_state[key]
    return value if any(own == former for former, _ in _lately(key)) else own


def _lately(key: str) -> list[tuple[Any, float]]:
    """Values that were set, or taken away, and may not be known to the browser yet."""
    since = time.monotonic() - _ON_THE_WAY
    return [entry for entry in st.session_state.get(_SET, {}).get(key, []) if entry[1] > since]


def first_of(options: Iterable[_Option], value: _Option) -> list[_Option]:
    """Options of a list with a value as the first, whether it is among them or not.

    A browser without a value of its own falls back on the first, after a restart of the server, say.
    """
    return [value, *(option for option in options if option != value)]
