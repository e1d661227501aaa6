"""Targets read from texts, with any unit: command lines and cells of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from vaereg.errors import InputError
from vaereg.targets.quantities import canonical_name, read_number, split_number
from vaereg.targets.wanted import Targets, Wanted

__all__ = ["parse", "read_range", "read_wanted"]

_GOAL_TEXTS = {
    **dict.fromkeys(("min", "minimise", "minimize"), "min"),
    **dict.fromkeys(("max", "maximise", "maximize"), "max"),
}


def parse(
    texts: str | Sequence[str], *, maximize: Sequence[str] = (), minimize: Sequence[str] = ()
) -> Targets:
    """Targets from texts such as "E_x=20GPa", "nu_xy=0.2:0.3", "density=:1900kg/m3" and "E_z=max@2".

    Numbers without a unit are in the unit of the quantity; the unit of one end of a range serves both. A
    number behind "@" is the weight.

    Args:
        texts: One text or several.
        maximize: Quantities to be as large as possible; they may also have a range among the texts.
        minimize: Quantities to be as small as possible.

    Raises:
        InputError: A text has another form, or asks for what no quantity can be.
    """
    items = [_parse_one(text) for text in ([texts] if isinstance(texts, str) else texts)]
    for goal, names in (("max", maximize), ("min", minimize)):
        for text in names:
            name, weight = _split_weight(text)
            name = canonical_name(name)
            places = [place for place, item in enumerate(items) if item.name == name]
            if places and not items[places[0]].goal:
                items[places[0]] = replace(items[places[0]], goal=goal)
            else:
                items.append(Wanted(name=name, goal=goal, weight=weight))
    return Targets(tuple(items))


def _parse_one(text: str) -> Wanted:
    name, separator, value = text.partition("=")
    if not separator or not value.strip():
        raise InputError(f"expected a target such as E_x=20GPa or nu_xy=0.2:0.3, got {text[:60]!r}")
    own_name = canonical_name(name)
    try:
        return read_wanted(value, own_name)
    except InputError as error:
        if own_name in str(error):
            raise
        raise InputError(f"{own_name}: {error}") from error


def read_wanted(text: str, name: str, *, unit: str = "") -> Wanted:
    """Target of a quantity, from a text such as "20", "20:30 GPa", "max" or "20@2".

    Args:
        text: Value, range or objective, with a weight or without.
        name: The quantity.
        unit: Unit of numbers without one; that of the quantity if left out.

    Raises:
        InputError: The text has another form, or asks for what the quantity cannot be.
    """
    value, weight = _split_weight(text)
    if goal := _GOAL_TEXTS.get(value.strip().lower()):
        return Wanted(name=name, goal=goal, weight=weight)
    low, high = read_range(value, name, unit=unit)
    return Wanted(name=name, low=low, high=high, weight=weight)


def _split_weight(text: str) -> tuple[str, float]:
    value, separator, number = text.partition("@")
    if not separator:
        return text, 1.0
    weight, unit = split_number(number)
    if unit:
        raise InputError(f"expected a weight without a unit, got {number.strip()[:40]!r}")
    return value, weight


def read_range(text: str, name: str, *, unit: str = "") -> tuple[float, float]:
    """Ends of a value or range of a quantity, in its unit; infinite where there is none.

    Args:
        text: Such as "20", "20GPa", "20:30 GPa", "20:" or ":30".
        name: The quantity.
        unit: Unit of numbers without one; that of the quantity if left out.

    Raises:
        InputError: The text has another form.
    """
    parts = text.split(":")
    if len(parts) > 2 or not any(part.strip() for part in parts):
        raise InputError(f"expected a value or a range low:high of {name}, got {text.strip()[:40]!r}")
    units = [split_number(part)[1] for part in parts if part.strip()]
    shared = next((end_unit for end_unit in reversed(units) if end_unit), unit)
    ends = [read_number(part, name, unit=shared) if part.strip() else None for part in parts]
    if len(ends) == 1:
        return float(ends[0] or 0.0), float(ends[0] or 0.0)
    return (
        -math.inf if ends[0] is None else ends[0],
        math.inf if ends[1] is None else ends[1],
    )
