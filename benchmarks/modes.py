"""Figures and picture of the modes: results/modes.json, docs/modes.md and docs/modes.png.

    python benchmarks/modes.py --data LABELS.h5 [--checkpoint FILE --targets 12 --per-class 12 --workers 2]
    python benchmarks/modes.py --data LABELS.h5 [--checkpoint FILE] --picture
    python benchmarks/modes.py --page

The first command measures a checkpoint on the test split of a data set that `python -m vaereg generate
--morphologies all` made, draws the picture and writes the page; the second draws the picture alone, the third
writes the page alone, from the record.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from families import DOCS, picture, save
from matplotlib.figure import Figure
from numpy.typing import NDArray
from record import RESULTS, write_record
from solver_report import provenance

from vaereg.evaluation.markdown import markdown_table
from vaereg.evaluation.modes.card import mode_section
from vaereg.evaluation.modes.figures import mode_figures
from vaereg.evaluation.modes.samples import ModeSamples, mode_samples
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.io.labelled_sets import LabelledSet, read_labelled_set
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES, MODES

SHOWN = 2
"""Real volumes, and volumes decoded from them, of every mode."""
TARGETS = ((8.0, 8.0, 8.0), (20.0, 20.0, 20.0), (70.0, 70.0, 70.0), (50.0, 50.0, 15.0))
"""C11, C22, C33 [GPa] of the designs in the picture."""
SIZE, SEED, PIXELS, CORRECTIONS = 32, 1, 300, 2
TEXT = """\
# Modes

Made by `python benchmarks/modes.py`, of the checkpoint `{checkpoint}` and {volumes} unseen volumes of
`{data}`. A component of the prior is a mode: a morphology with a name.

{modes}

![Real, decoded and designed volumes of every mode](modes.png)

Each row is a mode: on the left two unseen volumes, then those decoded from their encodings, then the best
design by prediction for each of {targets} targets [GPa], after {steps} corrections without a solve, with its
largest predicted deviation; nothing where the mode does not reach the target.

{sections}

{ablations}{provenance}
"""
ABLATIONS = """\
## What each claim is worth

Made by `python benchmarks/mode_ablations.py`, of the checkpoint `{checkpoint}`.

**Losses.** The networks of the built modes, trained anew for {minutes:g} minutes of processor time with each
preset of `train`, a quarter of its constructions, of its drawn volumes and of its steps of the encoder alone.
Decoded volumes, {per_class} of each class, are recognised as of their mode by the two classifiers; the
distances are those of the table above, "decoded beside real volumes", as medians over the classes of their
ratios.

{losses}

**Priors.** Designs for the six moduli of {targets} unseen volumes of built modes, {count} each, from three
priors over the encodings and their mode, with the same decoder and the same choice by the latent regressor,
and without the cuts, draws and corrections of `design`. Deviations are the solver's, the largest of the six.

{priors}

**Names.** Designs for C11, C22 and C33 of unseen volumes, by the free mixture of the joint model, as
published, and by the modes: how many modes the classifier recognises among the {count} designs for a target,
and the normalised mutual information of the component that made a design and the mode that it is taken for
(1 if one tells the other, 0 if it says nothing).

{names}

**Irregular volumes.** Raw designs for C11, C22 and C33 of unseen Gaussian fields and spinodal volumes.
Deviations are the solver's.

{irregular}

"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="labelled data set of morphologies")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--targets", type=int, default=12, help="targets of each kind")
    parser.add_argument("--count", type=int, default=12, help="designs per target")
    parser.add_argument("--per-class", type=int, default=12, help="volumes of each class that are decoded")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--picture", action="store_true", help="draw the picture alone")
    parser.add_argument("--page", action="store_true", help="make the page alone, from the record")
    parser.add_argument("--record", type=Path, default=RESULTS / "modes.json")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the page and its picture")
    arguments = parser.parse_args()
    if not arguments.page:
        if arguments.data is None:
            parser.error("expected --data LABELS.h5 or --page")
        measure(arguments)
    if arguments.picture:
        return
    target = arguments.out / "modes.md"
    target.write_text(page(json.loads(arguments.record.read_text(encoding="utf-8"))), encoding="utf-8")
    print(target)


def measure(arguments: argparse.Namespace) -> None:
    """Picture and record."""
    checkpoint = load_checkpoint(arguments.checkpoint)
    dataset = read_labelled_set(arguments.data)
    begin = time.process_time()
    draw(checkpoint, dataset, arguments.out / "modes.png")
    if arguments.picture:
        return
    figures = mode_figures(
        checkpoint,
        dataset,
        targets=arguments.targets,
        count=arguments.count,
        per_class=arguments.per_class,
        size=SIZE,
        corrections=CORRECTIONS,
        workers=arguments.workers,
        on_progress=lambda done, total: print(
            f"{done}/{total} targets, {time.process_time() - begin:.0f} s", flush=True
        ),
    )
    settings: dict[str, object] = {
        "data": arguments.data.name,
        "data_count": len(dataset),
        "data_seed": dataset.plan.seed,
        "targets": arguments.targets,
        "count": arguments.count,
        "per_class": arguments.per_class,
        "corrections": CORRECTIONS,
    }
    print(write_record("modes", settings, figures, arguments.record))


