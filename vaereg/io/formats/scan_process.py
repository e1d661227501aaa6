"""Process that reads one scan by SimpleITK or VTK: headers as JSON on stdout, or an array into `values.npy`.

Called by `vaereg.io.formats.scans` alone; exit code 3 says that a package is missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

_MEMORY = 2**33
"""Most memory of the process [byte]: 512³ numbers of eight bytes, several times."""
_MISSING = 3


def main(path: Path, array: str | None) -> None:
    """Read one file, from a process that may be ended."""
    _limit_memory()
    try:
        headers, values = _read_vtk(path, array) if path.suffix == ".vtk" else _read_itk(path, array)
    except ImportError:
        sys.exit(_MISSING)
    if values is not None:
        np.save(path.parent / "values.npy", values)
    sys.stdout.write(json.dumps({"arrays": headers}))


def _read_itk(path: Path, array: str | None) -> tuple[list[dict[str, Any]], Any]:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    count = reader.GetDimension()
    if count not in (3, 4):
        sys.exit(f"expected three axes, got {count}")
    shape = list(reader.GetSize())
    if count == 4 and shape[3] != 1:
        sys.exit(f"expected one volume, got {shape[3]}")
    direction = np.reshape(reader.GetDirection(), (count, count))[:3, :3].ravel().tolist()
    blank = sitk.Image([1] * 3, reader.GetPixelID(), reader.GetNumberOfComponents())
    header = {
        "name": "",
        "shape": shape[:3],
        "dtype": str(sitk.GetArrayViewFromImage(blank).dtype),
        "components": reader.GetNumberOfComponents(),
        "spacing": list(reader.GetSpacing()[:3]),
        "direction": direction,
    }
    if array is None:
        return [header], None
    return [header], sitk.GetArrayFromImage(reader.Execute()).T.reshape(shape[:3])


def _read_vtk(path: Path, array: str | None) -> tuple[list[dict[str, Any]], Any]:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOLegacy import vtkStructuredPointsReader

    reader = vtkStructuredPointsReader()
    reader.SetFileName(str(path))
    reader.ReadAllScalarsOn()
    reader.Update()
    grid = reader.GetOutput()
    points = grid.GetDimensions()
    fields = (
        ("CellData", grid.GetCellData(), [max(length - 1, 1) for length in points]),
        ("PointData", grid.GetPointData(), list(points)),
    )
    headers: list[dict[str, Any]] = []
    values = None
    for parent, data, shape in fields:
        for place in range(data.GetNumberOfArrays()):
            data_array = data.GetArray(place)
            if data_array is None:
                continue
            numbers = vtk_to_numpy(data_array)
            name = f"{parent}/{data_array.GetName()}"
            headers.append(
                {
                    "name": name,
                    "shape": shape,
                    "dtype": str(numbers.dtype),
                    "components": data_array.GetNumberOfComponents(),
                    "spacing": list(grid.GetSpacing()),
                    "direction": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                }
            )
            if name == array and numbers.size == np.prod(shape):
                values = numbers.reshape(shape, order="F")
    if array is not None and values is None:
        sys.exit(f"no such array or too few numbers: {array}")
    return headers, values


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
