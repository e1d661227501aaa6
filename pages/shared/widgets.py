"""Groups of inputs and figures that the pages share."""

import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from pages.shared import state
from pages.shared.background import Outcome, SolverQueue
from pages.shared.figures import COMPONENT_COLORS
from pages.shared.gallery import Caption, Line, Row
from vaereg.checkpoint import Checkpoint
from vaereg.design import Designs, Target, save_designs, target_distance
from vaereg.elasticity import PROPERTIES, TwoPhase
from vaereg.homogenization import HomogenizationResult
from vaereg.prediction import Prediction

DEFAULT_TARGETS = {"C11": 60.0, "C22": 40.0, "C33": 40.0}
MAX_COUNT = 48
SHOWN = ("C11", "C22", "C33")
"""Properties in the captions of the gallery."""

_PLAIN: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}

_SOLVER_HELP = "Finite elements on the voxels, in the background: float32, relative residual 1e-3."

_HELP = {
    "C11": "Stress along x per strain along x, all other strains held at zero.",
    "C22": "Stress along y per strain along y, all other strains held at zero.",
    "C33": "Stress along z per strain along z, all other strains held at zero.",
    "C44": "Shear stress per shear strain in the y-z plane.",
    "C55": "Shear stress per shear strain in the x-z plane.",
    "C66": "Shear stress per shear strain in the x-y plane.",
}


