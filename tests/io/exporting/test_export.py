"""Every exported file, read back by the library that its users would read it with."""

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
import tifffile
import trimesh
from stiffnesses import PAIR

from vaereg.io.exporting.export import FORMATS, BundleItem, Provenance, bundle, describe_surface, export
from vaereg.io.exporting.meshes import closed_surface, enclosed_volume
from vaereg.io.importing import AutomaticChoices, import_volume, read_volumes


def test_numpy(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "npy", tmp_path / "a.npy")
    result = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, volume)


def test_tiff_is_a_stack_of_imagej(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "tif", tmp_path / "a.tif", voxel_size=0.25)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "ZYX" and file.imagej_metadata is not None
        assert file.imagej_metadata["spacing"] == 0.25
        np.testing.assert_array_equal(file.asarray(), 255 * volume.transpose(2, 1, 0))
    imported = import_volume(tmp_path / "a.tif", AutomaticChoices())
    np.testing.assert_array_equal(imported.volume, volume)
    np.testing.assert_allclose(imported.voxel_size, 0.25)


@pytest.mark.parametrize(("format", "field"), [("vti", "phase"), ("damask", "material")])
def test_image_data(format: str, field: str, volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, format, tmp_path / "a.vti", voxel_size=0.25, provenance=Provenance(name="é"))
    mesh = pv.read(tmp_path / "a.vti")
    assert mesh.dimensions == tuple(length + 1 for length in volume.shape)
    assert mesh.spacing == (0.25, 0.25, 0.25)
    np.testing.assert_array_equal(mesh.cell_data[field].reshape(volume.shape, order="F"), volume)
    centre = mesh.cell_centers().points[np.flatnonzero(mesh.cell_data[field])[0]]
    assert volume[tuple(int(length) for length in centre // 0.25)] == 1
    if format == "damask":
        assert mesh.cell_data[field].dtype == np.int32
        assert "periodic two-phase cell 5 x 4 x 3" in mesh.field_data["comments"][0]
    lines = (tmp_path / "a.vti").read_text(encoding="ascii").splitlines()
    place = next(i for i, line in enumerate(lines) if f'Name="{field}"' in line)
    # DAMASK_grid goes by lines: base64 in the line behind the tag, whatever the compressed length
    assert lines[place].endswith(">") and re.fullmatch(r"[A-Za-z0-9+/=]+", lines[place + 1])
    assert lines[place + 2] == "</DataArray>"


def test_the_surface_is_compared_with_the_voxels(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "stl", tmp_path / "a.stl")
    mesh = trimesh.load(tmp_path / "a.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert enclosed_volume(closed_surface(volume)) == pytest.approx(mesh.volume, rel=1e-6)
    assert describe_surface(volume).startswith(
        f"the surface encloses {mesh.volume:.1f} voxels, the stiff phase has {volume.sum()}: -"
    )


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.95, 1.0])
def test_the_surface_is_closed_whatever_the_volume(
    fraction: float, tmp_path: Path, rng: np.random.Generator
) -> None:
    volume = (rng.random((9, 8, 7)) < fraction).astype(np.uint8)
    export(volume, PAIR, "stl", tmp_path / "a.stl", voxel_size=2.0)
    mesh = trimesh.load(tmp_path / "a.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0.0
    assert (mesh.bounds[0] >= 0.0).all()
    assert (mesh.bounds[1] <= 2.0 * np.array(volume.shape)).all()


def test_the_surface_encloses_the_stiff_phase(tmp_path: Path) -> None:
    """A ball: the volume is that of the voxels but for the corners that are cut."""
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij")) - 11.5
    ball = (np.square(grid).sum(0) < 9.0**2).astype(np.uint8)
    export(ball, PAIR, "stl", tmp_path / "ball.stl")
    mesh = trimesh.load(tmp_path / "ball.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.volume == pytest.approx(float(ball.sum()), rel=0.03)
    np.testing.assert_allclose(mesh.center_mass, 12.0, atol=0.05)
    assert mesh.euler_number == 2
    assert len(closed_surface(np.zeros((3, 3, 3), np.uint8))) == 0


def test_bundle(volume: np.ndarray, provenance: Provenance, tmp_path: Path) -> None:
    hostile = Provenance(name="=cmd|'/c calc'!../../evil\n")
    items = [
        BundleItem(volume=volume, provenance=provenance),
        BundleItem(volume=1 - volume, provenance=hostile),
    ]
    bundle(tmp_path / "all.zip", items, PAIR)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert not [name for name in names if ".." in name or name.startswith("/") or "\n" in name]
        content = json.loads(archive.read("manifest.json"))
        for design, item in zip(content["designs"], items, strict=True):
            assert len(design["files"]) == len(FORMATS) + 8  # FANS takes two, DAMASK eight
            assert set(design["files"]) <= set(names)
            (npy,) = [name for name in design["files"] if name.endswith(".npy")]
            (tmp_path / "back.npy").write_bytes(archive.read(npy))
            np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), item.volume)
        rows = list(csv.DictReader(archive.read("properties.csv").decode().splitlines()))
    assert len(rows) == 2
    assert rows[1]["name"].startswith("'=")
    bundle(tmp_path / "one.zip", items[:1], PAIR, formats=["stl", "npy"])
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == 4
    with pytest.raises(ValueError, match="at least one volume"):
        bundle(tmp_path / "none.zip", [], PAIR)


@pytest.mark.parametrize("format", ["npy", "vti", "damask", "tif"])
def test_exported_volumes_are_read_again(format: str, volume: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / f"a{FORMATS[format].suffix}"
    export(volume, PAIR, format, path)
    if format == "tif":
        with pytest.raises(ValueError, match="0 and 1 only, got other values as well: 255"):
            read_volumes(path)
        np.testing.assert_array_equal(import_volume(path, AutomaticChoices()).volume, volume)
        return
    np.testing.assert_array_equal(read_volumes(path, cubic=False), volume[None])


@pytest.mark.parametrize(
    ("array", "format", "size", "message"),
    [
        (np.zeros((2, 2, 2)), "pdf", 1.0, "format of npy, .*got 'pdf'"),
        (np.zeros((2, 2)), "npy", 1.0, r"shape \(X, Y, Z\)"),
        (np.full((2, 2, 2), 5), "vti", 1.0, "0 and 1"),
        (np.ones((2, 2, 2)), "vti", 0.0, "positive voxel size, got 0.0"),
        (np.zeros((2, 2, 2)), "stl", 1.0, "stiff voxels for a surface"),
    ],
)
def test_what_cannot_be_exported(
    array: np.ndarray, format: str, size: float, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        export(array, PAIR, format, tmp_path / "a", voxel_size=size)
    assert not list(tmp_path.iterdir())
