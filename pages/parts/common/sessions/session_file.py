"""The session file: the shortlist and the inputs of the Design page; free of any user interface.

A session file is a zip archive of `session.json` and one NumPy file per volume. It may come from anywhere:
numbers and sizes are checked before anything is read, nothing is unpickled, and every complaint is one line.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from pages.parts.common.requests.modes import mode_named
from pages.parts.common.requests.request import MAX_TARGETS
from pages.parts.common.sessions.shortlist import MAX_ITEMS, MAX_NAME, MAX_VOXELS, ShortlistItem, add_item
from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.io.readers import as_volumes, read_npy
from vaereg.materials import TwoPhase
from vaereg.model.prediction import MIN_EDGE
from vaereg.targets import Targets

__all__ = ["MAX_SESSION_BYTES", "Session", "read_session", "write_session"]

MAX_SESSION_BYTES = 20 * 2**20
"""Size of the largest session file that is read [byte]."""

_FORMAT, _FORMAT_VERSION = "vaereg session", 1
_INDEX = "session.json"
_MAX_INDEX_BYTES = 2**20
_MAX_DIRECTORY_BYTES = 2**14
"""Size of the largest directory of an archive [byte]: a session's has about 60 a member."""
_MAX_ARCHIVE_END = 22 + 2**16
"""Largest distance of the end record from the end of an archive [byte]: the record and its comment."""
_MAX_LATENT = 4096
"""Largest number of latent dimensions."""
_NPY_HEADER = 4096
_MODULI = (1e-9, 1e6)
"""Moduli that a file may hold [GPa]: a thousand times the stiffest material, and what float32 can draw."""
_ROUNDING = 1e-6
"""Share of the largest entry of a stiffness by which an eigenvalue may be negative [-]."""
_ARRAYS = ("mean", "std", "predicted", "conductivity", "stiffness", "latent")
_SPREADS = (0.0, 1e6)
"""Standard deviations that a file may hold [GPa]."""
_LATENTS = (-1e3, 1e3)
"""Latent coordinates that a file may hold [-]: they are about normal."""
_Kind = TypeVar("_Kind")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every member: equal sessions give equal bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """The shortlist and the inputs of the Design page, as they are saved and loaded."""

    items: list[ShortlistItem]
    inputs: dict[str, Any]
    """Plain values by key of the session state; whoever takes them checks them."""


def write_session(session: Session) -> bytes:
    """A session file."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        records = []
        for number, item in enumerate(session.items, 1):
            name = f"volume-{number:02d}.npy"
            content = BytesIO()
            np.save(content, item.volume)
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content.getvalue(), zipfile.ZIP_DEFLATED)
            records.append(_record(item) | {"volume": name})
        index = {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "units": {"stiffness": "GPa", "volume_fraction": "-"},
            "inputs": session.inputs,
            "items": records,
        }
        text = json.dumps(index, indent=1, allow_nan=False)
        archive.writestr(zipfile.ZipInfo(_INDEX, _EPOCH), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read_session(file: BinaryIO, *, name: str) -> Session:
    """Read a session file.

    Args:
        file: The file, open for reading and seekable.
        name: What to call it in errors.

    Raises:
        ValueError: The file is no session file, is damaged, or holds more than a shortlist may.
    """
    if file.seek(0, 2) > MAX_SESSION_BYTES:
        raise ValueError(f"{name}: expected a session file of at most {MAX_SESSION_BYTES >> 20} MB")
    _check_directory(file, name)
    try:
        with zipfile.ZipFile(file) as archive:
            index = _read_index(archive, name)
            records = _checked(index.get("items"), list, name, "a list of items")
            members = _volume_members(archive, records, name)
            items: list[ShortlistItem] = []
            for record, member in zip(records, members, strict=True):
                items = add_item(items, _read_item(archive, record, member, name))
    # zipfile and zlib raise many kinds for an archive that is damaged or encrypted
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: expected a session file, got a file that is none or damaged") from error
    except KeyError as error:
        raise ValueError(f"{name}: expected a session file, got an archive that lacks a part") from error
    return Session(items=items, inputs=_checked(index.get("inputs", {}), dict, name, "inputs by name"))


def _check_directory(file: BinaryIO, name: str) -> None:
    """Refuse an archive with more members than a session has, before zipfile reads their directory."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _MAX_ARCHIVE_END))
    tail = file.read(_MAX_ARCHIVE_END)
    file.seek(0)
    place = tail.rfind(b"PK\x05\x06")  # end of central directory record (APPNOTE.TXT of PKWARE, 4.3.16)
    if place < 0 or len(tail) < place + 22:
        return  # zipfile refuses it
    count, size = struct.unpack_from("<HL", tail, place + 10)
    if b"PK\x06\x07" in tail or count > MAX_ITEMS + 1 or size > _MAX_DIRECTORY_BYTES:
        raise ValueError(
            f"{name}: expected a session file of at most {MAX_ITEMS} designs, got an archive of more members"
        )


