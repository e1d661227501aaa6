"""Quantities as the pages show them: symbols, units, figures, targets in words; free of any user interface.

Letters: N cells, T quantities that are asked for.
"""

import math
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vaereg.materials import TwoPhase
from vaereg.targets import QUANTITIES, CellProperties, Targets, Wanted
from vaereg.targets.bounds import quantity_bounds
from vaereg.targets.quantities import STIFFNESS_ENTRIES

__all__ = [
    "OF_VOXELS",
    "axis_title",
    "describe_quantity",
    "figure_text",
    "guaranteed_text",
    "missing_property",
    "offered_quantities",
    "range_of_phases",
    "rounded_number",
    "signed_deviations",
    "span_text",
    "symbol",
    "target_text",
    "wanted_text",
    "with_symbols",
    "with_unit",
]

OF_VOXELS = ("volume_fraction", "density")
"""Quantities that the voxels and the phases tell exactly."""
_GREEK = {"nu": "ν", "alpha": "\u03b1"}
_ROOTS = {"specific_E": "E", "specific_sqrt_E": "√E", "specific_cbrt_E": "∛E"}
_WORDS = {
    "density": "density",
    "volume_fraction": "fraction",
    "anisotropy": "anisotropy",
    "E": "E mean",
    "nu": "ν mean",
    "G": "G mean",
    "k": "k mean",
    "alpha": "\u03b1 mean",
}
_FRACTIONS = np.linspace(0.01, 0.99, 99)
"""Volume fractions at which ranges are computed [-]."""
_OPEN_ENDS = {"nu": (-0.5, 1.0), "anisotropy": (0.0, 5.0)}
"""Ends of sliders where the phases give none [-]."""


def symbol(name: str) -> str:
    """Symbol of a quantity in plain text: "Ex" of "E_x", "νxy" of "nu_xy", "√Ex/ρ" of "specific_sqrt_E_x"."""
    if name in _WORDS:
        return _WORDS[name]
    kind, _, axes = name.rpartition("_")
    if name.startswith("specific_"):
        root, axis = (_ROOTS[kind], axes) if kind in _ROOTS else (_ROOTS[name], "")
        return f"{root}{axis}/ρ"
    return f"{_GREEK.get(kind, kind)}{axes}" if kind else name


def _unit(text: str) -> str:
    """A unit as the pages write it."""
    return text.replace("^(1/2)", "½").replace("^(1/3)", "⅓").replace("1e-6/K", "10⁻⁶/K")


def axis_title(name: str) -> str:
    """Symbol with the unit: "Ex [GPa]"."""
    return (
        f"{'volume fraction' if name == 'volume_fraction' else symbol(name)} [{_unit(QUANTITIES[name].unit)}]"
    )


def with_unit(name: str) -> str:
    """Symbol with the unit as rows of cards have it: "Ex GPa", "density g/cm³", "νxy"."""
    unit = _unit(QUANTITIES[name].unit)
    return symbol(name) if unit == "-" else f"{symbol(name)} {unit}"


def describe_quantity(name: str) -> str:
    """Symbol and description, as lists of quantities show it: "Ex · Young's modulus along x"."""
    if name in STIFFNESS_ENTRIES:
        return f"{name} · stiffness matrix, {QUANTITIES[name].description}"
    return f"{symbol(name)} · {QUANTITIES[name].description}"


def offered_quantities() -> list[str]:
    """Every quantity, those of engineers first and the entries of the stiffness matrix last."""
    return [*(name for name in QUANTITIES if name not in STIFFNESS_ENTRIES), *STIFFNESS_ENTRIES]


def with_symbols(text: str) -> str:
    """Message of the package with the symbols of the pages in place of names such as "nu_xy"."""
    names = sorted((name for name in QUANTITIES if "_" in name or name in _GREEK), key=len, reverse=True)
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: symbol(match[0]), text)


def figure_text(value: float) -> str:
    """A figure with three digits: "7.31", "66.0", "120"; a dash where it is not known."""
    if not math.isfinite(value):
        return "–"
    if value == 0.0 or abs(value) < 5e-4:
        return "0"
    digits = 2 - math.floor(math.log10(abs(float(f"{value:.3g}"))))
    return f"{value:.{max(digits, 0)}f}" if abs(value) < 1e5 else f"{value:.3g}"


