"""Encoder of the modes: statistics that are exact, and a posterior for each mode."""

import numpy as np
import pytest
import torch

from vaereg.generators.shapes import laminate
from vaereg.microstructure.correlation import face_densities
from vaereg.microstructure.statistics import lineal_path
from vaereg.model.modes.encoder import (
    PATHS,
    STATISTICS,
    ModeEncoder,
    geometric_statistics,
    lineal_paths,
    log_faces,
    permute_statistics,
)


def noise(size: int, seed: int = 0) -> torch.Tensor:
    """Random voxels, shape (1, 1, n, n, n)."""
    return torch.from_numpy(np.random.default_rng(seed).random((1, 1, size, size, size)) < 0.4).float()


def test_there_are_as_many_statistics_as_said() -> None:
    assert geometric_statistics(noise(16)).shape == (1, STATISTICS)
    assert geometric_statistics(noise(24)).isfinite().all()


def test_lineal_paths_are_those_of_the_package() -> None:
    volume = noise(16)
    actual = lineal_paths(volume).reshape(2, 3, len(PATHS)).numpy()
    for row, phase in zip(actual, (1, 0), strict=True):
        expected = lineal_path(volume[0, 0].numpy(), phase)[:, list(PATHS)]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_faces_and_waves_of_a_laminate() -> None:
    volume = torch.from_numpy(laminate([4, 4] * 4, axis=1)).float()[None, None]
    torch.testing.assert_close(face_densities(volume)[0], torch.tensor([0.0, 8 / 32, 0.0]))
    torch.testing.assert_close(log_faces(volume)[0].exp(), torch.tensor([2e-3, 8 / 32, 2e-3]))
    bands = geometric_statistics(volume)[0, -21:].reshape(3, 7)
    assert float(bands[1, 4]) > 0.8  # four waves in 32 voxels along y
    torch.testing.assert_close(bands[[0, 2], 0], torch.ones(2))


def test_a_mode_has_a_posterior_of_its_own(generator: torch.Generator) -> None:
    encoder = ModeEncoder(latent=5, modes=3)
    statistics = geometric_statistics(torch.cat([noise(16, seed) for seed in range(3)]))
    encoder.set_scaling(statistics)
    posterior = encoder(statistics, torch.tensor([0, 1, 2]))
    assert posterior.mean.shape == posterior.std.shape == (3, 5)
    assert (posterior.std > 0).all()
    other = encoder(statistics, torch.tensor([1, 1, 2])).mean
    assert not torch.allclose(other[0], posterior.mean[0])
    assert torch.equal(other[1:], posterior.mean[1:])
    draws = torch.stack([posterior.sample(generator=generator).detach() for _ in range(4000)])
    torch.testing.assert_close(draws.mean(0), posterior.mean.detach(), atol=0.06, rtol=0.0)
    torch.testing.assert_close(draws.std(0), posterior.std.detach(), atol=0.0, rtol=0.06)


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1)])
def test_permuted_statistics_are_those_of_permuted_volumes(axes: tuple[int, int, int]) -> None:
    volume = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)).round()
    turned = volume.permute(0, 1, *(2 + axis for axis in axes))
    expected = geometric_statistics(turned)
    actual = permute_statistics(geometric_statistics(volume), axes)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)
