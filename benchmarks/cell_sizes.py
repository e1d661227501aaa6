"""Predictions by class and by size of the cell, on unseen volumes: docs/cell-sizes.md.

    python benchmarks/cell_sizes.py --data data/morphologies.h5 [--checkpoint FILE] [--split test]
    python benchmarks/cell_sizes.py --page

Volumes and labels are those of a data set of morphologies (`vaereg generate --morphologies all`), of a split
that the model was not trained on. Writes results/cell_sizes.json; the second command makes the page from it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import RESULTS, write_record
from solver_report import provenance, table

from vaereg.evaluation.figures import forward_figures
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from vaereg.model.prediction import predict
from vaereg.training.training_set import TrainingSet, read_training_set

PAGE = Path(__file__).parents[1] / "docs" / "cell-sizes.md"
TIERS = {"guided": True, "encoder": False}
TEXT = """\
# Predictions by class and size

The {volumes} volumes of the {split} split of a data set of thirteen classes and five sizes, for the reference
pair. The model, checkpoint `{checkpoint}`, was trained on {trained}, {cell}.
Error: mean absolute percentage error over C11, C22, C33 against the solver. Intervals are those of 90 %.

## By class

{classes}

## By size

{by_size}

{provenance}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="data set of morphologies")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT, help="trained model")
    parser.add_argument("--split", default="test", help="split whose volumes are predicted")
    parser.add_argument("--page", action="store_true", help="make the page alone, from the record")
    parser.add_argument("--record", type=Path, default=RESULTS / "cell_sizes.json")
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    if not arguments.page:
        if arguments.data is None:
            parser.error("expected --data, or --page")
        data, checkpoint = read_training_set(arguments.data), load_checkpoint(arguments.checkpoint)
        settings = {
            "data": json.loads(data.identity),
            "split": arguments.split,
            "checkpoint": checkpoint.hash,
            "cell": checkpoint.card["cell"],
            "trained": "these classes" if "classes" in checkpoint.card else "the families of version 0.1",
        }
        write_record("cell_sizes", settings, measure(checkpoint, data, arguments.split), arguments.record)
    text = page(json.loads(arguments.record.read_text(encoding="utf-8")))
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


def measure(checkpoint: Checkpoint, data: TrainingSet, split: str) -> dict[str, Any]:
    """Figures of both tiers over all volumes of a split, by class and by size."""
    rows = data.labelled_rows(split)
    truth = data.properties[rows]
    parts = {name: np.empty((2, *truth.shape)) for name in TIERS}
    novel = np.empty(len(rows), dtype=bool)
    for places, volumes in data.by_size(rows):
        for name, guided in TIERS.items():
            prediction = predict(checkpoint, volumes, guided=guided)
            parts[name][:, places] = prediction.mean, prediction.std
            if guided:
                novel[places] = ~prediction.in_distribution

    def figures(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        result: dict[str, Any] = {"volumes": int(chosen.sum()), "novel": float(novel[chosen].mean())}
        for name, (mean, std) in parts.items():
            result[name] = forward_figures(mean[chosen], truth[chosen], std[chosen])
        return result

    names, sizes = data.name[rows], data.size[rows]
    return {
        "all": figures(np.ones(len(rows), dtype=bool)),
        "classes": {str(name): figures(names == name) for name in np.unique(names)},
        "sizes": {str(size): figures(sizes == size) for size in np.unique(sizes)},
    }


def page(record: dict[str, Any]) -> str:
    """docs/cell-sizes.md."""
    figures, settings = record["figures"], record["settings"]
    columns = ["volumes", "physics-guided, error", "inside its interval"]
    columns += ["encoder, error", "inside its interval", "marked as novel"]
    overall = row("**all**", figures["all"])
    classes = [row(f"`{name}`", entry) for name, entry in figures["classes"].items()]
    sizes = [row(f"{size}³", entry) for size, entry in figures["sizes"].items()]
    return TEXT.format(
        volumes=figures["all"]["volumes"],
        **{name: settings[name] for name in ("split", "checkpoint", "cell", "trained")},
        classes=table(["class", *columns], [*classes, overall]),
        by_size=table(["cell [voxel]", *columns], sizes),
        provenance=provenance(record),
    )


def row(title: str, entry: dict[str, Any]) -> list[str]:
    cells = [title, str(entry["volumes"])]
    for name in TIERS:
        coverage = np.mean([*entry[name]["coverage_90"].values()])
        cells += [f"{100 * entry[name]['mape_axial']:.2f} %", f"{100 * coverage:.0f} %"]
    return [*cells, f"{100 * entry['novel']:.0f} %"]


if __name__ == "__main__":
    main()
