"""Figures of the Model page: errors by method and family, reliability, parity, refinement, training, data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from pages.parts.common.requests.modes import component_color, mode_title
from pages.parts.common.views.figures import (
    CLASS_COLORS,
    GREY,
    LAYOUT,
    PREDICTED,
    SOLVER,
    class_style,
    class_title,
    drawn_points,
)
from vaereg.elasticity import PROPERTIES, diagonal_properties, reuss_bound, voigt_bound
from vaereg.evaluation.records import LEVELS, STARTS, error_curve
from vaereg.materials import TwoPhase
from vaereg.model.modes.release import Modes

__all__ = [
    "coverage_figure",
    "family_figure",
    "fidelity_figure",
    "log_figure",
    "method_figure",
    "modes_figure",
    "parity_figure",
    "refinement_figure",
    "reliability_figure",
    "weight_figure",
]

TIERS = {"guided": PREDICTED, "encoder": SOLVER}
START_COLORS = dict(zip(STARTS, CLASS_COLORS, strict=False))
PERCENTS = {"tickvals": [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100], "type": "log"}
"""A logarithmic axis of percentages."""
_POINTS_OF_A_MODE = 300
"""About as many volumes of a mode are drawn."""
TIER_NAMES = {"guided": "physics-guided", "encoder": "encoder alone"}


def method_figure(methods: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> go.Figure:
    """Mean error over C11, C22, C33 of each way to predict, on volumes of known and of unknown families.

    Args:
        methods: By name, figures with `mape_axial` [-] of `test` and `held_out` volumes.
    """
    figure = go.Figure()
    for part, title, symbol in (
        ("test", "unseen volumes of known families", "circle"),
        ("held_out", "families that training left out", "diamond-open"),
    ):
        names = [name for name, parts in methods.items() if "mape_axial" in parts.get(part, {})]
        figure.add_scatter(
            x=[100.0 * methods[name][part]["mape_axial"] for name in names],
            y=names,
            mode="markers",
            name=title,
            marker={
                "size": 11,
                "symbol": symbol,
                "color": PREDICTED,
                "line": {"width": 2, "color": PREDICTED},
            },
            hovertemplate="%{y}, " + title + ": %{x:.2f} %<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=110 + 30 * len(methods))
    figure.update_xaxes(title="mean error over C11, C22, C33 [%]", **PERCENTS)
    figure.update_yaxes(autorange="reversed", ticks="", categoryarray=list(methods), categoryorder="array")
    return figure


def refinement_figure(runs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Median distance from the target against solves, a curve per start; see `vaereg.evaluation.records`."""
    figure = go.Figure()
    for start, name in STARTS.items():
        curve = 100.0 * error_curve([run for run in runs if run["start"] == start])
        if len(curve):
            figure.add_scatter(
                x=np.arange(1, len(curve) + 1).tolist(),
                y=curve.tolist(),
                mode="lines",
                name=name,
                line={"color": START_COLORS[start], "width": 2.5 if start == "design" else 1.5},
                hovertemplate=f"{name}, %{{x}} solves: %{{y:.2f}} %<extra></extra>",
            )
    for level in LEVELS:
        line = {"width": 1, "dash": "dot", "color": "#8a929c"}
        figure.add_hline(y=100.0 * level, line=line)
    figure.update_layout(**LAYOUT, height=440)
    figure.update_xaxes(title="solves [-]", type="log", tickvals=[1, 2, 5, 10, 20, 50], zeroline=False)
    figure.update_yaxes(title="median error [%]", **PERCENTS)
    return figure


