"""docs/inverse-figures.md from the records of inverse design: no figure in it is typed by hand.

    python benchmarks/inverse_report.py [--records FOLDER] [--out FILE]

The records are corrected_designs.json, corrections.json, refinement_pairs.json, constraints.json,
pareto.json and examples.json in benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from families import DOCS
from record import RESULTS
from solver_report import provenance

HEAD = """# Inverse design in figures

Made by `python benchmarks/inverse_report.py` from the records of `benchmarks/corrected_designs.py`,
`benchmarks/corrections.py`, `benchmarks/refinement_pairs.py`, `benchmarks/constraints.py`,
`benchmarks/pareto.py` and `benchmarks/examples.py` in `benchmarks/results`.
Deviations are the largest over the quantities that are asked for; CPU times are of one thread each.
"""
EXAMPLE_TITLES = {
    "stiff along one axis": "Glass fibre and epoxy: E_x = 20 GPa, E_y = E_z = 8 GPa",
    "light cubic titanium": "Titanium and void: cubic, below 1.5 g/cm³, E as large as possible",
    "conducting, low expansion": "Aluminium and silicon carbide: k_z large, expansion below 12e-6/K",
    "foam of low Poisson ratio": "Aluminium foam: nearly isotropic, Poisson ratio below 0.2",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, default=RESULTS, help="folder of the records")
    parser.add_argument("--out", type=Path, default=DOCS / "inverse-figures.md", help="page to write")
    arguments = parser.parse_args()
    parts = [HEAD]
    for name, section in (
        ("corrected_designs", corrected),
        ("corrections", corrections),
        ("refinement_pairs", refined),
        ("constraints", constraints),
        ("pareto", fronts),
        ("examples", examples),
    ):
        path = arguments.records / f"{name}.json"
        if not path.is_file():  # not measured yet
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        parts += [section(record), provenance(record)]
    arguments.out.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def percent(value: float) -> str:
    return f"{100.0 * value:.2g} %" if value < 0.0995 else f"{100.0 * value:.0f} %"


def corrected(record: dict[str, Any]) -> str:
    """Corrected designs for hidden targets by the solver."""
    settings = record["settings"]
    rows = [
        [
            entry["pair"],
            str(entry["targets"]),
            percent(entry["raw"]),
            percent(entry["predicted"]),
            percent(entry["solved"]),
            percent(entry["best"]),
            f"{100.0 * entry['covered']:.0f} %",
            f"{entry['cpu_seconds']:.2g} s",
            f"{entry['elapsed_seconds']:.2g} s",
        ]
        for entry in record["figures"]["summary"]
    ]
    return (
        f"## Designs for hidden targets\n\nC11, C22 and C33 of volumes of random morphologies, "
        f"{settings['count']} designs each of {settings['size']}³ voxels, with {settings['steps']} steps of "
        "correction at most (one more above a contrast of 100) and without a solve; then each is solved. "
        "Medians over all designs of all targets, and over the targets of what is best by prediction; how "
        "many of C11 to C66 by the solver lie within the 90 % intervals of the predictions; CPU and elapsed "
        "time of all designs of a target, on the processors that are named below."
        "\n\n"
        + table(
            [
                "phases, contrast",
                "targets",
                "raw, predicted",
                "predicted",
                "solved",
                "best by prediction, solved",
                "within intervals",
                "CPU",
                "elapsed",
            ],
            rows,
        )
    )


def corrections(record: dict[str, Any]) -> str:
    """Deviations after each step, and solves of refinement."""
    settings = record["settings"]
    rows = []
    for entry in record["figures"]["summary"]:
        rows.append(
            [
                entry["pair"],
                entry["kind"],
                str(entry["volumes"]),
                " → ".join(percent(value) for value in entry["predicted"]),
                " → ".join(percent(value) for value in entry["solved"]),
                f"{entry['cpu_seconds']:.2g} s",
                f"{entry['solves']:g}" if "solves" in entry else "",
                percent(entry["converged"]) if "converged" in entry else "",
            ]
        )
    return (
        f"## Corrections and refinement\n\nVolumes of every morphology, {settings['size']}³ voxels, each "
        "with a target near its own properties by the solver: every quantity is off by "
        f"{percent(settings['spread'])} in the standard deviation, each on its own, so that some targets are "
        "no volume's. Medians; "
        "refinement goes on from the corrected volumes until every quantity is within 1 %, at most 20 "
        "solves.\n\n"
        + table(
            [
                "phases",
                "quantities",
                "volumes",
                "predicted after 0, 1, … steps",
                "solved, before and after",
                "CPU a step",
                "solves",
                "refined within 1 %",
            ],
            rows,
        )
    )


def refined(record: dict[str, Any]) -> str:
    """Solves that bring designs onto hidden targets, by size, kind and range of contrast."""
    settings, summary = record["settings"], record["figures"]["summary"]
    rows = [
        [
            f"{entry['size']}³",
            entry["kind"],
            entry["decade"],
            str(entry["targets"]),
            str(entry["far"]),
            percent(entry["predicted"]),
            percent(entry["first"]),
            f"{entry['solves']:g}",
            percent(entry["converged"]),
            percent(entry["by_any"]),
            str(entry["drawn"]),
            f"{entry['refine_cpu']:.2g} s",
        ]
        for entry in summary
        if entry["targets"]
    ]
    refused = [
        f"{entry['refused']} of {entry['kind']} at {entry['size']}³"
        for entry in summary
        if entry["decade"] == "all" and entry["refused"]
    ]
    return (
        "## Refinement of designs for hidden targets\n\nTargets are the properties of volumes of random "
        "morphologies, each with random phases: C11, C22, C33; with C44, C55, "
        f"C66; with k_x, k_y, k_z. The best of {settings['designs']} corrected designs by prediction is "
        f"refined until all are within {percent(settings['tolerance'])}, in at most "
        f"{settings['max_solves']} solves, of which the last, in float64, verifies. Targets "
        f"that `design` refuses: {', '.join(refused) or 'none'}. No mode comes within 12 % of those that are "
        "called far. A search that stalls goes on from the volume with its interface moved at random, or "
        "from another one of the mode: 'drawn' counts the targets whose refined volume is such a one. Where "
        "the best design does not reach its target, the others are refined. Medians.\n\n"
        + table(
            [
                "voxels",
                "quantities",
                "contrast",
                "targets",
                "far",
                "design, predicted",
                "first solve",
                "solves",
                "within the tolerance",
                "any design",
                "drawn",
                "CPU of refinement",
            ],
            rows,
        )
    )


def constraints(record: dict[str, Any]) -> str:
    """What constraints cost, and whether they are met."""
    settings, summary = record["settings"], record["figures"]["summary"]
    rows = [
        [
            f"{entry['size']}³",
            entry["constraints"],
            str(entry["designs"]),
            percent(entry["told"]),
            percent(entry["median"]),
            percent(entry["best"]),
            f"{entry['times']:.2f}",
            f"{entry['times_alike']:.2f}",
            percent(entry["met"]),
            percent(entry["recognised"]),
            "yes" if entry["agreed"] else "no",
            "" if entry["forbidden"] is None else f"{entry['forbidden']:.1e}",
        ]
        for entry in summary
    ]
    targets = " and ".join(
        dict.fromkeys(f"{entry['targets']} at {entry['size']}³ voxels" for entry in summary)
    )
    pairs = ", ".join(settings["pairs"])
    return (
        f"## Constraints\n\nTargets ({targets}) are E_x, E_y and E_z of volumes of random classes, "
        f"{settings['count']} designs each, with the corrections that `design` makes by default: two steps "
        "without constraints, six with, twelve if symmetric; and without constraints once more with as many. "
        f"Phases in turn: {pairs}. Designs that do "
        "not meet all constraints are not shown; deviations are of those "
        "shown. Every design is checked with scipy.ndimage, apart from how it was made; recognised by the "
        "classifier of [recognition.md](recognition.md).\n\n"
        + table(
            [
                "voxels",
                "constraints",
                "designs",
                "shown",
                "deviation, median",
                "best of each target",
                "times that without, by default",
                "with as many steps",
                "shown that meet all",
                "recognised as of their mode",
                "as the program says",
                "forbidden entry",
            ],
            rows,
        )
    )


def fronts(record: dict[str, Any]) -> str:
    """Fronts beside those of the training volumes."""
    settings = record["settings"]
    rows = [
        [
            f"{entry['case']} ({entry['materials']})",
            ", ".join(f"{goal} {name}" for name, goal in entry["objectives"].items()),
            str(entry["designs"]),
            ", ".join(entry["modes"]),
            f"{entry['hypervolume']:.3f}",
            f"{entry['training_hypervolume']:.3f} ({entry['training_volumes']})",
            f"{entry['training_hypervolume_of_as_many']:.3f}",
            f"{entry['cpu_seconds']:.0f} s",
            f"{entry['wall_seconds']:.0f} s",
        ]
        for entry in record["figures"]
    ]
    return (
        f"## Pareto fronts\n\n{settings['candidates']} candidates of {settings['size']}³ voxels each. Shares "
        "are of the box around both fronts; that of the training volumes is solved with the reference pair, "
        "by the surrogate with other phases, and without their constraints: of all volumes on it (their "
        "number), and of as many as there are designs. Where no target says at which volume fraction a field "
        "is cut, fronts go on beyond the ends of those of the training volumes. Elapsed times are of the "
        "processors that are named below.\n\n"
        + table(
            [
                "case",
                "objectives",
                "designs",
                "modes",
                "share of the designs",
                "of the training volumes",
                "of as many of these",
                "CPU",
                "elapsed",
            ],
            rows,
        )
    )


def examples(record: dict[str, Any]) -> str:
    """The examples of the guide, a table each."""
    tolerance = record["settings"]["tolerance"]
    parts = ["## Examples"]
    for title, figures in record["figures"].items():
        names = list(figures["designs"][0]["solved"])
        rows = [
            [
                design["mode"],
                *("none" if (own := design["solved"][name]) is None else f"{own:.4g}" for name in names),
                "unknown" if design["largest_deviation"] is None else percent(design["largest_deviation"]),
                "yes" if design["met"] else "no",
                str(design["solves"]),
            ]
            for design in figures["designs"]
        ]
        parts.append(
            f"**{EXAMPLE_TITLES[title]}.** {figures['size']}³ voxels, {figures['reached']} of "
            f"{len(figures['designs'])} designs within {percent(tolerance)} by the solver, of "
            f"{len(figures['modes_reached'])} modes.\n\n    python -m vaereg design "
            f"{shlex.join(figures['command'])} --out designs.h5\n    python -m vaereg refine designs.h5 "
            f"--max-solves {figures['max_solves']} --out refined.h5"
        )
        parts.append(table(["mode", *names, "deviation", "constraints met", "solves"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
