"""Voxel fields as VTK image data (.vti), for ParaView and DAMASK."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_vti"]

_TYPES = {
    **{np.dtype(f"i{size}"): f"Int{8 * size}" for size in (1, 2, 4, 8)},
    **{np.dtype(f"u{size}"): f"UInt{8 * size}" for size in (1, 2, 4, 8)},
    np.dtype("f4"): "Float32",
    np.dtype("f8"): "Float64",
}
_ZLIB = "vtkZLibDataCompressor"


def write_vti(
    path: Path,
    arrays: Mapping[str, NDArray],
    *,
    voxel_size: float = 1.0,
    comments: str = "",
) -> None:
    """Write fields of one number per voxel as cell data, in base64 and compressed.

    The data of an array has a line of its own: the reader of DAMASK_grid goes by lines.

    Args:
        path: File to create or replace.
        arrays: Fields by name, all of the same shape (X, Y, Z).
        voxel_size: Edge of a voxel, in the unit of the coordinates of the file.
        comments: Text that goes into the file as field data, as DAMASK does it.
    """
    shape = next(iter(arrays.values())).shape
    extent = " ".join(f"0 {length}" for length in shape)
    spacing = " ".join([f"{voxel_size:.17g}"] * 3)
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
            f'<DataArray type="{_TYPES[np.asarray(values).dtype]}" Name="{name}" format="binary">\n'
            f"{_compressed(data.tobytes())}\n</DataArray>"
        )
    lines += ["</CellData>", "</Piece>", "</ImageData>", "</VTKFile>", ""]
    path.write_text("\n".join(lines), encoding="ascii")


def _compressed(data: bytes, block: int = 2**15) -> str:
    """Blocks of deflated data behind their lengths, both in base64, as VTK writes them."""
    parts = [zlib.compress(data[start : start + block]) for start in range(0, len(data), block)]
    head = np.array([len(parts), block, len(data) % block, *map(len, parts)], dtype="<u4")
    return base64.b64encode(head.tobytes()).decode() + base64.b64encode(b"".join(parts)).decode()
