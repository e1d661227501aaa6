"""The regressor for any pair: between its bounds, and turning with the volume, before any training."""

import numpy as np
import pytest
import torch

from vaereg.elasticity import (
    isotropic_stiffness,
    mandel_to_voigt,
    reuss_bound,
    voigt_bound,
    voigt_to_mandel,
)
from vaereg.materials import TwoPhase
from vaereg.model.pairs.features import (
    MATRICES,
    SCALARS,
    SYMMETRIES,
    PairFeatures,
    inverse_root,
    pair_features,
    root,
)
from vaereg.model.pairs.network import (
    PairRegressor,
    StepAnswer,
    between_bounds,
    gaps_of,
    near_the_bound,
    stiffness_between,
)
from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness
from vaereg.solver.homogenization import homogenize

PAIRS = [TwoPhase(), TwoPhase.from_moduli(70.0, 0.0, 0.2, 0.0), TwoPhase.from_moduli(3.0, 1e-3, 0.45, 0.1)]


def random_features(rng: np.random.Generator, pairs: list[TwoPhase] = PAIRS) -> PairFeatures:
    """Features of upper bounds between Reuss and Voigt, and of random energies."""
    fraction = rng.uniform(0.2, 0.8, len(pairs))
    voigt = np.array([voigt_bound(f, pair) for f, pair in zip(fraction, pairs, strict=True)])
    reuss = np.array([reuss_bound(f, pair) for f, pair in zip(fraction, pairs, strict=True)])
    uppers, energies = [], []
    for share in (0.8, 0.5):
        noise = rng.standard_normal((len(pairs), 6, 6))
        noise = noise @ noise.swapaxes(1, 2) * 0.01 * np.trace(voigt, axis1=1, axis2=2)[:, None, None]
        uppers.append(reuss + share * (voigt - reuss) + share * noise)
        energies.append(0.1 * share * noise)
    return pair_features(
        fraction, pairs, np.stack(uppers, 1), np.stack(energies, 1), 3, rng.uniform(0.01, 0.5, len(pairs))
    )


@pytest.fixture
def network() -> PairRegressor:
    torch.manual_seed(0)
    network = PairRegressor(hidden=16)
    last = network.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    last.weight.data.mul_(30.0)  # far from the identity
    return network.eval()


def test_symmetries_are_those_of_the_tensor(rng: np.random.Generator) -> None:
    """A group of 24 orthogonal matrices, which keep isotropic stiffness."""
    isotropic = voigt_to_mandel(isotropic_stiffness(3.0, 0.2))
    assert len({matrix.tobytes() for matrix in SYMMETRIES}) == 24
    for first in SYMMETRIES:
        np.testing.assert_allclose(first @ first.T, np.eye(6))
        np.testing.assert_allclose(first @ isotropic @ first.T, isotropic)
        product = first @ SYMMETRIES[int(rng.integers(24))]
        assert min(np.abs(product - other).max() for other in SYMMETRIES) == 0.0


