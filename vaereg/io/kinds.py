"""Kinds of files that are read: how each begins, and what lists and reads its arrays."""

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats import hdf5, matlab, numpy_files, scans, slices, tiff, vti
from vaereg.io.formats.stored import LIMITS, ReadBudget, StoredArray

__all__ = ["KINDS", "SUFFIXES", "RawLayout", "check_start"]

_PICKLE = b"\x80"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_STARTS = {
    b"\x93NUMPY": "a NumPy file (.npy)",
    b"PK\x03\x04": "a zip archive (is it an .npz file?)",
    _HDF5: "an HDF5 file (.h5)",
    **dict.fromkeys(_TIFF, "a TIFF file (.tif)"),
    b"MATLAB 5.0 MAT-file": "a MATLAB file (.mat)",
    b"MATLAB 7.3 MAT-file": "a MATLAB file (.mat)",
    b"NRRD0": "an NRRD file (.nrrd)",
    b"# vtk DataFile": "a legacy VTK file (.vtk)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawLayout:
    """Layout of a file without a header, in C order: the last axis runs fastest."""

    shape: tuple[int, ...]
    """(X, Y, Z) or (N, X, Y, Z), or in the order of the axes that are stated."""
    dtype: str = "uint8"
    """NumPy's name of the type, with `<` or `>` in front for a byte order."""

    def __post_init__(self) -> None:
        if len(self.shape) not in (3, 4) or min(self.shape) < 1:
            raise InputError(f"expected a shape X,Y,Z or N,X,Y,Z of positive lengths, got {self.shape}")
        try:
            kind = np.dtype(self.dtype).kind
        except TypeError:
            kind = ""
        if not kind or kind not in "biuf":
            raise InputError(f"expected a type such as uint8, uint16 or float32, got {self.dtype!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """A kind of file."""

    title: str
    """Name of the kind, with its article."""
    starts: tuple[bytes, ...]
    """First bytes that its files may have; empty where any will do."""
    list_arrays: Callable[..., list[StoredArray]]
    read_array: Callable[..., NDArray[Any]]


def _list_mat(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    return (hdf5.list_matlab_hdf5 if _is_hdf5(stream) else matlab.list_mat)(stream, budget=budget)


def _read_mat(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    reader = hdf5.read_matlab_hdf5 if isinstance(array.source, str) else matlab.read_mat
    return reader(stream, array, budget=budget)


def _scan(suffix: str, title: str, *starts: bytes) -> _Kind:
    def list_scan(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
        return scans.list_scan(stream, suffix, budget=budget)

    return _Kind(title=title, starts=starts, list_arrays=list_scan, read_array=scans.read_scan)


def _read_npy(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    return numpy_files.read_npy(stream, budget=budget)


def _list_raw(stream: BinaryIO, *, budget: ReadBudget, raw: RawLayout | None) -> list[StoredArray]:
    if raw is None:
        raise InputError(f"{budget.name}: expected the shape of a file without a header, got none")
    return [
        StoredArray(name="", shape=raw.shape, dtype=np.dtype(raw.dtype), format="numbers without a header")
    ]


def _read_raw(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    expected, present = math.prod(array.shape) * array.dtype.itemsize, stream.seek(0, 2)
    if present != expected:
        raise InputError(
            f"{budget.name}: expected {expected} bytes for shape {array.shape} of "
            f"{array.dtype}, got {present}"
        )
    stream.seek(0)
    values = np.frombuffer(stream.read(), dtype=array.dtype).reshape(array.shape)
    if array.dtype.kind == "b":  # any byte but 0 and 1 is no truth value
        return values.view(np.uint8)
    return values


def _kind(title: str, *starts: bytes, reader: Any, written: Any) -> _Kind:  # noqa: ANN401
    return _Kind(title=title, starts=starts, list_arrays=reader, read_array=written)


_TIFF_KIND = _kind("a TIFF file (.tif)", *_TIFF, reader=tiff.list_tiff, written=tiff.read_tiff)
_HDF5_KIND = _kind("an HDF5 file (.h5)", _HDF5, reader=hdf5.list_hdf5, written=hdf5.read_hdf5)
KINDS: dict[str, _Kind] = {
    ".npy": _kind("a NumPy file (.npy)", b"\x93NUMPY", reader=numpy_files.list_npy, written=_read_npy),
    ".npz": _kind("a NumPy archive (.npz)", *_ZIP, reader=numpy_files.list_npz, written=numpy_files.read_npz),
    ".h5": _HDF5_KIND,
    ".hdf5": _HDF5_KIND,
    ".dream3d": _HDF5_KIND,
    ".tif": _TIFF_KIND,
    ".tiff": _TIFF_KIND,
    ".vti": _kind("VTK image data (.vti)", b"<", b"\xef\xbb\xbf<", reader=vti.list_vti, written=vti.read_vti),
    ".mat": _kind(
        "a MATLAB file (.mat)",
        b"MATLAB 5.0 MAT-file",
        b"MATLAB 7.3 MAT-file",
        _HDF5,
        reader=_list_mat,
        written=_read_mat,
    ),
    ".vtk": _scan(".vtk", "a legacy VTK file (.vtk)", b"# vtk DataFile"),
    ".nrrd": _scan(".nrrd", "an NRRD file (.nrrd)", b"NRRD0"),
    ".mha": _scan(".mha", "a MetaImage file (.mha)"),
    ".mhd": _scan(".mhd", "a MetaImage file (.mhd)"),
    ".zip": _kind(
        "a zip archive of slices (.zip)", *_ZIP, reader=slices.list_slices, written=slices.read_slices
    ),
    ".raw": _kind("a file of numbers (.raw)", reader=_list_raw, written=_read_raw),
}
SUFFIXES = tuple(KINDS)
"""Kinds of files that are read."""


def check_start(stream: BinaryIO, suffix: str, name: str) -> None:
    """The file begins as its kind does; the stream is left at its start."""
    size = stream.seek(0, 2)
    if size > LIMITS.file_bytes:
        raise InputError(f"{name}: expected a file of at most {LIMITS.file_bytes >> 30} GB, got {size} bytes")
    stream.seek(0)
    start = stream.read(32)
    stream.seek(0)
    if suffix == ".npy" and start.startswith(b"\x93NUMPY") and len(start) < 8:
        raise InputError(f"{name}: expected the header of a NumPy file, got {size} bytes (file truncated)")
    kind = KINDS[suffix]
    if size == 0 or (kind.starts and not start.startswith(kind.starts)):
        raise InputError(f"{name}: expected {kind.title}, got {_describe(stream)}")


def _describe(stream: BinaryIO) -> str:
    stream.seek(0)
    start = stream.read(32)
    for mark, title in _STARTS.items():
        if start.startswith(mark):
            return title
    if not start:
        return "an empty file"
    stream.seek(0)
    tail = stream.seek(0, 2)
    stream.seek(max(0, tail - 2**16))
    if zipfile.is_zipfile(BytesIO(stream.read())):
        return "a zip archive (is it an .npz file?)"
    return (
        "a pickle, which is never opened"
        if start.startswith(_PICKLE)
        else f"a file that starts with {start[:8]!r}"
    )


def _is_hdf5(stream: BinaryIO) -> bool:
    stream.seek(0)
    start = stream.read(19)
    stream.seek(0)
    return start.startswith((b"MATLAB 7.3", b"\x89HDF"))
