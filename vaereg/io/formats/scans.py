"""Scans in the formats of medical imaging and of older versions of VTK: .nrrd, .mha, .mhd and .vtk.

They are read by SimpleITK and VTK, the extra `scans`, in a process of its own: what crashes there, takes too
long or too much memory is refused. Files that lead to other files are refused, save an .mhd file beside its
data.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.formats.deflate import DEFLATE_RATIO
from vaereg.io.formats.grids import oriented_axes
from vaereg.io.formats.stored import ReadBudget, StoredArray, printable

__all__ = ["list_scan", "read_scan"]

_HEADER = 2**16
_TITLES = {
    ".nrrd": "NRRD file",
    ".mha": "MetaImage file",
    ".mhd": "MetaImage file",
    ".vtk": "VTK structured points",
}
_SECONDS = 60
"""Longest time of the process that reads [s]; it starts in about one."""


def list_scan(stream: BinaryIO, suffix: str, *, budget: ReadBudget) -> list[StoredArray]:
    """Arrays of a scan."""
    _check_header(stream, suffix, budget)
    with tempfile.TemporaryDirectory() as folder:
        result = _run(stream, suffix, None, Path(folder), budget)
    arrays = []
    for array in result["arrays"]:
        axes, flipped, problem = oriented_axes(array["direction"])
        edges = dict(zip(axes, array["spacing"], strict=True))
        if array["components"] != 1:
            continue
        arrays.append(
            StoredArray(
                name=printable(array["name"]),
                shape=tuple(array["shape"]),
                dtype=np.dtype(array["dtype"]),
                source=(suffix, array["name"]),
                format=_TITLES[suffix],
                axes=axes,
                axes_from="its directions" if flipped or axes != "xyz" else _TITLES[suffix],
                voxel_size=(edges["x"], edges["y"], edges["z"]),
                voxel_size_from="its spacing",
                flipped=flipped,
                problem=problem,
            )
        )
    return arrays


def read_scan(stream: BinaryIO, array: StoredArray, *, budget: ReadBudget) -> NDArray[Any]:
    """One array of a scan, shape (X, Y, Z) as stored."""
    suffix, name = array.source
    budget.inflate(math.prod(array.shape) * array.dtype.itemsize)
    with tempfile.TemporaryDirectory() as folder:
        _run(stream, suffix, name, Path(folder), budget)
        values = np.load(Path(folder) / "values.npy", allow_pickle=False)
    if values.shape != array.shape:
        raise InputError(f"{budget.name}: expected shape {array.shape} as declared, got {values.shape}")
    return values


def _run(
    stream: BinaryIO, suffix: str, array: str | None, folder: Path, budget: ReadBudget
) -> dict[str, Any]:
    """Read headers, or the numbers of an array into a file, in another process."""
    path = folder / f"scan{suffix}"
    stream.seek(0)
    path.write_bytes(stream.read())
    data = getattr(stream, "beside", None)
    if data is not None:
        (folder / data.name).symlink_to(data.resolve())
    command = [sys.executable, "-m", "vaereg.io.formats.scan_process", str(path)]
    if array is not None:
        command.append(array)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{budget.name}: expected a file that is read in {_SECONDS} s, got a longer one"
        ) from error
    if result.returncode == 3:
        raise InputError(
            f"{budget.name}: expected the packages SimpleITK and vtk for {suffix} files, got none: "
            "pip install 'vaereg[scans]'"
        )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        raise InputError(
            f"{budget.name}: expected a {_TITLES[suffix]} ({suffix}), got a damaged one: "
            f"{lines[-1].strip()[:120]}"
        )
    return json.loads(result.stdout)


def _check_header(stream: BinaryIO, suffix: str, budget: ReadBudget) -> None:
    """Refuse a header that leads to other files, or declares more than the file can hold."""
    size = stream.seek(0, 2)
    stream.seek(0)
    header = stream.read(_HEADER).decode("latin1")
    stream.seek(0)
    if suffix == ".vtk":
        header, lengths = (
            header[:4096],
            re.search(r"(?im)^DIMENSIONS\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})", header),
        )
        if not re.search(r"(?im)^DATASET\s+STRUCTURED_POINTS", header) or lengths is None:
            raise InputError(f"{budget.name}: expected structured points (.vtk), got another data set of VTK")
        voxels = math.prod(max(int(text) - 1, 1) for text in lengths.groups())
        ratio = 8  # arrays of bits
    elif suffix == ".nrrd":
        header = header.split("\n\n")[0].split("\r\n\r\n")[0]
        if re.search(r"(?im)^data ?file:", header):
            raise InputError(
                f"{budget.name}: expected an .nrrd file with its data in it, got one that leads to another"
            )
        lengths = re.search(r"(?im)^sizes:\s*([\d ]{1,200})", header)
        voxels = math.prod(int(text) for text in (lengths.group(1) if lengths else "").split())
        ratio = 1 if re.search(r"(?im)^encoding:\s*raw", header) else DEFLATE_RATIO
    else:
        lengths = re.search(r"(?im)^DimSize\s*=\s*([\d ]{1,200})", header)
        data = re.search(r"(?im)^ElementDataFile\s*=\s*(.*?)\s*$", header)
        if data is None or (data.group(1).upper() != "LOCAL" and getattr(stream, "beside", None) is None):
            raise InputError(
                f"{budget.name}: expected a MetaImage file with its data in it (.mha), got one "
                f"that leads to another "
                "file; on the command line an .mhd file and its data lie in one folder"
            )
        beside = getattr(stream, "beside", None)
        size += beside.stat().st_size if beside else 0
        voxels = math.prod(int(text) for text in (lengths.group(1) if lengths else "").split())
        ratio = DEFLATE_RATIO if re.search(r"(?im)^CompressedData\s*=\s*True", header) else 1
    if voxels > budget.limits.voxels or voxels > size * ratio:
        raise InputError(
            f"{budget.name}: expected at most {budget.limits.voxels} voxels and as many as the file holds, "
            f"got {voxels} declared in {size} bytes"
        )
