"""Arrays to the Plotly figure of what is reachable, the property closure; imports no Streamlit."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from pages.parts.common.figures import PREDICTED, SOLVER, TARGET
from vaereg.elasticity import PROPERTIES, reuss_bound, voigt_bound
from vaereg.materials import TwoPhase
from vaereg.targets import Target

__all__ = ["axis_title", "closure_figure", "default_axes"]

FRACTION = "volume_fraction"
_CLOUD = [[0.0, "rgba(128, 138, 150, 0.2)"], [1.0, "rgba(128, 138, 150, 0.9)"]]
_CLOUD_BINS = (56, 44)
_BOUND = "rgba(128, 138, 150, 0.9)"


def axis_title(name: str) -> str:
    """A property with its unit."""
    return "volume fraction [-]" if name == FRACTION else f"{name} [GPa]"


def default_axes(targets: Mapping[str, Target], names: list[str]) -> tuple[str, str]:
    """The two properties that say most about a target: the first and the last that are fixed."""
    fixed = [name for name in names if name in targets]
    if len(fixed) > 1:
        return fixed[0], fixed[-1]
    axis = fixed[0] if fixed else names[0]
    return (FRACTION if FRACTION in names and axis != FRACTION else next(n for n in names if n != axis)), axis


def closure_figure(
    axes: tuple[str, str],
    reachable: Mapping[str, NDArray[np.float64]],
    targets: Mapping[str, Target],
    predicted: Mapping[str, NDArray[np.float64]],
    solver: Mapping[str, NDArray[np.float64]],
    materials: TwoPhase,
) -> go.Figure:
    """Where a target lies among what is reachable, in the plane of two properties.

    Args:
        axes: Names of the properties across and up.
        reachable: Properties of volumes of the training set's kind by name, shape (M,) each.
        targets: Value or range per property that is asked for.
        predicted: Properties of the designs by name, shape (N,) each; none where there are no designs.
        solver: The same by the solver, NaN where not known.
        materials: The two phases, for the bounds of Voigt and Reuss.
    """
    figure = go.Figure()
    across, up = axes
    hover = f"{axis_title(across)} %{{x:.3g}}<br>{axis_title(up)} %{{y:.3g}}"

    def points(name: str, source: Mapping[str, NDArray[np.float64]], marker: dict[str, object]) -> None:
        if across in source and up in source:
            figure.add_scatter(
                x=source[across], y=source[up], mode="markers", name=name, marker=marker, hovertemplate=hover
            )

    _add_cloud(figure, reachable[across], reachable[up])
    if across != up:
        _add_bounds(figure, axes, materials)
    points("designs, predicted", predicted, {"color": PREDICTED, "size": 6})
    points("designs, solver", solver, {"color": SOLVER, "size": 6, "symbol": "diamond"})
    _add_target(figure, axes, targets)
    figure.update_layout(
        margin={"l": 4, "r": 6, "t": 4, "b": 4},
        height=250,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        hovermode="closest",
    )
    figure.update_xaxes(title={"text": axis_title(across), "standoff": 4}, zeroline=False)
    figure.update_yaxes(title={"text": axis_title(up), "standoff": 4}, zeroline=False)
    return figure


def _add_cloud(figure: go.Figure, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """How many known volumes lie where, as one picture: marks for all would take the browser long to draw."""
    counts, columns, rows = np.histogram2d(x, y, _CLOUD_BINS)
    figure.add_heatmap(
        x=(columns[1:] + columns[:-1]) / 2.0,
        y=(rows[1:] + rows[:-1]) / 2.0,
        z=np.where(counts > 0, np.log(np.maximum(counts, 1)), np.nan).T,
        name="training set",
        colorscale=_CLOUD,
        showscale=False,
        hoverinfo="skip",
    )


def _add_bounds(figure: go.Figure, axes: tuple[str, str], materials: TwoPhase) -> None:
    """The bounds of Voigt and Reuss: of one property over the volume fraction, or of two at any fraction."""
    fraction = np.linspace(0.0, 1.0, 41)
    upper, lower = (bound(fraction, materials) for bound in (voigt_bound, reuss_bound))

    def ends(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if name == FRACTION:
            return fraction, fraction
        index = PROPERTIES.index(name)
        return upper[:, index, index], lower[:, index, index]

    (most_x, least_x), (most_y, least_y) = map(ends, axes)
    style = {"color": _BOUND, "width": 1, "dash": "dot"}
    for title, x, y in (
        ("Voigt bound", most_x, most_y if FRACTION in axes else least_y),
        ("Reuss bound", least_x, least_y if FRACTION in axes else most_y),
    ):
        name = title if FRACTION in axes else "bounds of Voigt and Reuss"
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=style, hoverinfo="name")


def _add_target(figure: go.Figure, axes: tuple[str, str], targets: Mapping[str, Target]) -> None:
    """A cross, a line or a box: across what is fixed, from side to side where it is free."""
    ends = [targets.get(name) for name in axes]
    lows = [end[0] if isinstance(end, tuple) else end for end in ends]
    highs = [end[1] if isinstance(end, tuple) else end for end in ends]
    line = {"color": TARGET, "width": 2}
    if all(isinstance(end, float) for end in ends):
        marker = {"color": TARGET, "symbol": "cross-thin", "size": 16, "line": {"width": 3, "color": TARGET}}
        figure.add_scatter(x=lows[:1], y=lows[1:], mode="markers", name="target", marker=marker)
    elif None not in ends:
        figure.add_shape(type="rect", x0=lows[0], x1=highs[0], y0=lows[1], y1=highs[1], line=line)
    elif ends[0] is not None:
        figure.add_vrect(x0=lows[0], x1=highs[0], line=line, fillcolor=TARGET, opacity=0.25)
    elif ends[1] is not None:
        figure.add_hrect(y0=lows[1], y1=highs[1], line=line, fillcolor=TARGET, opacity=0.25)
