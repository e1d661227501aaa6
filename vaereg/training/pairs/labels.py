"""Labels of the regressor for any pair of phases: bounds after few iterations, and the stiffness.

Volumes, pairs and stiffness come from a data set of morphologies (`vaereg.io.labelled_sets`). What is
computed here are the bounds, for one pair of phases of each volume. Moduli are over Young's modulus of the
stiff phase.

Letters: N labels, S steps at which bounds are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.io.files import replace_file
from vaereg.io.labelled_sets import LabelledVolumes
from vaereg.materials import TwoPhase
from vaereg.model.pairs.features import STEPS
from vaereg.solver.bounds import bound_stiffness

__all__ = ["PairLabels", "chosen_pair", "joined", "label_pairs", "read_pair_labels", "write_pair_labels"]

SMALL_RESIDUAL, SMALL_ENERGY = 0.01, 0.03
"""Relative residual, and residual over the bound, after which no more bounds are computed [-]: below those
where the regressor stops."""
FIRST_PAIR = 8
"""One in this number of volumes is labelled for its first pair, the others for their last."""
FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLabels:
    """Labelled volumes, one pair of phases each."""

    morphology: NDArray[np.str_]
    """Name of the class, shape (N,)."""
    size: NDArray[np.int64]
    """Voxels per edge, shape (N,)."""
    fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    moduli: NDArray[np.float64]
    """Young's modulus of the soft over that of the stiff phase, Poisson ratios of both, shape (N, 3) [-]."""
    uppers: NDArray[np.float64]
    """Upper bounds after each of `STEPS`, Voigt order, shape (N, S, 6, 6) [E of the stiff phase]."""
    energies: NDArray[np.float64]
    """Energies of the preconditioned residual after each of `STEPS`, shape (N, S, 6, 6)."""
    residuals: NDArray[np.float64]
    """Largest relative residual after each of `STEPS`, shape (N, S) [-]."""
    reached: NDArray[np.int64]
    """Number of `STEPS` that were done, shape (N,): bounds of the others repeat the last."""
    stiffness: NDArray[np.float64]
    """Effective stiffness by the converged solver, Voigt order, shape (N, 6, 6)."""

    def __len__(self) -> int:
        return len(self.fraction)

    @property
    def pairs(self) -> list[TwoPhase]:
        """Phases of each label."""
        return [TwoPhase.from_moduli(1.0, *row) for row in self.moduli.tolist()]

    def rows(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> PairLabels:
        """Some of the labels."""
        return PairLabels(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def joined(parts: Sequence[PairLabels]) -> PairLabels:
    """Labels of several parts, one after the other."""
    names = [field.name for field in fields(PairLabels)]
    return PairLabels(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def chosen_pair(samples: LabelledVolumes, index: int) -> int | None:
    """Place of the pair for which a volume is labelled; None where no pair has a stiffness.

    It is the last one, which is random, but for one volume in `FIRST_PAIR` the first one, the reference pair.
    """
    labelled_pairs = np.flatnonzero(np.isfinite(samples.stiffness[index]).all((1, 2)))
    if len(labelled_pairs) == 0:
        return None
    return int(labelled_pairs[0 if samples.seed[index] % FIRST_PAIR == 0 else -1])


def label_pairs(
    samples: LabelledVolumes,
    indices: Sequence[int],
    *,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> PairLabels:
    """Bound the stiffness of volumes of a data set; those without a stiffness are left out.

    Args:
        samples: Volumes with pairs of phases and stiffness.
        indices: Which volumes.
        workers: Number of processes of one thread each, or an executor.
        on_progress: Called with the number of labels that are done, and of all.

    Raises:
        InputError: None of the volumes has a stiffness.
    """
    places = {index: place for index in indices if (place := chosen_pair(samples, index)) is not None}
    if not places:
        raise InputError(f"expected volumes with a stiffness, got none among {len(indices)}")
    jobs = [
        (samples.volume(index), samples.phases[index, place], samples.stiffness[index, place])
        for index, place in places.items()
    ]
    rows = []
    for row in map_tasks(_label, jobs, workers):
        rows.append(row)
        if on_progress:
            on_progress(len(rows), len(places))
    volumes = np.array(list(places))
    return PairLabels(
        morphology=samples.morphology[volumes],
        size=samples.size[volumes],
        **{name: np.array([row[name] for row in rows]) for name in rows[0]},
    )


def _label(job: tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float32]]) -> dict[str, object]:
    volume, numbers, stiffness = job
    e_stiff, e_soft, nu_stiff, nu_soft = numbers[:4].tolist()
    moduli = (e_soft / e_stiff, nu_stiff, nu_soft)
    bounds = bound_stiffness(
        volume,
        TwoPhase.from_moduli(1.0, *moduli),
        residual=SMALL_RESIDUAL,
        energy=SMALL_ENERGY,
        max_iter=STEPS[-1],
        steps=STEPS,
        only_after_steps=True,
        lower_bound=False,
    )
    uppers = np.repeat(bounds.upper[None], len(STEPS), axis=0)
    energies, residuals = np.zeros_like(uppers), np.zeros(len(STEPS))
    reached = len(bounds.steps)
    uppers[:reached], energies[:reached] = bounds.uppers, bounds.residual_energies
    residuals[:reached] = bounds.residuals[list(bounds.steps)]
    return {
        "fraction": float(volume.mean()),
        "moduli": moduli,
        "uppers": uppers,
        "energies": energies,
        "residuals": residuals,
        "reached": reached,
        "stiffness": stiffness.astype(np.float64) / e_stiff,
    }


def write_pair_labels(path: Path, labels: PairLabels) -> None:
    """Write labels as NPZ."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file,
                format_version=np.int64(FORMAT_VERSION),
                **{field.name: getattr(labels, field.name) for field in fields(labels)},
            )

    replace_file(path, write)


def read_pair_labels(path: Path) -> PairLabels:
    """Read labels.

    Raises:
        InputError: The file holds no labels of this format version.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if "format_version" not in arrays or int(arrays["format_version"]) != FORMAT_VERSION:
            raise InputError(f"expected labels of format version {FORMAT_VERSION} in {path}")
        return PairLabels(**{field.name: arrays[field.name] for field in fields(PairLabels)})
