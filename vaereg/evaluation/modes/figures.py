"""Figures of named modes: recognition, modes per target, errors, diversity, decoded beside real volumes.

Targets are C11, C22 and C33 of unseen volumes: nearly isotropic ones and any with the reference pair, and any
with the random pair that their data set has for them. Every design is checked by the solver, as it comes
from the modes and after corrections without a solve.

Letters: N designs, K modes, D descriptors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.evaluation.modes.samples import REALISATIONS, distance_figures, mode_samples
from vaereg.evaluation.modes.trials import KINDS, ModeTrial, mode_trials
from vaereg.evaluation.recognition import coverage, fit_kernel, vendi_score
from vaereg.executors import Workers, map_tasks
from vaereg.generators.morphologies import component_of
from vaereg.inverse.refining.corrections import STEPS
from vaereg.io.labelled_sets import LabelledSet
from vaereg.microstructure.descriptors import describe_morphology
from vaereg.microstructure.statistics import two_point_distances
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.recognition import (
    DEFAULT_REFERENCE,
    INDEPENDENT_REFERENCE,
    MorphologyClassifier,
    Share,
    load_classifier,
    read_reference,
)

__all__ = ["mode_figures"]

_CLOSE = 0.02
"""Largest deviation by the solver of designs whose Vendi score is measured [-]."""
_FEW = 3
"""Modes from which a target counts as one of several morphologies."""


def mode_figures(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    *,
    split: str = "test",
    targets: int = 12,
    count: int = 12,
    per_class: int = 12,
    size: int | None = None,
    corrections: int = STEPS,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Every figure of the modes.

    Args:
        checkpoint: Trained model with modes.
        dataset: Labelled volumes, the first pair of each the reference pair.
        split: Part whose volumes are asked for and compared.
        targets: Targets of each of `KINDS`; fewer where the split has not as many.
        count: Designs per target.
        per_class: Volumes of each class that are decoded.
        size: Voxels per edge of all volumes; the most frequent number of the split if left out.
        corrections: Steps of correction without a solve.
        workers: Number of processes that solve, or an executor.
        on_progress: Called with the targets that are designed for and solved, and with their number.

    Returns:
        Nested plain values, JSON-serialisable: `recognition` by both classifiers of real, decoded and
        designed volumes; `decoded`, distances by class; a part for each of `KINDS`; `coverage` and
        `vendi` of the designs for the reference pair.

    Raises:
        InputError: The checkpoint has no modes, or the split no volume of this size.
    """
    if checkpoint.modes is None:
        raise InputError(f"expected a checkpoint with modes, got {checkpoint.hash} without")
    rows = _labelled(dataset, split, size)
    size = int(dataset.samples.size[rows[0]])
    samples = mode_samples(checkpoint.model, checkpoint.modes.networks, dataset, rows, per_class)
    trials, refused = mode_trials(
        checkpoint,
        dataset,
        rows,
        targets=targets,
        count=count,
        size=size,
        corrections=corrections,
        workers=workers,
        on_progress=on_progress,
    )
    reference = [*trials["isotropic"], *trials["any"]]
    kinds = {
        "real": (samples.real, samples.mode),
        "decoded": (samples.decoded, samples.mode),
        "designs": (
            _stacked([trial.designs.microstructures for trial in reference], size),
            _joined([trial.designs.component for trial in reference]),
        ),
        "corrected": (
            _stacked([trial.corrected for trial in reference], size),
            _joined([trial.designs.component for trial in reference]),
        ),
    }
    described = {name: _described(volumes, workers) for name, (volumes, _) in kinds.items()}
    judges = {"generators": load_classifier(), "independent": load_classifier(INDEPENDENT_REFERENCE)}
    recognition = {
        judge: {
            name: _recognition(classifier, described[name], kinds[name][1])
            for name in kinds
            if len(kinds[name][1])
        }
        for judge, classifier in judges.items()
    }
    recognised = _taken(judges["generators"], described["corrected"])
    ends = np.cumsum([0, *(len(trial.predicted) for trial in reference)])
    spans = [slice(begin, end) for begin, end in pairwise(ends.tolist())]
    hits = coverage(
        [set(recognised[span].tolist()) for span in spans], [_mode(dataset, t.row) for t in reference]
    )
    return {
        "checkpoint": checkpoint.hash,
        "volumes": len(rows),
        "split": split,
        "size": size,
        "corrections": corrections,
        "recognition": recognition,
        "realisations": REALISATIONS,
        "decoded": distance_figures(checkpoint.model, checkpoint.modes.networks, dataset, samples),
        **{kind: _kind_figures(trials[kind], refused[kind]) for kind in KINDS},
        "coverage": _share(hits),
        "vendi": _vendi(reference, [described["corrected"][span] for span in spans]),
    }


