"""Prior of the modes: weights, closed form, densities."""

import numpy as np
import pytest
import torch

from vaereg.model.modes.prior import ModePrior, quadratic_features
from vaereg.model.prior import PropertyMixture

PROPERTIES, LATENT, MODES = 2, 3, 2


def gaussian(mean: tuple[float, float]) -> PropertyMixture:
    """A single Gaussian of standard deviation 0.5 about a mean."""
    return PropertyMixture(
        weights=np.ones(1), means=np.array([mean]), covariances=0.25 * np.eye(PROPERTIES)[None]
    )


@pytest.fixture
def prior() -> ModePrior:
    """Two modes whose classes have properties about (-2, 0) and (2, 0)."""
    prior = ModePrior(PROPERTIES, LATENT, MODES)
    prior.set_density(0, gaussian((-2.0, 0.0)))
    prior.set_density(1, gaussian((2.0, 0.0)))
    return prior


def test_weights_sum_to_one_and_the_class_that_has_c_gets_them(prior: ModePrior) -> None:
    weights = prior(torch.tensor([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])).weights
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert weights[0, 1] < 1e-6 and weights[2, 0] < 1e-6
    torch.testing.assert_close(weights[1], torch.full((2,), 0.5))


def test_the_density_of_a_class_is_that_of_its_mixture(prior: ModePrior) -> None:
    grid = torch.linspace(-5.0, 5.0, 101)
    c = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    total = prior.log_density(c).exp().sum(0) * float(grid[1] - grid[0]) ** 2
    torch.testing.assert_close(total, torch.ones(2), atol=1e-3, rtol=0.0)


def test_closed_form_recovers_a_quadratic_map(prior: ModePrior, generator: torch.Generator) -> None:
    c = torch.randn(4000, PROPERTIES, generator=generator)
    mode = torch.arange(4000) % MODES
    truth = torch.randn(MODES, 6, LATENT, generator=generator)
    noise = torch.tensor([0.1, 0.3, 0.5]) * torch.randn(4000, LATENT, generator=generator)
    mean = torch.einsum("nf,nfd->nd", quadratic_features(c), truth[mode]) + noise
    prior.fit(c, mean, torch.full((4000, LATENT), 0.2), mode, ridge=1e-6)
    torch.testing.assert_close(prior.coefficients.data, truth, atol=0.06, rtol=0.0)
    std = (prior.scale() @ prior.scale().transpose(1, 2)).diagonal(dim1=1, dim2=2).sqrt()
    expected = (torch.tensor([0.1, 0.3, 0.5]) ** 2 + 0.2**2).sqrt().expand(MODES, -1)
    torch.testing.assert_close(std.detach(), expected, atol=0.0, rtol=0.1)


def test_a_mode_with_few_volumes_keeps_its_prior(prior: ModePrior, generator: torch.Generator) -> None:
    before = prior.coefficients.data.clone()
    c = torch.randn(5, PROPERTIES, generator=generator)
    prior.fit(c, torch.ones(5, LATENT), torch.ones(5, LATENT), torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(prior.coefficients.data, before)


def test_every_parameter_gets_a_gradient(prior: ModePrior, generator: torch.Generator) -> None:
    z = torch.randn(4, LATENT, generator=generator)
    prior(torch.randn(4, PROPERTIES, generator=generator)).log_prob(z).sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in prior.parameters()
    )
