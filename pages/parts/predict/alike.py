"""Designs like the volume of the Predict page: its mode and its moduli as a target, with changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.requests.current import current_request, set_request
from pages.parts.common.requests.modes import lowered, mode_title
from pages.parts.common.requests.quantities import axis_title, range_of_phases, rounded_number
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shown import ShownVolume
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.recognition import load_classifier
from vaereg.targets import CellProperties, Wanted

__all__ = ["alike_panel", "asked_values"]

_ASKED = ("E_x", "E_y", "E_z")
"""Quantities of the volume that are asked for."""
_KEY = "alike"
_LARGEST = 64
"""Edge of the largest volume that is described [voxel]: of a larger one every second or third voxel is."""


def asked_values(stiffness: NDArray[np.float64], fraction: float, pair: TwoPhase) -> dict[str, float]:
    """Young's moduli of a volume as a target, those of directions that carry no load left out.

    Args:
        stiffness: Of the volume, shape (6, 6) [GPa].
        fraction: Volume fraction of the stiff phase [-].
        pair: The two phases.

    Returns:
        Values with three digits by quantity; the volume fraction where no direction carries a load.
    """
    cells = CellProperties(stiffness=stiffness[None], fraction=np.array([fraction]), materials=pair)
    known = dict(zip(_ASKED, cells.values(_ASKED)[0].tolist(), strict=True))
    least = {name: range_of_phases(name, pair)[0] for name in _ASKED}
    values = {
        name: rounded_number(value)
        for name, value in known.items()
        if np.isfinite(value) and value > max(least[name], 1e-6 * pair.e_stiff)
    }
    return values or {"volume_fraction": rounded_number(fraction)}


def alike_panel(checkpoint: Checkpoint, shown: ShownVolume, own: TwoPhase, stiffness: NDArray | None) -> None:
    """A choice of mode and moduli that begins with those of the volume, and the way to their designs.

    Args:
        checkpoint: The model; one without modes has no such designs.
        shown: Volume of the page.
        own: The two phases.
        stiffness: Of the volume, solved or predicted, shape (6, 6) [GPa]; None where it is not known.
    """
    if st.session_state.pop(state.ALIKE, False):
        st.switch_page("pages/design.py")
    volume = shown.volume
    if checkpoint.modes is None or stiffness is None or not volume.any() or volume.all():
        return
    panel = st.popover(
        "Designs like this, but …",
        key=f"{_KEY}-panel",
        on_change="rerun",
        help="Asks the Design page for structures of the same mode with the same moduli, or with others.",
    )
    if not panel.open:
        return
    names = checkpoint.modes.names
    with panel:
        with st.spinner("Recognising the structure …"):
            votes = _votes(volume_hash(volume), volume)
        likely = MODE_NAMES[int(np.argmax(votes))]
        place = names.index(likely) if likely in names else 0
        st.caption(f"Recognised as {lowered(mode_title(likely))}, {100 * max(votes):.0f} % of the votes.")
        mode = st.selectbox(
            "Mode of the designs", names, index=place, format_func=mode_title, key=f"{_KEY}-{shown.hash}-mode"
        )
        wanted = []
        for name, value in asked_values(np.asarray(stiffness), float(volume.mean()), own).items():
            low, high = range_of_phases(name, own)
            number = st.number_input(
                axis_title(name),
                min(low, value),
                max(high, value),
                value,
                format="%.5g",
                key=f"{_KEY}-{shown.hash}-{name}-{value:g}",
                help=f"{value:g} in this volume. Change what is to be another value.",
            )
            wanted.append(Wanted(name=name, low=float(number), high=float(number)))
        st.button(
            "Show these designs",
            key=f"{_KEY}-go",
            type="primary",
            on_click=_ask,
            args=(checkpoint, wanted, mode),
        )


def _ask(checkpoint: Checkpoint, wanted: Sequence[Wanted], mode: str) -> None:
    request = current_request(checkpoint)
    set_request(checkpoint, replace(request, wanted=tuple(wanted), modes=(mode,)))
    st.session_state[state.ALIKE] = True


@st.cache_data(max_entries=64, show_spinner=False)
def _votes(name: str, _volume: NDArray[np.uint8]) -> list[float]:
    """Share of the votes of each mode [-]."""
    step = -(-max(_volume.shape) // _LARGEST)
    coarse = _volume[::step, ::step, ::step]
    if coarse.all() or not coarse.any():
        coarse = _volume
    classifier = load_classifier()
    return classifier.mode_proba(classifier.predict_proba([coarse]))[0].tolist()
