"""Examples of the first visit: each asks for what it says; every page has its help."""

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.common.first_visit import EXAMPLES, HELP, Example
from pages.parts.common.requests.request import Request
from pages.parts.common.requests.request_link import read_link
from pages.parts.common.sessions import state
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.targets import check_possible

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(modes_checkpoint_path: Path) -> Checkpoint:
    """The tiny checkpoint with modes."""
    return load_checkpoint(modes_checkpoint_path)


@pytest.mark.parametrize("example", [item for item in EXAMPLES if item.link], ids=lambda item: item.title)
def test_an_example_is_a_request_that_can_be_had(example: Example, model: Checkpoint) -> None:
    request, notices = read_link(parse_qs(example.link), model)
    assert not notices and request is not None and request.targets is not None
    assert len(request.targets) == example.link.count("target=")
    check_possible(request.targets, request.pair)


def test_every_page_has_its_help() -> None:
    assert set(HELP) == {f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")}


def current(app: AppTest) -> Request:
    """What the session asks for."""
    return app.session_state[state.REQUESTS][app.session_state[state.REQUEST_PLACE]]


def test_an_example_is_taken_by_a_click(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.session_state[state.FIRST_STEPS] = True
    app.run()
    app.button("example-Glass/epoxy bracket").click().run()
    assert not app.exception
    request = current(app)
    assert request.pair.stiff.name == "E-glass" and request.constraints.connected == {"stiff": "xyz"}
    assert not app.session_state[state.FIRST_STEPS]
    app.session_state[state.FIRST_STEPS] = True
    app.run()
    app.button("example-CT scan").click().run()
    assert not app.exception and app.title[0].value.startswith("Stiffness of")
