"""Unseen volumes of every class beside what the modes decode from their encodings.

Letters: N volumes, D latent size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.evaluation.generative import STATISTICS, sample_distances
from vaereg.generators.morphologies import MORPHOLOGIES, REFERENCE_EDGE, draw, make
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.batches import device_of, encode_batches
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import IRREGULAR, PERIODIC, decode_fields, decoded_fraction
from vaereg.model.modes.decoder import BUILT
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.regular import periodic_latent
from vaereg.model.networks import cut
from vaereg.training.modes.data import ModeData, read_mode_data

__all__ = ["ModeSamples", "distance_figures", "mode_samples"]

_SAME = 5e-3
"""Distance of two real volumes below which their parameters count as leaving nothing open [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeSamples:
    """Volumes of a data set, and one decoded from the encoding of each."""

    rows: NDArray[np.intp]
    """Index of each volume in the data set, shape (N,)."""
    mode: NDArray[np.int64]
    """Index of its mode, shape (N,)."""
    real: NDArray[np.uint8]
    """Volumes of the data set, shape (N, n, n, n)."""
    decoded: NDArray[np.uint8]
    """Volumes decoded from the means of their encodings, shape (N, n, n, n)."""


def mode_samples(
    checkpoint: Checkpoint, networks: ModeNetworks, dataset: LabelledSet, rows: NDArray[np.intp], count: int
) -> ModeSamples:
    """Decode the encodings of the first volumes of each class.

    Built modes decode z of q(z | x, k), the irregular one z of the joint model; the periodic mode, which has
    no encoder, decodes the parameters of the recipe.

    Args:
        checkpoint: Trained model with modes.
        networks: Networks of its modes.
        dataset: Labelled volumes.
        rows: Volumes of one size to take from.
        count: Volumes of each class.
    """
    names = dataset.samples.morphology[rows]
    chosen = np.concatenate([rows[names == name][:count] for name in MORPHOLOGIES])
    data = read_mode_data(dataset, chosen)
    volumes, mode = dataset.volumes(data.rows), data.mode.numpy()
    size = volumes.shape[1]
    latent = _latents(checkpoint, networks, dataset, data, volumes)
    decoded = []
    for place, row in enumerate(data.rows):
        own = latent[place][None]
        with torch.inference_mode():
            component = mode[place : place + 1]
            field = decode_fields(checkpoint, own, component, size, seeds=[int(row)])
            fraction = decoded_fraction(checkpoint, own, component)
            decoded.append(cut(field, fraction)[0, 0].to(torch.uint8).cpu().numpy())
    return ModeSamples(rows=data.rows, mode=mode, real=volumes, decoded=np.stack(decoded))


def distance_figures(dataset: LabelledSet, samples: ModeSamples) -> dict[str, Any]:
    """Distances of decoded from real volumes by class, beside those of two real ones of the same parameters.

    Medians as of `vaereg.evaluation.generative.decoder_figures`.
    """
    names = dataset.samples.morphology[samples.rows]
    figures = {}
    for name in np.unique(names):
        pairs: dict[str, list[list[float]]] = {"decoded": [], "real": []}
        for place in np.flatnonzero(names == name):
            volume = samples.real[place]
            pairs["decoded"].append(sample_distances(volume, samples.decoded[place]))
            pairs["real"].append(sample_distances(volume, _another(dataset, int(samples.rows[place]))))
        median = {kind: np.median(distances, axis=0) for kind, distances in pairs.items()}
        ratio = [
            float(ours / theirs) if theirs > _SAME else None
            for ours, theirs in zip(median["decoded"], median["real"], strict=True)
        ]
        figures[str(name)] = {
            "volumes": len(pairs["real"]),
            **{kind: dict(zip(STATISTICS, values.tolist(), strict=True)) for kind, values in median.items()},
            "ratio": dict(zip(STATISTICS, ratio, strict=True)),
        }
    return figures


def _another(dataset: LabelledSet, row: int) -> NDArray[np.uint8]:
    """Volume of the parameters of one of the data set, with other random numbers."""
    samples = dataset.samples
    name, size, seed = str(samples.morphology[row]), int(samples.size[row]), int(samples.seed[row])
    parameters = draw(name, generator=np.random.default_rng(seed))
    if samples.relative[row]:
        parameters = parameters.scaled(size / REFERENCE_EDGE)
    return make(name, parameters, size, generator=np.random.default_rng([seed, 1])).volume


def _latents(
    checkpoint: Checkpoint,
    networks: ModeNetworks,
    dataset: LabelledSet,
    data: ModeData,
    volumes: NDArray[np.uint8],
) -> list[torch.Tensor]:
    """Latent vector of each volume, N of shape (D,), D that of its mode."""
    device = device_of(checkpoint.model)
    mode = data.mode.numpy()
    latents: list[torch.Tensor] = [torch.empty(0)] * len(mode)

    def put(places: NDArray[np.intp], z: torch.Tensor) -> None:
        for place, vector in zip(places.tolist(), z, strict=True):
            latents[place] = vector.to(device)

    with torch.inference_mode():
        if len(built := np.flatnonzero(np.isin(mode, BUILT))):
            statistics = data.statistics[built].to(device)
            put(built, networks.encoder(statistics, data.mode[built].to(device)).mean)
        if len(irregular := np.flatnonzero(mode == IRREGULAR)):
            encoded = encode_batches(checkpoint.model, volumes[irregular])
            put(irregular, torch.cat([item.latent_mean for item in encoded]))
    for place in np.flatnonzero(mode == PERIODIC).tolist():
        recipe, size = dataset.recipe(int(data.rows[place])), int(data.size[place])
        least = checkpoint.modes.config.latent if checkpoint.modes is not None else 0
        latents[place] = torch.from_numpy(periodic_latent(recipe, size, least)).to(device)
    return latents
