"""Sessions that the Compare page saves and loads."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from comparing import button, gallery, item, opened, session_file, shortlist, table
from dashboard import STIFFNESS
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions import state
from pages.parts.common.sessions.session_file import Session, read_session, write_session
from pages.parts.compare.export_panel import item_provenance
from vaereg.targets import parse


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
    assert gallery(app)["panels"][0]["columns"][1] == "from file"
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
    assert gallery(app)["panels"][0]["columns"][1] == "solver"
    assert "Source" not in table(app, "C11 solver [GPa]")


def test_a_session_file_keeps_what_the_page_needs() -> None:
    _, content, _ = session_file(item(0, solved=True), C11=60.0)
    (result,) = read_session(BytesIO(content), name="a").items
    assert (result.tolerance, result.wanted) == (1e-3, parse("C11=60"))
