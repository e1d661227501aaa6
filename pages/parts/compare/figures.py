"""Figures of the Compare page: statistics, parallel coordinates, directional stiffness of several volumes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from pages.parts.common.views.figures import COMPONENT_COLORS, LAYOUT, TARGET, young_scene, young_surface
from vaereg.engineering import directional_young
from vaereg.microstructure.morphology import Statistics

__all__ = [
    "item_line",
    "parallel_figure",
    "section_figure",
    "statistics_figure",
    "surfaces_figure",
]

_SOURCES = ("predicted", "file", "solver")
_DASHES = ("solid", "dash", "dot")
_COLORS = tuple(color for color in COMPONENT_COLORS if color not in ("#17a92a", "#3e9e96"))
"""Those that are not taken for the target's."""
_ACROSS = 3
"""Surfaces beside each other."""


def item_line(index: int) -> dict[str, Any]:
    """Colour and dash of the line of one volume, the same in every figure."""
    count = len(_COLORS)
    return {"color": _COLORS[index % count], "dash": _DASHES[index // count % len(_DASHES)]}


def statistics_figure(statistics: Mapping[str, Statistics]) -> go.Figure:
    """Two-point correlation and lineal path of both phases along x, y, z, a line for each volume."""
    titles = [f"{name}, along {axis}" for name in ("Two-point", "Stiff path", "Soft path") for axis in "xyz"]
    figure = make_subplots(
        3, 3, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03, vertical_spacing=0.13
    )
    for index, (letter, curves_of) in enumerate(statistics.items()):
        for row, curves in enumerate(
            (curves_of.two_point, curves_of.lineal_path[1], curves_of.lineal_path[0]), start=1
        ):
            for column, curve in enumerate(curves, start=1):
                curve = curve[: len(curves_of.two_point[column - 1])]
                figure.add_scatter(
                    x=np.arange(len(curve)),
                    y=curve,
                    mode="lines",
                    name=letter,
                    legendgroup=letter,
                    showlegend=row == column == 1,
                    line={**item_line(index), "width": 2},
                    hovertemplate=f"{letter} at %{{x}} voxels: %{{y:.3f}}<extra></extra>",
                    row=row,
                    col=column,
                )
    figure.update_layout(**_layout(), height=680)
    figure.update_layout(legend={"y": 1.06}, margin={"l": 8, "r": 12, "t": 8, "b": 8})
    figure.update_annotations(font={"size": 13})
    figure.update_xaxes(rangemode="tozero", zeroline=False)
    figure.update_xaxes(title="lag [voxel]", row=3)
    figure.update_yaxes(rangemode="tozero", zeroline=False)
    figure.update_yaxes(title="probability [-]", col=1)
    return figure


def parallel_figure(
    letters: Sequence[str],
    sources: Sequence[str],
    axes: Mapping[str, ArrayLike],
    band: Mapping[str, tuple[float, float]] | None = None,
) -> go.Figure:
    """Parallel coordinates, a line for each volume; ranges that are drawn along the axes pick lines.

    Args:
        letters: Names of the N volumes.
        sources: Source of the properties per volume: predicted, file or solver.
        axes: Figures by the name of the axis, each of shape (N,).
        band: Least and largest wanted value by axis, infinite where there is none: two further lines, of
            which the one is the lower and the other the upper end of the target.
    """
    count, ends = len(letters), (band or {}) if set(band or {}) & set(axes) else {}
    places = np.arange(count)
    extra = [count - 0.5, count - 0.5] if ends else []
    dimensions = [
        {"label": "design", "values": [*places, *extra]}
        | {"tickvals": [*places, *extra[:1]], "ticktext": [*letters, *(["target"] if ends else [])]}
        | {"range": [-0.5, count - 0.5 + 0.5 * bool(ends)]},
        {
            "label": "source",
            "values": [*(_SOURCES.index(source) for source in sources), *([2, 2] if ends else [])],
        }
        | {"tickvals": [0, 1, 2], "ticktext": ["model", "file", "solver"], "range": [-0.3, 2.3]},
    ]
    for label, values in axes.items():
        given = np.asarray(values, dtype=np.float64)
        known = [end for end in ends.get(label, ()) if np.isfinite(end)]
        low, high = min(float(given.min()), *known, np.inf), max(float(given.max()), *known, -np.inf)
        digits = 1 if high > 1.0 else 3
        room = max(0.08 * (high - low), 0.005 * abs(high), 5.0 * 0.1**digits)  # ticks that differ
        dimensions.append({"label": label, "values": given, "tickformat": f".{digits}f"})
        most = min(high + room, 100.0) if label.endswith("[%]") else high + room
        dimensions[-1]["range"] = [low - room, most]
        if ends:
            least, largest = ends.get(label, (-np.inf, np.inf))
            own = [max(least, low - room), min(largest, most)]
            dimensions[-1]["values"] = np.append(given, own)
    width, last = count + 0.5 * bool(ends), count - 0.5 + 0.5 * bool(ends)
    scale = [(end / width, item_line(place)["color"]) for place in range(count) for end in (place, place + 1)]
    if ends:
        extra, scale = [last, last], [*scale, (count / width, TARGET), (1.0, TARGET)]
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": [*places, *extra], "colorscale": scale, "cmin": -0.5, "cmax": last},
            unselected={"line": {"color": "rgb(128, 138, 150)", "opacity": 0.12}},
            labelangle=-35,
            labelfont={"size": 12},
            tickfont={"size": 11},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},  # the ticks say it
        )
    )
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)", height=420, margin={"l": 50, "r": 120, "t": 110, "b": 24}
    )
    return figure


