"""Materials: one isotropic phase, a pair of phases, the void, a library of materials, files of pairs.

A phase is linear elastic and may conduct heat and expand. Moduli in GPa, conductivity in W/(m K), density in
g/cm³, thermal expansion in 1e-6/K. A void is a phase whose Young's modulus is exactly zero.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from vaereg.errors import InputError

__all__ = [
    "MODULI",
    "VOID",
    "MaterialChoice",
    "Phase",
    "TwoPhase",
    "choose_materials",
    "library",
    "library_rows",
    "parse_materials",
    "phase_by_name",
]

MODULI = ("e_stiff", "e_soft", "nu_stiff", "nu_soft")
"""Names of the four elastic numbers of a pair, as files of version 0.1 store them."""


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


@dataclass(frozen=True, slots=True)
class Phase:
    """An isotropic material. A property that is not given leaves out the results that need it."""

    name: str
    """Name that files and tables show; may be empty."""
    young_modulus: float
    """Young's modulus [GPa]; zero for a void."""
    poisson_ratio: float
    """Poisson ratio [-], between -1 and 0.5, both excluded; without meaning for a void."""
    conductivity: float | None = None
    """Thermal conductivity [W/(m K)]; the same equations hold for diffusivity and permittivity."""
    density: float | None = None
    """Mass density [g/cm³]."""
    thermal_expansion: float | None = None
    """Coefficient of linear thermal expansion [1e-6/K]."""

    def __post_init__(self) -> None:
        subject = f"phase {self.name!r}: " if self.name else ""
        if not isinstance(self.name, str):
            raise InputError(f"expected a phase name that is text, got {self.name!r}")
        young, poisson = self.young_modulus, self.poisson_ratio
        if not (_is_number(young) and young >= 0.0):
            raise InputError(f"{subject}expected a Young's modulus of 0 GPa (void) or more, got {young!r}")
        if not (_is_number(poisson) and -1.0 < poisson < 0.5):
            raise InputError(
                f"{subject}expected a Poisson ratio between -1 and 0.5 (exclusive), got {poisson!r}"
            )
        for key, label in (("conductivity", "conductivity"), ("density", "density")):
            value = getattr(self, key)
            if value is not None and not (_is_number(value) and value >= 0.0):
                raise InputError(f"{subject}expected a {label} of 0 or more, got {value!r}")
        expansion = self.thermal_expansion
        if expansion is not None and not _is_number(expansion):
            raise InputError(f"{subject}expected a thermal expansion that is a number, got {expansion!r}")

    @property
    def is_void(self) -> bool:
        """Whether the phase carries no load at all."""
        return self.young_modulus == 0.0

    @property
    def quoted(self) -> str:
        """Space and quoted name, for a message; empty where the phase has no name."""
        return f" {self.name!r}" if self.name else ""

    def to_dict(self) -> dict[str, Any]:
        """Name and numbers that are given, for JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}


VOID = Phase("void", 0.0, 0.0, conductivity=0.0, density=0.0)
"""Empty space: no stiffness, no conduction, no mass."""

_REFERENCE = (Phase("", 120.0, 0.3), Phase("", 2.4, 0.3))


@dataclass(frozen=True, slots=True)
class TwoPhase:
    """The two phases of a cell; the default is the reference pair of contrast 50."""

    stiff: Phase = _REFERENCE[0]
    """Phase of voxel value 1."""
    soft: Phase = _REFERENCE[1]
    """Phase of voxel value 0."""

    def __post_init__(self) -> None:
        if self.stiff.is_void and self.soft.is_void:
            raise InputError("expected at least one phase that carries load, got two voids")

    @classmethod
    def from_moduli(
        cls, e_stiff: float = 120.0, e_soft: float = 2.4, nu_stiff: float = 0.3, nu_soft: float = 0.3
    ) -> TwoPhase:
        """A pair given by its elastic numbers alone.

        Args:
            e_stiff: Young's modulus of the stiff phase (voxel value 1) [GPa].
            e_soft: Young's modulus of the soft phase (voxel value 0) [GPa]; zero for a void.
            nu_stiff: Poisson ratio of the stiff phase [-].
            nu_soft: Poisson ratio of the soft phase [-].

        Raises:
            InputError: A number is out of range.
        """
        if not (np.isfinite(e_stiff) and e_stiff > 0.0):
            raise InputError(f"e_stiff must be a positive number of GPa, got {e_stiff}")
        if not (np.isfinite(e_soft) and e_soft >= 0.0):
            raise InputError(f"e_soft must be a positive number of GPa, or 0 for a void, got {e_soft}")
        for name, value in (("nu_stiff", nu_stiff), ("nu_soft", nu_soft)):
            if not -1.0 < value < 0.5:
                raise InputError(f"{name} must lie between -1 and 0.5 (exclusive), got {value}")
        return cls(Phase("", float(e_stiff), float(nu_stiff)), Phase("", float(e_soft), float(nu_soft)))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TwoPhase:
        """A pair as a file stores it: `to_dict`, or the four elastic numbers of version 0.1.

        Raises:
            InputError: A key is missing or not expected, or a number is out of range.
        """
        if set(stored) == set(MODULI):
            return cls.from_moduli(**stored)
        if set(stored) != {"stiff", "soft"}:
            raise InputError(
                f"expected phases of the keys stiff and soft, or {', '.join(MODULI)}, got {', '.join(stored)}"
            )
        names = {field.name for field in fields(Phase)}
        phases = []
        for key in ("stiff", "soft"):
            phase = stored[key]
            if not isinstance(phase, Mapping) or not set(phase) <= names:
                raise InputError(f"expected a phase of {', '.join(sorted(names))}, got {phase!r}")
            try:
                phases.append(_phase({"name": "", **phase}))
            except TypeError as error:
                raise InputError(
                    f"expected young_modulus and poisson_ratio of the {key} phase, got {phase!r}"
                ) from error
        return cls(*phases)

    @classmethod
    def porous(cls, young: float, poisson: float) -> TwoPhase:
        """A solid (voxel value 1) of Young's modulus `young` [GPa] with voids (0)."""
        return cls(Phase("", young, poisson), VOID)

    @property
    def e_stiff(self) -> float:
        """Young's modulus of the stiff phase (voxel value 1) [GPa]."""
        return self.stiff.young_modulus

    @property
    def e_soft(self) -> float:
        """Young's modulus of the soft phase (voxel value 0) [GPa]."""
        return self.soft.young_modulus

    @property
    def nu_stiff(self) -> float:
        """Poisson ratio of the stiff phase [-]."""
        return self.stiff.poisson_ratio

    @property
    def nu_soft(self) -> float:
        """Poisson ratio of the soft phase [-]."""
        return self.soft.poisson_ratio

    @property
    def contrast(self) -> float:
        """Ratio of the Young's moduli [-]; infinite if the soft phase is a void."""
        return self.e_stiff / self.e_soft if self.e_soft else np.inf

    @property
    def has_void(self) -> bool:
        """Whether a phase is a void."""
        return self.stiff.is_void or self.soft.is_void

    def moduli(self) -> dict[str, float]:
        """The four elastic numbers by the names in `MODULI`."""
        return {name: float(getattr(self, name)) for name in MODULI}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Both phases with all their numbers, for JSON."""
        return {"stiff": self.stiff.to_dict(), "soft": self.soft.to_dict()}

    def scaled(self, factor: float) -> TwoPhase:
        """The pair with both Young's moduli multiplied by `factor`."""
        stiff, soft = (
            replace(phase, young_modulus=phase.young_modulus * factor) for phase in (self.stiff, self.soft)
        )
        return TwoPhase(stiff, soft)

    def ordered(self) -> TwoPhase:
        """The pair with the phase of the larger Young's modulus as the stiff one."""
        return self if self.e_stiff >= self.e_soft else TwoPhase(self.soft, self.stiff)


