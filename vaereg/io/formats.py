"""Arrays of numbers in files of many formats: what a file holds, and one array of it.

A file may be anything: sizes are checked before data is read or inflated, nothing is ever unpickled, no other
file is opened, and every complaint is one line that says what was expected and what came. Each `list_...`
reads headers only, each `read_...` one array that its caller has found small enough.
"""

from __future__ import annotations

import logging
import math
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5o  # type: ignore[attr-defined]
from numpy.lib import format as npy
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage

__all__ = [
    "list_hdf5",
    "list_npy",
    "list_npz",
    "list_tiff",
    "read_hdf5",
    "read_npy_data",
    "read_npz",
    "read_tiff",
]

Header = tuple[str, tuple[int, ...], np.dtype]
"""Name, shape and type of an array."""

_MAX_HEADER = 10_000
_MAX_OBJECTS = 10_000
_MAX_DEPTH = 32
_MAX_CHUNKS = 100_000
_MAX_PAGES = 4096
_SLACK = 2**20
"""What a part of a file may take beyond what it declares [byte]."""
_DEFLATE_RATIO = 1032
"""Data inflates to at most so many times its length (the limit of Deflate)."""

_LZF_RATIO = 88
"""Largest ratio of inflated to stored bytes of lzf; data that no library inflates in steps [-]."""
_LZF_SLACK = 2**28
"""Bytes that a chunk of lzf may take beyond what it should."""
_HDF5_FILTERS = {"gzip": 1, "shuffle": 2, "fletcher32": 3, "lzf": 32000}
_TIFF_PLAIN, _TIFF_DEFLATE = (1,), (8, 32946)


def list_npy(stream: BinaryIO, *, name: str) -> Header:
    """Shape and type of the array of a NumPy file; the stream is left where its data begins."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(
            f"{name}: expected a NumPy file of version 1.0 or 2.0, got {version[0]}.{version[1]}"
        )
    try:
        shape, _, dtype = readers[version](stream, max_header_size=_MAX_HEADER)
    except Exception as error:  # NumPy evaluates the header as a literal, which fails in many ways
        raise ValueError(f"{name}: expected the header of a NumPy file, got a damaged one") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"{name}: expected lengths of zero or more, got shape {shape}")
    return "", shape, dtype


def read_npy_data(stream: BinaryIO, *, name: str) -> NDArray[Any]:
    """The array of a NumPy file, which must hold as much as it declares."""
    stream.seek(0)
    _, shape, dtype = list_npy(stream, name=name)
    start = stream.tell()
    expected, present = math.prod(shape) * dtype.itemsize, stream.seek(0, 2) - start
    if present != expected:
        kind = "truncated" if present < expected else "with more behind it"
        raise ValueError(
            f"{name}: expected {expected} bytes of data for shape {shape}, got {present} (file {kind})"
        )
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False, max_header_size=_MAX_HEADER)


def list_npz(stream: BinaryIO, *, name: str) -> list[Header]:
    """Arrays of a NumPy archive; members that are no NumPy files are passed over."""
    headers = []
    with _archive(stream, name) as archive:
        for member in _members(archive, name):
            with archive.open(member) as file:
                start = BytesIO(file.read(_MAX_HEADER + 128))
            if start.getvalue().startswith(b"\x93NUMPY"):
                _, shape, dtype = list_npy(start, name=name)
                headers.append((member.filename.removesuffix(".npy"), shape, dtype))
    return headers


def read_npz(stream: BinaryIO, header: Header, *, name: str) -> NDArray[Any]:
    """One array of a NumPy archive."""
    title, shape, dtype = header
    size = math.prod(shape) * dtype.itemsize + _MAX_HEADER + 128
    with _archive(stream, name) as archive:
        for member in _members(archive, name):
            if member.filename.removesuffix(".npy") == title:
                with archive.open(member) as file:  # inflates no more than is asked for
                    return read_npy_data(BytesIO(file.read(size)), name=name)
    raise ValueError(f"{name}: expected an array {title!r}, got none")


@contextmanager
def _archive(stream: BinaryIO, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(stream) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{name}: expected a NumPy archive (.npz), got a damaged one: {error}") from error


def _members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MAX_OBJECTS:
        raise ValueError(f"{name}: expected at most {_MAX_OBJECTS} arrays, got {len(members)}")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name}: expected arrays stored or deflated, got another compression")
    return members


def list_hdf5(stream: BinaryIO, *, name: str, reverse: bool = False) -> list[Header]:
    """Data sets of an HDF5 file, at any depth; with `reverse` with their axes in MATLAB's order."""
    headers = []
    with _hdf5(stream, name) as file:
        for path, dataset in _datasets(file, name):
            shape = dataset.shape[::-1] if reverse else dataset.shape
            headers.append((path, shape, _type_of(dataset)))
    return headers


