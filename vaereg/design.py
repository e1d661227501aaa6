"""Direct inverse design: target, free properties, components, z, voxels, regressor, ranked candidates.

No optimisation loop and no physics: every step is a pass through a network. Many z are drawn from each
component of p(z | c), the latent regressor keeps those whose realisations should come nearest to the target,
and each of these is decoded with several draws of noise, because a cell of 32^3 voxels is not fully
representative: two realisations of one z differ by about 10 % in stiffness. The encoder's regressor, which
sees the very voxels, has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.checkpoint import Checkpoint
from vaereg.elasticity import PROPERTIES
from vaereg.prediction import encode_batch
from vaereg.storage import Target, write_designs

__all__ = [
    "Designs",
    "Target",
    "UnreachableTargetError",
    "design",
    "parse_target",
    "save_designs",
    "target_distance",
]

_POOL = 256
"""Latent vectors drawn per component."""
_LATENTS_PER_DESIGN = 2
"""Latent vectors that are decoded per design."""
_REALISATIONS = 2
"""Draws of noise per decoded latent vector."""
_VOXELS_AT_ONCE = 16 * 32**3
"""Largest batch that is decoded [voxel]."""
_SIZE_STEP, _MIN_SIZE, _MAX_SIZE, _MAX_COUNT = 8, 16, 128, 256
_IMPLAUSIBLE = 0.001
"""Combinations of properties rarer than this part of p(c) count as unreachable."""


class UnreachableTargetError(ValueError):
    """No microstructure of the training set's kind has these properties."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Designs:
    """Candidates for a target, ordered by component, then by predicted distance."""

    microstructures: NDArray[np.uint8]
    """Phases 0 and 1, shape (N, X, Y, Z)."""
    component: NDArray[np.int64]
    """Mixture component of each design, shape (N,)."""
    latent: NDArray[np.float32]
    """Latent vector that each was decoded from, shape (N, D)."""
    mean: NDArray[np.float64]
    """Predicted properties, shape (N, T) [GPa]."""
    std: NDArray[np.float64]
    """Their calibrated standard deviation, shape (N, T) [GPa]."""
    error: NDArray[np.float64]
    """Mean relative distance of the predicted from the wanted properties, shape (N,) [-]."""
    weights: NDArray[np.float64]
    """Weight of every mixture component at this target, shape (K,)."""
    targets: dict[str, Target]
    """Wanted properties [GPa]."""
    size: int
    """Voxels per edge."""
    seed: int
    """Of all random numbers."""
    checkpoint: str
    """Hash of the checkpoint."""


def design(
    checkpoint: Checkpoint,
    targets: Mapping[str, Target],
    count: int = 12,
    size: int = 32,
    *,
    seed: int = 0,
    component: int | None = None,
    only_plausible: bool = True,
) -> Designs:
    """Microstructures with wanted properties, from every component of the prior.

    Args:
        checkpoint: Trained model.
        targets: Wanted value or (low, high) range [GPa] by property name; properties that are left out are
            free and are drawn from the training set's p(c), given the others.
        count: Number of designs N.
        size: Voxels per edge, a multiple of 8 from 16 to 128.
        seed: The same seed, checkpoint and arguments give the same voxels on one machine.
        component: Take all designs from this component.
        only_plausible: Refuse targets that are out of reach; with False they are tried all the same.

    Raises:
        UnreachableTargetError: A target is outside what the training set reaches; the message has the
            reachable ranges.
        ValueError: An argument is out of range.
    """
    wanted = check_targets(targets)
    if not 1 <= count <= _MAX_COUNT:
        raise ValueError(f"count must be between 1 and {_MAX_COUNT}, got {count}")
    if size % _SIZE_STEP or not _MIN_SIZE <= size <= _MAX_SIZE:
        raise ValueError(
            f"size must be a multiple of {_SIZE_STEP} from {_MIN_SIZE} to {_MAX_SIZE}, got {size}"
        )
    if component is not None and not 0 <= component < checkpoint.components:
        raise ValueError(f"component must be between 0 and {checkpoint.components - 1}, got {component}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be between 0 and 2^63 - 1, got {seed}")
    if only_plausible:
        check_reachable(checkpoint, wanted)

    numbers = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    quota = _quota(count, checkpoint.components, component)
    z, components, weights = _draw_latents(checkpoint, wanted, quota, numbers, generator)

    voxels, mean, std = _realise(checkpoint, z.repeat_interleave(_REALISATIONS, 0), size, generator)
    error = target_distance(mean, wanted)
    # the better realisation of each z, then the best z of each component
    best = error.reshape(-1, _REALISATIONS).argmin(1) + _REALISATIONS * np.arange(len(z))
    order = np.lexsort((error[best], components))
    kept = np.concatenate([order[components[order] == k][: quota[k]] for k in range(len(quota))])
    rows = best[kept]
    return Designs(
        microstructures=voxels[rows],
        component=components[kept],
        latent=z.cpu().numpy()[kept],
        mean=mean[rows],
        std=std[rows],
        error=error[rows],
        weights=weights,
        targets=wanted,
        size=size,
        seed=seed,
        checkpoint=checkpoint.hash,
    )


