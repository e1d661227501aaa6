"""A map of the latent space: some thousand volumes of the data set, in the plane (PCA and UMAP).

Computed once, after training, and shipped in the checkpoint. Volumes are not stored: each is a pure function
of its family or class, its size and its seed, and is made again when it is looked at.

Letters: M volumes of the map, D latent size, T properties, N points asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.generators.families import generate
from vaereg.generators.morphologies import sample

__all__ = ["Embedding"]

_NEIGHBOURS = 8
"""Volumes between which a new point is placed in the UMAP plane."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """Volumes of the data set with their latent vectors, properties and places in two planes."""

    family: NDArray[np.str_]
    """Name of the family, or of the class in a map of morphologies, shape (M,)."""
    seed: NDArray[np.int64]
    """Seed of the volume, shape (M,)."""
    split: NDArray[np.str_]
    """train, validation, test, or held-out for a family that was left out of training, shape (M,)."""
    size: int
    """Voxels per edge."""
    properties: NDArray[np.float32]
    """Properties by the solver, shape (M, T) [GPa]."""
    volume_fraction: NDArray[np.float32]
    """Volume fraction of the stiff phase, shape (M,) [-]."""
    component: NDArray[np.int64]
    """Index of the mode in a map of morphologies; otherwise the mixture component of largest responsibility
    at the volume's own properties, shape (M,)."""
    latent: NDArray[np.float32]
    """Mean of q(z | x), shape (M, D)."""
    pca_mean: NDArray[np.float32]
    """Centre of the principal component analysis, shape (D,)."""
    pca_axes: NDArray[np.float32]
    """All its axes, by falling variance, shape (D, D): axis i is row i."""
    umap: NDArray[np.float32]
    """Places in the UMAP plane, shape (M, 2) [-]."""
    modes: tuple[str, ...] = ()
    """Names of the modes by index, in a map of morphologies; empty in a map of families."""

    def __len__(self) -> int:
        return len(self.seed)

    def component_name(self, index: int) -> str:
        """Name of a mode, or of a component by its number from 1."""
        return self.modes[index] if self.modes else f"component {index + 1}"

    @property
    def pca(self) -> NDArray[np.float32]:
        """Places in the plane of the first two principal axes, shape (M, 2) [-]."""
        return self.project_pca(self.latent)

    def project_pca(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Places of latent vectors (N, D) in the plane of the first two principal axes, shape (N, 2)."""
        return ((latent - self.pca_mean) @ self.pca_axes[:2].T).astype(np.float32)

    def project_umap(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Places of latent vectors (N, D) in the UMAP plane, shape (N, 2).

        UMAP has no closed form for new points: each is put between its nearest volumes, weighted by their
        inverse distance.
        """
        nearest = self.nearest(latent, _NEIGHBOURS)
        offsets = self.latent[nearest] - latent[:, None]
        weights = 1.0 / (np.linalg.norm(offsets, axis=2) + 1e-6)
        return np.einsum("nk,nkd->nd", weights / weights.sum(1, keepdims=True), self.umap[nearest])

    def nearest(
        self, latent: NDArray[np.float32], count: int, *, split: str | None = None
    ) -> NDArray[np.intp]:
        """Volumes whose latent vectors are nearest to given ones, nearest first, shape (N, count).

        Args:
            latent: Latent vectors, shape (N, D).
            count: Number of volumes; fewer are returned where there are fewer.
            split: Split that the volumes are taken from, such as "train"; all of them if left out.
        """
        rows = np.arange(len(self)) if split is None else np.flatnonzero(self.split == split)
        points, samples = latent.astype(np.float64), self.latent[rows].astype(np.float64)
        # the offsets themselves would take N M D numbers
        squared = np.square(points).sum(1)[:, None] - 2.0 * points @ samples.T + np.square(samples).sum(1)
        return rows[np.argsort(squared, axis=1, kind="stable")[:, :count]]

    def volume(self, index: int) -> NDArray[np.uint8]:
        """One volume of the map, made again: phase per voxel, shape (X, Y, Z)."""
        generator, name = np.random.default_rng(int(self.seed[index])), str(self.family[index])
        if self.modes:  # lengths in voxels: at the size that they are drawn for there is no other choice
            return sample(name, self.size, generator=generator).volume
        return generate(name, self.size, generator=generator).volume
