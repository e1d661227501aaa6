"""From latent vectors to voxels: fields are decoded, and cut at the volume fractions that suit the targets.

A field is cut at the volume fraction of its z, and again at those that make up for what is too stiff or too
soft on the whole. How much a cut changes is measured by two cuts of the field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.inverse.designs import Designs, constraints_met, judged_columns
from vaereg.inverse.idle import Idle
from vaereg.inverse.sampling.judging import Judge, Judged
from vaereg.inverse.sampling.proposals import Proposals
from vaereg.inverse.sampling.scoring import EXPONENT, FRACTIONS, allowed_range, best_scale, scaled
from vaereg.model.batches import device_of
from vaereg.model.decoding import decoded_fraction
from vaereg.model.modes.library import Rows
from vaereg.targets import CellProperties
from vaereg.workers import thread_map

__all__ = [
    "CUTS",
    "CUTS_CORRECTED",
    "LEAST_MOVE",
    "cut_again",
    "judged_again",
    "measured_exponent",
    "moved_cut",
    "realise",
]

CUTS, CUTS_CORRECTED = 3, 2
"""Volume fractions at which a field is cut, and at which those of designs that are corrected are."""
LEAST_MOVE = 1e-3
"""Change of the logarithm of the volume fraction from which the exponent is measured [-]."""
_EXPONENTS = (0.6, 6.0)
"""Ends of that exponent, once it is measured by two cuts of a field [-]."""
_LEAST_GAIN = 0.003
"""Expected gain from which a field is cut anew [-]: a tenth of what the encoder is off."""
_VOXELS_AT_ONCE = 3 * 32**3
"""Largest batch that one thread decodes [voxel]: what is larger leaves the cache, and takes longer."""


def realise(
    judge: Judge,
    proposals: Proposals,
    rows: NDArray[np.intp],
    size: int,
    stretch: float,
    generator: torch.Generator,
    on_progress: Callable[[int], None],
    *,
    cuts: int = CUTS,
    judge_again: bool = True,
) -> Designs:
    """Decode some proposals once each, cut them at some volume fractions, and judge them by the encoder.

    Args:
        judge: Target, phases and trained model.
        proposals: Latent vectors.
        rows: Those that are decoded, any number of times, shape (N,).
        size: Voxels per edge.
        stretch: Factor of all lengths of the fields [-].
        generator: Source of the noise.
        on_progress: Called with the number of fields that are decoded and judged.
        cuts: Volume fractions that each field is cut at, at most.
        judge_again: Judge every cut; with False a further cut has the properties that it was made for.
    """
    seeds = torch.randint(2**62, (len(rows),), generator=generator).numpy()
    checkpoint, limits = judge.checkpoint, allowed_range(judge.targets)

    def decode(
        part: NDArray[np.intp], own_seeds: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], Judged]:
        z, component = proposals.latent[torch.from_numpy(part)], proposals.component[part]
        like = None if proposals.rows is None else proposals.rows[part]
        with torch.inference_mode():
            field = judge.fields(z, component, size, seeds=own_seeds, stretch=stretch)
            fraction = decoded_fraction(checkpoint, z, component).clamp(*limits)
            return _cut_and_judged(judge, field, fraction, like, cuts, judge_again)

    voxels: list[NDArray[np.uint8]] = []
    shares: list[NDArray[np.float64]] = []
    columns: list[dict[str, NDArray]] = []
    # threads of torch on top of these would wait for each other
    for volumes, share, judged in thread_map(decode, _parts(rows, size), _parts(seeds, size)):
        voxels.append(volumes)
        shares.append(share)
        columns.append(judged_columns(judged, judge.targets))
        on_progress(sum(map(len, voxels)))
    return Designs(
        microstructures=np.concatenate(voxels),
        component=proposals.component[rows],
        latent=proposals.latent.cpu().numpy()[rows],
        realisation=seeds,
        cut_fraction=np.concatenate(shares),
        **_joined(columns),
        weights=proposals.weights,
        met=constraints_met(np.concatenate(voxels), judge.constraints),
        wanted=judge.targets,
        materials=judge.pair,
        constraints=judge.constraints,
        modes=() if checkpoint.modes is None else checkpoint.modes.names,
        size=size,
        stretch=stretch,
        seed=0,
        checkpoint=checkpoint.hash,
        idle=Idle(),
    )


def judged_again(judge: Judge, designs: Designs, like: Rows | None) -> Designs:
    """The same designs with the properties that the encoder sees in their voxels.

    Args:
        judge: Target, phases and trained model.
        designs: N designs.
        like: Volumes of the library that they are like, N of them; None for a free mixture.
    """

    def judged(part: NDArray[np.intp]) -> dict[str, NDArray]:
        volumes = designs.microstructures[part]
        return judged_columns(judge.quick(volumes, None if like is None else like[part]), judge.targets)

    columns = list(thread_map(judged, _parts(np.arange(len(designs.component)), designs.size)))
    return replace(designs, **_joined(columns))


def cut_again(judge: Judge, designs: Designs, fraction: NDArray[np.float64]) -> Designs:
    """The same fields, cut at other volume fractions, shape (N,) [-]."""
    device = device_of(judge.checkpoint.model)

    def decode(row: int) -> NDArray[np.uint8]:
        z = torch.from_numpy(designs.latent[[row]]).to(device)
        with torch.inference_mode():
            seeds, stretch = designs.realisation[[row]], designs.stretch
            field = judge.fields(z, designs.component[[row]], designs.size, seeds=seeds, stretch=stretch)
            return judge.cut(field, torch.from_numpy(fraction[[row]]).to(field))[0]

    volumes = np.stack(list(thread_map(decode, range(len(fraction)))))
    met = constraints_met(volumes, judge.constraints)
    return replace(designs, microstructures=volumes, cut_fraction=fraction, met=met)


def _parts(column: NDArray, size: int) -> list[NDArray]:
    """A column of fields in parts that one thread decodes at once."""
    count = max(1, _VOXELS_AT_ONCE // size**3)
    return [column[begin : begin + count] for begin in range(0, len(column), count)]


def _joined(parts: list[dict[str, NDArray]]) -> dict[str, NDArray]:
    """Columns of all parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cut_and_judged(
    judge: Judge,
    field: torch.Tensor,
    fraction: torch.Tensor,
    like: Rows | None,
    cuts: int,
    judge_again: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.float64], Judged]:
    """Voxels, shape (B, X, Y, Z), at the best of several cuts (secants), the cuts, what the encoder sees."""
    best_share = fraction.double().cpu().numpy()
    best = judge.cut(field, fraction)
    best_judged = last = judge.quick(best, like)
    share, exponent = best_share.copy(), np.full(len(best), EXPONENT)
    rows = np.arange(len(best))  # those whose last cut leaves something to make up for
    for _ in range(cuts - 1):
        scale, expected = best_scale(judge.targets, last.cells, exponent)
        aimed = scaled(last.cells, scale, exponent, allowed_range(judge.targets))
        factor = aimed.fraction / last.cells.fraction
        is_better = expected < best_judged.score[rows] - _LEAST_GAIN
        moving = np.flatnonzero((np.abs(np.log(factor)) > LEAST_MOVE) & is_better)
        if not len(moving):
            break
        rows, former = rows[moving], last.cells.rows(moving)
        share, exponent = moved_cut(share[moving], factor[moving]), exponent[moving]
        chosen = torch.from_numpy(rows)
        volumes = judge.cut(field[chosen], torch.from_numpy(share).to(fraction))
        if judge_again:
            last = judge.quick(volumes, None if like is None else like[rows])
        else:
            cells = replace(aimed.rows(moving), fraction=volumes.mean((1, 2, 3), dtype=np.float64))
            factors = factor[moving] ** exponent
            last = Judged(cells=cells, std=last.std[moving] * factors[:, None], score=expected[moving])
        exponent = measured_exponent(former, last.cells, exponent)
        better = last.score < best_judged.score[rows]
        best[rows[better]], best_share[rows[better]] = volumes[better], share[better]
        best_judged = best_judged.replaced(rows[better], last, better)
    return best, best_share, best_judged


def moved_cut(share: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cuts that change the volume fraction by a factor, within those that the decoders know."""
    return np.clip(share * factor, *FRACTIONS)


def measured_exponent(
    former: CellProperties, cells: CellProperties, exponent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """d log C / d log f from two cuts of a field, shape (N,); the former one where they hardly differ, or
    where an entry of the diagonal carries no load.
    """
    log_fraction = np.log(cells.fraction / former.fraction)
    after, before = (diagonal_properties(item.stiffness) for item in (cells, former))
    loaded = np.minimum(after, before).min(axis=1) > 0.0
    quotient = np.divide(after, before, out=np.ones_like(after), where=loaded[:, np.newaxis])
    risen = np.log(quotient).mean(axis=1)
    differs = (np.abs(log_fraction) > LEAST_MOVE) & loaded
    return np.where(differs, np.clip(risen / np.where(differs, log_fraction, 1.0), *_EXPONENTS), exponent)
