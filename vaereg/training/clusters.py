"""Families of morphology at equal properties, which the components of the prior stand for.

Volumes of equal stiffness differ in their two-point correlation, above all in their length scale. What the
properties explain of the correlation along the axes is taken away by a quadratic regression; k-means of the
rest gives one cluster per component, in the order of their length scale. Permuting the axes of a volume with
its properties may change its cluster, so volumes are assigned as training sees them.

Letters: B batch, K clusters, L lags along three axes, T properties.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

__all__ = ["MorphologyClusters"]

_RIDGE = 1e-3
"""Penalty of the regression, per volume."""
_DOUBT = 0.05
"""Part of an assignment that is shared by all components."""


class MorphologyClusters:
    """Clusters of two-point correlations at equal properties.

    Args:
        correlation: Of the volumes that the clusters are fitted to, shape (N, L) [-], see `axis_correlation`.
        properties: Their standardised properties, shape (N, T).
        count: Number K of clusters.
    """

    def __init__(self, correlation: Tensor, properties: Tensor, count: int) -> None:
        terms = _quadratic(properties)
        normal = terms.T @ terms + _RIDGE * len(terms) * torch.eye(terms.shape[1]).to(terms)
        self.coefficients = torch.linalg.solve(normal, terms.T @ correlation)
        residual = (correlation - terms @ self.coefficients).cpu().numpy()
        # the annotation of n_init knows its default alone
        clusters = KMeans(count, n_init=4, random_state=0).fit(residual)  # pyright: ignore[reportArgumentType]
        centres = clusters.cluster_centers_
        centres = centres[centres.mean(1).argsort()]  # from fine to coarse
        self.centres = torch.from_numpy(centres).to(correlation)
        self.width = float(np.sqrt(clusters.inertia_ / residual.size))

    def assign(self, correlation: Tensor, properties: Tensor) -> Tensor:
        """Assignment r of volumes to components, rows sum to one, shape (B, K).

        Args:
            correlation: Shape (B, L) [-].
            properties: Standardised, shape (B, T).
        """
        nearest = self._distances(correlation, properties).argmin(1)
        count = len(self.centres)
        return (1.0 - _DOUBT) * torch.nn.functional.one_hot(nearest, count).to(correlation) + _DOUBT / count

    def log_probabilities(self, correlation: Tensor, properties: Tensor) -> Tensor:
        """Logarithm of the probability of each cluster, taken as equal spheres, shape (B, K); differentiable.

        Args:
            correlation: Shape (B, L) [-].
            properties: Standardised, shape (B, T).
        """
        squared = self._distances(correlation, properties).square()
        return (-0.5 * squared / (correlation.shape[1] * self.width**2)).log_softmax(-1)

    def _distances(self, correlation: Tensor, properties: Tensor) -> Tensor:
        """Distances from the centre of every cluster, shape (B, K) [-]."""
        residual = correlation - _quadratic(properties) @ self.coefficients
        return torch.cdist(residual, self.centres)


def _quadratic(properties: Tensor) -> Tensor:
    """One, the properties and their products, shape (B, 1 + T + T (T + 1) / 2)."""
    rows, columns = torch.triu_indices(properties.shape[1], properties.shape[1], device=properties.device)
    products = properties[:, rows] * properties[:, columns]
    return torch.cat([torch.ones_like(properties[:, :1]), properties, products], 1)
