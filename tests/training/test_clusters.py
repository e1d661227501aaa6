"""Clusters of morphology: what stiffness does not explain, in the order of its length scale."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vaereg.generators.families import gaussian_field
from vaereg.microstructure.correlation import autocorrelation, axis_correlation
from vaereg.training.clusters import MorphologyClusters


def planted(count: int = 400) -> tuple[Tensor, Tensor, Tensor]:
    """Correlations that are a quadratic of the properties plus one of three offsets; the offsets' places."""
    generator = torch.Generator().manual_seed(0)
    properties = torch.randn(count, 2, generator=generator)
    slope = torch.randn(2, 5, generator=generator)
    reference = properties @ slope + (properties[:, :1] * properties[:, 1:]) * 0.7 + 2.0
    place = torch.randint(3, (count,), generator=generator)
    noise = 0.02 * torch.randn(count, 5, generator=generator)
    return reference + 0.4 * (place[:, None] - 1.0) + noise, properties, place


def test_planted_clusters_are_found_in_order() -> None:
    """From short correlation to long, whatever the properties are."""
    correlation, properties, place = planted()
    clusters = MorphologyClusters(correlation, properties, 3)
    result = clusters.assign(correlation, properties)
    assert (result.argmax(1) == place).float().mean() > 0.99


def test_assignments_are_probabilities_with_some_doubt() -> None:
    correlation, properties, _ = planted()
    result = MorphologyClusters(correlation, properties, 3).assign(correlation, properties)
    torch.testing.assert_close(result.sum(1), torch.ones(len(result)))
    assert result.min() > 0.0 and result.max() > 0.9


def test_fitting_again_gives_the_same() -> None:
    """A run that is resumed goes on with the same components."""
    first, other = (MorphologyClusters(*planted()[:2], 3) for _ in range(2))
    assert torch.equal(first.centres, other.centres)
    assert torch.equal(first.coefficients, other.coefficients)


@pytest.mark.parametrize("std", [1.0, 1.5])
def test_fine_and_coarse_fields_differ(std: float) -> None:
    """Gaussian fields of one volume fraction, whose properties are taken to be the same."""
    rng = np.random.default_rng(0)
    widths = (std, 2.5 * std) * 8
    volumes = np.stack([gaussian_field(24, (width,) * 3, 0.5, generator=rng) for width in widths])
    correlation = axis_correlation(autocorrelation(torch.from_numpy(volumes).float()[:, None]))
    properties = torch.zeros(len(volumes), 6)
    result = MorphologyClusters(correlation, properties, 2).assign(correlation, properties).argmax(1)
    assert result.tolist() == [0, 1] * 8


def test_the_likeliest_cluster_is_the_assigned_one() -> None:
    """Probabilities sum to one, prefer the nearest centre and give a gradient towards it."""
    correlation, properties, _ = planted()
    clusters = MorphologyClusters(correlation, properties, 3)
    lengthened = correlation.clone().requires_grad_()
    result = clusters.log_probabilities(lengthened, properties)
    torch.testing.assert_close(result.exp().sum(1), torch.ones(len(result)))
    assert (result.argmax(1) == clusters.assign(correlation, properties).argmax(1)).all()
    result[:, -1].sum().backward()
    assert lengthened.grad is not None
    assert (lengthened.grad.mean(1) >= 0.0).all()  # the last cluster is the coarsest
