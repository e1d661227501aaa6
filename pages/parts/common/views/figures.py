"""Arrays to Plotly figures, and the colours of the dashboard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.engineering import directional_young
from vaereg.generators.families import FAMILIES
from vaereg.generators.morphologies import MORPHOLOGIES
from vaereg.materials import TwoPhase
from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES
from vaereg.targets.bounds import quantity_bounds

__all__ = [
    "CLASS_COLORS",
    "COMPONENT_COLORS",
    "FRACTION",
    "GREY_LINE",
    "ONE_SIGMA",
    "add_bounds",
    "class_rank",
    "class_style",
    "class_title",
    "deviation_figure",
    "isosurface_figure",
    "prediction_figure",
    "young_scene",
    "young_surface",
]

CLASS_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#a3902a", "#8a929c")
"""Told apart by readers of any colour vision (after Okabe & Ito 2008), on light and dark grounds."""
CLASS_SYMBOLS = ("circle", "triangle-up", "cross")
"""One for every turn through the colours; diamonds and stars are for what lies over a map."""
COMPONENT = "component "
"""Beginning of the name of a component; its number, from 1, follows."""
MAX_POINTS = 2000
"""Largest number of points of a plot in which points can be chosen."""
ONE_SIGMA = 0.682689
"""Probability of a normal variable to lie within one standard deviation of its mean [-]."""

COMPONENT_COLORS = (
    *("#3f7fd6", "#f9601f", "#17a92a", "#8b50ad", "#a8912c", "#c92970"),
    *("#3e9e96", "#a55628", "#b471fa", "#55751d", "#c4819e"),
)
"""One per mode or component: contrast of 3 or more on both grounds, and 0.148 or more apart in OKLab."""
PREDICTED = "#3f7fd6"
SOLVER = "#d9892b"
TARGET = "#2f9e78"
GREY = "rgba(128, 138, 150, 0.28)"
GREY_LINE = "rgba(128, 138, 150, 0.9)"
FRACTION = "volume_fraction"

LAYOUT: dict[str, Any] = {
    "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    "hovermode": "closest",
    "modebar": {"bgcolor": "rgba(0,0,0,0)"},
}


def add_bounds(figure: go.Figure, axes: tuple[str, str], materials: TwoPhase) -> None:
    """The bounds of the phases: of one quantity over the volume fraction, or of two at any fraction."""
    fraction = np.linspace(0.01, 0.99, 50)
    across, up = (quantity_bounds(name, fraction, materials) for name in axes)
    style = {"color": GREY_LINE, "width": 1, "dash": "dot"}
    if FRACTION in axes:
        lines = [(across.low, up.low), (across.high, up.high)]
    else:
        lines = [(across.low, up.high), (across.high, up.low)]
    for place, (x, y) in enumerate(lines):
        if np.isfinite(x).all() and np.isfinite(y).all():
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                name="bounds",
                legendgroup="bounds",
                showlegend=place == 0,
                line=style,
                hoverinfo="name",
            )


def young_scene(most: float) -> dict[str, Any]:
    """A scene that has room for directional surfaces of any shape, Young's moduli up to `most` [GPa]."""
    camera = {"eye": {"x": 1.25, "y": 1.25, "z": 0.9}, "projection": {"type": "orthographic"}}
    axis = {"showbackground": False, "zeroline": False, "range": [-1.05 * most, 1.05 * most], "nticks": 5}
    axes = {f"{name}axis": {**axis, "title": {"text": f"{name} [GPa]"}} for name in "xyz"}
    return {"aspectmode": "cube", "camera": camera} | axes


