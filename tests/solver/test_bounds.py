"""The effective stiffness lies between the bounds of few iterations, as a matrix, for any volume and pair."""

from itertools import pairwise

import numpy as np
import pytest

from vaereg.elasticity import (
    isotropic_stiffness,
    lame_parameters,
    reuss_bound,
    unpack_symmetric,
    voigt_bound,
    voigt_to_mandel,
)
from vaereg.generators.families import FAMILIES, generate
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.materials import TwoPhase
from vaereg.solver.bounds import bound_stiffness, residual_over_bound
from vaereg.solver.cell import node_divergence
from vaereg.solver.green import green_operator
from vaereg.solver.homogenization import homogenize, iterated_bounds

PAIRS = [
    TwoPhase(),
    TwoPhase.from_moduli(70.0, 3.0, 0.17, 0.45),
    TwoPhase.from_moduli(1.0, 1e-3, 0.2, 0.4),
    TwoPhase.from_moduli(3.0, 70.0, 0.45, 0.17),
]
IDS = ["reference", "unlike-poisson", "contrast-1000", "swapped"]


def excess(larger: np.ndarray, smaller: np.ndarray) -> float:
    """Least eigenvalue of the difference over the norm of the larger matrix: negative if the order fails."""
    larger, smaller = voigt_to_mandel(larger), voigt_to_mandel(smaller)
    return float(np.linalg.eigvalsh(larger - smaller).min() / np.linalg.norm(larger))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_stiffness_lies_between_the_bounds_on_every_class(family: str, rng: np.random.Generator) -> None:
    volume = generate(family, 12, generator=rng).volume
    pair = PAIRS[int(rng.integers(len(PAIRS)))]
    exact = homogenize(volume, pair, rtol=1e-8).stiffness
    for iterations in (0, 1, 3, 12):  # all of 1 to 12 below, for the morphologies
        bounds = bound_stiffness(volume, pair, residual=0.0, max_iter=iterations)
        assert excess(bounds.upper, exact) > -2e-6
        assert excess(exact, bounds.lower) > -2e-6


def willis_bounds(phase: np.ndarray, pair: TwoPhase) -> tuple[np.ndarray, np.ndarray]:
    """Two-point bounds (Willis 1977, doi:10.1016/0022-5096(77)90022-9): the principle of Hashin & Shtrikman
    with one polarisation in each phase, the reference medium being either phase.
    """
    laws = [isotropic_stiffness(p.young_modulus, p.poisson_ratio) for p in (pair.soft, pair.stiff)]
    fraction = float(phase.mean())
    axes = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    forces = np.zeros((6, 3, *phase.shape))
    for row, (a, b) in enumerate(axes):
        forces[row, a] += node_divergence(phase, b)
        if a != b:
            forces[row, b] += node_divergence(phase, a)
    modes = np.fft.fftn(forces, axes=(2, 3, 4))
    bounds = []
    for reference, other, share in ((0, 1, fraction), (1, 0, 1.0 - fraction)):
        material = (pair.soft, pair.stiff)[reference]
        green = green_operator(phase.shape, *lame_parameters(material.young_modulus, material.poisson_ratio))
        blocks = green[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        energy = np.einsum("iaxyz,abxyz,jbxyz->ij", modes.conj(), blocks, modes).real / phase.size**2
        step = np.linalg.inv(laws[other] - laws[reference])
        bounds.append(laws[reference] + share**2 * np.linalg.inv(share * step + energy))
    return bounds[0], bounds[1]


@pytest.mark.parametrize("name", sorted(MORPHOLOGIES))
def test_two_point_bounds_are_never_violated(name: str, rng: np.random.Generator) -> None:
    """The order as matrices is Reuss, Willis, stiffness, Willis, Voigt on every class, and the stiffness lies
    between the bounds after 1 to 12 iterations.
    """
    phase = sample(name, 12, generator=rng).volume.astype(float)
    pair = PAIRS[int(rng.integers(3))]
    fraction = float(phase.mean())
    exact = homogenize(phase, pair, rtol=1e-8).stiffness
    lower, upper = willis_bounds(phase, pair)
    ordered = [reuss_bound(fraction, pair), lower, exact, upper, voigt_bound(fraction, pair)]
    for smaller, larger in pairwise(ordered):
        assert excess(larger, smaller) > -1e-9
    for iterations in range(1, 13):
        bounds = bound_stiffness(phase, pair, residual=0.0, max_iter=iterations)
        assert excess(bounds.upper, exact) > -2e-6 and excess(exact, bounds.lower) > -2e-6


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
@pytest.mark.parametrize("element", ["hex8", "bbar"])
@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), (0.5, 1.0, 1.7)], ids=["cube", "box"])
def test_the_bounds_hold_exactly_in_double_precision(
    pair: TwoPhase, element: str, edges: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """Graded volumes as well; the bounds close in on the stiffness."""
    phase = rng.random((7, 5, 6))
    options = {"voxel_size": edges, "element": element}
    exact = homogenize(phase, pair, rtol=1e-10, **options).stiffness
    widths = []
    for iterations in range(13):
        bounds = bound_stiffness(phase, pair, residual=0.0, max_iter=iterations, dtype=np.float64, **options)
        assert bounds.iterations == iterations
        assert excess(bounds.upper, exact) > -1e-9
        assert excess(exact, bounds.lower) > -1e-7  # the preconditioner rounds to float32
        widths.append(np.trace(bounds.upper - bounds.lower) / np.trace(exact))
    assert widths[12] < 0.05 * widths[0]


def test_the_diagonal_is_that_of_the_iterated_bounds(rng: np.random.Generator) -> None:
    phase = (rng.random((8, 8, 8)) < 0.5).astype(float)
    bounds = bound_stiffness(phase, residual=0.0, max_iter=5, steps=(1, 3, 5, 9))
    assert bounds.steps == (1, 3, 5)
    expected = iterated_bounds(phase, iterations=5)
    np.testing.assert_allclose(np.diagonal(bounds.uppers, axis1=1, axis2=2), expected[[0, 2, 4]], rtol=1e-5)
    np.testing.assert_array_equal(bounds.uppers[-1], bounds.upper)


def test_no_iteration_gives_voigt(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 6, 6)) < 0.3).astype(float)
    bounds = bound_stiffness(phase, max_iter=0)
    np.testing.assert_allclose(bounds.upper, voigt_bound(phase.mean()), rtol=1e-6)
    assert excess(bounds.upper, reuss_bound(phase.mean())) > 0.0