def read_hdf5(stream: BinaryIO, header: Header, *, name: str, reverse: bool = False) -> NDArray[Any]:
    """One data set of an HDF5 file, which must be stored in it as a whole."""
    with _hdf5(stream, name) as file:
        for path, dataset in _datasets(file, name):
            if path == header[0]:
                _check_storage(dataset, f"{name}: {path}")
                array = dataset[()]
                return array.T if reverse else array
    raise ValueError(f"{name}: expected a data set {header[0]!r}, got none")


@contextmanager
def _hdf5(stream: BinaryIO, name: str) -> Iterator[h5py.File]:
    try:
        with h5py.File(stream, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError, OverflowError) as error:
        raise ValueError(
            f"{name}: expected a readable HDF5 file, got a damaged one: {_first_line(error)}"
        ) from error


def _datasets(file: h5py.File, name: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """Data sets that the file itself holds: links could lead to other files, or in circles."""
    waiting: list[tuple[str, h5py.Group, int]] = [("", file, 0)]
    seen, count = set(), 0
    while waiting:
        prefix, group, depth = waiting.pop(0)
        for key in group:
            count += 1
            if count > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise ValueError(
                    f"{name}: expected at most {_MAX_OBJECTS} objects in groups {_MAX_DEPTH} deep, got more"
                )
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item = group[key]
            address = h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((f"{prefix}{key}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset) and item.shape is not None:
                yield f"{prefix}{key}", item


def _type_of(dataset: h5py.Dataset) -> np.dtype:
    try:
        return dataset.dtype
    except (TypeError, ValueError):  # a type that NumPy has not
        return np.dtype(object)


def _check_storage(dataset: h5py.Dataset, where: str) -> None:
    """A data set that declares much and stores little, or inflates to more than it declares, is refused."""
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{where}: expected a data set stored in the file, got one that refers to others")
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if set(filters) - set(_HDF5_FILTERS.values()):
        raise ValueError(f"{where}: expected the filters {', '.join(_HDF5_FILTERS)}, got another one")
    size = dataset.dtype.itemsize
    declared = math.prod(dataset.shape) * size
    if dataset.chunks is None:
        stored = dataset.id.get_storage_size()
        if stored < declared:
            raise ValueError(f"{where}: expected {declared} bytes of data, got {stored} (stored in part)")
        return
    per_axis = [-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    expected, present = math.prod(per_axis), dataset.id.get_num_chunks()
    if not present == expected <= _MAX_CHUNKS:
        raise ValueError(
            f"{where}: expected {expected} chunks (at most {_MAX_CHUNKS}), got {present} (stored in part)"
        )
    nominal = math.prod(dataset.chunks) * size
    if nominal > 2 * declared + _SLACK:
        raise ValueError(f"{where}: expected chunks no larger than the data set, got {dataset.chunks}")
    _check_chunks(dataset, filters, nominal, where)


def _check_chunks(dataset: h5py.Dataset, filters: list[int], nominal: int, where: str) -> None:
    """Chunks that could inflate to clearly more than `nominal` bytes are refused."""
    gzip, lzf = _HDF5_FILTERS["gzip"], _HDF5_FILTERS["lzf"]
    if len(set(filters)) < len(filters) or {gzip, lzf} <= set(filters):
        raise ValueError(f"{where}: expected each filter once and one compression, got {filters}")
    compression = {1 << place for place, code in enumerate(filters) if code in (gzip, lzf)}
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if not compression or chunk.filter_mask in compression:  # as it is: what did not shrink, say
            continue
        if chunk.filter_mask:
            raise ValueError(f"{where}: expected chunks that went through all filters, got one that did not")
        if lzf in filters and chunk.size * _LZF_RATIO > 4 * nominal + _LZF_SLACK:
            raise ValueError(f"{where}: expected smaller chunks of lzf data, got one of {chunk.size} bytes")
        if gzip in filters and _may_burst(chunk.size, nominal):
            _, raw = dataset.id.read_direct_chunk(chunk.chunk_offset)
            _check_inflated(raw, nominal + 4, where)


def list_tiff(stream: BinaryIO, *, name: str) -> Header:
    """Shape and type of a stack of pages of equal size: page, row, column."""
    with _tiff(stream, name) as pages:
        first = pages[0]
        shape = first.shape if len(pages) == 1 and len(first.shape) == 3 else (len(pages), *first.shape)
        return "", shape, np.dtype(first.dtype)


def read_tiff(stream: BinaryIO, header: Header, *, name: str) -> NDArray[Any]:
    """The stack of pages of a TIFF file."""
    with _tiff(stream, name) as pages:
        present = stream.seek(0, 2)
        for number, page in enumerate(pages):
            _check_page(page, present, math.prod(header[1]), f"{name}: page {number + 1}")
        return np.stack([page.asarray() for page in pages]).reshape(header[1])


@contextmanager
def _tiff(stream: BinaryIO, name: str) -> Iterator[list[TiffPage]]:
    errors = _Errors()
    logger = logging.getLogger("tifffile")
    logger.addHandler(errors)
    stream.seek(0)
    try:
        with TiffFile(stream, mode="r", is_ome=False, _multifile=False) as file:
            pages: list[TiffPage] = []
            for page in file.pages:
                if not isinstance(page, TiffPage):
                    raise ValueError(f"{name}: expected a page of its own for each image, got a frame")
                if len(pages) == _MAX_PAGES:
                    raise ValueError(f"{name}: expected at most {_MAX_PAGES} pages, got more")
                _check_kind(page, pages[0] if pages else page, f"{name}: page {len(pages) + 1}")
                pages.append(page)
            if errors.messages:  # tifffile goes on with the pages that are left
                raise ValueError(errors.messages[0])
            if not pages:
                raise ValueError(f"{name}: expected pages, got none")
            yield pages
    except Exception as error:  # a damaged file makes tifffile raise many kinds
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        raise ValueError(f"{name}: expected a TIFF file, got a damaged one: {_first_line(error)}") from error
    finally:
        logger.removeHandler(errors)


class _Errors(logging.Handler):
    """Errors that a library logs in this thread where it could have raised them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and record.levelno >= logging.ERROR:
            self.messages.append(" ".join(record.getMessage().split())[:200])


def _check_kind(page: TiffPage, first: TiffPage, where: str) -> None:
    if int(page.compression) not in (*_TIFF_PLAIN, *_TIFF_DEFLATE):
        raise ValueError(f"{where}: expected no compression or Deflate, got {page.compression!r}")
    if page.dtype is None:
        raise ValueError(f"{where}: expected integers or real numbers, got another kind")
    if page.samplesperpixel != 1:
        raise ValueError(f"{where}: expected one number per pixel (grey), got {page.samplesperpixel}")
    if page.shape != first.shape or page.dtype != first.dtype:
        raise ValueError(
            f"{where}: expected shape {first.shape} and type {first.dtype} of the first page, "
            f"got {page.shape} and {page.dtype}"
        )


def _check_page(page: TiffPage, present: int, voxels: int, where: str) -> None:
    """The data of a page is in the file, and inflates to no more than the page declares."""
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    stored, nominal = sum(page.databytecounts), math.prod(page.chunks) * np.dtype(page.dtype).itemsize
    if not ends or max(ends) > present or not all(page.databytecounts):
        raise ValueError(f"{where}: expected all of its data, got a part (file truncated)")
    if math.prod(page.chunks) > 2 * voxels + _SLACK:
        raise ValueError(f"{where}: expected tiles no larger than the stack, got {page.chunks}")
    if int(page.compression) in _TIFF_PLAIN and stored * 8 < math.prod(page.shape) * page.bitspersample:
        raise ValueError(f"{where}: expected data of shape {page.shape}, got {stored} bytes (file truncated)")
    if int(page.compression) in _TIFF_DEFLATE:
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if _may_burst(count, nominal):
                page.parent.filehandle.seek(start)
                _check_inflated(page.parent.filehandle.read(count), nominal, where)


def _may_burst(stored: int, nominal: int) -> bool:
    """Whether deflated data could inflate to clearly more than it should."""
    return stored * _DEFLATE_RATIO > 4 * nominal + _SLACK


def _check_inflated(raw: bytes, expected: int, where: str) -> None:
    """Deflated data that inflates to more than `expected` bytes is refused, at the cost of that many."""
    engine = zlib.decompressobj()
    length = 0
    try:
        while raw and length <= expected:
            length += len(engine.decompress(raw, min(expected + 1, 2**20)))
            raw = engine.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"{where}: expected zlib-compressed data, got damaged data") from error
    if length > expected:
        raise ValueError(f"{where}: expected {expected} bytes of data, got more when inflated")


def _first_line(error: Exception) -> str:
    lines = str(error).strip("'\"").splitlines() or [type(error).__name__]
    return lines[0][:200]
