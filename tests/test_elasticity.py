"""Notation, isotropic stiffness and bounds against formulas written another way."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from stiffnesses import COPPER, LAMINA, random_rotation, random_stiffness

from vaereg.elasticity import (
    PROPERTIES,
    VOIGT_ORDER,
    hashin_shtrikman_bounds,
    isotropic_stiffness,
    lame_parameters,
    mandel_to_voigt,
    properties_from_ratio,
    reuss_bound,
    rotate_stiffness,
    voigt_bound,
    voigt_reuss_ratio,
    voigt_to_mandel,
)
from vaereg.materials import TwoPhase

MATERIALS = [
    TwoPhase(),
    TwoPhase.from_moduli(e_stiff=210.0, e_soft=3.0, nu_stiff=0.28, nu_soft=0.42),
    TwoPhase.from_moduli(e_stiff=1.0, e_soft=1e-4, nu_stiff=0.0, nu_soft=-0.3),
]


@pytest.mark.parametrize("young", [1e-3, 2.4, 120.0])
@pytest.mark.parametrize("poisson", [-0.5, 0.0, 0.3, 0.49])
def test_isotropic_stiffness_inverts_hookes_law(young: float, poisson: float) -> None:
    compliance = np.zeros((6, 6))
    compliance[:3, :3] = -poisson / young
    np.fill_diagonal(compliance, [1 / young] * 3 + [2 * (1 + poisson) / young] * 3)
    assert_allclose(isotropic_stiffness(young, poisson) @ compliance, np.eye(6), atol=1e-12)


def test_isotropic_stiffness_is_the_tensor_of_lame() -> None:
    """C_ijkl = lambda d_ij d_kl + mu (d_ik d_jl + d_il d_jk), index pair by index pair."""
    first, shear = lame_parameters(120.0, 0.3)
    delta = np.eye(3)
    pairs = [tuple("xyz".index(letter) for letter in name) for name in VOIGT_ORDER]
    expected = [
        [
            first * delta[i, j] * delta[k, m]
            + shear * (delta[i, k] * delta[j, m] + delta[i, m] * delta[j, k])
            for k, m in pairs
        ]
        for i, j in pairs
    ]
    assert_allclose(isotropic_stiffness(120.0, 0.3), expected, rtol=1e-14)


def test_properties_are_the_diagonal_in_voigt_order() -> None:
    assert VOIGT_ORDER == ("xx", "yy", "zz", "yz", "xz", "xy")
    assert PROPERTIES == ("C11", "C22", "C33", "C44", "C55", "C66")


@pytest.mark.parametrize("materials", MATERIALS)
def test_bounds_meet_at_the_phases(materials: TwoPhase) -> None:
    for fraction, young, poisson in (
        (0.0, materials.e_soft, materials.nu_soft),
        (1.0, materials.e_stiff, materials.nu_stiff),
    ):
        phase = isotropic_stiffness(young, poisson)
        assert_allclose(voigt_bound(fraction, materials), phase, rtol=1e-12)
        assert_allclose(reuss_bound(fraction, materials), phase, rtol=1e-12, atol=1e-12 * phase.max())


@pytest.mark.parametrize("materials", MATERIALS)
def test_voigt_lies_above_reuss(materials: TwoPhase) -> None:
    fractions = np.linspace(0.01, 0.99, 15)
    gap = voigt_bound(fractions, materials) - reuss_bound(fractions, materials)
    assert gap.shape == (15, 6, 6)
    assert np.linalg.eigvalsh(gap).min() > 0.0


def test_bounds_of_one_modulus_are_arithmetic_and_harmonic_means() -> None:
    materials = TwoPhase.from_moduli(nu_stiff=0.0, nu_soft=0.0)
    assert_allclose(voigt_bound(0.25, materials)[0, 0], 0.25 * 120.0 + 0.75 * 2.4)
    assert_allclose(reuss_bound(0.25, materials)[0, 0], 1.0 / (0.25 / 120.0 + 0.75 / 2.4))


@pytest.mark.parametrize("materials", MATERIALS)
def test_voigt_reuss_ratio_round_trip(materials: TwoPhase, rng: np.random.Generator) -> None:
    volume_fraction = rng.uniform(0.05, 0.95, 20)
    t = rng.uniform(0.0, 1.0, (20, 6))
    properties = properties_from_ratio(t, volume_fraction, materials)
    assert_allclose(voigt_reuss_ratio(properties, volume_fraction, materials), t, atol=1e-10)
    upper = np.diagonal(voigt_bound(volume_fraction, materials), axis1=1, axis2=2)
    lower = np.diagonal(reuss_bound(volume_fraction, materials), axis1=1, axis2=2)
    assert (properties <= upper).all()
    assert (properties >= lower).all()
    assert_allclose(voigt_reuss_ratio(upper, volume_fraction, materials), 1.0, rtol=1e-12)
    assert_allclose(voigt_reuss_ratio(lower, volume_fraction, materials), 0.0, atol=1e-12)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_voigt_reuss_ratio_needs_two_phases(fraction: float) -> None:
    with pytest.raises(ValueError, match="volume fraction"):
        voigt_reuss_ratio(np.ones(6), fraction)


def test_rotation_is_that_of_the_tensor(rng: np.random.Generator) -> None:
    """C'_ijkl = R_ia R_jb R_kc R_ld C_abcd, written out for the fourth-order tensor."""
    stiffness, r = random_stiffness(rng), random_rotation(rng)
    place = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    tensor = stiffness[place[:, :, None, None], place[None, None]]
    turned = np.einsum("ia,jb,kc,ld,abcd->ijkl", r, r, r, r, tensor)
    pairs = [tuple("xyz".index(letter) for letter in name) for name in VOIGT_ORDER]
    expected = np.array([[turned[(*first, *other)] for other in pairs] for first in pairs])
    assert_allclose(rotate_stiffness(stiffness, r), expected)
    assert_allclose(rotate_stiffness(expected, r.T), stiffness)


