"""The Model page, with the checkpoint alone and with everything beside it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.shared.figures_model import coverage_figure, parity_figure, reliability_figure
from vaereg.checkpoint import Checkpoint, save_checkpoint
from vaereg.elasticity import PROPERTIES, TwoPhase
from vaereg.embedding import Embedding

APP = Path(__file__).parents[1] / "app.py"
FIGURES = {
    "mape": dict.fromkeys(PROPERTIES, 0.01),
    "mape_axial": 0.01,
    "mape_axial_by_family": {"spheres": 0.02, "voronoi": 0.01},
}
COLUMNS = {name: [10.0, 20.0, 30.0] for name in PROPERTIES}
NOMINAL = [0.5, 0.9]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], AppTest]]:
    def opened(path: Path) -> AppTest:
        monkeypatch.setattr("vaereg.checkpoint.DEFAULT_CHECKPOINT", path)
        st.cache_resource.clear()
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.session_state["entered"] = True
        return app.switch_page("pages/model.py").run()

    yield opened
    st.cache_resource.clear()


def test_alone_the_checkpoint_says_what_is_missing(
    open_page: Callable[[Path], AppTest], tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_checkpoint_path, tmp_path / "alone.pt")
    page = open_page(tmp_path / "alone.pt")
    assert not page.exception
    assert "vaereg evaluate" in page.info[0].value
    assert "Limits of validity" in [one.value for one in page.subheader]
    assert "Training" not in [one.value for one in page.subheader]


def test_everything_beside_the_checkpoint_is_shown(
    open_page: Callable[[Path], AppTest],
    tiny_checkpoint: Checkpoint,
    tiny_embedding: Embedding,
    tmp_path: Path,
) -> None:
    one = tiny_checkpoint
    save_checkpoint(tmp_path / "full.pt", one.model, one.config, one.fitted, one.card, tiny_embedding)
    metrics = {
        "checkpoint": "another",
        "forward": {
            "guided": FIGURES,
            "encoder": FIGURES,
            "reliability": {
                "nominal": NOMINAL,
                **{tier: dict.fromkeys(PROPERTIES, NOMINAL) for tier in ("guided", "encoder")},
            },
            "parity": {"truth": COLUMNS, "guided": {"mean": COLUMNS}, "encoder": {"mean": COLUMNS}},
        },
    }
    (tmp_path / "full.json").write_text(json.dumps(metrics))
    (tmp_path / "full-log.csv").write_text("step,regression,style\n1,0.5,nan\n2,0.25,0.1\n")
    page = open_page(tmp_path / "full.pt")
    assert not page.exception
    assert "another checkpoint" in page.warning[0].value
    assert len(page.get("plotly_chart")) == 6
    forward = next(table.value for table in page.dataframe if "Prediction" in table.value)
    assert forward["C11, C22, C33 [%]"].tolist() == [1.0, 1.0]


def test_data_lie_within_the_bounds_that_are_drawn() -> None:
    properties = np.full((3, 6), 20.0)
    figure = coverage_figure(properties, np.array(["spheres"] * 3), TwoPhase()).to_plotly_json()
    bounds = figure["data"][0]
    assert min(bounds["x"]) < 20.0 < max(bounds["x"])
    assert bounds["x"][0] == pytest.approx(bounds["y"][0])
    assert max(bounds["x"]) == pytest.approx(max(bounds["y"]))


def test_figures_have_units() -> None:
    parity = parity_figure(COLUMNS, COLUMNS).to_plotly_json()
    assert "[GPa]" in parity["layout"]["yaxis"]["title"]["text"]
    reliability = reliability_figure(NOMINAL, {"guided": dict.fromkeys(PROPERTIES, NOMINAL)})
    assert "[-]" in reliability.to_plotly_json()["layout"]["xaxis"]["title"]["text"]
