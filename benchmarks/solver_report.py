"""docs/solver.md from the JSON files in results/: no figure in it is typed by hand.

Run `python benchmarks/solver_report.py [--out FILE]`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import PRECISIONS, RESULTS

TARGET = Path(__file__).parents[1] / "docs" / "solver.md"

HEAD = """# The solver in figures

Made by `python benchmarks/solver_report.py` from the files in `benchmarks/results/`; each section names the
command that measured it. One solve is one volume under six load cases. Times are CPU seconds of one thread,
the least of several calls up to 32³ voxels, of one above; float32 goes with a tolerance of 1e-4 (labels),
float64 with 1e-6 (verification). The contrast is 50 and cells are Gaussian fields, half stiff, unless it says
otherwise.
"""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scaling(figures: list[dict[str, Any]]) -> str:
    by_size: dict[int, dict[str, dict[str, Any]]] = {}
    for row in figures:
        by_size.setdefault(row["size"], {})[row["precision"]] = row
    rows = [
        [
            f"{size}³",
            *(f"{result[name]['cpu_s']:.3g}" if name in result else "" for name in PRECISIONS),
            *(str(result[name]["iterations"]) if name in result else "" for name in PRECISIONS),
            *(f"{result[name]['peak_memory_gb']:.2f}" if name in result else "" for name in PRECISIONS),
        ]
        for size, result in sorted(by_size.items())
    ]
    header = ["size", "float32 [s]", "float64 [s]", "iterations", "iterations", "peak [GB]", "peak [GB]"]
    imports = max(row["imports_memory_gb"] for row in figures)
    return (
        f"## Size\n\nPeak memory is that of the whole process; {imports:.2f} GB of it are Python and its "
        "imports. Sizes need not suit an FFT: 31 is a prime, 51 is 3 x 17.\n\n" + table(header, rows)
    )


def contrast(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{row['contrast']:g}",
            str(row["iterations_float32"]),
            str(row["iterations_float64"]),
            f"{row['float32_against_float64']:.0e}",
        ]
        for row in figures
    ]
    header = ["contrast", "iterations, float32", "iterations, float64", "difference of C, relative"]
    return "## Contrast\n\nRatio of the Young's moduli, 32³.\n\n" + table(header, rows)


def alternatives(figures: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{row['solver']} ({row['precision']})",
            f"{row['cpu_s']:.3g}",
            f"{row['cpu_ratio']:.1f}",
            str(row["iterations"]),
            f"{row['error']:.0e}",
        ]
        for row in figures
    ]
    header = ["solver", "CPU [s]", "times ours", "iterations", "error of C, relative"]
    return (
        "## Beside other solvers\n\nThe same volume, discrete equations and tolerance, in one run of one "
        "process; set-up included. Each stops by its own norm of the residual. muGrid is matrix-free too. "
        "scikit-fem stands for codes that assemble the matrix: torch-fem, which solves it with the multigrid "
        "of PyAMG too, and sfepy, which factorises it by default, were left out, since theirs is the same. "
        "PyAMG runs with its defaults and the three translations as its near null space.\n\n"
        + table(header, rows)
    )


def features(figures: dict[str, Any]) -> str:
    cost = table(
        ["precision", "solve [s]", "with sensitivities [s]", "added", "error of the gradient"],
        [
            [
                row["precision"],
                f"{row['without_s']:.3g}",
                f"{row['with_s']:.3g}",
                f"{100.0 * row['added']:.1f} %",
                f"{row['relative_error']:.0e}",
            ]
            for row in figures["sensitivities"]
        ],
    )
    warm = table(
        ["phase field", "mean change of the phase", "float32, cold", "warm", "float64, cold", "warm"],
        [
            [row["kind"], f"{row['mean_phase_change']:.1e}"]
            + [str(row[f"{kind}_{name}"]) for name in ("float32", "float64") for kind in ("cold", "warm")]
            for row in figures["warm_starts"]
        ],
    )
    transforms = table(
        ["precision", "SciPy's FFT [s]", "torch's FFT [s]", "ratio"],
        [
            [row["precision"], f"{row['scipy_s']:.3g}", f"{row['torch_s']:.3g}", f"{row['ratio']:.2f}"]
            for row in figures["fourier_transforms"]
        ],
    )
    check = figures["mesh_check"]
    change = ", ".join(f"{100.0 * item:.1f} %" for item in check["change"])
    return "\n\n".join(
        [
            "## Sensitivities",
            f"32³. dC/dphase against central differences on a graded cell: largest relative difference "
            f"{figures['sensitivities_against_central_differences']:.0e}.",
            cost,
            "## Warm starts",
            "Iterations from zero and from the displacements of a similar cell. In a graded field a small "
            "change leaves little to do; a voxel that turns from soft to stiff leaves much.",
            warm,
            "## Fourier transforms",
            "SciPy's serves, wherever torch's is faster too: it does not load torch into every process that "
            "solves.",
            transforms,
            "## Grid",
            f"The same cell with each voxel split into 2 x 2 x 2: C11, C22, ..., C66 change by {change}.",
        ]
    )


def throughput(figures: dict[str, Any], settings: dict[str, Any]) -> str:
    return (
        f"## Labels\n\n{settings['count']} volumes of 32³ in the default mix by {settings['workers']} "
        f"processes: {figures['volumes_per_hour']:,.0f} an hour with the start of the processes, "
        f"{figures['volumes_per_hour_once_started']:,.0f} once they run."
    )


def any_pair(figures: list[dict[str, Any]]) -> str:
    """Elasticity, conduction and the bounds after few iterations, with unlike Poisson ratios and voids."""
    steps = list(figures[0]["upper_error"])
    rows = [
        [
            row["class"],
            "void" if row["contrast"] is None else f"{row['contrast']:g}",
            str(row["iterations"]),
            f"{row['cpu_s']:.2f}",
            str(row["conduction_iterations"]),
            f"{row['conduction_cpu_s']:.3f}",
            *("" if error is None else f"{100.0 * error:.2f}" for error in row["upper_error"].values()),
        ]
        for row in figures
    ]
    header = [
        "class",
        "contrast",
        "iterations",
        "[s]",
        "conduction",
        "[s]",
        *(f"U_{step} [%]" for step in steps),
    ]
    share = sum(row["conduction_cpu_s"] for row in figures) / sum(row["cpu_s"] for row in figures)
    return (
        "## Any two phases\n\nPoisson ratios 0.2 (stiff) and 0.35 (soft), conductivities in the ratio of the "
        "moduli, one volume of each class, 32³, float32, tolerance 1e-4. U_k: relative Frobenius error of "
        f"the upper bound after k iterations. Conduction takes {share:.0%} of the time of elasticity.\n\n"
        + table(header, rows)
    )


def poisson(figures: list[dict[str, Any]]) -> str:
    """Iterations with unlike Poisson ratios, by preconditioner."""
    names = list(dict.fromkeys(row["class"] for row in figures))
    cases = list(dict.fromkeys((row["size"], row["stiff"], row["soft"]) for row in figures))
    counts = {
        (row["class"], row["size"], row["stiff"], row["soft"]): list(row["iterations"].values())
        for row in figures
    }
    rows = [[name, *("{} ({}, {})".format(*counts[name, *case]) for case in cases)] for name in names]
    medians = [np.median([counts[name, *case] for name in names], axis=0) for case in cases]
    rows.append(["**median**", *("**{:g} ({:g}, {:g})**".format(*told) for told in medians)])
    ratios = []
    for case in cases:
        times = [
            list(row["cpu_s"].values()) for row in figures if (row["size"], row["stiff"], row["soft"]) == case
        ]
        corrected, soft, _ = np.array(times).T
        ratios.append(f"{np.exp(np.log(corrected / soft).mean()):.2f}")
    rows.append(["CPU of the first over that of the second", *ratios])
    return (
        "## Unlike Poisson ratios\n\nIterations at contrast 1000, float32, tolerance 1e-4, by voxels and "
        "Poisson ratios (stiff / soft), as `homogenize` does them, with the ratio of Lamé parameters of the "
        "reference medium taken from the soft phase; in brackets without the correction of the "
        "preconditioner (`vaereg/solver/correction.py`), and without it from the arithmetic mean.\n\n"
        "The ratio is the soft phase's exactly: motions that leave every stiff body rigid are then "
        "eigenvectors of the preconditioned operator, all with one eigenvalue, and the loads do no work on "
        "them, so that they need no deflation. What remains slow is the deformation of slender stiff bodies "
        "and of necks.\n\n"
        "With the inverse G of the homogeneous operator, the correction is G - G Q G: Q = c K0 / (1 + c x) "
        "is a volumetric stiffness in the stiff phase, c = (K / G) / (K0 / G0) - 1 its excess of bulk "
        "modulus and x = K0 / (K0 + 4/3 G0) the largest volumetric share of energy in the reference medium. "
        "It is used from 1 + c x = 4 on, in cubes of 32 voxels and more; above a Poisson ratio of 0.45 "
        "elements are B-bar, and the correction takes one more transform of a scalar in place of a second "
        "G.\n\n" + table(["class", *(f"{size}³, {stiff:g} / {soft:g}" for size, stiff, soft in cases)], rows)
    )


def classes(figures: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    """What `predict --materials` says of each class beside `homogenize`."""
    pairs = list(dict.fromkeys(row["pair"] for row in figures))
    names = list(dict.fromkeys(row["class"] for row in figures))
    by_place = {(row["class"], row["pair"]): row for row in figures}

    def cell(row: dict[str, Any]) -> str:
        error = "no load" if row["error"] is None else f"{100.0 * row['error']:.2f} %"
        predicted, solved = (
            f"{value:.4g}" if value > 1e-9 else "0" for value in (row["predicted_C11"], row["solved_C11"])
        )
        return f"{predicted} / {solved}, {error}"

    return (
        "## Predicted beside solved\n\n`predict --materials` (a few iterations, then the regressor) and "
        "`homogenize` for one volume of each class and five pairs, "
        f"{settings['size']}³: C11 predicted / solved [GPa], relative "
        "Frobenius error of the whole stiffness; no load: some direction carries none.\n\n"
        + table(
            ["class", *pairs], [[name, *(cell(by_place[name, pair]) for pair in pairs)] for name in names]
        )
    )


SECTIONS: dict[str, Callable[..., str]] = {
    "solver_scaling": scaling,
    "solver_alternatives": alternatives,
    "solver_contrast": contrast,
    "materials_solver": any_pair,
    "materials_poisson": poisson,
    "materials_classes": classes,
    "solver_features": features,
    "label_throughput": throughput,
}


def provenance(record: dict[str, Any]) -> str:
    machine, versions = record["hardware"], record["versions"]
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    part = record["benchmark"].removeprefix("materials_")
    command = f"materials.py {part}" if part != record["benchmark"] else f"{part}.py"
    load = ", ".join(f"{item:g}" for item in machine["load_average"])
    return (
        f"*`benchmarks/{command}`, {record['date']}; {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, load average at the end {load}; {packages}.*"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET)
    target = parser.parse_args().out
    parts = [HEAD.strip()]
    for name, section in SECTIONS.items():
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        extra = (record["settings"],) if section in (throughput, classes) else ()
        parts += [section(record["figures"], *extra), provenance(record)]
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
