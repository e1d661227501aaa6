"""Recognition of morphologies by two classifiers: their references, and docs/recognition.md.

    python benchmarks/recognition.py --references [generators|independent] [--reference-count 60 --workers 2]
    python benchmarks/recognition.py [--count 24 --workers 2]
    python benchmarks/recognition.py --page

The first command makes `checkpoints/recognition.npz` and `recognition-independent.npz` anew: descriptors of
volumes of the generators, and of generators that share nothing with them. The second measures how both
classifiers do on volumes of other seeds and writes results/recognition.json and the page; the third makes the
page alone, from the record.
"""

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, write_record
from solver_report import provenance, table

from vaereg.evaluation.recognition import Source, confusion, draw_class, draw_reference
from vaereg.microstructure.descriptors import DESCRIPTOR_NAMES, describe_morphology
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.recognition import (
    DEFAULT_REFERENCE,
    INDEPENDENT_REFERENCE,
    RECOGNISED_MODES,
    MorphologyClassifier,
    Reference,
    Share,
    fit_classifier,
    load_classifier,
    read_reference,
    save_reference,
)
from vaereg.workers import worker_processes

PAGE = Path(__file__).parents[1] / "docs" / "recognition.md"
REFERENCES: dict[Source, Path] = {
    "generators": DEFAULT_REFERENCE,
    "independent": INDEPENDENT_REFERENCE,
}
REFERENCE_SEED, TEST_SEED = 1, 2
SIZES = (16, 24, 32, 48, 64)
REPEATS = 5
TEXT = """\
# Recognition of morphologies

Made by `python benchmarks/recognition.py`. A forest of 400 extremely randomised trees votes on {descriptors}
descriptors of a volume (`vaereg/microstructure/descriptors.py`): two-point correlation, lineal path, chords,
surface, distances, Euler number, percolation, clusters, patterns of 2x2x2 voxels, directions of the
interfaces about a voxel; no volume fraction and no length in voxels. A volume counts as recognised where the
classes of its mode have the most votes together.
Two such classifiers judge:

- **generators**: fitted to {generators};
- **independent**: fitted to {independent} (`vaereg/evaluation/independent.py`), which share no code and no
  construction with the generators: random points that are not pushed apart, overlapping blocks and
  ellipsoids, infinite fibres, dilated walls of labelled cells, other level sets and lattices, sums of waves,
  averaged boxes.

The first says whether volumes look like those of the generators. The second has never seen those: what it
names is the class. It does not name all of the generators' own volumes either; what it names of a model's
volumes is to be compared with the column *independent* here.

## Volumes of the generators by class

Cells of 32³ voxels, {count} of each class, other seeds than those of the references; percentages ± a binomial
standard error.

{classes}

## Volumes of the generators by size

{sizes}

## Volumes of the independent generators

{others}

## Cost

CPU time of describing a volume of 32³: {describe:.0f} ms, of 64³: {describe_large:.1f} s; of fitting the
classifier: {fit:.1f} s; of the votes on a described volume: {vote:.0f} ms. The two references have
{kilobytes:.0f} kB in all.

{provenance}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--references",
        nargs="*",
        choices=REFERENCES,
        help="make what the classifiers are fitted to, all or some",
    )
    parser.add_argument(
        "--reference-count", type=int, default=60, help="volumes of each class in a reference"
    )
    parser.add_argument("--count", type=int, default=20, help="volumes of each class that are recognised")
    parser.add_argument("--page", action="store_true", help="make the page alone, from the record")
    parser.add_argument("--record", type=Path, default=RESULTS / "recognition.json")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.references is not None:
        for number, (source, path) in enumerate(REFERENCES.items()):
            if arguments.references and source not in arguments.references:
                continue
            generator = np.random.default_rng([REFERENCE_SEED, number])
            reference = drawn(source, arguments.reference_count, None, generator, arguments.workers)
            save_reference(reference, path)
            print(path, f"{path.stat().st_size / 1e3:.0f} kB", flush=True)
        return
    if not arguments.page:
        settings = {
            "seed": TEST_SEED,
            "count": arguments.count,
            "references": {source: read_reference(path).origin for source, path in REFERENCES.items()},
        }
        write_record("recognition", settings, measure(arguments.count, arguments.workers), arguments.record)
    record = json.loads(arguments.record.read_text(encoding="utf-8"))
    arguments.out.write_text(page(record), encoding="utf-8")
    print(arguments.record, arguments.out)


def drawn(
    source: Source, count: int, size: int | None, generator: np.random.Generator, workers: int
) -> Reference:
    """Described volumes of all classes of a source, of one size or of the sizes of a reference."""

    def tell(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f"{source} {size or ''}: {done}/{total}", flush=True)

    sizes = {} if size is None else {"sizes": {size: 1.0}}
    with worker_processes(workers) if workers > 1 else nullcontext() as executor:
        return draw_reference(
            count, source=source, generator=generator, executor=executor, on_progress=tell, **sizes
        )


def measure(count: int, workers: int) -> dict[str, Any]:
    """Recognition of volumes of other seeds by both classifiers."""
    judges = {source: load_classifier(path) for source, path in REFERENCES.items()}
    figures: dict[str, Any] = {"generators": {}, "independent": {}}
    for number, size in enumerate(SIZES):
        generator = np.random.default_rng([TEST_SEED, number])
        volumes = drawn("generators", count if size == 32 else max(count // 4, 2), size, generator, workers)
        figures["generators"][str(size)] = by_judge(judges, volumes)
    rest = drawn("independent", count, 32, np.random.default_rng([TEST_SEED, len(SIZES)]), workers)
    figures["independent"]["32"] = by_judge(judges, rest)
    return figures | {"cost": cost()}


def by_judge(judges: dict[Source, MorphologyClassifier], volumes: Reference) -> dict[str, Any]:
    """Counts by class for each classifier, and the ratio of what the independent one and ours recognise."""
    result = {}
    for name, judge in judges.items():
        matrix = confusion(judge, volumes)
        result[name] = {
            "overall": counted(matrix.overall()),
            "classes": {
                label: counted(share) | {"mistakes": matrix.mistakes(label)}
                for label, share in matrix.by_class().items()
            },
        }
    ratio = result["independent"]["overall"]["share"] / result["generators"]["overall"]["share"]
    return result | {"ratio": ratio}


def counted(share: Share) -> dict[str, Any]:
    return {
        "recognised": share.successes,
        "volumes": share.trials,
        "share": round(share.value, 4),
        "standard_error": round(share.standard_error, 4),
    }


def cost() -> dict[str, float]:
    """CPU time of what a call does [s], and the size of the files [byte]."""
    times: dict[str, float] = {}
    for size in (32, 64):
        volume = draw_class("gaussian", size, source="generators", generator=np.random.default_rng(0))
        times[f"describe_{size}_s"] = min(
            cpu(lambda cell=volume: describe_morphology(cell)) for _ in range(REPEATS)
        )
    reference = read_reference(DEFAULT_REFERENCE)
    rows, labels = reference.descriptors, reference.labels
    times["fit_s"] = cpu(lambda: fit_classifier(rows, labels, reference.classes))
    classifier = load_classifier()
    times["vote_s"] = min(cpu(lambda: classifier.predict_descriptors(rows[:1])) for _ in range(REPEATS))
    return times | {"references_bytes": sum(path.stat().st_size for path in REFERENCES.values())}


def cpu(function: Any) -> float:  # noqa: ANN401
    begin = time.process_time()
    function()
    return time.process_time() - begin


def page(record: dict[str, Any]) -> str:
    """docs/recognition.md."""
    figures, made = record["figures"], record["settings"]
    times = figures["cost"]
    own = figures["generators"]["32"]
    rows = [
        [
            f"`{name}`",
            MODE_NAMES[RECOGNISED_MODES[name]],
            *(judged(own, judge, name) for judge in REFERENCES),
            mistaken(own["independent"]["classes"][name]),
        ]
        for name in own["generators"]["classes"]
    ]
    rows.append(["**all**", "", *(percent(own[judge]["overall"]) for judge in REFERENCES), ""])
    rows.append(["**ratio**", "", "", f"{own['ratio']:.2f}", ""])
    sizes = [
        [f"{size}³", str(result["generators"]["overall"]["volumes"])]
        + [percent(result[judge]["overall"]) for judge in REFERENCES]
        for size, result in figures["generators"].items()
    ]
    other = figures["independent"]["32"]
    rest = [
        [f"`{name}`", *(judged(other, judge, name) for judge in REFERENCES)]
        for name in other["generators"]["classes"]
    ]
    rest.append(["**all**", *(percent(other[judge]["overall"]) for judge in REFERENCES)])
    return TEXT.format(
        descriptors=len(DESCRIPTOR_NAMES),
        **made["references"],
        count=made["count"],
        classes=table(["class", "mode", *REFERENCES, "independent takes others for"], rows),
        sizes=table(["cell [voxel]", "volumes", *REFERENCES], sizes),
        others=table(["class", *REFERENCES], rest),
        describe=1e3 * times["describe_32_s"],
        describe_large=times["describe_64_s"],
        fit=times["fit_s"],
        vote=1e3 * times["vote_s"],
        kilobytes=times["references_bytes"] / 1e3,
        provenance=provenance(record),
    )


def judged(figures: dict[str, Any], judge: str, name: str) -> str:
    return percent(figures[judge]["classes"][name])


def percent(figure: dict[str, Any]) -> str:
    return f"{100 * figure['share']:.0f} ± {100 * figure['standard_error']:.0f} %"


def mistaken(figure: dict[str, Any]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in figure["mistakes"])


if __name__ == "__main__":
    main()
