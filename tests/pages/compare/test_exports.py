"""What the Compare page exports."""

import csv
import json
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
import pyvista as pv
import tifffile
import trimesh
from comparing import item, opened
from dashboard import STIFFNESS
from streamlit.testing.v1 import AppTest

from pages.parts.compare.export_panel import export_file
from vaereg.io.designs import read_designs
from vaereg.io.exporting.export import FORMATS
from vaereg.materials import TwoPhase


def test_exports_offer_what_the_volumes_allow(app: AppTest) -> None:
    opened(app, item(0), replace(item(1), volume=np.ones((4, 4, 4), np.uint8)))
    (formats,) = [entry for entry in app.pills if entry.label == "Formats"]
    assert len(formats.options) == len(FORMATS) - 2
    (what,) = [entry for entry in app.selectbox if entry.label == "What"]
    what.set_value(what.options[1]).run()
    (formats,) = [entry for entry in app.pills if entry.label == "Formats"]
    assert len(formats.options) == len(FORMATS)
    formats.set_value([]).run()
    assert not app.exception and "at least one format" in app.info[-1].value


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_file_is_what_was_asked_for(format: str, tmp_path: Path) -> None:
    entry = item(0, solved=True)
    _, name, _, write = export_file([entry], [format], TwoPhase(), 0.5)
    (tmp_path / name).write_bytes(write())
    if format == "fans":
        with zipfile.ZipFile(tmp_path / name) as archive:
            (grid,) = [file for file in archive.namelist() if file.endswith(".h5")]
            settings = json.loads(archive.read(grid.replace(".h5", ".json")))
            with h5py.File(BytesIO(archive.read(grid))) as file:
                result = file[settings["microstructure"]["datasetname"]]
                np.testing.assert_array_equal(np.asarray(result), entry.volume)
    elif format == "npy":
        np.testing.assert_array_equal(np.load(tmp_path / name), entry.volume)
    elif format == "stl":
        mesh = trimesh.load(tmp_path / name)
        assert isinstance(mesh, trimesh.Trimesh) and mesh.is_watertight
    elif format == "abaqus":
        assert len(meshio.read(tmp_path / name).cells[0].data) == entry.volume.size
    elif format == "html":
        assert entry.name in (tmp_path / name).read_text(encoding="utf-8")
    elif format == "h5":
        np.testing.assert_array_equal(read_designs(tmp_path / name).microstructures[0], entry.volume)
    elif format == "json":
        solver = json.loads((tmp_path / name).read_text())["solver"]
        assert (solver["tolerance"], solver["dtype"]) == (1e-3, "float32")
    elif format == "csv":
        (row,) = csv.DictReader((tmp_path / name).read_text().splitlines())
        assert float(row["C11 solver [GPa]"]) == pytest.approx(STIFFNESS[0, 0])
    elif format == "tif":
        pages = tifffile.imread(tmp_path / name)  # a page per z
        np.testing.assert_array_equal(np.transpose(pages, (2, 1, 0)), 255 * entry.volume)
    elif format == "damask":
        with zipfile.ZipFile(tmp_path / name) as archive:
            (grid,) = [file for file in archive.namelist() if file.endswith(".vti")]
            archive.extract(grid, tmp_path)
        (cells,) = pv.read(tmp_path / grid).cell_data.values()
        np.testing.assert_array_equal(cells.reshape(entry.volume.shape, order="F"), entry.volume)
    else:
        (cells,) = pv.read(tmp_path / name).cell_data.values()
        np.testing.assert_array_equal(cells.reshape(entry.volume.shape, order="F"), entry.volume)


def test_all_are_exported_as_a_zip_with_a_manifest() -> None:
    items = [item(0, solved=True), item(1, predicted=False)]
    label, name, mime, write = export_file(items, ["npy", "h5"], TwoPhase(), 1.0)
    assert (label, name, mime) == ("Download 2 designs as a zip", "vaereg-designs.zip", "application/zip")
    with zipfile.ZipFile(BytesIO(write())) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert [entry["name"] for entry in manifest["designs"]] == ["design 0", "design 1"]
        assert manifest["designs"][0]["solver"]["tolerance"] == 1e-3
        assert manifest["designs"][1]["predicted"] is None
        for design in manifest["designs"]:
            assert sorted(Path(file).suffix for file in design["files"]) == [".h5", ".npy"]
