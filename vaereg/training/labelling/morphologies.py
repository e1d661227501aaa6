"""Data sets of morphologies, labelled for several pairs of phases: what is drawn, and how it is solved.

Volume i of a data set depends on the base seed, on i and on the shares alone, so that neither the number of
processes nor an interruption changes a byte, and a longer data set begins with the shorter one. Its labels
cost most: their tolerance follows the contrast.
"""

import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, check_workers
from vaereg.generators.morphologies import MORPHOLOGY_VERSION, SIZE_RANGE, morphology_weights, sample
from vaereg.io.files import check_output
from vaereg.io.labelled_sets import (
    PAIR_COLUMNS,
    LabelledVolumes,
    MorphologyPlan,
    read_labelled_set,
    read_morphology_plan,
    write_labelled_set,
)
from vaereg.io.shards import Shard
from vaereg.materials import Phase, TwoPhase
from vaereg.microstructure.volume import pack_bits, volume_fraction
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.training.labelling.batch_store import BatchStore, label_batches, make_in_batches

__all__ = [
    "DEFAULT_SIZES",
    "MorphologyFile",
    "MorphologySource",
    "draw_pairs",
    "generate_morphologies",
    "label_morphologies",
    "label_tolerance",
    "morphology_source",
    "pair_of",
    "size_shares",
]

_logger = logging.getLogger(__name__)

DEFAULT_SIZES: Mapping[str, float] = MappingProxyType(
    {"16": 0.06, "24": 0.05, "32": 0.80, "48": 0.06, "64": 0.03}
)
"""Share of each number of voxels per edge [-], unless others are asked for."""
RELATIVE = 0.5
"""Share of the volumes whose lengths are scaled with the cell, of sizes other than the reference [-]."""
PAIRS = 2
"""Pairs per volume: the reference pair, whose stiffness the prior of the modes reads, and a random one."""
VOID = 0.1
"""Share of the random pairs whose soft phase is void [-]."""
CONTRAST, CONDUCTIVITY_RATIO, POISSON = (1.0, 1e4), (1e-4, 1e4), (0.0, 0.49)
"""Ranges of the ratios of Young's moduli and of conductivities (log-uniform), of Poisson ratios [-]."""
REFERENCE_PAIR = (120.0, 2.4, 0.3, 0.3, 1.0, 0.02)
"""Numbers of the reference pair, by `PAIR_COLUMNS`; both ratios are 50."""
TIGHTEST, LOOSEST, AT_CONTRAST_ONE = 1e-4, 2e-3, 1e-2
"""Tolerance of labels: the last over the root of the contrast, between the first two [-]. The error of the
stiffness is of the order of its square: at most 4e-6, measured against float64 at a tolerance of 1e-6."""
PHYSICS = "elastic, thermal"
"""Labels that are solved, separated by commas: elastic, thermal."""
TOLERANCE_RULE = f"clip({AT_CONTRAST_ONE:g} / sqrt(contrast), {TIGHTEST:g}, {LOOSEST:g}); void {TIGHTEST:g}"
"""Rule of the tolerance, as files state it."""
MAX_ITER = 2000
"""Upper limit of iterations; pairs with void need a few hundred where the stiff phase hardly percolates."""
BATCH_SIZE = 16
"""Volumes in one batch: what an interrupted process loses at most."""
_DIGITS = 6
"""Significant digits of the lengths in recipes."""


