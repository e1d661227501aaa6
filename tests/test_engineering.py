"""Engineering constants and anisotropy against closed forms and invariances."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from stiffnesses import COPPER, LAMINA, random_rotation, random_stiffness

from vaereg.elasticity import isotropic_stiffness, rotate_stiffness
from vaereg.engineering import directional_young, engineering_constants, universal_anisotropy


def test_engineering_constants_of_an_isotropic_material() -> None:
    result = engineering_constants(isotropic_stiffness(120.0, 0.3))
    assert_allclose(result.young, 120.0)
    assert_allclose(result.shear, 120.0 / 2.6)
    assert_allclose(result.poisson, 0.3 * (1.0 - np.eye(3)), atol=1e-14)


def test_engineering_constants_of_an_orthotropic_material() -> None:
    result = engineering_constants(LAMINA[None])
    assert_allclose(result.young, [[140.0, 10.0, 10.0]])
    assert_allclose(result.shear, [[10.0 / 2.8, 5.0, 5.0]])
    assert_allclose(result.poisson[0, 0], [0.0, 0.3, 0.3], atol=1e-14)
    assert_allclose(result.poisson[0, 1], [0.3 * 10.0 / 140.0, 0.0, 0.4], atol=1e-14)


def test_engineering_constants_of_copper() -> None:
    """Cubic crystals in closed form (Nye 1957)."""
    result = engineering_constants(COPPER)
    assert_allclose(result.young, (168.4 - 121.4) * (168.4 + 2 * 121.4) / (168.4 + 121.4))
    assert_allclose(result.poisson[0, 1], 121.4 / (168.4 + 121.4))
    assert_allclose(result.shear, 75.4)


def test_directional_young_of_a_cubic_crystal(rng: np.random.Generator) -> None:
    """1/E(n) = S11 - 2 (S11 - S12 - S44/2) (n1^2 n2^2 + n2^2 n3^2 + n3^2 n1^2) (Nye 1957)."""
    s = np.linalg.inv(COPPER)
    n = rng.standard_normal((4, 5, 3))
    a, b, c = np.moveaxis((n / np.linalg.norm(n, axis=-1, keepdims=True)) ** 2, -1, 0)
    expected = 1.0 / (s[0, 0] - 2.0 * (s[0, 0] - s[0, 1] - s[3, 3] / 2.0) * (a * b + b * c + c * a))
    actual = directional_young(COPPER, n)
    assert actual.shape == (4, 5)
    assert_allclose(actual, expected)


def test_directional_young_along_axes_and_of_an_isotropic_material(rng: np.random.Generator) -> None:
    stiffness = random_stiffness(rng)
    assert_allclose(directional_young(stiffness, np.eye(3)), engineering_constants(stiffness).young)
    assert_allclose(directional_young(isotropic_stiffness(2.4, 0.3), rng.standard_normal((9, 3))), 2.4)


def test_directional_young_is_that_of_the_rotated_material(rng: np.random.Generator) -> None:
    stiffness, rotation = random_stiffness(rng), random_rotation(rng)
    turned = rotate_stiffness(stiffness, rotation.T)  # brings rotation's columns to the axes
    assert_allclose(directional_young(stiffness, rotation.T), engineering_constants(turned).young)


def test_directional_young_about_the_fibre_depends_on_the_angle_alone() -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 7)
    around = np.stack([np.full(7, 0.5), np.cos(angle), np.sin(angle)], axis=1)
    result = directional_young(LAMINA, around)
    assert_allclose(result, result[0])
    assert 10.0 < result[0] < 140.0


@pytest.mark.parametrize("directions", [np.zeros(3), np.ones((3, 2)), np.array(1.0), [[np.nan, 0, 0]]])
def test_directional_young_needs_directions(directions: np.ndarray) -> None:
    with pytest.raises(ValueError, match="direction"):
        directional_young(COPPER, directions)


def test_universal_anisotropy_of_isotropic_and_cubic_materials() -> None:
    """Cubic: A = 6/5 (sqrt(Z) - 1/sqrt(Z))^2 with Zener's ratio Z (Ranganathan & Ostoja-Starzewski 2008)."""
    assert_allclose(universal_anisotropy(isotropic_stiffness(120.0, 0.3)), 0.0, atol=1e-12)
    zener = 2.0 * 75.4 / (168.4 - 121.4)
    expected = 6.0 / 5.0 * (np.sqrt(zener) - 1.0 / np.sqrt(zener)) ** 2
    assert_allclose(universal_anisotropy(np.stack([COPPER, 3.0 * COPPER])), expected)


def test_universal_anisotropy_is_an_invariant(rng: np.random.Generator) -> None:
    stiffness = random_stiffness(rng)
    assert universal_anisotropy(stiffness) > 0.0
    turned = rotate_stiffness(stiffness, random_rotation(rng))
    assert_allclose(universal_anisotropy(turned), universal_anisotropy(stiffness))


@pytest.mark.parametrize("function", [engineering_constants, universal_anisotropy])
@pytest.mark.parametrize("stiffness", [np.eye(5), -np.eye(6), np.full((6, 6), np.nan)])
def test_derived_quantities_need_a_stiffness(function: Callable, stiffness: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        function(stiffness)
