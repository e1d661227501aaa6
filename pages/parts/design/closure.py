"""Arrays to the Plotly figure of what is reachable, the property closure; imports no Streamlit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from pages.parts.common.requests.quantities import axis_title
from pages.parts.common.views.figures import FRACTION, PREDICTED, SOLVER, TARGET, add_bounds
from vaereg.materials import TwoPhase
from vaereg.targets import Targets

__all__ = ["closure_figure", "default_axes"]

_CLOUD = [[0.0, "rgba(128, 138, 150, 0.2)"], [1.0, "rgba(128, 138, 150, 0.9)"]]
_CLOUD_BINS = (56, 44)


def default_axes(targets: Targets) -> tuple[str, str]:
    """The two quantities that say most about a target: the first and the last that are asked for."""
    first, *others = targets.names
    if others:
        return first, others[-1]
    return FRACTION, "E_x" if first == FRACTION else first


def closure_figure(
    axes: tuple[str, str],
    reachable: Mapping[str, NDArray[np.float64]],
    targets: Targets,
    predicted: Mapping[str, NDArray[np.float64]],
    solver: Mapping[str, NDArray[np.float64]],
    materials: TwoPhase,
) -> go.Figure:
    """Where a target lies among what is reachable, in the plane of two quantities.

    Args:
        axes: Names of the quantities across and up.
        reachable: Quantities of known volumes by name, shape (M,) each; empty where they are not known.
        targets: What is wanted.
        predicted: Quantities of the designs by name, shape (N,) each; none where there are no designs.
        solver: The same by the solver, NaN where not known.
        materials: The two phases, for the bounds.
    """
    figure = go.Figure()
    across, up = axes
    hover = f"{axis_title(across)} %{{x:.3g}}<br>{axis_title(up)} %{{y:.3g}}"

    def points(name: str, source: Mapping[str, NDArray[np.float64]], marker: dict[str, object]) -> None:
        if across in source and up in source:
            figure.add_scatter(
                x=source[across], y=source[up], mode="markers", name=name, marker=marker, hovertemplate=hover
            )

    known = np.isfinite(reachable[across]) & np.isfinite(reachable[up]) if across in reachable else ()
    if np.any(known):
        _add_cloud(figure, reachable[across][known], reachable[up][known])
    if across != up:
        add_bounds(figure, axes, materials)
    points("designs, predicted", predicted, {"color": PREDICTED, "size": 6})
    points("designs, solver", solver, {"color": SOLVER, "size": 6, "symbol": "diamond"})
    _add_target(figure, axes, targets)
    figure.update_layout(
        margin={"l": 54, "r": 6, "t": 4, "b": 196},  # where Plotly has to make room, it draws twice
        height=330,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": 11},
        },
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
        name="known volumes",
        colorscale=_CLOUD,
        showscale=False,
        showlegend=True,
        hoverinfo="skip",
    )


def _add_target(figure: go.Figure, axes: tuple[str, str], targets: Targets) -> None:
    """A cross, a line or a box: across what is fixed, from side to side where it is free."""
    ranges = [targets.range_of(name) for name in axes]
    line = {"color": TARGET, "width": 2}
    named = {"name": "target", "showlegend": True}
    ends = [value for pair in ranges for value in pair]
    if np.isfinite(ends).all() and all(low == high for low, high in ranges):
        marker = {"color": TARGET, "symbol": "cross-thin", "size": 16, "line": {"width": 3, "color": TARGET}}
        figure.add_scatter(x=[ranges[0][0]], y=[ranges[1][0]], mode="markers", marker=marker, **named)
        return
    bounded = [bool(np.isfinite(pair).any()) for pair in ranges]
    if not any(bounded):
        return
    spans: dict[str, Any] = {}
    for axis, (low, high), is_bounded in zip("xy", ranges, bounded, strict=True):
        if not is_bounded:
            spans |= {f"{axis}0": 0, f"{axis}1": 1, f"{axis}ref": f"{axis} domain"}
            continue
        # one side alone: as far as what is drawn goes
        values = [end for end in (low, high) if np.isfinite(end)]
        for trace in figure.select_traces():
            drawn = getattr(trace, axis, None)
            values += [] if drawn is None else np.asarray(drawn, dtype=np.float64).ravel().tolist()
        spans |= {
            f"{axis}0": low if np.isfinite(low) else float(np.nanmin(values)),
            f"{axis}1": high if np.isfinite(high) else float(np.nanmax(values)),
        }
    figure.add_shape(type="rect", line=line, fillcolor=TARGET, opacity=0.4, layer="below", **named, **spans)
