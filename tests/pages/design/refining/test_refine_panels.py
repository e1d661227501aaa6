"""Refinement in the Design page with a tiny checkpoint: empty, at work, done, cancelled, other pages."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboard import ask, galleries, gallery_places, live_sliders, new_server
from manual import ManualExecutor
from streamlit.testing.v1 import AppTest

from pages.parts.common import background
from pages.parts.common.sessions import state
from pages.parts.design.refining import refine_panels
from pages.parts.solving import queue, sharing, tasks
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.refining.search import DRAWN, SHAKEN, Drawn
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.grid_check import MeshCheck
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.targets import TARGETS, parse

APP = Path(__file__).parents[4] / "app.py"
STIFFNESS = np.diag([60.0, 40.0, 40.0, 15.0, 15.0, 15.0])
SOLVED = HomogenizationResult(stiffness=STIFFNESS, iterations=1, residual=0.0, converged=True)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> ManualExecutor:
    """Works when it is told to; what is shown is solved at once and badly, refinements are true."""
    executor = ManualExecutor()
    executor.after = lambda: background.solver().settle()
    monkeypatch.setattr(queue, "homogenize", lambda *args, **kwargs: SOLVED)
    monkeypatch.setattr(queue, "start_workers", lambda workers: executor)
    return executor


@pytest.fixture
def app(
    executor: ManualExecutor,
    tiny_checkpoint_path: Path,
    tiny_checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    small_cells: None,
) -> Iterator[AppTest]:
    """Three designs whose C11 is to be as the middle of the training data."""
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", tiny_checkpoint_path)
    new_server()
    app = AppTest.from_file(str(APP), default_timeout=120)
    middle = np.median(tiny_checkpoint.fitted.property_quantiles, axis=0)
    for name in TARGETS:
        app.query_params[f"{name}_is"] = "value" if name == "C11" else "free"
    app.query_params["C11"] = f"{middle[0]:.1f}"
    app.query_params[state.COUNT] = "3"
    app.run()
    executor.finish()
    yield app.run()
    new_server()


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label.startswith(label)]
    return button.click().run()


def metric(app: AppTest, label: str) -> Any:  # noqa: ANN401
    (result,) = [metric.value for metric in app.metric if metric.label == label]
    return result


def statuses(app: AppTest) -> list[str]:
    (table,) = [table.value for table in app.dataframe if "Status" in table.value.columns]
    return table["Status"].tolist()


def captions(app: AppTest) -> list[str]:
    """Captions without the escapes of Markdown."""
    return [caption.value.replace("\\", "") for caption in app.caption]


def has_button(app: AppTest, label: str) -> bool:
    return any(button.label.startswith(label) for button in app.button)


def test_at_first_the_page_says_what_to_do(app: AppTest) -> None:
    assert not app.exception
    assert any("Nothing has been refined yet" in caption.value for caption in app.caption)
    assert has_button(app, "Refine 3 designs") and not has_button(app, "Cancel")
    assert len(galleries(app)) == 1
    app.multiselect[0].set_value([1]).run()
    assert has_button(app, "Refine 1 design")


def test_designs_are_refined_in_the_background(app: AppTest, executor: ManualExecutor) -> None:
    app.number_input(state.REFINE_TOLERANCE).set_value(2.0)
    press(app, "Refine 3 designs")
    assert not app.exception
    assert metric(app, "Refinement") == "at work"
    assert statuses(app) == ["running", "running", "waiting"]  # two workers, in order of promise
    executor.step()
    app.run()
    assert metric(app, "Solves") == "1"
    executor.finish()
    app.run()
    assert not app.exception
    assert metric(app, "Refinement") == "finished"
    assert statuses(app) == ["reached"] * 3
    assert metric(app, "On target, verified") == "3/3"
    assert not has_button(app, "Cancel")

    shown = galleries(app)[1]
    assert len(shown["panels"]) == 2 and shown["marks"] is not None
    assert [panel["columns"] for panel in shown["panels"]] == [["predicted", "solver"], ["verified", "off"]]
    assert [panel["lines"][0]["label"] for panel in shown["panels"]] == ["C11 GPa", "C11 GPa"]
    (table,) = [t.value for t in app.dataframe if "After, verified" in t.value.columns]
    assert abs(table["Off target [%]"].to_numpy()[0]) <= 2.0

    press(app, "Add the refined one to the shortlist")
    (item,) = app.session_state["shortlist"]
    assert item.origin.startswith("refined from design #")
    np.testing.assert_allclose(item.stiffness, homogenize(item.volume).stiffness, rtol=1e-7, atol=1e-6)
    assert item.stiffness[0, 0] == pytest.approx(item.wanted.range_of("C11")[0], rel=0.0201)
    assert item.checkpoint and item.latent is not None
    assert has_button(app, "Take the refined one out")


def test_a_refinement_can_be_cancelled(app: AppTest, executor: ManualExecutor) -> None:
    press(app, "Refine 3 designs")
    executor.step()
    before = len(executor.order)
    press(app.run(), "Cancel")
    assert not app.exception
    assert statuses(app) == ["cancelled"] * 3
    assert metric(app, "Refinement") == "finished"
    assert metric(app, "Solves") == "1"  # what was found stays
    executor.finish()
    assert len(executor.order) <= before + 2  # the solves of the moment
    press(app.run(), "Refine 3 designs")  # once more
    assert statuses(app)[0] == "running"


def test_results_survive_other_pages_and_other_targets(app: AppTest, executor: ManualExecutor) -> None:
    app.number_input(state.REFINE_SOLVES).set_value(3)
    app.multiselect[0].set_value([0]).run()
    press(app, "Refine 1 design")
    app.switch_page("pages/predict.py").run()
    executor.finish()
    app.switch_page("pages/design.py").run()
    assert not app.exception
    assert app.number_input(state.REFINE_SOLVES).value == 3
    assert app.multiselect[0].value == [0]
    assert metric(app, "Refinement") == "finished"
    former, places = galleries(app)[1]["set"], gallery_places(app)
    assert not any("another target" in caption.value for caption in app.caption)

    typed = app.number_input(key="target-C11-typed")
    assert isinstance(typed.value, float)
    typed.set_value(typed.value + 2.0).run()
    executor.finish()
    app.run()
    assert any("another target" in caption.value for caption in app.caption)
    assert galleries(app)[1]["set"] == former and gallery_places(app) == places
    press(app, "Refine 3 designs")  # another one, which is shown at once; the former can be chosen
    assert app.selectbox(state.REFINE_RUN).value == 2
    app.selectbox(state.REFINE_RUN).set_value(1).run()
    assert galleries(app)[1]["set"] == former
    assert not app.exception

    press(app, "Leave C11 free")  # no target, so no designs
    assert not app.exception
    assert any(item.value == "Refined before" for item in app.subheader)
    assert galleries(app)[0]["set"] == former


def test_what_two_refinements_want_is_not_cancelled_with_one(app: AppTest, executor: ManualExecutor) -> None:
    press(app, "Refine 3 designs")
    app.multiselect[0].set_value([1]).run()
    press(app, "Refine 1 design")
    app.selectbox(state.REFINE_RUN).set_value(1).run()
    press(app, "Cancel")
    assert statuses(app) == ["cancelled"] * 3
    app.selectbox(state.REFINE_RUN).set_value(2).run()
    assert statuses(app)[0] in ("waiting", "running")
    executor.finish()
    app.run()
    assert statuses(app)[0] not in ("waiting", "running", "cancelled")


def test_a_full_queue_is_told(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "SESSION_TASKS", 2)
    press(app, "Refine 3 designs")
    assert not app.exception
    assert "queue is full" in app.warning[0].value
    assert not has_button(app, "Cancel")
    app.multiselect[0].set_value([0, 1]).run()
    press(app, "Refine 2 designs")
    assert not app.warning


def test_a_refined_design_gets_a_mesh_check(
    app: AppTest, executor: ManualExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*args: object, **kwargs: object) -> MeshCheck:
        finer = HomogenizationResult(stiffness=0.97 * STIFFNESS, iterations=1, residual=0.0, converged=True)
        return MeshCheck(coarse=SOLVED, fine=finer)

    monkeypatch.setattr(tasks, "mesh_check", check)
    app.number_input(state.REFINE_SOLVES).set_value(2)
    app.multiselect[0].set_value([2]).run()
    press(app, "Refine 1 design")
    executor.finish()
    press(app.run(), "Check the mesh")
    assert has_button(app, "Cancel the mesh check")
    executor.finish()
    app.run()
    assert not app.exception
    (table,) = [table.value for table in app.dataframe if "Refined by two [GPa]" in table.value.columns]
    np.testing.assert_allclose(table["Change [%]"].to_numpy(), -3.0)


def test_more_like_one_design_and_back(app: AppTest, executor: ManualExecutor) -> None:
    every = galleries(app)[0]
    press(app, "More like this")
    executor.finish()
    app.run()
    assert not app.exception
    own = galleries(app)[0]
    assert own["set"] != every["set"] and len(own["panels"]) == 3 and len(own["rows"]) == 1
    assert not has_button(app, "More like this")
    press(app, "Add to the shortlist")
    assert "draw 1 of design #" in app.session_state["shortlist"][0].origin
    press(app, "Other realisations")
    assert galleries(app)[0]["set"] not in (every["set"], own["set"])
    press(app, "Refine 3 designs")
    assert "draw 2 of design #" in app.selectbox(state.REFINE_RUN).format_func(1)
    press(app, "Back to all designs")
    assert not app.exception
    assert galleries(app)[0]["set"] == every["set"]
    press(app, "More like this")
    app.number_input(state.SEED).set_value(4).run()  # other designs
    assert has_button(app, "More like this")


def test_a_refinement_goes_on(
    app: AppTest, executor: ManualExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, strict = refine_panels.begin_run, {"tolerance": 1e-6}  # which no search meets at once
    monkeypatch.setattr(
        refine_panels, "begin_run", lambda *args, **given: begin(*args, **{**given, **strict})
    )
    app.number_input(state.REFINE_SOLVES).set_value(2)
    app.multiselect[0].set_value([2]).run()
    press(app, "Refine 1 design")
    executor.finish()
    app.run()
    assert statuses(app) == ["not reached after 2 solves"]
    (former,) = app.session_state["refinements"]
    press(app, "20 more solves for 1 design")
    executor.finish()
    app.run()
    assert not app.exception
    latest = app.session_state["refinements"][-1]
    assert (latest.number, latest.max_solves) == (2, 20)
    np.testing.assert_array_equal(latest.entries[0].task.volume, former.entries[0].result.volume)
    assert latest.entries[0].result.largest_distance <= former.entries[0].result.largest_distance
    # What was predicted of a design is not shown of the volume that it went on from.
    others = replace(latest.designs, microstructures=1 - latest.designs.microstructures)
    app.session_state["refinements"] = [replace(latest, designs=others)]
    app.run()
    before, _ = galleries(app)[1]["panels"]
    assert all(line["values"][0] == "–" for line in before["lines"])


def test_the_nearest_reachable_target_can_be_used(app: AppTest, tiny_checkpoint: Checkpoint) -> None:
    texts = []
    for index, name in enumerate(PROPERTIES):
        low, high = tiny_checkpoint.property_ranges[name]
        end = high - 0.1 if index < 3 else low + 0.1
        texts.append(f"{name}={end:.1f}" if index else f"{name}={low + 0.1:.1f}:{high - 0.1:.1f}")
    ask(app, wanted=parse(texts).wanted)
    assert app.title[0].value.startswith("No designs")
    ends = live_sliders(app)["C11"]["values"]
    press(app, "Use the nearest reachable target")
    assert not app.exception and not app.warning
    assert app.title[0].value.startswith("Designs for")
    assert live_sliders(app)["C11"]["values"] == ends  # the nearest lies in it


def test_another_volume_in_place_of_a_design_is_told(app: AppTest, executor: ManualExecutor) -> None:
    """Beside the refined design, in the table, and in what is put aside of it."""
    app.number_input(state.REFINE_TOLERANCE).set_value(2.0)
    press(app, "Refine 3 designs")
    executor.finish()
    app.run()
    (run,) = app.session_state["refinements"]
    (latent_size,) = run.designs.latent[0].shape
    drawn = Drawn(latent=np.ones(latent_size, np.float32), realisation=1, cut_fraction=0.4, recipe={})
    first, second, third = run.entries
    drawn_result = replace(first.progress.result, drawn=drawn)
    shaken_result = replace(second.progress.result, shaken=True)
    entries = (
        replace(first, progress=replace(first.progress, result=drawn_result)),
        replace(second, progress=replace(second.progress, result=shaken_result)),
        third,
    )
    app.session_state["refinements"] = [replace(run, entries=entries)]
    app.run()
    assert not app.exception
    assert f"Design #{first.index + 1}: {DRAWN}." in captions(app)
    (table,) = [table.value for table in app.dataframe if "Status" in table.value.columns]
    assert table["Went on from"].tolist() == ["another draw of its mode", "its interface moved at random", ""]
    press(app, "Add the refined one to the shortlist")
    (item,) = app.session_state["shortlist"]
    assert item.origin.endswith(f"; {DRAWN}")
    np.testing.assert_array_equal(item.latent, np.ones(latent_size))
    app.selectbox(state.REFINE_DESIGN).set_value(second.index).run()
    assert f"Design #{second.index + 1}: {SHAKEN}." in captions(app)
