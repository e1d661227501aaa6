"""What a file says of an array before its data is read, and how much reading a file may cost."""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vaereg.errors import InputError

__all__ = ["LIMITS", "ReadBudget", "ReadLimits", "StoredArray", "bounded"]

SHOWN = 200
"""Letters of a name that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredArray:
    """An array of a file, as far as its header tells."""

    name: str
    """Its name in the file, in printable characters; empty where the file has a single array without a
    name."""
    shape: tuple[int, ...]
    """Shape as the array is stored."""
    dtype: np.dtype
    source: Any = None
    """Place of the array in the file, as its reader needs it."""
    format: str = ""
    """Kind of file, in words."""
    axes: str = ""
    """Letter of every stored axis: x, y, z, n (volume), c (component or channel), t (time); empty where the
    file says nothing."""
    axes_from: str = ""
    """Source of the axes, such as a field of the header."""
    voxel_size: tuple[float, float, float] | None = None
    """Edges of a voxel along x, y, z in `unit`; None where the file says nothing."""
    unit: str = ""
    """Unit of the voxel size; empty where the file names none."""
    voxel_size_from: str = ""
    """Source of the voxel size, such as a field of the header."""
    flipped: str = ""
    """Axes that the file stores backwards."""
    notes: tuple[str, ...] = ()
    """Further remarks for the user on how the array is taken."""
    problem: str = ""
    """Why the array cannot be taken, where it cannot: "expected ..., got ..."."""

    @property
    def usable(self) -> bool:
        """Whether the array could be a volume or several volumes."""
        if self.dtype.kind not in "biuf" or math.prod(self.shape) == 0:
            return False
        if self.axes:
            return set("xyz") <= set(self.axes)
        return len(self.shape) in (3, 4)


def printable(name: str) -> str:
    """A name from a file in at most `SHOWN` printable characters."""
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name[:SHOWN]
    )
    return text[:SHOWN]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """Limits of what reading one file may cost."""

    file_bytes: int = 2**32
    """Largest file [byte]."""
    voxels: int = 2**27
    """Most voxels of all volumes of a file, 512³."""
    inflated_bytes: int = 2**31
    """Most bytes that compressed data may become [byte]: 512³ numbers of eight bytes, twice."""
    rereads: int = 4
    """How many times the length of the file may be read: headers and data are read one after the other
    [-]."""
    slack_bytes: int = 2**26
    """Bytes that may be read beyond this [byte]."""
    seconds: float = 20.0
    """Processor time of the thread that reads [s]; a busy machine refuses no file."""
    objects: int = 10_000
    """Most arrays, groups, pages or members of a file."""
    directory_bytes: int = 2**22
    """Largest directory of a zip archive [byte]; `objects` entries of 400 bytes."""


LIMITS = ReadLimits()
"""Limits of every reader."""


class ReadBudget:
    """Rest of the limits while one file is read."""

    def __init__(self, name: str, size: int, limits: ReadLimits = LIMITS) -> None:
        self.name = name
        self.limits = limits
        self._bytes = limits.rereads * size + limits.slack_bytes
        self._inflated = limits.inflated_bytes
        self._end = time.thread_time() + limits.seconds

    def read(self, count: int) -> None:
        """Account for bytes that are read, and for the time until now."""
        self._bytes -= count
        if self._bytes < 0:
            raise InputError(
                f"{self.name}: expected a file whose parts are read once, got one that refers "
                f"to them many times"
            )
        self.check_time()

    def inflate(self, count: int) -> None:
        """Account for bytes that come out of compressed data, before they do."""
        self._inflated -= count
        if self._inflated < 0:
            raise InputError(
                f"{self.name}: expected at most {self.limits.inflated_bytes >> 20} MB of "
                f"inflated data, got more"
            )
        self.check_time()

    def check_time(self) -> None:
        """Refuse a file that takes too long."""
        if time.thread_time() > self._end:
            raise InputError(
                f"{self.name}: expected a file that is read within {self.limits.seconds:g} s of "
                f"processor time, "
                "got one that takes longer"
            )


class _BudgetedStream(io.RawIOBase):
    """A file whose reads are counted."""

    def __init__(self, stream: BinaryIO, budget: ReadBudget) -> None:
        super().__init__()
        self._stream, self._budget = stream, budget
        self.refusal: InputError | None = None
        self.beside: Path | None = None
        """File of the numbers, where a header leads to one beside it."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        content = self._stream.read(-1 if size is None else size)
        self._count(len(content))
        return content

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 (the signature of the base class)
        content = self.read(len(memoryview(buffer).cast("B")))
        memoryview(buffer).cast("B")[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Leave the file open: it belongs to the caller."""

    def _count(self, count: int) -> None:
        try:
            self._budget.read(count)
        except InputError as error:
            self.refusal = error  # a library may hide what is raised here
            raise


def bounded(stream: BinaryIO, budget: ReadBudget, *, beside: Path | None = None) -> BinaryIO:
    """The same file, whose reads are counted against a budget.

    Args:
        stream: The file.
        budget: What reading it may cost.
        beside: File of the numbers, where a header leads to one in the same folder.
    """
    counted = _BudgetedStream(stream, budget)
    counted.beside = beside
    return counted  # type: ignore[return-value]
