"""Figure of refinement: error against solves, a panel per design; imports no Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.parts.common.requests.modes import component_color
from pages.parts.common.views.figures import LAYOUT, SOLVER, TARGET

__all__ = ["Curve", "convergence_figure"]

COLUMNS = 6
_LEAST = 0.2
"""Lowest error that is drawn, in tolerances: one that is zero has no logarithm."""
_FEW_DECADES = 50
"""Largest over smallest value of an axis of few decades, which has room for 1, 2, 5, 10 … [-]."""
_STATUS_COLORS = {"reached": TARGET, "failed": "#c8604f"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Refinement of one design."""

    title: str
    status: str
    """How far it is, in words."""
    errors: Sequence[float]
    """Largest relative error after each solve [-]."""
    component: int
    """Mixture component, from 0: gives the colour."""
    verified: bool
    """Whether the last solve is the verification."""


def convergence_figure(curves: Sequence[Curve], tolerance: float) -> go.Figure:
    """Largest deviation [%] against solves on a log scale, a panel a design, and the tolerance [-]."""
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = make_subplots(
        rows,
        columns,
        specs=[
            [{} if row * columns + column < len(curves) else None for column in range(columns)]
            for row in range(rows)
        ],
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_title(curve) for curve in curves],
        horizontal_spacing=0.012,
        vertical_spacing=min(0.22, 0.5 / rows),
    )
    limit, floor = 100 * tolerance, 100 * tolerance * _LEAST
    longest = max((len(curve.errors) for curve in curves), default=0)
    most = max((100 * error for curve in curves for error in curve.errors), default=10 * limit)
    for number, curve in enumerate(curves):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        color = component_color(curve.component)
        errors = 100 * np.asarray(curve.errors, dtype=np.float64)
        solves = np.arange(1, len(errors) + 1)
        symbols = ["circle"] * len(errors)
        colors = [color] * len(errors)
        if curve.verified and symbols:
            symbols[-1], colors[-1] = "diamond", SOLVER
        figure.add_scatter(
            x=[0, 1000],
            y=[limit, limit],
            mode="lines",
            line={"color": TARGET, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            **place,
        )
        figure.add_scatter(
            x=solves.tolist(),
            y=np.maximum(errors, floor).tolist(),
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"symbol": symbols, "color": colors, "size": [5 + 4 * (s == "diamond") for s in symbols]},
            customdata=errors.tolist(),
            hovertemplate=f"{curve.title}, solve %{{x}}: %{{customdata:.2f}} % off<extra></extra>",
            **place,
        )
    figure.update_layout(**LAYOUT)
    figure.update_layout(height=60 + 128 * rows, showlegend=False, margin={"t": 26, "l": 46, "b": 42})
    figure.update_xaxes(range=[0.5, max(longest, 5) + 0.5], dtick=max(1, longest // 5), showgrid=False)
    low, high = 0.8 * floor, 1.6 * max(most, 2 * limit)
    steps = (1, 2, 5) if high < _FEW_DECADES * low else (1,)
    figure.update_yaxes(
        type="log",
        range=np.log10([low, high]).tolist(),
        tickvals=[step * 10.0**decade for decade in range(-3, 3) for step in steps],
        zeroline=False,
    )
    figure.update_annotations(font={"size": 12})
    outer = {"showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": 12}}
    legend = f"solves; dotted: tolerance {limit:g} %; diamond: verified"
    figure.add_annotation(text=legend, x=0.5, y=0, yanchor="top", yshift=-20, **outer)
    figure.add_annotation(
        text="largest deviation [%]", x=0, y=0.5, xanchor="right", xshift=-26, textangle=-90, **outer
    )
    return figure


def _title(curve: Curve) -> str:
    text = f"<b>{curve.title}</b>  {curve.status.partition(' after ')[0]}"
    color = _STATUS_COLORS.get(curve.status)
    return f'<span style="color:{color}">{text}</span>' if color else text
