"""The Model page, with the checkpoint alone and with everything beside it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dashboard import new_server
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions import state
from pages.parts.model import tables
from pages.parts.model.figures import coverage_figure, parity_figure, reliability_figure
from vaereg.elasticity import PROPERTIES
from vaereg.evaluation.records import summarize_solves
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.modes.catalogue import MODE_NAMES

APP = Path(__file__).parents[3] / "app.py"
FIGURES = {
    "mape": dict.fromkeys(PROPERTIES, 0.01),
    "mape_axial": 0.01,
    "mape_axial_by_family": {"spheres": 0.02, "voronoi": 0.01},
}
COLUMNS = {name: [10.0, 20.0, 30.0] for name in PROPERTIES}
NOMINAL = [0.5, 0.9]


TRIAL = {
    "targets": 2,
    "designs_per_target": 3,
    "median_error": 0.05,
    "median_error_of_best_by_prediction": 0.02,
    "nearest_training_volume": 0.03,
    "median_error_by_component": {"0": 0.04, "1": 0.06},
    "two_point_distance_within_component": 0.03,
    "two_point_distance_between_components": 0.06,
    "copies": {"designs": {"median": 0.6, "largest": 0.9, "copies": 0}},
}
COMPONENT_ENTRY = {
    "name": "rod-like",
    "share": 0.5,
    "weight": [0.4, 0.6],
    "correlation_lengths": [1.0, 2.0, 3.0],
}
METRICS = {
    "checkpoint": "another",
    "data": {"size": 16, "split": "test", "seed": 1},
    "forward": {
        "guided": FIGURES,
        "encoder": FIGURES,
        "reliability": {
            "nominal": NOMINAL,
            **{tier: dict.fromkeys(PROPERTIES, NOMINAL) for tier in ("guided", "encoder")},
        },
        "parity": {"truth": COLUMNS, "guided": {"mean": COLUMNS}, "encoder": {"mean": COLUMNS}},
    },
    "held_out": {"guided": FIGURES | {"by_family": {"voronoi": {}}}},
    "novelty": {"split": 0.01, "held_out": {"voronoi": 0.7}, "strange": {"checkerboard": 1.0}},
    "components": {
        "used": 2,
        "effective": 1.9,
        "property": "C11",
        "values": [10.0, 20.0],
        "by_component": {"0": COMPONENT_ENTRY, "1": COMPONENT_ENTRY},
    },
    "decoder": {
        "spheres": {"decoded": {"two_point": 0.1}, "real": {"two_point": 0.05}, "ratio": {"two_point": 2.0}}
    },
    "inverse": TRIAL,
    "timings": {"predict_one": 0.05},
}
FOAM_RECOGNISED = {"real": {"by_mode": {"closed-foam": {"recognised": 3, "volumes": 4}}}}
FOAM_TARGETS = {"by_mode": {"closed-foam": {"targets": 2, "near": 1, "designs": 4, "largest": 0.04}}}
MODES = {
    "recognition": {"generators": FOAM_RECOGNISED, "independent": FOAM_RECOGNISED},
    "isotropic": {"raw": FOAM_TARGETS, "corrected": FOAM_TARGETS},
    "any": {"raw": FOAM_TARGETS, "corrected": FOAM_TARGETS},
    "pairs": {"targets": 0},
    "coverage": {"recognised": 3, "volumes": 4},
    "vendi": {"score": 2.5},
}
RUN = {"inverse": TRIAL, "components_effective": 1.0}
BASELINES: dict[str, Any] = {
    "benchmark": "baselines",
    "settings": {"data": {"seed": 1}, "held_out": ["voronoi"]},
    "figures": {"baselines": {"five-block CNN": {"test": FIGURES}}},
}
REFINEMENT = {
    "benchmark": "refinement",
    "settings": {"checkpoint": "another"},
    "figures": [{"kind": "three", "start": "design", "errors": [0.1, 0.02, 0.009]}],
}


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., AppTest]]:
    def opened(path: Path, part: str | None = None) -> AppTest:
        monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", path)
        monkeypatch.setattr(state, "BENCHMARKS", tmp_path / "results")
        new_server()
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.session_state["entered"] = True
        if part is not None:
            app.query_params[state.MODEL_PART] = part
        page = app.switch_page("pages/model.py").run()
        assert not page.exception
        return page

    yield opened
    new_server()


@pytest.fixture
def full(tiny_checkpoint: Checkpoint, tiny_embedding: Embedding, tmp_path: Path) -> Path:
    """A checkpoint with everything beside it that the page can show."""
    item = tiny_checkpoint
    save_checkpoint(tmp_path / "full.pt", item.model, item.config, item.fitted, item.card, tiny_embedding)
    (tmp_path / "full.json").write_text(json.dumps(METRICS))
    (tmp_path / "full-log.csv").write_text("step,regression,style\n1,0.5,nan\n2,0.25,0.1\n")
    (tmp_path / "results").mkdir()
    settings = {"steps": 1200, "encoder_of": load_checkpoint(tmp_path / "full.pt").hash}
    runs = {name: RUN | {"settings": settings} for name in ("default", "single-gaussian")}
    for record in (BASELINES | {"figures": BASELINES["figures"] | {"runs": runs}}, REFINEMENT):
        (tmp_path / "results" / f"{record['benchmark']}.json").write_text(json.dumps(record))
    return tmp_path / "full.pt"


def table(page: AppTest, column: str) -> pd.DataFrame:
    (result,) = [item.value for item in page.dataframe if column in item.value]
    return result


def test_alone_the_checkpoint_says_what_is_missing(
    open_page: Callable[..., AppTest], tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_checkpoint_path, tmp_path / "alone.pt")
    page = open_page(tmp_path / "alone.pt")
    assert "vaereg evaluate" in page.info[0].value
    assert "Limits of validity" in [item.value for item in page.subheader]
    assert [tab.label for tab in page.tabs] == ["Overview", "Refinement"]
    page = open_page(tmp_path / "alone.pt", "Refinement")
    assert "benchmarks/refinement.py" in page.info[-1].value


def test_the_overview_leads_with_the_main_figures(open_page: Callable[..., AppTest], full: Path) -> None:
    page = open_page(full)
    assert "another checkpoint" in page.warning[0].value
    assert [item.value for item in page.metric] == ["1.0 %", "5.0 %", "2.0 %"]
    assert table(page, "Time [s]")["Task"].tolist() == ["Prediction, 16³ voxels"]


def test_predictions_are_shown_beside_the_baselines(open_page: Callable[..., AppTest], full: Path) -> None:
    page = open_page(full, "Prediction")
    forward = table(page, "Prediction")
    assert forward["Prediction"].tolist() == ["physics-guided", "encoder alone", "five-block CNN"]
    assert forward["C11, C22, C33 [%]"].tolist() == [1.0, 1.0, 1.0]
    assert table(page, "Flagged as novel [%]")["Flagged as novel [%]"].tolist() == [1.0, 70.0, 100.0]
    assert len(page.get("plotly_chart")) == 5


def test_designs_are_shown_beside_other_ways_to_train(open_page: Callable[..., AppTest], full: Path) -> None:
    page = open_page(full, "Inverse design")
    designs = table(page, "Median error")
    assert designs["C11, C22, C33 [%]"].tolist()[:2] == [5.0, 2.0]
    assert designs["Median error"].tolist()[-1] == "all designs of component 2"
    runs = table(page, "Training")
    assert runs["Training"].tolist() == ["default", "single-gaussian"]
    assert runs["Best, C11, C22, C33 [%]"].tolist() == [2.0, 2.0]
    assert table(page, "Steps")["Steps"].tolist() == [1200, 1200]


@pytest.mark.parametrize(
    ("part", "column"),
    [("Components", "Makes"), ("Decoder", "Family"), ("Refinement", "Start"), ("Data", ""), ("Training", "")],
)
def test_every_part_has_its_figure_and_table(
    open_page: Callable[..., AppTest], full: Path, part: str, column: str
) -> None:
    page = open_page(full, part)
    assert len(page.get("plotly_chart")) == 1
    assert not column or len(table(page, column))


def test_modes_are_shown_with_what_is_recognised_and_met() -> None:
    modes = tables.mode_figures_table(MODES).set_index("Mode")
    assert len(modes) == len(MODE_NAMES)
    foam = modes.loc["Closed foam"]
    assert foam["Real [%]"] == foam["Real, independent [%]"] == 75.0
    assert (foam["Targets tried"], foam["Within 5 %, raw"]) == (4, 2)
    assert modes.loc["Pores", "Targets tried"] == 0


def test_the_open_part_outlives_a_change_of_pages(open_page: Callable[..., AppTest], full: Path) -> None:
    page = open_page(full, "Decoder")
    page.switch_page("pages/explore.py").run()
    page.query_params.clear()
    page.switch_page("pages/model.py").run()
    assert page.session_state[state.MODEL_PART] == "Decoder"


def test_a_key_that_is_missing_leaves_its_place_empty() -> None:
    assert tables.forward_table({"some model": {"test": {}}})["C11 [%]"].tolist() == [None]
    assert tables.inverse_table({"inverse": {}}, str)["C11, C22, C33 [%]"].tolist() == [None] * 5
    assert list(tables.runs_table({"another": {}})) == ["Training"]
    unknown = {
        "some model": {"test": {"r2": {"C11": None, "C22": 0.5}}},
        "other": {"test": {"r2": {"C11": None}}},
    }
    assert tables.forward_table(unknown)["Least R² [-]"].isna().tolist() == [False, True]
    assert tables.diversity_table({"two_point_distance_within_component": None}).empty
    assert tables.diversity_table({}).empty and tables.novelty_table({}).empty
    assert tables.component_table({"by_component": {"0": {}}})["Component"].tolist() == [1]
    assert len(tables.decoder_table({"spheres": {}})) == 1


def test_a_search_that_never_arrives_is_said_to() -> None:
    runs = [{"kind": "one", "start": "random", "errors": [0.5, 0.04]}]
    frame = tables.solves_frame(summarize_solves(runs))
    assert frame["Solves to 5%"].tolist() == ["2"]
    assert frame["Solves to 1%"].tolist() == ["not reached"]


def test_data_lie_within_the_bounds_that_are_drawn() -> None:
    properties = np.full((3, 6), 20.0)
    figure = coverage_figure(properties, np.array(["tpms"] * 3), TwoPhase()).to_plotly_json()
    bounds, cloud = figure["data"]
    assert cloud["name"] == "minimal surface"
    assert min(bounds["x"]) < 20.0 < max(bounds["x"])
    assert bounds["x"][0] == pytest.approx(bounds["y"][0])
    assert max(bounds["x"]) == pytest.approx(max(bounds["y"]))


def test_figures_have_units() -> None:
    parity = parity_figure(COLUMNS, COLUMNS).to_plotly_json()
    assert "[GPa]" in parity["layout"]["yaxis"]["title"]["text"]
    reliability = reliability_figure(NOMINAL, {"guided": dict.fromkeys(PROPERTIES, NOMINAL)})
    assert "[-]" in reliability.to_plotly_json()["layout"]["xaxis"]["title"]["text"]