def young_surface(stiffness: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Surface of all points E(n) n, n a unit vector, of a stiffness (6, 6) [GPa].

    Returns:
        Parts of a Plotly surface, each of shape (A, B): x, y, z of the points and E as surfacecolor [GPa].
    """
    azimuth, polar = np.linspace(0.0, 2.0 * np.pi, 73)[:, None], np.linspace(0.0, np.pi, 37)
    directions = np.stack(
        [
            np.cos(azimuth) * np.sin(polar),
            np.sin(azimuth) * np.sin(polar),
            np.ones_like(azimuth) * np.cos(polar),
        ],
        axis=-1,
    )
    young = directional_young(stiffness, directions)
    x, y, z = np.moveaxis(directions * young[..., None], -1, 0)
    return {"x": x, "y": y, "z": z, "surfacecolor": young}


def deviation_figure(
    names: Sequence[str],
    bands: Sequence[tuple[float, float]],
    predicted: ArrayLike,
    solver: ArrayLike,
    spread: ArrayLike | None = None,
) -> go.Figure:
    """Quantities of one cell against what is wanted of them, a line each.

    Args:
        names: Symbols of the T quantities.
        bands: Ends of what is wanted, relative to its middle [-]; infinite where there is none.
        predicted: Predicted quantities, in the same sense, shape (T,) [-].
        solver: Those of the solver, shape (T,) [-]; NaN where it has none.
        spread: Standard deviation of the predicted ones, shape (T,) [-]; NaN where it is not known.
    """
    own, truth = 100 * np.asarray(predicted), 100 * np.asarray(solver)
    known = np.concatenate([own[np.isfinite(own)], truth[np.isfinite(truth)], [0.0]])
    most = max(5.0, 1.25 * float(np.abs(known).max()))
    figure = go.Figure()
    ends = [[100 * end if np.isfinite(end) else np.sign(end) * most for end in band] for band in bands]
    figure.add_bar(
        y=list(names),
        base=[low - 0.1 for low, _ in ends],
        x=[high - low + 0.2 for low, high in ends],
        orientation="h",
        width=0.5,
        name="target",
        marker={"color": TARGET, "opacity": 0.45, "line": {"width": 0}},
        hovertemplate="%{y} target<extra></extra>",
    )
    error = None
    if spread is not None:
        half = 100 * np.nan_to_num(np.asarray(spread))
        error = (half, half)
    title = "predicted, ± std" if spread is not None else "predicted"
    _add_points(figure, title, names, own, PREDICTED, "circle", error=error, unit="%")
    if np.isfinite(truth).any():
        _add_points(figure, "solver", names, truth, SOLVER, "diamond", unit="%")
    figure.update_layout(**LAYOUT, height=max(190, 90 + 44 * len(names)), bargap=0.4)
    figure.update_layout(margin={"l": 34, "t": 44, "b": 68})  # where Plotly has to make room, it draws twice
    figure.update_xaxes(title="off the middle of the target [%]", range=[-most, most], zeroline=True)
    figure.update_yaxes(autorange="reversed", ticks="", showgrid=False, categoryarray=list(names))
    return figure


def prediction_figure(
    mean: ArrayLike,
    least: ArrayLike,
    most: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    solver: ArrayLike | None,
    bounds_name: str = "Reuss to Voigt bound",
) -> go.Figure:
    """The properties of a volume between its bounds.

    Args:
        mean: Predicted properties [GPa], shape (6,); NaN where there is no prediction.
        least: Lower end of the 90 % interval [GPa], shape (6,).
        most: Upper end of the 90 % interval [GPa], shape (6,).
        lower: Lower bounds [GPa], shape (6,).
        upper: Upper bounds [GPa], shape (6,).
        solver: The solver's properties [GPa], shape (6,), or None.
        bounds_name: Name of the bounds.
    """
    bounds = list(zip(np.asarray(lower), np.asarray(upper), strict=True))
    figure = _range_figure(bounds, bounds_name)
    middle = np.asarray(mean)
    error = (middle - np.asarray(least), np.asarray(most) - middle)
    if np.isfinite(middle).all():
        _add_points(figure, "predicted, 90 % interval", PROPERTIES, middle, PREDICTED, "circle", error=error)
    figure.update_layout(height=460)
    if solver is not None:
        _add_points(figure, "solver", PROPERTIES, np.asarray(solver), SOLVER, "diamond")
    return figure


def _range_figure(ranges: Sequence[tuple[float, float]], name: str) -> go.Figure:
    figure = go.Figure()
    figure.add_bar(
        y=list(PROPERTIES),
        base=[low for low, _ in ranges],
        x=[high - low for low, high in ranges],
        orientation="h",
        width=0.5,
        name=name,
        marker={"color": GREY, "line": {"width": 0}},
        customdata=[[low, high] for low, high in ranges],
        hovertemplate="%{y} " + name + ": %{customdata[0]:.1f} to %{customdata[1]:.1f} GPa<extra></extra>",
    )
    figure.update_layout(**LAYOUT, height=320, bargap=0.4)
    figure.update_xaxes(title="stiffness [GPa]", rangemode="tozero", zeroline=False)
    figure.update_yaxes(autorange="reversed", ticks="", showgrid=False, categoryarray=list(PROPERTIES))
    return figure


def _add_points(
    figure: go.Figure,
    name: str,
    properties: Sequence[str],
    values: NDArray[np.float64] | Sequence[float],
    color: str,
    symbol: str,
    *,
    error: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    unit: str = "GPa",
) -> None:
    bars = None
    if error is not None:
        below, above = error
        bars = {"type": "data", "symmetric": False, "arrayminus": list(below), "array": list(above)}
        bars |= {"thickness": 2, "width": 5, "color": color}
    figure.add_scatter(
        x=list(values),
        y=list(properties),
        mode="markers",
        name=name,
        marker={"color": color, "symbol": symbol, "size": 10, "line": {"width": 1, "color": color}},
        error_x=bars,
        hovertemplate="%{y} " + name + ": %{x:.1f} " + unit + "<extra></extra>",
    )


def drawn_points(count: int) -> NDArray[np.intp]:
    """Which of so many points are drawn: all, or an even choice of as many as a plot can bear."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(np.intp))


def class_style(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Colour and symbol of a class: those of its own wherever it is a family, a component or a mode.

    Classes of morphologies have the colour of their mode.
    """
    if name.startswith(COMPONENT):
        number = int(name.removeprefix(COMPONENT)) - 1
        return COMPONENT_COLORS[number % len(COMPONENT_COLORS)], "circle"
    if set(names) <= {*MODE_NAMES, *MORPHOLOGIES}:
        mode = MODE_NAMES.index(name) if name in MODE_NAMES else CLASS_MODES[name]
        others = [other for other in MORPHOLOGIES if CLASS_MODES[other] == mode]
        turn = others.index(name) if name in others else 0
        turn += mode % 2  # neighbours in the palette differ in their symbol, too
        return COMPONENT_COLORS[mode % len(COMPONENT_COLORS)], CLASS_SYMBOLS[turn % len(CLASS_SYMBOLS)]
    number = list(FAMILIES if name in FAMILIES else names).index(name)
    turn = number // len(CLASS_COLORS) % len(CLASS_SYMBOLS)
    return CLASS_COLORS[number % len(CLASS_COLORS)], CLASS_SYMBOLS[turn]


_CLASS_TITLES = {"tpms": "minimal surface", "gaussian": "random field"}
"""Classes whose names say nothing to an engineer."""


def class_title(name: str) -> str:
    """Class, family or mode as a figure names it: "closed foam", "minimal surface" of "tpms"."""
    return _CLASS_TITLES.get(name, name.replace("-", " "))


def class_rank(name: str) -> tuple[int, str]:
    """Place of a class in a legend: families, modes and morphologies in the order of their catalogues."""
    families, count = list(FAMILIES), len(FAMILIES) + len(MODE_NAMES)
    if name in MODE_NAMES or name in CLASS_MODES:
        mode = MODE_NAMES.index(name) if name in MODE_NAMES else CLASS_MODES[name]
        return len(families) + mode, name
    return families.index(name) if name in families else count, name


def isosurface_figure(volume: NDArray[np.uint8]) -> go.Figure:
    """Surface of the stiff phase of a volume (X, Y, Z), of every n-th voxel where it is large."""
    step = -(-max(volume.shape) // 40)
    coarse = np.pad(volume[::step, ::step, ::step], 1)
    x, y, z = (step * (axis.ravel() - 0.5) for axis in np.indices(coarse.shape))
    figure = go.Figure(
        go.Isosurface(
            x=x,
            y=y,
            z=z,
            value=coarse.ravel().astype(np.float64),
            isomin=0.5,
            isomax=0.5,
            surface_count=1,
            caps={"x_show": False, "y_show": False, "z_show": False},
            colorscale=[(0, PREDICTED), (1, PREDICTED)],
            showscale=False,
            hoverinfo="skip",
        )
    )
    figure.update_layout(**LAYOUT, height=560)
    figure.update_scenes(
        aspectmode="data",
        xaxis_title="x [voxel]",
        yaxis_title="y [voxel]",
        zaxis_title="z [voxel]",
    )
    return figure
