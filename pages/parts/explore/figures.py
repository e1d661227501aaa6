"""Figures of the Explore page: latent maps, histograms of a selection, properties along a walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from pages.parts.common.views.figures import (
    CLASS_COLORS,
    GREY,
    LAYOUT,
    ONE_SIGMA,
    PREDICTED,
    class_rank,
    class_style,
    class_title,
    drawn_points,
)
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.walks import Walk
from vaereg.model.prediction import log_interval

__all__ = [
    "Overlay",
    "Shade",
    "histogram_figure",
    "map_figure",
    "walk_figure",
]

SHORTLIST_COLOR = "#e5484d"
DRAWN_AT_ONCE = 1300
"""Largest number of points that are drawn of those in sight: the browser takes as long for each as for a line
of text. All of them can be pointed at and chosen, and the closer the map is looked at, the more are drawn."""
_MAP_MARGIN = {"l": 64, "b": 156}
"""Room for the axes and the legend [px]: where Plotly has to make it, it draws all points twice."""
SEQUENTIAL = "Viridis"
"""Perceptually uniform, and monotonic in lightness."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shade:
    """Values that colour the points of a map."""

    name: str
    """Name of the values, with the unit in brackets."""
    values: NDArray
    """Numbers, or names of classes, shape (M,)."""

    @property
    def is_class(self) -> bool:
        """Whether the values are names."""
        return self.values.dtype.kind == "U"


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """Points that are laid over a map."""

    name: str
    keys: Sequence[str]
    """Identities of the points."""
    labels: Sequence[str]
    """Text under the pointer."""
    places: NDArray[np.floating]
    """Shape (N, 2)."""
    colors: Sequence[str]
    symbol: str


