"""Unseen volumes of every class beside what the modes decode from their encodings.

Letters: N volumes, D latent size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.evaluation.generative import STATISTICS, sample_distances
from vaereg.generators.morphologies import MORPHOLOGIES, REFERENCE_EDGE, draw, make
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.batches import device_of, encode_batches
from vaereg.model.decoding import IRREGULAR, PERIODIC, mode_fields, mode_fraction
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.constructive.regular import periodic_latent
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.networks import cut
from vaereg.model.recognition import load_classifier
from vaereg.model.vae import VaeReg
from vaereg.training.modes.data import ModeData, read_mode_data

__all__ = ["REALISATIONS", "ModeSamples", "decoded_recognition", "distance_figures", "mode_samples"]

REALISATIONS = 4
"""Decodings of an encoding, and real volumes of the same parameters, that a volume is compared with."""
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
    latent: tuple[torch.Tensor, ...]
    """Those means, N of shape (D,), D that of the mode."""


def mode_samples(
    model: VaeReg, networks: ModeNetworks, dataset: LabelledSet, rows: NDArray[np.intp], count: int
) -> ModeSamples:
    """Decode the encodings of the first volumes of each class.

    Built modes decode z of q(z | x, k), the irregular one z of the joint model; the periodic mode, which has
    no encoder, decodes the parameters of the recipe.

    Args:
        model: Joint model, which has the irregular mode.
        networks: Networks of the built modes.
        dataset: Labelled volumes.
        rows: Volumes of one size to take from.
        count: Volumes of each class.
    """
    names = dataset.samples.morphology[rows]
    selection = np.concatenate([rows[names == name][:count] for name in MORPHOLOGIES])
    data = read_mode_data(dataset, selection)
    volumes, mode = dataset.volumes(data.rows), data.mode.numpy()
    size = volumes.shape[1]
    latent = _latents(model, networks, dataset, data, volumes)
    decoded = [
        _decode(model, networks, latent[place], mode[place], size, int(row))
        for place, row in enumerate(data.rows)
    ]
    return ModeSamples(
        rows=data.rows, mode=mode, real=volumes, decoded=np.stack(decoded), latent=tuple(latent)
    )


@torch.inference_mode()
def _decode(
    model: VaeReg, networks: ModeNetworks, latent: torch.Tensor, mode: np.int64, size: int, seed: int
) -> NDArray[np.uint8]:
    """A realisation of a latent vector, shape (n, n, n)."""
    latents, component = latent[None], np.array([mode])
    field = mode_fields(model, networks, latents, component, size, seeds=[seed])
    return cut(field, mode_fraction(model, networks, latents, component))[0, 0].to(torch.uint8).cpu().numpy()


def decoded_recognition(
    model: VaeReg,
    networks: ModeNetworks,
    dataset: LabelledSet,
    *,
    split: str = "validation",
    count: int = 4,
) -> float:
    """Share of volumes decoded by the built modes that the classifier recognises as of their mode [-].

    Args:
        model: Joint model that the modes belong to.
        networks: Networks of the modes.
        dataset: Labelled volumes.
        split: Part whose volumes of `REFERENCE_EDGE` voxels per edge are encoded and decoded.
        count: Volumes of each class.

    Raises:
        InputError: The split has no such volume of a built mode.
    """
    rows = dataset.indices(split, size=REFERENCE_EDGE)
    rows = rows[[CLASS_MODES[name] in BUILT for name in dataset.samples.morphology[rows].tolist()]]
    if not len(rows):
        raise InputError(
            f"expected volumes of built modes of {REFERENCE_EDGE}³ voxels in the split {split!r}"
        )
    samples = mode_samples(model, networks, dataset, rows, count)
    classifier = load_classifier()
    votes = classifier.mode_proba(classifier.predict_proba(list(samples.decoded)))
    return float((votes.argmax(1) == samples.mode).mean())


def distance_figures(
    model: VaeReg, networks: ModeNetworks, dataset: LabelledSet, samples: ModeSamples
) -> dict[str, Any]:
    """Distances of decoded from real volumes by class, beside those of two real ones of the same parameters.

    Each volume is compared with `REALISATIONS` decodings of its encoding, and with as many real ones. Medians
    as of `vaereg.evaluation.generative.decoder_figures`.
    """
    names = dataset.samples.morphology[samples.rows]
    figures = {}
    for name in np.unique(names):
        pairs: dict[str, list[list[float]]] = {"decoded": [], "real": []}
        for place in np.flatnonzero(names == name):
            volume, mode, row = samples.real[place], samples.mode[place], int(samples.rows[place])
            for number in range(1, REALISATIONS + 1):
                seed = int(np.random.default_rng([row, number]).integers(2**62))  # of each volume its own
                decoded = _decode(model, networks, samples.latent[place], mode, volume.shape[0], seed)
                pairs["decoded"].append(sample_distances(volume, decoded))
                pairs["real"].append(sample_distances(volume, _another(dataset, row, number)))
        median = {kind: np.median(distances, axis=0) for kind, distances in pairs.items()}
        ratio = [
            float(decoded_distance / real_distance) if real_distance > _SAME else None
            for decoded_distance, real_distance in zip(median["decoded"], median["real"], strict=True)
        ]
        figures[str(name)] = {
            "volumes": int((names == name).sum()),
            **{kind: dict(zip(STATISTICS, values.tolist(), strict=True)) for kind, values in median.items()},
            "ratio": dict(zip(STATISTICS, ratio, strict=True)),
        }
    return figures


def _another(dataset: LabelledSet, row: int, number: int) -> NDArray[np.uint8]:
    """Volume of the parameters of one of the data set, with random numbers of its own for each `number`."""
    samples = dataset.samples
    name, size, seed = str(samples.morphology[row]), int(samples.size[row]), int(samples.seed[row])
    parameters = draw(name, generator=np.random.default_rng(seed))
    if samples.relative[row]:
        parameters = parameters.scaled(size / REFERENCE_EDGE)
    return make(name, parameters, size, generator=np.random.default_rng([seed, number])).volume


def _latents(
    model: VaeReg,
    networks: ModeNetworks,
    dataset: LabelledSet,
    data: ModeData,
    volumes: NDArray[np.uint8],
) -> list[torch.Tensor]:
    """Latent vector of each volume, N of shape (D,), D that of its mode."""
    device = device_of(model)
    mode = data.mode.numpy()
    latents: list[torch.Tensor] = [torch.empty(0)] * len(mode)

    def put(places: NDArray[np.intp], z: torch.Tensor) -> None:
        for place, vector in zip(places.tolist(), z, strict=True):
            latents[place] = vector.to(device)

    with torch.inference_mode():
        if len(built_rows := np.flatnonzero(np.isin(mode, BUILT))):
            statistics = data.statistics[built_rows].to(device)
            put(built_rows, networks.encoder(statistics, data.mode[built_rows].to(device)).mean)
        if len(irregular := np.flatnonzero(mode == IRREGULAR)):
            encoded = encode_batches(model, volumes[irregular])
            put(irregular, torch.cat([item.latent_mean for item in encoded]))
    for place in np.flatnonzero(mode == PERIODIC).tolist():
        recipe, size = dataset.recipe(int(data.rows[place])), int(data.size[place])
        latents[place] = torch.from_numpy(periodic_latent(recipe, size, networks.latent)).to(device)
    return latents
