"""Figures of the Model page: parity, reliability, errors by family, training log, coverage."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from pages.shared.figures import GREY, LAYOUT, PREDICTED, SOLVER
from pages.shared.figures_maps import class_style, drawn_points
from vaereg.elasticity import PROPERTIES, TwoPhase, reuss_bound, voigt_bound

__all__ = ["coverage_figure", "family_figure", "log_figure", "parity_figure", "reliability_figure"]

TIERS = {"guided": PREDICTED, "encoder": SOLVER}
TIER_NAMES = {"guided": "physics-guided", "encoder": "encoder alone"}


def parity_figure(
    truth: Mapping[str, Sequence[float]], mean: Mapping[str, Sequence[float]], color: str = PREDICTED
) -> go.Figure:
    """Predicted against true properties of unseen volumes [GPa], a panel per property."""
    figure = make_subplots(2, 3, subplot_titles=PROPERTIES, horizontal_spacing=0.06, vertical_spacing=0.16)
    for number, name in enumerate(PROPERTIES):
        place = {"row": number // 3 + 1, "col": number % 3 + 1}
        most = float(max(*truth[name], *mean[name]))
        figure.add_scatter(
            x=[0, most], y=[0, most], mode="lines", line={"color": GREY}, hoverinfo="skip", **place
        )
        figure.add_scatter(
            x=list(truth[name]),
            y=list(mean[name]),
            mode="markers",
            marker={"size": 4, "color": color, "opacity": 0.7},
            hovertemplate=f"{name}: solver %{{x:.1f}}, predicted %{{y:.1f}} GPa<extra></extra>",
            **place,
        )
    figure.update_layout(**LAYOUT)
    figure.update_layout(height=470, showlegend=False, margin={"t": 28})
    figure.update_xaxes(title="solver [GPa]", row=2)
    figure.update_yaxes(title="predicted [GPa]", col=1)
    return figure


def reliability_figure(
    nominal: Sequence[float], observed: Mapping[str, Mapping[str, Sequence[float]]]
) -> go.Figure:
    """Share of unseen volumes inside the predicted intervals, by tier: mean and range over the properties."""
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY}, name="ideal", hoverinfo="skip")
    for tier, columns in observed.items():
        values = np.array([columns[name] for name in PROPERTIES])
        mean = values.mean(0)
        figure.add_scatter(
            x=list(nominal),
            y=mean,
            mode="lines+markers",
            name=TIER_NAMES.get(tier, tier),
            line={"color": TIERS.get(tier, PREDICTED)},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": values.max(0) - mean,
                "arrayminus": mean - values.min(0),
                "thickness": 1,
                "width": 3,
            },
            hovertemplate="nominal %{x:.0%}, observed %{y:.1%}<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=400)
    figure.update_xaxes(title="nominal coverage [-]", range=[0, 1])
    figure.update_yaxes(title="observed coverage [-]", range=[0, 1.02])
    return figure


def family_figure(errors: Mapping[str, Mapping[str, float]], held_out: Sequence[str] = ()) -> go.Figure:
    """Mean error over C11, C22, C33 by family, a bar per tier.

    Args:
        errors: Relative errors [-] by tier, then by family.
        held_out: Families that training left out.
    """
    figure = go.Figure()
    for tier, values in errors.items():
        figure.add_bar(
            y=[f"{name} (left out)" if name in held_out else name for name in values],
            x=[100.0 * value for value in values.values()],
            orientation="h",
            name=TIER_NAMES.get(tier, tier),
            marker={"color": TIERS.get(tier, PREDICTED)},
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    families = {name for values in errors.values() for name in values}
    figure.update_layout(**LAYOUT, height=110 + 26 * len(families), barmode="group", bargap=0.25)
    figure.update_xaxes(title="mean error over C11, C22, C33 [%]", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", ticks="")
    return figure


def log_figure(columns: Mapping[str, NDArray[np.floating]], names: Sequence[str]) -> go.Figure:
    """Curves of the training log over the steps, a panel each; what was not measured leaves a gap."""
    rows = -(-len(names) // 4)
    figure = make_subplots(rows, 4, subplot_titles=[name.replace("_", " ") for name in names])
    for number, name in enumerate(names):
        kept = np.isfinite(columns[name])
        figure.add_scatter(
            x=columns["step"][kept].tolist(),
            y=columns[name][kept].tolist(),
            mode="lines",
            line={"color": PREDICTED, "width": 1.5},
            hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
            row=number // 4 + 1,
            col=number % 4 + 1,
        )
    figure.update_layout(**LAYOUT)
    figure.update_layout(height=190 * rows, showlegend=False, margin={"t": 28})
    return figure


def coverage_figure(
    properties: NDArray[np.floating], family: NDArray[np.str_], materials: TwoPhase
) -> go.Figure:
    """What the data set covers in the plane of C11 and C22, and what no mixture of the phases can leave."""
    fraction = np.linspace(0.0, 1.0, 101)
    upper, lower = voigt_bound(fraction, materials)[:, 0, 0], reuss_bound(fraction, materials)[:, 0, 0]
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([upper, lower[::-1]]).tolist(),
        y=np.concatenate([lower, upper[::-1]]).tolist(),
        fill="toself",
        mode="lines",
        line={"color": GREY, "width": 1},
        fillcolor="rgba(128, 138, 150, 0.1)",
        name="within Voigt and Reuss bounds",
        hoverinfo="skip",
    )
    shown = drawn_points(len(family))
    names = sorted(set(family.tolist()))
    for name in names:
        rows = shown[family[shown] == name]
        color, symbol = class_style(name, names)
        figure.add_scattergl(
            x=properties[rows, 0].tolist(),
            y=properties[rows, 1].tolist(),
            mode="markers",
            name=name,
            marker={"size": 4, "color": color, "symbol": symbol, "opacity": 0.7},
            hovertemplate=f"{name}: C11 %{{x:.1f}}, C22 %{{y:.1f}} GPa<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=520)
    figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"})
    figure.update_xaxes(title="C11 [GPa]")
    figure.update_yaxes(title="C22 [GPa]")
    return figure
