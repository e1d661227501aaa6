"""A request read from a link or a session, of this version or of version 0.1; free of any user interface.

Links and sessions of version 0.1 look like `C11=60&C22_is=range&C22_range=30&C22_range=40`.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

from pages.parts.common.requests.modes import mode_named
from pages.parts.common.requests.request import (
    DEFAULT_TARGET,
    LARGEST,
    LENGTH_UNITS,
    MAX_SEED,
    MAX_TARGETS,
    PHASE_NUMBERS,
    SIZES,
    Request,
    VoxelLength,
    default_request,
)
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.features import PHASES
from vaereg.materials import Phase, TwoPhase, phase_by_name
from vaereg.microstructure.symmetry import SYMMETRIES
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, Wanted, parse

__all__ = ["LINK_NAMES", "read_link", "read_phase", "read_stored"]

_MAX_TEXT = 300
"""Largest number of characters of one value of a link."""
_FORMER_NAMES = [name + suffix for name in TARGETS for suffix in ("", "_is", "_range")]
"""Names of the targets in links and sessions of version 0.1."""
LINK_NAMES = [
    *("stiff", "soft", "voxel", "target", "symmetry", "feature", "connected", "no_islands"),
    *("no_closed_pores", "modes", "component", "count", "seed", "size"),
    *_FORMER_NAMES,
]
"""Names of the request in the address of a page."""
_Read = TypeVar("_Read")


def read_phase(text: str) -> Phase:
    """Undo `phase_text`.

    Raises:
        InputError: The text names no material, or its numbers make none.
    """
    name, *numbers = text.split(";")
    if not numbers:
        return phase_by_name(name)
    given: dict[str, float] = {}
    names = {"E": "young_modulus", "nu": "poisson_ratio"} | {
        short: long for long, short in PHASE_NUMBERS.items()
    }
    for number in numbers:
        short, _, value = number.partition("=")
        if short not in names:
            raise InputError(f"expected numbers of {', '.join(names)} of a phase, got {short[:20]!r}")
        given[names[short]] = _number(value)
    if not {"young_modulus", "poisson_ratio"} <= set(given):
        raise InputError(f"expected E and nu of a phase, got {text[:80]!r}")
    return Phase(" ".join(name.split())[:60], **given)


def read_link(
    values: Mapping[str, Sequence[str]], checkpoint: Checkpoint
) -> tuple[Request | None, list[str]]:
    """Request of a link, and a line for each part of it that is left out; None where the link has no request.

    Args:
        values: Values of the address by name.
        checkpoint: The model, which has modes or components.
    """
    given = {name: list(values[name])[:MAX_TARGETS] for name in LINK_NAMES if values.get(name)}
    notices = _strange_names([name[:_MAX_TEXT] for name in values if name not in LINK_NAMES])
    if not given:
        return None, notices

    def read(name: str, reader: Callable[[list[str]], _Read], default: _Read) -> _Read:
        if name not in given:
            return default
        try:
            if any(len(text) > _MAX_TEXT for text in given[name]):
                raise InputError(f"expected at most {_MAX_TEXT} characters of {name}")
            return reader(given[name])
        except ValueError as error:
            notices.append(f"A part of the link was left out. {_capital(str(error))}")
            return default

    new = default_request(checkpoint)
    phases = [
        read(name, lambda texts: read_phase(texts[0]), phase)
        for name, phase in (("stiff", new.pair.stiff), ("soft", new.pair.soft))
    ]
    try:
        pair = TwoPhase(*phases).ordered()
    except InputError as error:
        notices.append(f"The phases of the link were left out. {_capital(str(error))}")
        pair = new.pair
    features = read("feature", lambda texts: [_number(text) for text in texts[0].split(",")], [0.0])
    connected = read("connected", _connected, {})
    symmetry = read("symmetry", lambda texts: _one_of(texts[0], SYMMETRIES), "none")
    try:
        constraints = Constraints(
            min_feature_stiff=features[0],
            min_feature_soft=features[-1],
            connected=connected,
            symmetry=symmetry,
            no_islands="no_islands" in given,
            no_closed_pores="no_closed_pores" in given,
        )
    except InputError as error:
        notices.append(f"The constraints of the link were left out. {_capital(str(error))}")
        constraints = Constraints()
    whole = {
        "count": read("count", lambda texts: _whole(texts[0], 1, max(SIZES.values())), new.count),
        "seed": read("seed", lambda texts: _whole(texts[0], 0, MAX_SEED), new.seed),
        "size": read("size", lambda texts: int(_one_of(texts[0], [*map(str, SIZES)])), new.size),
    }
    modes, component = _makers(given, checkpoint, notices)
    return (
        Request(
            pair=pair,
            wanted=_wanted(given, notices),
            constraints=constraints,
            modes=modes,
            component=component,
            voxel=read("voxel", lambda texts: _voxel(texts[0]), None),
            **whole,
        ),
        notices,
    )


def _strange_names(names: Sequence[str]) -> list[str]:
    """A line for each name that was meant for a request; others are for the browser or for a page."""
    notices = []
    for name in names:
        near = difflib.get_close_matches(name.casefold(), LINK_NAMES, 1, 0.75)
        try:
            (item,) = parse(f"{name}=1").wanted
            near = [f"target={item.name}=…"]
        except ValueError:
            pass
        if near:
            notices.append(f"A part of the link was left out. Expected {near[0]}, got {name[:40]}=….")
    return notices[:MAX_TARGETS]


def read_stored(stored: Mapping[str, Any], checkpoint: Checkpoint) -> tuple[Request | None, list[str]]:
    """Request of a session, be it `Request.stored` or the inputs of version 0.1; see `read_link`."""
    values: dict[str, list[str]] = {}
    if isinstance(link := stored.get("link"), str):
        values, stored = parse_qs(link[: _MAX_TEXT * len(LINK_NAMES)]), {}
    for name, value in stored.items():
        entries = value if isinstance(value, list | tuple) else [value]
        plain = [entry for entry in entries if isinstance(entry, str | int | float)]
        if name in LINK_NAMES and plain and name != "target":
            values[name] = [str(entry) for entry in plain]
    request, notices = read_link(values, checkpoint)
    return request, [notice.replace(" link ", " session ", 1) for notice in notices]


def _wanted(given: Mapping[str, list[str]], notices: list[str]) -> tuple[Wanted, ...]:
    """What a link asks for; without a target that of version 0.1, whose links leave out what was default."""
    if "target" not in given:
        return _former_wanted(given, notices)
    wanted: dict[str, Wanted] = {}
    for text in given["target"]:
        if text == "none":
            continue
        try:
            (item,) = parse(text[:_MAX_TEXT]).wanted
            if any(math.isfinite(end) and abs(end) > LARGEST for end in (item.low, item.high, item.weight)):
                raise InputError(f"expected a number of at most {LARGEST:g} of {item.name}")
        except ValueError as error:
            notices.append(f"A target of the link was left out. {_capital(str(error))}")
            continue
        former = wanted.get(item.name)
        if former is not None and bool(former.goal) != bool(item.goal):  # a range and an objective
            low, high = max(former.low, item.low), min(former.high, item.high)
            item = replace(item, low=low, high=high, goal=former.goal or item.goal)
        elif former is not None:
            notices.append(f"The link asks for {item.name} more than once: the last holds.")
        wanted[item.name] = item
    return tuple(wanted.values())


def _former_wanted(given: Mapping[str, list[str]], notices: list[str]) -> tuple[Wanted, ...]:
    wanted = []
    usual = {text.partition("=")[0]: text.partition("=")[2] for text in DEFAULT_TARGET}
    for name in TARGETS:
        kind = (given.get(f"{name}_is") or ["value" if name in usual else "free"])[0]
        texts = given.get(f"{name}_range", []) if kind == "range" else given.get(name, [])
        if kind not in ("value", "range") or (not texts and name not in usual):
            continue
        try:
            ends = sorted(_number(text) for text in texts[:2])
        except ValueError:
            notices.append(f"A part of the link was left out. Expected numbers of {name}.")
            ends = []
        if not ends:
            if name not in usual:
                continue
            middle = float(usual[name])
            ends = [0.9 * middle, 1.1 * middle] if kind == "range" else [middle]
        try:
            wanted.append(Wanted(name=name, low=ends[0], high=ends[-1]))
        except InputError as error:
            notices.append(f"A target of the link was left out. {_capital(str(error))}")
    return tuple(wanted)


def _makers(
    given: Mapping[str, list[str]], checkpoint: Checkpoint, notices: list[str]
) -> tuple[tuple[str, ...], int | None]:
    """Modes or component of a link, as far as the model has them."""
    component = (given.get("component") or ["all"])[0]
    if checkpoint.modes is not None:
        if component != "all":
            notices.append("The link asks for a component of another model, which was left out.")
        names = checkpoint.modes.names
        chosen = set()
        for text in given.get("modes", []):
            chosen.add(mode_named(text, names))
            if not mode_named(text, names):
                notices.append(f"A mode of the link was left out. There is none named {text[:40]!r}.")
        return tuple(name for name in names if name in chosen), None
    if "modes" in given:
        notices.append("The link asks for modes of another model, which was left out.")
    numbers = [str(index + 1) for index in range(checkpoint.components)]
    return (), numbers.index(component) if component in numbers else None


def _connected(texts: list[str]) -> dict[str, str]:
    connected = {}
    for text in texts:
        phase, _, axes = text.partition(":")
        connected[_one_of(phase, [*PHASES])] = axes or "xyz"
    return connected


def _voxel(text: str) -> VoxelLength:
    text = text.replace("um", "µm").replace("μ", "µ").strip()
    unit = next((unit for unit in LENGTH_UNITS if text.endswith(unit)), "")
    return VoxelLength(value=_number(text.removesuffix(unit)), unit=unit)


def _number(text: str) -> float:
    try:
        number = float(text)
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        raise InputError(f"expected a number, got {text[:40]!r}")
    return number


def _whole(text: str, low: int, high: int) -> int:
    return int(min(max(_number(text), low), high))


def _one_of(text: str, choices: Sequence[str]) -> str:
    if text not in choices:
        raise InputError(f"expected one of {', '.join(choices)}, got {text[:40]!r}")
    return text


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
