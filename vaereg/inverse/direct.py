"""Direct inverse design: target, free properties, components, z, voxels, regressor, ranked candidates.

No optimisation loop: every step is a pass through a network. The most promising z of each component of p(z |
c) (`vaereg.inverse.sampling.proposals`) are decoded with several draws of noise, because a cell of 32^3
voxels is not fully representative: two realisations of one z differ by about 10 % in stiffness. The
components that do worst, such as coarse ones of which few features fit into a cell, get most of the draws.
Each decoded field is cut at the volume fraction of z, and again at those that make up for what is too stiff
or too soft on the whole. The encoder's regressor, which sees the very voxels, chooses among all these; the
physics-guided one has the last word on those that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import (
    Designs,
    chosen,
    constraints_met,
    idle_designs,
    joined,
    judged_columns,
    replaced,
    without_idle,
)
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.reach import mode_reach, out_of_reach
from vaereg.inverse.refining.corrections import correct
from vaereg.inverse.sampling.judging import Judge
from vaereg.inverse.sampling.proposals import Proposals, Quota, propose, share_out
from vaereg.inverse.sampling.realising import (
    CUTS,
    CUTS_CORRECTED,
    LEAST_MOVE,
    cut_again,
    judged_again,
    measured_exponent,
    moved_cut,
    realise,
)
from vaereg.inverse.sampling.scoring import EXPONENT, allowed_range, best_scale, scaled
from vaereg.inverse.sampling.selecting import best_realisations, drawn_again
from vaereg.materials import TwoPhase
from vaereg.model.batches import device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import (
    TARGETS,
    ImpossibleTargetError,
    Target,
    Targets,
    check_possible,
    check_targets,
)

__all__ = ["design", "more_like"]

_LATENTS_PER_DESIGN = 2
"""Latent vectors that are decoded per design."""
_MORE_DRAWS = 2
"""Further draws of noise per design, dealt to the components by the square of how far off they are."""
_MORE_DRAWS_CORRECTED = 1
"""The same for designs that are corrected, but for those whose corrections begin at once: there these would
take a tenth of the time and leave corrected ones nearly as far off."""
_LEAST_GAIN = 0.001
"""Expected gain from which a field is cut anew [-]: what the guided regressor is off."""
_ENOUGH = 0.003
"""Largest deviation below which a design is not corrected further [-]: three times what predictions are off,
and a third of what refinement is asked for."""
_STEPS_CONSTRAINED = 3
"""Steps for each correction that is asked for, where constraints take back a part of every step."""
_STEPS_SYMMETRIC = 6
"""The same for symmetric designs, whose raw ones are twice as far off and whose voxels flip by up to eight:
of 24 designs of 16 voxels per edge, twelve steps leave a half of what eight do in the median."""
_MORE_STEPS_HARD = 1
"""Further steps above `_TRUSTED_CONTRAST`, where raw designs are twice as far off: they leave two fifths of
what two steps do in the median, at contrasts of 100 to 1000."""
_TRUSTED_CONTRAST = 100.0
"""Ratio of Young's moduli up to which the encoder knows the scale of a cell well enough to begin corrections
without a pass of the guided regressor: above it, the encoder is 12 % off in the mean [-]."""
_SIZE_STEP, _MIN_SIZE, _MAX_SIZE, _MAX_COUNT = 8, 16, 128, 256


def design(
    checkpoint: Checkpoint,
    targets: Targets | Mapping[str, Target],
    count: int = 12,
    size: int = 32,
    *,
    materials: TwoPhase | None = None,
    lengths: Literal["voxels", "relative"] = "voxels",
    seed: int = 0,
    component: int | Sequence[int] | None = None,
    corrections: int = 0,
    constraints: Constraints | None = None,
    only_plausible: bool = True,
    on_first: Callable[[Designs], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Designs:
    """Microstructures with wanted properties, from every component of the prior that reaches them.

    Args:
        checkpoint: Trained model.
        targets: What is wanted, see `vaereg.targets`; a mapping gives a value or a (low, high) range by name.
            What is left out is free.
        count: Number of designs N.
        size: Voxels per edge, a multiple of 8 from 16 to 128.
        materials: Phases; those of the checkpoint if left out.
        lengths: Whether pores, walls and periods have the lengths [voxel] of cells of 32 voxels, so that a
            larger cell holds more of them, or grow with the cell, which is then resolved more finely.
        seed: The same seed, checkpoint and arguments give the same voxels on one machine.
        component: Take all designs from this component, or from these: indices of modes, where the
            checkpoint has modes.
        corrections: Steps of correction without a solve (`vaereg.inverse.refining.corrections`), three
            times as many under constraints, six times of symmetric ones, else one more above a contrast of
            100; 0 for raw designs.
        constraints: What every design has to meet besides; `Designs.met` says of each whether it does.
        only_plausible: Refuse targets that are out of reach; with False they are tried all the same.
        on_first: Called with the first raw designs as soon as there are any, as the encoder sees them; the
            designs that are returned may be others.
        on_progress: Called with the candidates that are decoded or ranked and with how many there will be at
            most; what it raises ends it all.

    Raises:
        UnreachableTargetError: A target is outside what the training set reaches; it says what can be had.
        InputError: An argument is out of range.
    """
    wanted = Targets.of(targets if isinstance(targets, Targets) else _checked(targets))
    _check_count(count)
    _check_seed(seed)
    if size % _SIZE_STEP or not _MIN_SIZE <= size <= _MAX_SIZE:
        raise InputError(
            f"size must be a multiple of {_SIZE_STEP} from {_MIN_SIZE} to {_MAX_SIZE}, got {size}"
        )
    if constraints is not None:
        constraints.check_size(size)
    if corrections < 0:
        raise InputError(f"corrections must be 0 or more, got {corrections}")
    if lengths not in ("voxels", "relative"):
        raise InputError(f"expected lengths in voxels or relative to the cell, got {lengths!r}")
    stretch = size / REFERENCE_EDGE if lengths == "relative" else 1.0
    judge = Judge(checkpoint, wanted, materials, constraints)
    quota = _possible_quota(judge, count, component, only_plausible)
    generator = torch.Generator().manual_seed(seed)
    proposals = propose(
        judge,
        quota,
        per_design=_LATENTS_PER_DESIGN,
        numbers=np.random.default_rng(seed),
        generator=generator,
    )
    steps_at_most, is_hard = corrections, judge.pair.ordered().contrast > _TRUSTED_CONTRAST
    if judge.constraints:
        steps_at_most *= _STEPS_CONSTRAINED if judge.constraints.symmetry == "none" else _STEPS_SYMMETRIC
    elif corrections and is_hard:
        steps_at_most += _MORE_STEPS_HARD
    steps = steps_at_most + 1 if corrections else 0
    # a correction shifts the interface as a whole, too, but knows no objectives
    at_once = steps > 0 and not judge.targets.objectives and not is_hard
    draws, cuts = (_MORE_DRAWS_CORRECTED, CUTS_CORRECTED) if steps else (_MORE_DRAWS, CUTS)
    if at_once:
        draws = 0
    # in the end a prediction for each cut and for each correction
    total = len(proposals.component) + (draws + CUTS + steps) * count

    def report(before: int, done: int) -> None:
        if on_progress:
            on_progress(before + done, total)

    def drawn_designs(rows: NDArray[np.intp], before: int = 0) -> Designs:
        told = partial(report, before)
        return realise(
            judge, proposals, rows, size, stretch, generator, told, cuts=cuts, judge_again=not at_once
        )

    latent_of = np.arange(len(proposals.component))
    candidates = drawn_designs(latent_of)
    named = component is not None
    best = best_realisations(candidates, latent_of, quota.designs, named)
    if on_first:
        first = replace(chosen(candidates, best), seed=seed)
        like = None if proposals.rows is None else proposals.rows[latent_of[best]]
        on_first(judged_again(judge, first, like) if at_once else first)
    again = drawn_again(candidates, best, draws * count)
    if len(again):
        candidates_again = drawn_designs(again, len(latent_of))
        candidates, latent_of = joined(candidates, candidates_again), np.concatenate([latent_of, again])
    raw = chosen(candidates, best_realisations(candidates, latent_of, quota.designs, named))
    raw = replace(raw, seed=seed, idle=idle_designs(candidates))
    if not at_once:
        raw = _ranked(judge, raw, partial(report, total - (CUTS + steps) * count))
    if steps:
        raw = _corrected(judge, raw, steps_at_most, partial(report, total - steps * count))
    return replace(raw, idle=idle_designs(raw, kept=True)) if named else without_idle(raw)


def more_like(
    checkpoint: Checkpoint,
    designs: Designs,
    index: int,
    count: int = 12,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Designs:
    """New realisations of one design's latent vector: the same morphology, other noise.

    Args:
        checkpoint: Trained model that made the designs.
        designs: What `design` returned.
        index: The design whose relatives are wanted.
        count: Number of new designs.
        seed: Of the noise.
        on_progress: Called with the candidates that are decoded or ranked and with how many there will be;
            what it raises ends it all.

    Raises:
        InputError: An argument is out of range, or the designs are another checkpoint's.
    """
    if designs.checkpoint != checkpoint.hash:
        raise InputError(f"expected designs of the checkpoint {checkpoint.hash}, got {designs.checkpoint}'s")
    if not 0 <= index < len(designs.component):
        raise InputError(f"index must be between 0 and {len(designs.component) - 1}, got {index}")
    _check_count(count)
    _check_seed(seed)
    judge = Judge(checkpoint, designs.wanted, designs.materials, designs.constraints)
    mode = int(designs.component[index])
    rows = None
    if checkpoint.modes is not None:
        near = mode_reach(checkpoint.modes, designs.wanted, judge.pair).modes[mode]
        rows = None if near is None else near.rows[np.zeros(1, dtype=np.intp)]
    parent = Proposals(
        latent=torch.from_numpy(designs.latent[[index]]).to(device_of(checkpoint.model)),
        component=designs.component[[index]],
        rows=rows,
        weights=designs.weights,
    )
    pool = count * _LATENTS_PER_DESIGN

    def report(before: int, done: int) -> None:
        if on_progress:
            on_progress(before + done, pool + CUTS * count)

    generator = torch.Generator().manual_seed(seed)
    parent_rows = np.zeros(pool, dtype=np.intp)
    candidates = realise(
        judge, parent, parent_rows, designs.size, designs.stretch, generator, partial(report, 0)
    )
    nearest = np.argsort(candidates.score, kind="stable")[:count]
    return _ranked(judge, replace(chosen(candidates, nearest), seed=seed), partial(report, pool))


def _ranked(judge: Judge, designs: Designs, report: Callable[[int], None]) -> Designs:
    """Each component's designs from the best on, as the physics-guided regressor sees it.

    It also has the last word on the volume fraction: a field that it sees too stiff or too soft is cut anew.
    """
    count, reported = len(designs.component), 0

    def tell(done: int) -> None:
        nonlocal reported
        if done > reported:
            reported = done
            report(done)

    def final(part: Designs, before: int) -> Designs:
        judged = judge.final(part.microstructures, lambda done, _: tell(before + done))
        return replace(part, **judged_columns(judged, judge.targets))

    designs = final(designs, 0)
    best, exponent = designs, np.full(count, EXPONENT)
    for number in range(1, CUTS):
        scale, expected = best_scale(judge.targets, designs.cells, exponent)
        aimed_fraction = scaled(designs.cells, scale, exponent, allowed_range(judge.targets)).fraction
        moved = np.abs(np.log(aimed_fraction / designs.fraction)) > LEAST_MOVE
        rows = np.flatnonzero(moved & (expected < best.score - _LEAST_GAIN))
        if not len(rows):
            break
        before = chosen(designs, rows)
        share = moved_cut(before.cut_fraction, aimed_fraction[rows] / before.fraction)
        again = final(cut_again(judge, before, share), number * count)
        exponent[rows] = measured_exponent(before.cells, again.cells, exponent[rows])
        designs = replaced(designs, rows, again)
        better = np.flatnonzero(designs.score < best.score)
        best = replaced(best, better, chosen(designs, better))
    tell(CUTS * count)
    return chosen(best, np.lexsort((best.score, best.component)))


def _corrected(
    judge: Judge,
    designs: Designs,
    steps: int,
    report: Callable[[int], None],
) -> Designs:
    """Designs after corrections without a solve, with constraints met; each component's from the best on."""
    constraints = judge.constraints
    result = correct(
        designs.microstructures,
        judge.targets,
        judge.pair,
        steps=steps,
        constraints=constraints if constraints else None,
        enough=_ENOUGH,
        on_progress=lambda done, _: report(done),
    )
    if judge.targets.needs_stiffness:
        judged = judge.of_prediction(result.properties, result.stiffness_std)
    else:  # corrections towards conductivity alone say nothing of the stiffness
        judged = judge.final(result.volumes)
    corrected = replace(
        designs,
        microstructures=result.volumes,
        met=constraints_met(result.volumes, constraints),
        **{**judged_columns(judged, judge.targets), "raw_deviation": result.largest_deviation[:, 0]},
    )
    unmet = (~corrected.met).sum(1)
    return chosen(corrected, np.lexsort((corrected.score, unmet, corrected.component)))


