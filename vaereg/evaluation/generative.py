"""Generative figures of a model: the components of the prior, and samples of the decoder beside the data.

Letters: N volumes, K components, D latent size, T properties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.generators.families import GENERATOR_VERSION, Sample, generate
from vaereg.inverse.plausible import complete_targets
from vaereg.io.datasets import Dataset
from vaereg.microstructure.morphology import describe
from vaereg.microstructure.statistics import lineal_path, specific_surface, two_point_correlation
from vaereg.microstructure.volume import volume_fraction
from vaereg.model.batches import decode_batches, encode_batches
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prior import ConditionalMixture

__all__ = ["STATISTICS", "component_figures", "decoder_figures", "redraw", "sample_distances"]

LEADING = "C11"
"""Property along which the weights of the components are followed."""
_POINTS, _COMPLETIONS = 9, 64
"""Values of the leading property, and draws of the free ones at each."""
_PER_COMPONENT = 24
"""Volumes that are decoded to describe a component, for properties of the data."""
_NAMED, _PER_NAME = (1, 4, 7), 8
"""Values of the leading property at which components are named, and volumes decoded for each."""
_PER_FAMILY = 64
"""Volumes of a family that decoded ones are compared with."""
_SAME = 5e-3
"""Distance of two real samples below which their parameters count as leaving nothing open [-]."""


def component_figures(checkpoint: Checkpoint, dataset: Dataset, indices: NDArray[np.intp]) -> dict[str, Any]:
    """Meaning of each component of p(z | c).

    Args:
        checkpoint: Trained model.
        dataset: Labelled volumes.
        indices: Volumes whose properties are asked for and whose components are counted.

    Returns:
        `used`: components that explain more than a tenth of an even share of the volumes; `effective`: the
        exponential of the entropy of these shares; `values` of the leading property [GPa]; and by component
        its `share` of the volumes, its `weight` at these values, its `names` at three of them (`named_at`),
        and the figures of `morphology.describe` for volumes decoded at properties of the data.
    """
    model, device = checkpoint.model, checkpoint.model.property_location.device
    generator = torch.Generator().manual_seed(0)
    properties = diagonal_properties(dataset.samples.stiffness[indices])
    low, high = checkpoint.property_ranges[LEADING]
    values = np.linspace(low, high, _POINTS)
    places = np.linspace(0, len(indices) - 1, min(_PER_COMPONENT, len(indices))).astype(int)

    def made_by(component: int, prior: ConditionalMixture, count: int) -> NDArray[np.uint8]:
        choice = torch.full((len(prior.weights),), component, device=device)
        z, _ = prior.sample(generator=generator, component=choice)
        return _decode(checkpoint, z[:count], dataset.plan.size, generator)

    with torch.inference_mode():
        targets = torch.from_numpy(properties).to(device, torch.float32)
        prior = model.prior(targets)
        share = prior.responsibilities(_encode(checkpoint, dataset.volumes(indices))).mean(0).cpu().numpy()
        along = [model.prior(_completed(checkpoint, value)) for value in values.tolist()]
        weight = torch.stack([mixture.weights.mean(0) for mixture in along], dim=1).cpu().numpy()
        by_component = {}
        for component in range(checkpoint.config.model.components):
            decoded = made_by(component, model.prior(targets[places]), _PER_COMPONENT)
            character = describe(decoded)
            names = [describe(made_by(component, along[place], _PER_NAME)).name for place in _NAMED]
            single = [describe(volume[None]).anisotropy for volume in decoded]
            by_component[str(component)] = {
                "name": character.name,
                "names": names,
                "share": float(share[component]),
                "weight": weight[component].tolist(),
                "volume_fraction": character.volume_fraction,
                "correlation_lengths": character.correlation_lengths.tolist(),
                "anisotropy": character.anisotropy,
                "mean_anisotropy": float(np.mean(single)),
            }
    entropy = -(share * np.log(np.maximum(share, 1e-12))).sum()
    return {
        "used": int((share > 0.1 / len(share)).sum()),
        "effective": float(np.exp(entropy)),
        "property": LEADING,
        "values": values.tolist(),
        "named_at": values[list(_NAMED)].tolist(),
        "by_component": by_component,
    }


def _completed(checkpoint: Checkpoint, value: float) -> torch.Tensor:
    """Plausible properties of volumes with one value of the leading property, shape (M, T) [GPa]."""
    numbers = np.random.default_rng(0)
    full = complete_targets(checkpoint, {LEADING: value}, _COMPLETIONS, generator=numbers)
    return torch.from_numpy(full).to(checkpoint.model.property_location.device, torch.float32)


def decoder_figures(checkpoint: Checkpoint, dataset: Dataset, indices: NDArray[np.intp]) -> dict[str, Any]:
    """Distance of samples of the decoder from the data, family by family.

    A volume x is compared with one decoded from z ~ q(z | x), and with another real sample of the parameters
    that x was drawn with. Distances are medians over the volumes: of the volume fraction its difference, of
    the two-point correlation and of the lineal path (both phases) the root mean square over all lags, of the
    specific surface the relative difference.

    Args:
        checkpoint: Trained model.
        dataset: Volumes made by this version of the generators.
        indices: Volumes to compare with; of each family the first ones are taken.

    Returns:
        By family: number of `volumes`, distances `decoded` and `real`, and their `ratio`: 1 if the decoder is
        as good as the generator, None where the parameters leave nothing open.

    Raises:
        InputError: The volumes are of another version of the generators.
    """
    if dataset.plan.generator_version != GENERATOR_VERSION:
        raise InputError(
            f"expected data of generator version {GENERATOR_VERSION}, got {dataset.plan.generator_version}"
        )
    generator = torch.Generator().manual_seed(0)
    families, size = dataset.samples.family[indices], dataset.plan.size
    figures = {}
    for family in np.unique(families):
        rows = indices[families == family][:_PER_FAMILY]
        volumes = dataset.volumes(rows)
        with torch.inference_mode():
            z = _encode(checkpoint, volumes, generator)
            decoded = _decode(checkpoint, z, size, generator)
        seeds = dataset.samples.seed[rows]
        real = [redraw(str(family), size, int(seed), noise=int(seed) + 1).volume for seed in seeds]
        pairs = {"decoded": decoded, "real": real}
        distances = {
            name: np.median([sample_distances(*pair) for pair in zip(volumes, others, strict=True)], axis=0)
            for name, others in pairs.items()
        }
        ratio = [
            float(decoded_distance / real_distance) if real_distance > _SAME else None
            for decoded_distance, real_distance in zip(distances["decoded"], distances["real"], strict=True)
        ]
        figures[str(family)] = {
            "volumes": len(rows),
            **{
                name: dict(zip(STATISTICS, values.tolist(), strict=True))
                for name, values in distances.items()
            },
            "ratio": dict(zip(STATISTICS, ratio, strict=True)),
        }
    return figures


STATISTICS = ("volume_fraction", "two_point", "lineal_path", "specific_surface")
"""Statistics that samples are compared by, in the order of `sample_distances`."""


def sample_distances(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> list[float]:
    """Distances of two volumes of one size [-], by `STATISTICS`; see `decoder_figures`."""
    surfaces = [specific_surface(volume) for volume in (first, second)]
    paths = [np.stack([lineal_path(volume, phase) for phase in (0, 1)]) for volume in (first, second)]
    return [
        abs(volume_fraction(first) - volume_fraction(second)),
        _root_mean_square(two_point_correlation(first) - two_point_correlation(second)),
        _root_mean_square(paths[0] - paths[1]),
        abs(surfaces[1] / surfaces[0] - 1.0),
    ]


def _root_mean_square(values: ArrayLike) -> float:
    return float(np.sqrt(np.square(values).mean()))


def redraw(family: str, size: int, seed: int, *, noise: int) -> Sample:
    """Another volume of the parameters that a seed draws.

    Args:
        family: Name of the family.
        size: Voxels per edge.
        seed: Of the volume whose parameters are kept.
        noise: Seed of everything else. Families that hold nothing random beside their parameters, such as
            laminates, give the same volume, or a shifted one.
    """
    generator, noise_generator = np.random.default_rng(seed), np.random.default_rng(noise)
    return generate(family, size, generator=_OtherNoise(generator, noise_generator))


class _OtherNoise(Generator):
    """Takes numbers, which generators of microstructures draw for parameters, from one source, and noise and
    positions from another.
    """

    def __init__(self, parameters: Generator, noise: Generator) -> None:
        super().__init__(parameters.bit_generator)
        self.noise = noise

    def standard_normal(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401
        return self.noise.standard_normal(*arguments, **settings)

    def random(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401
        return self.noise.random(*arguments, **settings)


def _encode(
    checkpoint: Checkpoint, volumes: NDArray[np.uint8], generator: torch.Generator | None = None
) -> torch.Tensor:
    """Mean of q(z | x), or a sample of it if there is a generator, shape (N, D), of volumes (N, X, Y, Z)."""
    encodings = encode_batches(checkpoint.model, volumes)
    if generator is None:
        return torch.cat([encoding.latent_mean for encoding in encodings])
    return torch.cat([encoding.sample(generator=generator) for encoding in encodings])


def _decode(
    checkpoint: Checkpoint, z: torch.Tensor, size: int, generator: torch.Generator
) -> NDArray[np.uint8]:
    """One realisation of each latent vector (N, D): phases, shape (N, size, size, size)."""
    volumes = torch.cat(list(decode_batches(checkpoint.model, z, size, generator=generator)))
    return volumes.to(torch.uint8).cpu().numpy()