def surfaces_figure(stiffness: Mapping[str, ArrayLike]) -> go.Figure:
    """Young's modulus E(n) along every direction n, a surface for each stiffness (6, 6) [GPa]."""
    surfaces = {name: young_surface(matrix) for name, matrix in stiffness.items()}
    most = max(float(surface["surfacecolor"].max()) for surface in surfaces.values())
    least = min(float(surface["surfacecolor"].min()) for surface in surfaces.values())
    across = min(len(surfaces), _ACROSS)
    down = -(-len(surfaces) // across)
    figure = make_subplots(
        down,
        across,
        specs=[[{"type": "scene"}] * across] * down,
        subplot_titles=list(surfaces),
        horizontal_spacing=0.01,
        vertical_spacing=0.05,
    )
    for place, (name, surface) in enumerate(surfaces.items()):
        figure.add_surface(
            **surface,
            coloraxis="coloraxis",
            hovertemplate=name + " E(n) = %{surfacecolor:.1f} GPa<extra></extra>",
            row=1 + place // across,
            col=1 + place % across,
        )
    figure.update_scenes(young_scene(most))
    figure.update_layout(
        **_layout(),
        height=360 * down,
        coloraxis={
            "colorscale": "Viridis",
            "cmin": least,
            "cmax": most,
            "colorbar": {"title": {"text": "E(n) [GPa]"}, "thickness": 12, "len": 0.8},
        },
    )
    return figure


def section_figure(stiffness: Mapping[int, ArrayLike], letters: Sequence[str]) -> go.Figure:
    """Young's modulus in the planes y-z, x-z, x-y, all volumes in one figure.

    Args:
        stiffness: Shape (6, 6) [GPa], by the place of the volume among the letters.
        letters: Names of all volumes.
    """
    angle = np.linspace(0.0, 2.0 * np.pi, 121)
    planes = {"yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}
    most = 0.0
    figure = make_subplots(
        1,
        3,
        specs=[[{"type": "polar"}] * 3],
        subplot_titles=[f"plane {first}–{second}" for first, second in planes],
        horizontal_spacing=0.07,
    )
    for column, (first, second) in enumerate(planes.values(), start=1):
        directions: NDArray[np.float64] = np.zeros((len(angle), 3))
        directions[:, first], directions[:, second] = np.cos(angle), np.sin(angle)
        for place, matrix in stiffness.items():
            young = directional_young(matrix, directions)
            most = max(most, float(young.max()))
            figure.add_scatterpolar(
                r=young,
                theta=np.degrees(angle),
                mode="lines",
                name=letters[place],
                legendgroup=letters[place],
                showlegend=column == 1,
                line={**item_line(place), "width": 2},
                hovertemplate=letters[place] + " at %{theta:.0f}°: %{r:.1f} GPa<extra></extra>",
                row=1,
                col=column,
            )
        axes = {"tickmode": "array", "tickvals": [0, 90, 180, 270]}
        names = ["xyz"[first], "xyz"[second]]
        figure.update_polars(
            angularaxis={**axes, "ticktext": [*names, *(f"−{name}" for name in names)]},
            row=1,
            col=column,
        )
    radial = {"range": [0.0, 1.05 * most], "angle": 45, "tickangle": 45, "nticks": 4, "ticksuffix": " GPa"}
    figure.update_polars(radialaxis=radial, bgcolor="rgba(0,0,0,0)")
    figure.update_annotations(yshift=20, font={"size": 13})
    figure.update_layout(**_layout(), height=400)
    figure.update_layout(margin={"l": 30, "r": 30, "t": 80, "b": 30}, legend={"y": 1.2})
    return figure


def _layout() -> dict[str, Any]:
    return {**LAYOUT, "margin": {"l": 8, "r": 12, "t": 40, "b": 8}}
