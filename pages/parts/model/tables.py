"""Stored figures of a model to the tables of the Model page; a key that is missing leaves its place empty."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pages.parts.common.requests.modes import component_color, lowered, mode_named, mode_title
from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.evaluation.records import FEW, KINDS, LEVELS, STARTS, SolvesSummary, least_r2
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.release import Modes

__all__ = [
    "component_table",
    "decoder_table",
    "diversity_table",
    "forward_table",
    "inverse_table",
    "method_figures",
    "mode_color",
    "mode_figures_table",
    "modes_table",
    "novelty_table",
    "runs_table",
    "solves_frame",
    "timing_table",
]

TIERS = {"guided": "physics-guided", "encoder": "encoder alone"}
TRIALS = {"inverse_one": "C11", "inverse": "C11, C22, C33", "inverse_six": "all six"}
AXIAL = "C11, C22, C33 [%]"
_ERRORS = {
    "median_error": "all designs",
    "median_error_of_best_by_prediction": "best of {count} by prediction",
    "median_error_of_best_by_solver": "best of {count} by the solver",
    "nearest_training_volume": "nearest training volume",
    "prediction_against_solver": "prediction off the solver (mean)",
}
_TIMES = {
    "predict_one": "Prediction, {edge}³ voxels",
    "encode_one": "Encoder alone, {edge}³ voxels",
    "predict_fourfold": "Prediction, {large}³ voxels",
    "encode_fourfold": "Encoder alone, {large}³ voxels",
    "design_twelve": "Twelve designs, {edge}³ voxels",
    "solve_one_float32_1e-3": "Solver, {edge}³ voxels (float32, residual 1e-3)",
}
_RECOGNISED = {"real": "Real", "decoded": "Decoded", "corrected": "Designs"}
_STATISTICS = {
    "two_point": "Two-point correlation",
    "lineal_path": "Lineal path",
    "specific_surface": "Specific surface",
}


def method_figures(
    metrics: Mapping[str, Any], baselines: Mapping[str, Any]
) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Figures of each way to predict, the model's first: by name, then of `test` and `held_out` volumes."""
    forward, strange = metrics.get("forward", {}), metrics.get("held_out", {})
    methods = {
        name: {"test": forward[tier]} | ({"held_out": strange[tier]} if tier in strange else {})
        for tier, name in TIERS.items()
        if tier in forward
    }
    methods |= {
        name: {part: figures[part] for part in ("test", "held_out") if part in figures}
        for name, figures in baselines.items()
    }
    if "volume fraction" not in methods and "volume_fraction_only" in forward:
        methods["volume fraction"] = {"test": forward["volume_fraction_only"]}
    return {name: parts for name, parts in methods.items() if parts}


