"""Labels of the regressor for any pair of phases: bounds after few iterations, and the stiffness.

Label i depends on the base seed and on i alone: a volume of one of the morphologies and a pair of phases,
both random. Moduli are over Young's modulus of the stiff phase.

Letters: N labels, S steps at which bounds are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.io.files import replace_file
from vaereg.materials import TwoPhase
from vaereg.model.pair_features import STEPS
from vaereg.solver.bounds import bound_stiffness
from vaereg.solver.homogenization import homogenize
from vaereg.training.morphology_labels import label_tolerance

__all__ = ["PairLabels", "draw_pair", "joined", "label_pairs", "read_pair_labels", "write_pair_labels"]

SIZES, SIZE_SHARES = (24, 32), (0.6, 0.4)
"""Voxels per edge, and their shares [-]."""
VOID_SHARE, REFERENCE_SHARE = 0.08, 0.1
"""Shares of pairs with a void, and of the reference pair [-]."""
CONTRAST, POISSON = (1.0, 1e4), (0.0, 0.45)
"""Ranges of the ratio of Young's moduli (log-uniform) and of the Poisson ratios (uniform) [-]."""
MAX_ITER = 600
"""Upper limit of the solver's iterations; 339 is the most that was seen, for a void without percolation."""
FORMAT_VERSION = 1


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
    stiffness: NDArray[np.float64]
    """Effective stiffness by the converged solver, Voigt order, shape (N, 6, 6)."""
    iterations: NDArray[np.int64]
    """Iterations of the converged solver, shape (N,)."""

    def __len__(self) -> int:
        return len(self.fraction)

    @property
    def pairs(self) -> list[TwoPhase]:
        """Phases of each label."""
        return [TwoPhase.from_moduli(1.0, *row) for row in self.moduli.tolist()]

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> PairLabels:
        """Some of the labels."""
        return PairLabels(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def joined(parts: Sequence[PairLabels]) -> PairLabels:
    """Labels of several parts, one after the other."""
    names = [field.name for field in fields(PairLabels)]
    return PairLabels(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def draw_pair(generator: np.random.Generator) -> tuple[float, float, float]:
    """Young's modulus of the soft over that of the stiff phase, and the Poisson ratios of both [-]."""
    kind = generator.random()
    contrast = np.exp(generator.uniform(*np.log(CONTRAST)))
    nu_stiff, nu_soft = generator.uniform(*POISSON, 2)
    if kind < VOID_SHARE:
        return 0.0, float(nu_stiff), 0.0
    if kind < VOID_SHARE + REFERENCE_SHARE:
        return 0.02, 0.3, 0.3
    return float(1.0 / contrast), float(nu_stiff), float(nu_soft)


def label_pairs(
    count: int, seed: int, *, workers: Workers = 1, on_progress: Callable[[int, int], None] | None = None
) -> PairLabels:
    """Make and label volumes; labels whose solver did not converge are left out.

    Args:
        count: Number of volumes N.
        seed: Base seed.
        workers: Number of processes of one thread each, or an executor.
        on_progress: Called with the number of labels that are done, and of all.
    """
    rows = []
    for row in map_tasks(partial(_label, seed), range(count), workers):
        rows.append(row)
        if on_progress:
            on_progress(len(rows), count)
    kept = [row for row in rows if row is not None]
    return PairLabels(**{name: np.array([row[name] for row in kept]) for name in kept[0]})


def _label(seed: int, index: int) -> dict[str, object] | None:
    generator = np.random.default_rng(SeedSequence(seed, spawn_key=(index,)))
    morphology = list(MORPHOLOGIES)[int(generator.integers(len(MORPHOLOGIES)))]
    size = int(generator.choice(SIZES, p=SIZE_SHARES))
    moduli = draw_pair(generator)
    volume = sample(morphology, size, generator=generator).volume
    pair = TwoPhase.from_moduli(1.0, *moduli)
    solved = homogenize(
        volume,
        pair,
        rtol=label_tolerance(pair.contrast),
        dtype=np.float32,
        max_iter=MAX_ITER,
        raise_on_failure=False,
    )
    if not solved.converged:
        return None
    bounds = bound_stiffness(volume, pair, residual=0.0, max_iter=STEPS[-1], steps=STEPS)
    uppers = np.repeat(bounds.upper[None], len(STEPS), axis=0)  # of steps that were not needed: the last
    energies, residuals = np.zeros_like(uppers), np.zeros(len(STEPS))
    reached = len(bounds.steps)
    uppers[:reached], energies[:reached] = bounds.uppers, bounds.residual_energies
    residuals[:reached] = bounds.residuals[list(bounds.steps)]
    return {
        "morphology": morphology,
        "size": size,
        "fraction": float(volume.mean()),
        "moduli": moduli,
        "uppers": uppers,
        "energies": energies,
        "residuals": residuals,
        "stiffness": solved.stiffness,
        "iterations": solved.iterations,
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