def test_a_residual_ends_the_iteration(rng: np.random.Generator) -> None:
    phase = (rng.random((8, 8, 8)) < 0.5).astype(float)
    bounds = bound_stiffness(phase, residual=0.1, max_iter=50)
    assert bounds.residuals[-1] <= 0.1 < bounds.residuals[-2]
    assert len(bounds.residuals) == bounds.iterations + 1
    assert bounds.residual == bounds.residuals[-1]


def test_converged_bounds_meet_at_the_stiffness(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 5, 4)) < 0.5).astype(float)
    exact = homogenize(phase, rtol=1e-9).stiffness
    bounds = bound_stiffness(phase, residual=1e-6, max_iter=200, dtype=np.float64)
    for bound in (bounds.upper, bounds.lower):
        np.testing.assert_allclose(bound, exact, atol=1e-9 * exact.max())


def test_residual_energies_are_the_next_decrease_of_a_perfect_preconditioner(
    rng: np.random.Generator,
) -> None:
    """sym(r.z) / N at the start is f.K0^-1 f / N: positive, and zero for a uniform cell."""
    phase = (rng.random((6, 5, 4)) < 0.5).astype(float)
    energies = bound_stiffness(phase, max_iter=2, residual=0.0, steps=(0, 1, 2)).residual_energies
    assert np.linalg.eigvalsh(energies[0]).min() > 0.0
    np.testing.assert_array_equal(energies, energies.transpose(0, 2, 1))
    uniform = bound_stiffness(np.ones((4, 4, 4)), max_iter=2, residual=0.0, steps=(0,))
    assert uniform.iterations == 0
    np.testing.assert_array_equal(uniform.residual_energies, 0.0)
    np.testing.assert_allclose(uniform.lower, uniform.upper, rtol=1e-9, atol=1e-9)


def test_a_void_has_zero_as_lower_bound(rng: np.random.Generator) -> None:
    phase = (rng.random((8, 8, 8)) < 0.7).astype(float)
    pair = TwoPhase.porous(70.0, 0.3)
    bounds = bound_stiffness(phase, pair, residual=0.0, max_iter=8)
    np.testing.assert_array_equal(bounds.lower, 0.0)
    assert excess(bounds.upper, homogenize(phase, pair).stiffness) > -1e-6


def test_bounds_scale_with_both_moduli(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 6, 6)) < 0.5).astype(float)
    first = bound_stiffness(phase, PAIRS[1], max_iter=3)
    second = bound_stiffness(phase, PAIRS[1].scaled(1e3), max_iter=3)
    np.testing.assert_allclose(second.lower, 1e3 * first.lower, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(second.upper, 1e3 * first.upper, rtol=1e-5, atol=1e-3)


def test_isolated_inclusions_are_iterated_until_the_residual_is_small_beside_the_bound() -> None:
    """A stiff cube in a soft matrix: the relative residual is small long before the bound is near."""
    phase = np.zeros((12, 12, 12))
    phase[3:9, 3:9, 3:9] = 1.0
    pair = TwoPhase.from_moduli(1.0, 1e-4, 0.3, 0.3)
    exact = np.trace(homogenize(phase, pair, rtol=1e-8).stiffness)
    early = bound_stiffness(phase, pair, residual=0.05, max_iter=40)
    steps = range(41)
    late = bound_stiffness(phase, pair, residual=0.05, energy=0.05, max_iter=40, steps=steps)
    assert early.iterations < late.iterations < 40
    assert residual_over_bound(late.uppers, late.residual_energies)[-1] <= 0.05
    assert np.trace(late.upper) < 1.05 * exact and np.trace(early.upper) > 1.5 * exact


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
@pytest.mark.parametrize("options", [{}, {"element": "bbar"}, {"voxel_size": (1.0, 1.5, 0.8)}], ids=str)
def test_energies_under_a_strain_are_those_of_all_load_cases(
    pair: TwoPhase, options: dict, rng: np.random.Generator
) -> None:
    """After many iterations they are the sensitivities of the solver, under any strain."""
    phase = (rng.random((6, 5, 7)) < 0.4).astype(float)
    bounds = bound_stiffness(
        phase, pair, residual=1e-10, max_iter=400, dtype=np.float64, sensitivities=True, **options
    )
    solved = homogenize(phase, pair, rtol=1e-10, sensitivities=True, **options)
    assert bounds.sensitivity is not None and solved.sensitivity is not None
    strain = rng.standard_normal(6)
    matrices = unpack_symmetric(solved.sensitivity)
    expected = np.einsum("i,ijxyz,j->xyz", strain, matrices, strain)
    actual = bounds.sensitivity.under(strain)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())
    np.testing.assert_array_equal(bounds.sensitivity.negated().under(strain), -actual)
