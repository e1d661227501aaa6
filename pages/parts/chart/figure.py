"""Arrays to the chart of materials and structures in the plane of two quantities; imports no Streamlit.

Letters: N points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from pages.parts.common.requests.quantities import axis_title, figure_text, missing_property
from pages.parts.common.views.figures import COMPONENT_COLORS, LAYOUT, TARGET
from vaereg.elasticity import isotropic_stiffness
from vaereg.materials import TwoPhase, library, library_rows
from vaereg.targets import CellProperties, Wanted

__all__ = ["GUIDES", "Points", "box_ends", "chart_figure", "guide_slope", "hull", "material_values"]

GUIDES = {"E/ρ": 1.0, "√E/ρ": 2.0, "∛E/ρ": 3.0}
"""Slopes of lines of equal merit on logarithmic axes of E over ρ: ties, beams and plates of least mass (Ashby
2011, Materials Selection in Mechanical Design, doi:10.1016/C2009-0-25539-5)."""
_KINDS = (
    "circle",
    "square",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "hexagon",
    "star-triangle-up",
    "bowtie",
)
LOG_AXIS: dict[str, Any] = {
    "type": "log",
    "tickvals": [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)],
}
"""A logarithmic axis whose marks are named in full."""
_LEAST = 3
"""Points that make a region."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """Named points of one kind."""

    title: str
    """What they are, for the legend."""
    x: NDArray[np.float64]
    """Values across, shape (N,)."""
    y: NDArray[np.float64]
    """Values up, shape (N,)."""
    names: Sequence[str]
    """Names of the N points."""
    color: str
    symbol: str


@cache
def material_values(name: str) -> dict[str, float]:
    """A quantity of every material of the library that has it, by the name of the material."""
    values: dict[str, float] = {}
    for key, phase in library().items():
        if phase.is_void:
            continue
        pair = TwoPhase(phase, phase)
        if missing_property(name, pair) or name == "volume_fraction":
            continue
        conductivity = None if phase.conductivity is None else phase.conductivity * np.eye(3)[None]
        cell = CellProperties(
            stiffness=isotropic_stiffness(phase.young_modulus, phase.poisson_ratio)[None],
            fraction=np.ones(1),
            materials=pair,
            conductivity=conductivity,
        )
        values[key] = float(cell.values([name])[0, 0])
    return values


def guide_slope(across: str, up: str, guide: str) -> float | None:
    """Slope of a line of equal merit on logarithmic axes; None where the axes are not E over the density."""
    is_young = up == "E" or up.startswith("E_")
    return GUIDES[guide] if across == "density" and is_young else None


def hull(x: NDArray[np.float64], y: NDArray[np.float64], logs: tuple[bool, bool]) -> NDArray[np.float64]:
    """Corners of the region of some points, shape (K, 2), straight between them on the axes as they are."""
    points = np.column_stack([np.log(x) if logs[0] else x, np.log(y) if logs[1] else y])
    points = np.unique(points[np.isfinite(points).all(axis=1)], axis=0)
    if len(points) < _LEAST:
        return np.empty((0, 2))
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all on a line
        ends = points[[points[:, 0].argmin(), points[:, 0].argmax()]]
        corners = ends
    corners = np.vstack([corners, corners[:1]])
    return np.column_stack([np.exp(corners[:, i]) if logs[i] else corners[:, i] for i in range(2)])


def chart_figure(
    axes: tuple[str, str],
    regions: Mapping[tuple[int, str], tuple[NDArray[np.float64], NDArray[np.float64]]],
    points: Sequence[Points],
    wanted: Sequence[Wanted],
    guide: str | None,
) -> go.Figure:
    """Library, reachable regions, designs and target in the plane of two quantities.

    Args:
        axes: Quantities across and up.
        regions: Values of the known volumes of each mode across and up, by its index and its title.
        points: Designs and shortlist.
        wanted: What is asked for.
        guide: One of `GUIDES`; None for no lines.
    """
    across, up = axes
    materials = [material_values(name) for name in axes]
    kinds: dict[str, list[str]] = {}
    for row in library_rows():
        if row["name"] in materials[0] and row["name"] in materials[1]:
            kinds.setdefault(row["kind"], []).append(row["name"])
    known = [*regions.values(), *((item.x, item.y) for item in points)]
    known += [
        tuple(np.array([values[name] for names in kinds.values() for name in names]) for values in materials)
    ]
    logs = tuple(all((pair[i][np.isfinite(pair[i])] > 0.0).all() for pair in known) for i in range(2))
    figure = go.Figure()
    for (mode, title), (x, y) in regions.items():
        corners = hull(x, y, (logs[0], logs[1]))
        color = COMPONENT_COLORS[mode % len(COMPONENT_COLORS)]
        figure.add_scatter(
            x=corners[:, 0],
            y=corners[:, 1],
            mode="lines",
            fill="toself",
            name=title,
            line={"color": color, "width": 1.5},
            fillcolor=color + "1c",
            hoverinfo="name",
        )
    hover = f"%{{text}}<br>{axis_title(across)} %{{x:.3g}}<br>{axis_title(up)} %{{y:.3g}}<extra></extra>"
    for place, (kind, names) in enumerate(kinds.items()):
        figure.add_scatter(
            x=[materials[0][name] for name in names],
            y=[materials[1][name] for name in names],
            text=names,
            mode="markers",
            name=kind,
            marker={"color": "rgba(128, 138, 150, 0.75)", "symbol": _KINDS[place % len(_KINDS)], "size": 7},
            hovertemplate=hover,
        )
    for item in points:
        figure.add_scatter(
            x=item.x,
            y=item.y,
            text=list(item.names),
            mode="markers",
            name=item.title,
            marker={"color": item.color, "symbol": item.symbol, "size": 10, "line": {"width": 1}},
            hovertemplate=hover,
        )
    _add_target(figure, axes, wanted)
    _add_guides(figure, axes, known, logs, guide)
    figure.update_layout(
        **{
            **LAYOUT,
            "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        },
        height=680,
        dragmode="select",
    )
    scales: list[dict[str, Any]] = [LOG_AXIS if is_log else {"type": "linear"} for is_log in logs]
    figure.update_layout(
        xaxis={"title": axis_title(across), **scales[0]}, yaxis={"title": axis_title(up), **scales[1]}
    )
    return figure


def _add_target(figure: go.Figure, axes: tuple[str, str], wanted: Sequence[Wanted]) -> None:
    """Lines or bands of what is asked for."""
    items = {item.name: item for item in wanted}
    for name, add in ((axes[0], figure.add_vrect), (axes[1], figure.add_hrect)):
        item = items.get(name)
        if item is None or not (np.isfinite(item.low) and np.isfinite(item.high)):
            continue
        ends: dict[str, Any] = (
            {"x0": item.low, "x1": item.high} if name == axes[0] else {"y0": item.low, "y1": item.high}
        )
        add(**ends, line={"color": TARGET, "width": 1.5}, fillcolor=TARGET, opacity=0.3, layer="below")


def _add_guides(
    figure: go.Figure,
    axes: tuple[str, str],
    known: Sequence[tuple[NDArray[np.float64], ...]],
    logs: Sequence[bool],
    guide: str | None,
) -> None:
    """Lines of equal merit, a decade or less apart, over what is shown."""
    slope = None if guide is None else guide_slope(axes[0], axes[1], guide)
    if slope is None or not all(logs):
        return
    x, y = (np.concatenate([np.asarray(pair[i], dtype=np.float64) for pair in known]) for i in range(2))
    shown = np.isfinite(x) & np.isfinite(y) & (x > 0.0) & (y > 0.0)
    if not shown.any():
        return
    x, y = np.log10(x[shown]), np.log10(y[shown])
    ends = np.array([x.min(), x.max()])
    low, high = np.quantile(y - slope * x, [0.05, 0.95]).tolist()
    for level in np.linspace(low, high, 5):
        merit = 10.0 ** (level / slope)
        figure.add_scatter(
            x=10.0**ends,
            y=10.0 ** (level + slope * ends),
            mode="lines",
            line={"color": "rgba(128, 138, 150, 0.8)", "width": 1, "dash": "dot"},
            name=f"{guide} = {figure_text(merit)}",
            hoverinfo="name",
            showlegend=False,
        )


def box_ends(box: Sequence[float], selected: Sequence[float], is_log: bool) -> tuple[float, float] | None:
    """Ends of a drawn box in the unit of its axis; None where they make no range.

    Plotly tells boxes on a logarithmic axis in values or in their logarithms, by its version: what is
    selected lies in the box.

    Args:
        box: Both ends as they are told.
        selected: Values of the points that are selected.
        is_log: Whether the axis is logarithmic.
    """
    if len(box) != 2 or not all(np.isfinite(box)):
        return None
    ends = sorted(map(float, box))
    if is_log and selected:
        inside = all(ends[0] <= value <= ends[1] for value in selected)
        if not inside:
            ends = [10.0**end for end in ends]
    elif is_log and ends[0] <= 0.0:
        ends = [10.0**end for end in ends]
    low, high = (float(f"{end:.3g}") for end in ends)
    return (low, high) if low < high else None