def _volume_members(archive: zipfile.ZipFile, records: list[Any], name: str) -> list[str]:
    """Return the member of each item's volume, once number and sizes are within bounds."""
    if len(records) > MAX_ITEMS:
        raise ValueError(f"{name}: expected at most {MAX_ITEMS} designs, got {len(records)}")
    stored = archive.namelist()
    if len(set(stored)) < len(stored):
        raise ValueError(f"{name}: expected members of different names, got a name twice")
    members = [
        _checked(
            _checked(record, dict, name, "an item with names").get("volume"),
            str,
            name,
            "the file name of a volume",
        )
        for record in records
    ]
    if len(set(members)) < len(members):
        raise ValueError(f"{name}: expected a volume of its own for every design, got a name twice")
    total = sum(archive.getinfo(member).file_size for member in members)
    if total > MAX_VOXELS + _NPY_HEADER * len(members):
        raise ValueError(f"{name}: expected at most {MAX_VOXELS} bytes of volumes, got {total}")
    return members


def _record(item: ShortlistItem) -> dict[str, Any]:
    arrays = {key: getattr(item, key) for key in _ARRAYS}
    return {
        "name": item.name,
        "origin": item.origin,
        "targets": {} if item.wanted is None else item.wanted.to_json(),
        "materials": item.materials.to_dict(),
        "constraints": item.constraints.to_json(),
        "component": item.component,
        "mode": item.mode,
        "seed": item.seed,
        "checkpoint": item.checkpoint,
        "tolerance": item.tolerance,
        "solves": item.solves,
    } | {
        key: None if array is None else np.asarray(array, dtype=np.float64).tolist()
        for key, array in arrays.items()
    }


