"""Volumes that a user has put aside, and the file in which they are kept; free of any user interface.

A session file is a zip archive of `session.json` and one NumPy file per volume. It may come from anywhere:
sizes are checked before anything is read, nothing is unpickled, and every complaint is one line.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.io.readers import as_volumes, read_npy
from vaereg.microstructure.volume import volume_hash
from vaereg.model.prediction import MIN_EDGE
from vaereg.targets import Target

__all__ = ["MAX_ITEMS", "Session", "ShortlistItem", "add_item", "read_session", "write_session"]

MAX_ITEMS = 24
MAX_VOXELS = 2**24
"""Most voxels of a shortlist, sixteen cells of 96³ or eight of 128³."""
MAX_NAME = 80
MAX_SESSION_BYTES = 20 * 2**20
"""Largest session file that is read."""

_FORMAT, _FORMAT_VERSION = "vaereg session", 1
_INDEX = "session.json"
_MAX_INDEX_BYTES = 2**20
_MAX_LATENT = 4096
_NPY_HEADER = 4096
_Kind = TypeVar("_Kind")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of everything in the archive: equal sessions give equal bytes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShortlistItem:
    """One volume that was put aside, with what was known of it then."""

    name: str
    """What the user calls it."""
    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (X, Y, Z)."""
    origin: str
    """Where it comes from, in words."""
    targets: Mapping[str, Target] = field(default_factory=dict)
    """What it was designed for: value or (low, high) by name, [GPa] or volume fraction [-]."""
    mean: NDArray[np.float64] | None = None
    """Predicted C11 to C66 [GPa], shape (6,)."""
    std: NDArray[np.float64] | None = None
    """Their standard deviation [GPa], shape (6,)."""
    stiffness: NDArray[np.float64] | None = None
    """The solver's, of the checkpoint's two phases, shape (6, 6) [GPa]; None until it is known."""
    tolerance: float | None = None
    """Relative residual at which the solver stopped [-]; None where that is not known."""
    solves: int | None = None
    """Solves that refinement took; None where it was not refined."""
    latent: NDArray[np.float64] | None = None
    """Latent vector that it was decoded from, shape (D,)."""
    component: int | None = None
    """Mixture component, from 0."""
    seed: int | None = None
    """Of the random numbers that made it."""
    checkpoint: str = ""
    """Hash of the checkpoint that made or judged it."""

    @property
    def hash(self) -> str:
        """Hash of the volume."""
        return volume_hash(self.volume)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What is saved and loaded: the shortlist, and the inputs of the Design page."""

    items: list[ShortlistItem]
    inputs: dict[str, Any]
    """Plain values by key of the session state; whoever takes them checks them."""


def add_item(items: Sequence[ShortlistItem], item: ShortlistItem) -> list[ShortlistItem]:
    """A shortlist with one more item, under a name of its own; the same one if its volume is there already.

    Raises:
        ValueError: The shortlist is full.
    """
    if item.hash in {other.hash for other in items}:
        return list(items)
    if len(items) >= MAX_ITEMS:
        raise ValueError(f"the shortlist is full: it holds {MAX_ITEMS} designs")
    if sum(other.volume.size for other in items) + item.volume.size > MAX_VOXELS:
        raise ValueError(f"the shortlist is full: it holds {MAX_VOXELS / 1e6:.1f} million voxels")
    name = free_name(item.name, {other.name for other in items})
    return [*items, replace(item, name=name, volume=np.array(item.volume, dtype=np.uint8))]


def free_name(name: str, taken: set[str]) -> str:
    """A name on one line, not too long, with a number behind it where it is taken."""
    name = " ".join(name.split())[:MAX_NAME].strip() or "unnamed"
    result, number = name, 2
    while result in taken:
        result, number = f"{name[: MAX_NAME - 6]} ({number})", number + 1
    return result


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
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            index = _read_index(archive, name)
            items: list[ShortlistItem] = []
            for record in _checked(index.get("items"), list, name, "a list of items"):
                items = add_item(items, _read_item(archive, record, name))
    # zipfile and zlib raise many kinds for an archive that is damaged or encrypted
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: expected a session file, got a file that is none or damaged") from error
    except KeyError as error:
        raise ValueError(f"{name}: expected a session file, got an archive that lacks a part") from error
    return Session(items=items, inputs=_checked(index.get("inputs", {}), dict, name, "inputs by name"))


def _record(item: ShortlistItem) -> dict[str, Any]:
    arrays = {key: getattr(item, key) for key in ("mean", "std", "stiffness", "latent")}
    return {
        "name": item.name,
        "origin": item.origin,
        "targets": dict(item.targets),
        "component": item.component,
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


def _read_item(archive: zipfile.ZipFile, record: object, name: str) -> ShortlistItem:
    entry = _checked(record, dict, name, "an item with names")
    member = _checked(entry.get("volume"), str, name, "the file name of a volume")
    content = _read_member(archive, member, MAX_VOXELS + _NPY_HEADER, name)
    volume = read_npy(content, name=f"{name}, {member[:MAX_NAME]}")
    if volume.ndim != 3 or min(volume.shape) < MIN_EDGE:
        raise ValueError(
            f"{name}: expected volumes of shape (X, Y, Z), of at least {MIN_EDGE} voxels per edge, "
            f"got {volume.shape}"
        )
    targets = _checked(entry.get("targets", {}), dict, name, "targets by name")
    size = len(PROPERTIES)
    return ShortlistItem(
        name=_checked(entry.get("name"), str, name, "the name of an item"),
        volume=as_volumes(volume, name=name, cubic=False)[0],
        origin=_checked(entry.get("origin", ""), str, name, "the origin of an item")[: 4 * MAX_NAME],
        targets={str(key)[:MAX_NAME]: _target(value, name) for key, value in list(targets.items())[:16]},
        mean=_numbers(entry, "mean", (size,), name),
        std=_numbers(entry, "std", (size,), name),
        stiffness=_stiffness(entry, name),
        tolerance=_tolerance(entry, name),
        solves=_integer(entry, "solves", name),
        latent=_numbers(entry, "latent", (None,), name),
        component=_integer(entry, "component", name),
        seed=_integer(entry, "seed", name),
        checkpoint=_checked(entry.get("checkpoint", ""), str, name, "the hash of a checkpoint")[:MAX_NAME],
    )


def _numbers(
    record: Mapping[str, Any], key: str, shape: tuple[int | None, ...], name: str
) -> NDArray[np.float64] | None:
    """A list of finite numbers, or of such lists, of an expected shape."""
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
    return array


def _stiffness(record: Mapping[str, Any], name: str) -> NDArray[np.float64] | None:
    """A stiffness that a material can have."""
    size = len(PROPERTIES)
    stiffness = _numbers(record, "stiffness", (size, size), name)
    if stiffness is None:
        return None
    alike = np.allclose(stiffness, stiffness.T, rtol=1e-3, atol=1e-3 * np.abs(stiffness).max())
    if not alike or np.linalg.eigvalsh(stiffness).min() <= 0.0:
        raise ValueError(f"{name}: expected a symmetric, positive definite stiffness of an item, got none")
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


def _target(value: object, name: str) -> Target:
    ends = value if isinstance(value, list) else [value]
    numbers = [float(end) for end in ends if isinstance(end, int | float) and abs(end) < 1e9]
    if len(numbers) != len(ends) or len(ends) not in (1, 2) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name}: expected a value or a range as a target, got something else")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _checked(value: object, kind: type[_Kind], name: str, expected: str) -> _Kind:
    if not isinstance(value, kind):
        raise ValueError(f"{name}: expected {expected}, got {type(value).__name__}")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name}: expected {expected} in Unicode, got a half of a character")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"expected a finite number, got {text}")
