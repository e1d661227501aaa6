"""Numeric arrays of MATLAB files of version 5 (`save` with -v6 or -v7), read without executing or guessing.

The format is that of The MathWorks, MAT-File Format (2023), chapter 1: a header of 128 bytes, then elements
of a type, a length and data, each of which may be compressed by zlib. Fields of structs are arrays with a
dotted name. Cells, objects, sparse and complex arrays are passed over. Version 7.3 is HDF5 (see `hdf5`);
version 4 holds no volumes.

`scipy.io.loadmat` is not used, for three reasons, all measured with SciPy 1.17: 4,000 files with two flipped
bytes each end the process with a segmentation fault; an array that declares 64 bytes in a file of 2 MB is
inflated to 512 MB before its shape is looked at; and `whosmat` says nothing of the fields of a struct, so
that their sizes would not be seen before they are read.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.stored import ReadBudget, StoredArray, printable

__all__ = ["list_mat", "read_mat"]

_COMPRESSED, _MATRIX = 15, 14
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_STRUCT = 2
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_HEAD = 2**16
"""More than what stands in front of the numbers of an array [byte]."""
_MAX_AXES = 32
_MAX_STRUCT = 2**27
"""Largest struct whose fields are listed [byte]; fields stand behind each other's numbers."""
_MAX_DEPTH = 8
_MAX_NAME = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Place of an array in a file."""

    start: int
    """Start of its outermost element in the file, behind its tag [byte]."""
    length: int
    """Length of this element [byte]."""
    compressed: bool
    inner: tuple[int, int] | None = None
    """Place and length [byte] of the element of a field within its inflated struct."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    kind: int
    """Class of the array."""
    shape: tuple[int, ...]
    dtype: np.dtype | None
    """None where the array is none of real numbers."""
    name: str
    data: int
    """Start of its numbers or its fields [byte]."""


