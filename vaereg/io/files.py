"""Reading and writing files without surprises: whole or not at all, checked before reading, equal bytes.

HDF5 files that come from elsewhere may be truncated, hold other data, or declare sizes that they do not hold.
What is read here raises a `ValueError` of one line that says what was expected and what came.
"""

import errno
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: two runs on one file are then left to the user
    fcntl = None

__all__ = [
    "array_place",
    "check_output",
    "hdf5_bytes",
    "is_number",
    "lock_file",
    "open_hdf5",
    "read_array",
    "read_float",
    "read_int",
    "read_json",
    "read_strings",
    "read_text",
    "replace_file",
    "write_array",
    "write_strings",
]

_LARGEST = 1e300
"""Bound of numbers that are read from JSON, so that integers of any length have a float."""

# Read at import, when other threads do not write files: it cannot be read without being set for a moment.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


def check_output(path: Path, *sources: Path) -> Path:
    """Check that a file can be written at `path`, before a long computation rather than after it.

    Args:
        path: The file to create or replace.
        sources: Files that must not be replaced, such as those that are read.

    Raises:
        ValueError: The path is a folder, a device or a source, or lies in no folder that can be written to.
    """
    if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
        raise InputError(f"expected another file to write than the one that is read, got {path}")
    if path.is_dir():
        raise InputError(f"expected a file to write, got the folder {path}")
    if path.exists() and not path.is_file():
        raise InputError(f"expected a file to write, got the device {path}")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(f"expected a file in an existing folder, got {path}")
    _remove_leftovers(path.resolve())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to, got {folder}: {error.strerror}"
        ) from error
    return path


