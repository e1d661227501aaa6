"""Records of the benchmarks, reduced to what is shown: other models, and solves that a refinement takes.

A run of a refinement is a search for one target from one start: `kind` and `start` name both, `errors` holds
the largest relative distance of a property from its target [-] after every solve, in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError

__all__ = [
    "KINDS",
    "LEVELS",
    "STARTS",
    "SolvesSummary",
    "comparable_baselines",
    "comparable_runs",
    "error_curve",
    "least_r2",
    "read_figures",
    "read_record",
    "solves_table",
    "solves_to_reach",
    "summarize_solves",
    "typical_ratios",
]

LEVELS = (0.05, 0.02, 0.01)
"""Distances from the target that are counted up to [-]."""
FEW = 20
"""Solves within which most targets are to be reached."""
KINDS = {"one": "C11", "three": "C11, C22, C33", "six": "all six properties"}
"""Kinds of targets."""
STARTS = {
    "design": "design of the model",
    "latent": "search in the latent space",
    "training": "nearest training volume",
    "random": "random design",
    "graded": "graded density from noise",
}
"""Starts of a search; the last one leaves the two phases until its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolvesSummary:
    """Numbers of solves of the searches of one kind from one start."""

    kind: str
    start: str
    targets: int
    median_solves: dict[float, float]
    """Median number of solves by level; infinite where most searches do not get there."""
    within_few: float
    """Share of the targets that are within the last of `LEVELS` after at most `FEW` solves [-]."""
    final_distance: float
    """Median distance of the two-phase volume at the end from its target [-]."""


def read_record(path: Path, benchmark: str) -> dict[str, Any]:
    """Record of a benchmark, as `benchmarks/record.py` writes it.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no such record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"expected a JSON record of {benchmark} in {path}: {error}") from error
    if not isinstance(record, dict) or record.get("benchmark") != benchmark:
        raise InputError(f"expected a record of benchmarks/{benchmark}.py in {path}")
    return record


def read_figures(path: Path, checkpoint: str) -> dict[str, Any]:
    """Figures that `evaluate` wrote for a checkpoint; none but its hash where the file has none of it.

    Args:
        path: JSON file, which need not exist.
        checkpoint: Hash of the model.
    """
    nothing: dict[str, Any] = {"checkpoint": checkpoint}
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return nothing
    is_current = isinstance(figures, dict) and figures.get("checkpoint") == checkpoint
    return figures if is_current else nothing


def comparable_baselines(metrics: Mapping[str, Any], record: Mapping[str, Any] | None) -> dict[str, Any]:
    """Other models by name, if they were trained and tested on the data set that the metrics are of.

    One that was cut short counts as the same: it begins with the same volumes, each of them in its split.

    Args:
        metrics: What `vaereg.evaluation.figures.evaluate` returned for a model.
        record: Record of `benchmarks/baselines.py`.
    """
    if record is None or "data" not in metrics:
        return {}
    settings, data = record["settings"], metrics["data"]
    held_out = sorted(metrics.get("held_out", {"guided": {"by_family": {}}})["guided"]["by_family"])
    plan = {name: value for name, value in settings.get("data", {}).items() if name != "count"}
    is_same_plan = plan.items() <= data.items() and settings.get("held_out") == held_out
    return dict(record["figures"].get("baselines", {})) if is_same_plan and data["split"] == "test" else {}


def comparable_runs(
    checkpoint: str, card: Mapping[str, Any], record: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Presets by name that were trained on the encoder of a model.

    Args:
        checkpoint: Hash of the model.
        card: Its facts; a model that was continued has the encoder of the one before.
        record: Record of `benchmarks/ablations.py`.
    """
    hashes = f"{checkpoint} {card.get('continued from', '')}"
    runs = {} if record is None else record["figures"].get("runs", {})
    return {name: run for name, run in runs.items() if run["settings"]["encoder_of"] in hashes}


def least_r2(figures: Mapping[str, Any]) -> str | None:
    """Least R² over the properties, to four digits; None where it is known of none, for want of variance."""
    finite = [value for value in figures.get("r2", {}).values() if value is not None]
    return f"{min(finite):.4f}" if finite else None


def typical_ratios(decoder: Mapping[str, Any]) -> dict[str, float | None]:
    """Medians over the families of the ratios of `generative.decoder_figures`, by statistic [-].

    The volume fraction is left out, and so are families whose parameters leave nothing open.
    """
    by_statistic: dict[str, list[float]] = {}
    for family in decoder.values():
        for name, ratio in family["ratio"].items():
            by_statistic.setdefault(name, []).extend([] if ratio is None else [ratio])
    by_statistic.pop("volume_fraction", None)
    return {name: float(np.median(ratios)) if ratios else None for name, ratios in by_statistic.items()}


def solves_to_reach(runs: Sequence[Mapping[str, Any]], level: float) -> NDArray[np.float64]:
    """Solves that each search needs to come within `level` [-] of its target; infinite where it never does.

    Examples:
        >>> solves_to_reach([{"errors": [0.3, 0.04]}, {"errors": [0.5, 0.2]}], 0.05).tolist()
        [2.0, inf]
    """
    reached = [np.flatnonzero(np.asarray(run["errors"]) <= level) for run in runs]
    return np.array([solves[0] + 1.0 if len(solves) else np.inf for solves in reached])


def error_curve(runs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Median over the searches of the least error so far [-], after 1, 2, ... solves; none without a search.

    A search that has ended keeps what it reached.

    Examples:
        >>> error_curve([{"errors": [0.4, 0.5, 0.1]}, {"errors": [0.2]}]).round(2).tolist()
        [0.3, 0.3, 0.15]
    """
    longest = max((len(run["errors"]) for run in runs), default=0)
    curves = [np.minimum.accumulate(run["errors"]) for run in runs]
    padded = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves]
    return np.median(padded, axis=0) if padded else np.zeros(0)


def summarize_solves(runs: Sequence[Mapping[str, Any]]) -> list[SolvesSummary]:
    """Every kind and start among the searches, in the order of `KINDS` and `STARTS`."""
    summaries = []
    for kind in KINDS:
        for start in STARTS:
            group = [run for run in runs if run["kind"] == kind and run["start"] == start]
            if not group:
                continue
            medians = {level: float(np.median(solves_to_reach(group, level))) for level in LEVELS}
            final = [run.get("error_of_the_cut", min(run["errors"])) for run in group]
            summaries.append(
                SolvesSummary(
                    kind=kind,
                    start=start,
                    targets=len(group),
                    median_solves=medians,
                    within_few=float((solves_to_reach(group, LEVELS[-1]) <= FEW).mean()),
                    final_distance=float(np.median(final)),
                )
            )
    return summaries


def solves_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of `summarize_solves`."""
    columns = [f"to {level:.0%}" for level in LEVELS]
    head = [
        "asked for",
        "start",
        "targets",
        *columns,
        f"within {LEVELS[-1]:.0%} in {FEW}",
        "error at the end",
    ]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for summary in summarize_solves(runs):
        lines.append(
            [
                KINDS[summary.kind],
                STARTS[summary.start],
                str(summary.targets),
                *(
                    f"{solves:g}" if np.isfinite(solves) else "not reached"
                    for solves in summary.median_solves.values()
                ),
                f"{summary.within_few:.0%}",
                f"{summary.final_distance:.2%}",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