def save_designs(
    path: Path,
    designs: Designs,
    *,
    stiffness: NDArray[np.float64] | None = None,
    solves: NDArray[np.int64] | None = None,
) -> None:
    """Write designs as `designs.h5`.

    Args:
        path: File to create or replace.
        designs: What `design` returned.
        stiffness: The solver's, shape (N, 6, 6) [GPa].
        solves: Solves that each design took, shape (N,).
    """
    write_designs(
        path,
        microstructures=designs.microstructures,
        component=designs.component,
        latent=designs.latent,
        predicted=designs.mean,
        target=designs.targets,
        seed=designs.seed,
        checkpoint=designs.checkpoint,
        stiffness=stiffness,
        solves=solves,
    )


def parse_target(text: str) -> tuple[str, Target]:
    """Property and wanted value or range [GPa], from a text such as "C11=60" or "C22=30:40".

    Raises:
        ValueError: The text has another form.
    """
    name, separator, value = text.partition("=")
    try:
        numbers = [float(part) for part in value.split(":")]
    except ValueError:
        numbers = []
    if not separator or len(numbers) not in (1, 2):
        raise ValueError(f"expected a target such as C11=60 or C22=30:40 in GPa, got {text!r}")
    return name.strip(), numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def check_targets(targets: Mapping[str, Target]) -> dict[str, Target]:
    """Names, signs and order of wanted properties, as plain floats in the order of `PROPERTIES`.

    Raises:
        ValueError: No property, an unknown one, or a value that is not positive and finite.
    """
    if unknown := sorted(set(targets) - set(PROPERTIES)):
        raise ValueError(f"unknown property {unknown[0]!r}: expected one of {', '.join(PROPERTIES)}")
    if not targets:
        raise ValueError("expected at least one target property, such as C11=60")
    wanted: dict[str, Target] = {}
    for name in (name for name in PROPERTIES if name in targets):
        low, high = _interval(targets[name])
        if not (np.isfinite(low) and np.isfinite(high) and 0.0 < low <= high):
            raise ValueError(
                f"{name} must be a positive number of GPa, or a range low:high, got {targets[name]}"
            )
        wanted[name] = low if low == high else (low, high)
    return wanted


def check_reachable(checkpoint: Checkpoint, wanted: Mapping[str, Target]) -> None:
    """Refuse targets outside the properties, or far from the combinations of properties, of the training set.

    Raises:
        UnreachableTargetError: With the reachable range of each property in question.
    """
    limits = checkpoint.fitted.property_limits
    outside = []
    for name, value in wanted.items():
        low, high = _interval(value)
        least, most = limits[:, PROPERTIES.index(name)]
        if high < least or low > most:
            outside.append(f"{name} = {_format(value)} GPa (reachable: {least:.1f} to {most:.1f} GPa)")
    if outside:
        raise UnreachableTargetError(f"out of reach of this material pair and model: {'; '.join(outside)}")
    if len(wanted) < 2:
        return
    location, scale = _scaling(checkpoint)
    asked = np.array([name in wanted for name in PROPERTIES])
    marginal = checkpoint.fitted.mixture.marginal(asked)
    typical = marginal.log_density(marginal.sample(4000, generator=np.random.default_rng(0)))
    # of ranges, the most plausible values count
    nearest = complete_targets(checkpoint, wanted, 256, generator=np.random.default_rng(0))
    found = marginal.log_density(((np.log(nearest) - location) / scale)[:, asked])
    if found.max() >= np.quantile(typical, _IMPLAUSIBLE):
        return
    fixed, values = _fixed(checkpoint, wanted)
    names = list(wanted)
    hints = []
    for name in names:
        given = fixed & np.array([other != name for other in PROPERTIES])
        low, high = reachable_range(checkpoint, name, given, values[given[fixed]])
        hints.append(f"{name} {low:.1f} to {high:.1f} GPa")
    raise UnreachableTargetError(
        f"no known microstructure combines {', '.join(f'{n} = {_format(wanted[n])}' for n in names)} GPa; "
        f"with the others as they are, each could be: {'; '.join(hints)}"
    )


def reachable_range(
    checkpoint: Checkpoint, name: str, fixed: NDArray[np.bool_], values: NDArray[np.float64]
) -> tuple[float, float]:
    """Where 98 % of p(c) lie for one property [GPa], given standardised values of the fixed ones."""
    index = PROPERTIES.index(name)
    mixture = checkpoint.fitted.mixture.conditional(fixed, values)
    place = int(np.flatnonzero(~fixed).tolist().index(index))
    low, high = mixture.quantiles(place, (0.01, 0.99))
    location, scale = _scaling(checkpoint)
    least, most = checkpoint.fitted.property_limits[:, index]
    ends = np.clip(np.exp(location[index] + scale[index] * np.array([low, high])), least, most)
    return float(ends[0]), float(ends[1])


