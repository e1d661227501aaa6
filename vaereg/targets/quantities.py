"""Quantities that can be asked for: names, units, signs, and numbers read with any unit.

Names along one axis are of tension, shear, conduction and expansion along x, y, z. Names without an axis,
`E`, `nu`, `K`, `G`, `k`, `alpha`, are of the average over orientations (Hill's mean for the stiffness).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vaereg.errors import InputError

if TYPE_CHECKING:
    import pint

__all__ = [
    "ALIASES",
    "QUANTITIES",
    "STIFFNESS_ENTRIES",
    "Quantity",
    "canonical_name",
    "quantity",
    "read_number",
]

_MODULUS, _CONDUCTIVITY, _EXPANSION, _DENSITY = "GPa", "W/(m K)", "1e-6/K", "g/cm³"
_PINT_UNITS = {
    _MODULUS: ("GPa", 1.0),
    _CONDUCTIVITY: ("W/(m*K)", 1.0),
    _EXPANSION: ("1/K", 1e6),
    _DENSITY: ("g/cm**3", 1.0),
    "-": ("dimensionless", 1.0),
    "GPa cm³/g": ("GPa*cm**3/g", 1.0),
    "GPa^(1/2) cm³/g": ("GPa**0.5*cm**3/g", 1.0),
    "GPa^(1/3) cm³/g": ("GPa**(1/3)*cm**3/g", 1.0),
}
"""Unit of each kind as the library of units writes it, and the factor to the unit here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A quantity of a cell that can be asked for."""

    name: str
    """Name on the command line, in files and in tables."""
    unit: str
    """Unit of its numbers; "-" where it has none."""
    description: str
    """Description in one phrase."""
    positive: bool = True
    """Whether it is above zero in every cell that carries load."""
    floor: float = 0.0
    """Least value that deviations are relative to, for quantities that may vanish, in their unit."""
    needs: str = ""
    """Property of both phases that it needs besides their elastic numbers."""

    @property
    def unit_after(self) -> str:
        """Unit as it follows a number in a text, with what stands between: " GPa", "·10⁻⁶/K", or nothing."""
        return {"-": "", _EXPANSION: "·10⁻⁶/K"}.get(self.unit, f" {self.unit}")

    @property
    def is_coupling(self) -> bool:
        """Whether it is an entry beside the diagonal: its deviations are relative to the diagonal as well."""
        return self.name in _COUPLINGS


STIFFNESS_ENTRIES = tuple(f"C{i}{j}" for i in range(1, 7) for j in range(i, 7))
"""Names of the 21 entries of the stiffness, row by row."""
_COUPLINGS = frozenset([name for name in STIFFNESS_ENTRIES if name[1] != name[2]] + ["k_yz", "k_xz", "k_xy"])

_NU_FLOOR, _ALPHA_FLOOR, _ANISOTROPY_FLOOR = 0.1, 1.0, 0.1
"""Least value that deviations of a Poisson ratio [-], a thermal expansion [1e-6/K] and the universal
anisotropy [-] are relative to: a deviation of 1 % of these is near what the mesh leaves open.
"""


def _all_quantities() -> dict[str, Quantity]:
    quantities: list[Quantity] = []

    def add(
        name: str, unit: str, text: str, *, positive: bool = True, floor: float = 0.0, needs: str = ""
    ) -> None:
        item = Quantity(name=name, unit=unit, description=text, positive=positive, floor=floor, needs=needs)
        quantities.append(item)

    for axis in "xyz":
        add(f"E_{axis}", _MODULUS, f"Young's modulus along {axis}")
    for plane in ("yz", "xz", "xy"):
        add(f"G_{plane}", _MODULUS, f"shear modulus in the plane {plane}")
    for pair in ("xy", "xz", "yx", "yz", "zx", "zy"):
        description = f"contraction along {pair[1]} under tension along {pair[0]}"
        add(f"nu_{pair}", "-", description, positive=False, floor=_NU_FLOOR)
    add("E", _MODULUS, "Young's modulus, averaged over orientations")
    add("nu", "-", "Poisson ratio, averaged over orientations", positive=False, floor=_NU_FLOOR)
    add("K", _MODULUS, "bulk modulus")
    add("G", _MODULUS, "shear modulus, averaged over orientations")
    add("anisotropy", "-", "universal anisotropy, 0 if isotropic", positive=False, floor=_ANISOTROPY_FLOOR)
    for name in STIFFNESS_ENTRIES:
        add(name, _MODULUS, f"entry {name[1]}, {name[2]} of the stiffness", positive=name[1] == name[2])
    conducts = "conductivity"
    for axis in "xyz":
        add(f"k_{axis}", _CONDUCTIVITY, f"conductivity along {axis}", needs=conducts)
    for plane in ("yz", "xz", "xy"):
        add(f"k_{plane}", _CONDUCTIVITY, f"entry {plane} of the conductivity", positive=False, needs=conducts)
    add("k", _CONDUCTIVITY, "conductivity, mean over the axes", needs=conducts)
    for axis in "xyz":
        add(
            f"alpha_{axis}",
            _EXPANSION,
            f"thermal expansion along {axis}",
            positive=False,
            floor=_ALPHA_FLOOR,
            needs="thermal_expansion",
        )
    add(
        "alpha",
        _EXPANSION,
        "thermal expansion, mean over the axes",
        positive=False,
        floor=_ALPHA_FLOOR,
        needs="thermal_expansion",
    )
    add("density", _DENSITY, "mass density", needs="density")
    add("volume_fraction", "-", "volume fraction of the stiff phase")
    for suffix in ("_x", "_y", "_z", ""):
        title = f"Young's modulus{f' along {suffix[1]}' if suffix else ''}"
        add(f"specific_E{suffix}", "GPa cm³/g", f"{title} over density", needs="density")
        unit = "GPa^(1/2) cm³/g"
        add(f"specific_sqrt_E{suffix}", unit, f"square root of {title} over density", needs="density")
        unit = "GPa^(1/3) cm³/g"
        add(f"specific_cbrt_E{suffix}", unit, f"cube root of {title} over density", needs="density")
    return {item.name: item for item in quantities}


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(_all_quantities())
"""Every quantity by name."""


def _all_aliases() -> dict[str, str]:
    aliases = {"fraction": "volume_fraction", "rho": "density", "ρ": "density", "A_U": "anisotropy"}
    aliases |= {f"k_{axis}{axis}": f"k_{axis}" for axis in "xyz"}
    aliases |= {f"alpha_{axis}{axis}": f"alpha_{axis}" for axis in "xyz"}
    aliases |= {f"G_{b}{a}": f"G_{a}{b}" for a, b in ("yz", "xz", "xy")}
    aliases |= {f"k_{b}{a}": f"k_{a}{b}" for a, b in ("yz", "xz", "xy")}
    aliases |= {f"C{name[2]}{name[1]}": name for name in STIFFNESS_ENTRIES}
    # as the dashboard and reports write them: Ex, νxy, Gyz
    aliases |= {
        f"{kind}{axes}": name
        for name in QUANTITIES
        for kind, _, axes in [name.rpartition("_")]
        if kind in ("E", "G", "nu", "k", "alpha")
    }
    for suffix in ("_x", "_y", "_z", ""):
        for over in ("density", "rho", "ρ"):
            aliases[f"E{suffix[1:]}/{over}"] = f"specific_E{suffix}"
            aliases[f"E{suffix}/{over}"] = f"specific_E{suffix}"
            aliases[f"sqrt(E{suffix})/{over}"] = f"specific_sqrt_E{suffix}"
            aliases[f"cbrt(E{suffix})/{over}"] = f"specific_cbrt_E{suffix}"
    return {name: quantity for name, quantity in aliases.items() if name not in QUANTITIES}


ALIASES: Mapping[str, str] = MappingProxyType(_all_aliases())
"""Other names that are understood, such as "E_x/density" and "C21"."""


_USUAL = ("E_x", "E_y", "E_z", "G_yz", "nu_xy", "K", "C11", "k_x", "alpha_x", "density", "volume_fraction")
"""Quantities that are named where another one was meant."""
_BY_LOWER: dict[str, list[str]] = {}
"""All names by themselves in lower case."""
for _name in (*QUANTITIES, *ALIASES):
    _BY_LOWER.setdefault(_name.lower(), []).append(_name)


def canonical_name(name: str) -> str:
    """Name of a quantity, from itself or another name for it; Greek letters may stand for nu and alpha,
    and the case does not matter where one quantity alone is meant.

    Raises:
        InputError: There is no such quantity.
    """
    text = name.strip().replace("ν", "nu").replace("\u03b1", "alpha")
    text = ALIASES.get(text, text)
    if text not in QUANTITIES:
        alike = {ALIASES.get(spelling, spelling) for spelling in _BY_LOWER.get(text.lower(), ())}
        if len(alike) == 1:
            return alike.pop()
        near = get_close_matches(text, [*QUANTITIES, *ALIASES], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(_USUAL)} …"
        raise InputError(f"unknown property {name.strip()[:40]!r}: {hint}")
    return text


def quantity(name: str) -> Quantity:
    """Quantity of a name; errors as in `canonical_name`."""
    return QUANTITIES[canonical_name(name)]


_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(.*)", re.DOTALL)
_UNIT_TEXT = re.compile(r"[A-Za-z\u00b5\u03bc°%·²³⁻¹/*^() 0-9+.-]{1,40}")
_BARE_EXPONENT = re.compile(r"([A-Za-z])(-?\d)")
_LARGE_EXPONENT = re.compile(r"\d{2}|\d\s*\*\*\s*\d+\s*\*\*|\^[^^]*\^[^/* ]*\^")


def split_number(text: str) -> tuple[float, str]:
    """A number and the unit behind it, which may be empty.

    Raises:
        InputError: The text does not begin with a finite number.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or not np.isfinite(float(match.group(1))):
        raise InputError(f"expected a number, with a unit or without, got {text.strip()[:40]!r}")
    return float(match.group(1)), match.group(2).strip()


