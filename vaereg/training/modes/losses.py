"""Terms of the loss of the modes.

As in `vaereg.training.losses`, statistics of two realisations of one z are compared with those of the volume
by the product of their residuals, whose expectation is the squared bias alone.

Letters: B batch, D latent size, T properties.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.encoder import ModePosterior, lineal_paths, log_faces
from vaereg.model.modes.network import ModeNetworks
from vaereg.training.features import FeatureMaps
from vaereg.training.losses import heavy_tailed, lag_weights, near_correlation, style_term
from vaereg.training.modes.surrogate import EXPECTED, StatisticsSurrogate

__all__ = ["TERMS", "decoding_terms", "divergence", "encoding_terms", "term_weights"]

TERMS = (
    "divergence",
    "regression",
    "fraction",
    "geometry",
    "expectation",
    "correlation",
    "path",
    "surface",
    "style",
    "pixel",
)
"""Names of all terms."""

_TEMPERATURE = 0.3
"""Width of the straight-through slope of the cut, in standard deviations of the field."""
_SCALE = 0.02
"""Deviation of a two-point correlation or of a lineal path that is one unit [-]."""
_SURFACE_SCALE = 0.05
"""Deviation of a logarithmic face density that is one unit [-]."""
_EXPECTED_SCALES = (0.02, 0.02, 0.02 / 3.0, 0.01 / 3.0)
"""Deviations of correlation, lineal path, and a third of the logarithms of face density and of specific
surface that are one unit [-]."""
_FAR_EXPECTED = (0.2, 0.1, 0.2 / 3.0, 0.1 / 3.0)
"""Deviations of these from which they count less than their square [-]."""
_LAYERS = MODE_NAMES.index("layers")
_COUNTED = 10.0
"""Weight of the spacing of layers: their number in a cell is whole, and must be found exactly [-]."""
_FAR_GEOMETRY, _FAR_PATH, _FAR_SURFACE = 0.7, 0.1, 0.2
"""Deviations from which geometry, lineal path and face density count less than their square [-]."""


def term_weights(config: ModesConfig) -> dict[str, float]:
    """Factor of each term; those of decodings make up for the steps that have none."""
    every = config.decode_every
    return {
        "divergence": config.divergence_weight,
        "regression": config.regression_weight,
        "fraction": 1.0,
        "geometry": config.geometry_weight,
        "expectation": config.expectation_weight,
        "correlation": config.correlation_weight * every,
        "path": config.path_weight * every,
        "surface": config.surface_weight * every,
        "style": config.style_weight * every * config.style_every,
        "pixel": config.pixel_weight * every,
    }


def encoding_terms(
    networks: ModeNetworks,
    posterior: ModePosterior,
    z: Tensor,
    mode: Tensor,
    *,
    statistics: Tensor,
    surrogate: StatisticsSurrogate,
    geometry: Tensor,
    supervised: Tensor,
    properties: Tensor,
    fraction: Tensor,
    config: ModesConfig,
) -> dict[str, Tensor]:
    """Terms that need no decoding.

    Args:
        networks: Networks of the modes.
        posterior: q(z | x, k) of the volumes.
        z: Latent vectors drawn from it, shape (B, D).
        mode: Index of the modes, shape (B,).
        statistics: Geometric statistics of the volumes, shape (B, S).
        surrogate: Statistics to expect of a geometry.
        geometry: Logarithms of the geometry of the recipes, shape (B, G).
        supervised: Whether the recipes tell each number, shape (B, G).
        properties: Shape (B, T) [GPa].
        fraction: Volume fractions, shape (B,) [-].
        config: Settings.
    """
    c = networks.standardise(properties)
    error = networks.regressor(z, mode) - c
    decoder = networks.decoder
    lengths = decoder.geometry.log_lengths(z, mode)
    deviation = (decoder.volume_fraction(z, mode) - fraction) / config.fraction_scale
    bias = heavy_tailed((lengths - geometry).square(), _FAR_GEOMETRY)
    weight = supervised.clone()
    weight[mode == _LAYERS, :3] *= _COUNTED
    return {
        "divergence": divergence(networks, posterior, c, mode),
        "regression": heavy_tailed(error.square(), 1.0).mean(),
        "fraction": 0.5 * deviation.square().mean(),
        "geometry": 0.5 * (weight * bias).sum(1).mean() / config.geometry_scale**2,
        "expectation": _expectation_term(
            surrogate(decoder.geometry.within(lengths), fraction, mode), statistics, mode
        ),
    }


def _expectation_term(expected: Tensor, statistics: Tensor, mode: Tensor) -> Tensor:
    """Deviation of expected statistics, shape (B, S), from those of the volumes.

    Faces along the axes in which layers extend are few or none, too nonlinear in the geometry to be expected.
    """
    parts = (expected - statistics[:, : expected.shape[1]]).split(EXPECTED, 1)
    terms = [
        0.5 * heavy_tailed(part.square(), far).sum(1) / (scale**2 * part.shape[1])
        for part, scale, far in zip(parts, _EXPECTED_SCALES, _FAR_EXPECTED, strict=True)
    ]
    return (terms[0] + terms[1] + (mode != _LAYERS) * terms[2] + terms[3]).mean()


def divergence(networks: ModeNetworks, posterior: ModePosterior, c: Tensor, mode: Tensor) -> Tensor:
    """Mean KL(q(z | x, k) ‖ p(z | c, k)) [nats]; p is a single Gaussian of the mode."""
    prior = networks.prior(c)
    rows = torch.arange(len(mode), device=mode.device)
    mean, scale = prior.mean[rows, mode], prior.scale[rows, mode]
    offset = torch.stack([posterior.mean - mean], -1)
    whitened = torch.linalg.solve_triangular(scale, offset, upper=False).squeeze(-1)
    spread = torch.linalg.solve_triangular(scale, torch.diag_embed(posterior.std), upper=False)
    volume = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1) - posterior.std.log().sum(-1)
    quadratic = whitened.square().sum(-1) + spread.square().sum((-2, -1))
    return (0.5 * (quadratic - mean.shape[1]) + volume).mean()


def decoding_terms(
    networks: ModeNetworks,
    features: FeatureMaps,
    z: Tensor,
    mode: Tensor,
    volumes: Tensor,
    *,
    config: ModesConfig,
    style: bool,
    generators: Sequence[np.random.Generator],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Terms that compare two realisations of each z with its volume.

    Args:
        networks: Networks of the modes.
        features: Feature maps of the style loss.
        z: Latent vectors of built modes, shape (B, D).
        mode: Index of the modes, shape (B,).
        volumes: Shape (B, 1, X, Y, Z).
        config: Settings.
        style: Whether the style loss is evaluated.
        generators: Sources of the realisations, 2 B of them.
        generator: Source of the slices of the style loss.
    """
    shape = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
    fraction = volumes.mean((1, 2, 3, 4))
    first, second = networks.decoder(
        z.repeat(2, 1),
        mode.repeat(2),
        shape,
        generators=generators,
        temperature=_TEMPERATURE,
        fraction=fraction.repeat(2),
    ).chunk(2)
    reference = near_correlation(volumes)
    bias = (near_correlation(first) - reference) * (near_correlation(second) - reference)
    terms = {"correlation": (bias * lag_weights(reference)).sum((1, 2, 3)).mean() / _SCALE**2}
    reference = lineal_paths(volumes)
    bias = (lineal_paths(first) - reference) * (lineal_paths(second) - reference)
    terms["path"] = heavy_tailed(bias, _FAR_PATH).mean() / _SCALE**2
    reference = log_faces(volumes)
    bias = (log_faces(first) - reference) * (log_faces(second) - reference)
    terms["surface"] = 0.5 * heavy_tailed(bias, _FAR_SURFACE).mean() / _SURFACE_SCALE**2
    if config.pixel_weight:
        terms["pixel"] = nn.functional.mse_loss(first, volumes)
    if style and config.style_weight:
        terms["style"] = style_term(features, first, second, volumes, len(volumes), generator)
    return terms
