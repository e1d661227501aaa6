"""Widgets whose values belong to something else, such as the request of a session."""

from collections.abc import Iterable
from typing import TypeVar

import streamlit as st

__all__ = ["controlled", "first_of"]

_Option = TypeVar("_Option")


def controlled(key: str, value: object) -> str:
    """Key of a widget that is to show a value; called before the widget.

    The value is set where the widget has another one only: Streamlit sends a value that was set to the
    browser, which may have gone on by then. Give it to the widget as its default, too: a browser that did not
    get the value, of a run that another one cut short, falls back on the default.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return key


def first_of(options: Iterable[_Option], value: _Option) -> list[_Option]:
    """Options of a list with a value as the first, whether it is among them or not.

    A browser without a value of its own falls back on the first, after a restart of the server, say.
    """
    return [value, *(option for option in options if option != value)]
