"""Numbers, units, symbols and phases as a report prints them."""

from __future__ import annotations

import math
from html import escape

from vaereg.materials import TwoPhase
from vaereg.targets import QUANTITIES

__all__ = ["figure_text", "pair_text", "quantity_html", "unit_text"]

_GREEK = {"nu": "ν", "alpha": "\u03b1"}
_WORDS = {"density": "Density ρ", "volume_fraction": "Volume fraction", "anisotropy": "Universal anisotropy"}
_ROOTS = {"specific_E": "E", "specific_sqrt_E": "√E", "specific_cbrt_E": "∛E"}


def pair_text(materials: TwoPhase) -> str:
    """Both phases in a line, such as "E-glass / epoxy, contrast 22.5"."""
    names = [
        phase.name or f"{figure_text(phase.young_modulus)} GPa" for phase in (materials.stiff, materials.soft)
    ]
    contrast = "porous" if materials.has_void else f"contrast {figure_text(materials.contrast, 3)}"
    return f"{names[0]} / {names[1]}, {contrast}"


def quantity_html(name: str) -> str:
    """Symbol or name of a quantity for a table, such as E with the index x."""
    if name in _WORDS:
        return _WORDS[name]
    kind, _, index = name.rpartition("_")
    for start, symbol in _ROOTS.items():
        if start in (name, kind):
            return f"{symbol}{_index(index if kind == start else '')}/ρ"
    if name.startswith("C") and name[1:].isdigit():
        return f"C{_index(name[1:])}"
    return f"{_GREEK.get(kind or index, kind or index)}{_index(index if kind else '')}"


def _index(text: str) -> str:
    return f"<sub>{escape(text)}</sub>" if text else ""


def unit_text(name: str) -> str:
    """Unit of a quantity as it is printed; empty where it has none."""
    unit = QUANTITIES[name].unit
    return {"-": "", "1e-6/K": "10⁻⁶/K", "W/(m K)": "W/(m·K)"}.get(unit, unit)


def figure_text(value: float, digits: int = 4) -> str:
    """A number with some significant digits and without an exponent where it is of a usual size."""
    if not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if not -2 <= places <= 8:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10^{int(exponent)}".replace("-", "−")
    text = f"{value:.{max(places, 0)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
