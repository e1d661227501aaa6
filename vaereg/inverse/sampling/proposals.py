"""Promising latent vectors for a target, from the components of the prior.

Many z are drawn from each component of p(z | c), and the latent regressor keeps those whose realisations
should come nearest to the target. What the target leaves free is completed first: in a free mixture from
p(c) of the training set, with modes from the training volumes of each class that come near the target.

Letters: B proposals, D latent size, K components, T properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES, diagonal_properties
from vaereg.errors import InputError
from vaereg.inverse.plausible import check_reachable, complete_targets, scaling
from vaereg.inverse.reach import ModeReach, Reach, mode_reach, unreachable
from vaereg.inverse.sampling.judging import Judge
from vaereg.inverse.sampling.scoring import COARSE, allowed_range, best_scale
from vaereg.model.batches import device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import IRREGULAR, PERIODIC, decoded_fraction
from vaereg.model.modes.catalogue import MODES
from vaereg.model.modes.constructive.regular import permute_latent
from vaereg.model.modes.library import Rows
from vaereg.model.modes.release import Modes
from vaereg.targets import target_distance

__all__ = ["Proposals", "Quota", "drawn_built_latents", "drawn_latents", "propose", "share_out"]

_POOL = 256
"""Latent vectors drawn per component."""
_CLOSEST = 0.03
"""Least width of the weights of training volumes near the target [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposals:
    """Latent vectors that should decode to a target."""

    latent: Tensor
    """Shape (B, D)."""
    component: NDArray[np.int64]
    """Component of each, shape (B,)."""
    rows: Rows | None
    """Volumes of the library that they are like, B of them; None for a free mixture."""
    weights: NDArray[np.float64]
    """Weight of every component at the target, shape (K,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """Designs that each component is to make."""

    designs: NDArray[np.int64]
    """Number of designs of each component, shape (K,)."""
    reach: Reach | None
    """How near the modes come; None for a free mixture."""


def share_out(
    judge: Judge, count: int, *, component: int | Sequence[int] | None, only_plausible: bool
) -> Quota:
    """Deal designs to the components.

    A free mixture shares them evenly. Modes that reach the target share them evenly, the most likely ones
    first; a mode that does not reach it makes none, unless none does: then the nearest ones make them.

    Args:
        judge: Target, phases and trained model.
        count: Number of designs.
        component: Component, or components, that make all of them.
        only_plausible: Refuse targets that are out of reach; with False they are tried all the same.

    Raises:
        UnreachableTargetError: The target, or the component asked for, is out of reach.
        InputError: There is no such component.
    """
    checkpoint, components = judge.checkpoint, judge.checkpoint.components
    candidates = np.arange(components) if component is None else np.atleast_1d(np.asarray(component))
    for index in candidates.tolist():
        if not 0 <= index < components:
            raise InputError(f"component must be between 0 and {components - 1}, got {index}")
    quota = np.zeros(components, dtype=np.int64)
    if checkpoint.modes is None:
        if only_plausible:
            check_reachable(checkpoint, judge.targets.plain())
        np.add.at(quota, candidates[np.arange(count) % len(candidates)], 1)
        return Quota(designs=quota, reach=None)
    symmetry = judge.constraints.symmetry
    reach = mode_reach(checkpoint.modes, judge.targets, judge.pair, symmetry=symmetry)
    makers = (
        reach.makers(candidates.tolist())
        if only_plausible
        else candidates[np.isfinite(reach.distance[candidates])]
    )
    allowed = np.isin(np.arange(components), makers)
    if not allowed.any():
        nearest = int(candidates[np.argmin(reach.distance[candidates])])
        raise unreachable(reach, judge.targets, None if component is None else nearest)
    likely = np.lexsort((reach.distance, -reach.weights))
    order = likely[allowed[likely]]
    np.add.at(quota, order[np.arange(count) % len(order)], 1)
    if symmetry != "none":  # designs begin with volumes that nearly have the symmetry, not with means over it
        reach = mode_reach(checkpoint.modes, judge.targets, judge.pair)
    return Quota(designs=quota, reach=reach)


def propose(
    judge: Judge,
    quota: Quota,
    *,
    per_design: int,
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> Proposals:
    """Draw latent vectors of every component and keep the most promising.

    Args:
        judge: Target, phases and trained model.
        quota: Number of designs of each component.
        per_design: Latent vectors that are kept for each of them.
        numbers: Source of the completed targets.
        generator: Source of the latent vectors.
    """
    modes = judge.checkpoint.modes
    if modes is not None and quota.reach is not None:
        return _from_modes(judge, modes, quota.reach, quota.designs, per_design, numbers, generator)
    checkpoint, plain_targets = judge.checkpoint, judge.targets.plain()
    device, model = device_of(checkpoint.model), checkpoint.model
    components = np.repeat(np.flatnonzero(quota.designs), _POOL)
    properties = complete_targets(checkpoint, plain_targets, len(components), generator=numbers)
    with torch.inference_mode():
        prior = model.prior(torch.from_numpy(properties).to(device, torch.float32))
        z, _ = prior.sample(generator=generator, component=torch.from_numpy(components).to(device))
        weights = prior.weights.mean(0).cpu().numpy().astype(np.float64)
        fraction = decoded_fraction(checkpoint, z, components)
        change = (fraction.clamp(*allowed_range(judge.targets)) / fraction).log().abs()
        error = target_distance(_expected(checkpoint, z), plain_targets) + change.cpu().numpy()
    order = np.lexsort((error, components))
    chosen = np.concatenate(
        [order[components[order] == k][: per_design * n] for k, n in enumerate(quota.designs)]
    )
    return Proposals(
        latent=z[torch.from_numpy(chosen).to(device)],
        component=components[chosen],
        rows=None,
        weights=weights,
    )


def _from_modes(
    judge: Judge,
    modes: Modes,
    reach: Reach,
    quota: NDArray[np.int64],
    per_design: int,
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> Proposals:
    """Latent vectors of every mode, from p(z | c, k) at completed targets near training volumes."""
    checkpoint, device = judge.checkpoint, device_of(judge.checkpoint.model)
    latents: list[Tensor] = []
    rows: list[Rows] = []
    for index in np.flatnonzero(quota).tolist():
        near, keep = reach.modes[index], per_design * int(quota[index])
        if near is None:
            continue
        if index == PERIODIC:
            z, _ = drawn_latents(checkpoint, index, near.rows, generator=generator)
            best = np.resize(_unlike_first(z.cpu().numpy(), near.deviation), keep)
            latents.append(z[torch.from_numpy(best).to(device)])
            rows.append(near.rows[best])
            continue
        weight = np.exp(-0.5 * np.square(near.deviation / max(_CLOSEST, float(near.deviation[0]))))
        drawn = numbers.choice(len(weight), _POOL, p=weight / weight.sum())
        near_rows, c = near.rows[drawn], _completed(judge, modes, near, drawn)
        z, expected = drawn_latents(checkpoint, index, near_rows, c, generator=generator)
        with torch.inference_mode():
            fraction = decoded_fraction(checkpoint, z, np.full(_POOL, index)).cpu().numpy()
        cells = modes.cells(
            near_rows,
            judge.pair,
            diagonal=expected,
            fraction=fraction,
            with_conductivity=judge.targets.needs_conductivity,
        )
        scale, error = best_scale(judge.targets, cells, levels=COARSE)
        best = np.argsort(error + 0.1 * np.abs(scale), kind="stable")[:keep]
        latents.append(z[torch.from_numpy(best).to(device)])
        rows.append(near_rows[best])
    makers = np.flatnonzero(quota)
    return Proposals(
        latent=torch.cat(latents),
        component=np.repeat(makers, [len(near_rows) for near_rows in rows]),
        rows=Rows(
            order=np.concatenate([near_rows.order for near_rows in rows]),
            row=np.concatenate([near_rows.row for near_rows in rows]),
        ),
        weights=reach.weights,
    )


def drawn_latents(
    checkpoint: Checkpoint,
    index: int,
    rows: Rows,
    c: NDArray[np.float64] | None = None,
    *,
    generator: torch.Generator,
) -> tuple[Tensor, NDArray[np.float64]]:
    """Latent vectors of one mode, shape (B, D), and the properties that they should decode to, (B, T) [GPa].

    Built modes and the irregular one draw from p(z | c, k); the periodic mode has the latent vectors of its
    volumes, and a mode of a user's own draws near those of its volumes.

    Args:
        checkpoint: Trained model with modes.
        index: Index of the mode.
        rows: Volumes of the library that the vectors are like, B of them.
        c: Properties with the reference pair, shape (B, T) [GPa]; those of the volumes if left out.
        generator: Source of the latent vectors.

    Raises:
        InputError: The checkpoint has no modes.
    """
    modes = checkpoint.modes
    if modes is None:
        raise InputError("expected a checkpoint with modes, got one with a free mixture")
    device, networks = device_of(checkpoint.model), modes.networks
    own_properties = diagonal_properties(modes.library.stiffness_of(rows))
    targets = torch.from_numpy(own_properties if c is None else c).to(device, torch.float32)
    base = int(modes.base(np.array([index]))[0])
    mode = torch.full((len(rows),), base, device=device)
    with torch.inference_mode():
        if index != base:
            own_mode = modes.own_modes[index - len(MODES)]
            places = np.searchsorted(np.flatnonzero(modes.library.mode == index), rows.row)
            z = own_mode.sample(places, rows, generator=generator).to(device)
        elif base == PERIODIC:
            permuted = [
                permute_latent(modes.library.latent[[row]], AXIS_ORDERS[order][:3])
                for order, row in zip(rows.order, rows.row, strict=True)
            ]
            z = torch.from_numpy(np.concatenate(permuted)).to(device)
        elif base == IRREGULAR:
            z, _ = checkpoint.model.prior(targets).sample(generator=generator)
        else:
            return drawn_built_latents(modes, np.full(len(rows), base), targets, generator=generator)
        if base == PERIODIC:
            return z, own_properties
        if base == IRREGULAR:
            return z, _expected(checkpoint, z)
        logs = networks.regressor(z, mode)
        return z, networks.unstandardise(logs).cpu().numpy().astype(np.float64)


def drawn_built_latents(
    modes: Modes,
    mode: NDArray[np.int64],
    c: Tensor,
    *,
    generator: torch.Generator,
) -> tuple[Tensor, NDArray[np.float64]]:
    """Draws of p(z | c, k) of built modes, any in one batch, and what they should decode to: see
    `drawn_latents`.

    Args:
        modes: Trained modes.
        mode: Index of the mode of each vector, shape (B,).
        c: Properties with the reference pair, shape (B, T) [GPa].
        generator: Source of the latent vectors.
    """
    networks = modes.networks
    component = torch.from_numpy(mode).to(c.device)
    with torch.inference_mode():
        z = networks.prior.sample(networks.standardise(c), component, generator=generator)
        logs = networks.regressor(z, component)
        return z, networks.unstandardise(logs).cpu().numpy().astype(np.float64)


def _unlike_first(latent: NDArray[np.float32], deviation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows of the periodic mode in their order, but last those with the lattice of an earlier one, of any
    volume fraction and along any axes, and those that are much farther off than the first.

    Args:
        latent: Latent vectors from the nearest on, shape (B, D).
        deviation: Deviation of each, shape (B,) [-].
    """
    axes = np.sort(latent[:, 3:6].astype(np.float64) * 1e3 + latent[:, 6:9], axis=1)
    lattices = np.concatenate([latent[:, :3], axes.round(3)], axis=1)
    _, first = np.unique(lattices, axis=0, return_index=True)
    near = first[deviation[first] <= max(_CLOSEST, 2.0 * deviation[0])]
    return np.concatenate([np.sort(near), np.setdiff1d(np.arange(len(latent)), near)])


def _completed(judge: Judge, modes: Modes, near: ModeReach, drawn: NDArray[np.intp]) -> NDArray[np.float64]:
    """Full targets with the reference pair, shape (B, T) [GPa]: near volumes, scaled to fit.

    Where the target is of these very properties, it is met exactly.
    """
    rows = near.rows[drawn]
    c = diagonal_properties(modes.library.stiffness_of(rows)) * np.exp(near.scale[drawn])[:, None]
    if judge.plain:
        for item in judge.targets:
            if item.name in PROPERTIES:
                place = PROPERTIES.index(item.name)
                c[:, place] = np.clip(c[:, place], item.low, item.high)
    return c


def _expected(checkpoint: Checkpoint, z: Tensor) -> NDArray[np.float64]:
    """Properties that latent vectors of the free mixture should decode to, shape (B, T) [GPa]."""
    location, scale = scaling(checkpoint)
    expected = checkpoint.fitted.latent_regressor(z).cpu().numpy()
    return np.exp(location[: len(PROPERTIES)] + scale[: len(PROPERTIES)] * expected)
