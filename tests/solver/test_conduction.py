"""Conduction against an assembled solve, closed forms, symmetries, bounds and finite differences."""

import itertools

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import ConvergenceError

BOX = (0.5, 1.0, 1.7)


def pair(stiff: float, soft: float) -> TwoPhase:
    return TwoPhase(Phase("a", 2.0, 0.3, conductivity=stiff), Phase("b", 1.0, 0.3, conductivity=soft))


PAIRS = [pair(237.0, 0.2), pair(0.2, 1.4), pair(2000.0, 0.2), pair(50.0, 0.0)]


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(result - expected).max() / np.abs(expected).max())


def finite_element_conductivity(
    phase: np.ndarray, materials: TwoPhase, edges: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> np.ndarray:
    """Gradients at Gauss points, dense assembly, least squares: nothing is shared with the solver."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    matrices = []
    for point in itertools.product((0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5), repeat=3):
        factor = np.where(corners == 1, point, 1.0 - np.array(point))
        slope = 2.0 * corners - 1.0
        matrices.append(
            np.array([slope[:, a] * np.delete(factor, a, 1).prod(axis=1) / edges[a] for a in range(3)])
        )
    stiff, soft = float(materials.stiff.conductivity or 0.0), float(materials.soft.conductivity or 0.0)
    local = soft + phase.ravel() * (stiff - soft)
    node = np.arange(phase.size).reshape(phase.shape)
    shifts = itertools.product((0, -1), repeat=3)
    dofs = np.stack([np.roll(node, shift, (0, 1, 2)).ravel() for shift in shifts], axis=1)
    element = sum(b.T @ b for b in matrices) / 8.0
    force = sum(b.T for b in matrices) / 8.0
    k, f = np.zeros((phase.size, phase.size)), np.zeros((phase.size, 3))
    for value, nodes in zip(local, dofs, strict=True):
        np.add.at(k, np.ix_(nodes, nodes), value * element)
        np.add.at(f, nodes, value * force)
    t = np.linalg.lstsq(k, f, rcond=1e-13)[0]
    return local.mean() * np.eye(3) - f.T @ t / phase.size


@pytest.mark.parametrize("shape", [(6, 5, 4), (5, 7, 3), (2, 2, 2), (1, 1, 1), (1, 4, 5), (3, 4, 1)], ids=str)
@pytest.mark.parametrize("materials", PAIRS[:3])
@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
def test_agrees_with_an_assembled_solve(
    shape: tuple[int, int, int],
    materials: TwoPhase,
    edges: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    phase = (rng.random(shape) < 0.5).astype(float)
    expected = finite_element_conductivity(phase, materials, edges)
    result = conduct(phase, materials, rtol=1e-9, voxel_size=edges)
    assert relative_error(result.conductivity, expected) < 1e-8
    np.testing.assert_array_equal(result.conductivity, result.conductivity.T)


def test_an_insulating_phase_agrees_with_an_assembled_solve(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 5, 4)) < 0.4).astype(float)
    phase[0], phase[:, 0], phase[:, :, 0] = 1.0, 1.0, 1.0
    result = conduct(phase, PAIRS[3], rtol=1e-9)
    assert result.blocked == ()
    assert relative_error(result.conductivity, finite_element_conductivity(phase, PAIRS[3])) < 1e-8


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("materials", PAIRS)
def test_laminates_are_in_series_and_in_parallel(axis: int, materials: TwoPhase) -> None:
    layers = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    shape = [3, 4, 5]
    shape[axis] = 7
    phase = np.moveaxis(
        np.broadcast_to(layers, [n for i, n in enumerate(shape) if i != axis] + [7]), -1, axis
    )
    stiff, soft = float(materials.stiff.conductivity or 0.0), float(materials.soft.conductivity or 0.0)
    f = layers.mean()
    expected = np.diag([f * stiff + (1.0 - f) * soft] * 3)
    expected[axis, axis] = 0.0 if soft == 0.0 else 1.0 / (f / stiff + (1.0 - f) / soft)
    result = conduct(phase, materials)
    np.testing.assert_allclose(result.conductivity, expected, rtol=1e-8, atol=1e-9 * expected.max())
    assert result.blocked == (("xyz"[axis],) if soft == 0.0 else ())


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_uniform_cell_has_the_conductivity_of_its_phase(value: float) -> None:
    result = conduct(np.full((3, 4, 5), value), PAIRS[0])
    np.testing.assert_allclose(result.conductivity, (0.2 + value * 236.8) * np.eye(3), rtol=1e-12)
    assert result.iterations == 0


def test_within_wiener_and_hashin_shtrikman_bounds(rng: np.random.Generator) -> None:
    """Wiener's bounds as matrices; Hashin and Shtrikman's of the mean over the axes (1962), which hold for a
    trace of any cell only if it is isotropic: a random one nearly is."""
    phase = (rng.random((12, 12, 12)) < 0.4).astype(float)
    k1, k0, f = 10.0, 1.0, phase.mean()
    k = conduct(phase, pair(k1, k0)).conductivity
    assert 1.0 / (f / k1 + (1.0 - f) / k0) < np.linalg.eigvalsh(k).min()
    assert np.linalg.eigvalsh(k).max() < f * k1 + (1.0 - f) * k0
    lower = k0 + f / (1.0 / (k1 - k0) + (1.0 - f) / (3.0 * k0))
    upper = k1 + (1.0 - f) / (1.0 / (k0 - k1) + f / (3.0 * k1))
    assert lower < np.trace(k) / 3.0 < upper


def test_swapping_the_phases_and_scaling(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 7, 5)) < 0.4).astype(float)
    expected = conduct(phase, pair(5.0, 0.1), rtol=1e-9).conductivity
    assert relative_error(conduct(1.0 - phase, pair(0.1, 5.0), rtol=1e-9).conductivity, expected) < 1e-8
    scaled = conduct(phase, pair(5e6, 1e5), rtol=1e-9).conductivity
    assert relative_error(scaled, 1e6 * expected) < 1e-10


def test_single_precision_is_enough(rng: np.random.Generator) -> None:
    phase = (rng.random((12, 15, 17)) < 0.4).astype(float)
    expected = conduct(phase, PAIRS[2]).conductivity
    result = conduct(phase, PAIRS[2], rtol=1e-3, dtype=np.float32)
    assert relative_error(result.conductivity, expected) < 1e-5


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
def test_sensitivities_are_those_of_finite_differences(
    edges: tuple[float, float, float], rng: np.random.Generator
) -> None:
    phase = 0.1 + 0.8 * rng.random((3, 4, 2))
    materials = pair(3.0, 0.1)
    sensitivity = conduct(phase, materials, rtol=1e-10, sensitivities=True, voxel_size=edges).sensitivity
    assert sensitivity is not None
    rows, columns = np.triu_indices(3)
    step = 1e-4
    for index in np.ndindex(*phase.shape):
        ahead, behind = phase.copy(), phase.copy()
        ahead[index] += step
        behind[index] -= step
        change = [conduct(p, materials, rtol=1e-10, voxel_size=edges).conductivity for p in (ahead, behind)]
        expected = (change[0] - change[1])[rows, columns] / (2.0 * step)
        np.testing.assert_allclose(sensitivity[(slice(None), *index)], expected, rtol=1e-5, atol=1e-7)


def test_sensitivities_sum_to_the_derivative_with_respect_to_the_conductivities(
    rng: np.random.Generator,
) -> None:
    """K is homogeneous of degree one in the conductivities (Euler)."""
    phase = rng.random((4, 5, 6))
    result = conduct(phase, pair(3.0, 0.0), rtol=1e-10, sensitivities=True)
    assert result.sensitivity is not None
    rows, columns = np.triu_indices(3)
    total = (result.sensitivity * phase).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(total, result.conductivity[rows, columns], rtol=1e-7, atol=1e-9)


def test_what_is_missing_is_said(rng: np.random.Generator) -> None:
    phase = rng.random((4, 4, 4))
    with pytest.raises(InputError, match="conductivity of the stiff phase, which is not given"):
        conduct(phase, TwoPhase())
    with pytest.raises(InputError, match="two conductivities of zero"):
        conduct(phase, TwoPhase(Phase("a", 1.0, 0.3, conductivity=0.0), VOID))
    with pytest.raises(ConvergenceError, match="conduction"):
        conduct(phase, PAIRS[0], max_iter=1)
    assert not conduct(phase, PAIRS[0], max_iter=1, raise_on_failure=False).converged
    with pytest.raises(ValueError, match="positive rtol"):
        conduct(phase, PAIRS[0], rtol=0.0)


def test_sensitivities_are_reciprocal(rng: np.random.Generator) -> None:
    """What a voxel does to k_ij is the same with load i for load j: turning the cell exchanges the loads."""
    phase, order = rng.uniform(0.1, 0.9, (4, 3, 5)), (1, 2, 0)
    first = conduct(phase, PAIRS[0], rtol=1e-10, sensitivities=True).sensitivity
    second = conduct(phase.transpose(order), PAIRS[0], rtol=1e-10, sensitivities=True).sensitivity
    assert first is not None and second is not None
    places = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # of the entries of the matrix among the six
    expected = first[places[np.ix_(order, order)]].transpose(0, 1, *(2 + np.array(order)))
    assert np.abs(second[places] - expected).max() < 1e-6 * np.abs(expected).max()
