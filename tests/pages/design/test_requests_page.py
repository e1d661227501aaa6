"""The sidebar of the Design page with a model of modes: materials, quantities, constraints, history."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dashboard import ask, asked_for, galleries
from streamlit.testing.v1 import AppTest

from pages.parts.common.requests import controls
from pages.parts.common.requests.request import VoxelLength
from pages.parts.common.sessions import state
from pages.parts.design.targets_panel import KINDS, kind_of, with_kind
from pages.parts.design.view import design_item, design_rows
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.direct import design
from vaereg.materials import VOID, TwoPhase, phase_by_name
from vaereg.model.checkpoint import load_checkpoint
from vaereg.targets import Wanted, parse

GLASS = TwoPhase(phase_by_name("E-glass"), phase_by_name("epoxy"))


def press(app: AppTest, key: str) -> AppTest:
    next(button for button in app.button if button.key == key).click().run()
    assert not app.exception
    return app


def texts(app: AppTest) -> list[str]:
    return [item.text() for item in asked_for(app).wanted]


def test_kinds_keep_the_number() -> None:
    item = Wanted(name="E_x", low=20.0, high=20.0, weight=2.0)
    for kind in KINDS:
        other = with_kind(item, kind, (0.0, 100.0))
        assert kind_of(other) == kind and other.weight == 2.0
        if other.is_bounded:
            assert with_kind(other, "value", (0.0, 100.0)) == item
    assert with_kind(Wanted(name="E_x", goal="max"), "at least", (10.0, 30.0)).low == 20.0


def test_phases_are_chosen_and_named_everywhere(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.query_params[state.COUNT] = "2"
    app.run()
    app.selectbox(key="material-soft").set_value("void").run()
    app.selectbox(key="material-stiff").set_value("aluminium").run()
    assert not app.exception
    assert asked_for(app).pair == TwoPhase(phase_by_name("aluminium"), VOID)
    # the stiffer one is always the first
    app.selectbox(key="material-soft").set_value("steel").run()
    assert asked_for(app).pair.stiff.name == "steel" and any("swapped" in box.value for box in app.info)
    app.text_input(key="own-material-name").set_value("mortar; own")
    app.number_input(key="own-material-density").set_value(2.1)
    press(app, "own-material-use-soft")
    soft = asked_for(app).pair.soft
    assert (soft.young_modulus, soft.density, soft.conductivity) == (10.0, 2.1, None)
    assert app.selectbox(key="material-soft").value == soft.name
    for page in ("predict", "explore", "compare", "model"):
        app.switch_page(f"pages/{page}.py").run()
        assert any(soft.name.partition(";")[0] in box.value for box in app.sidebar.markdown)


def test_any_quantity_is_asked_for_in_its_row(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.query_params["target"] = ["none"]
    app.query_params[state.COUNT] = "2"
    app.run()
    ask(app, pair=GLASS)
    assert "at least one quantity" in app.info[0].value
    app.selectbox(key=state.ADDED).set_value("density").run()
    assert asked_for(app).wanted[0].low == float("-inf")
    app.number_input(key="target-density-typed").set_value(1.9).run()
    app.selectbox(key=state.ADDED).set_value("E_x").run()
    app.selectbox(key="target-E_x-is").set_value("as large as possible").run()
    app.selectbox(key="target-E_x-priority").set_value(2.0).run()
    assert texts(app) == ["density=:1.9", "E_x=max@2"]
    assert app.title[0].value == "Designs for density at most 1.9 g/cm³, Ex as large as possible"
    labels = [line["label"] for line in galleries(app)[0]["panels"][0]["lines"]]
    assert labels == ["density g/cm³", "Ex GPa", "fraction"]
    # a number that the quantity cannot have is told in its row, and changes nothing
    app.number_input(key="target-density-typed").set_value(-3.0).run()
    assert any("must be positive" in box.value for box in app.error)
    assert texts(app) == ["density=:1.9", "E_x=max@2"]
    press(app, "undo")
    assert texts(app) == ["density=:1.9", "E_x=max"]
    assert not app.error
    press(app, "redo")
    press(app, "target-E_x-free")
    assert texts(app) == ["density=:1.9"]
    press(app, f"{state.FORMER}-0")
    assert texts(app) == ["density=:1.9", "E_x=max@2"]


def test_what_a_browser_still_shows_undoes_nothing(
    app_of_modes: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that has not got the values of an undone step sends those before with the next click."""
    app = app_of_modes
    app.query_params["target"] = ["E_x=40"]
    app.query_params[state.COUNT] = "1"
    app.run()
    for value in (41.0, 42.0):
        app.number_input(key="target-E_x-typed").set_value(value).run()
    press(app, "undo")
    app.number_input(key="target-E_x-typed").set_value(42.0)
    press(app, "undo")
    assert texts(app) == ["E_x=40"]
    app.number_input(key="target-E_x-typed").set_value(41.0).run()  # what the first step showed
    assert texts(app) == ["E_x=40"]
    press(app, "redo")
    press(app, "redo")
    assert texts(app) == ["E_x=42"]
    monkeypatch.setattr(controls, "_ON_THE_WAY", 0.0)  # later it is what the user means
    app.number_input(key="target-E_x-typed").set_value(41.0).run()
    assert texts(app) == ["E_x=41"]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (["E_x=500"], "above Voigt"),
        (["E=10", "nu=0.3", "K=40"], "exclude"),
        (["alpha_x=3"], "needs the thermal expansion"),
    ],
)
def test_what_cannot_be_is_told_beside_the_targets(
    app_of_modes: AppTest, wanted: list[str], complaint: str
) -> None:
    app = app_of_modes
    app.query_params["target"] = wanted
    app.run()
    phase = replace(GLASS.soft, thermal_expansion=None)
    ask(app, pair=replace(GLASS, soft=phase))
    assert not app.exception
    assert any(complaint in box.value.replace("\\", "") for box in app.sidebar.error)
    assert app.title[0].value.startswith("No designs for")