def generate_morphologies(
    path: Path,
    count: int,
    seed: int,
    sizes: Mapping[int, float] | Sequence[int] | None = None,
    morphologies: Mapping[str, float] | Sequence[str] | None = None,
    workers: Workers = 2,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    shard: Shard | None = None,
) -> None:
    """Make a data set of morphologies, go on with one that was interrupted, or extend a shorter one.

    Args:
        path: HDF5 file to write (see `vaereg.io.labelled_sets`).
        count: Number of volumes.
        seed: Base seed.
        sizes: Shares of voxels per edge, sizes that share equally, or None for `DEFAULT_SIZES`.
        morphologies: Weights by name, names that share equally, or None for the default shares.
        workers: Number of processes of one thread each, or an executor.
        on_progress: Called with the number of volumes done and the count, first for volumes of a former run.
        batch_size: Volumes per batch.
        shard: Part of the data set to make, for `merge_shards`; all of it if left out.

    Raises:
        InputError: An argument is out of range, or `path` holds a data set of other arguments.
    """
    check_workers(workers)
    if batch_size < 1:
        raise InputError(f"expected at least one volume per batch, got {batch_size}")
    plan = MorphologyPlan(
        count=count,
        seed=seed,
        sizes=size_shares(sizes),
        morphologies=morphology_weights(morphologies),
        pairs=PAIRS,
        physics=PHYSICS,
        tolerance_rule=TOLERANCE_RULE,
        solver_dtype="float32",
        generator_version=MORPHOLOGY_VERSION,
    )
    store = BatchStore(check_output(path), plan, batch_size, MorphologyFile(), shard)
    make_in_batches(store, lambda plan, ranges: _label_all(plan, ranges, workers), on_progress)


def size_shares(sizes: Mapping[int, float] | Sequence[int] | None = None) -> dict[str, float]:
    """Share of each number of voxels per edge [-], summing to one, ascending, by the size as text.

    Args:
        sizes: Shares, sizes that share equally, or None for `DEFAULT_SIZES`.

    Raises:
        InputError: There is no size, or one out of the range of the morphologies.
    """
    if sizes is None:
        return dict(DEFAULT_SIZES)
    shares = sizes if isinstance(sizes, Mapping) else dict.fromkeys(sizes, 1.0)
    low, high = SIZE_RANGE
    if not shares or not all(low <= size <= high for size in shares):
        raise InputError(f"expected sizes of {low} to {high} voxels per edge, got {list(shares)}")
    total = sum(shares.values())
    return {str(size): shares[size] / total for size in sorted(shares)}


class MorphologySource:
    """Class, size, lengths and seeds of one volume of a data set: a function of the plan and the index."""

    def __init__(self, plan: MorphologyPlan, index: int) -> None:
        words = SeedSequence(plan.seed, spawn_key=(index,)).generate_state(5, np.uint64)
        shares = [int(word) / 2.0**64 for word in words[:3]]
        self.morphology = _choose(plan.morphologies, shares[0])
        self.size = int(_choose(plan.sizes, shares[1]))
        self.relative = shares[2] < RELATIVE
        self.seed = int(words[3] >> np.uint64(1))
        self.pair_seed = int(words[4] >> np.uint64(1))


def morphology_source(plan: MorphologyPlan, index: int) -> MorphologySource:
    """Source of volume `index` of a data set."""
    return MorphologySource(plan, index)


def draw_pairs(generator: np.random.Generator) -> NDArray[np.float64]:
    """The reference pair and random ones for one volume, by `PAIR_COLUMNS`, shape (P, 6).

    The stiff phase of a random pair has a Young's modulus of 1 GPa and a conductivity of 1 W/(m K), since
    labels are proportional to both; the reference pair keeps its own.
    """
    pairs = np.empty((PAIRS, len(PAIR_COLUMNS)))
    pairs[0] = REFERENCE_PAIR
    for place in range(1, PAIRS):
        void = generator.random() < VOID
        contrast = np.exp(generator.uniform(*np.log(CONTRAST)))
        poisson = generator.uniform(*POISSON, 2)
        ratio = np.exp(generator.uniform(*np.log(CONDUCTIVITY_RATIO)))
        soft = (0.0, 0.0) if void else (1.0 / contrast, poisson[1])
        pairs[place] = (1.0, soft[0], poisson[0], soft[1], 1.0, 1.0 / ratio)
    return pairs


def pair_of(numbers: Sequence[float] | NDArray[np.float64]) -> TwoPhase:
    """Phases of one row of `PAIR_COLUMNS`."""
    e_stiff, e_soft, nu_stiff, nu_soft, k_stiff, k_soft = (float(number) for number in numbers)
    return TwoPhase(
        Phase("", e_stiff, nu_stiff, conductivity=k_stiff), Phase("", e_soft, nu_soft, conductivity=k_soft)
    )


