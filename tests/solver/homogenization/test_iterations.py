"""Iterations of the solver: how they converge, fail, and bound the stiffness from above."""

import itertools

import numpy as np
import pytest
from assembled import finite_element_stiffness, relative_error, two_phase_field

from vaereg.elasticity import voigt_bound
from vaereg.materials import TwoPhase
from vaereg.solver import homogenization
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize, iterated_bounds


@pytest.mark.parametrize(("nu_stiff", "nu_soft"), [(0.2, 0.45), (0.45, 0.2)])
def test_reference_medium_of_the_soft_phase_saves_iterations(
    nu_stiff: float, nu_soft: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = two_phase_field((16, 16, 16), rng, 0.5)
    materials = TwoPhase.from_moduli(1.0, 1e-3, nu_stiff, nu_soft)
    soft = homogenize(phase, materials, rtol=1e-4)
    monkeypatch.setattr(homogenization, "SOFT_REFERENCE_CONTRAST", np.inf)
    mean = homogenize(phase, materials, rtol=1e-4)
    assert soft.iterations < 0.85 * mean.iterations
    assert relative_error(soft.stiffness, mean.stiffness) < 1e-5


def test_default_tolerance_is_enough_for_eight_digits(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 6, 6), rng)
    assert relative_error(homogenize(phase).stiffness, finite_element_stiffness(phase, TwoPhase())) < 1e-8


def test_too_few_iterations_raise_and_return_no_number(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    with pytest.raises(ConvergenceError, match="2 iterations"):
        homogenize(phase, max_iter=2)
    result = homogenize(phase, max_iter=2, raise_on_failure=False)
    assert isinstance(result, HomogenizationResult)
    assert not result.converged
    assert result.iterations == 2
    assert result.residual > 1e-6


def test_unconverged_energy_is_an_upper_bound_that_falls(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    steps = [homogenize(phase, max_iter=n, raise_on_failure=False).stiffness for n in (1, 2, 3, 100)]
    for above, below in itertools.pairwise(steps):
        assert (np.diagonal(above) > np.diagonal(below)).all()


@pytest.mark.parametrize(
    ("dtype", "young"), [(np.float32, 1e39), (np.float32, 1e30), (np.float32, 1e-39), (np.float64, 1e300)]
)
def test_overflow_is_no_success(dtype: type, young: float, rng: np.random.Generator) -> None:
    """Either the right stiffness or ConvergenceError, whatever the unit: never a number that is not one."""
    phase = two_phase_field((6, 6, 6), rng)
    expected = homogenize(phase, TwoPhase.from_moduli(e_stiff=1.0, e_soft=0.02)).stiffness
    try:
        result = homogenize(
            phase, TwoPhase.from_moduli(e_stiff=young, e_soft=young / 50), rtol=1e-4, dtype=dtype
        )
    except ConvergenceError:
        return
    assert relative_error(result.stiffness / young, expected) < 1e-5


def test_history_falls_to_the_stiffness_from_above() -> None:
    phase = np.random.default_rng(7).random((8, 7, 9)) < 0.5
    result = homogenize(phase, rtol=1e-9)
    assert result.history is not None
    assert result.history.shape == (result.iterations, 6)
    assert np.all(np.diff(result.history, axis=0) <= 1e-9)
    assert np.all(result.history[0] < np.diag(voigt_bound(phase.mean())))
    np.testing.assert_allclose(result.history[-1], np.diag(result.stiffness), rtol=1e-6)


def test_history_is_the_energy_form_of_each_iteration() -> None:
    phase = np.random.default_rng(8).random((6, 6, 6)) < 0.4
    history = homogenize(phase, rtol=1e-9).history
    assert history is not None
    for iterations in (1, 3):
        early = homogenize(phase, rtol=1e-9, max_iter=iterations, raise_on_failure=False)
        np.testing.assert_allclose(history[iterations - 1], np.diag(early.stiffness), rtol=1e-6)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_iterated_bounds_are_the_history(iterations: int, rng: np.random.Generator) -> None:
    volume = rng.random((9, 8, 7)) < 0.4
    result = homogenize(volume, rtol=1e-12, dtype=np.float32, max_iter=iterations, raise_on_failure=False)
    assert result.history is not None
    np.testing.assert_array_equal(iterated_bounds(volume, iterations=iterations), result.history)
    in_other_units = TwoPhase.from_moduli(e_stiff=120e3, e_soft=2.4e3)
    np.testing.assert_allclose(
        iterated_bounds(volume, in_other_units, iterations=iterations), 1e3 * result.history, rtol=1e-6
    )


def test_iterated_bounds_end_where_the_solution_is_exact() -> None:
    result = iterated_bounds(np.ones((4, 4, 4)), iterations=3)
    np.testing.assert_allclose(
        result, np.tile(np.diag(homogenize(np.ones((4, 4, 4))).stiffness), (3, 1)), rtol=1e-6
    )
    with pytest.raises(ValueError, match="expected a phase field of shape"):
        iterated_bounds(np.ones((4, 4)), iterations=3)