_MAX_FILE_BYTES = 16 << 20
"""Size of a file of materials above which it is refused [bytes]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaterialChoice:
    """The pairs that a user asks for, with what has to be said about how they were taken."""

    pairs: tuple[TwoPhase, ...]
    """One pair for all volumes, or one pair per volume."""
    notes: tuple[str, ...] = ()
    """One line for each pair whose phases were swapped."""

    def per_volume(self, volumes: int) -> tuple[TwoPhase, ...]:
        """One pair per volume.

        Raises:
            InputError: There are neither one nor `volumes` pairs.
        """
        if len(self.pairs) == 1:
            return self.pairs * volumes
        if len(self.pairs) != volumes:
            raise InputError(
                f"expected one pair of materials or one per volume ({volumes}), got {len(self.pairs)}"
            )
        return self.pairs


@cache
def library_rows() -> tuple[dict[str, str], ...]:
    """Rows of the library of materials: name, kind, numbers, source, and what it was checked against."""
    text = files("vaereg").joinpath("materials.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def library() -> dict[str, Phase]:
    """Materials of the library by name, at room temperature; isotropic values."""
    numbers = [field.name for field in fields(Phase) if field.name != "name"]
    phases = {}
    for row in library_rows():
        properties = {key: float(row[key]) for key in numbers if row[key]}
        phases[row["name"]] = Phase(row["name"], **properties)
    return phases


def phase_by_name(name: str) -> Phase:
    """Material of the library, or the void; upper and lower case, blanks and hyphens are alike.

    Raises:
        InputError: There is no such name.
    """
    reference = {_plain(key): phase for key, phase in {**library(), VOID.name: VOID}.items()}
    if (phase := reference.get(_plain(name))) is None:
        close = difflib.get_close_matches(_plain(name), reference, 3)
        names = ", ".join(reference[key].name for key in close) or "a name of the library, or void"
        raise InputError(f"expected {names}, got material {name[:80]!r}")
    return phase


def choose_materials(choice: str) -> MaterialChoice:
    """Pairs by a file in JSON, or by two names of the library with a slash between them.

    Args:
        choice: Path of a file (see `parse_materials`), or names such as "E-glass/epoxy".

    Raises:
        InputError: There is no such file or name, or what it says is out of range.
    """
    path = Path(choice)
    names = choice.split("/")
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null character
        is_file = False
    if not is_file:
        if len(names) != 2 or choice.lower().endswith(".json"):
            raise InputError(f"expected a file of materials, or names such as E-glass/epoxy, got {choice!r}")
        return parse_materials({"stiff": names[0], "soft": names[1]})
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"expected a file of materials of at most 16 MB, got {choice}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"expected materials in JSON, cannot read {choice}: {error}") from error
    try:
        return parse_materials(content)
    except InputError as error:
        raise InputError(f"{choice}: {error}") from error


def parse_materials(content: Any) -> MaterialChoice:  # noqa: ANN401
    """Pairs from what JSON holds: a pair or a list of pairs.

    A pair is {"stiff": PHASE, "soft": PHASE}; a phase is an object with the fields of `Phase` (those but the
    two elastic numbers may be left out), a name of the library, or "void". A pair whose stiff phase has the
    smaller Young's modulus is swapped, with a note.

    Raises:
        InputError: The content is something else, or a number is out of range.
    """
    if isinstance(content, list):
        if not content:
            raise InputError("expected at least one pair of materials, got an empty list")
        pairs = [_parse_pair(pair, f"pair {index}: ") for index, pair in enumerate(content)]
    else:
        pairs = [_parse_pair(content, "")]
    notes = []
    for index, pair in enumerate(pairs):
        if pair != pair.ordered():
            where = f"pair {index}: " if len(pairs) > 1 else ""
            soft, stiff = (phase.name or f"{phase.young_modulus:g} GPa" for phase in (pair.stiff, pair.soft))
            notes.append(f"{where}{soft} is softer than {stiff}: {stiff} is taken as the stiff phase")
    return MaterialChoice(pairs=tuple(pair.ordered() for pair in pairs), notes=tuple(notes))


def _parse_pair(content: Any, where: str) -> TwoPhase:  # noqa: ANN401
    if not isinstance(content, Mapping) or set(content) != {"stiff", "soft"}:
        raise InputError(f'{where}expected a pair {{"stiff": ..., "soft": ...}}, got {_short(content)}')
    try:
        return TwoPhase(*(_parse_phase(content[key], key) for key in ("stiff", "soft")))
    except InputError as error:
        raise InputError(f"{where}{error}") from error


def _parse_phase(content: Any, key: str) -> Phase:  # noqa: ANN401
    if isinstance(content, str):
        return phase_by_name(content)
    names = [field.name for field in fields(Phase)]
    if not isinstance(content, Mapping) or not set(content) <= set(names):
        raise InputError(
            f"expected a name or an object of {', '.join(names)} as the {key} phase, got {_short(content)}"
        )
    properties = {name: value for name, value in content.items() if value is not None}
    missing_names = {"young_modulus", "poisson_ratio"} - set(properties)
    if properties.get("young_modulus") == 0:
        missing_names -= {"poisson_ratio"}
    if missing_names:
        raise InputError(
            f"expected {' and '.join(sorted(missing_names))} of the {key} phase, got {_short(content)}"
        )
    try:
        return _phase({"name": "", "poisson_ratio": 0.0, **properties})
    except InputError as error:
        if properties.get("name"):  # the message has it
            raise
        raise InputError(f"{key} phase: {error}") from error


def _phase(content: dict[str, Any]) -> Phase:
    """A phase by its fields, whose values it checks itself."""
    return Phase(**content)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _short(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