def _labelled(dataset: LabelledSet, split: str, size: int | None) -> NDArray[np.intp]:
    """Volumes of a split and size that are labelled for the reference pair, in random order."""
    rows = dataset.indices(split, size=size)
    rows = rows[np.isfinite(dataset.samples.stiffness[rows, 0]).all((1, 2))]
    if not len(rows):
        condition = "" if size is None else f" of {size} voxels per edge"
        raise InputError(f"expected labelled volumes{condition} in the split {split!r}, got none")
    if size is None:
        sizes, numbers = np.unique(dataset.samples.size[rows], return_counts=True)
        rows = rows[dataset.samples.size[rows] == sizes[numbers.argmax()]]
    return np.random.default_rng(0).permutation(rows)


def _kind_figures(trials: Sequence[ModeTrial], refused: int) -> dict[str, Any]:
    """Figures of targets of one kind."""
    figures: dict[str, Any] = {"targets": len(trials) + refused, "refused": refused}
    if not trials:
        return figures
    modes_tried = [np.unique(trial.designs.component) for trial in trials]
    nothing = [0] * refused
    figures["designs_per_target"] = len(trials[0].predicted)
    figures["modes_tried"] = float(np.mean([*map(len, modes_tried), *nothing]))
    for name, corrected in (("raw", False), ("corrected", True)):
        near = [trial.near(corrected) for trial in trials]
        several = [*map(len, near), *nothing]
        deviations = [trial.deviations(corrected) for trial in trials]
        best = [trial.best(corrected) for trial in trials]
        all_largest = np.concatenate([item.max(1) for item in deviations])
        all_mean = np.concatenate([item.mean(1) for item in deviations])
        modes = np.concatenate([trial.designs.component for trial in trials])
        figures[name] = {
            "modes_near": float(np.mean(several)),
            "share_with_several": float(np.mean([number >= _FEW for number in several])),
            "largest_all": float(np.median(all_largest)),
            "largest_best": float(
                np.median([item[row].max() for item, row in zip(deviations, best, strict=True)])
            ),
            "mean_all": float(np.median(all_mean)),
            "mean_best": float(
                np.median([item[row].mean() for item, row in zip(deviations, best, strict=True)])
            ),
            "by_mode": {
                MODE_NAMES[mode]: {
                    "designs": int((modes == mode).sum()),
                    "targets": sum(mode in item for item in modes_tried),
                    "near": sum(mode in item for item in near),
                    "largest": float(np.median(all_largest[modes == mode])),
                }
                for mode in np.unique(modes)
            },
        }
    pairs = [two_point_distances(trial.designs.microstructures, trial.designs.component) for trial in trials]
    within, across = ([distance for pair in pairs for distance in pair[side]] for side in (0, 1))
    figures["two_point_within"] = float(np.mean(within)) if within else None
    figures["two_point_across"] = float(np.mean(across)) if across else None
    return figures


def _vendi(
    trials: Sequence[ModeTrial], descriptors: Sequence[NDArray[np.float64]]
) -> dict[str, float | int | None]:
    """Mean Vendi score of the corrected designs of a target within `_CLOSE`, and their mean number."""
    kernel = fit_kernel(read_reference(DEFAULT_REFERENCE))
    scores, numbers = [], []
    for trial, rows in zip(trials, descriptors, strict=True):
        close = rows[trial.deviations(True).max(1) <= _CLOSE]
        numbers.append(len(close))
        if len(close):
            scores.append(vendi_score(kernel(close)))
    return {
        "targets": len(scores),
        "designs": float(np.mean(numbers)) if numbers else None,
        "score": float(np.mean(scores)) if scores else None,
    }


def _described(volumes: NDArray[np.uint8], workers: Workers) -> NDArray[np.float64]:
    """Descriptors of volumes of both phases, shape (N, D)."""
    return np.array(list(map_tasks(describe_morphology, list(volumes), workers)))


def _taken(classifier: MorphologyClassifier, descriptors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Mode that each described volume is recognised as, shape (N,)."""
    if not len(descriptors):
        return np.zeros(0, dtype=np.int64)
    return classifier.mode_proba(classifier.predict_descriptors(descriptors)).argmax(1)


def _recognition(
    classifier: MorphologyClassifier, descriptors: NDArray[np.float64], modes: NDArray[np.int64]
) -> dict[str, Any]:
    """Volumes that are recognised as of their mode, over all and by mode."""
    right = _taken(classifier, descriptors) == modes
    return {
        **_share(Share(successes=int(right.sum()), trials=len(right))),
        "by_mode": {
            MODE_NAMES[mode]: {
                "recognised": int(right[modes == mode].sum()),
                "volumes": int((modes == mode).sum()),
            }
            for mode in np.unique(modes)
        },
    }


def _share(share: Share) -> dict[str, float | int]:
    return {
        "recognised": share.successes,
        "volumes": share.trials,
        "share": share.value,
        "standard_error": share.standard_error,
    }


def _mode(dataset: LabelledSet, row: int) -> int:
    """Index of the mode of a volume of the data set."""
    name = component_of(str(dataset.samples.morphology[row]), dataset.recipe(row))
    return MODE_NAMES.index(name)


def _stacked(parts: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    return np.concatenate([np.zeros((0, size, size, size), dtype=np.uint8), *parts])


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
