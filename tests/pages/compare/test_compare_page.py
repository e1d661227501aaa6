"""The Compare page, empty and filled, with a tiny checkpoint: tables, solver, names, exports, sessions."""

import csv
import json
import sys
import threading
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import meshio
import numpy as np
import plotly.graph_objects as go
import pytest
import pyvista as pv
import streamlit as st
import tifffile
import trimesh
from dashboard import STIFFNESS, galleries
from streamlit.testing.v1 import AppTest

from pages.parts.common import scene, state
from pages.parts.common.session_file import Session, read_session, write_session
from pages.parts.common.shortlist import MAX_ITEMS, ShortlistItem, add_item
from pages.parts.compare import tables
from pages.parts.compare.export_panel import export_file, item_provenance
from pages.parts.compare.figures import (
    item_line,
    parallel_figure,
    section_figure,
    statistics_figure,
    surfaces_figure,
)
from pages.parts.compare.tables import Compared, compare
from vaereg.elasticity import PROPERTIES, isotropic_stiffness
from vaereg.generators.families import gaussian_field
from vaereg.generators.shapes import laminate
from vaereg.io.designs import read_designs
from vaereg.io.exporting.export import FORMATS
from vaereg.materials import TwoPhase
from vaereg.microstructure.morphology import measure

VIEWS = (
    "Stiffness",
    "Engineering constants",
    "Directional stiffness",
    "Statistics",
    "Parallel coordinates",
)


def item(seed: int, *, name: str = "", solved: bool = False, predicted: bool = True) -> ShortlistItem:
    """A volume of which the solver's values, or the predicted ones, are known or not."""
    volume = gaussian_field(16, (2.0, 2.0, 3.0), 0.4, generator=np.random.default_rng(seed))
    return ShortlistItem(
        name=name or f"design {seed}",
        volume=volume,
        origin="test",
        targets={"C11": 60.0},
        mean=np.diag(STIFFNESS) * 1.02 if predicted else None,
        std=np.full(6, 2.0) if predicted else None,
        stiffness=STIFFNESS if solved else None,
        tolerance=1e-3 if solved else None,
        seed=seed,
    )


def opened(app: AppTest, *items: ShortlistItem) -> AppTest:
    """The page with a shortlist."""
    app.run()
    app.session_state["shortlist"] = list(items)
    app.switch_page("pages/compare.py").run()
    assert not app.exception
    return app


def shortlist(app: AppTest) -> list[ShortlistItem]:
    return app.session_state["shortlist"]


def gallery(app: AppTest) -> dict[str, Any]:
    (shown,) = galleries(app)
    return shown


def button(app: AppTest, label: str) -> Any:  # noqa: ANN401
    (result,) = [entry for entry in app.button if entry.label == label]
    return result


def show(app: AppTest, view: str) -> AppTest:
    app.session_state["compare-tabs"] = view
    app.run()
    assert not app.exception
    return app


def table(app: AppTest, column: str) -> Any:  # noqa: ANN401
    (result,) = [entry.value for entry in app.dataframe if column in entry.value.columns]
    return result


def test_an_empty_shortlist_says_what_to_do(app: AppTest) -> None:
    app.run().switch_page("pages/compare.py").run()
    assert not app.exception
    assert "shortlist is empty" in app.info[0].value
    links = [entry.proto.label for entry in app.get("page_link")]  # type: ignore[attr-defined]
    assert links == ["Find designs for a target", "Predict a volume of your own"]
    assert [entry.label for entry in app.file_uploader] == ["Load a session"]
    assert not app.dataframe and not galleries(app)