def complete_targets(
    checkpoint: Checkpoint, wanted: Mapping[str, Target], count: int, *, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Full targets, shape (count, T) [GPa]: values are kept, ranges and free properties drawn from p(c)."""
    location, scale = _scaling(checkpoint)
    fixed, values = _fixed(checkpoint, wanted)
    result = np.empty((count, len(PROPERTIES)))
    result[:, fixed] = values
    if not fixed.all():
        mixture = checkpoint.fitted.mixture.conditional(fixed, values)
        oversampling = 16 if len(wanted) > fixed.sum() else 1
        drawn = mixture.sample(oversampling * count, generator=generator)
        free = np.flatnonzero(~fixed)
        low, high = np.full(len(free), -np.inf), np.full(len(free), np.inf)
        for place, index in enumerate(free):
            if PROPERTIES[index] in wanted:
                ends = np.log(_interval(wanted[PROPERTIES[index]]))
                low[place], high[place] = (ends - location[index]) / scale[index]
        violation = np.maximum(low - drawn, drawn - high).max(1)
        best = np.argsort(np.maximum(violation, 0.0), kind="stable")[:count]
        best = generator.permutation(best)  # rows are dealt to the components: none gets the worst of them
        result[:, free] = np.clip(drawn[best], low, high)
    return np.exp(location + scale * result)


def target_distance(properties: NDArray[np.float64], wanted: Mapping[str, Target]) -> NDArray[np.float64]:
    """Mean relative distance from the wanted values or ranges, shape (N,) [-], of properties (N, T) [GPa]."""
    distances = []
    for name, value in wanted.items():
        low, high = _interval(value)
        own = properties[:, PROPERTIES.index(name)]
        distances.append(np.maximum(np.maximum(low - own, own - high), 0.0) / (0.5 * (low + high)))
    return np.mean(distances, axis=0)


def _draw_latents(
    checkpoint: Checkpoint,
    wanted: Mapping[str, Target],
    quota: NDArray[np.int64],
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> tuple[torch.Tensor, NDArray[np.int64], NDArray[np.float64]]:
    """Promising latent vectors (M, D), their components (M,), and the weight of every component (K,)."""
    device, model = _device(checkpoint), checkpoint.model
    components = np.repeat(np.flatnonzero(quota), _POOL)
    properties = complete_targets(checkpoint, wanted, len(components), generator=numbers)
    location, scale = _scaling(checkpoint)
    with torch.inference_mode():
        prior = model.prior(torch.from_numpy(properties).to(device, torch.float32))
        z, _ = prior.sample(generator=generator, component=torch.from_numpy(components).to(device))
        weights = prior.weights.mean(0).cpu().numpy().astype(np.float64)
        expected = checkpoint.fitted.latent_regressor(z).cpu().numpy()
    error = target_distance(np.exp(location + scale * expected), wanted)
    order = np.lexsort((error, components))
    chosen = np.concatenate(
        [order[components[order] == k][: _LATENTS_PER_DESIGN * n] for k, n in enumerate(quota)]
    )
    return z[torch.from_numpy(chosen).to(device)], components[chosen], weights


def _realise(
    checkpoint: Checkpoint, z: torch.Tensor, size: int, generator: torch.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Decode each z once: voxels (M, N, N, N), and their predicted properties and std, (M, T) [GPa]."""
    model = checkpoint.model
    parts: list[tuple[NDArray, ...]] = []
    for some in z.split(max(1, _VOXELS_AT_ONCE // size**3)):
        with torch.inference_mode():
            volumes = model.decode(some, model.noise(len(some), size, generator=generator)).squeeze(1)
        mean, std, _, _ = encode_batch(checkpoint, volumes)
        parts.append((volumes.to(torch.uint8).cpu().numpy(), mean, std))
    voxels, mean, std = (np.concatenate(column) for column in zip(*parts, strict=True))
    return voxels, mean, std


def _quota(count: int, components: int, only: int | None) -> NDArray[np.int64]:
    """Designs per component: shared evenly, the first ones get what is left over."""
    if only is not None:
        return np.where(np.arange(components) == only, count, 0)
    return np.array([count // components + (k < count % components) for k in range(components)])


def _interval(value: Target) -> tuple[float, float]:
    low, high = value if isinstance(value, tuple) else (value, value)
    return float(low), float(high)


def _fixed(
    checkpoint: Checkpoint, wanted: Mapping[str, Target]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which properties have a single wanted value, shape (T,), and those values, standardised."""
    location, scale = _scaling(checkpoint)
    fixed = np.array([isinstance(wanted.get(name), float) for name in PROPERTIES])
    given = [wanted[name] for name, is_fixed in zip(PROPERTIES, fixed, strict=True) if is_fixed]
    return fixed, (np.log(np.array(given, dtype=np.float64)) - location[fixed]) / scale[fixed]


def _scaling(checkpoint: Checkpoint) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    model = checkpoint.model
    return (
        model.property_location.cpu().numpy().astype(np.float64),
        model.property_scale.cpu().numpy().astype(np.float64),
    )


def _device(checkpoint: Checkpoint) -> torch.device:
    return checkpoint.model.property_location.device


def _format(value: Target) -> str:
    low, high = _interval(value)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
