"""Widgets whose values belong to something else, such as the request of a session."""

import streamlit as st

__all__ = ["controlled"]


def controlled(key: str, value: object) -> str:
    """Key of a widget that is to show a value; called before the widget.

    The value is set where the widget has another one only: Streamlit sends a value that was set to the
    browser, which may have gone on by then.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return key
