"""Conditional prior p(z | c) of the modes: one Gaussian a mode, weighed by how likely its class has c.

p(z | c) = Σ_k p(k | c) N(z; μ_k(c), Σ_k),  p(k | c) ∝ π_k p(c | k).

μ_k is quadratic in the standardised logarithms of the properties: a ridge regression gives it in closed form,
and training may refine it. p(c | k) is a Gaussian mixture of the properties of the class. No weight has a
floor: a class that has nothing like c gets none.

Letters: B batch, N volumes, K modes, D latent size, T properties, M Gaussians of p(c | k), and
F = 1 + T + T(T + 1)/2 features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaereg.model.prior import ConditionalMixture, PropertyMixture

__all__ = ["ModePrior"]

_LEAST_STD = 1e-2
"""Least standard deviation of a latent direction, so that densities stay finite [-]."""


class ModePrior(nn.Module):
    """Mixture over the latent vectors of all modes, as a function of the target properties.

    Args:
        properties: Number T of properties.
        latent: Size D of z.
        modes: Number K of modes.
        gaussians: Number M of Gaussians of p(c | k).
    """

    log_shares: Tensor
    density_means: Tensor
    density_scales: Tensor

    def __init__(self, properties: int, latent: int, modes: int, gaussians: int = 6) -> None:
        super().__init__()
        features = 1 + properties + properties * (properties + 1) // 2
        self.coefficients = nn.Parameter(torch.zeros(modes, features, latent))
        self.log_std = nn.Parameter(torch.zeros(modes, latent))
        self.correlations = nn.Parameter(torch.zeros(modes, latent * (latent - 1) // 2))
        self.register_buffer("log_shares", torch.full((modes, gaussians), -math.log(gaussians)))
        self.register_buffer("density_means", torch.zeros(modes, gaussians, properties))
        self.register_buffer("density_scales", torch.eye(properties).expand(modes, gaussians, -1, -1).clone())
        self.latent = latent

    def forward(self, c: Tensor) -> ConditionalMixture:
        """Mixture for standardised targets c, shape (B, T)."""
        return self._weighed(c, self.log_weights(c))

    def sample(self, c: Tensor, mode: Tensor, *, generator: torch.Generator) -> Tensor:
        """One latent vector of a mode, shape (B,), for each target, shape (B, D): how likely the modes are is
        not computed.
        """
        alike = c.new_zeros(len(c), len(self.coefficients))
        return self._weighed(c, alike).sample(generator=generator, component=mode)[0]

    def _weighed(self, c: Tensor, log_weights: Tensor) -> ConditionalMixture:
        """Mixture of given weights, shape (B, K)."""
        mean = torch.einsum("bf,kfd->bkd", quadratic_features(c), self.coefficients)
        return ConditionalMixture(log_weights, mean, self.scale().expand(len(c), -1, -1, -1))

    def log_weights(self, c: Tensor) -> Tensor:
        """log p(k | c) of standardised targets c, shape (B, K); all modes are equally frequent beforehand."""
        return self.log_density(c).log_softmax(-1)

    def log_density(self, c: Tensor) -> Tensor:
        """log p(c | k), shape (B, K), of standardised targets, shape (B, T)."""
        offset = (c[:, None, None] - self.density_means)[..., None]
        scale = self.density_scales.expand(len(c), -1, -1, -1, -1)
        whitened = torch.linalg.solve_triangular(scale, offset, upper=False).squeeze(-1)
        volume = self.density_scales.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * c.shape[-1] * math.log(2.0 * math.pi)
        density = self.log_shares - 0.5 * whitened.square().sum(-1) - volume - constant
        return density.logsumexp(-1)

    def scale(self) -> Tensor:
        """Lower Cholesky factors of the covariances, shape (K, D, D)."""
        rows, columns = torch.tril_indices(self.latent, self.latent, -1, device=self.log_std.device)
        lower = self.correlations.new_zeros(len(self.log_std), self.latent, self.latent)
        lower[:, rows, columns] = self.correlations
        return lower + torch.diag_embed(self.log_std.exp() + _LEAST_STD)

    @torch.no_grad()
    def fit(self, c: Tensor, mean: Tensor, std: Tensor, mode: Tensor, *, ridge: float = 1e-2) -> None:
        """Set μ_k and Σ_k in closed form from encodings q(z | x) = N(mean, std²).

        A mode with fewer volumes than features keeps what it has.

        Args:
            c: Standardised properties of the volumes, shape (N, T).
            mean: Means of their encodings, shape (N, D).
            std: Standard deviations of their encodings, shape (N, D).
            mode: Index of the mode of each volume, shape (N,).
            ridge: Weight of the squared coefficients but for the constant, relative to the number of volumes.
        """
        features = quadratic_features(c)
        penalty = ridge * torch.ones(features.shape[1], device=c.device)
        penalty[0] = 0.0
        for index in range(len(self.coefficients)):
            members = mode == index
            count = int(members.sum())
            if count < features.shape[1]:
                continue
            x, z = features[members], mean[members]
            coefficients = torch.linalg.solve(x.T @ x + count * torch.diag(penalty), x.T @ z)
            residual = z - x @ coefficients
            covariance = residual.T @ residual / count + torch.diag(std[members].square().mean(0))
            lower = torch.linalg.cholesky(
                covariance + _LEAST_STD**2 * torch.eye(self.latent, device=c.device)
            )
            rows, columns = torch.tril_indices(self.latent, self.latent, -1, device=c.device)
            self.coefficients[index] = coefficients
            self.correlations[index] = lower[rows, columns]
            self.log_std[index] = (lower.diagonal() - _LEAST_STD).clamp_min(1e-3).log()

    @torch.no_grad()
    def set_density(self, mode: int, mixture: PropertyMixture) -> None:
        """Take p(c | k) of a mode over standardised properties; it has at most M Gaussians."""
        count = len(mixture.weights)
        self.log_shares[mode] = -math.inf
        self.log_shares[mode, :count] = torch.as_tensor(mixture.weights).log().to(self.log_shares)
        self.density_means[mode, :count] = torch.as_tensor(mixture.means).to(self.density_means)
        factors = torch.linalg.cholesky(torch.as_tensor(mixture.covariances))
        self.density_scales[mode, :count] = factors.to(self.density_scales)


def quadratic_features(c: Tensor) -> Tensor:
    """One, the properties and their products in pairs, shape (B, F), of shape (B, T)."""
    rows, columns = torch.triu_indices(c.shape[1], c.shape[1], device=c.device)
    return torch.cat([torch.ones_like(c[:, :1]), c, c[:, rows] * c[:, columns]], -1)
