"""Quantities fitted to a trained model: ranges, p(c), calibration, novelty, and two small regressors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.mixture import GaussianMixture
from torch import nn

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.io.datasets import Dataset, known_indices
from vaereg.model.batches import decode_batches, device_of, encode_batches
from vaereg.model.checkpoint import Fitted
from vaereg.model.config import TrainingConfig
from vaereg.model.embedding import Embedding
from vaereg.model.guided import ITERATIONS, fit_guided, guide, guided_inputs, upper_bounds
from vaereg.model.networks import LatentRegressor
from vaereg.model.prediction import tier_disagreement
from vaereg.model.prior import PropertyMixture
from vaereg.model.reachability import TrainingProperties
from vaereg.model.vae import VaeReg

__all__ = [
    "embed",
    "encode_all",
    "fit",
    "fit_latent_regressor",
]

_NOVEL = 0.995
"""Part of the validation volumes whose novelty, of each of two kinds, is below 1."""
_MAPPED = 3000
"""Volumes of the data set in the map of the latent space."""


def fit(
    model: VaeReg,
    dataset: Dataset,
    settings: TrainingConfig,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Fit everything that a released model needs beside its weights.

    Ranges, p(c), the novelty's reference and the small regressors come from the training split; calibration
    of the spreads and the novelty's threshold from the validation split.

    Args:
        model: Trained networks.
        dataset: The data set that they were trained on.
        settings: How they were trained: families that were left out stay out.
        on_progress: Called with the volumes that the solver has seen, for the guided regressor, and their
            number.
    """
    properties = diagonal_properties(dataset.samples.stiffness)
    training = known_indices(dataset, "train", settings.held_out)
    validation = known_indices(dataset, "validation", settings.held_out)

    location, scale = model.property_location.cpu().numpy(), model.property_scale.cpu().numpy()
    training_values = np.column_stack([properties, dataset.samples.volume_fraction])[training]
    logs = np.log(training_values)
    standardised = np.column_stack([(logs[:, :-1] - location) / scale, logs[:, -1]])
    parts = min(12, max(1, len(training) // 50))
    mixture = GaussianMixture(parts, covariance_type="full", reg_covar=1e-4, random_state=0).fit(standardised)

    train_mean, train_spread, statistics = encode_all(model, dataset.volumes(training))
    centre, width = statistics.mean(0), statistics.std(0) + 1e-9
    values, vectors = np.linalg.eigh(np.cov(((statistics - centre) / width).T))
    kept = (values > 1e-4 * values.max()) & (
        np.arange(len(values)) >= len(values) - max(1, len(training) // 10)
    )
    whitening = vectors[:, kept] / np.sqrt(values[kept]) / width[:, None]

    mean, spread, statistics = encode_all(model, dataset.volumes(validation))
    distance = np.sqrt(np.square((statistics - centre) @ whitening).mean(1))
    whitening /= np.quantile(distance, _NOVEL)
    bounds = np.empty((len(dataset), ITERATIONS, len(PROPERTIES)))
    both = np.concatenate([training, validation])
    bounds[both] = upper_bounds(list(dataset.volumes(both)), model.materials, on_progress=on_progress)
    fraction, materials = dataset.samples.volume_fraction, model.materials
    guided = fit_guided(
        guided_inputs(bounds[training], fraction[training], train_mean, train_spread, materials),
        bounds[training, -1],
        fraction[training],
        properties[training],
        materials,
    )
    guided_mean, guided_spread = guide(
        guided, bounds[validation], fraction[validation], mean, spread, materials
    )
    spread_factor = _spread_factor(mean, spread, properties[validation])
    disagreement = tier_disagreement(mean, mean * spread * spread_factor, guided_mean)
    return Fitted(
        property_quantiles=np.quantile(properties[training], [0.01, 0.99], axis=0),
        training_properties=TrainingProperties(training_values),
        mixture=PropertyMixture(
            weights=np.asarray(mixture.weights_),
            means=np.asarray(mixture.means_),
            covariances=np.asarray(mixture.covariances_),
        ),
        spread_factor=spread_factor,
        guided=guided,
        guided_spread_factor=_spread_factor(guided_mean, guided_spread, properties[validation]),
        latent_regressor=fit_latent_regressor(model, dataset.shape[0], properties[training]),
        novelty_mean=torch.from_numpy(centre.astype(np.float32)),
        novelty_whitening=torch.from_numpy(whitening.astype(np.float32)),
        disagreement_limit=float(np.quantile(disagreement, _NOVEL)),
    )


def embed(model: VaeReg, dataset: Dataset, settings: TrainingConfig) -> Embedding:
    """Map of the latent space: the first volumes of the data set, of all its splits.

    UMAP (McInnes et al. 2018, arXiv 1802.03426) is computed by the package umap-learn.

    Args:
        model: Trained networks.
        dataset: The data set that they were trained on.
        settings: How they were trained.
    """
    from umap import UMAP  # takes ten seconds to import

    rows = np.arange(min(_MAPPED, len(dataset)))
    samples = dataset.samples
    properties = diagonal_properties(samples.stiffness[rows]).astype(np.float32)
    with torch.no_grad():
        means = torch.cat([encoding.latent_mean for encoding in encode_batches(model, dataset.volumes(rows))])
        prior = model.prior(torch.from_numpy(properties).to(device_of(model)))
        component = prior.responsibilities(means).argmax(1).cpu().numpy()
    latent = means.cpu().numpy()
    centre = latent.mean(0)
    axes = np.linalg.svd(latent - centre, full_matrices=False)[2]
    neighbours = min(15, len(rows) - 1)
    places = UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(latent)
    return Embedding(
        family=samples.family[rows],
        seed=samples.seed[rows],
        split=np.where(np.isin(samples.family[rows], settings.held_out), "held-out", dataset.split[rows]),
        size=dataset.plan.size,
        properties=properties,
        volume_fraction=samples.volume_fraction[rows].astype(np.float32),
        component=component,
        latent=latent,
        pca_mean=centre,
        pca_axes=axes,
        umap=np.asarray(places, dtype=np.float32),
    )


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


def encode_all(model: VaeReg, volumes: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
    """Properties [GPa], logarithmic spread, (N, T), and statistics, (N, S), of volumes (N, X, Y, Z)."""
    parts: list[tuple[NDArray, ...]] = []
    with torch.no_grad():
        for encoding in encode_batches(model, volumes):
            columns = (encoding.property_mean, encoding.property_spread, encoding.statistics)
            parts.append(tuple(column.cpu().numpy().astype(np.float64) for column in columns))
    mean, spread, statistics = (np.concatenate(column) for column in zip(*parts, strict=True))
    return mean, spread, statistics


def _spread_factor(
    mean: NDArray[np.float64], spread: NDArray[np.float64], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Factor of the spreads with which a Gaussian's central 90 % cover 90 % of the errors, shape (T,)."""
    return np.quantile(np.abs(np.log(mean / truth)) / spread, 0.9, axis=0) / norm.ppf(0.95)
