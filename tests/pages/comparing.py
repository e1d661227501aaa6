"""What tests of the Compare page share: items of a shortlist, and what the page shows."""

from typing import Any

import numpy as np
from dashboard import STIFFNESS, galleries
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions.session_file import Session, write_session
from pages.parts.common.sessions.shortlist import ShortlistItem
from vaereg.generators.families import gaussian_field


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


def session_file(*items: ShortlistItem, **inputs: object) -> tuple[str, bytes, str]:
    return "mine.zip", write_session(Session(items=list(items), inputs=dict(inputs))), "application/zip"
