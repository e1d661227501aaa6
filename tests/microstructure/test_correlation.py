"""Correlation on tensors: that of the statistics on arrays, and what its curves are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vaereg.microstructure import statistics
from vaereg.microstructure.correlation import autocorrelation, axis_correlation, face_densities

AXES = (2, 3, 4)


def volumes(*shape: int) -> Tensor:
    """Two cells of one and of three tenths of stiff phase."""
    fractions = np.array([0.1, 0.3])[:, None, None, None]
    cells = np.random.default_rng(0).random((2, *shape)) < fractions
    return torch.from_numpy(cells).float()[:, None]


@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 10)])
def test_correlation_is_that_of_the_microstructure(shape: tuple[int, ...]) -> None:
    x = volumes(*shape)
    ours = autocorrelation(x).numpy()
    for volume, actual in zip(x[:, 0].numpy(), ours, strict=True):
        f = volume.mean()
        expected = (statistics.two_point_correlation(volume) - f**2) / (f * (1 - f))
        np.testing.assert_allclose(actual, expected, atol=2e-6)
    np.testing.assert_allclose(ours[:, 0, 0, 0], 1.0, atol=1e-6)


def test_volumes_of_one_phase_have_no_correlation() -> None:
    single = torch.stack([torch.zeros(1, 8, 8, 8), torch.ones(1, 8, 8, 8)])
    np.testing.assert_allclose(autocorrelation(single), 0.0, atol=1e-6)


def test_axis_correlation_is_a_mean_of_products() -> None:
    """Lags beyond the cell are periodic."""
    lags = (1, 3, 10)
    x = volumes(8, 8, 8)
    result = axis_correlation(autocorrelation(x), lags)
    assert result.shape == (2, 9)
    f = x.mean(AXES)
    direct = [
        ((x * x.roll(lag, axis)).mean(AXES) - f**2) / (f * (1 - f)) for axis in (2, 3, 4) for lag in lags
    ]
    torch.testing.assert_close(result, torch.cat(direct, 1), rtol=1e-5, atol=1e-5)


def test_densities_of_faces_sum_to_that_of_the_statistics() -> None:
    x = volumes(7, 9, 10)
    expected = [statistics.face_density(volume) for volume in x[:, 0].numpy()]
    np.testing.assert_allclose(face_densities(x).sum(1), expected, rtol=1e-5)