def list_mat(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """Numeric arrays of a file and of its structs."""
    content = stream.read()
    name = budget.name
    order = _byte_order(content, name)
    arrays: list[StoredArray] = []
    passed: list[str] = []
    for count, (kind, start, length, _) in enumerate(_elements(content, 128, len(content), order, name)):
        if count >= budget.limits.objects:
            raise InputError(f"{name}: expected at most {budget.limits.objects} variables, got more")
        compressed = kind == _COMPRESSED
        head = content[start : start + min(length, _HEAD)]
        if compressed:
            budget.inflate(_HEAD)
            head = _inflate(head, _HEAD, name)
            kind, begin = struct.unpack(f"{order}I", head[:4].ljust(4, b"\0"))[0], 8
        else:
            begin = 0
        if kind != _MATRIX:
            continue
        result = _read_head(head, begin, order, name)
        if result is None:
            continue
        place = _Place(start=start, length=length, compressed=compressed)
        if result.kind == _STRUCT:
            element = memoryview(content)[start : start + length]
            if compressed:
                element = memoryview(_inflate(bytes(element), _MAX_STRUCT + 1, name))
                budget.inflate(len(element))
            fields = (
                None
                if len(element) > _MAX_STRUCT
                else _fields(element, begin, result.name, place, order, budget)
            )
            arrays += fields or []
            if not fields:
                passed.append(result.name)
        elif result.dtype is not None:
            arrays.append(_stored(result.name, result, place))
    if passed and not any(array.usable for array in arrays):
        listed = ", ".join(printable(title) for title in passed[:4])
        raise InputError(
            f"{name}: expected an array of shape (X, Y, Z) or (N, X, Y, Z), got the struct "
            f"{listed} without one"
        )
    return arrays


def read_mat(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray:
    """One array of a file, which must hold as many numbers as it declares."""
    stream.seek(0)
    content = stream.read()
    name, place = budget.name, array.source
    order = _byte_order(content, name)
    element = memoryview(content)[place.start : place.start + place.length]
    count = math.prod(array.shape)
    begin = 8 if place.compressed else 0
    if place.compressed:  # numbers are stored in the type of the array or in a smaller one
        limit = _HEAD + count * array.dtype.itemsize if place.inner is None else sum(place.inner)
        budget.inflate(limit)
        element = memoryview(_inflate(bytes(element), limit, name))
    if place.inner is not None:
        element, begin = element[place.inner[0] : sum(place.inner)], 0
    result = _read_head(bytes(element[:_HEAD]), begin, order, name)
    if result is None or result.dtype is None:
        raise InputError(f"{name}: expected an array of numbers, got damaged data")
    for kind, start, length, _ in _elements(element, result.data, len(element), order, name):
        if kind not in _STORED:
            break
        stored_dtype = np.dtype(order + _STORED[kind])
        if length != count * stored_dtype.itemsize:
            raise InputError(
                f"{name}: expected {count} numbers for {array.name!r} of shape {array.shape}, "
                f"got {length // stored_dtype.itemsize}"
            )
        flat = np.frombuffer(element[start : start + length], dtype=stored_dtype)
        return flat.astype(array.dtype).reshape(array.shape, order="F")
    raise InputError(f"{name}: expected numbers for {array.name!r}, got damaged data")


def _stored(title: str, head: _Head, place: _Place) -> StoredArray:
    return StoredArray(
        name=printable(title),
        shape=head.shape,
        dtype=head.dtype or np.dtype(object),
        source=place,
        format="MATLAB file",
    )


def _fields(
    element: memoryview,
    begin: int,
    title: str,
    place: _Place,
    order: str,
    budget: ReadBudget,
    *,
    offset: int = 0,
    depth: int = 0,
) -> list[StoredArray]:
    """Numeric fields of a single struct, and of the structs in it; of an array of structs there are none.

    Args:
        element: The struct, from the flags of its array on.
        begin: Where these flags begin in it.
        title: Its name, with those of the structs around it.
        place: Where the outermost struct lies in the file.
        order: Byte order.
        budget: What reading may cost.
        offset: Where `element` begins in the inflated outermost struct.
        depth: Number of structs around it.
    """
    name = budget.name
    budget.check_time()
    head = _read_head(bytes(element[: begin + _HEAD]), begin, order, name)
    if head is None or math.prod(head.shape) != 1 or depth > _MAX_DEPTH:
        return []
    parts = list(islice(_elements(element, head.data, len(element), order, name), 2))
    if len(parts) < 2 or parts[0][2] != 4:
        return []
    (width,) = struct.unpack(f"{order}i", element[parts[0][1] : parts[0][1] + 4])
    if not 0 < width <= _MAX_NAME:
        return []
    names = bytes(element[parts[1][1] : parts[1][1] + parts[1][2]])
    titles = [
        names[i : i + width].split(b"\0")[0].decode("ascii", "replace") for i in range(0, len(names), width)
    ]
    arrays: list[StoredArray] = []
    for label, (kind, start, length, _) in zip(
        titles, _elements(element, parts[1][3], len(element), order, name), strict=False
    ):
        if kind != _MATRIX:
            continue
        if len(arrays) > budget.limits.objects:
            raise InputError(f"{name}: expected at most {budget.limits.objects} fields, got more")
        inner = element[start : start + length]
        result = _read_head(bytes(inner[:_HEAD]), 0, order, name)
        if result is None:
            continue
        if result.kind == _STRUCT:
            arrays += _fields(
                inner, 0, f"{title}.{label}", place, order, budget, offset=offset + start, depth=depth + 1
            )
        elif result.dtype is not None:
            field = _Place(
                start=place.start,
                length=place.length,
                compressed=place.compressed,
                inner=(offset + start, length),
            )
            arrays.append(_stored(f"{title}.{label}", result, field))
    return arrays


def _byte_order(content: bytes, name: str) -> str:
    marks = {b"IM": "<", b"MI": ">"}
    if len(content) < 128 or not content.startswith(b"MATLAB 5.0 MAT-file") or content[126:128] not in marks:
        raise InputError(f"{name}: expected a MATLAB file of version 5 or 7.3, got another file")
    return marks[content[126:128]]


def _elements(
    content: bytes | memoryview, begin: int, end: int, order: str, name: str
) -> Iterator[tuple[int, int, int, int]]:
    """Type, start and length of each element between two places, and where the next one begins."""
    while begin + 8 <= end:
        kind, length = struct.unpack(f"{order}II", content[begin : begin + 8])
        if kind >> 16:  # up to four bytes of data, within the tag
            kind, length, start, after = kind & 0xFFFF, kind >> 16, begin + 4, begin + 8
        else:
            start = begin + 8
            after = start + length + (0 if kind == _COMPRESSED else -length % 8)
        if start + length > end:
            raise InputError(f"{name}: expected {length} bytes of data, got {end - start} (file truncated)")
        yield kind, start, length, after
        begin = after


def _read_head(head: bytes, begin: int, order: str, name: str) -> _Head | None:
    """Class, shape, type and name of an array, and where its numbers begin; None where it has no such
    head.
    """
    elements = _elements(head, begin, len(head), order, name)
    try:
        result = list(islice(elements, 3))
    except InputError:
        return None
    parts = [head[start : start + length] for _, start, length, _ in result]
    if len(parts) < 3 or len(parts[0]) != 8 or len(parts[1]) % 4 or len(parts[1]) > 4 * _MAX_AXES:
        return None
    flags = struct.unpack(f"{order}I", parts[0][:4])[0]
    shape = tuple(np.frombuffer(parts[1], f"{order}i4").tolist())
    kind = flags & 0xFF
    if min(shape, default=-1) < 0:
        return None
    dtype = None
    if kind in _CLASSES and not flags & _COMPLEX:
        dtype = np.dtype(bool) if flags & _LOGICAL else np.dtype(_CLASSES[kind])
    title = parts[2].decode("utf-8", "backslashreplace")
    return _Head(kind=kind, shape=shape, dtype=dtype, name=title, data=result[2][3])


def _inflate(data: bytes, limit: int, name: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error as error:
        raise InputError(f"{name}: expected zlib-compressed data, got damaged data") from error
