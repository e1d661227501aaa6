"""Volumes of a data set that stay in their files and are read when they are asked for.

HDF5 stores the bit-packed volumes of a data set one after the other, whole and uncompressed: the bytes of a
volume are read from their place in the file. That takes half of the time of the HDF5 library, a tenth of that
of a virtual data set over all files, and no memory of its own (`benchmarks/out_of_core.py`).
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.files import array_place
from vaereg.io.labelled_sets import packed_length
from vaereg.microstructure.volume import unpack_bits

__all__ = ["StoredVolumes"]

MOST_OPEN = 256
"""Files that are kept open at once; systems allow about a thousand to a process."""


class StoredVolumes:
    """Bit-packed volumes of one or several files.

    Args:
        files: Data sets or shards, and the number of volumes of each, in their order.
        sizes: Voxels per edge of all volumes, shape (N,).

    Raises:
        InputError: A file is none of these, or is too short for its volumes.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], sizes: NDArray[np.int64]) -> None:
        self._sizes = sizes
        self._paths = [path for path, _ in files]
        self._file = np.repeat(np.arange(len(files)), [count for _, count in files])
        lengths = packed_length(sizes).astype(np.int64)
        self._place = np.empty(len(sizes), dtype=np.int64)
        self._marks: list[tuple[int, int]] = []
        begin = 0
        for path, count in files:
            part_lengths = lengths[begin : begin + count]
            place, stored_length = array_place(path, "microstructures")
            if stored_length != part_lengths.sum():
                raise InputError(
                    f"expected {part_lengths.sum()} bytes of volumes in {path}, got {stored_length}"
                )
            self._place[begin : begin + count] = place + np.cumsum(part_lengths) - part_lengths
            self._marks.append(_mark(path.stat()))
            begin += count
        self._open: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sizes)

    def read(self, rows: NDArray[np.intp] | Sequence[int]) -> NDArray[np.uint8]:
        """Phases 0 and 1 of volumes of one size, shape (N, n, n, n).

        Raises:
            InputError: The volumes differ in size, there is none, or a file was changed.
        """
        sizes = np.unique(self._sizes[rows])
        if len(sizes) != 1:
            raise InputError(f"expected volumes of one size, got {sizes.tolist()}")
        edge = int(sizes[0])
        packed = np.empty((len(rows), packed_length(edge)), dtype=np.uint8)
        with self._lock:
            for out, file, place in zip(packed, self._file[rows], self._place[rows], strict=True):
                if _read_at(self._handle(int(file)), out.data, int(place)) != len(out):
                    raise InputError(f"expected the volumes of {self._paths[file]}, got a shorter file")
        return unpack_bits(packed, (edge, edge, edge))

    def close(self) -> None:
        """Close the files; they are opened again where volumes are read."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def _handle(self, file: int) -> int:
        """Descriptor of a file, which must be the one that was looked at."""
        if file in self._open:
            self._open.move_to_end(file)
            return self._open[file]
        if len(self._open) >= MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])
        path = self._paths[file]
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise InputError(f"expected the volumes of {path}, got: {error.strerror}") from error
        self._open[file] = handle
        if _mark(os.fstat(handle)) != self._marks[file]:
            raise InputError(f"expected {path} as it was at the start, got a file that was changed since")
        return handle


def _mark(facts: os.stat_result) -> tuple[int, int]:
    """Size and time of the last change of a file."""
    return facts.st_size, facts.st_mtime_ns


def _read_at(handle: int, out: memoryview, place: int) -> int:
    """Fill bytes from a place in a file; the number that were there."""
    if hasattr(os, "preadv"):
        return os.preadv(handle, [out], place)
    os.lseek(handle, place, os.SEEK_SET)
    content = os.read(handle, len(out))
    out[: len(content)] = content
    return len(content)