def draw(checkpoint: Checkpoint, dataset: LabelledSet, path: Path) -> None:
    """A row of every mode: real, decoded, designs."""
    if checkpoint.modes is None:
        raise SystemExit(f"expected a checkpoint with modes, got {checkpoint.hash} without")
    rows = np.random.default_rng(SEED).permutation(dataset.indices("test", size=SIZE))
    samples = mode_samples(checkpoint.model, checkpoint.modes.networks, dataset, rows, 2 * SHOWN)
    made = [
        design(
            checkpoint,
            dict(zip(("C11", "C22", "C33"), wanted, strict=True)),
            len(MODE_NAMES),
            SIZE,
            corrections=CORRECTIONS,
            seed=SEED,
        )
        for wanted in TARGETS
    ]
    columns = 1 + 2 * SHOWN + len(TARGETS)
    figure = Figure(figsize=(1.15 * columns, 1.2 * len(MODES) + 0.3), dpi=110)
    axes = figure.subplots(len(MODES), columns, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    titles = ["real"] * SHOWN + ["decoded"] * SHOWN
    titles += ["C11, C22, C33 =\n" + ", ".join(f"{value:g}" for value in wanted) for wanted in TARGETS]
    for axis, title in zip(axes[0, 1:], titles, strict=True):
        axis.set_title(title, fontsize=7, pad=4)
    for index, name in enumerate(MODE_NAMES):
        axes[index, 0].text(1.0, 0.5, name.replace("-", "-\n"), ha="right", va="center", fontsize=8)
        for axis, volume in zip(axes[index, 1 : 1 + 2 * SHOWN], shown(samples, index), strict=False):
            axis.imshow(picture(volume, PIXELS))
        for axis, designs in zip(axes[index, 1 + 2 * SHOWN :], made, strict=True):
            place = best(designs, index)
            if place is not None:
                axis.imshow(picture(designs.microstructures[place], PIXELS))
                axis.text(
                    *(0.98, 0.02, f"{designs.largest_deviation[place]:.1%}"),
                    ha="right",
                    fontsize=6,
                    transform=axis.transAxes,
                )
    figure.subplots_adjust(0.0, 0.0, 1.0, 0.965, 0.04, 0.06)
    save(figure, path)


def shown(samples: ModeSamples, mode: int) -> list[NDArray[np.uint8]]:
    """Real volumes of a mode, of its classes in turn, then those decoded from their encodings."""
    own = np.flatnonzero(samples.mode == mode)
    spread = own[np.linspace(0, len(own) - 1, SHOWN).astype(int)] if len(own) else own
    return [*samples.real[spread], *samples.decoded[spread]]


def best(designs: Designs, mode: int) -> int | None:
    """Design of a mode with the least predicted deviation, if it has any."""
    own = np.flatnonzero(designs.component == mode)
    return int(own[np.argmin(designs.largest_deviation[own])]) if len(own) else None


def page(record: dict[str, Any]) -> str:
    """docs/modes.md."""
    figures, made = record["figures"], record["settings"]
    return TEXT.format(
        checkpoint=figures["checkpoint"],
        volumes=figures["volumes"],
        data=f"generate --morphologies all --count {made['data_count']} --seed {made['data_seed']}",
        modes="\n".join(f"- **{mode.name}**: {mode.sentence}" for mode in MODES),
        steps=made["corrections"],
        targets=len(TARGETS),
        sections=mode_section(figures),
        ablations=ablations(),
        provenance=provenance(record),
    )


def ablations() -> str:
    """Section on the benchmark of the modes' claims; empty without its record."""
    path = RESULTS / "mode_ablations.json"
    if not path.exists():
        return ""
    record = json.loads(path.read_text(encoding="utf-8"))
    figures, made = record["figures"], record["settings"]
    losses = [
        (
            f"`{preset}`",
            item["steps"],
            f"{item['own']:.0%}",
            f"{item['independent']:.0%}",
            *(f"{item['distances'][name]:.1f}" for name in ("two_point", "lineal_path", "specific_surface")),
        )
        for preset, item in figures["losses"].items()
    ]
    priors = [
        (
            name,
            f"{item['largest_all']:.1%}",
            f"{item['largest_best']:.1%}",
            f"{item['own']:.0%}",
            f"{item['modes_recognised']:.1f}",
            f"{item['modes_near']:.1f}",
        )
        for name, item in figures["priors"].items()
    ]
    names = [
        (name, item["targets"], f"{item['modes_recognised']:.1f}", f"{item['mutual_information']:.2f}")
        for name, item in figures["free mixture"].items()
    ]
    keys = ("mean_all", "mean_best", "largest_all", "largest_best")
    irregular = [
        (name, item["targets"], *(f"{item[key]:.1%}" for key in keys))
        for name, item in figures["irregular"].items()
    ]
    recognised = ("recognised, own", "recognised, independent")
    return ABLATIONS.format(
        checkpoint=figures["checkpoint"],
        minutes=made["minutes"],
        per_class=made["per_class"],
        targets=made["targets"],
        count=made["count"],
        losses=markdown_table(
            ["preset", "steps", *recognised, "two-point", "lineal path", "specific surface"], losses
        ),
        priors=markdown_table(
            ["prior", "all designs", "best design", recognised[0], "modes recognised", "of these within 5 %"],
            priors,
        ),
        names=markdown_table(["components", "targets", "modes recognised", "mutual information"], names),
        irregular=markdown_table(
            ["made by", "targets", "mean, all", "mean, best", "largest, all", "largest, best by prediction"],
            irregular,
        ),
    )


if __name__ == "__main__":
    main()
