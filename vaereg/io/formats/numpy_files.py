"""Arrays of NumPy files (.npy) and of NumPy archives (.npz), and members of zip archives."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.deflate import first_line
from vaereg.io.formats.stored import ReadBudget, StoredArray, printable

__all__ = ["list_npy", "list_npz", "open_zip", "read_member", "read_npy", "read_npz"]

_MAX_HEADER = 10_000
_MAGIC = b"\x93NUMPY"
_END, _END_LENGTH = b"PK\x05\x06", 22
"""Mark and length of the last record of a zip archive (APPNOTE 6.3.10, section 4.3.16)."""
_END_64, _LOCATOR_LENGTH = b"PK\x06\x06", 20
_MAX_COMMENT = 2**16
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,  # places before the start of the file, names that are not UTF-8
    struct.error,
    zlib.error,
)
"""What `zipfile` raises of damaged archives."""


def list_npy(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """The array of a NumPy file."""
    shape, dtype = _read_header(stream, budget.name)
    return [StoredArray(name="", shape=shape, dtype=dtype, format="NumPy array")]


def read_npy(stream: BinaryIO, *, budget: ReadBudget) -> NDArray[Any]:
    """The array of a NumPy file, which must hold as much as it declares."""
    name = budget.name
    stream.seek(0)
    shape, dtype = _read_header(stream, name)
    start = stream.tell()
    expected, present = math.prod(shape) * dtype.itemsize, stream.seek(0, 2) - start
    if present != expected:
        kind = "truncated" if present < expected else "with more behind it"
        raise InputError(
            f"{name}: expected {expected} bytes of data for shape {shape}, got {present} (file {kind})"
        )
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False, max_header_size=_MAX_HEADER)


def list_npz(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """Arrays of a NumPy archive; members that are no NumPy files are passed over."""
    arrays = []
    with open_zip(stream, budget, "a NumPy archive (.npz)") as archive:
        for member in archive.infolist():
            budget.inflate(_MAX_HEADER)
            with archive.open(member) as file:
                start = BytesIO(file.read(_MAX_HEADER + 128))
            if start.getvalue().startswith(_MAGIC):
                shape, dtype = _read_header(start, budget.name)
                title = printable(member.filename.removesuffix(".npy"))
                arrays.append(
                    StoredArray(name=title, shape=shape, dtype=dtype, source=member, format="NumPy archive")
                )
    return arrays


def read_npz(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """One array of a NumPy archive."""
    size = math.prod(array.shape) * array.dtype.itemsize + _MAX_HEADER + 128
    with open_zip(stream, budget, "a NumPy archive (.npz)") as archive:
        return read_npy(BytesIO(read_member(archive, array.source, size, budget)), budget=budget)


@contextmanager
def open_zip(stream: BinaryIO, budget: ReadBudget, title: str) -> Generator[zipfile.ZipFile, None, None]:
    """Open a zip archive of few members, stored or deflated, each named once.

    Args:
        stream: The file.
        budget: What reading may cost.
        title: What was expected, in words.

    Raises:
        InputError: It is damaged, or has more members than a file of volumes needs.
    """
    name = budget.name
    _check_directory(stream, budget)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > budget.limits.objects:
                raise InputError(
                    f"{name}: expected at most {budget.limits.objects} members, got {len(members)}"
                )
            if len({member.filename for member in members}) < len(members):
                raise InputError(f"{name}: expected members of different names, got a name twice")
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InputError(f"{name}: expected members stored or deflated, got another compression")
            yield archive
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{name}: expected {title}, got a damaged one: {first_line(error)[:80]}") from error


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int, budget: ReadBudget) -> bytes:
    """At most `size` bytes of a member: no more than that is inflated."""
    budget.inflate(min(size, member.file_size))
    with archive.open(member) as file:
        return file.read(size)


def _check_directory(stream: BinaryIO, budget: ReadBudget) -> None:
    """Refuse a directory of an archive that is too long, before `zipfile` reads it."""
    length = stream.seek(0, 2)
    start = max(0, length - _END_LENGTH - _MAX_COMMENT - _LOCATOR_LENGTH - 56)
    stream.seek(start)
    tail = stream.read(length - start)
    stream.seek(0)
    place = tail.rfind(_END)
    if place < 0 or place + _END_LENGTH > len(tail):
        return  # `zipfile` says what is wrong
    (directory,) = struct.unpack("<I", tail[place + 12 : place + 16])
    if directory == 0xFFFFFFFF:
        large = tail.rfind(_END_64, 0, place)
        if large < 0 or large + 48 > len(tail):
            return
        (directory,) = struct.unpack("<Q", tail[large + 40 : large + 48])
    if directory > budget.limits.directory_bytes:
        raise InputError(
            f"{budget.name}: expected at most {budget.limits.objects} members, "
            f"got a directory of {directory} bytes"
        )


def _read_header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array of a NumPy file; the stream is left where its data begins."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise InputError(
            f"{name}: expected a NumPy file of version 1.0 or 2.0, got {version[0]}.{version[1]}"
        )
    try:
        shape, _, dtype = readers[version](stream, max_header_size=_MAX_HEADER)
    except Exception as error:  # NumPy evaluates the header as a literal, which fails in many ways
        raise InputError(f"{name}: expected the header of a NumPy file, got a damaged one") from error
    if any(length < 0 for length in shape):
        raise InputError(f"{name}: expected lengths of zero or more, got shape {shape}")
    return shape, dtype
