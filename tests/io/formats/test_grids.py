"""Grids of VTK and scans of SimpleITK: direction, cells and points."""

from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from reading import PAGES, VOLUME, assert_read, taken

from vaereg.errors import InputError
from vaereg.io.importing import import_volume


@pytest.mark.parametrize(
    ("direction", "volume"),
    [
        ((0, 0, 1, 1, 0, 0, 0, 1, 0), VOLUME.transpose(2, 0, 1)),
        ((-1, 0, 0, 0, 1, 0, 0, 0, -1), VOLUME[::-1, :, ::-1]),
    ],
)
def test_direction_of_a_grid(direction: tuple[int, ...], volume: np.ndarray, tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape], spacing=(1.0, 2.0, 3.0))
    image.direction_matrix = np.reshape(direction, (3, 3)).astype(float)
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.save(tmp_path / "a.vti")
    imported = assert_read(tmp_path / "a.vti", volume)
    # VTK's own places of the centres of the cells say the same
    centres = image.cell_centers().points
    places = np.round((centres - centres.min(axis=0)) / imported.voxel_size).astype(int)
    assert (imported.volume[tuple(places.T)] == image.cell_data["phase"]).all()


def test_a_turned_grid_is_refused(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    c, s = np.cos(0.3), np.sin(0.3)
    image.direction_matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.save(tmp_path / "a.vti")
    with pytest.raises(InputError, match="grid along x, y and z, got the direction matrix"):
        taken(tmp_path / "a.vti")


def test_cells_and_points_of_one_name(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.point_data["phase"] = np.arange(image.n_points) % 2
    image.save(tmp_path / "a.vti")
    with pytest.raises(InputError, match=r"CellData/phase \(6, 5, 4\)"):
        taken(tmp_path / "a.vti")
    assert_read(tmp_path / "a.vti", dataset="CellData/phase")
    assert taken(tmp_path / "a.vti", dataset="PointData/phase").volume.shape == (7, 6, 5)


def test_legacy_vtk(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape], spacing=(1.0, 2.0, 3.0))
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    for binary in (True, False):
        image.save(tmp_path / "a.vtk", binary=binary)
        assert assert_read(tmp_path / "a.vtk").voxel_size == (1.0, 2.0, 3.0)
    pv.Sphere().save(tmp_path / "b.vtk")
    with pytest.raises(InputError, match="expected structured points"):
        taken(tmp_path / "b.vtk")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_scans_of_simpleitk(name: str, compressed: bool, tmp_path: Path) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(PAGES))
    image.SetSpacing((0.5, 0.5, 1.5))
    sitk.WriteImage(image, tmp_path / name, useCompression=compressed)
    imported = assert_read(tmp_path / name)
    assert imported.voxel_size == (0.5, 0.5, 1.5)
    if name == "a.mhd":
        with pytest.raises(InputError, match="leads to another file"):
            import_volume((tmp_path / name).read_bytes(), name=name)
        text = (tmp_path / name).read_text().replace("ElementDataFile = ", "ElementDataFile = ../")
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="a file of the same folder"):
            taken(tmp_path / name)


def test_an_nrrd_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: /etc/passwd\n\n"
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(InputError, match="one that leads to another"):
        taken(tmp_path / "a.nrrd")
