"""Data sets of HDF5 files, with what other programs write beside them: axes, spacing, components.

Obeyed are `permute_order` (FANS and its tools), `axistags` (ilastik), labels of dimensions (HDF5's own),
`element_size_um` (the HDF5 plugin of Fiji) and the geometry of DREAM.3D. MATLAB 7.3 is HDF5 with the axes
reversed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5o  # type: ignore[attr-defined]
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.deflate import check_inflated, first_line, may_burst
from vaereg.io.formats.stored import ReadBudget, StoredArray, printable

__all__ = ["list_hdf5", "list_matlab_hdf5", "read_hdf5", "read_matlab_hdf5"]

_MAX_DEPTH = 32
_MAX_CHUNKS = 100_000
_SLACK = 2**20
"""Bytes that chunks may take beyond the data set."""
_LZF_RATIO = 88
"""Largest ratio of inflated to stored bytes of lzf; data that no library inflates in steps [-]."""
_LZF_SLACK = 2**28
"""Bytes that a chunk of lzf may take beyond what it should."""
_FILTERS = {"gzip": 1, "shuffle": 2, "fletcher32": 3, "lzf": 32000}
_OWN_PHASES = "0 soft, 1 stiff"


def list_hdf5(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """Data sets of an HDF5 file, at any depth."""
    with _open(stream, budget) as file:
        return [_describe(file, path, dataset) for path, dataset in _datasets(file, budget)]


def read_hdf5(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """One data set of an HDF5 file; parts that were never written are its fill value."""
    with _open(stream, budget) as file:
        for path, dataset in _datasets(file, budget):
            if path == array.source:
                _check_storage(dataset, budget, f"{budget.name}: {array.name}")
                return dataset[()]
    raise InputError(f"{budget.name}: expected a data set {array.name!r}, got none")


def list_matlab_hdf5(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """Arrays of a MATLAB file of version 7.3, whose axes HDF5 has in reverse; fields of structs are
    groups.
    """
    with _open(stream, budget) as file:
        return [
            StoredArray(
                name=printable(path.replace("/", ".")),
                shape=dataset.shape[::-1],
                dtype=_type_of(dataset),
                source=path,
                format="MATLAB 7.3 file",
            )
            for path, dataset in _datasets(file, budget)
            if not path.startswith(("#refs#", "#subsystem#"))
        ]


def read_matlab_hdf5(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """One array of a MATLAB file of version 7.3."""
    return read_hdf5(stream, array, budget=budget).T


@contextmanager
def _open(stream: BinaryIO, budget: ReadBudget) -> Generator[h5py.File, None, None]:
    try:
        with h5py.File(stream, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError, OverflowError, ValueError) as error:
        refusal = getattr(stream, "refusal", None)
        if refusal is not None:  # HDF5 hides what its file raises
            raise refusal from error
        raise InputError(
            f"{budget.name}: expected a readable HDF5 file, got a damaged one: {first_line(error)}"
        ) from error


def _datasets(file: h5py.File, budget: ReadBudget) -> Iterator[tuple[str, h5py.Dataset]]:
    """Data sets that the file itself holds: links could lead to other files, or in circles."""
    waiting: list[tuple[str, h5py.Group, int]] = [("", file, 0)]
    seen: set[int] = set()
    count = 0
    while waiting:
        prefix, group, depth = waiting.pop(0)
        for key in group:
            count += 1
            budget.check_time()
            if count > budget.limits.objects or depth > _MAX_DEPTH:
                raise InputError(
                    f"{budget.name}: expected at most {budget.limits.objects} objects in groups "
                    f"{_MAX_DEPTH} deep, got more"
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


def _describe(file: h5py.File, path: str, dataset: h5py.Dataset) -> StoredArray:
    """Description of a data set by the file."""
    axes, axes_from, problem = _axes(dataset)
    voxel_size, voxel_size_from, unit = _voxel_size(file, path, dataset, axes)
    phases = _text(file.attrs, "phases")
    if "format_version" in file.attrs and phases not in ("", _OWN_PHASES):
        problem = f"expected phases {_OWN_PHASES!r}, got {phases[:60]!r}"
    return StoredArray(
        name=printable(path),
        shape=dataset.shape,
        dtype=_type_of(dataset),
        source=path,
        format="HDF5 file of DREAM.3D" if axes_from.startswith("DREAM.3D") else "HDF5 file",
        axes=axes,
        axes_from=axes_from,
        voxel_size=voxel_size,
        unit=unit,
        voxel_size_from=voxel_size_from,
        problem=problem,
    )


def _axes(dataset: h5py.Dataset) -> tuple[str, str, str]:
    """Letters of the axes, what says so, and what is wrong with them."""
    count = len(dataset.shape)
    order = _text(dataset.attrs, "permute_order").lower()
    if order:
        if sorted(order) != ["x", "y", "z"] or count < 3:
            return (
                "",
                "",
                f"expected the attribute permute_order to be an order of x, y, z, got {order[:20]!r}",
            )
        return "n" * (count - 3) + order, "attribute permute_order", ""
    tags = _text(dataset.attrs, "axistags")
    if tags:
        try:
            letters = "".join(str(axis["key"]) for axis in json.loads(tags)["axes"]).lower()
        except (ValueError, KeyError, TypeError, RecursionError):
            letters = ""
        if len(letters) != count or not set(letters) <= set("xyzct"):
            return "", "", f"expected the attribute axistags to name {count} axes of x, y, z, c, t"
        return letters, "attribute axistags (ilastik)", ""
    tuples, components = (
        _integers(dataset.attrs, "TupleDimensions"),
        _integers(dataset.attrs, "ComponentDimensions"),
    )
    if tuples and components:
        if len(tuples) != 3:  # a list of features: no voxels
            return "i" * count, "DREAM.3D", ""
        if math.prod(dataset.shape) == math.prod(tuples) * math.prod(components) and count > 3:
            return "zyx" + "c" * (count - 3), "DREAM.3D", ""
        if count == 3:
            return "zyx", "DREAM.3D", ""
    labels = "".join(str(dimension.label) for dimension in dataset.dims).lower()
    if len(labels) == count and set("xyz") <= set(labels) <= set("xyzctn"):
        return labels, "labels of its dimensions", ""
    if count == 3 and len(_numbers(dataset.attrs, "element_size_um")) == 3:
        return "zyx", "attribute element_size_um (Fiji)", ""
    return "", "", ""


def _voxel_size(
    file: h5py.File, path: str, dataset: h5py.Dataset, axes: str
) -> tuple[tuple[float, float, float] | None, str, str]:
    """Edges of a voxel along x, y, z, what says so, and the unit."""
    sizes = _numbers(dataset.attrs, "element_size_um")
    if len(sizes) == 3:
        return (sizes[2], sizes[1], sizes[0]), "attribute element_size_um", "um"
    if "z" not in axes or not path:
        return None, "", ""
    parts = path.split("/")[:-1]
    for depth in range(len(parts), 0, -1):
        group = file["/".join(parts[:depth])]
        if not isinstance(group, h5py.Group):
            continue
        sizes = _numbers(group.attrs, "_SPACING")
        source: Any = group.get("_SIMPL_GEOMETRY")
        if isinstance(source, h5py.Group):
            spacing = source.get("SPACING", getlink=True)
            spacings: Any = source["SPACING"] if isinstance(spacing, h5py.HardLink) else None
            if isinstance(spacings, h5py.Dataset) and spacings.shape == (3,) and spacings.dtype.kind in "iuf":
                sizes = [float(value) for value in spacings[()]]
        if len(sizes) == 3:
            return (sizes[0], sizes[1], sizes[2]), "geometry of DREAM.3D", ""
    return None, "", ""


def _text(attributes: h5py.AttributeManager, name: str) -> str:
    """An attribute that is a short text; empty where there is none."""
    value = _value(attributes, name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _numbers(attributes: h5py.AttributeManager, name: str) -> list[float]:
    """An attribute that is a short list of numbers; empty where there is none."""
    value = np.asarray(_value(attributes, name))
    if value.dtype.kind not in "iuf" or value.ndim != 1 or len(value) > 16:
        return []
    return [float(number) for number in value]


def _integers(attributes: h5py.AttributeManager, name: str) -> list[int]:
    return [int(number) for number in _numbers(attributes, name) if math.isfinite(number)]


def _value(attributes: h5py.AttributeManager, name: str) -> object:
    try:
        return attributes.get(name)
    except (OSError, TypeError, ValueError, RuntimeError, KeyError):  # of a type that NumPy has not
        return None


def _type_of(dataset: h5py.Dataset) -> np.dtype:
    try:
        return dataset.dtype
    except (TypeError, ValueError):  # a type that NumPy has not
        return np.dtype(object)


def _check_storage(dataset: h5py.Dataset, budget: ReadBudget, where: str) -> None:
    """Refuse a data set that refers to other files, or inflates to more than it declares."""
    if dataset.is_virtual or dataset.external:
        raise InputError(f"{where}: expected a data set stored in the file, got one that refers to others")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if set(filters) - set(_FILTERS.values()):
        raise InputError(f"{where}: expected the filters {', '.join(_FILTERS)}, got another one")
    size = dataset.dtype.itemsize
    declared = math.prod(dataset.shape) * size
    budget.inflate(declared)
    if dataset.chunks is None:
        stored_bytes = dataset.id.get_storage_size()
        if 0 < stored_bytes < declared:
            raise InputError(
                f"{where}: expected {declared} bytes of data, got {stored_bytes} (stored in part)"
            )
        return
    per_axis = [-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    if math.prod(per_axis) > _MAX_CHUNKS:
        raise InputError(f"{where}: expected at most {_MAX_CHUNKS} chunks, got {math.prod(per_axis)}")
    nominal = math.prod(dataset.chunks) * size
    if nominal > 2 * declared + _SLACK:
        raise InputError(f"{where}: expected chunks no larger than the data set, got {dataset.chunks}")
    _check_chunks(dataset, filters, nominal, where)


def _check_chunks(dataset: h5py.Dataset, filters: list[int], nominal: int, where: str) -> None:
    """Refuse chunks that could inflate to clearly more than `nominal` bytes."""
    gzip, lzf = _FILTERS["gzip"], _FILTERS["lzf"]
    if len(set(filters)) < len(filters) or {gzip, lzf} <= set(filters):
        raise InputError(f"{where}: expected each filter once and one compression, got {filters}")
    compression = {1 << place for place, code in enumerate(filters) if code in (gzip, lzf)}
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if not compression or chunk.filter_mask in compression:  # as it is: what did not shrink, say
            continue
        if chunk.filter_mask:
            raise InputError(f"{where}: expected chunks that went through all filters, got one that did not")
        if lzf in filters and chunk.size * _LZF_RATIO > 4 * nominal + _LZF_SLACK:
            raise InputError(f"{where}: expected smaller chunks of lzf data, got one of {chunk.size} bytes")
        if gzip in filters and may_burst(chunk.size, nominal):
            _, raw = dataset.id.read_direct_chunk(chunk.chunk_offset)
            check_inflated(raw, nominal + 4, where)