def _possible_quota(
    judge: Judge, count: int, component: int | Sequence[int] | None, only_plausible: bool
) -> Quota:
    """Designs per component; a target that no cell can have is refused with the bound and the nearest."""
    impossible: ImpossibleTargetError | None = None
    if only_plausible:
        try:
            check_possible(judge.targets, judge.pair, symmetry=judge.constraints.symmetry)
        except ImpossibleTargetError as error:
            impossible = error
    if impossible is None:
        return share_out(judge, count, component=component, only_plausible=only_plausible)
    symmetry = judge.constraints.symmetry
    try:
        share_out(judge, count, component=component, only_plausible=only_plausible)
        nearest = out_of_reach(
            judge.checkpoint, judge.targets, judge.pair, component=component, symmetry=symmetry
        )
    except UnreachableTargetError as error:
        nearest = error
    if nearest is None:
        raise impossible
    message = f"{impossible}; {nearest}"
    raise UnreachableTargetError(message, nearest.nearest, nearest.distance) from impossible


def _checked(targets: Mapping[str, Target]) -> Mapping[str, Target]:
    """Values and ranges by name; those of C11 ... C66 and the volume fraction in the order of `TARGETS`."""
    return check_targets(targets) if set(targets) <= set(TARGETS) else targets


def _check_count(count: int) -> None:
    if not 1 <= count <= _MAX_COUNT:
        raise InputError(f"count must be between 1 and {_MAX_COUNT}, got {count}")


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be between 0 and 2^63 - 1, got {seed}")