def forward_table(methods: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Errors of each way to predict, of unseen volumes; the last columns are of families left out."""
    rows = []
    for name, parts in methods.items():
        test, strange = parts.get("test", {}), parts.get("held_out", {})
        rows.append(
            {"Prediction": name, AXIAL: _percent(test.get("mape_axial"))}
            | {f"{key} [%]": _percent(test.get("mape", {}).get(key)) for key in PROPERTIES}
            | {
                "Least R² [-]": least_r2(test),
                "Families left out [%]": _percent(_mean(strange.get("mape_axial_by_family", {}).values())),
            }
        )
    return pd.DataFrame(rows).astype({"Prediction": "str"})


def novelty_table(novelty: Mapping[str, Any]) -> pd.DataFrame:
    """Share of volumes that are flagged as unlike the training data, by kind."""
    rows = [("unseen volumes of the known families", novelty["split"])] if "split" in novelty else []
    rows += [(f"{name} (left out of training)", share) for name, share in novelty.get("held_out", {}).items()]
    rows += list(novelty.get("strange", {}).items())
    return pd.DataFrame(
        {"Volumes": [name for name, _ in rows], "Flagged as novel [%]": [100.0 * share for _, share in rows]}
    )


def inverse_table(metrics: Mapping[str, Any], name: Callable[[int], str]) -> pd.DataFrame:
    """Median distance of designs from what was asked for, a column per kind of target.

    Args:
        metrics: Stored figures.
        name: Name of a mode or component by its index.
    """
    trials = {key: title for key, title in TRIALS.items() if key in metrics}
    first: Mapping[str, Any] = next((metrics[key] for key in trials), {})
    count = first.get("designs_per_target", "")
    rows = [
        {"Median error": label.format(count=count)}
        | {f"{title} [%]": _percent(metrics[trial].get(key)) for trial, title in trials.items()}
        for key, label in _ERRORS.items()
    ]
    for k in first.get("median_error_by_component", {}):
        errors = {
            f"{title} [%]": _percent(metrics[trial].get("median_error_by_component", {}).get(k))
            for trial, title in trials.items()
        }
        rows.append({"Median error": f"all designs of {lowered(name(int(k)))}"} | errors)
    return pd.DataFrame(rows)


def diversity_table(trial: Mapping[str, Any], kind: str = "component") -> pd.DataFrame:
    """How different designs are from each other and from the training data."""
    rows = []
    for key, label in (
        ("within_component", "designs of one {kind}"),
        ("between_components", "designs of two {kind}s"),
    ):
        if (distance := trial.get(f"two_point_distance_{key}")) is not None:
            rows.append((f"Two-point distance of {label.format(kind=kind)} [-]", f"{distance:.4f}"))
    for who, label in (("designs", "a design"), ("unseen", "an unseen volume of the data")):
        copies = trial.get("copies", {}).get(who, {})
        if copies.get("median") is not None:
            value = f"{100 * copies['median']:.0f} (median), {100 * copies['largest']:.0f} (most)"
            rows.append((f"Voxels that {label} shares with the nearest training volume [%]", value))
    if "designs" in trial.get("copies", {}):
        rows.append(
            ("Designs that are copies of a training volume", str(trial["copies"]["designs"]["copies"]))
        )
    return pd.DataFrame(rows, columns=["Diversity", "Value"])


def runs_table(runs: Mapping[str, Any]) -> pd.DataFrame:
    """Presets that were trained alike, and what each of them gives."""
    rows = []
    for name, run in runs.items():
        three = run.get("inverse", {})
        row: dict[str, Any] = {"Training": name, "Steps": run.get("settings", {}).get("steps")}
        for trial, title in TRIALS.items():
            row[f"All designs, {title} [%]"] = _percent(run.get(trial, {}).get("median_error"))
        row["Best, C11, C22, C33 [%]"] = _percent(three.get("median_error_of_best_by_prediction"))
        for key, title in (("within_component", "within"), ("between_components", "across")):
            row[f"Distance {title} components [-]"] = three.get(f"two_point_distance_{key}")
        row["As many equal components [-]"] = run.get("components_effective")
        ratios = run.get("decoded_against_real", {})
        row |= {f"{title}, decoded over real [-]": ratios.get(key) for key, title in _STATISTICS.items()}
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def modes_table(modes: Modes) -> pd.DataFrame:
    """Return a table of the modes: their look, and what 90 % of their training volumes have."""
    rows = []
    library = modes.library
    for index, mode in enumerate(modes.catalogue):
        own = library.mode == index
        tension = diagonal_properties(library.stiffness[own])[:, :3].ravel()
        rows.append(
            {
                "Mode": mode_title(mode.name),
                "Look": mode.sentence,
                "Training volumes": int(own.sum()),
                "Volume fraction [-]": _most(library.fraction[own], 2),
                "C11, C22, C33 [GPa]": _most(tension, 1),
            }
        )
    return pd.DataFrame(rows)


def mode_color(title: str, names: Sequence[str]) -> str:
    """Colour of a mode by its title, among the names of all modes."""
    return component_color(names.index(mode_named(title, names)))


def _most(values: NDArray[np.float64], digits: int) -> str:
    if not len(values):
        return "–"
    low, high = np.quantile(values, (0.05, 0.95))
    return f"{low:.{digits}f} to {high:.{digits}f}"


def component_table(components: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of the structures of each component of the mixture, and how often it is used."""
    name = components.get("property", "C11")
    rows = []
    for k, component in components["by_component"].items():
        lengths = component.get("correlation_lengths", [])
        row = {
            "Component": int(k) + 1,
            "Makes": component.get("name"),
            "Share [%]": _percent(component.get("share")),
            "Volume fraction [-]": component.get("volume_fraction"),
            "Lengths x, y, z [voxel]": " / ".join(f"{length:.1f}" for length in lengths),
            "Anisotropy [-]": component.get("mean_anisotropy"),
        }
        for value, character in zip(components.get("named_at", ()), component.get("names", ()), strict=False):
            row[f"at {name} = {value:.0f} GPa"] = character
        rows.append(row)
    return pd.DataFrame(rows)


def mode_figures_table(figures: Mapping[str, Any]) -> pd.DataFrame:
    """Recognition of each mode and how often its designs come within 5 % of a target, raw and corrected."""
    own, other = (figures["recognition"][judge] for judge in ("generators", "independent"))
    targets = [figures[kind] for kind in ("isotropic", "any", "pairs") if "raw" in figures[kind]]
    rows = []
    for name in MODE_NAMES:
        row: dict[str, Any] = {"Mode": mode_title(name)}
        for judge, title in ((own, ""), (other, ", independent")):
            for kind, label in _RECOGNISED.items():
                found = judge.get(kind, {}).get("by_mode", {}).get(name)
                share = None if found is None else found["recognised"] / found["volumes"]
                row[f"{label}{title} [%]"] = _percent(share)
        entries = [item["raw"]["by_mode"][name] for item in targets if name in item["raw"]["by_mode"]]
        better = [item["corrected"]["by_mode"][name] for item in targets if name in item["raw"]["by_mode"]]
        row["Targets tried"] = sum(entry["targets"] for entry in entries)
        row["Within 5 %, raw"] = sum(entry["near"] for entry in entries)
        row["Within 5 %, corrected"] = sum(entry["near"] for entry in better)
        rows.append(row)
    return pd.DataFrame(rows)


def decoder_table(decoder: Mapping[str, Any]) -> pd.DataFrame:
    """Distance of decoded volumes from real ones, over that of real ones from each other, by family."""
    rows = []
    for family, figures in decoder.items():
        row: dict[str, Any] = {"Family": family}
        for key, title in _STATISTICS.items():
            row[f"{title}, decoded [-]"] = figures.get("decoded", {}).get(key)
            row[f"{title}, real [-]"] = figures.get("real", {}).get(key)
        row["Volume fraction, decoded [-]"] = figures.get("decoded", {}).get("volume_fraction")
        rows.append(row)
    return pd.DataFrame(rows)


def timing_table(timings: Mapping[str, float], edge: int) -> pd.DataFrame:
    """Wall times of the model and the solver."""
    labels = {key: label for key, label in _TIMES.items() if key in timings}
    names = [label.format(edge=edge, large=4 * edge) for label in labels.values()]
    return pd.DataFrame({"Task": names, "Time [s]": [f"{timings[key]:.3f}" for key in labels]})


def solves_frame(summaries: Sequence[SolvesSummary]) -> pd.DataFrame:
    """Median solves to each level, by what is asked for and start."""
    rows = []
    for summary in summaries:
        row = {"Asked for": KINDS[summary.kind], "Start": STARTS[summary.start], "Targets": summary.targets}
        for level, solves in summary.median_solves.items():
            row[f"Solves to {level:.0%}"] = f"{solves:g}" if np.isfinite(solves) else "not reached"
        row[f"Within {LEVELS[-1]:.0%} in {FEW} solves [%]"] = 100.0 * summary.within_few
        row["Error at the end [%]"] = 100.0 * summary.final_distance
        rows.append(row)
    return pd.DataFrame(rows)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return float(np.mean(listed)) if listed else None