def label_tolerance(contrast: float) -> float:
    """Relative residual at which a label of this contrast counts as solved [-]; infinite for void."""
    return float(np.clip(AT_CONTRAST_ONE / np.sqrt(contrast), TIGHTEST, LOOSEST))


def label_morphologies(plan: MorphologyPlan, indices: range) -> LabelledVolumes:
    """Make and label the volumes `indices` of a data set.

    Where a solution did not reach its tolerance, this label is NaN, and the log has a warning.
    """
    rows: list[dict[str, Any]] = []
    packed = []
    for index in indices:
        source = morphology_source(plan, index)
        generator = np.random.default_rng(source.seed)
        microstructure = sample(source.morphology, source.size, relative=source.relative, generator=generator)
        phases = draw_pairs(np.random.default_rng(source.pair_seed))
        stiffness = np.full((PAIRS, 6, 6), np.nan, dtype=np.float32)
        conductivity = np.full((PAIRS, 3, 3), np.nan, dtype=np.float32)
        for place, numbers in enumerate(phases):
            pair = pair_of(numbers)
            rtol = label_tolerance(pair.contrast)
            elastic = homogenize(
                microstructure.volume,
                pair,
                rtol=rtol,
                dtype=np.float32,
                max_iter=MAX_ITER,
                raise_on_failure=False,
            )
            ratio = numbers[5] / numbers[4]
            thermal = conduct(
                microstructure.volume,
                pair,
                rtol=label_tolerance(max(ratio, 1.0 / ratio)),
                dtype=np.float32,
                max_iter=MAX_ITER,
                raise_on_failure=False,
            )
            if elastic.converged:
                stiffness[place] = elastic.stiffness
            if thermal.converged:
                conductivity[place] = thermal.conductivity
            if not (elastic.converged and thermal.converged):
                _logger.warning(
                    "volume %d (%s), pair %s: residuals %g, thermal %g",
                    *(index, source.morphology, numbers.tolist(), elastic.residual, thermal.residual),
                )
        packed.append(pack_bits(microstructure.volume[None])[0])
        rows.append(
            {
                "seed": source.seed,
                "morphology": source.morphology,
                "size": source.size,
                "relative": source.relative,
                "recipe": json.dumps(_rounded(microstructure.recipe)),
                "volume_fraction": volume_fraction(microstructure.volume),
                "phases": phases,
                "stiffness": stiffness,
                "conductivity": conductivity,
            }
        )
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return LabelledVolumes(microstructures=np.concatenate(packed), **columns)


def _choose(shares: Mapping[str, float], place: float) -> str:
    """Name at a place from 0 to 1 in the line of all shares."""
    names = list(shares)
    index = int(np.searchsorted(np.cumsum(list(shares.values())), place, side="right"))
    return names[min(index, len(names) - 1)]


def _rounded(value: Any) -> Any:  # noqa: ANN401
    """Recipe with numbers of `_DIGITS` significant digits."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


class MorphologyFile:
    """Data sets of morphologies, format version 2."""

    batch_type = LabelledVolumes

    def read_plan(self, path: Path) -> MorphologyPlan:
        """Plan of the data set in a file."""
        return read_morphology_plan(path)

    def read_batch(self, path: Path) -> LabelledVolumes:
        """All volumes of the data set in a file."""
        return read_labelled_set(path).samples

    def write(
        self,
        path: Path,
        plan: MorphologyPlan,
        batch: LabelledVolumes,
        scratch: Path,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a whole data set, its temporary file in the folder `scratch`, with further attributes."""
        write_labelled_set(path, plan, batch, scratch=scratch, attributes=attributes)


def _label_all(
    plan: MorphologyPlan, batches: Sequence[range], workers: Workers
) -> Generator[tuple[range, LabelledVolumes], None, None]:
    """Label batches through several workers, in the order in which they are finished."""
    yield from label_batches(label_morphologies, plan, batches, workers)
