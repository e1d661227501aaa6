"""Figures of the Compare page."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from comparing import item
from numpy.typing import NDArray

from pages.parts.common.sessions.shortlist import MAX_ITEMS, ShortlistItem, add_item
from pages.parts.common.views.figures import TARGET
from pages.parts.compare import tables
from pages.parts.compare.figures import (
    item_line,
    parallel_figure,
    section_figure,
    statistics_figure,
    surfaces_figure,
)
from pages.parts.compare.tables import Compared, compare
from vaereg.elasticity import PROPERTIES, isotropic_stiffness
from vaereg.generators.shapes import laminate
from vaereg.microstructure.morphology import measure


def traces(figure: go.Figure) -> list[Any]:
    return list(figure.data)


def compared(count: int) -> list[Compared]:
    items: list[ShortlistItem] = []
    for seed in range(count):
        items = add_item(items, item(seed, solved=seed % 2 == 0))
    return compare(items, lambda entry: measure(entry.volume))


def test_a_full_shortlist_has_a_letter_and_a_line_for_each() -> None:
    every = compared(MAX_ITEMS)
    assert len({entry.letter for entry in every}) == MAX_ITEMS
    assert len({tuple(item_line(i).values()) for i in range(MAX_ITEMS)}) == MAX_ITEMS
    figure = statistics_figure({entry.letter: entry.statistics for entry in every})
    assert len(traces(figure)) == 9 * MAX_ITEMS


def lightness_and_colour(color: str) -> NDArray[np.float64]:
    """OKLab of a colour #rrggbb, https://bottosson.github.io/posts/oklab."""
    parts = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    cones = [[0.41222, 0.53633, 0.05145], [0.2119, 0.6807, 0.1074], [0.0883, 0.28172, 0.62998]]
    mix = [[0.21045, 0.79362, -0.00407], [1.978, -2.42859, 0.45059], [0.0259, 0.78277, -0.80868]]
    return np.array(mix) @ np.cbrt(np.array(cones) @ linear)


def test_no_design_has_the_colour_of_the_target() -> None:
    lines = [lightness_and_colour(item_line(index)["color"]) for index in range(MAX_ITEMS)]
    assert min(np.linalg.norm(lines - lightness_and_colour(TARGET), axis=1)) > 0.13


def test_parallel_coordinates_hold_every_figure() -> None:
    every = compared(3)
    axes = tables.property_axes(every)
    assert list(axes)[:6] == [f"{name} [GPa]" for name in PROPERTIES]
    figure = parallel_figure([entry.letter for entry in every], ["solver", "file", "predicted"], axes)
    dimensions = traces(figure)[0]["dimensions"]
    assert [entry["label"] for entry in dimensions] == ["design", "source", *axes]
    for dimension in dimensions:
        low, high = dimension["range"]
        assert low < np.min(dimension["values"]) and np.max(dimension["values"]) <= high


def test_curves_of_a_laminate() -> None:
    """Layers of 4 stiff and 4 soft voxels along x: two-point correlation and paths are known."""
    figure = statistics_figure({"A": measure(laminate([4, 4], axis=0))})
    curves = [np.asarray(trace["y"]) for trace in traces(figure)]
    np.testing.assert_allclose(curves[0], [0.5, 0.375, 0.25, 0.125, 0.0], atol=1e-12)
    np.testing.assert_allclose(curves[1], 0.5)
    np.testing.assert_allclose(curves[3], [0.5, 0.375, 0.25, 0.125, 0.0], atol=1e-12)
    np.testing.assert_allclose(curves[4], 0.5)


def test_directional_figures_of_an_isotropic_material_are_round() -> None:
    stiffness = isotropic_stiffness(12.0, 0.25)
    for trace in traces(surfaces_figure({"A": stiffness, "B": 2.0 * stiffness})):
        radius = np.sqrt(sum(np.asarray(trace[axis]) ** 2 for axis in "xyz"))
        np.testing.assert_allclose(radius, np.asarray(trace["surfacecolor"]))
        np.testing.assert_allclose(radius, 12.0 if trace["scene"] == "scene" else 24.0)
    sections = traces(section_figure({1: stiffness}, ["A", "B"]))
    assert [trace["name"] for trace in sections] == ["B"] * 3
    np.testing.assert_allclose([trace["r"] for trace in sections], 12.0)