def map_figure(
    places: NDArray[np.floating],
    labels: Sequence[str],
    shade: Shade,
    *,
    axes: tuple[str, str],
    overlays: Sequence[Overlay] = (),
    selected: Sequence[int] = (),
) -> go.Figure:
    """A latent map, its points to be chosen with the pointer; `customdata` says which they are.

    Args:
        places: Places of the volumes, shape (M, 2); of more than `MAX_POINTS` an even choice is taken.
        labels: Text under the pointer, one per volume.
        shade: What colours them.
        axes: Titles of both axes.
        overlays: Points on top.
        selected: Volumes that are chosen already.
    """
    shown = drawn_points(len(places))
    figure, groups = go.Figure(), _groups(shade, shown)
    for name, rows, marker in groups:
        figure.add_scatter(  # so few points need no WebGL, whose start takes longer than to draw them
            x=places[rows, 0],
            y=places[rows, 1],
            mode="markers",
            name=name,
            marker={"size": 5, "opacity": 0.8, "maxdisplayed": DRAWN_AT_ONCE // len(groups)} | marker,
            customdata=rows.tolist(),
            text=[labels[row] for row in rows],
            selectedpoints=np.flatnonzero(np.isin(rows, selected)).tolist() if len(selected) else None,
            hovertemplate="%{text}<extra></extra>",
            showlegend=shade.is_class,
        )
    for overlay in overlays:
        figure.add_scatter(
            x=overlay.places[:, 0],
            y=overlay.places[:, 1],
            mode="markers",
            name=overlay.name,
            marker={
                "size": 13,
                "symbol": overlay.symbol,
                "color": list(overlay.colors),
                "line": {"width": 1.5, "color": "white"},
            },
            customdata=list(overlay.keys),
            text=list(overlay.labels),
            selected={"marker": {"opacity": 1.0}},
            unselected={"marker": {"opacity": 0.9}},
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=590, dragmode="pan", clickmode="event+select")
    figure.update_layout(margin=_MAP_MARGIN)
    figure.update_layout(modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"})
    below = {"y": -0.14, "yanchor": "top", "itemsizing": "constant", "font": {"size": 11}}
    figure.update_layout(
        legend={"orientation": "h", "x": 0} | (below if shade.is_class else {"y": 1.01, "yanchor": "bottom"})
    )
    figure.update_xaxes(title=axes[0], zeroline=False)
    figure.update_yaxes(title=axes[1], zeroline=False)
    return figure


def histogram_figure(
    all_values: Mapping[str, NDArray[np.floating]], chosen: Mapping[str, NDArray[np.floating]]
) -> go.Figure:
    """Histograms of a selection over those of the whole map, each scaled to its own number.

    Args:
        all_values: Values of all volumes by name with unit.
        chosen: Values of the selection, under the same names.
    """
    names, columns = list(all_values), 2
    rows = -(-len(names) // columns)
    figure = make_subplots(rows, columns, horizontal_spacing=0.05, vertical_spacing=0.5 / rows)
    for number, name in enumerate(names):
        place: dict[str, Any] = {"row": number // columns + 1, "col": number % columns + 1}
        edges = np.histogram_bin_edges(all_values[name], 24)
        bins = {"start": float(edges[0]), "end": float(edges[-1]) + 1e-9, "size": float(edges[1] - edges[0])}
        for values, label, color in ((all_values, "all", GREY), (chosen, "selection", PREDICTED)):
            figure.add_histogram(
                x=values[name],
                xbins=bins,
                autobinx=False,
                histnorm="percent",
                name=label,
                legendgroup=label,
                showlegend=number == 0,
                marker={"color": color},
                opacity=1.0 if label == "all" else 0.7,
                hovertemplate=f"{name} %{{x}}: %{{y:.1f}} % of {label}<extra></extra>",
                **place,
            )
        figure.update_xaxes(title=name, **place)
    figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_layout(**LAYOUT, height=150 * rows + 40, barmode="overlay", bargap=0.04)
    return figure


def walk_figure(
    places: ArrayLike, path: Walk, names: Sequence[str], *, step: int, axis: str, here: float | None = None
) -> go.Figure:
    """Properties along a walk through the latent space.

    Args:
        places: Where its steps are, shape (S,).
        path: The walk.
        names: Properties to draw.
        step: The one whose volume is shown.
        axis: Title of the axis of the places.
        here: Place where the walk was begun, if it is to be marked.
    """
    at = np.asarray(places, dtype=np.float64)
    figure = go.Figure()
    for name in names:
        row = [*PROPERTIES].index(name)
        color = CLASS_COLORS[row]
        mean = path.mean[:, row]
        least, most = log_interval(mean, path.std[:, row], ONE_SIGMA)
        figure.add_scatter(
            x=np.concatenate([at, at[::-1]]),
            y=np.concatenate([most, least[::-1]]),
            fill="toself",
            fillcolor=_faded(color),
            mode="none",
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=at,
            y=path.expected[:, row],
            mode="lines",
            line={"color": color, "dash": "dot", "width": 1.5},
            legendgroup=name,
            showlegend=False,
            hovertemplate=f"{name}, mean over realisations: %{{y:.1f}} GPa<extra></extra>",
        )
        figure.add_scatter(
            x=at,
            y=mean,
            mode="lines+markers",
            name=name,
            line={"color": color, "width": 2},
            marker={"size": [11 if number == step else 5 for number in range(len(at))], "color": color},
            legendgroup=name,
            hovertemplate=f"{name}, this volume: %{{y:.1f}} GPa<extra></extra>",
        )
    figure.add_vline(x=float(at[step]), line={"width": 1, "color": "#8a929c"})
    if here is not None:
        figure.add_vline(x=here, line={"width": 1, "color": "#8a929c", "dash": "dash"})
    figure.update_layout(**LAYOUT, height=400)
    figure.update_xaxes(title=axis, zeroline=False)
    figure.update_yaxes(title="stiffness [GPa]", rangemode="tozero", zeroline=False)
    return figure


def _groups(shade: Shade, shown: NDArray[np.intp]) -> list[tuple[str, NDArray[np.intp], dict]]:
    """Name, volumes and marker of every trace of a map."""
    values = shade.values[shown]
    if not shade.is_class:
        low, high = (float(end) for end in np.quantile(shade.values, (0.01, 0.99)))
        bar = {"title": {"text": shade.name, "side": "right"}, "thickness": 12, "outlinewidth": 0}
        scale = {"colorscale": SEQUENTIAL, "cmin": low, "cmax": high, "showscale": True, "colorbar": bar}
        return [("volumes", shown, {"color": values.tolist()} | scale)]
    names = sorted(set(shade.values.tolist()), key=class_rank)
    groups = []
    for name in names:
        color, symbol = class_style(name, names)
        groups.append((class_title(name), shown[values == name], {"color": color, "symbol": symbol}))
    return groups


def _faded(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.16)"
