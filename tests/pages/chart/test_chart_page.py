"""The Chart page: materials, regions, guide lines, and the box that asks for ranges."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st
from dashboard import SIZE, galleries
from streamlit.testing.v1 import AppTest

from pages.parts.chart.figure import Points, box_ends, chart_figure, guide_slope, hull, material_values
from pages.parts.chart.front import (
    CHOSEN,
    choose_card,
    choose_point,
    front_figure,
    front_targets,
    gain_words,
    picked_designs,
)
from pages.parts.chart.panel import with_ranges
from pages.parts.common.requests.request import Request
from vaereg.errors import InputError
from vaereg.inverse.direct import design
from vaereg.inverse.fronts.verified import DesignFront
from vaereg.inverse.orders import DesignOrder
from vaereg.materials import VOID, TwoPhase, library, phase_by_name
from vaereg.model.checkpoint import load_checkpoint
from vaereg.targets import Targets, parse

SQUARE = (np.array([1.0, 10.0, 1.0, 10.0, 3.0]), np.array([1.0, 1.0, 10.0, 10.0, 3.0]))


def test_materials_have_the_quantities_of_their_phase() -> None:
    young, specific = material_values("E"), material_values("specific_E_x")
    solid = {name: phase for name, phase in library().items() if not phase.is_void}
    assert set(young) == set(solid)
    for name, phase in solid.items():
        assert young[name] == pytest.approx(phase.young_modulus)
        if phase.density is not None:
            assert specific[name] == pytest.approx(phase.young_modulus / phase.density)
    copper = library()["copper"]
    assert material_values("k_x")["copper"] == pytest.approx(copper.conductivity)
    assert material_values("alpha")["copper"] == pytest.approx(copper.thermal_expansion)
    assert material_values("anisotropy")["copper"] == pytest.approx(0.0, abs=1e-9)
    assert material_values("volume_fraction") == {}


def test_regions_are_straight_on_the_axes_as_they_are() -> None:
    corners = hull(*SQUARE, (True, True))
    assert len(corners) == 5 and {tuple(corner) for corner in corners.round(9).tolist()} == {
        (1.0, 1.0),
        (10.0, 1.0),
        (10.0, 10.0),
        (1.0, 10.0),
    }
    assert len(hull(np.array([1.0, 2.0]), np.array([1.0, 2.0]), (False, False))) == 0
    line = hull(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), (False, False))
    assert line[:, 0].tolist() == [1.0, 3.0, 1.0]


def test_the_chart_has_legend_target_and_guide_lines() -> None:
    points = Points(
        title="designs, solver",
        x=np.array([1.5]),
        y=np.array([20.0]),
        names=["design #1"],
        color="#c92970",
        symbol="diamond",
    )
    figure: Any = chart_figure(
        ("density", "E_x"),
        {(6, "Closed foam"): SQUARE},
        [points],
        parse(["E_x=20:30", "density=:2"]).wanted,
        "√E/ρ",
    )
    names = [trace.name for trace in figure.data]
    assert {"Closed foam", "metal", "designs, solver"} <= set(names)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert len(figure.layout.shapes) == 1 and figure.layout.shapes[0].y0 == 20.0
    guides = [trace for trace in figure.data if trace.name.startswith("√E/ρ")]
    assert len(guides) == 5
    for trace in guides:  # √E/ρ is the same along each
        merit = np.sqrt(trace.y) / trace.x
        assert merit == pytest.approx([merit[0]] * 2)
    assert guide_slope("density", "nu", "E/ρ") is None and guide_slope("density", "E_z", "∛E/ρ") == 3.0
    linear: Any = chart_figure(
        ("density", "nu_xy"), {(6, "Closed foam"): (SQUARE[0], -SQUARE[1])}, [], (), "E/ρ"
    )
    assert linear.layout.yaxis.type == "linear" and not any(":" in (t.name or "") for t in linear.data)


@pytest.mark.parametrize(
    ("box", "selected", "is_log", "ends"),
    [
        ([2.0, 1.0], [], False, (1.0, 2.0)),
        ([10.0, 100.0], [50.0], True, (10.0, 100.0)),
        ([1.0, 2.0], [50.0], True, (10.0, 100.0)),
        ([-1.0, 1.0], [], True, (0.1, 10.0)),
        ([1.0], [], False, None),
        ([1.0, 1.0], [], False, None),
        ([float("nan"), 1.0], [], False, None),
    ],
)
def test_a_box_makes_ranges(
    box: list[float], selected: list[float], is_log: bool, ends: tuple[float, float] | None
) -> None:
    assert box_ends(box, selected, is_log) == (None if ends is None else pytest.approx(ends))


def test_a_box_replaces_the_target_or_joins_it() -> None:
    request = Request(wanted=parse(["E_x=20", "density=:2"]).wanted)
    ranges = {"density": (1.2, 1.8), "E": (5.0, 9.0)}
    alone, added = (with_ranges(request, ranges, keep=keep) for keep in (False, True))
    assert [item.text() for item in alone.wanted] == ["density=1.2:1.8", "E=5:9"]
    assert [item.text() for item in added.wanted] == ["E_x=20", "density=1.2:1.8", "E=5:9"]
    with pytest.raises(InputError, match="positive"):
        with_ranges(request, {"E": (-1.0, 2.0)}, keep=True)


def test_the_page_opens_with_and_without_designs(app_of_modes: AppTest) -> None:
    app = app_of_modes
    app.run()
    app.switch_page("pages/chart.py").run()
    assert not app.exception
    assert app.title[0].value == "Materials and structures"
    assert len(app.get("plotly_chart")) == 1
    app.selectbox("chart-up").set_value("nu_xy").run()
    assert not app.exception


def test_objectives_replace_what_was_asked_of_them() -> None:
    request = Request(wanted=parse(["E_x=20", "density=:2", "nu_xy=0.3", "E_z=max"]).wanted)
    targets = front_targets(request, ("density", "min"), ("E_x", "max"))
    assert [item.text() for item in targets] == ["nu_xy=0.3", "density=min", "E_x=max"]
    with pytest.raises(InputError, match="one twice"):
        front_targets(request, ("E_x", "min"), ("E_x", "max"))


def test_the_front_stands_beside_that_of_known_volumes() -> None:
    values, known = np.array([[1.0, 5.0], [2.0, 9.0]]), np.array([[2.0, 8.0], [1.0, 4.0]])
    pair = TwoPhase(phase_by_name("E-glass"), phase_by_name("epoxy"))
    figure = front_figure(["density", "E_x"], values, known, 1, pair)
    most, least, known_trace, own_trace = traces(figure)
    layout: Any = figure.layout
    assert layout.dragmode == "pan"  # with a box or a lasso in hand Streamlit hears of no click
    assert (least.y <= most.y).all() and [least.name, most.name] == ["bounds"] * 2
    assert [known_trace.name, own_trace.name] == ["known volumes", "designs, solver"]
    assert known_trace.x.tolist() == [1.0, 2.0] and own_trace.marker.size.tolist() == [10, 15]
    assert {trace.hoverinfo for trace in (most, least, known_trace)} == {"skip"} != {own_trace.hoverinfo}
    assert len(traces(front_figure(["density", "E_x"], values, np.empty((0, 2)), 0, pair))) == 4


def test_points_are_picked_as_streamlit_hands_them_on() -> None:
    known = {"curve_number": 2, "point_index": 7}
    points = [{"customdata": {"0": 3}}, {"customdata": [1]}, {"customdata": 1}, {"customdata": None}, known]
    assert picked_designs(points) == [1, 3] and picked_designs([]) == []


def traces(figure: go.Figure) -> list[Any]:
    """Traces of a figure."""
    return list(figure.select_traces())


def front_of(path: Path) -> DesignFront:
    """A front of three designs that cover more than known volumes do."""
    designs = design(load_checkpoint(path), {"C11": (40.0, 70.0)}, 3, SIZE)
    return DesignFront(
        designs=designs,
        properties=designs.cells,
        values=designs.cells.values(["volume_fraction", "E_x"]),
        known_values=np.array([[0.4, 30.0]]),
        hypervolume=0.5,
        known_hypervolume=0.4,
        candidates=3,
        judged=3,
        verified=3,
    )


def test_what_designs_gain_over_known_volumes_is_said(modes_checkpoint_path: Path) -> None:
    front, own = front_of(modes_checkpoint_path), TwoPhase()
    assert gain_words(front, own).endswith(
        "known volumes cover 40 %, the designs 50 %: the designs go beyond them."
    )
    words = gain_words(replace(front, hypervolume=0.396), TwoPhase(phase_by_name("E-glass"), VOID))
    assert "40 %: **the designs gain nothing over them**." in words
    assert words.endswith("Known volumes are estimated for these phases.")


def test_a_click_on_a_point_or_a_card_chooses_a_design(
    modes_checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session: dict[str, Any] = {CHOSEN: 0, "figure": {"selection": {"points": [{"customdata": [2]}]}}}
    monkeypatch.setattr(st, "session_state", session)
    choose_point("figure")
    assert session[CHOSEN] == 2
    points = [{"customdata": [0]}, {"customdata": [1]}]
    session["figure"] = {"selection": {"points": points}}
    choose_point("figure")  # what is drawn around some chooses none
    assert session[CHOSEN] == 2
    monkeypatch.setattr("pages.parts.chart.front.selected_volume", lambda key, volumes: len(volumes) - 1)
    choose_card(front_of(modes_checkpoint_path), [0, 1])  # the second one of those around which it is drawn
    assert session[CHOSEN] == 1


def test_a_trade_off_is_searched_in_the_background(
    app_of_modes: AppTest, modes_checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = front_of(modes_checkpoint_path)

    def found(order: DesignOrder, targets: Targets) -> DesignFront:
        assert targets.objectives[0].goal == "min" and order.size == SIZE
        return front

    monkeypatch.setattr("pages.parts.chart.front.find_front", found)
    app = app_of_modes.run()
    app.switch_page("pages/chart.py").run()
    next(button for button in app.button if button.label == "Find the trade-off").click().run()
    for _ in range(50):
        if galleries(app):
            break
        time.sleep(0.1)
        app.run()
    (shown,) = galleries(app)
    assert not app.exception and [panel["title"] for panel in shown["panels"]] == ["#1", "#2", "#3"]