def read_number(text: str, name: str, *, unit: str = "") -> float:
    """A number in the unit of a quantity, from a text such as "20", "20GPa" or "1900 kg/m3".

    Args:
        text: A number, with a unit or without.
        name: Name of the quantity.
        unit: Unit of a number without one; that of the quantity if left out.

    Raises:
        InputError: The text is no number, or its unit is not one of the quantity.
    """
    number, unit_text = split_number(text)
    return float(f"{number * unit_factor(unit_text or unit, name):.12g}")  # 1.9 and not 1.9000000000000004


@cache
def unit_factor(unit: str, name: str) -> float:
    """Number in the unit of a quantity of one `unit` of the user's; errors as in `read_number`."""
    expected = quantity(name).unit
    if unit in ("", expected, quantity(name).unit_after.strip()):
        return 1.0
    spelling, factor = _PINT_UNITS[expected]
    message = f"expected a unit of {name} such as {expected}, got {unit[:40]!r}"
    spelled = re.sub(r"(?:delta_)?(?:deg(?:ree)?_?C\b|°C)", "delta_degC", unit)
    spelled = spelled.replace("%", " percent ").replace("·", "*")
    spelled = f"1 {spelled}" if spelled.startswith("/") else spelled
    if not _UNIT_TEXT.fullmatch(unit) or _LARGE_EXPONENT.search(unit):
        raise InputError(message)
    spelled = _BARE_EXPONENT.sub(r"\1^\2", spelled)
    try:
        return float(factor * _registry().Quantity(1.0, spelled.strip()).to(spelling).magnitude)
    except Exception as error:  # the library of units and its parser raise many kinds
        raise InputError(message) from error


@cache
def _registry() -> pint.UnitRegistry:
    import pint  # slow to load, and needed only where a unit is written

    return pint.UnitRegistry(cache_folder=None)
