"""The Design page, empty and filled, with a tiny checkpoint: inputs, messages, files; never a traceback."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from dashboard import STIFFNESS, ask, asked_for, galleries, live_sliders
from streamlit.testing.v1 import AppTest

from pages.parts.common import widgets
from pages.parts.common.known import known_values
from pages.parts.common.sessions import state
from pages.parts.common.views.figures import deviation_figure, prediction_figure
from pages.parts.design import designing, panels, view
from pages.parts.design.closure import closure_figure, default_axes
from pages.parts.design.presets import presets
from pages.parts.solving.queue import Outcome
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import check_reachable
from vaereg.io.designs import read_designs
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import TARGETS, Target, Targets, check_targets, interval, parse


@pytest.fixture
def targets(tiny_checkpoint: Checkpoint) -> dict[str, float]:
    """Target that any model reaches: the middle of the training data."""
    middle = np.median(tiny_checkpoint.fitted.property_quantiles, axis=0)
    return {"C11": round(float(middle[0]), 1)}


def impossible(checkpoint: Checkpoint) -> dict[str, float]:
    """Target that is stiff in tension and soft in shear: within every range, and out of reach."""
    ends = {name: index < 3 for index, name in enumerate(PROPERTIES)}
    return {
        name: round(checkpoint.property_ranges[name][end] + (-0.1 if end else 0.1), 1)
        for name, end in ends.items()
    }


def gallery(app: AppTest) -> dict[str, Any]:
    """Data of the 3D gallery."""
    (shown,) = galleries(app)
    return shown


def settled(app: AppTest) -> AppTest:
    """The page after its background work; AppTest does not run fragments by the clock."""
    for _ in range(100):
        if not any(panel["pending"] for panel in gallery(app)["panels"]):
            break
        app.run()
    return app


def fix_only(app: AppTest, targets: Mapping[str, Target]) -> AppTest:
    """Set the target of the Design page."""
    return ask(app, wanted=Targets.of(targets).wanted if targets else ())


def test_design_shows_designs_of_every_component(
    app: AppTest, targets: dict[str, float], tiny_checkpoint: Checkpoint
) -> None:
    fix_only(app.run(), targets)
    assert not app.exception
    shown = gallery(app)
    assert len(shown["panels"]) == 12
    assert len(shown["rows"]) == tiny_checkpoint.components
    assert sorted(panel for row in shown["rows"] for panel in row["panels"]) == list(range(12))
    assert shown["notice"] == ""


def test_raw_designs_are_shown_until_their_corrections_are_there(
    app: AppTest, targets: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(panels, "finish_designs", lambda *arguments: st.stop())
        fix_only(app.run(), targets | {"C22": 1.05 * targets["C11"]})
        raw = gallery(app)
        assert raw["stage"] == "raw" and raw["panels"][0]["title"] == "#1, raw"
        assert "corrections are running" in app.get("progress")[-1].proto.text
        assert not app.dataframe  # nothing is said of a design that is about to change
    app.run()
    corrected = gallery(app)
    assert not app.exception and corrected["stage"] == "" and corrected["panels"][0]["title"] == "#1"
    assert [row["panels"] for row in corrected["rows"]] == [row["panels"] for row in raw["rows"]]
    assert corrected["set"] != raw["set"]
    (told,) = [metric for metric in app.metric if metric.label.startswith("Best by")]
    designs = app.session_state[state.DESIGNS]
    assert (designs.largest_deviation <= designs.raw_deviation + 1e-9).all()
    assert told.value.endswith("%")


def test_sliders_have_the_ranges_of_the_training_data(app: AppTest, tiny_checkpoint: Checkpoint) -> None:
    app.run()
    for name in ("C11", "C22", "C33"):
        low, high = tiny_checkpoint.property_ranges[name]
        slider = live_sliders(app)[name]
        assert slider["low"] == pytest.approx(low, abs=0.051)
        assert slider["high"] == pytest.approx(high, abs=0.051)
        assert "GPa" in slider["label"]
    assert [item.value for item in app.selectbox if item.label.endswith(" is")] == ["value"] * 3


def test_solver_values_stand_beside_the_predictions(app: AppTest, targets: dict[str, float]) -> None:
    app.session_state[state.TABLE_BOX] = True
    settled(fix_only(app.run(), targets))
    for panel in gallery(app)["panels"]:
        labels = [line["label"] for line in panel["lines"]]
        assert labels == ["C11 GPa", "fraction"]
        assert panel["columns"] == ["predicted", "solver", "off"]
        assert panel["lines"][0]["values"][1] == "60.0"
        assert panel["lines"][0]["values"][2] == f"{100 * (60.0 / targets['C11'] - 1):+.1f} %"
    (progress,) = [metric for metric in app.metric if metric.label == "Solver check"]
    assert progress.value == "12/12"
    headings = [table.value.columns for table in app.dataframe]
    assert any("C11 solver [GPa]" in columns and "C11 predicted [GPa]" in columns for columns in headings)


def test_another_seed_gives_other_designs_and_the_same_seed_the_same(
    app: AppTest, targets: dict[str, float]
) -> None:
    fix_only(app.run(), targets)
    first = gallery(app)["set"]
    app.number_input(state.SEED).set_value(5).run()
    assert gallery(app)["set"] != first
    app.number_input(state.SEED).set_value(0).run()
    assert gallery(app)["set"] == first


def test_designs_that_were_called_off_leave_the_former_ones(
    app: AppTest, targets: dict[str, float], tiny_checkpoint: Checkpoint
) -> None:
    fix_only(app.run(), targets)
    ask(app, count=2)
    former = gallery(app)["set"]
    key = designing._design_key(tiny_checkpoint, replace(asked_for(app), size=32))
    app.session_state[state.CANCELLED] = key
    app.segmented_control(state.SIZE).set_value(32).run()
    assert not app.exception
    assert app.warning[0].value == "Designing was cancelled."
    assert gallery(app)["set"] == former and "former settings: cells of 16³" in gallery(app)["notice"]
    (button,) = [item for item in app.button if item.label == "Make these designs"]
    button.click().run()
    assert not app.exception and not app.warning
    assert gallery(app)["set"] != former and gallery(app)["shapes"][0] == [32, 32, 32]


def test_number_of_designs(app: AppTest, targets: dict[str, float]) -> None:
    fix_only(app.run(), targets)
    app.slider(state.COUNT).set_value(1).run()
    assert len(gallery(app)["panels"]) == 1
    assert not app.exception


def test_nothing_fixed_says_what_to_do(app: AppTest) -> None:
    fix_only(app.run(), {})
    assert not app.exception
    assert "at least one quantity" in app.info[0].value
    assert not galleries(app)


def test_an_unreachable_target_keeps_the_former_designs_and_says_so(
    app: AppTest, tiny_checkpoint: Checkpoint
) -> None:
    middle = np.median(tiny_checkpoint.fitted.property_quantiles, axis=0)
    fix_only(app.run(), dict(zip(PROPERTIES, middle.round(1).tolist(), strict=True)))
    former = gallery(app)["set"]
    fix_only(app, impossible(tiny_checkpoint))
    assert not app.exception
    assert "GPa" in app.warning[0].value
    assert app.title[0].value.startswith("No designs")
    shown = gallery(app)
    assert shown["set"] == former
    assert "former target: C11" in shown["notice"]


def test_an_unreachable_target_at_first_sight(app: AppTest, tiny_checkpoint: Checkpoint) -> None:
    for name, value in impossible(tiny_checkpoint).items():
        app.query_params[name] = str(value)
        app.query_params[f"{name}_is"] = "value"
    app.run()
    assert not app.exception
    assert "GPa" in app.warning[0].value
    assert "Move the target" in app.info[0].value


def test_nonsense_in_a_link_is_ignored(app: AppTest) -> None:
    app.query_params["C11"] = "nonsense"
    app.query_params[state.SEED] = "7"
    app.run()
    assert not app.exception
    assert app.number_input(state.SEED).value == 7


def test_a_number_of_a_link_that_cannot_be_had_is_told(app: AppTest) -> None:
    app.query_params["C11"] = "1e9"
    app.query_params["C22_is"] = app.query_params["C33_is"] = "free"
    app.run()
    assert not app.exception
    assert "C11" in app.warning[0].value
    (button,) = [item for item in app.button if item.label == "Use the nearest reachable target"]
    button.click().run()
    assert not app.exception and not app.warning
    assert gallery(app)["panels"]


def test_link_restores_target_component_and_count(
    app: AppTest, targets: dict[str, float], tiny_checkpoint: Checkpoint
) -> None:
    app.query_params["C11"] = str(targets["C11"])
    app.query_params["C22_is"] = "free"
    app.query_params["C33_is"] = "range"
    low, high = tiny_checkpoint.property_ranges["C33"]
    app.query_params["C33_range"] = [f"{low + 0.2:.1f}", f"{high - 0.2:.1f}"]
    app.query_params[state.COUNT] = "4"
    app.query_params[state.COMPONENT] = "2"
    app.run()
    assert not app.exception
    assert live_sliders(app)["C11"]["values"] == [targets["C11"]]
    assert live_sliders(app)["C33"]["values"] == pytest.approx([low + 0.2, high - 0.2], abs=0.06)
    shown = gallery(app)
    assert len(shown["panels"]) == 4
    assert [row["title"] for row in shown["rows"]] == ["Component 2"]


def test_inputs_survive_a_page_change(app: AppTest, targets: dict[str, float]) -> None:
    fix_only(app.run(), targets)
    app.slider(state.COUNT).set_value(3).run()
    app.switch_page("pages/predict.py").run()
    app.switch_page("pages/design.py").run()
    assert app.slider(state.COUNT).value == 3
    assert live_sliders(app)["C11"]["values"] == [targets["C11"]]
    assert [item.label for item in app.selectbox if item.label.endswith(" is")] == ["C11 is"]


def test_downloads_read_back(tiny_checkpoint: Checkpoint, targets: dict[str, float], tmp_path: Path) -> None:
    designs = design(tiny_checkpoint, targets, 3, 16)
    solved = HomogenizationResult(stiffness=STIFFNESS, iterations=1, residual=0.0, converged=True)
    partial: list[Outcome] = [solved, None, solved]
    path = tmp_path / "designs.h5"
    for outcomes, complete in ((partial, False), ([solved] * 3, True)):
        path.write_bytes(view.designs_file(designs, outcomes))
        stored = read_designs(path)
        np.testing.assert_array_equal(stored.microstructures, designs.microstructures)
        assert stored.target == targets
        assert (stored.stiffness is not None) == complete
    volume = np.load(BytesIO(widgets.volume_file(designs.microstructures[0])))
    np.testing.assert_array_equal(volume, designs.microstructures[0])


def test_a_design_opens_in_predict(app: AppTest, targets: dict[str, float]) -> None:
    fix_only(app.run(), targets)
    (button,) = [button for button in app.button if button.label == "Open in Predict"]
    button.click().run()
    assert not app.exception
    assert app.title[0].value.startswith("Stiffness of design")


def test_without_a_checkpoint_the_page_says_so(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", Path("/nowhere/default.pt"))
    app.run()
    assert not app.exception
    assert "could not be loaded" in app.error[0].value


def test_a_damaged_checkpoint_is_told(app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "damaged.pt").write_bytes(b"no checkpoint")
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", tmp_path / "damaged.pt")
    app.run()
    assert not app.exception
    assert "could not be loaded" in app.error[0].value


def test_the_environment_may_name_another_model(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAEREG_CHECKPOINT", str(tmp_path / "elsewhere"))
    app.run()
    assert not app.exception
    assert "could not be loaded" in app.error[0].value and "elsewhere" in app.error[0].value


def test_figures_have_units_and_every_property() -> None:
    six = np.arange(1.0, 7.0)
    design_plot = deviation_figure(["Ex", "ρ"], [(0.0, 0.0), (-np.inf, 0.0)], [0.1, 0.2], [0.0, np.nan])
    predicted_plot = prediction_figure(six, 0.9 * six, 1.1 * six, 0.5 * six, 2.0 * six, None)
    figure_json = predicted_plot.to_plotly_json()
    assert "[GPa]" in figure_json["layout"]["xaxis"]["title"]["text"]
    assert list(figure_json["data"][0]["y"]) == list(PROPERTIES)
    assert list(design_plot.to_plotly_json()["data"][0]["y"]) == ["Ex", "ρ"]
    assert [trace["name"] for trace in design_plot.to_plotly_json()["data"]][-1] == "solver"
    assert len(predicted_plot.to_plotly_json()["data"]) == 2


def test_every_preset_is_in_reach_and_has_its_character(tiny_checkpoint: Checkpoint) -> None:
    result = presets(tiny_checkpoint, tiny_checkpoint.model.materials)
    for wanted in result.values():
        check_reachable(tiny_checkpoint, check_targets(Targets(wanted).plain()))
    assert len({item.low for item in result["Isotropic"][:3]}) == 1
    along_z = Targets(result["Stiff along z"]).plain()
    assert interval(along_z["C33"]) > interval(along_z["C11"]) == interval(along_z["C22"])


def test_a_preset_sets_the_target(app: AppTest, tiny_checkpoint: Checkpoint) -> None:
    app.run()
    app.selectbox(state.PRESET).set_value("Isotropic").run()
    assert not app.exception
    assert asked_for(app).wanted == presets(tiny_checkpoint, tiny_checkpoint.model.materials)["Isotropic"]
    assert app.title[0].value.startswith("Designs for C11")
    assert app.selectbox(state.PRESET).value == "Isotropic"


def test_volume_fraction_and_ranges_are_targets(app: AppTest, tiny_checkpoint: Checkpoint) -> None:
    low, high = tiny_checkpoint.fraction_range
    middle = round((low + high) / 2, 2)
    stiffness = tiny_checkpoint.property_ranges["C11"]
    ends = (round(stiffness[0] + 0.1, 1), round(stiffness[1] - 0.1, 1))
    app.session_state[state.TABLE_BOX] = True
    fix_only(app.run(), {"C11": ends, "volume_fraction": middle})
    assert not app.exception
    (table,) = [table.value for table in app.dataframe if "Volume fraction [-]" in table.value.columns]
    np.testing.assert_allclose(table["Volume fraction [-]"], middle, atol=0.01)


def test_a_design_is_put_aside_and_taken_out(app: AppTest, targets: dict[str, float]) -> None:
    fix_only(app.run(), targets)
    for label, count in (("Add to the shortlist", 1), ("Take out of the shortlist", 0)):
        (button,) = [button for button in app.button if button.label == label]
        button.click().run()
        assert not app.exception
        assert len(gallery(app)["pinned"]) == count


def test_the_closure_shows_the_target(tiny_checkpoint: Checkpoint) -> None:
    materials = tiny_checkpoint.model.materials
    known = {name: known_values(tiny_checkpoint, materials, name) for name in TARGETS}
    assert default_axes(parse(["C11=1", "C33=2"])) == ("C11", "C33")
    assert default_axes(parse("C22=1")) == ("volume_fraction", "C22")
    for texts in (["C11=1", "volume_fraction=0.5"], ["C11=1:2"], ["volume_fraction=:0.5"]):
        figure = closure_figure(("volume_fraction", "C11"), known, parse(texts), {}, {}, materials)
        names = [trace["name"] for trace in figure.to_plotly_json()["data"]]
        assert {"known volumes", "bounds"} <= set(names)
        (cloud,) = figure.select_traces(selector={"type": "heatmap"})
        assert round(np.nansum(np.exp(cloud.z))) == len(known["C11"])  # type: ignore[attr-defined]
        assert "target" in [*names, *(shape.name for shape in figure.layout.shapes)]
        assert "[GPa]" in figure.layout.yaxis.title.text
    fraction = "volume_fraction"
    for across, up, bounded in (("C11", "C33", True), ("C11", "C11", False), (fraction, fraction, False)):
        figure = closure_figure((across, up), known, parse("C11=1"), {}, {}, materials)
        names = [trace["name"] for trace in figure.to_plotly_json()["data"]]
        assert ("bounds" in names) == bounded
