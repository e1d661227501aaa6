"""Selection in the latent map of the Explore page and the selection before it, kept in the session."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.parts.common.sessions import state
from pages.parts.explore.places import sample_key, sample_number

__all__ = [
    "choice",
    "choose",
    "drawn_choice",
    "forget",
    "former_choice",
    "keep_end",
    "kept_keys",
    "note_selection",
    "redraw",
    "restore",
]

MOST_KEPT = 8
"""Samples that are remembered as ends of walks."""


@dataclass(slots=True)
class Explored:
    chosen: tuple[str, ...] = ()
    """Keys of the chosen places."""
    former: tuple[str, ...] = ()
    """Several places of which the one that is chosen was picked."""
    kept: tuple[str, ...] = ()
    """Samples that were made ends of walks, the latest first."""
    drawn: object = None
    """Content of the figure without the selection."""
    drawn_choice: tuple[str, ...] = ()
    """The choice that is part of the figure."""
    redraw: bool = False
    """Whether the choice was made elsewhere than in the figure."""


def choice() -> tuple[str, ...]:
    """Keys of what is chosen."""
    return _explored().chosen


def former_choice() -> tuple[str, ...]:
    """The selection that the chosen place was picked from; empty if there is none."""
    return _explored().former


def note_selection() -> None:
    """Take over what the user has just chosen in the figure."""
    explored = _explored()
    selection: dict[str, Any] = st.session_state[state.LATENT_MAP]["selection"]
    named = [point["customdata"] for point in selection["points"] if point.get("customdata") is not None]
    keys = tuple(dict.fromkeys(map(_key, named)))
    if len(keys) > 1:  # a lasso takes the points of overlays too; they are not part of the map
        keys = tuple(key for key in keys if sample_number(key) is not None)
    if not keys and (selection.get("box") or selection.get("lasso")):
        st.toast("There is nothing in this selection. A double click on the map shows all again.")
    explored.chosen, explored.former = keys, ()
    st.session_state[state.MAP_PART] = 1


def choose(key: str) -> None:
    """Choose one place, from outside the figure."""
    explored = _explored()
    if len(explored.chosen) > 1:
        explored.former = explored.chosen
    explored.chosen, explored.redraw = (key,), True


def restore() -> None:
    """Go back to the selection that the chosen place was picked from."""
    explored = _explored()
    explored.chosen, explored.former, explored.redraw = explored.former, (), True


def drawn_choice(drawn: object) -> tuple[str, ...]:
    """The choice that the figure must show by itself.

    The browser shows a choice that is made in a figure, for as long as the figure stays the same to the last
    bit: so it is drawn only into a figure that changes anyway.

    Args:
        drawn: What else the figure shows.
    """
    explored = _explored()
    if explored.redraw or explored.drawn != drawn:
        explored.drawn, explored.drawn_choice, explored.redraw = drawn, explored.chosen, False
    return explored.drawn_choice


def redraw() -> None:
    """Have the figure show the choice by itself: after a change of pages the browser has forgotten it."""
    _explored().redraw = True


def keep_end(key: str, end: int) -> None:
    """Make a place the start (0) or the end (1) of the path, and show it."""
    explored = _explored()
    if sample_number(key) is not None:
        explored.kept = tuple(dict.fromkeys((key, *explored.kept)))[:MOST_KEPT]
    st.session_state[state.WALK_ENDS[end]] = key
    st.session_state[state.WALK_BOX] = True


def kept_keys() -> tuple[str, ...]:
    """Samples that were made ends of walks, the latest first."""
    return _explored().kept


def forget(existing: Container[str]) -> None:
    """Drop choices that stand for nothing any more: designs of a former target, items put back.

    Args:
        known: Keys of the designs and of the shortlist that are there now.
    """
    explored = _explored()
    if not all(sample_number(key) is not None or key in existing for key in explored.chosen):
        explored.chosen, explored.redraw = (), True


def _explored() -> Explored:
    return st.session_state.setdefault(state.EXPLORED, Explored())


def _key(customdata: str | int | list[str | int]) -> str:
    """Key of a point of the figure."""
    value = customdata[0] if isinstance(customdata, list) else customdata
    return value if isinstance(value, str) else sample_key(value)
