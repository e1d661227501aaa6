"""The joint model: encoder q(z | x), regressor q(c | x), mixture prior p(z | c) and decoder p(x | z).

Letters: B batch, K components, D latent size, T properties. x voxels (B, 1, X, Y, Z), z latent (B, D), c
properties (B, T) [GPa]. Inside, c is the logarithm of the properties, standardised over the training set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaereg.elasticity import PROPERTIES, lame_parameters
from vaereg.materials import TwoPhase
from vaereg.model.config import ModelConfig
from vaereg.model.networks import Decoder, Encoder, Head, PropertyScaling
from vaereg.model.prior import ConditionalMixture, MixturePrior

__all__ = ["Encoding", "VaeReg"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """Output of the encoder for a batch of volumes."""

    statistics: Tensor
    """Pooled maps, volume fraction and axis correlations, shape (B, S)."""
    latent_mean: Tensor
    """Mean of q(z | x), shape (B, D)."""
    latent_std: Tensor
    """Standard deviation of q(z | x), shape (B, D)."""
    property_mean: Tensor
    """Mean of q(c | x), shape (B, T) [GPa]."""
    property_spread: Tensor
    """Standard deviation of log c, shape (B, T) [-]; to first order, that of the relative error."""

    def sample(self, *, generator: torch.Generator) -> Tensor:
        """Reparameterised z ~ q(z | x), shape (B, D)."""
        mean = self.latent_mean
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        return mean + self.latent_std * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x), shape (B,)."""
        whitened = (z - self.latent_mean) / self.latent_std
        constant = 0.5 * z.shape[-1] * math.log(2.0 * math.pi)
        return -0.5 * whitened.square().sum(-1) - self.latent_std.log().sum(-1) - constant


class VaeReg(PropertyScaling):
    """Variational autoencoder with a property regressor and a conditional mixture prior (arXiv 2402.17806).

    Args:
        config: Sizes of the networks.
        materials: The phases that the properties belong to; predictions stay between their Reuss and Voigt
            bounds.
    """

    def __init__(self, config: ModelConfig, materials: TwoPhase | None = None) -> None:
        super().__init__(len(PROPERTIES))
        self.config = config
        self.materials = TwoPhase() if materials is None else materials
        self.encoder = Encoder(config.widths)
        self.latent_head = Head(self.encoder.statistics, config.latent, config.features)
        self.property_head = Head(self.encoder.statistics, len(PROPERTIES), config.features)
        self.prior_network = MixturePrior(len(PROPERTIES), config.latent, config.components)
        self.decoder = Decoder(config.latent, config.fields, config.mixing)

    def encode(self, volumes: Tensor) -> Encoding:
        """Latent distribution and properties of volumes, shape (B, 1, X, Y, Z).

        The maps are trained by the regressor alone: gradients of the latent distribution end at the
        statistics, so that the joint model predicts as well as one that is trained for nothing else.
        """
        statistics = self.encoder(volumes)
        latent_mean, latent_std = self.latent_distribution(statistics.detach())
        place, spread = self.property_head(statistics)
        lower, upper = _diagonal_bounds(volumes.mean((1, 2, 3, 4)), self.materials)
        return Encoding(
            statistics=statistics,
            latent_mean=latent_mean,
            latent_std=latent_std,
            property_mean=lower + torch.sigmoid(place - 1.0) * (upper - lower),
            property_spread=nn.functional.softplus(spread - 2.0) + 1e-3,
        )

    def latent_distribution(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z | x), each of shape (B, D), for statistics, shape (B, S)."""
        mean, raw = self.latent_head(statistics)
        return mean, nn.functional.softplus(raw - 1.0) + 1e-3

    def prior(self, properties: Tensor) -> ConditionalMixture:
        """p(z | c) for properties c, shape (B, T) [GPa]."""
        return self.prior_network(self.standardise(properties))

    def noise(self, count: int, size: int, *, generator: torch.Generator) -> Tensor:
        """White noise for `decode`, shape (count, C, size, size, size); one for all if deterministic."""
        draws = count
        if self.config.deterministic:
            generator, draws = torch.Generator().manual_seed(0), 1
        shape = (self.config.fields, size, size, size)
        noise = torch.randn(draws, *shape, generator=generator, device=generator.device)
        return noise.to(self.property_location.device).expand(count, *shape)

    def decode(
        self, z: Tensor, noise: Tensor, temperature: float | None = None, fraction: Tensor | None = None
    ) -> Tensor:
        """Binary volumes, shape (B, 1, N, N, N); see `vaereg.model.networks.Decoder`."""
        return self.decoder(z, noise, temperature, fraction)


def _diagonal_bounds(fraction: Tensor, materials: TwoPhase) -> tuple[Tensor, Tensor]:
    """Diagonals of the Reuss and Voigt bounds, shape (B, 6) [GPa], differentiable in f."""
    (first1, shear1), (first0, shear0) = (
        lame_parameters(materials.e_stiff, materials.nu_stiff),
        lame_parameters(materials.e_soft, materials.nu_soft),
    )
    bulk1, bulk0 = first1 + 2.0 * shear1 / 3.0, first0 + 2.0 * shear0 / 3.0

    def diagonal(bulk: Tensor, shear: Tensor) -> Tensor:
        return torch.stack([bulk + 4.0 * shear / 3.0] * 3 + [shear] * 3, -1)

    soft_fraction = 1.0 - fraction
    lower = diagonal(
        1.0 / (fraction / bulk1 + soft_fraction / bulk0), 1.0 / (fraction / shear1 + soft_fraction / shear0)
    )
    upper = diagonal(fraction * bulk1 + soft_fraction * bulk0, fraction * shear1 + soft_fraction * shear0)
    return lower, upper