def test_designs_stand_side_by_side(app: AppTest) -> None:
    opened(app, item(0, solved=True), item(1), item(2, solved=True, predicted=False))
    shown = gallery(app)
    assert [panel["title"] for panel in shown["panels"]] == [
        "A · design 0",
        "B · design 1",
        "C · design 2",
    ]
    assert [line["label"] for line in shown["panels"][1]["lines"]] == ["predicted", "± std", "solver"]
    assert shown["panels"][1]["lines"][2]["values"] == ["–"] * 3
    assert shown["panels"][2]["lines"][0]["values"] == ["–"] * 3
    solver, predicted = table(app, "C66 solver [GPa]"), table(app, "C66 ± std [GPa]")
    np.testing.assert_allclose(solver["C11 solver [GPa]"], [STIFFNESS[0, 0], np.nan, STIFFNESS[0, 0]])
    np.testing.assert_allclose(predicted["C22 predicted [GPa]"][:2], 1.02 * STIFFNESS[1, 1])
    assert predicted["C22 predicted [GPa]"].isna().tolist() == [False, False, True]
    (matrices,) = [entry.proto.body for entry in app.get("html") if "matrices" in entry.proto.body]  # type: ignore[attr-defined]
    assert matrices.count("<table>") == 2 and "No solver values yet" in matrices
    constants = table(show(app, "Engineering constants"), "E_x [GPa]")
    assert list(constants["Design"]) == ["A · design 0", "C · design 2"]
    assert "not known of B" in next(entry.value for entry in app.info)
    np.testing.assert_allclose(constants["E_y [GPa]"], constants["E_z [GPa]"])
    assert (constants["Universal anisotropy [-]"] > 0).all() and "ν_xy [-]" in constants.columns
    statistics = table(show(app, "Statistics"), "Specific surface [1/voxel]")
    assert statistics["Volume fraction [-]"].between(0.39, 0.41).all()


@pytest.mark.parametrize("kind", ["unknown", "predicted", "solved", "one phase"])
def test_every_view_of_every_kind_of_item(app: AppTest, kind: str) -> None:
    entry = item(0, solved=kind == "solved", predicted=kind in ("predicted", "solved"))
    if kind == "one phase":
        entry = replace(entry, volume=np.ones((4, 5, 6), np.uint8))
    opened(app, entry)
    for view in VIEWS:
        show(app, view)
        assert gallery(app)["panels"][0]["title"] == "A · design 0"


def test_the_solver_is_asked_for_what_is_missing(app: AppTest, gate: threading.Event) -> None:
    gate.clear()
    opened(app, item(0, solved=True), item(1), item(2))
    progress = next(entry for entry in app.metric if entry.label == "Solver check")
    assert progress.value == "1/3"
    button(app, "Solve all").click().run()
    assert not app.exception
    button(app, "Cancel").click().run()
    button(app, "Solve all").click().run()
    gate.set()
    for _ in range(100):
        if all(entry.stiffness is not None for entry in shortlist(app)):
            break
        app.run()
    app.run()
    assert [entry.value for entry in app.metric if entry.label == "Solver check"] == ["3/3"]
    assert [entry.tolerance for entry in shortlist(app)] == [1e-3] * 3
    assert not [entry for entry in app.button if entry.label in ("Solve all", "Cancel")]
    np.testing.assert_allclose(table(app, "C66 solver [GPa]")["C11 solver [GPa]"], STIFFNESS[0, 0])


def test_names_are_changed_and_designs_taken_out(app: AppTest) -> None:
    opened(app, item(0), item(1))
    (name,) = [entry for entry in app.text_input if entry.label == "Name"]
    name.set_value("  stiff\nplates ").run()
    assert not app.exception
    assert [entry.name for entry in shortlist(app)] == ["stiff plates", "design 1"]
    assert gallery(app)["panels"][0]["title"] == "A · stiff plates"
    button(app, "Take out of the shortlist").click().run()
    assert [entry.name for entry in shortlist(app)] == ["design 1"]
    assert gallery(app)["panels"][0]["title"] == "A · design 1"
    button(app, "Take out of the shortlist").click().run()
    assert "shortlist is empty" in app.info[0].value


def test_a_hostile_name_is_shown_as_text(app: AppTest) -> None:
    name = "<img src=x onerror=alert(1)>![x](http://example.com/a.png) :red[y]"
    opened(app, item(0, name=name, solved=True))
    (matrices,) = [entry.proto.body for entry in app.get("html") if "matrices" in entry.proto.body]  # type: ignore[attr-defined]
    assert "<img" not in matrices
    show(app, "Directional stiffness")
    assert not [entry for entry in (*app.markdown, *app.caption) if "![" in entry.value]


