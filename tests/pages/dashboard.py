"""What the tests of pages share: the app with a tiny checkpoint, and a solver that answers at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from pages.parts.common import background, start
from pages.parts.common.requests.request import SIZES, Request
from pages.parts.common.sessions import keeper, state
from pages.parts.solving import queue
from vaereg.solver.homogenization import HomogenizationResult

APP = Path(__file__).parents[2] / "app.py"
SIZE = 16
"""Voxels per edge of the designs of a new session."""
STIFFNESS = np.diag([60.0, 40.0, 40.0, 15.0, 15.0, 15.0])
"""What the solver says of any volume [GPa]."""


def new_server() -> None:
    """Forget what a server holds, but for what follows from its inputs alone.

    Designs, predictions and walks stay: each is kept under the hash of its checkpoint and its own inputs.
    """
    for held in (start.shared_checkpoint, background.solver, keeper._store):
        held.clear()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed: the solver waits. It is open unless a test closes it."""
    event = threading.Event()
    event.set()
    yield event
    event.set()


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """New sessions ask for cells of the size that the tiny checkpoint was trained on."""
    monkeypatch.setitem(SIZES, SIZE, max(SIZES.values()))
    defaults = Request.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "size", SIZE)


@pytest.fixture
def app(
    tiny_checkpoint_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gate: threading.Event,
    small_cells: None,
) -> Iterator[AppTest]:
    """The app with the tiny checkpoint and a solver in this process that answers at once."""

    def solve(*args: object, **kwargs: object) -> HomogenizationResult:
        gate.wait(60)
        return HomogenizationResult(stiffness=STIFFNESS, iterations=1, residual=0.0, converged=True)

    executor = ThreadPoolExecutor(2)
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", tiny_checkpoint_path)
    monkeypatch.setattr(queue, "homogenize", solve)
    monkeypatch.setattr(queue, "start_workers", lambda workers: executor)
    new_server()
    yield AppTest.from_file(str(APP), default_timeout=120)
    executor.shutdown()
    new_server()


@pytest.fixture
def app_of_modes(app: AppTest, modes_checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app with the tiny checkpoint that has modes."""
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", modes_checkpoint_path)
    return app


def asked_for(app: AppTest) -> Request:
    """What the session asks for."""
    return app.session_state[state.REQUESTS][app.session_state[state.REQUEST_PLACE]]


def ask(app: AppTest, **changes: Any) -> AppTest:  # noqa: ANN401 (fields of a request)
    """Ask for something else on the Design page, which has run before."""
    app.session_state[state.REQUESTS] = [replace(asked_for(app), **changes)]
    app.session_state[state.REQUEST_PLACE] = 0
    return app.run()


def galleries(app: AppTest) -> list[dict[str, Any]]:
    """Data of the 3D views of the page."""
    data = [json.loads(element.proto.json) for element in app.get("bidi_component")]  # type: ignore
    return [content for content in data if "panels" in content]


def live_sliders(app: AppTest) -> dict[str, dict[str, Any]]:
    """Data of the sliders that show previews, by the names of their quantities."""
    data = [json.loads(element.proto.json) for element in app.get("bidi_component")]  # type: ignore
    found = [json.loads(content["slider"]) for content in data if "slider" in content]
    return {slider["name"]: slider for slider in found}


def gallery_places(app: AppTest) -> list[tuple[int, ...]]:
    """Where the page has its 3D views: the browser builds one that moves anew, and blank for a moment."""
    return list(_places(app.main))


def _places(block: Block) -> Iterator[tuple[int, ...]]:
    for index, child in block.children.items():
        if isinstance(child, Block):
            yield from ((index, *place) for place in _places(child))
        elif child.type == "bidi_component":
            yield (index,)
