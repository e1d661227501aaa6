"""Work that outlives a session: shortlist and refinements under the token of the tab, inputs in the link."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard import APP, STIFFNESS, ask, asked_for
from manual import ManualExecutor
from streamlit.testing.v1 import AppTest

from pages.parts.common.requests.request_link import LINK_NAMES
from pages.parts.common.sessions import state
from pages.parts.common.sessions.session_store import SessionStore
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.solving import queue
from vaereg.targets import parse


def item(seed: int) -> ShortlistItem:
    volume = np.random.default_rng(seed).integers(0, 2, (8, 8, 8), dtype=np.uint8)
    return ShortlistItem(name=f"design {seed}", volume=volume, origin="test", stiffness=STIFFNESS)


def keeper(app: AppTest) -> dict[str, Any]:
    """Data that the page gave to the keeper in the browser."""
    data = [json.loads(element.proto.json) for element in app.get("bidi_component")]  # type: ignore
    (result,) = [content for content in data if "token" in content]
    return result


def returned(token: str, page: str = "pages/compare.py") -> AppTest:
    """A new session in a tab that has the token of a former one, on a page."""
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    app.session_state[state.FORMER_TOKEN] = token  # as the keeper in the browser says it
    app.switch_page(page).run()
    assert not app.exception
    return app


def click(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label.startswith(label)).click().run()
    assert not app.exception


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that begins nothing: what is asked for stays unfinished."""
    monkeypatch.setattr(queue, "start_workers", lambda workers: ManualExecutor())


def test_the_shortlist_comes_back_after_a_restart(app: AppTest, sessions: Path) -> None:
    app.run()
    click(app, "Add to the shortlist")
    (before,) = app.session_state["shortlist"]
    token = keeper(app)["token"]
    assert keeper(app)["fresh"] and not any(token in path.name for path in sessions.iterdir())

    again = returned(token)
    (after,) = again.session_state["shortlist"]
    np.testing.assert_array_equal(after.volume, before.volume)
    assert (after.name, after.origin, after.targets) == (before.name, before.origin, before.targets)
    assert not keeper(again)["fresh"] and keeper(again)["token"] != token

    # A copy of the tab has the same token: each session goes on under its own.
    click(again, "Take out of the shortlist")
    assert not again.session_state["shortlist"]
    assert len(returned(token).session_state["shortlist"]) == 1
    assert not returned(keeper(again)["token"]).session_state["shortlist"]


def test_a_stranger_gets_nothing(app: AppTest) -> None:
    app.run()
    click(app, "Add to the shortlist")
    assert "shortlist is empty" in returned("A" * 43).info[0].value
    assert "shortlist is empty" in returned("../../x").info[0].value


def test_damaged_files_leave_an_empty_shortlist(app: AppTest, sessions: Path) -> None:
    app.run()
    click(app, "Add to the shortlist")
    for path in sessions.iterdir():
        path.write_bytes(b"damaged")
    assert "shortlist is empty" in returned(keeper(app)["token"]).info[0].value


@pytest.mark.usefixtures("waiting")
def test_refinements_come_back_and_unfinished_ones_go_on(app: AppTest) -> None:
    app.query_params[state.COUNT] = "2"
    app.run()
    click(app, "Refine 2 designs")
    (run,) = app.session_state["refinements"]
    again = returned(keeper(app)["token"], "pages/design.py")
    (result,) = again.session_state["refinements"]
    assert (result.number, result.origin, result.tolerance) == (1, run.origin, run.tolerance)
    assert [entry.task.name for entry in result.entries] == [entry.task.name for entry in run.entries]
    assert not any(entry.cancelled for entry in result.entries)
    np.testing.assert_array_equal(result.designs.latent, run.designs.latent)
    assert result.designs.targets == run.designs.targets


@pytest.mark.usefixtures("waiting")
def test_limits_are_those_of_the_tab_over_its_sessions(app: AppTest) -> None:
    app.query_params[state.COUNT] = "2"
    app.run()
    click(app, "Refine 2 designs")
    owner = app.session_state[state.OWNER]
    again = returned(keeper(app)["token"], "pages/design.py")  # where unfinished refinements go on
    assert again.session_state[state.OWNER] == owner
    assert again.session_state[state.SESSION_NAME] != owner
    stranger = AppTest.from_file(str(APP), default_timeout=120)
    stranger.query_params[state.COUNT] = "2"
    click(stranger.run(), "Refine 2 designs")
    assert stranger.session_state[state.OWNER] != owner


def test_the_inputs_come_back_where_the_address_has_lost_them(app: AppTest) -> None:
    app.run()
    ask(app, wanted=parse(["C11=55", "C22=40"]).wanted, seed=7)
    token = keeper(app)["token"]
    assert returned(token, "pages/design.py").title[0].value.startswith("Designs for C11 = 55")
    fresh = AppTest.from_file(str(APP), default_timeout=120)
    fresh.query_params["C11"] = "65"  # a link that says otherwise
    fresh.run()
    fresh.session_state[state.FORMER_TOKEN] = token
    fresh.run()
    assert fresh.title[0].value.startswith("Designs for C11 = 65")


def test_the_link_of_every_page_has_the_request(app: AppTest) -> None:
    app.run()
    assert keeper(app)["link"] == ""
    ask(app, wanted=parse(["C11=55", "C22=30:41.5"]).wanted, seed=7)
    link = "target=C11%3D55&target=C22%3D30%3A41.5&seed=7"
    assert keeper(app)["link"] == link
    app.switch_page("pages/predict.py").run()
    assert keeper(app)["link"] == link
    assert keeper(app)["names"].split() == LINK_NAMES


def test_a_session_that_begins_on_another_page_takes_its_link(app: AppTest) -> None:
    """A tab shows Predict while its server is started again."""
    app.query_params |= {"C11": "55", "C22_is": "range", "C22_range": ["41.5", "30"], "seed": "7"}
    app.query_params["count"] = "1e400"
    app.query_params["C33"] = "nan"
    app.switch_page("pages/predict.py").run()
    assert not app.exception
    assert [item.text() for item in asked_for(app).wanted] == ["C11=55", "C22=30:41.5", "C33=40"]
    assert (asked_for(app).seed, asked_for(app).count) == (7, 12)
    assert any("left out" in box.value for box in app.warning)


def test_a_part_that_cannot_be_saved_is_left_out(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionStore, "save", lambda *arguments: False)
    app.run()
    click(app, "Add to the shortlist")
    assert len(app.session_state["shortlist"]) == 1
