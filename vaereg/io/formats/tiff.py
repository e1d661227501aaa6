"""Stacks of TIFF pages: page z, row y, column x, as ImageJ, OME and the programs of CT scanners have them.

ImageJ's and OME's metadata say otherwise where present, and give the edges of a voxel. Numbers are taken as
they are stored, whatever the photometric interpretation: MinIsWhite says how 0 is displayed, not what it is,
and tifffile writes boolean arrays so.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage

from vaereg.errors import InputError
from vaereg.io.formats.deflate import check_inflated, first_line, may_burst
from vaereg.io.formats.stored import ReadBudget, StoredArray

__all__ = ["list_tiff", "read_tiff"]

_PLAIN, _LZW, _DEFLATE, _PACKBITS = 1, 5, (8, 32946), 32773
_COMPRESSIONS = (_PLAIN, _LZW, *_DEFLATE, _PACKBITS)
_MAX_PAGES = 4096
_SLACK = 2**20
_MIN_IS_WHITE = 0
_OVERLAP = 2
"""How many times the length of the file all strips together may have: pages may share a blank strip [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stack:
    pages: list[TiffPage]
    array: StoredArray
    contiguous: bool = False
    """Whether one page stands for all of them, which follow it in the file."""


def list_tiff(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """The stack of a TIFF file."""
    with _open(stream, budget) as stack:
        return [stack.array]


def read_tiff(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """The stack of a TIFF file, as it is stored."""
    with _open(stream, budget) as stack:
        name, first = budget.name, stack.pages[0]
        present = stream.seek(0, 2)
        voxels = math.prod(array.shape)
        if stack.contiguous:
            start, count = first.dataoffsets[0], voxels * array.dtype.itemsize
            if start + count > present:
                raise InputError(
                    f"{name}: expected {count} bytes of data for shape {array.shape}, got {present - start} "
                    "(file truncated)"
                )
            stream.seek(start)
            order = ">" if first.parent.byteorder == ">" else "<"
            data = np.frombuffer(stream.read(count), dtype=array.dtype.newbyteorder(order))
            return data.reshape(array.shape).astype(array.dtype)
        images = []
        for number, page in enumerate(stack.pages):
            _check_page(page, present, voxels, f"{name}: page {number + 1}")
            budget.inflate(math.prod(page.shape) * array.dtype.itemsize)
            images.append(page.asarray())
        return np.stack(images).reshape(array.shape)


@contextmanager
def _open(stream: BinaryIO, budget: ReadBudget) -> Generator[_Stack, None, None]:
    name = budget.name
    errors = _Errors()
    logger = logging.getLogger("tifffile")
    logger.addHandler(errors)
    stream.seek(0)
    try:
        with TiffFile(stream, mode="r", is_ome=False, _multifile=False) as file:
            pages: list[TiffPage] = []
            present, stored_bytes = file.filehandle.size, 0
            for page in file.pages:
                if not isinstance(page, TiffPage):
                    raise InputError(f"{name}: expected a page of its own for each image, got a frame")
                if len(pages) == _MAX_PAGES:
                    raise InputError(f"{name}: expected at most {_MAX_PAGES} pages, got more")
                _check_kind(page, pages[0] if pages else page, f"{name}: page {len(pages) + 1}")
                budget.check_time()
                stored_bytes += sum(page.databytecounts)
                if stored_bytes > _OVERLAP * present + _SLACK:
                    raise InputError(
                        f"{name}: expected pages with data of their own, got {stored_bytes} bytes of "
                        f"data in a file of "
                        f"{present} bytes"
                    )
                pages.append(page)
            if errors.messages:  # tifffile goes on with the pages that are left
                raise InputError(f"{name}: expected a TIFF file, got a damaged one: {errors.messages[0]}")
            if not pages:
                raise InputError(f"{name}: expected pages, got none")
            yield _stack(file, pages)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes tifffile raise many kinds
        if "imagecodecs" in str(error):
            raise InputError(
                f"{name}: expected the package imagecodecs for this compression, got none: "
                "pip install imagecodecs"
            ) from error
        raise InputError(f"{name}: expected a TIFF file, got a damaged one: {first_line(error)}") from error
    finally:
        logger.removeHandler(errors)


def _stack(file: TiffFile, pages: list[TiffPage]) -> _Stack:
    """Array that the pages make together, by the metadata of the first page."""
    first = pages[0]
    array = StoredArray(
        name="",
        shape=first.shape if len(pages) == 1 and len(first.shape) == 3 else (len(pages), *first.shape),
        dtype=np.dtype(first.dtype),
        format="TIFF stack",
        axes="zyx",
        axes_from="page z, row y, column x",
    )
    if int(first.photometric) == _MIN_IS_WHITE:
        array = replace(array, notes=("MinIsWhite: numbers are taken as they are stored",))
    if len(first.shape) != 2:
        return _Stack(pages=pages, array=array)
    description = first.description
    if first.is_imagej:
        return _imagej(pages, array, file.imagej_metadata or {})
    if "<OME" in description[:4096] and "</OME>" in description[-20:]:
        return _ome(pages, array, description)
    if str(first.tags.valueof("Software", "")).strip("\0 ") == "vaereg" and not description:
        # version 0.1 wrote a page for each x
        array = replace(array, axes="xyz", axes_from="vaereg 0.1: page x, row y, column z")
    elif description.startswith("{"):
        return _shaped(pages, array, description)
    return _Stack(pages=pages, array=array)


def _imagej(pages: list[TiffPage], array: StoredArray, metadata: dict[str, Any]) -> _Stack:
    counts = {name: _count(metadata.get(name)) for name in ("images", "frames", "slices", "channels")}
    images = max(counts["images"], 1)
    lengths = {"t": counts["frames"], "z": counts["slices"], "c": counts["channels"]}
    lengths = {axis: max(length, 1) for axis, length in lengths.items()}
    problem = ""
    if math.prod(lengths.values()) == 1:
        lengths["z"] = images
    if math.prod(lengths.values()) != images:
        problem = f"expected as many images as slices, channels and frames, got {images} for {lengths}"
    contiguous = len(pages) == 1 and images > 1
    if contiguous and int(pages[0].compression) != _PLAIN:
        problem = f"{images} images declared, 1 found"
    if not contiguous and len(pages) != images:
        problem = f"{images} images declared, {len(pages)} found"
    axes_kept = {axis: length for axis, length in lengths.items() if length > 1 or axis == "z"}
    shape = (*axes_kept.values(), *pages[0].shape)
    if problem:
        axes_kept, shape = {"z": len(pages)}, array.shape
    unit = _unit(str(metadata.get("unit", "")))
    size = None
    if unit or "spacing" in metadata:
        depth = metadata.get("spacing", 1.0)
        size = (
            _pixel(pages[0], "XResolution"),
            _pixel(pages[0], "YResolution"),
            abs(float(depth)) if isinstance(depth, int | float) else math.nan,
        )
    array = replace(
        array,
        shape=shape,
        format="TIFF stack of ImageJ",
        axes="".join(axes_kept) + "yx",
        axes_from="ImageJ: page z, row y, column x",
        voxel_size=size,
        unit=unit,
        voxel_size_from="ImageJ" if size else "",
        problem=problem,
    )
    return _Stack(pages=pages, array=array, contiguous=contiguous)


def _ome(pages: list[TiffPage], array: StoredArray, description: str) -> _Stack:
    """Axes and voxel size by OME's metadata (OME-TIFF; micrometres where it gives no unit)."""
    array = replace(array, format="OME-TIFF", axes_from="OME")
    if "<!DOCTYPE" in description or "<!ENTITY" in description:
        return _Stack(pages=pages, array=replace(array, problem="expected OME metadata, got a document type"))
    try:
        root = ElementTree.fromstring(description)
    except ElementTree.ParseError:
        return _Stack(pages=pages, array=replace(array, problem="expected OME metadata, got damaged XML"))
    images = [element for element in root.iter() if element.tag.rsplit("}", 1)[-1] == "Pixels"]
    if len(images) != 1:
        problem = f"expected one image, got {len(images)} in the OME metadata"
        return _Stack(pages=pages, array=replace(array, problem=problem))
    pixels = images[0]
    lengths = {axis: max(_count(pixels.get(f"Size{axis.upper()}")), 1) for axis in "xyzct"}
    order = pixels.get("DimensionOrder", "XYZCT").lower()
    problem = ""
    if sorted(order) != sorted("xyzct") or not order.startswith("xy"):
        problem, order = f"expected a DimensionOrder that begins with XY, got {order[:20]!r}", "xyzct"
    declared = lengths["z"] * lengths["c"] * lengths["t"]
    if declared != len(pages):
        problem = f"{declared} images declared, {len(pages)} found"
    if pages[0].shape != (lengths["y"], lengths["x"]):
        problem = f"expected images of {lengths['y']} x {lengths['x']} as OME says, got {pages[0].shape}"
    moved_pages = [
        data
        for data in pixels
        if data.tag.rsplit("}", 1)[-1] == "TiffData"
        and data.get("IFD") is not None
        and _count(data.get("IFD"))
        != sum(_count(data.get(f"First{axis}")) for axis in "ZCT")  # one of the three counts
    ]
    if moved_pages and declared > 1 and lengths["z"] == declared:
        problem = "expected pages in their order, got OME metadata that gives them another one"
    axes_kept = [axis for axis in reversed(order[2:]) if lengths[axis] > 1 or axis == "z"]
    axes = "".join(axes_kept) + "yx"
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "XYZ"]
    units = {_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XYZ"}
    size, unit = None, ""
    if any(sizes):
        numbers = [_number(text) for text in sizes]
        if None in numbers or len(units) > 1:
            problem = problem or f"expected a physical size for x, y and z in one unit, got {sizes}"
        else:
            size, unit = (numbers[0] or 0.0, numbers[1] or 0.0, numbers[2] or 0.0), units.pop()
    return _Stack(
        pages=pages,
        array=replace(
            array,
            shape=array.shape if problem else tuple(lengths[axis] for axis in axes),
            axes="zyx" if problem else axes,
            axes_from=f"OME: {order}",
            voxel_size=size,
            unit=unit,
            voxel_size_from="OME" if size else "",
            problem=problem,
        ),
    )


def _shaped(pages: list[TiffPage], array: StoredArray, description: str) -> _Stack:
    """Axes of tifffile's own metadata: a shape, and axes where they were given."""
    try:
        metadata = json.loads(description)
    except (ValueError, RecursionError):
        return _Stack(pages=pages, array=array)
    shape, axes = metadata.get("shape"), metadata.get("axes")
    integers = isinstance(shape, list) and all(isinstance(length, int) and length > 0 for length in shape)
    if not integers or tuple(shape[-2:]) != pages[0].shape or len(shape) < 2:
        return _Stack(pages=pages, array=array)
    images = math.prod(shape[:-2])
    contiguous = len(pages) == 1 and images > 1 and int(pages[0].compression) == _PLAIN
    if not contiguous and images != len(pages):
        return _Stack(
            pages=pages, array=replace(array, problem=f"{images} images declared, {len(pages)} found")
        )
    if isinstance(axes, str) and len(axes) == len(shape):
        array = replace(array, shape=tuple(shape), axes=axes.lower(), axes_from=f"tifffile: {axes[:10]}")
    elif len(shape) == 4:
        array = replace(array, shape=tuple(shape), axes="nzyx")
    elif len(shape) == 3:
        array = replace(array, shape=tuple(shape))
    return _Stack(pages=pages, array=array, contiguous=contiguous)


def _count(value: object) -> int:
    """A number of images; 0 where there is none."""
    text = str(value)
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _pixel(page: TiffPage, name: str) -> float:
    """Edge of a pixel: ImageJ stores pixels per unit as a fraction."""
    value = page.tags.valueof(name, (1, 1))
    if isinstance(value, tuple) and len(value) == 2 and value[0]:
        return float(value[1]) / float(value[0])
    return 1.0


def _unit(text: str) -> str:
    """A unit in ASCII; empty where it is the pixel."""
    text = text.strip().replace("\\u00B5", "µ").replace("\u03bc", "µ")
    if text.lower() in ("pixel", "pixels", "voxel", ""):
        return ""
    return {"µm": "um", "micron": "um", "microns": "um", "micrometer": "um"}.get(text, text)[:20]


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
    if int(page.compression) not in _COMPRESSIONS:
        raise InputError(
            f"{where}: expected no compression, LZW, Deflate or PackBits, got {page.compression!r}"
        )
    if page.dtype is None:
        raise InputError(f"{where}: expected integers or real numbers, got another kind")
    if page.samplesperpixel != 1:
        raise InputError(f"{where}: expected one number per pixel (grey), got {page.samplesperpixel}")
    if page.shape != first.shape or page.dtype != first.dtype:
        raise InputError(
            f"{where}: expected shape {first.shape} and type {first.dtype} of the first page, "
            f"got {page.shape} and {page.dtype}"
        )


def _check_page(page: TiffPage, present: int, voxels: int, where: str) -> None:
    """The data of a page is in the file, and inflates to no more than the page declares."""
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    stored_bytes, nominal = sum(page.databytecounts), math.prod(page.chunks) * np.dtype(page.dtype).itemsize
    compression = int(page.compression)
    if not ends or max(ends) > present or not all(page.databytecounts):
        raise InputError(f"{where}: expected all of its data, got a part (file truncated)")
    if math.prod(page.chunks) > 2 * voxels + _SLACK:
        raise InputError(f"{where}: expected tiles no larger than the stack, got {page.chunks}")
    if compression == _PLAIN and stored_bytes * 8 < math.prod(page.shape) * page.bitspersample:
        raise InputError(
            f"{where}: expected data of shape {page.shape}, got {stored_bytes} bytes (file truncated)"
        )
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if compression in _DEFLATE and may_burst(count, nominal):
            page.parent.filehandle.seek(start)
            check_inflated(page.parent.filehandle.read(count), nominal, where)
        if compression in (_LZW, _PACKBITS) and count > 4 * nominal + _SLACK:
            raise InputError(f"{where}: expected strips of at most {nominal} bytes, got {count}")
