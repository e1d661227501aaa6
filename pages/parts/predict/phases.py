"""The two phases of the Predict page: materials of the library, own values, or a void."""

from typing import Any

import streamlit as st

from vaereg.errors import InputError
from vaereg.materials import VOID, Phase, TwoPhase, library

__all__ = ["OWN", "pair_line", "phase_inputs"]

OWN = "own values"
"""Choice of a phase by its numbers."""
_UNITS = {"conductivity": "W/(m K)", "density": "g/cm³", "thermal_expansion": "1e-6/K"}


def phase_inputs(pair: TwoPhase) -> TwoPhase:
    """The two phases of the user, the stiffer one first; `pair` until others are chosen."""
    with st.expander("Materials"):
        stiff = _phase("stiff", pair.stiff, [OWN, *library()])
        soft = _phase("soft", pair.soft, [OWN, VOID.name, *library()])
        try:
            chosen = TwoPhase(stiff, soft)
        except InputError as error:
            st.error(str(error))
            return pair
        if chosen != chosen.ordered():
            st.caption("The soft phase has the larger Young's modulus: the two are swapped.")
        return chosen.ordered()


def pair_line(pair: TwoPhase) -> str:
    """The pair in a few words: "E-glass / epoxy, contrast 22.5"."""
    names = [_name(phase) for phase in (pair.stiff, pair.soft)]
    return f"{' / '.join(names)}, " + ("porous" if pair.has_void else f"contrast {pair.contrast:.3g}")


def _name(phase: Phase) -> str:
    return phase.name or f"{phase.young_modulus:g} GPa"


def _phase(key: str, own: Phase, options: list[str]) -> Phase:
    """A phase by name, or by its numbers; `own` are those at first."""
    keep: dict[str, Any] = {"persist_state": "session"}
    name = st.selectbox(f"{key.capitalize()} phase", options, key=f"{key}-material", **keep)
    if name == VOID.name:
        return VOID
    if name != OWN:
        phase = library()[name]
        known = [f"{value:g} {_UNITS[item]}" for item, value in phase.to_dict().items() if item in _UNITS]
        st.caption(", ".join([f"E {phase.young_modulus:g} GPa, ν {phase.poisson_ratio:g}", *known]))
        return phase
    keep["format"] = "%g"
    young = st.number_input(
        f"Young's modulus, {key} [GPa]", 1e-6, 1e5, own.young_modulus, key=f"e-{key}", **keep
    )
    poisson = st.number_input(
        f"Poisson ratio, {key} [-]", 0.0, 0.49, own.poisson_ratio, 0.01, key=f"nu-{key}", **keep
    )
    optional = {
        item: st.number_input(
            f"{item.replace('_', ' ').capitalize()}, {key} [{unit}]",
            None if item == "thermal_expansion" else 0.0,
            value=None,
            key=f"{item}-{key}",
            placeholder="not needed",
            **keep,
        )
        for item, unit in _UNITS.items()
    }
    return Phase("", float(young), float(poisson), **optional)
