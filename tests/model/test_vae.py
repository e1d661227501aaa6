"""The joint model: predictions that stay physical, distributions that are what they say."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, distributions

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.io.datasets import Dataset
from vaereg.materials import TwoPhase
from vaereg.model.config import ModelConfig
from vaereg.model.vae import Encoding, VaeReg, _diagonal_bounds
from vaereg.solver.homogenization import homogenize

CONFIG = ModelConfig(latent=4, components=3, widths=(4, 6), features=8, fields=2, mixing=4)
PAIRS = [TwoPhase(), TwoPhase.from_moduli(e_stiff=5.0, e_soft=1.0, nu_stiff=0.45, nu_soft=-0.2)]


def model(materials: TwoPhase | None = None) -> VaeReg:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return VaeReg(CONFIG, materials)


def volumes(count: int = 4, size: int = 8) -> Tensor:
    """Random cells of rising volume fraction."""
    noise = torch.rand(count, 1, size, size, size, generator=torch.Generator().manual_seed(0))
    return (noise < torch.linspace(0.02, 0.98, count)[:, None, None, None, None]).float()


@pytest.mark.parametrize("materials", PAIRS)
def test_the_bounds_are_those_of_elasticity(materials: TwoPhase) -> None:
    fraction = np.linspace(0.0, 1.0, 11)
    lower, upper = _diagonal_bounds(torch.from_numpy(fraction), materials)
    for ours, bound in ((lower, reuss_bound), (upper, voigt_bound)):
        expected = np.diagonal(bound(fraction, materials), axis1=1, axis2=2)
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("materials", PAIRS)
def test_no_prediction_leaves_the_bounds(materials: TwoPhase) -> None:
    """Whatever the network says: here its outputs are made a thousand times larger."""
    network, x = model(materials), volumes()
    with torch.no_grad():
        for parameter in network.property_head.layers[-1].parameters():
            parameter *= 1e5
        result = network.encode(x).property_mean.numpy().astype(np.float64)
    fraction = x.mean((1, 2, 3, 4)).numpy().astype(np.float64)
    lower, upper = (
        np.diagonal(bound(fraction, materials), axis1=1, axis2=2) for bound in (reuss_bound, voigt_bound)
    )
    assert (result >= lower * (1.0 - 1e-5)).all()
    assert (result <= upper * (1.0 + 1e-5)).all()
    place = (result - lower) / (upper - lower)
    assert place.min() < 0.01 and place.max() > 0.99, "the bounds were not put to the test"


@pytest.mark.parametrize("phase", [0, 1])
def test_a_homogeneous_cell_has_the_stiffness_of_its_phase(phase: int) -> None:
    cell = np.full((8, 8, 8), phase)
    with torch.no_grad():
        result = model().encode(torch.from_numpy(cell).float()[None, None]).property_mean[0]
    np.testing.assert_allclose(result, np.diag(homogenize(cell).stiffness), rtol=1e-6)


def test_the_spread_is_positive_and_the_latent_distribution_proper() -> None:
    network = model()
    with torch.no_grad():
        encoding = network.encode(volumes())
    assert (encoding.property_spread > 0.0).all()
    assert (encoding.latent_std > 0.0).all()
    assert encoding.latent_mean.shape == encoding.latent_std.shape == (4, 4)
    assert encoding.property_mean.shape == encoding.property_spread.shape == (4, 6)
    assert encoding.statistics.shape == (4, network.encoder.statistics)


def encoding(mean: Tensor, std: Tensor) -> Encoding:
    empty = torch.empty(len(mean), 0)
    return Encoding(
        statistics=empty, latent_mean=mean, latent_std=std, property_mean=empty, property_spread=empty
    )


def test_the_latent_density_is_that_of_torch(generator: torch.Generator) -> None:
    mean, z = torch.randn(2, 5, 3, generator=generator)
    std = 0.1 + torch.rand(5, 3, generator=generator)
    expected = distributions.Normal(mean, std).log_prob(z).sum(1)
    torch.testing.assert_close(encoding(mean, std).log_prob(z), expected)


def test_latent_samples_have_their_moments(generator: torch.Generator) -> None:
    count = 20_000
    mean, std = torch.tensor([1.0, -2.0]), torch.tensor([0.2, 3.0])
    z = encoding(mean.expand(count, -1), std.expand(count, -1)).sample(generator=generator)
    assert ((z.mean(0) - mean).abs() < 5.0 * std / count**0.5).all()
    assert ((z.std(0) / std - 1.0).abs() < 5.0 / (2.0 * count) ** 0.5).all()


def test_scaling_standardises_the_training_set(tiny_dataset: Dataset) -> None:
    stiffness = tiny_dataset.samples.stiffness[tiny_dataset.indices("train")]
    properties = torch.from_numpy(np.diagonal(stiffness, axis1=1, axis2=2).copy())
    network = model()
    network.set_scaling(properties)
    result = network.standardise(properties)
    torch.testing.assert_close(result.mean(0), torch.zeros(6), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(result.std(0), torch.ones(6))
    assert {"property_location", "property_scale"} <= set(network.state_dict())


def test_the_prior_reads_logarithms(generator: torch.Generator) -> None:
    """A target in other units, with the scaling in the same units, is the same target."""
    network = model()
    properties = 1.0 + torch.rand(10, 6, generator=generator)
    network.set_scaling(properties)
    first = network.prior(properties)
    network.set_scaling(1e3 * properties)
    second = network.prior(1e3 * properties)
    torch.testing.assert_close(first.mean, second.mean, rtol=1e-4, atol=1e-4)
    assert first.mean.shape == (10, 3, 4)


@pytest.mark.parametrize("size", [8, 16])
def test_noise_is_white_and_of_its_generator(size: int) -> None:
    network = model()
    first, again = (network.noise(3, size, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (3, CONFIG.fields, size, size, size)
    assert torch.equal(first, again)
    assert abs(float(first.mean())) < 5.0 / first.numel() ** 0.5
    assert abs(float(first.var()) - 1.0) < 5.0 * (2.0 / first.numel()) ** 0.5
    with torch.no_grad():
        x = network.decode(torch.zeros(3, CONFIG.latent), first)
    assert x.shape == (3, 1, size, size, size)
    assert set(x.unique().tolist()) == {0.0, 1.0}


def test_initialisation_is_its_own(generator: torch.Generator) -> None:
    """Two models of one seed are one model; the prior's components begin apart."""
    first, again = model().state_dict(), model().state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    means = model().prior(1.0 + torch.rand(1, 6, generator=generator)).mean[0]
    assert (torch.pdist(means) > 0.5).all()


def test_a_deterministic_model_has_one_noise() -> None:
    config = dataclasses.replace(CONFIG, deterministic=True)
    first, second = (
        VaeReg(config).noise(3, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    assert torch.equal(first, second) and torch.equal(first[0], first[2])
    assert first.shape == (3, config.fields, 8, 8, 8) and first.std() > 0.5
