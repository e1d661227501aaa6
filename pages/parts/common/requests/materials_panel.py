"""The two phases of all pages: chosen in the sidebar from the library, from own entries, or a void."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from pages.parts.common.requests.controls import controlled, first_of, fresh
from pages.parts.common.requests.current import current_request, own_phases, set_request
from pages.parts.common.requests.quantities import rounded_number
from pages.parts.common.sessions import state
from pages.parts.common.text import plain, sentence
from vaereg.errors import InputError
from vaereg.materials import VOID, Phase, TwoPhase, library, library_rows
from vaereg.model.checkpoint import Checkpoint

__all__ = ["materials_panel", "own_phase", "pair_doubt", "pair_line"]

_UNITS = {"density": "g/cm³", "conductivity": "W/(m K)", "thermal_expansion": "10⁻⁶/K"}
_BETWEEN = {"10⁻⁶/K": "·"}
"""What stands between a number and its unit."""
_SYMBOLS = {"density": "ρ", "conductivity": "k", "thermal_expansion": "\u03b1"}
_KEYS = {"stiff": "material-stiff", "soft": "material-soft"}
MOST_CONTRAST = 1e4
"""Largest contrast of the pairs that the regressor was trained on [-], `CONTRAST` of
`vaereg.training.labelling.morphologies`."""
_YOUNG = (1e-6, 1e5)
"""Young's moduli of materials of one's own [GPa]: aerogels to a hundred times diamond."""
_MOST_POISSON = 0.49
"""Largest Poisson ratio that the model was trained on [-]."""
_MOST = 1e6
"""Largest conductivity, density and expansion, in their units."""
_OWN = "own-material-"
"""Beginning of the keys of the inputs of an own material."""


def pair_line(pair: TwoPhase) -> str:
    """The pair in a few words: "E-glass / epoxy, contrast 22.5"."""
    names = [phase.name or f"{phase.young_modulus:g} GPa" for phase in (pair.stiff, pair.soft)]
    return f"{' / '.join(names)}, " + ("porous" if pair.has_void else f"contrast {_contrast(pair)}")


def _contrast(pair: TwoPhase) -> str:
    """Three digits, and no exponent."""
    return f"{rounded_number(pair.contrast):.12g}"


def pair_doubt(pair: TwoPhase) -> str:
    """Doubt about a pair that can be computed, as a sentence; empty where there is none."""
    stiff, soft = ((phase.young_modulus, phase.poisson_ratio) for phase in (pair.stiff, pair.soft))
    if stiff == soft:
        return "Both phases are equally stiff: the structure makes no difference to the stiffness."
    if not pair.has_void and pair.contrast > MOST_CONTRAST:
        return (
            f"A contrast of {_contrast(pair)} is beyond the {MOST_CONTRAST:g} that the model knows: take a "
            "void for a phase as soft as this."
        )
    return ""


def materials_panel(checkpoint: Checkpoint) -> TwoPhase:
    """The choice of both phases, which are those of every page."""
    pair = current_request(checkpoint).pair
    kinds = {row["name"]: row["kind"] for row in library_rows()}
    phases = {**library(), **own_phases(checkpoint)}
    names = {"stiff": [*phases], "soft": [VOID.name, *phases]}

    def shown(name: str) -> str:
        return f"{name} · {kinds[name]}" if name in kinds else name

    st.subheader(
        "Materials",
        help="The phases of all designs, predictions and solves, the stiff one first; at room temperature. "
        "Type into a list to search by name or by kind: metal, polymer, ceramic, glass, fibre, foam.",
    )
    with st.container(key="materials", gap="small"):
        for which, key in _KEYS.items():
            phase: Phase = getattr(pair, which)
            name = next((name for name, known in phases.items() if known == phase), VOID.name)
            st.selectbox(
                f"{which.capitalize()} phase",
                first_of(names[which], name),
                format_func=shown,
                key=controlled(key, name),
                on_change=_choose,
                args=(checkpoint, which, phases),
                label_visibility="collapsed",
            )
            st.caption(f"**{which.capitalize()}**: {_numbers(phase)}")
        st.markdown(f"**{plain(pair_line(pair))}**")
        if note := st.session_state.pop(state.MATERIAL_NOTE, ""):
            st.info(note)
        if doubt := pair_doubt(pair):
            st.warning(doubt)
        with st.popover("Own material", width="stretch"):
            _own_inputs(checkpoint)
    return pair


def _numbers(phase: Phase) -> str:
    """Numbers of a phase with their units."""
    if phase.is_void:
        return "no stiffness, no conduction, no mass"
    known = [
        f"{_SYMBOLS[name]} {getattr(phase, name):g}{_BETWEEN.get(unit, ' ')}{unit}".replace(" ", "\u00a0")
        for name, unit in _UNITS.items()
        if getattr(phase, name) is not None
    ]
    return ", ".join([f"E {phase.young_modulus:g} GPa, ν {phase.poisson_ratio:g}", *known])


def _choose(checkpoint: Checkpoint, which: str, phases: Mapping[str, Phase]) -> None:
    """Take the material that was chosen as one of the phases."""
    name, known = fresh(_KEYS[which], None), {**phases, VOID.name: VOID}
    if name in known:
        _set_phase(checkpoint, which, known[name])


def _set_phase(checkpoint: Checkpoint, which: str, phase: Phase) -> None:
    request = current_request(checkpoint)
    try:
        pair = replace(request.pair, **{which: phase})
    except InputError as error:
        st.session_state[state.MATERIAL_NOTE] = sentence(str(error))
        return
    if pair != pair.ordered():
        pair = pair.ordered()
        names = [plain(item.name or f"{item.young_modulus:g} GPa") for item in (pair.soft, pair.stiff)]
        st.session_state[state.MATERIAL_NOTE] = (
            f"{names[0]} is softer than {names[1]}: the two phases are swapped."
        )
    set_request(checkpoint, replace(request, pair=pair))


def _own_inputs(checkpoint: Checkpoint) -> None:
    """Name and numbers of a material that is not in the library."""
    keep: dict[str, Any] = {"persist_state": "session"}
    with st.container():  # in sight, however low the window is
        if complaint := st.session_state.pop(state.MATERIAL_COMPLAINT, ""):
            st.error(complaint)
    st.text_input("Name of the material", "own material", max_chars=40, key=f"{_OWN}name", **keep)
    left, right = st.columns(2)
    keep["format"] = "%g"
    # Without limits: the browser would leave out what is beyond them, and the former number would be used.
    left.number_input("Young's modulus [GPa]", value=10.0, key=f"{_OWN}young_modulus", **keep)
    right.number_input("Poisson ratio [-]", value=0.3, step=0.01, key=f"{_OWN}poisson_ratio", **keep)
    for column, (item, unit) in zip((left, right, left), _UNITS.items(), strict=True):
        column.number_input(
            f"{item.replace('_', ' ').capitalize()} [{unit}]",
            value=None,
            key=f"{_OWN}{item}",
            placeholder="not needed",
            **keep,
        )
    with st.container(horizontal=True):
        for which in _KEYS:
            st.button(
                f"Use as {which} phase",
                key=f"{_OWN}use-{which}",
                on_click=_use_own,
                args=(checkpoint, which),
            )


def _use_own(checkpoint: Checkpoint, which: str) -> None:
    young, poisson = (float(st.session_state[f"{_OWN}{name}"]) for name in ("young_modulus", "poisson_ratio"))
    others = {name: st.session_state.get(f"{_OWN}{name}") for name in _UNITS}
    name = " ".join(str(st.session_state.get(f"{_OWN}name")).split()) or "own material"
    if name.casefold() in {known.casefold() for known in (*library(), VOID.name)}:
        name += " (own)"
    try:
        phase = own_phase(name, young, poisson, **others)
    except InputError as error:
        st.session_state[state.MATERIAL_COMPLAINT] = sentence(str(error))
        return
    _set_phase(checkpoint, which, phase)


def own_phase(name: str, young: float, poisson: float, **others: float | None) -> Phase:
    """Material of one's own.

    Raises:
        InputError: A number is not one that a material has; the message begins with its name.
    """
    low, high = _YOUNG
    if not low <= young <= high:
        raise InputError(f"expected a Young's modulus of {low:g} to {high:g} GPa, got {young:g}")
    if not -1.0 < poisson <= _MOST_POISSON:
        raise InputError(f"expected a Poisson ratio above -1 and at most {_MOST_POISSON:g}, got {poisson:g}")
    for label, value in others.items():
        if value is not None and not abs(value) <= _MOST:
            raise InputError(f"expected a {label.replace('_', ' ')} of at most {_MOST:g}, got {value:g}")
    return Phase(name, young, poisson, **others)
