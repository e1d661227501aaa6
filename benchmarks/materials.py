r"""Any two phases: labels and training of the regressor, its errors beside its bound, and the solver.

    python -m vaereg generate --morphologies all --count 3000 --seed 1 --out labels.h5
    python benchmarks/materials.py label --data labels.h5 --volumes 0:1200 --out labels-1.npz --workers 2
    python benchmarks/materials.py label --data labels.h5 --volumes 1200:1400 --out labels-2.npz
    python benchmarks/materials.py train --labels labels-1.npz --out pairs.pt
    python benchmarks/materials.py calibrate --checkpoint pairs.pt --labels labels-1.npz \
        --unseen labels-3.npz --out pairs.pt
    python benchmarks/materials.py measure --checkpoint pairs.pt --labels labels-2.npz
    python benchmarks/materials.py encoder --data labels.h5
    python benchmarks/materials.py held-out --labels labels-1.npz labels-2.npz
    python benchmarks/materials.py solver
    python benchmarks/materials.py poisson
    python benchmarks/materials.py classes

`calibrate` fits spreads to further labels, which no network has seen. `measure` writes
`results/materials.json`: error and iterations by contrast, Poisson ratio, size and class, at both
residuals, with the error of the upper bound alone. `encoder` writes `results/materials_encoder.json`: the
errors of what a checkpoint says of the test volumes of a data set and their random pairs without any
iteration of a solver. `held-out` trains without two classes and writes their figures to
`results/materials_held_out.json`. `solver` writes `results/materials_solver.json`: iterations and time of
elasticity and conduction against contrast, with the errors of the bounds. `poisson` writes
`results/materials_poisson.json`: iterations and time at a contrast of 1000 with unlike Poisson ratios, by
reference medium and with the correction of the preconditioner. `classes` writes
`results/materials_classes.json`: what `predict --materials` and `homogenize` say of a volume of each class,
for five pairs of the library.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from record import write_record

from vaereg.elasticity import diagonal_properties, voigt_to_mandel
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.io.labelled_sets import read_labelled_set
from vaereg.materials import VOID, Phase, TwoPhase, choose_materials
from vaereg.model.batches import encode_batches
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from vaereg.model.modes.materials import stiffness_at
from vaereg.model.pairs.calibration import DECADES, SPREAD_FEATURES
from vaereg.model.pairs.regressor import (
    FAST_RESIDUAL,
    RESIDUAL,
    PairModel,
    load_pair_model,
    predict_stiffness,
    save_pair_model,
)
from vaereg.solver import correction, homogenization
from vaereg.solver.bounds import bound_stiffness
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.training.labelling.morphologies import CONTRAST, POISSON, pair_of
from vaereg.training.pairs.figures import pair_figures
from vaereg.training.pairs.fitting import calibrated, fit_pair_model
from vaereg.training.pairs.labels import (
    PairLabels,
    joined,
    label_pairs,
    read_pair_labels,
    write_pair_labels,
)

HELD_OUT = ("tpms", "closed-foam")
"""Classes that one training leaves out."""
ENCODER_DECADES = (
    ("1 to 10", 1.0, 10.0),
    ("10 to 100", 10.0, 100.0),
    ("100 to 1,000", 100.0, 1e3),
    ("1,000 to 10,000", 1e3, 1.1e4),
    ("void", np.inf, np.nan),
)
"""Names and ends of the contrasts that figures of the encoder are of."""
SOLVER_CLASSES = ("gaussian", "particles", "closed-foam", "fibres")
SOLVER_CONTRASTS = (10.0, 100.0, 1000.0, 1e4, np.inf)
BOUND_STEPS = (3, 5, 8, 12)
POISSON_PAIRS = ((0.2, 0.45), (0.45, 0.2), (0.49, 0.2))
REAL_PAIRS = (
    "E-glass/epoxy",
    "silicon carbide/aluminium",
    "tungsten carbide/cobalt",
    "steel/polycarbonate",
    "aluminium/air",
)


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsers = parser.add_subparsers(required=True)
    label = parsers.add_parser("label")
    label.add_argument("--data", type=Path, required=True)
    label.add_argument("--volumes", required=True, metavar="FIRST:END")
    label.add_argument("--workers", type=int, default=1)
    label.add_argument("--out", type=Path, required=True)
    label.set_defaults(run=run_label)
    train = parsers.add_parser("train")
    train.add_argument("--labels", type=Path, nargs="+", required=True)
    train.add_argument("--steps", type=int, default=4000)
    train.add_argument("--out", type=Path, required=True)
    train.set_defaults(run=run_train)
    calibrate = parsers.add_parser("calibrate")
    calibrate.add_argument("--checkpoint", type=Path)
    calibrate.add_argument("--labels", type=Path, nargs="+", required=True)
    calibrate.add_argument("--unseen", type=Path, nargs="+", default=[])
    calibrate.add_argument("--out", type=Path, required=True)
    calibrate.set_defaults(run=run_calibrate)
    measure = parsers.add_parser("measure")
    measure.add_argument("--checkpoint", type=Path)
    measure.add_argument("--labels", type=Path, nargs="+", required=True)
    measure.add_argument("--record", type=Path)
    measure.set_defaults(run=run_measure)
    encoder = parsers.add_parser("encoder")
    encoder.add_argument("--data", type=Path, required=True)
    encoder.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    encoder.add_argument("--record", type=Path)
    encoder.set_defaults(run=run_encoder)
    held_out = parsers.add_parser("held-out")
    held_out.add_argument("--labels", type=Path, nargs="+", required=True)
    held_out.add_argument("--classes", nargs="+", default=list(HELD_OUT))
    held_out.add_argument("--steps", type=int, default=4000)
    held_out.add_argument("--record", type=Path)
    held_out.set_defaults(run=run_held_out)
    solver = parsers.add_parser("solver")
    solver.add_argument("--size", type=int, default=32)
    solver.add_argument("--record", type=Path)
    solver.set_defaults(run=run_solver)
    poisson = parsers.add_parser("poisson")
    poisson.add_argument("--sizes", type=int, nargs="+", default=[16, 32])
    poisson.add_argument("--record", type=Path)
    poisson.set_defaults(run=run_poisson)
    classes = parsers.add_parser("classes")
    classes.add_argument("--checkpoint", type=Path)
    classes.add_argument("--size", type=int, default=16)
    classes.add_argument("--record", type=Path)
    classes.set_defaults(run=run_classes)
    arguments = parser.parse_args()
    arguments.run(arguments)


def run_label(arguments: argparse.Namespace) -> None:
    """Make labels."""

    def report(done: int, count: int) -> None:
        if done % 20 == 0 or done == count:
            print(f"{done}/{count}", file=sys.stderr, flush=True)

    first, end = map(int, arguments.volumes.split(":"))
    samples = read_labelled_set(arguments.data).samples
    indices = range(len(samples))[first:end]
    labels = label_pairs(samples, indices, workers=arguments.workers, on_progress=report)
    write_pair_labels(arguments.out, labels)


def run_train(arguments: argparse.Namespace) -> None:
    """Train, calibrate and save a regressor, with its facts."""
    save_pair_model(arguments.out, trained(read(arguments.labels), arguments.steps))


def trained(labels: PairLabels, steps: int) -> PairModel:
    """Regressor with the facts of its training."""
    begin = time.process_time()
    model = fit_pair_model(labels, steps=steps)
    card = {
        "labels": len(labels),
        "networks": len(model.networks),
        "steps": steps,
        "training time [CPU s]": round(time.process_time() - begin, 1),
        "classes": ", ".join(sorted(set(labels.morphology.tolist()))),
        "voxels per edge": sorted(set(labels.size.tolist())),
        "contrast": list(CONTRAST),
        "Poisson ratios": list(POISSON),
        **fitted_facts(model),
        "date": time.strftime("%Y-%m-%d"),
    }
    return replace(model, card=card)


def run_calibrate(arguments: argparse.Namespace) -> None:
    """Fit spreads anew, to the labels of the training and to others if any, and save the regressor."""
    unseen = read(arguments.unseen) if arguments.unseen else None
    model = calibrated(load_pair_model(arguments.checkpoint), read(arguments.labels), unseen)
    told = {"labels of the calibration": len(unseen or read(arguments.labels)), **fitted_facts(model)}
    save_pair_model(arguments.out, replace(model, card={**model.card, **told}))


def fitted_facts(model: PairModel) -> dict[str, Any]:
    """Factors that are fitted to the answers of a regressor, for its card; prints them."""
    facts: dict[str, Any] = {
        "share of the upper bound": model.upper_share.tolist(),
        "largest gap": model.largest_gap.tolist(),
    }
    for title, values in facts.items():
        cells = (f"{name} {value:.3g}" for name, value in zip(DECADES, values, strict=True))
        print(f"{title}, by contrast: {', '.join(cells)}")
    for stop, weights in zip((RESIDUAL, FAST_RESIDUAL), model.spread_weights, strict=True):
        print(f"weights of the spreads at a residual of {stop:g}: axial, shear, coupling")
        for name, row in zip(SPREAD_FEATURES, weights.T, strict=True):
            print(f"  {name:44s}" + " ".join(f"{value:6.2f}" for value in row))
    return facts


def run_measure(arguments: argparse.Namespace) -> None:
    """Errors, and the record of them."""
    model, labels = load_pair_model(arguments.checkpoint), read(arguments.labels)
    figures = {
        f"{residual:g}": pair_figures(model, labels, residual) for residual in (RESIDUAL, FAST_RESIDUAL)
    }
    for residual, groups in figures.items():
        show(f"residual {residual}", groups)
    write_record("materials", {"checkpoint": model.hash, "labels": len(labels)}, figures, arguments.record)


def run_encoder(arguments: argparse.Namespace) -> None:
    """Errors of the encoder and the map to other phases, by contrast; no solver iterates.

    The encoder tells C11 ... C66 with the reference pair; the ratios of the other entries are those of the
    nearest volume of the library of the modes.
    """
    checkpoint, data = load_checkpoint(arguments.checkpoint), read_labelled_set(arguments.data)
    if checkpoint.modes is None:
        raise SystemExit("expected a checkpoint with modes, whose map leads to other phases")
    samples, rows = data.samples, data.indices("test")
    rows = rows[np.isfinite(samples.stiffness[rows, 1]).all((1, 2))]
    library, errors = checkpoint.modes.library, []
    known = np.column_stack([np.log(diagonal_properties(library.stiffness)), 3.0 * library.fraction])
    for row in rows.tolist():
        pair, fraction = pair_of(samples.phases[row, 1]), samples.volume_fraction[row : row + 1].astype(float)
        (encoding,) = encode_batches(checkpoint.model, data.volumes([row]), averaged=True)
        told = encoding.property_mean[0].double().numpy()
        place = np.square(known - np.append(np.log(told), 3.0 * fraction)).sum(1).argmin()
        scale = np.sqrt(told / np.diag(library.stiffness[place]))
        whole = library.stiffness[place] * np.outer(scale, scale)
        moved = stiffness_at(checkpoint.modes.elastic_map, whole[None], fraction, pair)
        exact = samples.stiffness[row : row + 1, 1].astype(float)
        if np.linalg.eigvalsh(exact)[0, 0] < 1e-4 * pair.ordered().e_stiff:
            continue  # carries no load in some direction
        deviation = float(np.abs(diagonal_properties(moved) / diagonal_properties(exact) - 1.0).mean())
        errors.append((np.inf if pair.has_void else pair.ordered().contrast, deviation))
    contrast, deviation = np.array(errors).T
    figures = {}
    for name, low, high in ENCODER_DECADES:
        own = deviation[(contrast >= low) & ~(contrast >= high)]
        figures[name] = {"volumes": len(own), "mean": float(own.mean()), "median": float(np.median(own))}
        print(name, figures[name], flush=True)
    settings: dict[str, object] = {"checkpoint": checkpoint.hash, "volumes": len(deviation)}
    write_record("materials_encoder", settings, figures, arguments.record)


def run_held_out(arguments: argparse.Namespace) -> None:
    """Errors on classes that training left out."""
    labels = read(arguments.labels)
    rows = np.isin(labels.morphology, arguments.classes)
    figures = pair_figures(trained(labels.rows(~rows), arguments.steps), labels.rows(rows))
    show("left out: " + ", ".join(arguments.classes), figures)
    settings: dict[str, object] = {"classes": arguments.classes, "training labels": int((~rows).sum())}
    write_record("materials_held_out", settings, figures, arguments.record)


def show(title: str, groups: Mapping[str, Any]) -> None:
    """Print figures, a line for each group."""
    print(f"{title}; errors: relative Frobenius [%], mean / median")
    lines = {"all": groups["all"]}
    for kind, figures in groups.items():
        if kind != "all":
            lines |= {f"{kind} {name}": row for name, row in figures.items()}
    for name, row in lines.items():
        error, bound = (
            f"{100 * row[f'{kind}mean']:.2f} / {100 * row[f'{kind}median']:.2f}" for kind in ("", "upper_")
        )
        print(
            f"{name:22s} n {row['volumes']:4d}  iterations {row['iterations']:5.1f}  error {error}  bound "
            f"{bound}  E {100 * row['young']:.2f} %  covered {row['coverage_90']:.0%}  "
            f"novel {row['novel']:.0%}"
        )


def run_solver(arguments: argparse.Namespace) -> None:
    """Iterations and time against contrast, and the bounds after few iterations."""
    rows = []
    solver_row(np.eye(8, dtype=np.uint8)[None].repeat(8, 0), 10.0)  # compiled and loaded before
    for name in SOLVER_CLASSES:
        volume = sample(name, arguments.size, generator=np.random.default_rng(0)).volume
        for contrast in SOLVER_CONTRASTS:
            row = solver_row(volume, contrast)
            rows.append({"class": name, "fraction": float(volume.mean()), **row})
            errors = "  ".join(
                f"{step}: " + ("-" if error is None else f"{100 * error:.2f} %")
                for step, error in row["upper_error"].items()
            )
            solved = f"iterations {row['iterations']:3d} ({row['cpu_s']:.2f} s)"
            conducted = f"conduction {row['conduction_iterations']:3d} ({row['conduction_cpu_s']:.3f} s)"
            print(f"{name:12s} contrast {contrast:6g}  {solved}  {conducted}  bound after {errors}")
    write_record("materials_solver", {"size": arguments.size, "rtol": 1e-4}, rows, arguments.record)


def solver_row(volume: np.ndarray, contrast: float) -> dict[str, Any]:
    """Figures of one cell at one contrast, of conductivities as of moduli; infinite for a void."""
    soft = VOID if np.isinf(contrast) else Phase("", 1.0 / contrast, 0.35, conductivity=1.0 / contrast)
    pair = TwoPhase(Phase("", 1.0, 0.2, conductivity=1.0), soft)
    options: dict[str, Any] = {"rtol": 1e-4, "dtype": np.float32, "max_iter": 1000}
    begin = time.process_time()
    solved = homogenize(volume, pair, **options)
    middle = time.process_time()
    conducted = conduct(volume, pair, **options)
    end = time.process_time()
    exact = voigt_to_mandel(solved.stiffness)
    size = float(np.linalg.norm(exact))  # zero for inclusions in a void
    bounds = bound_stiffness(volume, pair, residual=0.0, max_iter=BOUND_STEPS[-1], steps=BOUND_STEPS)
    return {
        "contrast": None if np.isinf(contrast) else contrast,
        "iterations": solved.iterations,
        "cpu_s": middle - begin,
        "conduction_iterations": conducted.iterations,
        "conduction_cpu_s": end - middle,
        "upper_error": {
            str(step): float(np.linalg.norm(voigt_to_mandel(upper) - exact) / size) if size > 0.0 else None
            for step, upper in zip(bounds.steps, bounds.uppers, strict=True)
        },
    }


def run_poisson(arguments: argparse.Namespace) -> None:
    """Iterations and time of full solves at a contrast of 1000, by Poisson ratios and preconditioner."""
    rows: list[dict[str, Any]] = []
    thresholds = homogenization.SOFT_REFERENCE_CONTRAST, correction.LEAST_SPREAD
    kinds = {
        "corrected": thresholds,
        "soft phase": (thresholds[0], np.inf),
        "arithmetic mean": (np.inf, np.inf),
    }
    for size in arguments.sizes:
        for name in sorted(MORPHOLOGIES):
            volume = sample(name, size, generator=np.random.default_rng(0)).volume
            for stiff, soft in POISSON_PAIRS:
                pair = TwoPhase.from_moduli(1.0, 1e-3, stiff, soft)
                iterations, times = {}, {}
                homogenize(volume, pair, rtol=0.5, dtype=np.float32)  # compiled and loaded before
                for kind, limits in kinds.items():
                    homogenization.SOFT_REFERENCE_CONTRAST, correction.LEAST_SPREAD = limits
                    begin = time.process_time()
                    iterations[kind] = homogenize(volume, pair, rtol=1e-4, dtype=np.float32).iterations
                    times[kind] = time.process_time() - begin
                homogenization.SOFT_REFERENCE_CONTRAST, correction.LEAST_SPREAD = thresholds
                cell = {"size": size, "class": name, "stiff": stiff, "soft": soft}
                rows.append({**cell, "iterations": iterations, "cpu_s": times})
                print(rows[-1], flush=True)
    write_record("materials_poisson", {"contrast": 1000, "rtol": 1e-4}, rows, arguments.record)


def run_classes(arguments: argparse.Namespace) -> None:
    """Predicted beside solved, for a volume of each class and real pairs."""
    model, rows = load_pair_model(arguments.checkpoint), []
    for name in sorted(MORPHOLOGIES):
        volume = sample(name, arguments.size, generator=np.random.default_rng(1)).volume
        for choice in REAL_PAIRS:
            pair = choose_materials(choice).pairs[0]
            told = predict_stiffness(model, [volume], [pair], lower_bound=False)
            solved = homogenize(volume, pair, rtol=1e-5, max_iter=2000)
            exact, mean = voigt_to_mandel(solved.stiffness), voigt_to_mandel(told.mean[0])
            norm = float(np.linalg.norm(exact))
            carries = not solved.unloaded
            rows.append(
                {
                    "class": name,
                    "pair": choice,
                    "predicted_C11": float(told.mean[0, 0, 0]),
                    "solved_C11": float(solved.stiffness[0, 0]),
                    "error": float(np.linalg.norm(mean - exact) / norm) if carries else None,
                    "iterations": int(told.iterations[0]),
                    "solver_iterations": solved.iterations,
                }
            )
            print(rows[-1], flush=True)
    write_record(
        "materials_classes", {"size": arguments.size, "checkpoint": model.hash}, rows, arguments.record
    )


def read(paths: list[Path]) -> PairLabels:
    """Labels of several files."""
    return joined([read_pair_labels(path) for path in paths])


if __name__ == "__main__":
    main()