def replace_file(path: Path, write: Callable[[Path], object], *, folder: Path | None = None) -> None:
    """Write a file under a temporary name, then rename it into place: it is there as a whole or not at all.

    Args:
        path: The file to create or replace; where it is a link, what it leads to.
        write: Called with the temporary path.
        folder: Where the temporary file goes, on the same file system; that of `path` if left out.
    """
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".tmp", dir=folder or path.parent)
    temporary = Path(name)
    if fcntl is None:
        os.close(handle)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX)  # held while the file is written: others do not remove it
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
        if fcntl is not None:
            os.close(handle)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of processes that were killed while they wrote `path`, and no others."""
    if fcntl is None:  # nothing says whether a process still writes them
        return
    pattern = re.compile(re.escape(path.name) + r"\.[a-z0-9_]{8}\.tmp")  # as `tempfile.mkstemp` makes them
    for leftover in path.parent.iterdir():
        if not pattern.fullmatch(leftover.name) or leftover.is_symlink() or not leftover.is_file():
            continue
        try:
            with leftover.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()
        except OSError:  # another process holds it, or it is not ours to remove
            continue


def hdf5_bytes(fill: Callable[[h5py.File], None]) -> bytes:
    """Content of an HDF5 file that is built in memory.

    HDF5 cannot close a file on a full disk: it ends the process with a segmentation fault. Python writes
    bytes that were built in memory, and raises an `OSError` there.

    Args:
        fill: Called with the open file, which it fills.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def lock_file(path: Path) -> IO[str]:
    """Open a file that one process at a time may hold; closing it, or the end of the process, lets go of it.

    Raises:
        ValueError: Another process holds it.
    """
    file = path.open("w", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise InputError(f"expected no other process at work in {path.parent}, got one") from error
    return file


@contextmanager
def open_hdf5(path: Path) -> Generator[h5py.File, None, None]:
    """Open an HDF5 file for reading.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not HDF5, is truncated, or is damaged in what is read of it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected an HDF5 file, got no file at {path}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        lines = str(error).strip("'\"").splitlines() or [type(error).__name__]
        raise InputError(f"expected a readable HDF5 file, got {path}: {lines[0]}") from error


def read_array(
    file: h5py.File, name: str, *, shape: Sequence[int | None], kind: str, dtype: type[np.generic]
) -> NDArray[Any]:
    """Read one dataset whose type and shape are known.

    Args:
        file: The open file.
        name: Path of the dataset.
        shape: Expected shape; None where any length will do.
        kind: Accepted kinds of the stored type, as in `numpy.dtype.kind`.
        dtype: Type of the array that is returned.

    Raises:
        ValueError: The dataset is missing, of another type or shape, or declares more than the file can hold.
    """
    dataset = _dataset(file, name)
    if dataset.dtype.kind not in kind:
        raise InputError(f"expected {name} of type {np.dtype(dtype)} in {file.filename}, got {dataset.dtype}")
    fits = len(dataset.shape) == len(shape) and all(
        expected_length is None or expected_length == got
        for expected_length, got in zip(shape, dataset.shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"expected {name} of shape ({expected}) in {file.filename}, got {dataset.shape}")
    return np.asarray(dataset[()]).astype(dtype, copy=False)


def array_place(path: Path, name: str) -> tuple[int, int]:
    """First byte and number of bytes of a dataset in its file, which is stored whole.

    Raises:
        InputError: The dataset is missing, or not stored whole.
    """
    with open_hdf5(path) as file:
        dataset = _dataset(file, name)
        place = dataset.id.get_offset()
        if place is None:
            raise InputError(f"expected {name} stored whole in {path}, got nothing stored")
        return int(place), math.prod(dataset.shape) * dataset.dtype.itemsize


def read_strings(file: h5py.File, name: str, *, count: int) -> NDArray[np.str_]:
    """Read a dataset of `count` strings of fixed length, as `read_array` does."""
    raw = read_array(file, name, shape=(count,), kind="S", dtype=np.bytes_)
    try:
        return np.char.decode(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected text in {name} of {file.filename}, got bytes that are not UTF-8"
        ) from error


def read_int(file: h5py.File, name: str) -> int:
    """Read an attribute of the file that is one integer; a `ValueError` if it is not."""
    value = file.attrs.get(name)
    if not isinstance(value, np.integer):
        raise _wrong_attribute(file, name, "an integer", value)
    return int(value)


def read_float(file: h5py.File, name: str) -> float:
    """Read an attribute of the file that is one finite number; a `ValueError` if it is not."""
    value = file.attrs.get(name)
    if not isinstance(value, np.integer | np.floating) or not np.isfinite(value):
        raise _wrong_attribute(file, name, "a number", value)
    return float(value)


def read_text(file: h5py.File, name: str) -> str:
    """Read an attribute of the file that is a text; a `ValueError` if it is not."""
    value = file.attrs.get(name)
    if not isinstance(value, str):
        raise _wrong_attribute(file, name, "a text", value)
    return value


def read_json(file: h5py.File, name: str) -> dict[str, Any]:
    """Read an attribute of the file that is the text of a JSON object; a `ValueError` if it is not."""
    try:
        value = json.loads(read_text(file, name))
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise _wrong_attribute(file, name, "JSON", file.attrs[name]) from error
    if not isinstance(value, dict):
        raise _wrong_attribute(file, name, "a JSON object", value)
    return value


def is_number(value: object) -> bool:
    """True for finite numbers that a float can hold; JSON also knows true, NaN and any number of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def write_array(file: h5py.File, name: str, data: ArrayLike, *, units: str | None = None) -> None:
    """Write a dataset without time stamps, so that equal data gives equal bytes."""
    dataset = file.create_dataset(name, data=data, track_times=False)
    if units is not None:
        dataset.attrs["units"] = units


def write_strings(file: h5py.File, name: str, values: Iterable[str], *, length: int) -> None:
    """Write a dataset of UTF-8 strings of at most `length` bytes."""
    write_array(file, name, np.array([value.encode() for value in values], dtype=f"S{length}"))


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    item = _own_item(file, name)
    if not (isinstance(item, h5py.Dataset) and item.shape is not None) or item.is_virtual or item.external:
        names = ", ".join(list(file)[:8]) or "nothing"
        raise InputError(f"expected a dataset {name} in {file.filename}, got a file that holds {names}")
    declared = math.prod(item.shape) * item.dtype.itemsize
    present = Path(file.filename).stat().st_size
    if declared > present or item.chunks is not None:
        finding = "it in chunks" if item.chunks else f"{declared} bytes declared in a file of {present} bytes"
        raise InputError(f"expected {name} stored whole and uncompressed in {file.filename}, got {finding}")
    return item


def _own_item(file: h5py.File, name: str) -> h5py.HLObject | None:
    """What the file itself holds under a name: a link could lead to another file than the one named."""
    item: h5py.HLObject = file
    for part in name.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(part, getlink=True), h5py.HardLink):
            return None
        item = item[part]
    return item


def _wrong_attribute(file: h5py.File, name: str, expected: str, value: object) -> ValueError:
    got = "none" if value is None else f"{str(value)[:40]!r}"
    return ValueError(f"expected the attribute {name!r} of {file.filename} to be {expected}, got {got}")
