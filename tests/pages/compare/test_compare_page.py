"""The Compare page, empty and filled, with a tiny checkpoint: tables, solver, names."""

import json
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from comparing import button, gallery, item, opened, shortlist, show, table
from dashboard import STIFFNESS, galleries
from streamlit.testing.v1 import AppTest

from pages.parts.common.views import scene

VIEWS = (
    "Stiffness",
    "Engineering constants",
    "Directional stiffness",
    "Statistics",
    "Parallel coordinates",
)


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
    assert shown["panels"][1]["columns"] == ["predicted", "solver", "off"]
    lines = [panel["lines"][0] for panel in shown["panels"]]
    assert [line["label"] for line in lines] == ["C11 GPa"] * 3
    assert [line["values"][:2] for line in lines] == [["61.2", "60.0"], ["61.2", "–"], ["–", "60.0"]]
    assert [line["values"][2] for line in lines] == ["0 %", "+2.0 %", "0 %"]
    solver, predicted = table(app, "C66 solver [GPa]"), table(app, "C66 ± std [GPa]")
    np.testing.assert_allclose(solver["C11 solver [GPa]"], [STIFFNESS[0, 0], np.nan, STIFFNESS[0, 0]])
    np.testing.assert_allclose(predicted["C22 predicted [GPa]"][:2], 1.02 * STIFFNESS[1, 1])
    assert predicted["C22 predicted [GPa]"].isna().tolist() == [False, False, True]
    (matrices,) = [entry.proto.body for entry in app.get("html") if "matrices" in entry.proto.body]  # type: ignore[attr-defined]
    assert matrices.count("<table>") == 2 and "No solver values yet" in matrices
    constants = table(show(app, "Engineering constants"), "Ex [GPa]")
    assert list(constants["Design"]) == ["A · design 0", "C · design 2"]
    assert "not known of B" in next(entry.value for entry in app.info)
    np.testing.assert_allclose(constants["Ey [GPa]"], constants["Ez [GPa]"])
    assert (constants["Universal anisotropy [-]"] > 0).all() and "νxy [-]" in constants.columns
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