def test_rotation_leaves_isotropic_and_cubic_symmetry(rng: np.random.Generator) -> None:
    isotropic = isotropic_stiffness(120.0, 0.3)
    assert_allclose(rotate_stiffness(isotropic, random_rotation(rng)), isotropic, atol=1e-10)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert_allclose(rotate_stiffness(COPPER, quarter), COPPER, atol=1e-10)
    angle = 0.7
    about_x = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    assert_allclose(rotate_stiffness(LAMINA, about_x), LAMINA, atol=1e-10)
    assert_allclose(rotate_stiffness(LAMINA, quarter)[1, 1], LAMINA[0, 0])


def test_mandel_keeps_norms_and_eigenvalues(rng: np.random.Generator) -> None:
    stiffness, r = random_stiffness(rng), random_rotation(rng)
    assert_allclose(mandel_to_voigt(voigt_to_mandel(stiffness)), stiffness)
    assert_allclose(voigt_to_mandel(mandel_to_voigt(stiffness)), stiffness)
    mandel = voigt_to_mandel(stiffness)
    turned = voigt_to_mandel(rotate_stiffness(stiffness, r))
    assert_allclose(np.linalg.eigvalsh(turned), np.linalg.eigvalsh(mandel))
    assert_allclose(np.linalg.eigvalsh(voigt_to_mandel(isotropic_stiffness(1.0, 0.0))), 1.0)


@pytest.mark.parametrize("rotation", [np.eye(2), 2.0 * np.eye(3), np.ones((3, 3))])
def test_rotation_must_be_orthogonal(rotation: np.ndarray) -> None:
    with pytest.raises(ValueError, match="orthogonal"):
        rotate_stiffness(COPPER, rotation)


@pytest.mark.parametrize("materials", MATERIALS)
def test_hashin_shtrikman_lies_within_voigt_and_reuss(materials: TwoPhase) -> None:
    f = np.linspace(0.05, 0.95, 10)
    bounds = hashin_shtrikman_bounds(f, materials)

    def moduli(stiffness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return stiffness[:, 0, 1] + 2.0 * stiffness[:, 3, 3] / 3.0, stiffness[:, 3, 3]

    for k, result in enumerate(
        ((bounds.bulk_lower, bounds.bulk_upper), (bounds.shear_lower, bounds.shear_upper))
    ):
        lower, upper = moduli(reuss_bound(f, materials))[k], moduli(voigt_bound(f, materials))[k]
        assert (result[0] > lower).all()
        assert (result[0] < result[1]).all()
        assert (result[1] < upper).all()


def test_hashin_shtrikman_in_the_form_of_1963() -> None:
    """K = K2 + (1-f) / (1/(K1-K2) + 3f/(3K2+4G2)) and the like for G, f being the fraction of phase 2."""
    f = np.linspace(0.1, 0.9, 5)
    (l1, g1), (l2, g2) = lame_parameters(2.4, 0.3), lame_parameters(120.0, 0.2)
    k1, k2 = l1 + 2 * g1 / 3, l2 + 2 * g2 / 3
    bounds = hashin_shtrikman_bounds(f, TwoPhase.from_moduli(nu_stiff=0.2))
    upper = k2 + (1 - f) / (1 / (k1 - k2) + 3 * f / (3 * k2 + 4 * g2))
    assert_allclose(bounds.bulk_upper, upper)
    assert_allclose(bounds.bulk_lower, k1 + f / (1 / (k2 - k1) + 3 * (1 - f) / (3 * k1 + 4 * g1)))
    weight = 6 * (k2 + 2 * g2) / (5 * g2 * (3 * k2 + 4 * g2))
    assert_allclose(bounds.shear_upper, g2 + (1 - f) / (1 / (g1 - g2) + f * weight))
    weight = 6 * (k1 + 2 * g1) / (5 * g1 * (3 * k1 + 4 * g1))
    assert_allclose(bounds.shear_lower, g1 + f / (1 / (g2 - g1) + (1 - f) * weight))


@pytest.mark.parametrize("materials", MATERIALS)
def test_hashin_shtrikman_meets_at_the_phases(materials: TwoPhase) -> None:
    bounds = hashin_shtrikman_bounds([0.0, 1.0], materials)
    for k, (young, poisson) in enumerate(
        [(materials.e_soft, materials.nu_soft), (materials.e_stiff, materials.nu_stiff)]
    ):
        first, shear = lame_parameters(young, poisson)
        bulk = first + 2.0 * shear / 3.0
        assert_allclose([bounds.bulk_lower[k], bounds.bulk_upper[k]], bulk)
        assert_allclose([bounds.shear_lower[k], bounds.shear_upper[k]], shear)
