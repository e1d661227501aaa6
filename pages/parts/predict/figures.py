"""Figures of one volume: grey values, surface, directional stiffness, the place among the training data."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from pages.parts.common.views.figures import GREY, LAYOUT, PREDICTED, TARGET, young_scene, young_surface

__all__ = [
    "grey_figure",
    "place_figure",
    "young_figure",
]


_SOFT = "#808a96"


def grey_figure(counts: ArrayLike, edges: ArrayLike, level: float) -> go.Figure:
    """Voxels per grey value, counts (B,) between edges (B + 1,), and the threshold.

    The scale is logarithmic: of many scans one value has most of the voxels.
    """
    borders = np.asarray(edges)
    centres = (borders[:-1] + borders[1:]) / 2
    stiff = centres > level
    figure = go.Figure()
    for name, chosen, color in (("soft", ~stiff, _SOFT), ("stiff", stiff, PREDICTED)):
        figure.add_bar(
            x=centres[chosen],
            y=np.asarray(counts)[chosen],
            name=name,
            marker={"color": color, "line": {"width": 0}},
            hovertemplate="value %{x:.4g}: %{y} voxels<extra></extra>",
        )
    figure.add_vline(x=level, line={"color": TARGET, "width": 2})
    figure.update_layout(**LAYOUT, height=190, bargap=0)
    figure.update_xaxes(title="grey value [-]")
    figure.update_yaxes(title="voxels", type="log", dtick=1, exponentformat="power", tickfont={"size": 10})
    return figure


def young_figure(stiffness: ArrayLike) -> go.Figure:
    """Young's modulus E(n) along every direction n of a stiffness (6, 6) [GPa], as a surface."""
    surface = young_surface(stiffness)
    figure = go.Figure()
    figure.add_surface(
        **surface,
        colorscale="Viridis",
        colorbar={"title": {"text": "E(n) [GPa]"}, "thickness": 12, "len": 0.7},
        customdata=surface["surfacecolor"],
        hovertemplate="E(n) = %{customdata:.1f} GPa<extra></extra>",
    )
    figure.update_layout(**LAYOUT, height=420)
    figure.update_scenes(young_scene(float(surface["surfacecolor"].max())))
    return figure


def place_figure(
    samples: NDArray[np.floating], place: NDArray[np.floating], nearest: NDArray[np.floating]
) -> go.Figure:
    """Place of a volume (2,) among those of the training samples (M, 2), of which some are nearest (N, 2)."""
    figure = go.Figure()
    marks = (
        ("training data", samples, {"color": GREY, "size": 4}),
        ("nearest", nearest, {"color": TARGET, "size": 9}),
        ("this volume", place[None], {"color": PREDICTED, "size": 14, "symbol": "diamond"}),
    )
    for name, points, marker in marks:
        figure.add_scattergl(
            x=points[:, 0], y=points[:, 1], mode="markers", name=name, marker=marker, hoverinfo="name"
        )
    figure.update_layout(**LAYOUT, height=360)
    figure.update_xaxes(title="first principal axis [-]", zeroline=False)
    figure.update_yaxes(title="second principal axis [-]", zeroline=False)
    return figure