def test_roots_invert_each_other(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((4, 6, 6))
    matrix = matrix @ matrix.swapaxes(1, 2) + 0.1 * np.eye(6)
    np.testing.assert_allclose(root(matrix) @ root(matrix), matrix, rtol=1e-10)
    np.testing.assert_allclose(inverse_root(matrix) @ root(matrix), np.tile(np.eye(6), (4, 1, 1)), atol=1e-10)


def test_features_are_finite_and_have_no_unit(rng: np.random.Generator) -> None:
    """Both moduli times ten, all matrices times ten: the same inputs; void included."""
    features = random_features(rng)
    assert features.matrices.shape == (3, MATRICES, 21) and features.scalars.shape == (3, SCALARS)
    assert np.isfinite(features.matrices).all() and np.isfinite(features.scalars).all()
    pair, scaled = TwoPhase.from_moduli(10.0, 1.0, 0.2, 0.3), TwoPhase.from_moduli(100.0, 10.0, 0.2, 0.3)
    upper = np.stack([voigt_bound(0.5, pair), 0.9 * voigt_bound(0.5, pair)])[None]
    energy = 0.01 * upper
    ones = np.ones(1)
    small = pair_features(0.5 * ones, [pair], upper, energy, 2, 0.1 * ones)
    large = pair_features(0.5 * ones, [scaled], 10.0 * upper, 10.0 * energy, 2, 0.1 * ones)
    for name in ("matrices", "scalars", "lower", "gap"):
        np.testing.assert_allclose(getattr(small, name), getattr(large, name), atol=1e-9)


@pytest.mark.parametrize("size", [0.1, 10.0, 1e4])
def test_the_share_lies_between_zero_and_one(size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    answer = size * torch.randn(50, 6, 6, generator=generator)
    share = between_bounds(answer + answer.transpose(1, 2))
    values = torch.linalg.eigvalsh(share)
    assert torch.isfinite(values).all() and values.min() >= -1e-15 and values.max() <= 1.0 + 1e-14


def test_the_share_is_the_inverse_of_one_plus_an_exponential() -> None:
    """So are its derivatives, where eigenvalues are equal, too."""
    generator = torch.Generator().manual_seed(0)
    answer = torch.randn(5, 6, 6, dtype=torch.float64, generator=generator)
    answer[0] = torch.eye(6)
    symmetric = (answer + answer.mT).requires_grad_()

    def by_exponential(matrix: torch.Tensor) -> torch.Tensor:
        norm = matrix.square().sum((-1, -2), keepdim=True).sqrt()
        bounded = matrix / (1.0 + (norm / 30.0) ** 4) ** 0.25
        identity = torch.eye(6, dtype=torch.float64)
        return torch.linalg.inv(identity + torch.matrix_exp(bounded - 2.0 * identity))

    weights = torch.randn(5, 6, 6, dtype=torch.float64, generator=generator)
    weights = weights + weights.mT
    torch.testing.assert_close(between_bounds(symmetric), by_exponential(symmetric), rtol=1e-9, atol=1e-10)
    own, other = (
        torch.autograd.grad((function(symmetric) * weights).sum(), symmetric)[0]
        for function in (between_bounds, by_exponential)
    )
    torch.testing.assert_close(own, 0.5 * (other + other.mT), rtol=1e-8, atol=1e-9)


def test_the_stiffness_lies_between_its_bounds(network: PairRegressor, rng: np.random.Generator) -> None:
    features = random_features(rng)
    stiffness = stiffness_between([network], features)
    upper = features.lower + features.gap @ features.gap
    assert np.linalg.eigvalsh(upper - stiffness).min() > -1e-9
    assert np.linalg.eigvalsh(stiffness - features.lower).min() > -1e-9


def test_the_stiffness_turns_with_the_axes(network: PairRegressor, rng: np.random.Generator) -> None:
    features = random_features(rng)
    stiffness = stiffness_between([network], features)
    rows, columns = np.triu_indices(6)
    for turn in SYMMETRIES[[3, 8, 17]]:
        full = np.zeros((len(features), MATRICES, 6, 6))
        full[..., rows, columns] = features.matrices
        full[..., columns, rows] = features.matrices
        turned = PairFeatures(
            matrices=(turn @ full @ turn.T)[..., rows, columns],
            scalars=features.scalars,
            lower=turn @ features.lower @ turn.T,
            gap=turn @ features.gap @ turn.T,
        )
        np.testing.assert_allclose(
            stiffness_between([network], turned), turn @ stiffness @ turn.T, rtol=1e-4, atol=1e-5
        )


def test_scaling_is_the_same_for_entries_that_a_symmetry_maps_onto_each_other(
    network: PairRegressor, rng: np.random.Generator
) -> None:
    features = random_features(rng, PAIRS * 5)
    matrices = torch.from_numpy(features.matrices).float()
    network.set_scaling(matrices, torch.from_numpy(features.scalars).float())
    location = network.location[:21]
    assert location[[0, 6, 11]].unique().numel() == 1 and location[[15, 18, 20]].unique().numel() == 1
    assert location[[1, 2, 7]].unique().numel() == 1 and not location[[3, 4, 5, 16]].any()


def test_an_answer_is_as_near_to_its_bound_as_the_residual_tells(rng: np.random.Generator) -> None:
    root = rng.standard_normal((5, 6, 6))
    upper = root @ root.swapaxes(1, 2) + np.eye(6)
    stiffness, energy = 0.9 * upper, np.zeros_like(upper)
    energy[1], energy[2] = 0.01 * upper[1], 0.1 * upper[2]
    near = near_the_bound(stiffness, upper, energy, np.array([3.0, 3.0, 3.0, 300.0, 20.0]))
    np.testing.assert_allclose(near[[0, 3, 4]], upper[[0, 3, 4]], atol=1e-4)  # nothing is left to do
    np.testing.assert_allclose(near[1], (1.0 - 3.0 * 0.01) * upper[1], atol=1e-5)
    np.testing.assert_allclose(near[2], stiffness[2], atol=1e-5)
    np.testing.assert_allclose(gaps_of(near, upper, energy)[[1, 2]], [3.0, 1.0], rtol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_layers_that_are_solved_are_told_exactly(axis: int) -> None:
    volume = np.zeros((16, 16, 16), np.uint8)
    volume[(slice(None),) * axis + (slice(3, 9),)] = 1
    pair = TwoPhase.from_moduli(100.0, 0.1, 0.2, 0.35)
    told = predict_stiffness(load_pair_model(), [volume], [pair], lower_bound=False)
    exact = homogenize(volume, pair).stiffness
    error = np.abs(np.diagonal(told.mean[0] - exact))
    assert (error <= 1e-4 * np.diagonal(exact)).all()
    assert (error <= 1.645 * np.diagonal(told.std[0])).all()


def test_gaps_of_volumes_much_alike(rng: np.random.Generator) -> None:
    """With the matrices of the other a volume has its stiffness; with twice the energy, twice its gap."""
    noise = rng.standard_normal((2, 6, 6))
    energy, gap = (mandel_to_voigt(matrix @ matrix.T) for matrix in noise)
    upper = isotropic_stiffness(100.0, 0.3)
    other = StepAnswer(mean=upper, upper=upper, residual_energy=energy)
    np.testing.assert_allclose(other.with_gap_of(other, upper - gap), upper - gap, rtol=1e-4, atol=1e-3)
    own = StepAnswer(mean=upper, upper=upper, residual_energy=2.0 * energy)
    np.testing.assert_allclose(own.with_gap_of(other, upper - gap), upper - 2.0 * gap, rtol=1e-4, atol=1e-3)
    above = own.with_gap_of(other, upper + gap)  # what rounding leaves
    np.testing.assert_allclose(above, upper, rtol=1e-6, atol=1e-6)
