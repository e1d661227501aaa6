"""Direct inverse design: target, free properties, components, z, voxels, regressor, ranked candidates.

No optimisation loop: every step is a pass through a network. The most promising z of each component of
p(z | c) (`vaereg.inverse.proposals`) are decoded with several draws of noise, because a cell of 32^3 voxels
is not fully representative: two realisations of one z differ by about 10 % in stiffness. The components that
do worst, such as coarse ones of which few features fit into a cell, get most of the draws. Each decoded field
is cut at the volume fraction of z, and again at those that make up for what is too stiff or too soft on the
whole. The encoder's regressor, which sees the very voxels, chooses among all these; the physics-guided one
has the last word on those that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.inverse.designs import Designs, chosen, joined, replaced
from vaereg.inverse.proposals import allowed_fraction, propose, quota_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import decode_fields, decoded_fraction
from vaereg.model.networks import cut
from vaereg.model.prediction import encode_batch, predict
from vaereg.targets import Target, check_targets, target_distance, target_ratio
from vaereg.workers import limit_thread_to_one_thread, pool_threads

__all__ = ["design", "more_like"]

_LATENTS_PER_DESIGN = 2
"""Latent vectors that are decoded per design."""
_MORE_DRAWS = 2
"""Further draws of noise per design, dealt to the components by the square of how far off they are."""
_FRACTION_EXPONENT = 2.0
"""d log C / d log f by which the volume fraction is corrected: 1.0 to 2.9 in decoded cells, median 1.8."""
_EXPONENTS = (0.6, 6.0)
"""Ends of that exponent, once it is measured by two cuts of a field [-]."""
_CUTS = 3
"""Volume fractions at which a field is cut."""
_LEAST_MOVE = 1e-3
"""Change of the logarithm of the volume fraction from which the exponent is measured [-]."""
_VOXELS_AT_ONCE = 6 * 32**3
"""Largest batch that one thread decodes [voxel]: what is larger leaves the cache, and takes longer."""
_SIZE_STEP, _MIN_SIZE, _MAX_SIZE, _MAX_COUNT = 8, 16, 128, 256


def design(
    checkpoint: Checkpoint,
    targets: Mapping[str, Target],
    count: int = 12,
    size: int = 32,
    *,
    seed: int = 0,
    component: int | None = None,
    only_plausible: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Designs:
    """Microstructures with wanted properties, from every component of the prior.

    Args:
        checkpoint: Trained model.
        targets: Wanted value or (low, high) range by name, see `TARGETS`; properties that are left out are
            free and are drawn from the training set's p(c), given the others.
        count: Number of designs N.
        size: Voxels per edge, a multiple of 8 from 16 to 128.
        seed: The same seed, checkpoint and arguments give the same voxels on one machine.
        component: Take all designs from this component.
        only_plausible: Refuse targets that are out of reach; with False they are tried all the same.
        on_progress: Called with the candidates that are decoded or ranked and with how many there will be at
            most; what it raises ends it all.

    Raises:
        UnreachableTargetError: A target is outside what the training set reaches; it says what can be had.
        InputError: An argument is out of range.
    """
    wanted = check_targets(targets)
    _check_count(count)
    _check_seed(seed)
    if size % _SIZE_STEP or not _MIN_SIZE <= size <= _MAX_SIZE:
        raise InputError(
            f"size must be a multiple of {_SIZE_STEP} from {_MIN_SIZE} to {_MAX_SIZE}, got {size}"
        )
    quota = quota_of(checkpoint, wanted, count, component=component, only_plausible=only_plausible)
    numbers = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    proposals = propose(
        checkpoint,
        wanted,
        quota,
        per_design=_LATENTS_PER_DESIGN,
        numbers=numbers,
        generator=generator,
    )
    z, components, weights = proposals.latent, proposals.component, proposals.weights

    total = len(z) + (_MORE_DRAWS + _CUTS) * count  # at last, each design is predicted at every cut

    def realise(rows: NDArray[np.intp], before: int = 0) -> Designs:
        own = z[torch.from_numpy(rows).to(z.device)]
        return _realise(checkpoint, own, components[rows], wanted, size, generator, partial(report, before))

    def report(before: int, done: int) -> None:
        if on_progress:
            on_progress(before + done, total)

    drawn = np.arange(len(z))
    candidates = realise(drawn)
    again = _drawn_again(candidates, _best(candidates, drawn, quota), _MORE_DRAWS * count)
    if len(again):
        more = realise(again, len(z))
        candidates, drawn = joined(candidates, more), np.concatenate([drawn, again])
    kept = _best(candidates, drawn, quota)
    return _ranked(
        checkpoint,
        replace(chosen(candidates, kept), weights=weights, seed=seed),
        partial(report, total - _CUTS * count),
    )


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
    generator = torch.Generator().manual_seed(seed)
    pool = count * _LATENTS_PER_DESIGN
    z = torch.from_numpy(designs.latent[[index]]).to(_device(checkpoint)).repeat(pool, 1)
    components = designs.component[[index]].repeat(pool)

    def report(before: int, done: int) -> None:
        if on_progress:
            on_progress(before + done, pool + _CUTS * count)

    candidates = _realise(
        checkpoint, z, components, designs.targets, designs.size, generator, partial(report, 0)
    )
    kept = np.argsort(candidates.mean_distance, kind="stable")[:count]
    return _ranked(
        checkpoint,
        replace(chosen(candidates, kept), weights=designs.weights, seed=seed),
        partial(report, pool),
    )


def _realise(
    checkpoint: Checkpoint,
    z: torch.Tensor,
    components: NDArray[np.int64],
    wanted: dict[str, Target],
    size: int,
    generator: torch.Generator,
    on_progress: Callable[[int], None] | None = None,
) -> Designs:
    """Decode each z (M, D) once, and judge the voxels by the encoder's regressor; weights are left empty."""
    count = max(1, _VOXELS_AT_ONCE // size**3)
    parts = [np.arange(len(z))[begin : begin + count] for begin in range(0, len(z), count)]
    seeds = torch.randint(2**62, (len(z),), generator=generator).numpy()

    def decode(rows: NDArray[np.intp]) -> tuple[NDArray, ...]:
        some, own = z[torch.from_numpy(rows).to(z.device)], components[rows]
        with torch.inference_mode():
            field = decode_fields(checkpoint, some, own, size, seeds=seeds[rows])
            fraction = allowed_fraction(decoded_fraction(checkpoint, some, own), wanted)
            return _cut_and_judged(checkpoint, field, fraction, wanted)

    decoded = []
    # threads of torch on top of these would wait for each other
    with ThreadPoolExecutor(pool_threads(), initializer=limit_thread_to_one_thread) as threads:
        for part in threads.map(decode, parts):
            decoded.append(part)
            if on_progress:
                on_progress(sum(len(volumes) for volumes, _, _ in decoded))
    voxels, mean, std = (np.concatenate(column) for column in zip(*decoded, strict=True))
    return Designs(
        microstructures=voxels,
        component=components,
        latent=z.cpu().numpy(),
        realisation=seeds,
        fraction=voxels.mean((1, 2, 3)),
        mean=mean,
        std=std,
        mean_distance=target_distance(mean, wanted),
        weights=np.empty(0),
        targets=dict(wanted),
        size=size,
        seed=0,
        checkpoint=checkpoint.hash,
    )


def _cut_and_judged(
    checkpoint: Checkpoint, field: torch.Tensor, fraction: torch.Tensor, wanted: Mapping[str, Target]
) -> tuple[NDArray, ...]:
    """Voxels (B, X, Y, Z), mean and std (B, T) [GPa] at the best of several volume fractions (secants)."""
    volumes = cut(field, fraction).squeeze(1)
    mean, std, _, _ = encode_batch(checkpoint, volumes)
    best = volumes.to(torch.uint8).cpu().numpy()
    own_mean, own_fraction, exponent = mean, fraction, np.full(len(mean), _FRACTION_EXPONENT)
    for _ in range(_CUTS - 1):
        log_ratio = np.log(target_ratio(own_mean, wanted))
        factor = torch.from_numpy(np.exp(log_ratio / exponent)).to(fraction)
        new_fraction = allowed_fraction((own_fraction * factor), wanted)
        if torch.equal(new_fraction, own_fraction):  # asked for, or nothing to make up for
            break
        corrected = cut(field, new_fraction).squeeze(1)
        new_mean, new_std, _, _ = encode_batch(checkpoint, corrected)
        better = target_distance(new_mean, wanted) < target_distance(mean, wanted)
        best[better] = corrected.to(torch.uint8).cpu().numpy()[better]
        mean, std = np.where(better[:, None], new_mean, mean), np.where(better[:, None], new_std, std)
        moved = (new_fraction / own_fraction).log().cpu().numpy().astype(np.float64)
        exponent = _exponent(log_ratio - np.log(target_ratio(new_mean, wanted)), moved, exponent)
        own_mean, own_fraction = new_mean, new_fraction
    return best, mean, std


def _exponent(
    risen: NDArray[np.float64], moved: NDArray[np.float64], former: NDArray[np.float64]
) -> NDArray[np.float64]:
    """d log C / d log f from two cuts of a field, shape (N,); the former one where they hardly differ."""
    known = np.abs(moved) > _LEAST_MOVE
    return np.where(known, np.clip(risen / np.where(known, moved, 1.0), *_EXPONENTS), former)


def _best(candidates: Designs, drawn: NDArray[np.int64], quota: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the nearest realisations of each component, one of each latent vector.

    Args:
        candidates: Realisations.
        drawn: Index of the latent vector of each realisation.
        quota: Number of designs that are wanted of each component.
    """
    order = np.argsort(candidates.mean_distance, kind="stable")
    _, first = np.unique(drawn[order], return_index=True)
    rows = order[np.sort(first)]
    return np.concatenate([rows[candidates.component[rows] == k][:n] for k, n in enumerate(quota)])


def _drawn_again(candidates: Designs, kept: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Latent vectors to be decoded once more, `count` at most: the worse a component, the more of them."""
    used = np.unique(candidates.component[kept])
    excess = np.array(
        [np.mean(candidates.mean_distance[kept[candidates.component[kept] == k]]) ** 2 for k in used]
    )
    share = np.floor(count * excess / max(excess.sum(), 1e-12) + 1e-9).astype(np.int64)
    return np.concatenate(
        [np.resize(np.flatnonzero(candidates.component == k), n) for k, n in zip(used, share, strict=True)]
    )


def _ranked(checkpoint: Checkpoint, designs: Designs, report: Callable[[int], None]) -> Designs:
    """Each component's designs by their distance as the physics-guided regressor sees it.

    It also has the last word on the volume fraction: a field that it sees too stiff or too soft is cut anew.
    """
    count, told = len(designs.component), 0

    def tell(done: int) -> None:
        nonlocal told
        if done > told:
            told = done
            report(done)

    def judged(some: Designs, before: int) -> Designs:
        def on_progress(done: int, total: int) -> None:
            tell(before + done)

        better = predict(checkpoint, some.microstructures, on_progress=on_progress)
        distance = target_distance(better.mean, some.targets)
        return replace(some, mean=better.mean, std=better.std, mean_distance=distance)

    designs = judged(designs, 0)
    best, exponent = designs, np.full(count, _FRACTION_EXPONENT)
    for number in range(1, _CUTS):
        log_ratio = np.log(target_ratio(designs.mean, designs.targets))
        rows = np.flatnonzero(np.abs(log_ratio) > _LEAST_MOVE)
        if not len(rows):
            break
        before = chosen(designs, rows)
        again = judged(_cut_again(checkpoint, before, log_ratio[rows] / exponent[rows]), number * count)
        risen = log_ratio[rows] - np.log(target_ratio(again.mean, again.targets))
        exponent[rows] = _exponent(risen, np.log(again.fraction / before.fraction), exponent[rows])
        designs = replaced(designs, rows, again)
        better = np.flatnonzero(designs.mean_distance < best.mean_distance)
        best = replaced(best, better, chosen(designs, better))
    tell(_CUTS * count)
    return chosen(best, np.lexsort((best.mean_distance, best.component)))


def _cut_again(checkpoint: Checkpoint, designs: Designs, move: NDArray[np.float64]) -> Designs:
    """The same fields, cut at other volume fractions: their logarithms move by `move`, shape (N,) [-]."""
    fraction = allowed_fraction(torch.from_numpy(designs.fraction * np.exp(move)), designs.targets)
    size = designs.size
    device = _device(checkpoint)

    def decode(row: int) -> NDArray[np.uint8]:
        z = torch.from_numpy(designs.latent[[row]]).to(device)
        with torch.inference_mode():
            field = decode_fields(
                checkpoint, z, designs.component[[row]], size, seeds=designs.realisation[[row]]
            )
            return cut(field, fraction[[row]].to(field)).squeeze().to(torch.uint8).cpu().numpy()

    with ThreadPoolExecutor(pool_threads(), initializer=limit_thread_to_one_thread) as threads:
        volumes = np.stack(list(threads.map(decode, range(len(move)))))
    return replace(designs, microstructures=volumes, fraction=volumes.mean((1, 2, 3)))


def _check_count(count: int) -> None:
    if not 1 <= count <= _MAX_COUNT:
        raise InputError(f"count must be between 1 and {_MAX_COUNT}, got {count}")


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be between 0 and 2^63 - 1, got {seed}")


def _device(checkpoint: Checkpoint) -> torch.device:
    return checkpoint.model.property_location.device
