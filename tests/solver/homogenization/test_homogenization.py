"""The solver against an independent finite element solve, closed forms, symmetries and bounds."""

import itertools

import numpy as np
import pytest
from assembled import (
    CONTRAST_10000,
    PAIRS,
    UNLIKE_POISSON,
    Array,
    finite_element_stiffness,
    local_stiffness,
    relative_error,
    two_phase_field,
)

from vaereg.elasticity import (
    hashin_shtrikman_bounds,
    isotropic_stiffness,
    reuss_bound,
    rotate_stiffness,
    voigt_bound,
)
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize


@pytest.mark.parametrize("length", [2, 31, 32, 33, 34, 64, 65])
def test_rows_of_any_length(length: int, rng: np.random.Generator) -> None:
    """The compiled kernel sweeps rows in blocks: their seams must not show."""
    phase = (rng.random((3, 2, length)) < 0.5).astype(float)
    expected = finite_element_stiffness(phase, TwoPhase())
    assert relative_error(homogenize(phase, rtol=1e-9).stiffness, expected) < 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON])
def test_homogeneous_cell_returns_its_own_stiffness(value: int, materials: TwoPhase, dtype: type) -> None:
    result = homogenize(np.full((5, 6, 7), value, dtype=np.uint8), materials, dtype=dtype)
    young, poisson = (
        (materials.e_stiff, materials.nu_stiff) if value else (materials.e_soft, materials.nu_soft)
    )
    assert relative_error(result.stiffness, isotropic_stiffness(young, poisson)) < 1e-8
    assert result.converged
    assert result.iterations == 0


def laminate_stiffness(layers: Array, axis: int, materials: TwoPhase) -> Array:
    """Exact laminate: stress normal to the layers and strain along them are uniform (Backus 1962)."""
    c = local_stiffness(layers, materials)
    n = [row for row, pair in enumerate(PAIRS) if axis in pair]
    t = [row for row in range(6) if row not in n]
    nn, nt, tt = c[:, n][:, :, n], c[:, n][:, :, t], c[:, t][:, :, t]
    inverse = np.linalg.inv(nn)
    normal = np.linalg.inv(inverse.mean(axis=0))
    coupling = (inverse @ nt).mean(axis=0)
    rest = (tt - nt.transpose(0, 2, 1) @ inverse @ nt).mean(axis=0)
    effective = np.zeros((6, 6))
    effective[np.ix_(n, n)] = normal
    effective[np.ix_(n, t)] = normal @ coupling
    effective[np.ix_(t, n)] = (normal @ coupling).T
    effective[np.ix_(t, t)] = rest + coupling.T @ normal @ coupling
    return effective


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON])
@pytest.mark.parametrize(
    "layers",
    [[1, 0], [1, 1, 0, 0, 0, 1, 0], [0.0, 0.3, 1.0, 0.7, 0.05, 0.5]],
    ids=["two", "seven", "graded"],
)
def test_laminate_matches_the_closed_form(layers: list[float], axis: int, materials: TwoPhase) -> None:
    shape = [3, 4, 5]
    shape[axis] = len(layers)
    along = [1, 1, 1]
    along[axis] = len(layers)
    phase = np.broadcast_to(np.reshape(layers, along), shape)
    expected = laminate_stiffness(np.array(layers, dtype=float), axis, materials)
    assert relative_error(homogenize(phase, materials).stiffness, expected) < 1e-8


@pytest.mark.parametrize("shape", [(16, 16, 16), (12, 15, 17)], ids=str)
@pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON], ids=["reference", "unlike-poisson"])
def test_single_precision_at_1e_4_is_within_1e_6(
    shape: tuple[int, int, int], materials: TwoPhase, rng: np.random.Generator
) -> None:
    phase = two_phase_field(shape, rng)
    expected = homogenize(phase, materials).stiffness
    actual = homogenize(phase, materials, rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(actual, expected) < 1e-6


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_permuting_axes_permutes_the_stiffness(axes: tuple[int, int, int], rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 8), rng)
    rows = [PAIRS.index(tuple(sorted((axes[i], axes[j]), reverse=(i, j) == (1, 0)))) for i, j in PAIRS]
    expected = homogenize(phase).stiffness[np.ix_(rows, rows)]
    assert relative_error(homogenize(phase.transpose(axes)).stiffness, expected) < 1e-9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_the_cell_turns_the_stiffness(axis: int, rng: np.random.Generator) -> None:
    """A quarter turn about each axis, by the tensor's own law."""
    phase = two_phase_field((6, 7, 8), rng)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.zeros((3, 3))
    turn[axis, axis] = turn[second, first] = 1.0
    turn[first, second] = -1.0
    result = homogenize(np.rot90(phase, axes=(first, second))).stiffness
    assert relative_error(result, rotate_stiffness(homogenize(phase).stiffness, turn)) < 1e-9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reflection_turns_the_sign_of_its_shears(axis: int, rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 8), rng)
    sign = np.array([-1.0 if (i == axis) != (j == axis) else 1.0 for i, j in PAIRS])
    expected = homogenize(phase).stiffness * np.outer(sign, sign)
    assert relative_error(homogenize(np.flip(phase, axis)).stiffness, expected) < 1e-9


