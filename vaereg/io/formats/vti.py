"""VTK image data (.vti), one of the XML formats of VTK.

The reader is our own so that a file cannot make it do anything but read numbers: no entity, no other file, no
array that is larger than what it declares. It takes what VTK, ParaView, PyVista, DAMASK and TexGen write: one
piece, arrays per cell or per point, as text, in base64 or appended, plain or zlib-compressed. Spacing and
direction of the grid are obeyed.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from math import isfinite, prod
from typing import BinaryIO, NoReturn
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.grids import oriented_axes
from vaereg.io.formats.stored import ReadBudget, StoredArray, printable

__all__ = ["list_vti", "read_vti"]

_TYPES = {
    **{f"Int{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"UInt{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    "Float32": np.dtype("f4"),
    "Float64": np.dtype("f8"),
}
_ZLIB = "vtkZLibDataCompressor"
_APPENDED = re.compile(rb"<AppendedData\b[^>]*>\s*_")
_ONE_PER_LINE = bytes.maketrans(b" \t\r\f\v", b"\n" * 5)
_MAX_ARRAYS = 1000
_MAX_DEPTH = 16
_NUMBER_LENGTH = 64
"""Most letters of text for a number, the space around it included."""
_BLOCK_LENGTH = 8
"""Fewest bytes of a block of deflated data."""
_SLACK = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class _Array:
    """An array of numbers of a file."""

    name: str
    parent: str
    """CellData or PointData."""
    shape: tuple[int, int, int]
    """Voxels, or points, along the axes of the grid."""
    dtype: np.dtype
    components: int
    """Numbers per voxel or point."""
    encoding: str
    """ascii, binary or appended."""
    text: tuple[int, int] = (0, 0)
    """Start and end of the content of an inline array [byte]."""
    offset: int = 0
    """Start of an appended array, from the start of the appended data [byte]."""


@dataclass(slots=True)
class _Image:
    """Image that the header of a file describes."""

    big_endian: bool = False
    header: np.dtype = field(default_factory=lambda: np.dtype("<u4"))
    """Type of the lengths in front of the arrays."""
    compressed: bool = False
    appended: int | None = None
    """Start of the appended data [byte]."""
    appended_base64: bool = True
    spacing: tuple[float, float, float] | None = None
    """Edges of a voxel along the axes of the grid."""
    direction: tuple[float, ...] | None = None
    """Directions of the axes of the grid, a matrix (3, 3) by rows whose columns they are."""
    problem: str = ""
    """Fault of the spacing or the direction, in words."""
    arrays: list[_Array] = field(default_factory=list)


def list_vti(stream: BinaryIO, *, budget: ReadBudget) -> list[StoredArray]:
    """Arrays of one number per voxel or per point."""
    image = _read_image(stream.read(), budget.name)
    axes, flipped, problem = oriented_axes(image.direction)
    size = None
    if image.spacing is not None:
        edges = dict(zip(axes, image.spacing, strict=True))
        size = (edges["x"], edges["y"], edges["z"])
    scalars = [array for array in image.arrays if array.components == 1]
    names = [array.name for array in scalars]
    return [
        StoredArray(
            name=printable(array.name if names.count(array.name) == 1 else f"{array.parent}/{array.name}"),
            shape=array.shape,
            dtype=array.dtype,
            source=array,
            format="VTK image data",
            axes=axes,
            axes_from="Direction" if image.direction else "VTK",
            voxel_size=size,
            voxel_size_from="Spacing" if size else "",
            flipped=flipped,
            notes=("numbers at points are taken as voxels",) if array.parent == "PointData" else (),
            problem=image.problem or problem,
        )
        for array in scalars
    ]


def read_vti(stream: BinaryIO, stored: StoredArray, *, budget: ReadBudget) -> NDArray:
    """One array of a file, which must hold as much as it declares."""
    content = stream.read()
    image = _read_image(content, budget.name)
    array: _Array = stored.source
    count, size = prod(array.shape), prod(array.shape) * array.dtype.itemsize
    budget.inflate(size)
    where = f"{budget.name}: array {array.name!r}"
    if array.encoding == "ascii":
        begin, end = array.text
        if end - begin > _NUMBER_LENGTH * count + _SLACK:
            raise InputError(
                f"{where}: expected {count} numbers for shape {array.shape}, got text of {end - begin} bytes"
            )
        lines = content[begin:end].translate(_ONE_PER_LINE).strip()
        try:
            flat = np.loadtxt(BytesIO(lines), comments=None, ndmin=1) if lines else np.empty(0)
        except ValueError as error:
            raise InputError(f"{where}: expected numbers, got other text") from error
    else:
        if array.encoding == "appended":
            if image.appended is None:
                raise InputError(f"{where}: expected appended data, got a file without any")
            source, encoded = memoryview(content)[image.appended + array.offset :], image.appended_base64
        else:
            source, encoded = memoryview(content)[slice(*array.text)], True
        if encoded:
            source = memoryview(bytes(source[: 4 * size + _SLACK]).strip())
        data = _Blocks(source, encoded, image.header, where).read(size, compressed=image.compressed)
        flat = np.frombuffer(data, dtype=array.dtype.newbyteorder(">" if image.big_endian else "<"))
    if len(flat) != count:
        raise InputError(f"{where}: expected {count} numbers for shape {array.shape}, got {len(flat)}")
    return np.ascontiguousarray(flat.reshape(array.shape, order="F"))


def _read_image(content: bytes, name: str) -> _Image:
    marker = _APPENDED.search(content)
    head = content if marker is None else content[: marker.start()]
    parser = _HeaderParser(name)
    if marker is not None:
        parser.image.appended = marker.end()
        parser.image.appended_base64 = b'"raw"' not in marker.group() and b"'raw'" not in marker.group()
    parser.feed(head, whole=marker is None)
    return parser.image


class _HeaderParser:
    """Reads the tags of a file and refuses what they should not contain."""

    def __init__(self, name: str) -> None:
        self.image = _Image()
        self._name = name
        self._extent: list[int] = []
        self._path: list[str] = []
        self._open: dict[str, str] | None = None
        self._begin: int | None = None
        self._text = (0, 0)
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, head: bytes, *, whole: bool) -> None:
        try:
            self._parser.Parse(head, whole)
        except expat.ExpatError as error:
            raise InputError(
                f"{self._name}: expected VTK image data (.vti), got damaged XML: {error}"
            ) from error
        if not self._extent:
            raise InputError(f"{self._name}: expected VTK image data (.vti) with one piece, got none")

    def _fail(self, expected: str, got: str) -> NoReturn:
        raise InputError(f"{self._name}: expected {expected}, got {got[:60]!r}")

    def _refuse_doctype(self, *declaration: object) -> None:
        raise InputError(f"{self._name}: expected VTK image data (.vti), got XML with a document type")

    def _begin_text(self, text: str) -> None:
        """Note where the content of an array begins, and listen to no more of it."""
        self._begin = self._parser.CurrentByteIndex
        self._parser.CharacterDataHandler = None

    def _end_text(self) -> None:
        """The content of an array is the longest text in it: other tags may stand before or behind."""
        if self._begin is not None:
            end = self._parser.CurrentByteIndex
            if end - self._begin > self._text[1] - self._text[0]:
                self._text = (self._begin, end)
            self._begin = None
        self._parser.CharacterDataHandler = self._begin_text if self._open is not None else None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._end_text()
        if not self._path and tag != "VTKFile":
            self._fail("VTK image data (.vti)", f"<{tag}>")
        if len(self._path) >= _MAX_DEPTH:
            self._fail("VTK image data (.vti)", "tags within tags within tags")
        parent = self._path[-1] if self._path else ""
        self._path.append(tag)
        if tag == "VTKFile":
            self._read_file(attributes)
        elif tag == "ImageData":
            self._read_grid(attributes)
        elif tag == "Piece":
            self._read_piece(attributes)
        elif tag == "DataArray" and parent in ("CellData", "PointData"):
            self._open, self._text = attributes | {"": parent}, (0, 0)
            self._end_text()

    def _end(self, tag: str) -> None:
        self._end_text()
        self._path.pop()
        if tag == "DataArray" and self._open is not None:
            self._read_array(self._open)
            self._open = None

    def _read_file(self, attributes: dict[str, str]) -> None:
        kind = attributes.get("type", "")
        if kind != "ImageData":
            self._fail("VTK image data (.vti)", f"VTK file of type {kind}")
        self.image.big_endian = attributes.get("byte_order") == "BigEndian"
        header = attributes.get("header_type", "UInt32")
        if header not in ("UInt32", "UInt64"):
            self._fail("a header type of UInt32 or UInt64", header)
        self.image.header = _TYPES[header].newbyteorder(">" if self.image.big_endian else "<")
        compressor = attributes.get("compressor", "")
        if compressor not in ("", _ZLIB):
            self._fail("arrays that are not compressed, or by zlib", compressor)
        self.image.compressed = bool(compressor)

    def _read_grid(self, attributes: dict[str, str]) -> None:
        for name, count in (("Spacing", 3), ("Direction", 9)):
            words = attributes.get(name, "").split()
            if not words:
                continue
            try:
                numbers = [float(word) for word in words]
            except ValueError:
                numbers = []
            if len(numbers) != count or not all(isfinite(number) for number in numbers):
                self.image.problem = f"expected {count} numbers for {name}, got {' '.join(words)[:60]!r}"
            elif name == "Spacing":
                self.image.spacing = (numbers[0], numbers[1], numbers[2])
            else:
                self.image.direction = tuple(numbers)

    def _read_piece(self, attributes: dict[str, str]) -> None:
        if self._extent:
            self._fail("one piece", "several")
        words = attributes.get("Extent", "").split()
        if len(words) != 6 or not all(re.fullmatch(r"-?\d{1,9}", word) for word in words):
            self._fail("an extent of six integers", " ".join(words))
        self._extent = [int(high) - int(low) for low, high in zip(words[::2], words[1::2], strict=True)]
        if min(self._extent) < 0:
            self._fail("an extent that ascends", " ".join(words))

    def _read_array(self, attributes: dict[str, str]) -> None:
        if len(self.image.arrays) >= _MAX_ARRAYS:
            self._fail(f"at most {_MAX_ARRAYS} arrays", "more")
        name, encoding = attributes.get("Name", "unnamed"), attributes.get("format", "ascii")
        components, offset = attributes.get("NumberOfComponents", "1"), attributes.get("offset", "0")
        if encoding not in ("ascii", "binary", "appended"):
            self._fail("an array as ascii, binary or appended", encoding)
        if not re.fullmatch(r"\d{1,9}", components) or not re.fullmatch(r"\d{1,12}", offset):
            self._fail("components and an offset that are integers", f"{components}, {offset}")
        if attributes.get("type") not in _TYPES or not self._extent:
            return  # text, bits: nothing that is a voxel field
        points = 1 if attributes[""] == "PointData" else 0
        x, y, z = (length + points for length in self._extent)
        self.image.arrays.append(
            _Array(
                name=name,
                parent=attributes[""],
                shape=(x, y, z),
                dtype=_TYPES[attributes["type"]],
                components=int(components),
                encoding=encoding,
                text=self._text,
                offset=int(offset),
            )
        )


class _Blocks:
    """The bytes of an array, plain or base64, behind their lengths."""

    def __init__(self, source: memoryview, encoded: bool, header: np.dtype, where: str) -> None:
        self._source, self._encoded, self._header, self._where = source, encoded, header, where

    def read(self, size: int, *, compressed: bool) -> bytes:
        """The data, which must be `size` bytes."""
        width = self._header.itemsize
        if not compressed:
            (length,) = np.frombuffer(self._take(0, width), self._header)
            self._check(int(length), size)
            letters = 4 * -(-width // 3)
            if self._encoded and b"=" in bytes(self._source[:letters]):  # the length is encoded apart
                return self._take(letters, size)
            return self._take(0, width + size)[width:]
        count, block, last = (int(n) for n in np.frombuffer(self._take(0, 3 * width), self._header))
        if count * block > size + block or block > size + 2**20:
            self._check(count * block, size)
        if count > len(self._source) // _BLOCK_LENGTH or (count and not block):
            raise InputError(f"{self._where}: expected blocks of data, got {count} blocks of {block} bytes")
        self._check((count - 1) * block + last if last else count * block, size)
        head = (3 + count) * width
        lengths = np.frombuffer(self._take(0, head), self._header)[3:].tolist()
        start = 4 * -(-head // 3) if self._encoded else head
        data = self._take(start, sum(lengths))
        parts, begin = [], 0
        for i, length in enumerate(lengths):
            expected = last if last and i == count - 1 else block
            engine = zlib.decompressobj()
            try:
                part = engine.decompress(data[begin : begin + length], expected + 1)
            except zlib.error as error:
                raise InputError(f"{self._where}: expected zlib-compressed data, got damaged data") from error
            self._check(len(part), expected)
            parts.append(part)
            begin += length
        return b"".join(parts)

    def _take(self, start: int, size: int) -> bytes:
        """`size` bytes of data, from those that begin at `start` in the source."""
        length = 4 * -(-size // 3) if self._encoded else size
        piece = bytes(self._source[start : start + length])
        if self._encoded:
            try:
                piece = base64.b64decode(piece, validate=True)
            except binascii.Error as error:
                raise InputError(f"{self._where}: expected base64, got other text") from error
        if len(piece) < size:
            raise InputError(f"{self._where}: expected {size} bytes, got {len(piece)} (file truncated)")
        return piece[:size]

    def _check(self, got: int, expected: int) -> None:
        if got != expected:
            raise InputError(f"{self._where}: expected {expected} bytes of data, got {got}")
