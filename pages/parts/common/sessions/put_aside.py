"""The shortlist of this session: the volumes that its user has put aside."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.background import outcomes_of
from pages.parts.common.sessions.keeper import former_token, load_part, save_part
from pages.parts.common.sessions.shortlist import ShortlistItem, add_item, free_name
from pages.parts.common.sessions.state import RESTORED_SHORTLIST, SHORTLIST
from pages.parts.common.text import sentence
from pages.parts.solving.tasks import solver_settings
from vaereg.inverse.constraints import Constraints
from vaereg.materials import Phase, TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import Targets, Wanted

__all__ = [
    "add_to_shortlist",
    "complete_shortlist",
    "is_in_shortlist",
    "remove_from_shortlist",
    "rename_in_shortlist",
    "set_shortlist",
    "shortlist",
    "toggle_in_shortlist",
]


_PART = "shortlist"
"""Name of the shortlist among what is saved of a session."""
_TYPES = (ShortlistItem, TwoPhase, Phase, Targets, Wanted, Constraints)


def shortlist() -> list[ShortlistItem]:
    """Return the volumes that this session, or the former one of this tab, has put aside, in order."""
    if former_token() is not None and RESTORED_SHORTLIST not in st.session_state:
        st.session_state[RESTORED_SHORTLIST] = True
        items = load_part(_PART, _TYPES) or []
        for item in st.session_state.get(SHORTLIST, []):
            with suppress(ValueError):  # no room: what was there before comes first
                items = add_item(items, item)
        set_shortlist(items)
    return list(st.session_state.get(SHORTLIST, []))


def add_to_shortlist(item: ShortlistItem) -> bool:
    """Put a volume aside and return whether it is in the shortlist now; a toast tells of a full one."""
    try:
        set_shortlist(add_item(shortlist(), item))
    except ValueError as error:
        st.toast(sentence(str(error)))
        return False
    return True


def is_in_shortlist(volume: NDArray[np.uint8]) -> bool:
    """Return whether this volume was put aside."""
    return volume_hash(volume) in {item.hash for item in shortlist()}


def toggle_in_shortlist(item: ShortlistItem) -> None:
    """Put a volume aside, or take it out where it is in the shortlist already."""
    if is_in_shortlist(item.volume):
        remove_from_shortlist(item.hash)
    else:
        add_to_shortlist(item)


def remove_from_shortlist(volume: str) -> None:
    """Take the volume of this hash out of the shortlist."""
    set_shortlist([item for item in shortlist() if item.hash != volume])


def rename_in_shortlist(volume: str, name: str) -> None:
    """Give the volume of this hash another name."""
    taken = {item.name for item in shortlist() if item.hash != volume}
    set_shortlist(
        [replace(item, name=free_name(name, taken)) if item.hash == volume else item for item in shortlist()]
    )


def set_shortlist(items: Sequence[ShortlistItem]) -> None:
    """Put these volumes in place of the shortlist, and save them."""
    former = st.session_state.get(SHORTLIST, [])
    st.session_state[SHORTLIST] = list(items)
    if [id(item) for item in items] != [id(item) for item in former]:  # items never change
        save_part(_PART, list(items))


def complete_shortlist() -> list[ShortlistItem]:
    """Add the stiffness that the solver has computed since, and return the shortlist."""
    items = shortlist()
    outcomes = outcomes_of([item.materials for item in items], [item.volume for item in items])
    for i, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
        if not isinstance(outcome, HomogenizationResult):
            continue
        same = item.stiffness is not None and np.array_equal(item.stiffness, outcome.stiffness)
        unstated = item.tolerance is None and same
        if not item.verified or unstated:
            items[i] = replace(
                item,
                stiffness=outcome.stiffness,
                tolerance=solver_settings(item.materials)["rtol"],
                solves=None,
                from_file=False,
            )
    set_shortlist(items)
    return items
