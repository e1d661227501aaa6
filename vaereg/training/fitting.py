"""Quantities fitted to a trained model: ranges, p(c), calibration, novelty, and two small regressors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.mixture import GaussianMixture
from torch import nn

from vaereg.elasticity import PROPERTIES
from vaereg.io.datasets import Dataset
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.batches import decode_batches, device_of, encode_batches
from vaereg.model.checkpoint import CellSizes, Fitted
from vaereg.model.config import TrainingConfig
from vaereg.model.embedding import Embedding
from vaereg.model.guided import ITERATIONS, fit_guided, guide, guided_inputs, upper_bounds
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.networks import LatentRegressor
from vaereg.model.prediction import tier_disagreement
from vaereg.model.prior import PropertyMixture
from vaereg.model.reachability import TrainingProperties
from vaereg.model.vae import VaeReg
from vaereg.training.augmentation import augment
from vaereg.training.training_set import TrainingSet

__all__ = [
    "MOST_FITTED",
    "embed",
    "encode_all",
    "encode_set",
    "evenly",
    "fit",
    "fit_latent_head",
    "fit_latent_regressor",
]

MOST_FITTED = 40_000
"""Training volumes, and eight times the validation volumes, that quantities are fitted to: the guided
regressor needs a few iterations of the solver for each, an hour for so many."""
_NOVEL = 0.995
"""Part of the validation volumes whose novelty, of each of two kinds, is below 1."""
_MAPPED = 3000
"""Volumes of the data set in the map of the latent space."""
_FEWEST = 5
"""Validation volumes of a size from which corrections for this size are fitted."""


def fit(
    model: VaeReg,
    dataset: Dataset | LabelledSet | TrainingSet,
    settings: TrainingConfig,
    *,
    former: Fitted | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fit everything that a released model needs beside its weights.

    Ranges, p(c), the novelty's reference and the small regressors come from the training split; calibration
    of the spreads, by size where the data set has several, and the novelty's threshold from the validation
    split.

    Args:
        model: Trained networks.
        dataset: The data set that they were trained on.
        settings: How they were trained: families that were left out stay out.
        former: What was fitted to the model whose encoder and regressor were trained on: its training
            volumes count among those that say which targets are reachable, its guided regressor is trained
            on, and its latent regressor stays, since prior and decoder are the same.
        on_progress: Called with the volumes that the solver has seen, for the guided regressor, and their
            number.
    """
    data = TrainingSet.of(dataset)
    training = evenly(data.labelled_rows("train", settings.held_out), MOST_FITTED)
    validation = evenly(data.labelled_rows("validation", settings.held_out), MOST_FITTED // 8)
    materials, fraction = model.materials, data.volume_fraction

    location, scale = model.property_location.cpu().numpy(), model.property_scale.cpu().numpy()
    training_values = np.column_stack([data.properties, fraction])[training]
    logs = np.log(training_values)
    standardised = np.column_stack([(logs[:, :-1] - location) / scale, logs[:, -1]])
    parts = min(12, max(1, len(training) // 50))
    mixture = GaussianMixture(parts, covariance_type="full", reg_covar=1e-4, random_state=0).fit(standardised)
    reached = training_values
    if former is not None:  # which may have been trained on some of these volumes
        joined_values = np.concatenate([former.training_properties.values, training_values]).astype(
            np.float32
        )
        reached = np.unique(joined_values, axis=0)

    train_mean, train_spread, statistics = encode_set(model, data, training, averaged=True)
    centre, whitening = _whitening(statistics)
    mean, spread, statistics = encode_set(model, data, validation, averaged=True)
    distance = np.sqrt(np.square((statistics - centre) @ whitening).mean(1))

    bounds = _bounds(model, data, np.concatenate([training, validation]), on_progress)
    guided = fit_guided(
        guided_inputs(bounds[training], fraction[training], train_mean, train_spread, materials),
        bounds[training, -1],
        fraction[training],
        data.properties[training],
        materials,
        start=None if former is None else former.guided,
    )
    guided_mean, guided_spread = guide(
        guided, bounds[validation], fraction[validation], mean, spread, materials
    )
    truth, usual = data.properties[validation], data.size[validation] == data.edge
    spread_factor = _spread_factor(mean[usual], spread[usual], truth[usual])
    guided_factor = _spread_factor(guided_mean[usual], guided_spread[usual], truth[usual])
    sizes = _cell_sizes(
        data.size[validation],
        data.edge,
        encoder=np.abs(np.log(mean / truth)) / (spread * spread_factor),
        guided=np.abs(np.log(guided_mean / truth)) / (guided_spread * guided_factor),
        distance=distance,
    )
    wider = np.ones(len(validation))
    if sizes is not None:
        distance = distance / sizes.at("novelty", data.size[validation])
        wider = sizes.at("encoder", data.size[validation])
    whitening /= np.quantile(distance, _NOVEL)
    deviation = mean * spread * spread_factor * wider[:, None]
    if former is None:
        latent_regressor = fit_latent_regressor(model, data.edge, data.properties[training])
    else:
        latent_regressor = former.latent_regressor
    return Fitted(
        property_quantiles=np.quantile(reached[:, :-1].astype(np.float64), [0.01, 0.99], axis=0),
        training_properties=TrainingProperties(reached),
        mixture=PropertyMixture(
            weights=np.asarray(mixture.weights_),
            means=np.asarray(mixture.means_),
            covariances=np.asarray(mixture.covariances_),
        ),
        spread_factor=spread_factor,
        guided=guided,
        guided_spread_factor=guided_factor,
        latent_regressor=latent_regressor,
        novelty_mean=torch.from_numpy(centre.astype(np.float32)),
        novelty_whitening=torch.from_numpy(whitening.astype(np.float32)),
        disagreement_limit=float(np.quantile(tier_disagreement(mean, deviation, guided_mean), _NOVEL)),
        cell_sizes=sizes,
    )


def embed(model: VaeReg, dataset: Dataset | LabelledSet | TrainingSet, settings: TrainingConfig) -> Embedding:
    """Map of the latent space: the first volumes of the data set, of its commonest size and all its splits.

    Of classes and families together, the classes alone are mapped.

    UMAP (McInnes et al. 2018, arXiv 1802.03426) is computed by the package umap-learn.

    Args:
        model: Trained networks.
        dataset: The data set that they were trained on.
        settings: How they were trained.
    """
    from umap import UMAP  # takes ten seconds to import

    data = TrainingSet.of(dataset)
    is_mapped = (data.size == data.edge) & data.labelled
    if data.mode is not None:
        is_mapped &= data.mode != ""
    rows = np.flatnonzero(is_mapped)[:_MAPPED]
    properties = data.properties[rows].astype(np.float32)
    with torch.no_grad():
        means = torch.cat([encoding.latent_mean for encoding in encode_batches(model, data.volumes(rows))])
        if data.mode is None:
            prior = model.prior(torch.from_numpy(properties).to(device_of(model)))
            component = prior.responsibilities(means).argmax(1).cpu().numpy()
        else:
            component = np.array([MODE_NAMES.index(name) for name in data.mode[rows].tolist()])
    latent = means.cpu().numpy()
    centre = latent.mean(0)
    axes = np.linalg.svd(latent - centre, full_matrices=False)[2]
    neighbours = min(15, len(rows) - 1)
    threads = torch.get_num_threads()
    places = UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(latent)
    torch.set_num_threads(threads)  # umap-learn sets the number for all of the process
    return Embedding(
        family=data.name[rows],
        seed=data.seed[rows],
        split=np.where(np.isin(data.name[rows], settings.held_out), "held-out", data.split[rows]),
        size=data.edge,
        properties=properties,
        volume_fraction=data.volume_fraction[rows].astype(np.float32),
        component=component,
        latent=latent,
        pca_mean=centre,
        pca_axes=axes,
        umap=np.asarray(places, dtype=np.float32),
        modes=() if data.mode is None else MODE_NAMES,
    )


def evenly(rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """At most `count` of the rows, evenly spaced."""
    return rows if len(rows) <= count else rows[np.arange(count) * len(rows) // count]


def fit_latent_regressor(
    model: VaeReg, size: int, properties: NDArray[np.float64], epochs: int = 150
) -> LatentRegressor:
    """Learn what decoded latent vectors come to: z of all components at the training set's properties.

    Each z is decoded once; the regression averages over the noise.
    """
    device = device_of(model)
    generator = torch.Generator().manual_seed(0)
    count = min(4096, 2 * len(properties))
    rows = torch.randint(len(properties), (count,), generator=generator).numpy()
    components = torch.arange(count, device=device) % model.config.components
    with torch.no_grad():
        targets = torch.from_numpy(properties[rows]).to(device, torch.float32)
        z, _ = model.prior(targets).sample(generator=generator, component=components)
        truth = torch.cat(
            [
                model.standardise(encoding.property_mean)
                for volumes in decode_batches(model, z, size, generator=generator)
                for encoding in encode_batches(model, volumes)
            ]
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LatentRegressor(z.shape[1], truth.shape[1]).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator).to(device)
        for part in order.split(128):
            loss = nn.functional.smooth_l1_loss(network(z[part]), truth[part], beta=0.2)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def encode_all(
    model: VaeReg, volumes: NDArray[np.uint8], *, averaged: bool = False
) -> tuple[NDArray, NDArray, NDArray]:
    """Properties [GPa], logarithmic spread, (N, T), and statistics, (N, S), of volumes (N, X, Y, Z).

    `averaged` as in `encode_batches`.
    """
    parts: list[tuple[NDArray, ...]] = []
    with torch.no_grad():
        for encoding in encode_batches(model, volumes, averaged=averaged):
            columns = (encoding.property_mean, encoding.property_spread, encoding.statistics)
            parts.append(tuple(column.cpu().numpy().astype(np.float64) for column in columns))
    mean, spread, statistics = (np.concatenate(column) for column in zip(*parts, strict=True))
    return mean, spread, statistics


def encode_set(
    model: VaeReg, data: TrainingSet, rows: NDArray[np.intp], *, averaged: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What `encode_all` returns, for volumes of a data set, which may differ in size."""
    columns: tuple[NDArray[np.float64], ...] | None = None
    for places, volumes in data.by_size(rows):
        parts = encode_all(model, volumes, averaged=averaged)
        columns = columns or tuple(np.empty((len(rows), part.shape[1])) for part in parts)
        for column, part in zip(columns, parts, strict=True):
            column[places] = part
    if columns is None:
        raise ValueError("expected at least one volume, got none")
    mean, spread, statistics = columns
    return mean, spread, statistics


def fit_latent_head(
    model: VaeReg,
    former: VaeReg,
    data: TrainingSet,
    rows: NDArray[np.intp],
    *,
    turns: int = 1,
    epochs: int = 60,
) -> None:
    """Fit the latent head to changed statistics, in place: q(z | x) is to stay what it was.

    The encoder of a continued model gives other statistics; the prior and the decoder, which stay as they
    are, need the latent vectors that they were trained with.

    Args:
        model: Continued model.
        former: Model that it was continued from.
        data: Volumes.
        rows: Training volumes in `data`.
        turns: Random symmetries in which each volume is encoded.
        epochs: Passes over the encodings.
    """
    generator, device = torch.Generator().manual_seed(0), device_of(model)
    parts: list[tuple[torch.Tensor, ...]] = []
    with torch.no_grad():
        for _ in range(turns):
            for places, volumes in data.by_size(rows):
                properties = torch.from_numpy(data.properties[rows[places]]).float()
                turned, _ = augment(torch.from_numpy(volumes).float(), properties, generator=generator)
                encodings = zip(encode_batches(model, turned), encode_batches(former, turned), strict=True)
                for new, old in encodings:
                    parts.append((new.statistics, old.latent_mean.to(device), old.latent_std.to(device)))
    statistics, mean, std = (torch.cat(column) for column in zip(*parts, strict=True))
    head = model.latent_head.requires_grad_(True)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for part in torch.randperm(len(statistics), generator=generator).to(device).split(128):
            own_mean, own_std = model.latent_distribution(statistics[part])
            ratio = std[part] / own_std
            offset = (mean[part] - own_mean) / own_std
            divergence = 0.5 * (ratio.square() + offset.square() - 1.0) - ratio.log()
            optimiser.zero_grad(set_to_none=True)
            divergence.sum(1).mean().backward()
            optimiser.step()
        schedule.step()
    head.requires_grad_(False)


def _whitening(statistics: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the training volumes' statistics, (S,), and the map to unit covariance, (S, S')."""
    centre, width = statistics.mean(0), statistics.std(0) + 1e-9
    values, vectors = np.linalg.eigh(np.cov(((statistics - centre) / width).T))
    largest = np.arange(len(values)) >= len(values) - max(1, len(statistics) // 10)
    significant = (values > 1e-4 * values.max()) & largest
    return centre, vectors[:, significant] / np.sqrt(values[significant]) / width[:, None]


def _bounds(
    model: VaeReg,
    data: TrainingSet,
    rows: NDArray[np.intp],
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Upper bounds of the volumes in `rows`, by their index in the data set, shape (N, I, T) [GPa]."""
    bounds = np.full((len(data), ITERATIONS, len(PROPERTIES)), np.nan)
    offset = 0

    def report(begin: int, count: int, _: int) -> None:
        if on_progress:
            on_progress(begin + count, len(rows))

    for places, volumes in data.by_size(rows):
        bounds[rows[places]] = upper_bounds(
            list(volumes), model.materials, on_progress=partial(report, offset)
        )
        offset += len(places)
    return bounds


def _cell_sizes(
    size: NDArray[np.int64],
    usual: int,
    *,
    encoder: NDArray[np.float64],
    guided: NDArray[np.float64],
    distance: NDArray[np.float64],
) -> CellSizes | None:
    """Corrections by size from the validation volumes; None where they have one size.

    Args:
        size: Voxels per edge, shape (N,).
        usual: The size that needs no correction.
        encoder: Errors of the encoder's regressor over its calibrated spread, shape (N, T) [-].
        guided: Errors of the guided regressor over its calibrated spread, shape (N, T) [-].
        distance: Distance of the statistics from the training set, shape (N,) [-].
    """
    edges, counts = np.unique(size, return_counts=True)
    edges = edges[(counts >= _FEWEST) | (edges == usual)]
    if len(edges) == 1:
        return None
    level, near = norm.ppf(0.95), np.exp(np.log(distance[size == usual]).mean())
    return CellSizes(
        edges=edges.astype(np.float64),
        encoder=np.array([np.quantile(encoder[size == edge], 0.9) for edge in edges]) / level,
        guided=np.array([np.quantile(guided[size == edge], 0.9) for edge in edges]) / level,
        novelty=np.array([np.exp(np.log(distance[size == edge]).mean()) for edge in edges]) / near,
    )


def _spread_factor(
    mean: NDArray[np.float64], spread: NDArray[np.float64], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Factor of the spreads with which a Gaussian's central 90 % cover 90 % of the errors, shape (T,)."""
    return np.quantile(np.abs(np.log(mean / truth)) / spread, 0.9, axis=0) / norm.ppf(0.95)