def span_text(low: float, high: float) -> str:
    """A span of figures: "2.40 to 66.0"; nothing where it has no ends."""
    if not np.isfinite(low) and not np.isfinite(high):
        return ""
    if low == high:
        return figure_text(low)
    ends = [figure_text(end) if np.isfinite(end) else "∞" for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def guaranteed_text(name: str, low: float, high: float) -> str:
    """Ends between which a quantity lies for certain, rounded outwards to four digits: "6.836 to 6.840".

    Nothing for what follows from the voxels alone, and for ends that say nothing, such as Poisson ratios
    beyond 1.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or name in OF_VOXELS:
        return ""
    if name.partition("_")[0] == "nu" and max(-low, high) > 1.0:
        return ""
    size = max(abs(low), abs(high))
    if size == 0.0:
        return "0"
    digits = max(3 - math.floor(math.log10(size)), 0)
    ends = math.floor(low * 10**digits + 1e-6), math.ceil(high * 10**digits - 1e-6)
    return " to ".join(f"{end / 10**digits:.{digits}f}" for end in ends)


def rounded_number(value: float) -> float:
    """Number of three digits."""
    return float(f"{value:.3g}")


def wanted_text(item: Wanted, *, unit: bool = True) -> str:
    """What is wanted of a quantity without its name: "40 GPa", "25 to 30", "at most 1.9", "as large as
    possible".
    """
    ends = [f"{end:.5g}" for end in (item.low, item.high)]
    if item.is_value:
        words = ends[0]
    elif not item.is_bounded:
        words = ""
    elif not math.isfinite(item.low):
        words = f"at most {ends[1]}"
    elif not math.isfinite(item.high):
        words = f"at least {ends[0]}"
    else:
        words = f"{ends[0]} to {ends[1]}"
    if unit and words:
        words += _unit(QUANTITIES[item.name].unit_after)
    if item.goal:
        words += (", " if words else "") + f"as {'large' if item.goal == 'max' else 'small'} as possible"
    return words


def target_text(wanted: Iterable[Wanted]) -> str:
    """A target in words: "Ex = 40, Ey = 25 GPa, density at most 1.9 g/cm³, kz as large as possible"."""
    items = list(wanted)
    parts = []
    for place, item in enumerate(items):
        follower = items[place + 1] if place + 1 < len(items) else None
        shared = (
            follower is not None
            and QUANTITIES[follower.name].unit == QUANTITIES[item.name].unit
            and not item.goal
            and follower.is_bounded
        )
        equal = "= " if math.isfinite(item.low) and math.isfinite(item.high) else ""
        parts.append(f"{symbol(item.name)} {equal}{wanted_text(item, unit=not shared)}")
    return ", ".join(parts)


def missing_property(name: str, pair: TwoPhase) -> str:
    """Property of a phase that a quantity needs and that is not known, in words; empty where none is."""
    needed = QUANTITIES[name].needs
    for phase in (pair.stiff, pair.soft):
        known = not needed or getattr(phase, needed) is not None
        if not known and not (needed == "thermal_expansion" and phase.is_void):
            whose = phase.name or f"the phase of {phase.young_modulus:g} GPa"
            return f"the {needed.replace('_', ' ')} of {whose}"
    return ""


def range_of_phases(name: str, pair: TwoPhase) -> tuple[float, float]:
    """Least and largest value that a quantity can have with two phases, in its unit, for a slider."""
    if name == "volume_fraction":
        return 0.01, 0.99
    kind = name.partition("_")[0]
    with np.errstate(all="ignore"):
        bounds = quantity_bounds(name, _FRACTIONS, pair)
    ends = np.concatenate([bounds.low, bounds.high])
    low, high = (float(end) for end in (np.min(ends), np.max(ends)))
    if kind in _OPEN_ENDS:
        low, high = (max(low, _OPEN_ENDS[kind][0]), min(high, _OPEN_ENDS[kind][1]))
    if not (math.isfinite(low) and math.isfinite(high)):
        known = ends[np.isfinite(ends)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if high - low <= 1e-3 * abs(high):  # a quantity of one phase alone
        low, high = low - 0.1 * max(abs(low), 1.0), high + 0.1 * max(abs(high), 1.0)
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-6) / 20.0))
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return rounded_number(low), rounded_number(max(high, low + step))


def signed_deviations(targets: Targets, cells: CellProperties) -> NDArray[np.float64]:
    """Relative deviation of each quantity from what is wanted, with its sign, shape (N, T) [-]."""
    low, high = targets.limits()
    own = cells.values(targets.names)
    return (own - np.clip(own, low, high)) / targets.scales(cells)
