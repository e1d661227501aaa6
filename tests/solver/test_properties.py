"""Specific moduli and wave speeds against closed forms."""

import numpy as np
import pytest

from vaereg.elasticity import isotropic_stiffness
from vaereg.engineering import engineering_constants
from vaereg.materials import Phase, TwoPhase
from vaereg.solver.properties import elastic_properties, specific_moduli, wave_speeds


def test_waves_in_steel_have_its_two_speeds() -> None:
    """Along any axis sqrt((lambda + 2 mu) / rho) once and sqrt(mu / rho) twice."""
    speeds = wave_speeds(isotropic_stiffness(200.0, 0.3), 7.8)
    for axis in "xyz":
        shear = 200.0 / 2.6
        long = np.sqrt((2.0 * shear + 0.6 * shear / 0.4) / 7.8)
        np.testing.assert_allclose(speeds[axis], [long, *[np.sqrt(shear / 7.8)] * 2])


def test_waves_of_a_fibrous_solid_follow_their_axis() -> None:
    stiffness = np.diag([90.0, 40.0, 10.0, 3.0, 4.0, 5.0])
    speeds = wave_speeds(stiffness, 1.0)
    np.testing.assert_allclose(np.square(speeds["x"]), [90.0, 5.0, 4.0])
    np.testing.assert_allclose(np.square(speeds["z"]), [10.0, 4.0, 3.0])


def test_specific_moduli_are_over_the_density() -> None:
    constants = engineering_constants(isotropic_stiffness(64.0, 0.2))
    values = specific_moduli(constants, 2.0)
    assert values["E_x/density"] == pytest.approx(32.0)
    assert values["sqrt(E_y)/density"] == pytest.approx(4.0)
    assert values["cbrt(E_z)/density"] == pytest.approx(2.0)


def test_without_a_density_there_is_neither() -> None:
    pair = TwoPhase(Phase("", 70.0, 0.3, density=2.7), Phase("", 1.0, 0.3))
    known = elastic_properties(isotropic_stiffness(10.0, 0.3), 0.5, pair)
    assert not {"density", "specific", "wave_speeds"} & set(known)
