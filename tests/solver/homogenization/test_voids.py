"""Cells with a void phase: what they carry, and what they do not."""

import numpy as np
import pytest
from assembled import (
    BOX,
    NEARLY_INCOMPRESSIBLE,
    PAIRS,
    UNLIKE_POISSON,
    finite_element_stiffness,
    relative_error,
    two_phase_field,
)

from vaereg.elasticity import VOIGT_ORDER
from vaereg.engineering import engineering_constants
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_void_in_a_percolating_solid_agrees_with_an_assembled_solve(
    edges: tuple[float, float, float], element: str, rng: np.random.Generator
) -> None:
    phase = (rng.random((5, 4, 6)) < 0.4).astype(float)
    phase[0], phase[:, 0], phase[:, :, 0] = 1.0, 1.0, 1.0
    materials = TwoPhase.porous(70.0, 0.3)
    expected = finite_element_stiffness(phase, materials, edges, element == "bbar")
    result = homogenize(phase, materials, rtol=1e-9, voxel_size=edges, element=element)
    assert result.unloaded == ()
    assert relative_error(result.stiffness, expected) < 1e-8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_solid_that_does_not_percolate_carries_no_load(axis: int) -> None:
    """A solid with a slit normal to one axis: nothing is carried along it, nor in its two shears."""
    phase = np.ones((6, 5, 4))
    phase[3, 2, 1] = 0.0
    np.moveaxis(phase, axis, 0)[0] = 0.0
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3))
    names = [name for name, pair in zip(VOIGT_ORDER, PAIRS, strict=True) if axis in pair]
    assert list(result.unloaded) == names
    rows = [VOIGT_ORDER.index(name) for name in names]
    assert np.abs(result.stiffness[rows]).max() < 1e-5
    constants = engineering_constants(result.stiffness)
    assert constants.young[axis] == 0.0
    assert np.delete(constants.young, axis).min() > 10.0
    assert constants.by_name()["anisotropy"] is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_isolated_particles_in_a_void_have_no_stiffness(dtype: type) -> None:
    phase = np.zeros((8, 8, 8))
    phase[2:5, 3:6, 1:5] = 1.0
    rtol = 1e-4 if dtype == np.float32 else 1e-6
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3), rtol=rtol, dtype=dtype)
    assert result.unloaded == VOIGT_ORDER
    np.testing.assert_array_equal(result.stiffness, 0.0)
    assert homogenize(np.zeros((3, 3, 3)), TwoPhase.porous(70.0, 0.3)).unloaded == VOIGT_ORDER


def test_swapping_the_phases_and_inverting_the_volume_changes_nothing(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 7, 5)) < 0.4).astype(float)
    for pair in (UNLIKE_POISSON, TwoPhase.porous(70.0, 0.3), NEARLY_INCOMPRESSIBLE):
        swapped = TwoPhase(pair.soft, pair.stiff)
        expected = homogenize(phase, pair, rtol=1e-9).stiffness
        assert relative_error(homogenize(1.0 - phase, swapped, rtol=1e-9).stiffness, expected) < 1e-8


def test_void_is_the_limit_of_a_soft_phase(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng, 0.5)
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3)).stiffness
    nearly = homogenize(phase, TwoPhase.from_moduli(e_stiff=70.0, e_soft=70e-8)).stiffness
    assert np.abs(nearly / result - 1.0)[:3, :3].max() < 1e-4
    assert np.linalg.eigvalsh(nearly - result).min() > 0.0
    single = homogenize(phase, TwoPhase.porous(70.0, 0.3), rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(single, result) < 1e-5