def test_constraints_are_answered_on_every_card(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.query_params["target"] = ["density=:2.4"]
    app.query_params[state.COUNT] = "2"
    app.query_params["soft"], app.query_params["stiff"] = "epoxy", "E-glass"
    app.session_state[state.CONSTRAINTS_BOX] = True
    app.run()
    app.button_group(key="constraint-chips").set_value(["connected_soft"]).run()
    app.number_input(key="voxel-length").set_value(10.0).run()
    assert asked_for(app).constraints == Constraints(connected={"soft": "xyz"})
    assert asked_for(app).voxel == VoxelLength(value=10.0, unit="µm")
    app.number_input(key="constraint-feature").set_value(20.0).run()
    assert not app.exception
    assert asked_for(app).constraints.min_feature_soft == 2.0
    for panel in galleries(app)[0]["panels"]:
        marks = {mark["text"]: mark["met"] for mark in panel["marks"]}
        assert set(marks) == {
            "Soft phase connected",
            "Least feature, stiff 2 voxels (20 µm)",
            "Least feature, soft 2 voxels (20 µm)",
        }
    assert any("edges of 160 µm" in box.value for box in app.caption)
    # the box is closed, and opened again: nothing is hidden, nothing is lost
    asked = asked_for(app)
    app.session_state[state.CONSTRAINTS_BOX] = False
    app.run()
    (told,) = [box.value for box in app.sidebar.caption if "In force" in box.value]
    assert "Soft phase connected" in told and "soft 2 voxels (20 µm)" in told and "voxel of 10 µm" in told
    assert not [box for box in app.number_input if box.key == "voxel-length"]
    app.session_state[state.CONSTRAINTS_BOX] = True
    app.run()
    assert app.number_input(key="voxel-length").value == 10.0 and asked_for(app) == asked


def test_designs_that_meet_the_constraints_come_first(modes_checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(modes_checkpoint_path)
    designs = design(checkpoint, parse(["C11=60"]), 4, 16)
    met = np.array([[False], [True], [False], [True]])
    (row,) = design_rows(checkpoint, replace(designs, component=np.full(4, 6), met=met))
    assert row.panels == [1, 3, 0, 2]


def test_a_design_of_an_own_mode_is_put_aside_under_its_name(modes_checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(modes_checkpoint_path)
    designs = design(checkpoint, parse(["C11=60"]), 1, 16)
    own = [*designs.modes]
    own[designs.component[0]] = "our-fibres"
    assert design_item(checkpoint, replace(designs, modes=tuple(own)), 0, None).mode == "our-fibres"


def test_designs_that_carry_nothing_are_told(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.query_params["stiff"], app.query_params["soft"] = "aluminium", "void"
    app.query_params["target"] = "E_x=max"
    app.run()
    designs = app.session_state[state.DESIGNS]
    assert not app.exception and designs.idle and not designs.idle.kept
    (told,) = [item.value for item in app.caption if "pieces apart in the void" in item.value]
    assert told.startswith("Designs in pieces") and "without Ex" in told and "are left out" in told
    for mode, (few, many) in designs.idle.counts.items():
        assert f"{mode.replace('-', ' ')} \\({few} of {many}\\)" in told