def _read_index(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    content = _read_member(archive, _INDEX, _MAX_INDEX_BYTES, name)
    try:
        index = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: expected JSON in {_INDEX}, got something else") from error
    if not isinstance(index, dict) or index.get("format") != _FORMAT:
        raise ValueError(f"{name}: expected a session file, got another kind of archive")
    if index.get("format_version") != _FORMAT_VERSION:
        version = str(index.get("format_version"))[:20]
        raise ValueError(f"{name}: expected a session of format version {_FORMAT_VERSION}, got {version}")
    return index


def _read_member(archive: zipfile.ZipFile, member: str, limit: int, name: str) -> bytes:
    if archive.getinfo(member).file_size > limit:
        raise ValueError(f"{name}: expected at most {limit} bytes in {member[:MAX_NAME]}, got more")
    with archive.open(member) as file:
        content = file.read(limit + 1)  # what the archive says of itself need not be true
    if len(content) > limit:
        raise ValueError(f"{name}: expected at most {limit} bytes in {member[:MAX_NAME]}, got more")
    return content


def _read_item(archive: zipfile.ZipFile, entry: Mapping[str, Any], member: str, name: str) -> ShortlistItem:
    content = _read_member(archive, member, MAX_VOXELS + _NPY_HEADER, name)
    volume = read_npy(content, name=f"{name}, {member[:MAX_NAME]}")
    if volume.ndim != 3 or min(volume.shape) < MIN_EDGE:
        raise ValueError(
            f"{name}: expected volumes of shape (X, Y, Z), of at least {MIN_EDGE} voxels per edge, "
            f"got {volume.shape}"
        )
    targets = _checked(entry.get("targets", {}), dict, name, "targets by name")
    size = len(PROPERTIES)
    materials = _materials(entry, name)
    stiffness = _stiffness(entry, name, "stiffness", materials)
    return ShortlistItem(
        name=_checked(entry.get("name"), str, name, "the name of an item"),
        volume=as_volumes(volume, name=name, cubic=False)[0],
        origin=_checked(entry.get("origin", ""), str, name, "the origin of an item")[: 4 * MAX_NAME],
        targets=_targets(targets, name),
        materials=materials,
        constraints=_constraints(entry, name),
        predicted=_stiffness(entry, name, "predicted", materials),
        conductivity=_numbers(entry, "conductivity", (3, 3), (-_MODULI[1], _MODULI[1]), name),
        mean=_numbers(entry, "mean", (size,), _MODULI, name),
        std=_numbers(entry, "std", (size,), _SPREADS, name),
        stiffness=stiffness,
        from_file=stiffness is not None,
        tolerance=_tolerance(entry, name),
        solves=_integer(entry, "solves", name),
        latent=_numbers(entry, "latent", (None,), _LATENTS, name),
        component=_integer(entry, "component", name),
        mode=mode_named(_checked(entry.get("mode", ""), str, name, "the name of a mode")),
        seed=_integer(entry, "seed", name),
        checkpoint=_checked(entry.get("checkpoint", ""), str, name, "the hash of a checkpoint")[:MAX_NAME],
    )


def _numbers(
    record: Mapping[str, Any],
    key: str,
    shape: tuple[int | None, ...],
    limits: tuple[float, float],
    name: str,
) -> NDArray[np.float64] | None:
    """Return a list of numbers within limits, or of such lists, of an expected shape."""
    value = record.get(key)
    if value is None:
        return None
    try:
        array = np.array(_checked(value, list, name, f"numbers in {key}"), dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.array(np.nan)
    fits = array.ndim == len(shape) and all(
        wanted in (None, got) for wanted, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size > _MAX_LATENT or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers in {key} of an item, got something else")
    if array.size and not limits[0] <= array.min() <= array.max() <= limits[1]:
        raise ValueError(
            f"{name}: expected numbers of {limits[0]:g} to {limits[1]:g} in {key} of an item, got "
            f"{array.min():g} to {array.max():g}"
        )
    return array


def _stiffness(
    record: Mapping[str, Any], name: str, key: str, materials: TwoPhase
) -> NDArray[np.float64] | None:
    """Return a stiffness that cells of two phases can have: with a void it may have zero eigenvalues."""
    size = len(PROPERTIES)
    stiffness = _numbers(record, key, (size, size), (-_MODULI[1], _MODULI[1]), name)
    if stiffness is None:
        return None
    alike = np.allclose(stiffness, stiffness.T, rtol=1e-3, atol=1e-3 * np.abs(stiffness).max())
    porous = materials.ordered().soft.young_modulus == 0.0
    least = -_ROUNDING * np.abs(stiffness).max() if porous else _MODULI[0]
    if not alike or np.linalg.eigvalsh(stiffness).min() < least:
        kind = "semi-definite" if porous else "definite"
        raise ValueError(f"{name}: expected a symmetric, positive {kind} stiffness of an item, got none")
    return stiffness


def _tolerance(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get("tolerance")
    if value is None:
        return None
    if not isinstance(value, float) or not 0.0 < value < 1.0:
        raise ValueError(f"{name}: expected a number of 0 to 1 as tolerance of an item, got something else")
    return value if record.get("stiffness") is not None else None  # of no stiffness it says nothing


def _integer(record: Mapping[str, Any], key: str, name: str) -> int | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{name}: expected a whole number as {key} of an item, got something else")
    return value


def _targets(stored: Mapping[str, Any], name: str) -> Targets | None:
    if len(stored) > MAX_TARGETS:
        raise ValueError(f"{name}: expected at most {MAX_TARGETS} targets of an item, got {len(stored)}")
    try:
        return Targets.from_json(stored) if stored else None
    except InputError as error:
        raise ValueError(f"{name}: expected a value or a range as a target, {str(error)[:200]}") from error


def _materials(record: Mapping[str, Any], name: str) -> TwoPhase:
    """Return the phases of an item; those of version 0.1 are the reference pair."""
    stored = _checked(record.get("materials", {}), dict, name, "materials of an item")
    try:
        return TwoPhase.from_dict(stored) if stored else TwoPhase()
    except InputError as error:
        raise ValueError(f"{name}: expected two phases of an item, {str(error)[:200]}") from error


def _constraints(record: Mapping[str, Any], name: str) -> Constraints:
    stored = _checked(record.get("constraints", {}), dict, name, "constraints of an item")
    try:
        return Constraints.from_json(stored)
    except InputError as error:
        raise ValueError(f"{name}: expected constraints of an item, {str(error)[:200]}") from error


def _checked(value: object, kind: type[_Kind], name: str, expected: str) -> _Kind:
    if not isinstance(value, kind):
        raise ValueError(f"{name}: expected {expected}, got {type(value).__name__}")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name}: expected {expected} in Unicode, got a half of a character")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"expected a finite number, got {text}")
