"""docs/refinement.md and docs/refinement.png from results/refinement.json: no figure in it is typed by hand.

Run `python benchmarks/refinement_report.py [--record FILE] [--out FILE]`.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from families import DOCS, save
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter
from record import RESULTS
from solver_report import provenance

from vaereg.evaluation.records import KINDS, LEVELS, STARTS, error_curve, read_record, solves_table

COLORS = {
    "design": "#3f7fd6",
    "latent": "#b4589f",
    "training": "#2f9e78",
    "random": "#d9892b",
    "graded": "#7d8590",
}
TICKS = (1, 2, 5, 10, 20, 50)
HEAD = """# Refinement in solves

Made by `python benchmarks/refinement_report.py` from `benchmarks/results/refinement.json`, which
`benchmarks/refinement.py` measured. One solve is one volume under six load cases; the last solve of a search
verifies its best volume in float64. Targets are properties of unseen volumes; the error is the largest
relative distance of an asked property from its target, by the solver.

The search of `refine` begins at the best of {designs} designs, at the training volume that is nearest in
properties, or at a design for the properties of a random training volume. Beside it: a search in the latent
space of the model (at most {latent} solves), and gradient descent on a graded density from noise (at most
{graded} solves), which ends with a cut into two phases; its solves to a level are those of the graded
density.

![Median error against solves](refinement.png)"""


def draw(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Median error after so many solves, a panel per kind of target."""
    kinds = [kind for kind in KINDS if any(run["kind"] == kind for run in runs)]
    figure = Figure(figsize=(3.5 * len(kinds), 3.3), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for panel, kind in zip(panels, kinds, strict=True):
        for start, color in COLORS.items():
            curve = error_curve([run for run in runs if (run["kind"], run["start"]) == (kind, start)])
            panel.plot(np.arange(1, len(curve) + 1), curve, color=color, label=STARTS[start])
        for level in LEVELS:
            panel.axhline(level, color="#8a929c", linewidth=0.7, linestyle=":")
        panel.set(title=KINDS[kind], xlabel="solves", xscale="log", yscale="log")
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    panels[0].set_ylabel("median error")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, default=RESULTS / "refinement.json")
    parser.add_argument("--out", type=Path, default=DOCS / "refinement.md")
    arguments = parser.parse_args()
    record = read_record(arguments.record, "refinement")
    runs, settings = record["figures"], record["settings"]
    draw(runs, arguments.out.with_name("refinement.png"))
    head = HEAD.format(designs=settings["designs"], **settings["max_solves"])
    text = "\n\n".join([head, solves_table(runs), provenance(record)])
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
