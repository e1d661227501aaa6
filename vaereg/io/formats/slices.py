"""A folder or a zip archive of slices: one image per layer, sorted by the numbers in their names."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.numpy_files import open_zip, read_member
from vaereg.io.formats.stored import ReadBudget, StoredArray
from vaereg.io.formats.tiff import list_tiff, read_tiff

__all__ = ["SLICE_SUFFIXES", "list_slices", "read_slices"]

SLICE_SUFFIXES = (".tif", ".tiff", ".png")
"""Kinds of images that can be slices."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 33
_PNG_TYPES = {(8, 0): np.dtype(np.uint8), (16, 0): np.dtype(np.uint16)}
"""Types by depth and kind of colour (ISO/IEC 15948, section 11.2.2); kind 0 is grey."""
_MAX_SLICES = 4096
_MAX_SLICE = 2**26
"""Largest file of a slice [byte]."""

_Source = Path | BinaryIO
_Read = Callable[[str], bytes]


def list_slices(source: _Source, *, budget: ReadBudget) -> list[StoredArray]:
    """The volume of a folder or of a zip archive of slices."""
    with _open(source, budget) as (names, read):
        shape, dtype = _describe(read(names[0]), names[0], budget)
    return [
        StoredArray(
            name="",
            shape=(len(names), *shape),
            dtype=dtype,
            source=tuple(names),
            format=f"{len(names)} slices, {names[0]} to {names[-1]}"[:120],
            axes="zyx",
            axes_from="slice z, row y, column x",
        )
    ]


def read_slices(source: _Source, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """The volume of the slices, which must be alike."""
    volume = np.empty(array.shape, array.dtype)
    with _open(source, budget) as (names, read):
        for place, name in enumerate(names):
            content = read(name)
            shape, dtype = _describe(content, name, budget)
            if shape != array.shape[1:] or dtype != array.dtype:
                raise InputError(
                    f"{budget.name}: expected slices of shape {array.shape[1:]} and type "
                    f"{array.dtype} like the "
                    f"first one, got {shape} and {dtype} in {name[:60]}"
                )
            volume[place] = _pixels(content, name, budget)
    return volume


@contextmanager
def _open(source: _Source, budget: ReadBudget) -> Generator[tuple[list[str], _Read], None, None]:
    """Names of the slices in their order, and what reads one of them."""
    if isinstance(source, Path):
        folder = source
        names = _ordered([path.name for path in folder.iterdir() if path.is_file()], budget)

        def read_file(name: str) -> bytes:
            path = folder / name
            if path.stat().st_size > _MAX_SLICE:
                raise InputError(
                    f"{budget.name}: expected slices of at most {_MAX_SLICE >> 20} MB, got {name}"
                )
            content = path.read_bytes()
            budget.inflate(len(content))
            return content

        yield names, read_file
        return
    with open_zip(source, budget, "a zip archive of slices") as archive:
        members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
        yield (
            _ordered(list(members), budget),
            lambda name: read_member(archive, members[name], _MAX_SLICE, budget),
        )


def _ordered(names: list[str], budget: ReadBudget) -> list[str]:
    """Names of images by the numbers in them; files of the system and other kinds of files are passed
    over.
    """
    slices = [
        name
        for name in names
        if PurePosixPath(name).suffix.lower() in SLICE_SUFFIXES
        and not name.startswith("__MACOSX/")
        and not PurePosixPath(name).name.startswith(".")
    ]
    if not slices:
        raise InputError(
            f"{budget.name}: expected slices of {', '.join(SLICE_SUFFIXES)}, got {len(names)} other files"
        )
    if len(slices) > _MAX_SLICES:
        raise InputError(f"{budget.name}: expected at most {_MAX_SLICES} slices, got {len(slices)}")
    return sorted(slices, key=_natural)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Key that puts slice 10 behind slice 9."""
    return [
        (0, int(part[:18]), part) if part.isdigit() and part.isascii() else (1, 0, part.lower())
        for part in re.split(r"(\d+)", name)
        if part
    ]


def _describe(content: bytes, name: str, budget: ReadBudget) -> tuple[tuple[int, int], np.dtype]:
    """Shape (rows, columns) and type of a slice."""
    if content.startswith(_PNG) and len(content) >= _PNG_HEADER:
        width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
        if (depth, colour) not in _PNG_TYPES:
            raise InputError(
                f"{budget.name}: expected grey slices of 8 or 16 bits, got depth {depth} and "
                f"colour type {colour} "
                f"in {name[:60]}"
            )
        if width * height > budget.limits.voxels:
            raise InputError(f"{budget.name}: expected smaller slices, got {height} x {width} in {name[:60]}")
        return (height, width), _PNG_TYPES[depth, colour]
    (array,) = list_tiff(BytesIO(content), budget=budget)
    if array.problem or array.shape[0] != 1 or len(array.shape) != 3:
        raise InputError(
            f"{budget.name}: expected one image per slice, got {array.problem or array.shape} in {name[:60]}"
        )
    return (array.shape[1], array.shape[2]), array.dtype


def _pixels(content: bytes, name: str, budget: ReadBudget) -> NDArray[Any]:
    """Numbers of a slice, shape (rows, columns)."""
    if not content.startswith(_PNG):
        stream = BytesIO(content)
        (array,) = list_tiff(stream, budget=budget)
        return read_tiff(stream, array, budget=budget)[0]
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(
            f"{budget.name}: expected the package imagecodecs for PNG slices, got none: pip "
            f"install imagecodecs"
        ) from error
    shape, dtype = _describe(content, name, budget)
    budget.inflate(shape[0] * shape[1] * dtype.itemsize)
    try:
        return imagecodecs.png_decode(content)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{budget.name}: expected a PNG image, got a damaged one in {name[:60]}") from error
