"""Physics-guided regressor: bounds that fall towards the stiffness, a correction that turns with the cell."""

from itertools import permutations

import numpy as np
import pytest
import torch

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.generators.families import gaussian_field
from vaereg.io.datasets import Dataset
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_fraction
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.guided import ITERATIONS, fit_guided, guide, guided_inputs, upper_bounds
from vaereg.model.networks import GuidedRegressor
from vaereg.model.prediction import predict
from vaereg.solver.homogenization import homogenize

MATERIALS = TwoPhase()


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return gaussian_field(10, (0.7, 1.5, 3.0), 0.4, generator=rng)


def test_bounds_fall_towards_the_stiffness(volume: np.ndarray) -> None:
    """Each iteration minimises the energy over a larger space (below Voigt from the first on)."""
    (bounds,) = upper_bounds([volume], MATERIALS)
    assert bounds.shape == (ITERATIONS, 6)
    voigt = np.diag(voigt_bound(volume_fraction(volume), MATERIALS))
    exact = np.diag(homogenize(volume, MATERIALS).stiffness)
    falling = np.concatenate([voigt[None], bounds, exact[None]])
    assert (np.diff(falling, axis=0) < 1e-4 * exact).all()
    assert (bounds[-1] < voigt - 0.05 * exact).all()
    assert np.abs(bounds[-1] / exact - 1.0).mean() < 0.5 * np.abs(bounds[0] / exact - 1.0).mean()


def test_bounds_of_simple_cells_are_exact() -> None:
    """A laminate is solved before the iterations are over: its stiffness fills the rest."""
    laminate = np.zeros((8, 8, 8), dtype=np.uint8)
    laminate[:3] = 1
    (bounds,) = upper_bounds([laminate], MATERIALS)
    assert bounds.shape == (ITERATIONS, 6)
    np.testing.assert_allclose(bounds[-1], np.diag(homogenize(laminate, MATERIALS).stiffness), rtol=1e-4)
    (homogeneous,) = upper_bounds([np.ones((8, 8, 8), dtype=np.uint8)], MATERIALS)
    expected = np.diag(homogenize(np.ones((8, 8, 8)), MATERIALS).stiffness)
    np.testing.assert_allclose(homogeneous, np.tile(expected, (ITERATIONS, 1)), rtol=1e-5)


def network() -> GuidedRegressor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        return GuidedRegressor(6).requires_grad_(False)


def guess(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Plausible bounds, fractions, means and spreads."""
    fraction = rng.uniform(0.2, 0.8, count)
    lower, upper = (
        np.diagonal(bound(fraction, MATERIALS), axis1=1, axis2=2) for bound in (reuss_bound, voigt_bound)
    )
    places = np.sort(rng.uniform(0.05, 0.95, (count, ITERATIONS + 1, 6)), axis=1)[:, ::-1]
    values = lower[:, None] + places * (upper - lower)[:, None]
    return values[:, :ITERATIONS], fraction, values[:, -1], rng.uniform(0.02, 0.2, (count, 6))


def test_no_answer_leaves_the_bounds(rng: np.random.Generator) -> None:
    """It lies between Reuss and the solver's last upper bound, whatever the network says."""
    bounds, fraction, mean, spread = guess(20, rng)
    wild = network()
    for parameter in wild.parameters():
        parameter.data *= 10.0
    result, own_spread = guide(wild, bounds, fraction, mean, spread, MATERIALS)
    assert (result <= bounds[:, -1] * (1.0 + 1e-6)).all()
    assert (result >= np.diagonal(reuss_bound(fraction, MATERIALS), axis1=1, axis2=2) * (1.0 - 1e-6)).all()
    assert (own_spread > 0.0).all()


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_the_answer_turns_with_the_axes(order: tuple[int, ...], rng: np.random.Generator) -> None:
    bounds, fraction, mean, spread = guess(4, rng)
    turned = [*order, *(3 + axis for axis in order)]
    result, own_spread = guide(network(), bounds, fraction, mean, spread, MATERIALS)
    other, other_spread = guide(
        network(), bounds[..., turned], fraction, mean[:, turned], spread[:, turned], MATERIALS
    )
    np.testing.assert_allclose(other, result[:, turned], rtol=1e-5)
    np.testing.assert_allclose(other_spread, own_spread[:, turned], rtol=1e-4)
    assert np.ptp(result[0, :3]) > 0.0


def test_a_known_correction_is_learned(rng: np.random.Generator) -> None:
    """The stiffness lies at nine tenths of the last bound's place: a few passes find it."""
    bounds, fraction, mean, spread = guess(128, rng)
    lower = np.diagonal(reuss_bound(fraction, MATERIALS), axis1=1, axis2=2)
    truth = lower + 0.9 * (bounds[:, -1] - lower)
    inputs = guided_inputs(bounds, fraction, mean, spread, MATERIALS)
    assert inputs.shape == (128, ITERATIONS + 3, 6)
    before = torch.get_rng_state()
    fitted = fit_guided(inputs[:96], bounds[:96, -1], fraction[:96], truth[:96], MATERIALS, epochs=30)
    assert torch.equal(torch.get_rng_state(), before)
    result, _ = guide(fitted, bounds[96:], fraction[96:], mean[96:], spread[96:], MATERIALS)
    error = np.abs(np.log(result / truth[96:])).mean()
    assert error < 0.5 * np.abs(np.log(bounds[96:, -1] / truth[96:])).mean()
    parts = inputs[:96], bounds[:96, -1], fraction[:96], truth[:96], MATERIALS
    later = fit_guided(*parts, start=fitted, epochs=10)
    assert torch.equal(later.scale, fitted.scale), "it reads what it was trained to read"
    result, _ = guide(later, bounds[96:], fraction[96:], mean[96:], spread[96:], MATERIALS)
    assert np.abs(np.log(result / truth[96:])).mean() < error


def test_the_solver_helps(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    """On unseen volumes the guided answer is much nearer than the encoder's, and than the bare bound."""
    rows = tiny_dataset.indices("test")
    truth = np.diagonal(tiny_dataset.samples.stiffness[rows], axis1=1, axis2=2)
    guided, alone = (
        predict(tiny_checkpoint, tiny_dataset.volumes(rows), guided=guided) for guided in (True, False)
    )
    bounds = upper_bounds(list(tiny_dataset.volumes(rows)), MATERIALS)[:, -1]
    error, of_encoder, of_bound = (
        np.abs(mean / truth - 1.0)[:, :3].mean() for mean in (guided.mean, alone.mean, bounds)
    )
    assert error < 0.3 * of_encoder
    assert error < 0.8 * of_bound
    np.testing.assert_array_equal(guided.latent, alone.latent)
    assert (guided.novelty >= alone.novelty).all(), "two tiers see what one sees, and where they disagree"