def test_periodic_shift_changes_nothing(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 7, 6), rng)
    shifted = np.roll(phase, (3, -2, 5), (0, 1, 2))
    assert relative_error(homogenize(shifted).stiffness, homogenize(phase).stiffness) < 1e-9


def test_repeated_cell_has_the_same_stiffness(rng: np.random.Generator) -> None:
    phase = two_phase_field((5, 4, 6), rng)
    repeated = np.tile(phase, (2, 1, 2))
    assert relative_error(homogenize(repeated).stiffness, homogenize(phase).stiffness) < 1e-9


def test_stiffness_scales_with_the_unit(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 6, 6), rng)
    expected = homogenize(phase).stiffness * 1e9
    pascal = TwoPhase.from_moduli(e_stiff=120e9, e_soft=2.4e9)
    assert relative_error(homogenize(phase, pascal).stiffness, expected) < 1e-9
    single = homogenize(phase, pascal, rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(single, expected) < 1e-6


@pytest.mark.parametrize(
    "materials",
    [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON],
    ids=["reference", "contrast-10000", "unlike-poisson"],
)
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_symmetric_positive_and_within_the_bounds(
    materials: TwoPhase, fraction: float, rng: np.random.Generator
) -> None:
    phase = two_phase_field((8, 8, 8), rng, fraction)
    stiffness = homogenize(phase, materials).stiffness
    np.testing.assert_array_equal(stiffness, stiffness.T)
    assert np.linalg.eigvalsh(stiffness).min() > 0.0
    # in the sense of strain energy for every strain, not only entry by entry
    assert np.linalg.eigvalsh(voigt_bound(phase.mean(), materials) - stiffness).min() > 0.0
    assert np.linalg.eigvalsh(stiffness - reuss_bound(phase.mean(), materials)).min() > 0.0


def test_more_stiff_material_is_stiffer(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    more = phase.copy()
    more[np.unravel_index(np.argmin(phase), phase.shape)] = 1.0
    gain = homogenize(more).stiffness - homogenize(phase).stiffness
    assert np.linalg.eigvalsh(gain).min() > 0.0


@pytest.mark.parametrize("fraction", [0.3, 0.6])
@pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON], ids=["reference", "unlike-poisson"])
def test_isotropic_cell_is_within_hashin_shtrikman(
    materials: TwoPhase, fraction: float, rng: np.random.Generator
) -> None:
    """Averages over orientations, of stiffness and of compliance, of a statistically isotropic cell."""
    phase = two_phase_field((16, 16, 16), rng, fraction)
    bounds = hashin_shtrikman_bounds(phase.mean(), materials)
    c = homogenize(phase, materials).stiffness
    s = np.linalg.inv(c)
    bulk = (c[:3, :3].sum() / 9.0, 1.0 / s[:3, :3].sum())
    deviator = np.eye(3) - 1.0 / 3.0
    shear = (
        ((deviator * c[:3, :3]).sum() / 2.0 + np.trace(c[3:, 3:])) / 5.0,
        2.5 / ((deviator * s[:3, :3]).sum() + np.trace(s[3:, 3:]) / 2.0),
    )
    assert bounds.bulk_lower < bulk[1] <= bulk[0] < bounds.bulk_upper
    assert bounds.shear_lower < shear[1] <= shear[0] < bounds.shear_upper


@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000], ids=["reference", "contrast-10000"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_voxel_inclusion(value: float, materials: TwoPhase) -> None:
    phase = np.full((6, 6, 6), 1.0 - value)
    phase[2, 3, 4] = value
    stiffness = homogenize(phase, materials, rtol=1e-9).stiffness
    assert relative_error(stiffness, finite_element_stiffness(phase, materials)) < 1e-8
    # the inclusion is a cube: three equal axes, no coupling of shear to anything
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = stiffness[0, 1]
    np.fill_diagonal(cubic, [stiffness[0, 0]] * 3 + [stiffness[3, 3]] * 3)
    assert relative_error(stiffness, cubic) < 1e-9


def test_faint_contrast_is_not_lost(rng: np.random.Generator) -> None:
    """Second order in the contrast: a load near rounding is either solved or rightly left out."""
    phase = (rng.random((6, 6, 6)) < 0.5).astype(float)
    for contrast in (1e-2, 1e-5, 1e-8, 1e-12):
        materials = TwoPhase.from_moduli(e_stiff=1.0 + contrast, e_soft=1.0)
        expected = finite_element_stiffness(phase, materials)
        assert relative_error(homogenize(phase, materials).stiffness, expected) < 1e-12


def test_swapping_phases_and_materials_changes_nothing(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 5), rng)
    swapped = TwoPhase.from_moduli(e_stiff=3.0, e_soft=70.0, nu_stiff=0.45, nu_soft=0.17)
    expected = homogenize(phase, UNLIKE_POISSON).stiffness
    assert relative_error(homogenize(1.0 - phase, swapped).stiffness, expected) < 1e-9