def weight_figure(components: Mapping[str, Any]) -> go.Figure:
    """Weight of each component of the mixture against the property that is asked for."""
    figure = go.Figure()
    for k, component in components["by_component"].items():
        number = int(k)
        figure.add_scatter(
            x=components["values"],
            y=[100.0 * weight for weight in component["weight"]],
            mode="lines+markers",
            name=f"component {number + 1}: {component['name']}",
            line={"color": component_color(number), "width": 2},
            hovertemplate=f"component {number + 1}, %{{x:.1f}} GPa: %{{y:.0f}} %<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=380)
    figure.update_xaxes(title=f"{components.get('property', 'C11')} asked for, others free [GPa]")
    figure.update_yaxes(title="weight p(k | c) [%]", rangemode="tozero")
    return figure


def modes_figure(modes: Modes, materials: TwoPhase) -> go.Figure:
    """Volume fraction and C11 of the training volumes of each mode, in any order of their axes."""
    figure, library = go.Figure(), modes.library
    fractions = np.linspace(0.0, 1.0, 101)
    for name, bound in (("Voigt bound", voigt_bound), ("Reuss bound", reuss_bound)):
        figure.add_scatter(
            x=fractions,
            y=bound(fractions, materials)[:, 0, 0],
            mode="lines",
            name=name,
            line={"width": 1, "color": "#8a929c", "dash": "dot" if name == "Reuss bound" else "dash"},
            hoverinfo="skip",
        )
    for index, mode in enumerate(modes.catalogue):
        own = np.flatnonzero(library.mode == index)
        own = own[:: 1 + len(own) // _POINTS_OF_A_MODE]
        title = mode_title(mode.name)
        figure.add_scattergl(
            x=np.repeat(library.fraction[own], 3),
            y=diagonal_properties(library.stiffness[own])[:, :3].ravel(),
            mode="markers",
            name=title,
            marker={"size": 4, "color": component_color(index), "opacity": 0.75},
            hovertemplate=f"{title}: fraction %{{x:.2f}}, C11 %{{y:.1f}} GPa<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=520)
    figure.update_xaxes(title="volume fraction [-]", range=[0.0, 1.0], zeroline=False)
    figure.update_yaxes(title="C11, C22 or C33 [GPa]", rangemode="tozero", zeroline=False)
    return figure


def fidelity_figure(decoder: Mapping[str, Any]) -> go.Figure:
    """Distance of decoded volumes from real ones over that of real ones from each other, by family."""
    figure = go.Figure()
    figure.add_vline(x=1.0, line={"width": 1, "color": "#8a929c"})
    for number, (key, title) in enumerate(
        (
            ("two_point", "two-point correlation"),
            ("lineal_path", "lineal path"),
            ("specific_surface", "surface"),
        )
    ):
        ratios = {name: figures["ratio"].get(key) for name, figures in decoder.items() if "ratio" in figures}
        ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        figure.add_scatter(
            x=list(ratios.values()),
            y=list(ratios),
            mode="markers",
            name=title,
            marker={
                "size": 10,
                "symbol": ("circle", "diamond", "square")[number],
                "color": CLASS_COLORS[number],
            },
            hovertemplate="%{y}, " + title + ": %{x:.2f}<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=110 + 26 * len(decoder))
    figure.update_xaxes(
        title="decoded against real, over real against real [-]", type="log", tickvals=[0.25, 0.5, 1, 2, 4, 8]
    )
    figure.update_yaxes(autorange="reversed", ticks="", categoryarray=list(decoder), categoryorder="array")
    return figure


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


_PLAIN_TERMS = ("style", "pixel", "components_used", "latent_used", "validation_mape")
"""Columns of the training log that are no logarithms of probabilities or properties."""


def log_figure(columns: Mapping[str, NDArray[np.floating]], names: Sequence[str]) -> go.Figure:
    """Curves of the training log over the steps, a panel each; what was not measured leaves a gap."""
    rows = -(-len(names) // 4)
    titles = [f"{name.replace('_', ' ')} [{'-' if name in _PLAIN_TERMS else 'nats'}]" for name in names]
    figure = make_subplots(rows, 4, subplot_titles=titles)
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
        if kept.any() and np.ptp(columns[name][kept]) == 0.0:  # a constant is not near zero
            ends = sorted((0.0, 2.0 * float(columns[name][kept][0])))
            figure.update_yaxes(range=ends, row=number // 4 + 1, col=number % 4 + 1)
    figure.update_layout(**LAYOUT)
    figure.update_layout(height=190 * rows + 20, showlegend=False, margin={"t": 28})
    figure.update_xaxes(title="step [-]", row=rows)
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
            name=class_title(name),
            marker={"size": 4, "color": color, "symbol": symbol, "opacity": 0.7},
            hovertemplate=f"{class_title(name)}: C11 %{{x:.1f}}, C22 %{{y:.1f}} GPa<extra></extra>",
        )
    figure.update_layout(**LAYOUT, height=520)
    figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"})
    figure.update_xaxes(title="C11 [GPa]")
    figure.update_yaxes(title="C22 [GPa]")
    return figure
