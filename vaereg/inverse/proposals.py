"""Promising latent vectors for a target, from the components of the prior.

Many z are drawn from each component of p(z | c), and the latent regressor keeps those whose realisations
should come nearest to the target. Properties that the target leaves free are completed first: in a free
mixture from p(c) of the training set, with modes from the training volumes of each class near the target.

Letters: B proposals, D latent size, K components, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES
from vaereg.errors import InputError
from vaereg.inverse.plausible import UnreachableTargetError, check_reachable, complete_targets, scaling
from vaereg.model.batches import device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import IRREGULAR, PERIODIC, decoded_fraction
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.library import Reach
from vaereg.model.modes.regular import permute_latent
from vaereg.model.modes.release import Modes
from vaereg.targets import Target, interval, named_target, target_distance

__all__ = ["Proposals", "allowed_fraction", "mode_reach", "propose", "quota_of"]

_POOL = 256
"""Latent vectors drawn per component."""
_NEAR = 48
"""Training volumes of a mode, in any orientation, that the prior is asked at."""
_CLOSEST = 0.03
"""Least width of the weights of these volumes: deviation of a logarithm [-]."""
_FRACTIONS = (0.02, 0.98)
"""Volume fractions that the decoder knows [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposals:
    """Latent vectors that should decode to a target."""

    latent: Tensor
    """Shape (B, D)."""
    component: NDArray[np.int64]
    """Component of each, shape (B,)."""
    weights: NDArray[np.float64]
    """Weight of every component at the target, shape (K,)."""


def propose(
    checkpoint: Checkpoint,
    wanted: Mapping[str, Target],
    quota: NDArray[np.int64],
    *,
    per_design: int,
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> Proposals:
    """Draw latent vectors of every component and keep the most promising.

    Args:
        checkpoint: Trained model.
        wanted: Wanted value or range by name.
        quota: Number of designs of each component, shape (K,).
        per_design: Latent vectors that are kept for each of them.
        numbers: Source of the completed targets.
        generator: Source of the latent vectors.
    """
    if checkpoint.modes is not None:
        return _from_modes(checkpoint, checkpoint.modes, wanted, quota, per_design, numbers, generator)
    device, model = device_of(checkpoint.model), checkpoint.model
    components = np.repeat(np.flatnonzero(quota), _POOL)
    properties = complete_targets(checkpoint, wanted, len(components), generator=numbers)
    with torch.inference_mode():
        prior = model.prior(torch.from_numpy(properties).to(device, torch.float32))
        z, _ = prior.sample(generator=generator, component=torch.from_numpy(components).to(device))
        weights = prior.weights.mean(0).cpu().numpy().astype(np.float64)
        error = _expected_error(checkpoint, z, _expected(checkpoint, z), components, wanted)
    order = np.lexsort((error, components))
    chosen = np.concatenate([order[components[order] == k][: per_design * n] for k, n in enumerate(quota)])
    return Proposals(
        latent=z[torch.from_numpy(chosen).to(device)], component=components[chosen], weights=weights
    )


def mode_reach(modes: Modes, wanted: Mapping[str, Target]) -> Reach:
    """How near the training volumes of each mode come to a target."""
    return modes.library.reach({name: interval(value) for name, value in wanted.items()})


def quota_of(
    checkpoint: Checkpoint,
    wanted: Mapping[str, Target],
    count: int,
    *,
    component: int | None,
    only_plausible: bool,
) -> NDArray[np.int64]:
    """Designs per component, shape (K,), `count` in sum.

    A free mixture shares them evenly. Modes that reach the target share them evenly, the most likely ones
    first; of a mode that does not reach it there are none.

    Args:
        checkpoint: Trained model.
        wanted: Wanted value or range by name.
        count: Number of designs.
        component: Component that makes all of them.
        only_plausible: Refuse targets that are out of reach; with False they are tried all the same.

    Raises:
        UnreachableTargetError: The target, or the component asked for, is out of reach.
        InputError: There is no such component.
    """
    components = checkpoint.components
    if component is not None and not 0 <= component < components:
        raise InputError(f"component must be between 0 and {components - 1}, got {component}")
    if checkpoint.modes is None:
        if only_plausible:
            check_reachable(checkpoint, wanted)
        if component is None:
            return np.array([count // components + (k < count % components) for k in range(components)])
    else:
        reach = mode_reach(checkpoint.modes, wanted)
        allowed = reach.reached if only_plausible else np.isfinite(reach.distance)
        if component is not None:
            allowed &= np.arange(components) == component
        if not allowed.any():
            raise _unreachable(checkpoint.modes, reach, wanted, component)
        likely = np.lexsort((reach.distance, -reach.weights))
        order = likely[allowed[likely]]
        quota = np.zeros(components, dtype=np.int64)
        np.add.at(quota, order[np.arange(count) % len(order)], 1)
        return quota
    return np.where(np.arange(components) == component, count, 0)


def allowed_fraction(fraction: Tensor, wanted: Mapping[str, Target]) -> Tensor:
    """Volume fractions, moved into the range that was asked for."""
    return fraction.clamp(*interval(wanted.get("volume_fraction", _FRACTIONS)))


def _unreachable(
    modes: Modes, reach: Reach, wanted: Mapping[str, Target], component: int | None
) -> UnreachableTargetError:
    """Refusal that says what comes nearest."""
    names = MODE_NAMES
    index = int(np.argmin(reach.distance)) if component is None else component
    asked = ", ".join(named_target(*item) for item in wanted.items())
    who = "no mode" if component is None else f"the mode {names[index]} does not"
    order, row = reach.nearest[index]
    if row < 0:
        return UnreachableTargetError(f"the mode {names[index]} has no training volume", {}, np.inf)
    values = dict(zip(PROPERTIES, modes.library.properties[row][list(AXIS_ORDERS[order])], strict=True))
    values["volume_fraction"] = modes.library.fraction[row]
    nearest = {name: float(values[name]) for name in wanted}
    offer = ", ".join(named_target(*item) for item in nearest.items())
    reaches = "reaches" if component is None else "reach"
    message = f"{who} {reaches} {asked}: the nearest ({names[index]}) has {offer}"
    return UnreachableTargetError(message, nearest, float(reach.distance[index]))


def _from_modes(
    checkpoint: Checkpoint,
    modes: Modes,
    wanted: Mapping[str, Target],
    quota: NDArray[np.int64],
    per_design: int,
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> Proposals:
    """Latent vectors of every mode, from p(z | c, k) at completed targets near training volumes."""
    device = device_of(checkpoint.model)
    reach = mode_reach(modes, wanted)
    latents: list[Tensor] = []
    components: list[NDArray[np.int64]] = []
    for index in np.flatnonzero(quota).tolist():
        keep = per_design * int(quota[index])
        order, row, weight = _near_rows(modes, reach, index)
        if index == PERIODIC:
            best = np.resize(np.arange(len(row)), keep)
            z = np.concatenate(
                [permute_latent(modes.library.latent[[row[i]]], _AXES[order[i]]) for i in best]
            )
            latents.append(torch.from_numpy(z).to(device))
            components.append(np.full(keep, index))
            continue
        drawn = numbers.choice(len(row), _POOL, p=weight)
        c = _completed(modes, wanted, order[drawn], row[drawn])
        own = np.full(_POOL, index)
        with torch.inference_mode():
            properties = torch.from_numpy(c).to(device, torch.float32)
            if index == IRREGULAR:
                z, _ = checkpoint.model.prior(properties).sample(generator=generator)
                expected = _expected(checkpoint, z)
            else:
                mode = torch.full((_POOL,), index, device=device)
                prior = modes.networks.prior(modes.networks.standardise(properties))
                z, _ = prior.sample(generator=generator, component=mode)
                logs = modes.networks.regressor(z, mode)
                expected = modes.networks.unstandardise(logs).cpu().numpy().astype(np.float64)
            error = _expected_error(checkpoint, z, expected, own, wanted)
        best = np.argsort(error, kind="stable")[:keep]
        latents.append(z[torch.from_numpy(best).to(device)])
        components.append(own[best])
    return Proposals(latent=torch.cat(latents), component=np.concatenate(components), weights=reach.weights)


_AXES = tuple(order[:3] for order in AXIS_ORDERS)
"""Permutations of the axes, in the order of the library."""


def _near_rows(
    modes: Modes, reach: Reach, index: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Order of the axes, row and weight of the training volumes of a mode nearest to the target."""
    own = np.flatnonzero(modes.library.mode == index)
    deviation = reach.deviation[:, own]
    nearest = np.argsort(deviation, axis=None, kind="stable")[:_NEAR]
    order, place = np.unravel_index(nearest, deviation.shape)
    near = deviation[order, place]
    weight = np.exp(-0.5 * np.square(near / max(_CLOSEST, float(near[0]))))
    return order, own[place], weight / weight.sum()


def _completed(
    modes: Modes, wanted: Mapping[str, Target], order: NDArray[np.intp], row: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Full targets, shape (B, T) [GPa]: wanted values, and those of training volumes for what is free.

    What is free is scaled as what is wanted has to be.
    """
    c = modes.library.permuted_properties()[order, row]
    factor = np.zeros(len(c))
    asked = [name for name in wanted if name in PROPERTIES]
    for name in asked:
        own = c[:, PROPERTIES.index(name)]
        factor += np.log(np.clip(own, *interval(wanted[name])) / own) / len(asked)
    completed = c * np.exp(factor)[:, None]
    for name in asked:
        place = PROPERTIES.index(name)
        completed[:, place] = np.clip(completed[:, place], *interval(wanted[name]))
    return completed


def _expected(checkpoint: Checkpoint, z: Tensor) -> NDArray[np.float64]:
    """Properties that latent vectors of the free mixture should decode to, shape (B, T) [GPa]."""
    location, scale = scaling(checkpoint)
    expected = checkpoint.fitted.latent_regressor(z).cpu().numpy()
    return np.exp(location[: len(PROPERTIES)] + scale[: len(PROPERTIES)] * expected)


def _expected_error(
    checkpoint: Checkpoint,
    z: Tensor,
    expected: NDArray[np.float64],
    component: NDArray[np.int64],
    wanted: Mapping[str, Target],
) -> NDArray[np.float64]:
    """Distance of the expected properties from the target, and of the volume fraction, shape (B,) [-]."""
    fraction = decoded_fraction(checkpoint, z, component)
    change = (allowed_fraction(fraction, wanted) / fraction).log().abs()
    return target_distance(expected, wanted) + change.cpu().numpy()
