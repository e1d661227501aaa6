"""VTK image data (.vti), one of the XML formats of VTK: voxel fields to and from it.

The reader is our own so that a file cannot make it do anything but read numbers: no entity, no other file, no
array that is larger than what it declares. It takes what VTK, ParaView, PyVista and DAMASK write: one piece,
arrays per cell or per point, as text, in base64 or appended, plain or zlib-compressed.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from math import prod
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

__all__ = ["VtiArray", "VtiImage", "list_vti", "read_vti", "write_vti"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class VtiArray:
    """One array of numbers of a file."""

    name: str
    shape: tuple[int, int, int]
    """Voxels, or points, along x, y, z."""
    dtype: np.dtype
    components: int
    """Numbers per voxel or point."""
    encoding: str
    """ascii, binary or appended."""
    text: tuple[int, int] = (0, 0)
    """Where the content of an inline array begins and ends [byte]."""
    offset: int = 0
    """Where an appended array begins, from the start of the appended data [byte]."""


@dataclass(slots=True)
class VtiImage:
    """What the header of a file says."""

    big_endian: bool = False
    header: np.dtype = field(default_factory=lambda: np.dtype("<u4"))
    """Type of the lengths in front of the arrays."""
    compressed: bool = False
    appended: int | None = None
    """Where the appended data begins [byte]."""
    appended_base64: bool = True
    arrays: list[VtiArray] = field(default_factory=list)


def list_vti(content: bytes, *, name: str) -> VtiImage:
    """Read the header of a file.

    Args:
        content: The whole file.
        name: What to call it in errors.

    Raises:
        ValueError: The file is no VTK image data, or of a kind that is not read.
    """
    marker = _APPENDED.search(content)
    head = content if marker is None else content[: marker.start()]
    parser = _HeaderParser(name)
    if marker is not None:
        parser.image.appended = marker.end()
        parser.image.appended_base64 = b'"raw"' not in marker.group() and b"'raw'" not in marker.group()
    parser.feed(head, whole=marker is None)
    return parser.image


def read_vti(content: bytes, image: VtiImage, array: VtiArray, *, name: str) -> NDArray:
    """Read one array of a file.

    Args:
        content: The whole file.
        image: Its header, of `list_vti`.
        array: One of its arrays, of one number per voxel.
        name: What to call the file in errors.

    Returns:
        Shape (X, Y, Z).

    Raises:
        ValueError: The array is damaged, or holds more or less than it declares.
    """
    count, size = prod(array.shape), prod(array.shape) * array.dtype.itemsize
    where = f"{name}: array {array.name!r}"
    if array.encoding == "ascii":
        lines = content[slice(*array.text)].translate(_ONE_PER_LINE).strip()
        try:
            flat = np.loadtxt(BytesIO(lines), comments=None, ndmin=1) if lines else np.empty(0)
        except ValueError as error:
            raise ValueError(f"{where}: expected numbers, got other text") from error
    else:
        if array.encoding == "appended":
            if image.appended is None:
                raise ValueError(f"{where}: expected appended data, got a file without any")
            source, encoded = memoryview(content)[image.appended + array.offset :], image.appended_base64
        else:
            source, encoded = memoryview(content)[slice(*array.text)], True
        if encoded:
            source = memoryview(bytes(source[: 4 * size + 2**16]).strip())
        data = _Blocks(source, encoded, image.header, where).read(size, compressed=image.compressed)
        flat = np.frombuffer(data, dtype=array.dtype.newbyteorder(">" if image.big_endian else "<"))
    if len(flat) != count:
        raise ValueError(f"{where}: expected {count} numbers for shape {array.shape}, got {len(flat)}")
    return np.ascontiguousarray(flat.reshape(array.shape, order="F"))


def write_vti(
    path: Path,
    arrays: Mapping[str, NDArray],
    *,
    voxel_size: float = 1.0,
    comments: str = "",
) -> None:
    """Write fields of one number per voxel as cell data, in base64 and compressed.

    Args:
        path: File to create or replace.
        arrays: Fields by name, all of the same shape (X, Y, Z).
        voxel_size: Edge of a voxel, in the unit of the coordinates of the file.
        comments: Text that goes into the file as field data, as DAMASK does it.
    """
    shape = next(iter(arrays.values())).shape
    extent = " ".join(f"0 {length}" for length in shape)
    spacing = " ".join([f"{voxel_size:.17g}"] * 3)
    names = {dtype: name for name, dtype in _TYPES.items()}
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt32" '
        f'compressor="{_ZLIB}">',
        f'<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing}">',
    ]
    if comments:
        codes = " ".join(str(code) for code in [*comments.encode("ascii", "replace"), 0])
        lines += [
            "<FieldData>",
            f'<Array type="String" Name="comments" NumberOfTuples="1" format="ascii">{codes}</Array>',
            "</FieldData>",
        ]
    lines += [f'<Piece Extent="{extent}">', f'<CellData Scalars="{next(iter(arrays))}">']
    for name, values in arrays.items():
        data = np.asarray(values).flatten(order="F")
        data = data.astype(data.dtype.newbyteorder("<"), copy=False)
        lines.append(
            f'<DataArray type="{names[np.asarray(values).dtype]}" Name="{name}" format="binary">'
            f"{_compressed(data.tobytes())}</DataArray>"
        )
    lines += ["</CellData>", "</Piece>", "</ImageData>", "</VTKFile>", ""]
    path.write_text("\n".join(lines), encoding="ascii")


def _compressed(data: bytes, block: int = 2**15) -> str:
    """Blocks of deflated data behind their lengths, both in base64, as VTK writes them."""
    parts = [zlib.compress(data[start : start + block]) for start in range(0, len(data), block)]
    head = np.array([len(parts), block, len(data) % block, *map(len, parts)], dtype="<u4")
    return base64.b64encode(head.tobytes()).decode() + base64.b64encode(b"".join(parts)).decode()


class _HeaderParser:
    """Reads the tags of a file and refuses what they should not contain."""

    def __init__(self, name: str) -> None:
        self.image = VtiImage()
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
            raise ValueError(
                f"{self._name}: expected VTK image data (.vti), got damaged XML: {error}"
            ) from error
        if not self._extent:
            raise ValueError(f"{self._name}: expected VTK image data (.vti) with one piece, got none")

    def _fail(self, expected: str, got: str) -> NoReturn:
        raise ValueError(f"{self._name}: expected {expected}, got {got[:60]!r}")

    def _refuse_doctype(self, *declaration: object) -> None:
        raise ValueError(f"{self._name}: expected VTK image data (.vti), got XML with a document type")

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
            VtiArray(
                name=name,
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
            return self._take(0, width + size)[width:]
        count, block, last = (int(n) for n in np.frombuffer(self._take(0, 3 * width), self._header))
        if count * block > size + block or block > size + 2**20:
            self._check(count * block, size)
        self._check((count - 1) * block + last if last else count * block, size)
        head = (3 + count) * width
        lengths = np.frombuffer(self._take(0, head), self._header)[3:].tolist()
        start = 4 * -(-head // 3) if self._encoded else head
        stored = self._take(start, sum(lengths))
        parts, begin = [], 0
        for i, length in enumerate(lengths):
            expected = last if last and i == count - 1 else block
            engine = zlib.decompressobj()
            try:
                part = engine.decompress(stored[begin : begin + length], expected + 1)
            except zlib.error as error:
                raise ValueError(f"{self._where}: expected zlib-compressed data, got damaged data") from error
            self._check(len(part), expected)
            parts.append(part)
            begin += length
        return b"".join(parts)

    def _take(self, start: int, size: int) -> bytes:
        """`size` bytes of data, from those that begin at `start` in the source."""
        stored = 4 * -(-size // 3) if self._encoded else size
        piece = bytes(self._source[start : start + stored])
        if self._encoded:
            try:
                piece = base64.b64decode(piece, validate=True)
            except binascii.Error as error:
                raise ValueError(f"{self._where}: expected base64, got other text") from error
        if len(piece) < size:
            raise ValueError(f"{self._where}: expected {size} bytes, got {len(piece)} (file truncated)")
        return piece[:size]

    def _check(self, got: int, expected: int) -> None:
        if got != expected:
            raise ValueError(f"{self._where}: expected {expected} bytes of data, got {got}")
