"""The regressor for any pair of phases: labels, training, and error by decade of contrast beside its bound.

    python benchmarks/materials.py label --count 1500 --seed 1 --out labels-1.npz --workers 2
    python benchmarks/materials.py train --labels labels-1.npz --calibration labels-2.npz --out pairs.pt
    python benchmarks/materials.py measure --checkpoint pairs.pt --labels labels-3.npz

`measure` writes `results/materials.json`: error of the stiffness and iterations, at both residuals, with the
error of the upper bound alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from record import write_record

from vaereg.model.pair_model import FAST_RESIDUAL, RESIDUAL, load_pair_model, save_pair_model
from vaereg.training.pair_fitting import fit_pair_model, pair_figures
from vaereg.training.pair_labels import (
    CONTRAST,
    POISSON,
    SIZES,
    PairLabels,
    joined,
    label_pairs,
    read_pair_labels,
    write_pair_labels,
)


def main() -> None:
    """Run one of the three parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsers = parser.add_subparsers(required=True)
    label = parsers.add_parser("label")
    label.add_argument("--count", type=int, required=True)
    label.add_argument("--seed", type=int, required=True)
    label.add_argument("--workers", type=int, default=1)
    label.add_argument("--out", type=Path, required=True)
    label.set_defaults(run=run_label)
    train = parsers.add_parser("train")
    train.add_argument("--labels", type=Path, nargs="+", required=True)
    train.add_argument("--calibration", type=Path, nargs="+", required=True)
    train.add_argument("--steps", type=int, default=4000)
    train.add_argument("--out", type=Path, required=True)
    train.set_defaults(run=run_train)
    measure = parsers.add_parser("measure")
    measure.add_argument("--checkpoint", type=Path, required=True)
    measure.add_argument("--labels", type=Path, nargs="+", required=True)
    measure.add_argument("--record", type=Path)
    measure.set_defaults(run=run_measure)
    arguments = parser.parse_args()
    arguments.run(arguments)


def run_label(arguments: argparse.Namespace) -> None:
    """Make labels."""

    def report(done: int, count: int) -> None:
        if done % 20 == 0 or done == count:
            print(f"{done}/{count}", file=sys.stderr, flush=True)

    labels = label_pairs(arguments.count, arguments.seed, workers=arguments.workers, on_progress=report)
    write_pair_labels(arguments.out, labels)


def run_train(arguments: argparse.Namespace) -> None:
    """Train, calibrate and save a regressor, with its facts."""
    training, calibration = read(arguments.labels), read(arguments.calibration)
    begin = time.process_time()
    model = fit_pair_model(training, calibration, steps=arguments.steps)
    card = {
        "training labels": len(training),
        "calibration labels": len(calibration),
        "steps": arguments.steps,
        "training time [CPU s]": round(time.process_time() - begin, 1),
        "classes": ", ".join(sorted(set(training.morphology.tolist()))),
        "voxels per edge": sorted(set(training.size.tolist())),
        "contrast": list(CONTRAST),
        "Poisson ratios": list(POISSON),
        "calibration figures": pair_figures(model, calibration),
        "date": time.strftime("%Y-%m-%d"),
    }
    save_pair_model(arguments.out, replace(model, card=card))


def run_measure(arguments: argparse.Namespace) -> None:
    """Error by decade of contrast, and the record of it."""
    model, labels = load_pair_model(arguments.checkpoint), read(arguments.labels)
    figures = {
        f"{residual:g}": pair_figures(model, labels, residual) for residual in (RESIDUAL, FAST_RESIDUAL)
    }
    for residual, by_decade in figures.items():
        print(f"residual {residual}; errors: relative Frobenius [%], mean / median")
        for name, row in by_decade.items():
            error, bound = (
                f"{100 * row[f'{kind}mean']:.2f} / {100 * row[f'{kind}median']:.2f}"
                for kind in ("", "upper_")
            )
            print(
                f"{name:12s} n {row['volumes']:4d}  iterations {row['iterations']:5.1f} of "
                f"{row['solver_iterations']:5.1f}  error {error}  bound {bound}  "
                f"covered {row['coverage_90']:.0%}  novel {row['novel']:.0%}"
            )
    classes = {name: int((labels.morphology == name).sum()) for name in np.unique(labels.morphology)}
    settings = {"checkpoint": model.hash, "labels": len(labels), "classes": classes, "sizes": list(SIZES)}
    write_record("materials", settings, figures, arguments.record)


def read(paths: list[Path]) -> PairLabels:
    """Labels of several files."""
    return joined([read_pair_labels(path) for path in paths])


if __name__ == "__main__":
    main()
