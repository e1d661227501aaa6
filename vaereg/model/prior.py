"""Conditional prior p(z | c) and the model of plausible properties p(c): both Gaussian mixtures.

Letters: B batch, K mixture components, D latent size, T properties.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

__all__ = ["ConditionalMixture", "MixturePrior", "PropertyMixture"]


class ConditionalMixture:
    """Gaussian mixture over z, one per row of a batch of targets.

    Args:
        log_weights: Logarithms of the component weights, shape (B, K).
        mean: Component means, shape (B, K, D).
        scale: Lower Cholesky factors of the component covariances, shape (B, K, D, D).
    """

    def __init__(self, log_weights: Tensor, mean: Tensor, scale: Tensor) -> None:
        self.log_weights = log_weights
        self.mean = mean
        self.scale = scale

    @property
    def weights(self) -> Tensor:
        """Component weights, shape (B, K)."""
        return self.log_weights.exp()

    def component_log_prob(self, z: Tensor) -> Tensor:
        """log of weight times density of each component at z, shape (B, D), giving (B, K)."""
        offset = (z[:, None] - self.mean)[..., None]
        whitened = torch.linalg.solve_triangular(self.scale, offset, upper=False).squeeze(-1)
        volume = self.scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * z.shape[-1] * math.log(2.0 * math.pi)
        return self.log_weights - 0.5 * whitened.square().sum(-1) - volume - constant

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z | c), shape (B,), of latent vectors, shape (B, D)."""
        return self.component_log_prob(z).logsumexp(-1)

    def responsibilities(self, z: Tensor) -> Tensor:
        """Probability that each component made z, shape (B, K)."""
        return self.component_log_prob(z).softmax(-1)

    def sample(self, *, generator: torch.Generator, component: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One latent vector per row, differentiable in the mixture's means and scales.

        Args:
            generator: Source of randomness, on any device.
            component: Component to draw each row from, shape (B,); by the weights if left out.

        Returns:
            Latent vectors, shape (B, D), and their components, shape (B,).
        """
        if component is None:
            weights = self.weights.detach().to(generator.device)
            component = torch.multinomial(weights, 1, generator=generator).squeeze(-1).to(self.mean.device)
        rows = torch.arange(len(component), device=self.mean.device)
        mean, scale = self.mean[rows, component], self.scale[rows, component]
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        return mean + (scale @ noise[..., None]).squeeze(-1), component


class MixturePrior(nn.Module):
    """p(z | c): weights, means and full covariances of a Gaussian mixture as functions of the target.

    Args:
        properties: Size T of the (standardised) target.
        latent: Size D of z.
        components: Number K of components.
        hidden: Width of the network.
        floor: Smallest weight of a component, as a part of 1 / K, so that every family stays reachable.
    """

    def __init__(
        self, properties: int, latent: int, components: int, hidden: int = 128, floor: float = 0.2
    ) -> None:
        super().__init__()
        self.latent = latent
        self.components = components
        self.floor = floor
        self.trunk = nn.Sequential(
            nn.Linear(properties, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.log_weights = nn.Linear(hidden, components)
        self.mean = nn.Linear(hidden, components * latent)
        self.triangle = latent * (latent + 1) // 2
        self.scale = nn.Linear(hidden, components * self.triangle)
        nn.init.zeros_(self.log_weights.weight)
        nn.init.zeros_(self.log_weights.bias)
        nn.init.normal_(self.mean.bias, std=1.0)  # components begin apart
        nn.init.normal_(self.scale.weight, std=0.01)
        nn.init.zeros_(self.scale.bias)

    def forward(self, c: Tensor) -> ConditionalMixture:
        """Mixture for standardised targets c, shape (B, T)."""
        hidden = self.trunk(c)
        weights = self.log_weights(hidden).softmax(-1)
        weights = (1.0 - self.floor) * weights + self.floor / self.components
        mean = self.mean(hidden).unflatten(-1, (self.components, self.latent))
        entries = self.scale(hidden).unflatten(-1, (self.components, self.triangle))
        rows, columns = torch.tril_indices(self.latent, self.latent, device=c.device)
        scale = entries.new_zeros(*entries.shape[:-1], self.latent, self.latent)
        scale[..., rows, columns] = entries
        diagonal = nn.functional.softplus(scale.diagonal(dim1=-2, dim2=-1) + 0.54) + 1e-2
        scale = scale.tril(-1) + torch.diag_embed(diagonal)
        return ConditionalMixture(weights.log(), mean, scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class PropertyMixture:
    """p(c) of the training set as a Gaussian mixture over standardised properties, conditioned in closed
    form.

    Fills in the properties that a user leaves free.
    """

    weights: NDArray[np.float64]
    """Component weights, shape (M,)."""
    means: NDArray[np.float64]
    """Component means, shape (M, T)."""
    covariances: NDArray[np.float64]
    """Component covariances, shape (M, T, T)."""

    def conditional(self, fixed: NDArray[np.bool_], values: NDArray[np.float64]) -> PropertyMixture:
        """Mixture over the free properties, given the values of the fixed ones (Bishop 2006, section 2.3.1).

        Args:
            fixed: Which properties are given, shape (T,).
            values: Their values, shape (number fixed,).
        """
        if not fixed.any():
            return self
        free = ~fixed
        logs, means, covariances = [], [], []
        for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=True):
            within = covariance[np.ix_(fixed, fixed)]
            across = covariance[np.ix_(free, fixed)]
            offset = values - mean[fixed]
            gain = np.linalg.solve(within, across.T).T
            means.append(mean[free] + gain @ offset)
            covariances.append(covariance[np.ix_(free, free)] - gain @ across.T)
            given = MultivariateNormal(
                torch.zeros(len(offset), dtype=torch.float64), torch.from_numpy(within)
            )
            logs.append(np.log(weight) + given.log_prob(torch.from_numpy(offset)).item())
        return PropertyMixture(
            weights=np.exp(np.array(logs) - logsumexp(logs)),
            means=np.array(means),
            covariances=np.array(covariances),
        )

    def sample(self, count: int, *, generator: np.random.Generator) -> NDArray[np.float64]:
        """Draws from the mixture, shape (count, T)."""
        components = generator.choice(len(self.weights), size=count, p=self.weights)
        roots = np.linalg.cholesky(self.covariances + 1e-9 * np.eye(self.means.shape[1]))
        noise = generator.standard_normal((count, self.means.shape[1]))
        return self.means[components] + np.einsum("nij,nj->ni", roots[components], noise)