def target_inputs(ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """A switch and a slider per property.

    Args:
        ranges: Lowest and highest value of the training data per property [GPa].

    Returns:
        Value per fixed property [GPa].
    """
    st.subheader(
        "Target stiffness", help="A property that is not fixed takes any value that goes with the others."
    )
    targets = {}
    for name in PROPERTIES:
        low, high = (round(end, 1) for end in ranges[name])
        default = min(max(DEFAULT_TARGETS.get(name, (low + high) / 2), low), high)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            fixed = st.toggle(
                name,
                name in DEFAULT_TARGETS,
                key=state.fixed_key(name),
                help=_HELP[name],
                bind="query-params",
                persist_state="session",
                width=92,
            )
            value = st.slider(
                f"{name} [GPa]",
                low,
                high,
                round(default, 1),
                0.1,
                "%.1f GPa" if fixed else "free",
                key=state.value_key(name),
                disabled=not fixed,
                label_visibility="collapsed",
                bind="query-params",
                persist_state="session",
            )
        if fixed:
            targets[name] = float(value)
    return targets


def sampling_inputs() -> tuple[int, int]:
    """Number of designs and seed."""
    count = st.slider(
        "Number of designs", 1, MAX_COUNT, 12, key=state.COUNT, bind="query-params", persist_state="session"
    )
    seed = st.number_input(
        "Seed",
        0,
        2**31 - 1,
        0,
        key=state.SEED,
        help="The same target and seed give the same designs; another seed gives others.",
        bind="query-params",
        persist_state="session",
    )
    return int(count), int(seed)


def target_text(targets: Mapping[str, Target]) -> str:
    """A target in words: C11 = 60, C22 = 40 GPa."""
    return ", ".join(f"{name} = {value_text(value)}" for name, value in targets.items()) + " GPa"


def value_text(value: Target | None) -> str:
    """The target of one property in words."""
    if value is None:
        return "free"
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"


def solved(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    """The solver's C11 to C66 [GPa], shape (N, 6); NaN where there are none yet."""
    missing = np.full(len(PROPERTIES), np.nan)
    rows = [np.diag(one.stiffness) if isinstance(one, HomogenizationResult) else missing for one in outcomes]
    return np.array(rows).reshape(-1, len(PROPERTIES))


def design_rows(designs: Designs) -> list[Row]:
    """The rows of the gallery: one per mixture component that has designs."""
    rows = []
    for component in np.unique(designs.component):
        panels = np.flatnonzero(designs.component == component).tolist()
        weight = float(designs.weights[component])
        rows.append(
            Row(
                panels=panels,
                color=COMPONENT_COLORS[component % len(COMPONENT_COLORS)],
                title=f"Component {component + 1}",
                weight=weight,
                note=f"weight {100 * weight:.0f} %",
            )
        )
    return rows


def best_design(designs: Designs, outcomes: Sequence[Outcome]) -> tuple[int, str]:
    """The design nearest to the target, and who says so: the solver once it knows all, before the model."""
    verified = target_distance(solved(outcomes), designs.targets)
    known = np.isfinite(verified)
    if all(outcome is not None for outcome in outcomes) and known.any():
        return int(np.nanargmin(verified)), "solver"
    return int(np.argmin(designs.error)), "prediction"


def design_captions(designs: Designs, outcomes: Sequence[Outcome]) -> list[Caption]:
    """What is written on the panels of the gallery."""
    columns = [PROPERTIES.index(name) for name in SHOWN]
    truth = solved(outcomes)
    verified = target_distance(truth, designs.targets)
    best, judge = best_design(designs, outcomes)
    captions = []
    for i, outcome in enumerate(outcomes):
        predicted = [f"{designs.mean[i, j]:.1f}" for j in columns] + [f"{100 * designs.error[i]:.1f} %"]
        if isinstance(outcome, HomogenizationResult):
            figures = [f"{truth[i, j]:.1f}" for j in columns] + [f"{100 * verified[i]:.1f} %"]
            solver = Line(label="solver", values=figures, kind="solver")
        else:
            text = "…" if outcome is None else "failed"
            solver = Line(label="solver", values=[text] * (len(columns) + 1), kind="pending")
        captions.append(
            Caption(
                title=f"#{i + 1}",
                badge=f"best by {judge}" if i == best else "",
                columns=[*SHOWN, "off target"],
                lines=[
                    Line(label="predicted", values=predicted, kind="predicted"),
                    Line(
                        label="± std",
                        values=[f"{designs.std[i, j]:.1f}" for j in columns] + [""],
                        kind="spread",
                    ),
                    solver,
                ],
            )
        )
    return captions


def design_summary(designs: Designs, outcomes: Sequence[Outcome], *, components: int) -> None:
    """The line above the gallery: how many, how good, how far the solver is."""
    truth = solved(outcomes)
    done = sum(outcome is not None for outcome in outcomes)
    known = np.isfinite(truth).all(axis=1)
    best, judge = best_design(designs, outcomes)
    nearest = target_distance(truth, designs.targets) if judge == "solver" else designs.error
    used = len(np.unique(designs.component))
    error = np.median(np.abs(designs.mean[known] / truth[known] - 1)) if known.any() else np.nan
    failed = done - int(known.sum())
    with st.container(key="summary"):
        first, second, third, fourth = st.columns([2, 2, 3, 2])
    first.metric("Designs", len(outcomes), delta=f"{used} of {components} components", **_PLAIN)
    second.metric(
        f"Best by {judge}",
        f"{100 * nearest[best]:.1f} %",
        delta=f"off target, design #{best + 1}",
        help="Mean relative distance from the fixed properties.",
        **_PLAIN,
    )
    third.metric(
        "Prediction against solver",
        f"{100 * error:.1f} %" if known.any() else "…",
        delta="median difference, C11 to C66",
        help="Of the designs that the solver has seen so far.",
        **_PLAIN,
    )
    fourth.metric(
        "Solver check",
        f"{done}/{len(outcomes)}",
        help=_SOLVER_HELP,
    )
    fourth.progress(
        done / len(outcomes), text=f"solver {done}/{len(outcomes)}" + (f", {failed} failed" if failed else "")
    )


def volume_summary(prediction: Prediction, outcome: Outcome, *, asked: bool) -> None:
    """The line above a volume: what it is, and how far prediction and solver agree."""
    truth = solved([outcome])[0]
    known = isinstance(outcome, HomogenizationResult)
    novel = not prediction.in_distribution[0]
    error = np.median(np.abs(prediction.mean[0] / truth - 1)) if known else np.nan
    with st.container(key="summary"):
        first, second, third, fourth = st.columns([2, 2, 3, 2])
    first.metric(
        "Volume fraction", f"{float(prediction.volume_fraction[0]):.3f}", delta="of the stiff phase", **_PLAIN
    )
    second.metric(
        "Novelty",
        f"{float(prediction.novelty[0]):.2f}",
        delta="unlike the training data" if novel else "like the training data",
        help="Distance from the training data in the encoder's features, 1 is typical.",
        **_PLAIN,
    )
    third.metric(
        "Prediction against solver",
        f"{100 * error:.1f} %" if known else "…",
        delta="median difference, C11 to C66",
        **_PLAIN,
    )
    text = "done" if known else "failed" if outcome else "at work" if asked else "not asked"
    fourth.metric("Solver check", text, delta="finite elements", help=_SOLVER_HELP, **_PLAIN)


def material_note(checkpoint: Checkpoint, size: int) -> None:
    """What the model's figures are for."""
    pair = checkpoint.model.materials
    st.caption(
        f"Periodic cells of {size} × {size} × {size} voxels. Young's modulus {pair.e_stiff:g} GPa (stiff) "
        f"and {pair.e_soft:g} GPa (soft), Poisson ratio {pair.nu_stiff:g}."
    )


def design_table(designs: Designs, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """All figures of the designs, one line each."""
    truth = solved(outcomes)
    table = {
        "Design": np.arange(1, len(designs.component) + 1),
        "Component": designs.component + 1,
        "Distance, predicted [%]": 100 * designs.error,
        "Distance, solver [%]": 100 * target_distance(truth, designs.targets),
        "Volume fraction [-]": designs.microstructures.mean(axis=(1, 2, 3)),
    }
    for j, name in enumerate(PROPERTIES):
        table[f"{name} predicted [GPa]"] = designs.mean[:, j]
        table[f"{name} ± std [GPa]"] = designs.std[:, j]
        table[f"{name} solver [GPa]"] = truth[:, j]
    return pd.DataFrame(table)


def show_table(table: pd.DataFrame, key: str, *, missing: str) -> None:
    """A table of figures with as many digits as they deserve, and what to write where there is none."""
    config: dict[Any, Any] = {}
    for name, column in table.items():
        if column.dtype.kind in "if":
            digits = "%d" if column.dtype.kind == "i" else "%.2f" if "[-]" in str(name) else "%.1f"
            config[name] = st.column_config.NumberColumn(format=digits)
    st.dataframe(table, hide_index=True, column_config=config, key=key, placeholder=missing)


def property_table(columns: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Columns of six entries each, by property."""
    return pd.DataFrame(
        {"Property": PROPERTIES} | {name: np.asarray(values) for name, values in columns.items()}
    )


def designs_file(designs: Designs, outcomes: Sequence[Outcome]) -> bytes:
    """The designs as `designs.h5`, with the solver's stiffness where every design was verified."""
    results = [one for one in outcomes if isinstance(one, HomogenizationResult)]
    complete = len(results) == len(designs.component)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.h5"
        save_designs(
            path,
            designs,
            stiffness=np.stack([one.stiffness for one in results]) if complete else None,
            solves=np.ones(len(results), dtype=np.int64) if complete else None,
        )
        return path.read_bytes()


def latest_designs_file(designs: Designs, solver: SolverQueue, materials: TwoPhase) -> bytes:
    """The designs with what the solver knows of them now."""
    return designs_file(designs, solver.known(list(designs.microstructures), materials))


def volume_file(volume: NDArray[np.uint8]) -> bytes:
    """A volume as `.npy`."""
    buffer = BytesIO()
    np.save(buffer, volume)
    return buffer.getvalue()
