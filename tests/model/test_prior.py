"""Mixtures: densities that integrate to one, samples that have their moments, conditioning by the book."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor, distributions

from vaereg.model.prior import ConditionalMixture, MixturePrior, PropertyMixture

TARGETS, COMPONENTS = 2, 3


def prior(latent: int = 2) -> MixturePrior:
    """A prior away from its start: weights, means and covariances depend on the target."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = MixturePrior(TARGETS, latent, COMPONENTS, hidden=16)
        for parameter in network.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return network


def mixture(rows: int = 3, latent: int = 2) -> ConditionalMixture:
    targets = torch.randn(rows, TARGETS, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        result = prior(latent)(targets)
    return ConditionalMixture(result.log_weights.double(), result.mean.double(), result.scale.double())


def reference(given: ConditionalMixture) -> distributions.MixtureSameFamily:
    return distributions.MixtureSameFamily(
        distributions.Categorical(logits=given.log_weights),
        distributions.MultivariateNormal(given.mean, scale_tril=given.scale),
    )


def test_the_density_integrates_to_one() -> None:
    """Quadrature over the plane, for three targets at once."""
    given = mixture()
    edge = torch.arange(-14.0, 14.0, 0.05, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(edge, edge, indexing="ij"), -1).reshape(-1, 2)
    for row in range(3):
        item = ConditionalMixture(*(part[row : row + 1] for part in vars(given).values()))
        assert math.isclose(
            float(item.log_prob(plane).exp().sum()) * 0.05**2, 1.0, rel_tol=1e-6
        )  # weights are float32


def test_the_density_is_that_of_torch(generator: torch.Generator) -> None:
    given = mixture(rows=5, latent=4)
    z = 2.0 * torch.randn(5, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(given.log_prob(z), reference(given).log_prob(z))


def test_the_weights_of_components_sum_to_one() -> None:
    given = mixture()
    torch.testing.assert_close(given.weights.sum(1), torch.ones(3, dtype=torch.float64))
    assert (given.weights[0] - given.weights[1]).abs().max() > 1e-3, "weights depend on the target"


def test_no_component_is_ever_out_of_reach() -> None:
    network = MixturePrior(TARGETS, 2, COMPONENTS, floor=0.3)
    with torch.no_grad():
        network.log_weights.bias.copy_(torch.tensor([100.0, 0.0, -100.0]))
        weights = network(torch.randn(4, TARGETS)).weights
    torch.testing.assert_close(weights, torch.tensor([0.8, 0.1, 0.1]).expand(4, -1))


def test_responsibilities_are_bayes_rule(generator: torch.Generator) -> None:
    given = mixture()
    z = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    result = given.responsibilities(z)
    torch.testing.assert_close(result.sum(1), torch.ones(3, dtype=torch.float64))
    component = distributions.MultivariateNormal(given.mean, scale_tril=given.scale)
    joint = given.weights * component.log_prob(z[:, None]).exp()
    torch.testing.assert_close(result, joint / joint.sum(1, keepdim=True))


def test_a_far_point_belongs_to_one_component() -> None:
    given = ConditionalMixture(
        torch.tensor([[0.5, 0.5]]).log(),
        torch.tensor([[[-50.0, 0.0], [50.0, 0.0]]]),
        torch.eye(2).expand(1, 2, 2, 2),
    )
    result = given.responsibilities(torch.tensor([[49.0, 1.0]]))
    torch.testing.assert_close(result, torch.tensor([[0.0, 1.0]]))
    assert torch.isfinite(given.log_prob(torch.tensor([[1e3, 1e3]])))


@pytest.mark.parametrize("component", range(COMPONENTS))
def test_samples_of_a_component_have_its_moments(component: int, generator: torch.Generator) -> None:
    count = 20_000
    item = mixture(rows=1)
    given = ConditionalMixture(*(part.expand(count, *part.shape[1:]) for part in vars(item).values()))
    z, drawn = given.sample(generator=generator, component=torch.full((count,), component))
    assert (drawn == component).all()
    covariance = (item.scale @ item.scale.transpose(-1, -2))[0, component]
    spread = covariance.diagonal().sqrt()
    assert ((z.mean(0) - item.mean[0, component]).abs() < 5.0 * spread / math.sqrt(count)).all()
    error = (z.T.cov() - covariance).abs() / torch.outer(spread, spread)
    assert (error < 5.0 * math.sqrt(2.0 / count)).all()
    assert (covariance[0, 1].abs() / spread.prod()) > 0.02, "covariances are full"


def test_components_are_drawn_by_their_weights(generator: torch.Generator) -> None:
    count = 20_000
    item = mixture(rows=1)
    given = ConditionalMixture(*(part.expand(count, *part.shape[1:]) for part in vars(item).values()))
    z, drawn = given.sample(generator=generator)
    weights = item.weights[0]
    error = (torch.bincount(drawn, minlength=COMPONENTS) / count - weights).abs()
    assert (error < 5.0 * (weights * (1.0 - weights) / count).sqrt()).all()
    mean = (weights[:, None] * item.mean[0]).sum(0)
    assert ((z.mean(0) - mean).abs() < 5.0 * z.std(0) / math.sqrt(count)).all()


def test_the_generator_alone_makes_the_sample() -> None:
    given = mixture()
    before = torch.get_rng_state()
    first, again, other = (
        given.sample(generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_covariances_are_positive(generator: torch.Generator) -> None:
    """Lower triangular factors with a positive diagonal, even far from the training set."""
    scale = prior(latent=4)(50.0 * torch.randn(20, TARGETS, generator=generator)).scale
    assert torch.equal(scale, scale.tril())
    assert (scale.diagonal(dim1=-2, dim2=-1) >= 1e-2).all()


def test_gradients_reach_every_parameter(generator: torch.Generator) -> None:
    """Through the density, and through samples, which leave out the weights: they are drawn, not scaled."""

    def touched(loss: Tensor) -> set[str]:
        network.zero_grad()
        loss.backward()
        named = network.named_parameters()
        return {name for name, p in named if p.grad is not None and (p.grad != 0.0).any()}

    network = prior()
    everything = {name for name, _ in network.named_parameters()}
    targets, z = torch.randn(8, TARGETS, generator=generator), torch.randn(8, 2, generator=generator)
    assert touched(network(targets).log_prob(z).sum()) == everything
    sample, _ = network(targets).sample(generator=generator)
    assert touched(sample.square().sum()) == everything - {"log_weights.weight", "log_weights.bias"}


def property_mixture() -> PropertyMixture:
    roots = np.array(
        [
            [[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.2, 0.6]],
            [[0.5, 0.0, 0.0], [-0.4, 0.7, 0.0], [0.1, 0.6, 0.9]],
        ]
    )
    return PropertyMixture(
        weights=np.array([0.3, 0.7]),
        means=np.array([[-1.0, 0.5, 0.0], [1.0, -0.5, 0.8]]),
        covariances=roots @ roots.transpose(0, 2, 1),
    )


def density(given: PropertyMixture, points: np.ndarray) -> np.ndarray:
    """p at points of shape (N, T), by SciPy."""
    parts = zip(given.weights, given.means, given.covariances, strict=True)
    return np.sum([weight * multivariate_normal(*moments).pdf(points) for weight, *moments in parts], axis=0)


AXIS = np.linspace(-9.0, 9.0, 361)
STEP = AXIS[1] - AXIS[0]


@pytest.mark.parametrize("fixed", [[True, False, True], [False, True, True], [True, True, False]])
def test_conditioning_on_two_properties_is_a_slice_of_the_density(fixed: list[bool]) -> None:
    """p(a | b) = p(a, b) / ∫ p(a, b) da, with the integral done numerically."""
    given, mask, values = property_mixture(), np.array(fixed), np.array([0.4, -0.7])
    points = np.empty((len(AXIS), 3))
    points[:, mask], points[:, ~mask] = values, AXIS[:, None]
    joint = density(given, points)
    result = density(given.conditional(mask, values), AXIS[:, None])
    np.testing.assert_allclose(result, joint / (joint.sum() * STEP), atol=1e-9)


@pytest.mark.parametrize("index", range(3))
def test_conditioning_on_one_property_is_a_plane_of_the_density(index: int) -> None:
    given, mask = property_mixture(), np.arange(3) == index
    plane = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1).reshape(-1, 2)
    points = np.empty((len(plane), 3))
    points[:, mask], points[:, ~mask] = 0.6, plane
    joint = density(given, points)
    conditional = given.conditional(mask, np.array([0.6]))
    np.testing.assert_allclose(density(conditional, plane), joint / (joint.sum() * STEP**2), atol=1e-9)
    assert math.isclose(conditional.weights.sum(), 1.0)


def test_nothing_given_changes_nothing() -> None:
    given = property_mixture()
    assert given.conditional(np.zeros(3, dtype=bool), np.empty(0)) == given


def test_conditioning_far_away_stays_finite() -> None:
    """Where both densities underflow, the nearer component takes it all."""
    result = property_mixture().conditional(np.array([True, False, False]), np.array([-200.0]))
    assert np.isfinite(result.means).all()
    np.testing.assert_allclose(result.weights, [1.0, 0.0], atol=1e-12)


def test_samples_of_properties_have_the_moments(rng: np.random.Generator) -> None:
    count, given = 40_000, property_mixture()
    drawn = given.sample(count, generator=rng)
    mean = given.weights @ given.means
    offsets = given.means - mean
    within = np.einsum("m,mij->ij", given.weights, given.covariances)
    covariance = within + np.einsum("m,mi,mj->ij", given.weights, offsets, offsets)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(drawn.mean(0) - mean), 5.0 * spread / math.sqrt(count))
    error = np.abs(np.cov(drawn.T) - covariance) / np.outer(spread, spread)
    assert error.max() < 5.0 * math.sqrt(3.0 / count)
    again = given.sample(5, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(again, given.sample(5, generator=np.random.default_rng(1)))
