"""Numeric arrays of MATLAB files of version 5 (`save` with -v6 or -v7), read without executing or guessing.

The format is that of The MathWorks, MAT-File Format (2023), chapter 1: a header of 128 bytes, then elements
of a type, a length and data, each of which may be compressed by zlib. Structures, cells, objects, sparse and
complex arrays are passed over. Version 7.3 is HDF5 (see `vaereg.io.formats`); version 4 holds no volumes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

__all__ = ["MatArray", "list_mat", "read_mat"]

_COMPRESSED, _MATRIX = 15, 14
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_HEAD = 2**16
"""More than what stands in front of the numbers of an array [byte]."""
_MAX_ELEMENTS = 10_000
_MAX_AXES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class MatArray:
    """One numeric array of a file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int
    """Where its element begins in the file, behind its tag [byte]."""
    length: int
    """Of its element [byte]."""
    compressed: bool


def list_mat(content: bytes, *, name: str) -> list[MatArray]:
    """Numeric arrays of a file, their numbers unread.

    Args:
        content: The whole file.
        name: What to call it in errors.

    Raises:
        ValueError: The file is no MATLAB file of version 5, or is damaged.
    """
    order = _byte_order(content, name)
    arrays = []
    for count, (kind, start, length, _) in enumerate(_elements(content, 128, len(content), order, name)):
        if count >= _MAX_ELEMENTS:
            raise ValueError(f"{name}: expected at most {_MAX_ELEMENTS} variables, got more")
        compressed = kind == _COMPRESSED
        head = content[start : start + min(length, _HEAD)]
        if compressed:
            head = _inflate(head, _HEAD, name)
            kind, begin = struct.unpack(f"{order}I", head[:4].ljust(4, b"\0"))[0], 8
        else:
            begin = 0
        if kind != _MATRIX:
            continue
        found = _read_head(head, begin, order, name)
        if found is not None:
            shape, dtype, title, _ = found
            arrays.append(
                MatArray(
                    name=title, shape=shape, dtype=dtype, start=start, length=length, compressed=compressed
                )
            )
    return arrays


def read_mat(content: bytes, array: MatArray, *, name: str) -> NDArray:
    """Read one array of a file, whose size the caller has checked.

    Raises:
        ValueError: The array is damaged, or holds more or less than it declares.
    """
    order = _byte_order(content, name)
    element = memoryview(content)[array.start : array.start + array.length]
    begin = 0
    count = math.prod(array.shape)
    if array.compressed:  # numbers are stored in the type of the array or in a smaller one
        element = memoryview(_inflate(bytes(element), _HEAD + count * array.dtype.itemsize, name))
        begin = 8
    found = _read_head(bytes(element[:_HEAD]), begin, order, name)
    if found is None:
        raise ValueError(f"{name}: expected an array of numbers, got damaged data")
    for kind, start, length, _ in _elements(element, found[3], len(element), order, name):
        if kind not in _STORED:
            break
        stored = np.dtype(order + _STORED[kind])
        if length != count * stored.itemsize:
            raise ValueError(
                f"{name}: expected {count} numbers for {array.name!r} of shape {array.shape}, "
                f"got {length // stored.itemsize}"
            )
        flat = np.frombuffer(element[start : start + length], dtype=stored)
        return flat.astype(array.dtype).reshape(array.shape, order="F")
    raise ValueError(f"{name}: expected numbers for {array.name!r}, got damaged data")


def _byte_order(content: bytes, name: str) -> str:
    marks = {b"IM": "<", b"MI": ">"}
    if len(content) < 128 or not content.startswith(b"MATLAB 5.0 MAT-file") or content[126:128] not in marks:
        raise ValueError(f"{name}: expected a MATLAB file of version 5 or 7.3, got another file")
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
            raise ValueError(f"{name}: expected {length} bytes of data, got {end - start} (file truncated)")
        yield kind, start, length, after
        begin = after


def _read_head(
    head: bytes, begin: int, order: str, name: str
) -> tuple[tuple[int, ...], np.dtype, str, int] | None:
    """Shape, type, name of an array and where its numbers begin; None where it is none of real numbers."""
    elements = _elements(head, begin, len(head), order, name)
    try:
        found = list(islice(elements, 3))
    except ValueError:
        return None
    parts = [head[start : start + length] for _, start, length, _ in found]
    if len(parts) < 3 or len(parts[0]) != 8 or len(parts[1]) % 4 or len(parts[1]) > 4 * _MAX_AXES:
        return None
    flags = struct.unpack(f"{order}I", parts[0][:4])[0]
    shape = tuple(np.frombuffer(parts[1], f"{order}i4").tolist())
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX or min(shape, default=-1) < 0:
        return None
    dtype = np.dtype(bool) if flags & _LOGICAL else np.dtype(_CLASSES[flags & 0xFF])
    return shape, dtype, parts[2].decode("utf-8", "backslashreplace"), found[2][3]


def _inflate(data: bytes, limit: int, name: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"{name}: expected zlib-compressed data, got damaged data") from error