def test_a_design_opens_in_pyvista(app: AppTest) -> None:
    opened(app, item(0))
    button(app, "Open in pyvista").click().run()
    assert not app.exception
    data = app.get("bidi_component")[-1].proto.json  # type: ignore[attr-defined]
    page = json.loads(data)["_html"]
    assert "vtk" in page and "Content-Security-Policy" in page and "default-src 'none'" in page


@pytest.mark.parametrize("missing", ["pyvista", "stpyvista"])
def test_a_scene_falls_back_to_plotly(app: AppTest, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    st.cache_data.clear()
    if missing == "pyvista":
        monkeypatch.setattr(scene, "_PATIENCE", 0.001)
    else:
        monkeypatch.setattr(scene, "_scene", lambda *args: "<html></html>")
        monkeypatch.setitem(sys.modules, "stpyvista", None)
    opened(app, item(0))
    button(app, "Open in pyvista").click().run()
    assert not app.exception
    assert [entry for entry in app.info if "not available here" in entry.value]
    assert len(app.get("plotly_chart")) == 1


def session_file(*items: ShortlistItem, **inputs: object) -> tuple[str, bytes, str]:
    return "mine.zip", write_session(Session(items=list(items), inputs=dict(inputs))), "application/zip"


def test_a_session_is_saved_and_loaded(app: AppTest) -> None:
    app.run()
    app.number_input(state.SEED).set_value(5).run()
    opened(app, item(0, solved=True))
    saved = [entry for entry in app.get("download_button") if entry.proto.label == "Save the session"]  # type: ignore[attr-defined]
    assert len(saved) == 1
    app.file_uploader[0].set_value(session_file(item(3), item(4), seed=9, count=7)).run()
    assert not app.exception
    assert [entry.name for entry in shortlist(app)] == ["design 3", "design 4"]
    assert "Loaded 2 designs" in app.success[0].value
    app.text_input[0].set_value("mine").run()
    assert shortlist(app)[0].name == "mine" and app.success
    app.file_uploader[0].set_value(session_file(item(3), item(4), seed=9, count=7)).run()
    assert app.text_input[0].value == "design 3"
    next(entry for entry in app.button if entry.label == "Take out of the shortlist").click().run()
    assert len(shortlist(app)) == 1 and not app.success
    app.switch_page("pages/design.py").run()
    assert app.number_input(state.SEED).value == 9
    assert app.slider(state.COUNT).value == 7


def test_a_session_is_loaded_into_an_empty_page(app: AppTest) -> None:
    app.run().switch_page("pages/compare.py").run()
    app.file_uploader[0].set_value(session_file(item(3))).run()
    assert not app.exception
    assert gallery(app)["panels"][0]["title"] == "A · design 3"


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95K\x00.", b"PK\x03\x04 no more"])
def test_what_is_no_session_keeps_the_former_one(app: AppTest, content: bytes) -> None:
    opened(app, item(0))
    app.file_uploader[0].set_value(("bad.zip", content, "application/zip")).run()
    assert not app.exception
    assert "What was here before is kept" in app.error[0].value
    assert [entry.name for entry in shortlist(app)] == ["design 0"]
    assert gallery(app)["panels"][0]["title"] == "A · design 0"


def test_a_stiffness_from_a_file_is_marked_until_it_is_solved(app: AppTest) -> None:
    """A session file may say anything: its stiffness counts as verified only once the solver has found it."""
    claimed = replace(item(0, solved=True), stiffness=2.0 * STIFFNESS, tolerance=1e-6, solves=3)
    app.run().switch_page("pages/compare.py").run()
    content = write_session(Session(items=[claimed], inputs={}))
    app.file_uploader[0].set_value(("session.zip", content, "application/zip")).run()
    assert not app.exception
    assert [metric.value for metric in app.metric if metric.label == "Solver check"] == ["0/1"]
    assert gallery(app)["panels"][0]["lines"][2]["label"] == "from file"
    assert list(table(app, "C11 solver [GPa]")["Source"]) == ["from file"]
    provenance = item_provenance(shortlist(app)[0])
    assert provenance.solver_tolerance is None and "from file, not verified" in provenance.origin
    button(app, "Solve all").click().run()
    for _ in range(100):
        if shortlist(app)[0].verified:
            break
        app.run()
    solved = shortlist(app)[0].stiffness
    assert solved is not None
    np.testing.assert_allclose(solved, STIFFNESS)
    assert [metric.value for metric in app.metric if metric.label == "Solver check"] == ["1/1"]
    assert gallery(app)["panels"][0]["lines"][2]["label"] == "solver"
    assert "Source" not in table(app, "C11 solver [GPa]")


def test_exports_offer_what_the_volumes_allow(app: AppTest) -> None:
    opened(app, item(0), replace(item(1), volume=np.ones((4, 4, 4), np.uint8)))
    (formats,) = [entry for entry in app.pills if entry.label == "Formats"]
    assert len(formats.options) == len(FORMATS) - 2
    (what,) = [entry for entry in app.selectbox if entry.label == "What"]
    what.set_value("A").run()
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


def traces(figure: go.Figure) -> list[Any]:
    return list(figure.data)


def compared(count: int) -> list[Compared]:
    items: list[ShortlistItem] = []
    for seed in range(count):
        items = add_item(items, item(seed, solved=seed % 2 == 0))
    return compare(items, lambda entry: measure(entry.volume))


def test_a_full_shortlist_has_a_letter_and_a_line_for_each() -> None:
    every = compared(MAX_ITEMS)
    assert len({entry.letter for entry in every}) == MAX_ITEMS
    assert len({tuple(item_line(i).values()) for i in range(MAX_ITEMS)}) == MAX_ITEMS
    figure = statistics_figure({entry.letter: entry.statistics for entry in every})
    assert len(traces(figure)) == 9 * MAX_ITEMS


def test_parallel_coordinates_hold_every_figure() -> None:
    every = compared(3)
    axes = tables.property_axes(every)
    assert list(axes)[:6] == [f"{name} [GPa]" for name in PROPERTIES]
    figure = parallel_figure([entry.letter for entry in every], ["solver", "file", "predicted"], axes)
    dimensions = traces(figure)[0]["dimensions"]
    assert [entry["label"] for entry in dimensions] == ["design", "source", *axes]
    for dimension in dimensions:
        low, high = dimension["range"]
        assert low < np.min(dimension["values"]) and np.max(dimension["values"]) <= high


def test_curves_of_a_laminate() -> None:
    """Layers of 4 stiff and 4 soft voxels along x: two-point correlation and paths are known."""
    figure = statistics_figure({"A": measure(laminate([4, 4], axis=0))})
    curves = [np.asarray(trace["y"]) for trace in traces(figure)]
    np.testing.assert_allclose(curves[0], [0.5, 0.375, 0.25, 0.125, 0.0], atol=1e-12)
    np.testing.assert_allclose(curves[1], 0.5)
    np.testing.assert_allclose(curves[3], [0.5, 0.375, 0.25, 0.125, 0.0], atol=1e-12)
    np.testing.assert_allclose(curves[4], 0.5)


def test_directional_figures_of_an_isotropic_material_are_round() -> None:
    stiffness = isotropic_stiffness(12.0, 0.25)
    for trace in traces(surfaces_figure({"A": stiffness, "B": 2.0 * stiffness})):
        radius = np.sqrt(sum(np.asarray(trace[axis]) ** 2 for axis in "xyz"))
        np.testing.assert_allclose(radius, np.asarray(trace["surfacecolor"]))
        np.testing.assert_allclose(radius, 12.0 if trace["scene"] == "scene" else 24.0)
    sections = traces(section_figure({1: stiffness}, ["A", "B"]))
    assert [trace["name"] for trace in sections] == ["B"] * 3
    np.testing.assert_allclose([trace["r"] for trace in sections], 12.0)


def test_a_session_file_keeps_what_the_page_needs() -> None:
    _, content, _ = session_file(item(0, solved=True), C11=60.0)
    (result,) = read_session(BytesIO(content), name="a").items
    assert (result.tolerance, result.targets) == (1e-3, {"C11": 60.0})
