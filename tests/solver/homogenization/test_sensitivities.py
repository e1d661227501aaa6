"""Sensitivities of the stiffness against finite differences and closed forms; warm starts."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import isotropic_stiffness, unpack_symmetric
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize

UNLIKE_POISSON = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.0, nu_stiff=0.17, nu_soft=0.45)
# stiffer in shear, softer in bulk
OPPOSED = TwoPhase.from_moduli(e_stiff=10.0, e_soft=9.0, nu_stiff=0.0, nu_soft=0.45)


def sensitivity(phase: np.ndarray, materials: TwoPhase | None = None, rtol: float = 1e-9) -> np.ndarray:
    result = homogenize(phase, materials, rtol=rtol, sensitivities=True).sensitivity
    assert result is not None
    return unpack_symmetric(result)


def smooth_field(size: int, rng: np.random.Generator) -> np.ndarray:
    noise = gaussian_filter(rng.standard_normal((size,) * 3), 2.0, mode="wrap")
    return (noise - noise.min()) / np.ptp(noise)


@pytest.mark.parametrize(
    "materials", [TwoPhase(), UNLIKE_POISSON, OPPOSED], ids=["reference", "nu", "opposed"]
)
@pytest.mark.parametrize("shape", [(5, 4, 7), (2, 1, 3), (3, 2, 33)], ids=str)
def test_sensitivities_match_central_differences(
    shape: tuple[int, int, int], materials: TwoPhase, rng: np.random.Generator
) -> None:
    phase = rng.uniform(0.1, 0.9, shape)
    actual = sensitivity(phase, materials, rtol=1e-10)
    step = 1e-3
    for index in [(0, 0, 0), tuple(n - 1 for n in shape), *rng.integers(0, shape, (3, 3)).tolist()]:
        change = np.zeros(shape)
        change[tuple(index)] = step
        above = homogenize(phase + change, materials, rtol=1e-10).stiffness
        below = homogenize(phase - change, materials, rtol=1e-10).stiffness
        expected = (above - below) / (2.0 * step)
        error = np.abs(actual[(..., *index)] - expected).max()
        assert error < 1e-5 * np.abs(expected).max()


def test_sensitivity_along_a_random_direction(rng: np.random.Generator) -> None:
    phase, direction = rng.uniform(0.1, 0.9, (8, 8, 8)), rng.uniform(-1.0, 1.0, (8, 8, 8))
    step = 1e-4
    above, below = (homogenize(phase + sign * step * direction, rtol=1e-11).stiffness for sign in (1.0, -1.0))
    expected = (above - below) / (2.0 * step)
    actual = (sensitivity(phase) * direction).sum(axis=(2, 3, 4))
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON])
def test_uniform_cell_shares_the_difference_of_its_phases(materials: TwoPhase) -> None:
    expected = isotropic_stiffness(materials.e_stiff, materials.nu_stiff) - isotropic_stiffness(
        materials.e_soft, materials.nu_soft
    )
    actual = sensitivity(np.full((3, 4, 5), 0.3), materials)
    np.testing.assert_allclose(actual, np.broadcast_to((expected / 60)[..., None, None, None], actual.shape))


def test_stiffness_is_homogeneous_in_the_moduli(rng: np.random.Generator) -> None:
    """Euler: the sum over elements of E dC/dE is C, with E = E_soft + phase (E_stiff - E_soft)."""
    phase = rng.random((6, 5, 7))
    result = homogenize(phase, rtol=1e-9, sensitivities=True)
    assert result.sensitivity is not None
    outcome = (unpack_symmetric(result.sensitivity) * (phase + 2.4 / (120.0 - 2.4))).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(outcome, result.stiffness, atol=1e-8 * result.stiffness.max())


def test_more_stiff_phase_is_stiffer_in_every_strain(rng: np.random.Generator) -> None:
    matrices = np.moveaxis(sensitivity((rng.random((6, 6, 6)) < 0.5).astype(float)), (0, 1), (-2, -1))
    assert np.linalg.eigvalsh(matrices).min() > 0.0


def test_sensitivities_follow_a_shift(rng: np.random.Generator) -> None:
    phase = rng.random((6, 5, 4))
    shifted = sensitivity(np.roll(phase, (2, -1, 3), (0, 1, 2)))
    expected = np.roll(sensitivity(phase), (2, -1, 3), (2, 3, 4))
    np.testing.assert_allclose(shifted, expected, atol=1e-8 * np.abs(expected).max())


def test_single_precision_sensitivities(rng: np.random.Generator) -> None:
    phase = (smooth_field(12, rng) > 0.5).astype(float)
    expected = sensitivity(phase)
    result = homogenize(phase, rtol=1e-4, dtype=np.float32, sensitivities=True)
    assert result.sensitivity is not None
    assert result.sensitivity.dtype == np.float32
    assert result.sensitivity.shape == (21, 12, 12, 12)
    actual = unpack_symmetric(result.sensitivity)
    assert np.linalg.norm(actual - expected) < 1e-3 * np.linalg.norm(expected)


def test_they_are_kept_only_on_request(rng: np.random.Generator) -> None:
    result = homogenize(rng.random((4, 4, 4)))
    assert result.sensitivity is None
    assert result.displacement is None


def test_packed_entries_are_the_upper_triangle_by_rows() -> None:
    full = unpack_symmetric(np.arange(21))
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(full[0], np.arange(6))
    np.testing.assert_array_equal(full[1, 1:], np.arange(6, 11))
    with pytest.raises(ValueError, match="21"):
        unpack_symmetric(np.zeros((6, 6)))


# Warm starts


@pytest.mark.parametrize(("dtype", "rtol", "change"), [(np.float32, 1e-4, 1e-2), (np.float64, 1e-6, 1e-3)])
def test_warm_start_saves_half_of_the_iterations(
    dtype: type, rtol: float, change: float, rng: np.random.Generator
) -> None:
    """A graded field takes a small change; a voxel that turns from soft to stiff leaves less to save."""
    phase = smooth_field(16, rng)
    near = np.clip(phase + change * (smooth_field(16, rng) - 0.5), 0.0, 1.0)
    cold = homogenize(near, rtol=rtol, dtype=dtype)
    former = homogenize(phase, rtol=rtol, dtype=dtype, keep_displacement=True).displacement
    assert former is not None
    assert former.shape == (6, 3, 16, 16, 16)
    warm = homogenize(near, rtol=rtol, dtype=dtype, initial=former)
    assert warm.iterations <= cold.iterations / 2
    assert warm.converged
    np.testing.assert_allclose(warm.stiffness, cold.stiffness, atol=1e-6 * cold.stiffness.max())


def test_the_solution_itself_needs_no_iteration(rng: np.random.Generator) -> None:
    phase = rng.random((5, 6, 4))
    first = homogenize(phase, keep_displacement=True)
    again = homogenize(phase, initial=first.displacement, keep_displacement=True)
    assert again.iterations == 0
    np.testing.assert_allclose(again.stiffness, first.stiffness, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(again.displacement, first.displacement)


def test_any_start_leads_to_the_same_solution(rng: np.random.Generator) -> None:
    phase = rng.random((5, 6, 4))
    initial = rng.standard_normal((6, 3, 5, 6, 4))
    before = initial.copy()
    result = homogenize(phase, initial=initial).stiffness
    np.testing.assert_allclose(result, homogenize(phase).stiffness, atol=1e-9 * result.max())
    np.testing.assert_array_equal(initial, before)


def test_a_start_in_a_uniform_cell_is_forgotten(rng: np.random.Generator) -> None:
    result = homogenize(np.ones((4, 4, 4)), initial=rng.standard_normal((6, 3, 4, 4, 4))).stiffness
    np.testing.assert_allclose(result, isotropic_stiffness(120.0, 0.3), atol=1e-9)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        (np.zeros((6, 3, 4, 4, 5)), r"\(6, 3, 4, 4, 4\)"),
        (np.full((6, 3, 4, 4, 4), np.nan), "finite"),
        (np.zeros((6, 3, 4, 4, 4), dtype=complex), "real"),
    ],
)
def test_rejects_what_is_no_displacement(initial: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        homogenize(np.zeros((4, 4, 4)), initial=initial)


@pytest.mark.parametrize(
    ("edges", "element"), [((1.0, 1.0, 1.0), "hex8"), ((0.5, 1.0, 1.7), "bbar")], ids=["cube", "box"]
)
def test_sensitivities_are_reciprocal(
    edges: tuple[float, float, float], element: str, rng: np.random.Generator
) -> None:
    """What a voxel does to C_ij is the same with load i for load j: turning the cell exchanges the loads."""
    phase, order, turned = rng.uniform(0.1, 0.9, (4, 3, 5)), (1, 2, 0), [1, 2, 0, 4, 5, 3]
    options = {"rtol": 1e-10, "element": element, "sensitivities": True}
    first = homogenize(phase, UNLIKE_POISSON, voxel_size=edges, **options)
    second = homogenize(
        phase.transpose(order), UNLIKE_POISSON, voxel_size=[edges[axis] for axis in order], **options
    )
    assert first.sensitivity is not None and second.sensitivity is not None
    expected = unpack_symmetric(first.sensitivity)[np.ix_(turned, turned)]
    expected = expected.transpose(0, 1, *(2 + np.array(order)))
    actual = unpack_symmetric(second.sensitivity)
    assert np.abs(actual - expected).max() < 1e-6 * np.abs(expected).max()
    # and against the change of the whole matrix, whose both halves were found by different loads
    step, place = 1e-3, (2, 1, 3)
    ends = []
    for sign in (1.0, -1.0):
        moved = phase.copy()
        moved[place] += sign * step
        ends.append(
            homogenize(moved, UNLIKE_POISSON, rtol=1e-10, voxel_size=edges, element=element).stiffness
        )
    change = (ends[0] - ends[1]) / (2.0 * step)
    actual = unpack_symmetric(first.sensitivity)[(..., *place)]
    assert np.abs(actual - change).max() < 1e-5 * np.abs(change).max()
