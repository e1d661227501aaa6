"""Quantities of cells: values against closed forms, derivatives against differences, deviations."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import isotropic_stiffness
from vaereg.engineering import engineering_constants, thermal_expansion
from vaereg.errors import InputError
from vaereg.materials import Phase, TwoPhase, choose_materials
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.targets import QUANTITIES, CellProperties, parse, percent_off

PAIR = TwoPhase(
    Phase("glass", 72.0, 0.22, conductivity=1.1, density=2.55, thermal_expansion=5.4),
    Phase("epoxy", 3.2, 0.36, conductivity=0.2, density=1.15, thermal_expansion=60.0),
)
NAMES = list(QUANTITIES)


def random_cells(rng: np.random.Generator, count: int = 3) -> CellProperties:
    square = 0.15 * rng.standard_normal((count, 6, 6))
    stiffness = 10.0 * (isotropic_stiffness(1.0, 0.3) + square @ square.transpose(0, 2, 1))
    heat = 0.2 * rng.standard_normal((count, 3, 3))
    conductivity = 0.5 * np.eye(3) + heat @ heat.transpose(0, 2, 1)
    fraction = rng.uniform(0.2, 0.7, count)
    return CellProperties(stiffness=stiffness, fraction=fraction, materials=PAIR, conductivity=conductivity)


def test_values_are_those_of_elasticity(rng: np.random.Generator) -> None:
    cells = random_cells(rng)
    values = dict(zip(NAMES, cells.values(NAMES)[1], strict=True))
    for name, value in engineering_constants(cells.stiffness[1]).by_name().items():
        assert values[name] == pytest.approx(value, rel=1e-12)
    expansion = thermal_expansion(cells.stiffness[1], float(cells.fraction[1]), PAIR)
    assert values["alpha_y"] == pytest.approx(expansion[1])
    assert values["C46"] == cells.stiffness[1, 3, 5]
    assert values["specific_E_x"] == pytest.approx(values["E_x"] / values["density"])
    assert values["specific_cbrt_E"] == pytest.approx(values["E"] ** (1 / 3) / values["density"])
    assert cells.conductivity is not None
    assert values["k"] == pytest.approx(np.trace(cells.conductivity[1]) / 3)


def test_isotropic_averages_of_an_isotropic_cell() -> None:
    cells = CellProperties(
        stiffness=isotropic_stiffness(50.0, 0.27)[None], fraction=np.array([0.4]), materials=PAIR
    )
    values = cells.values(["E", "nu", "E_z", "nu_zx", "anisotropy"])[0]
    np.testing.assert_allclose(values, [50.0, 0.27, 50.0, 0.27, 0.0], atol=1e-10)


@pytest.mark.parametrize("pair", [PAIR, TwoPhase.porous(70.0, 0.3)], ids=["solid", "porous"])
def test_derivatives_agree_with_differences(pair: TwoPhase, rng: np.random.Generator) -> None:
    if pair.has_void:
        stiff = Phase("", 70.0, 0.3, conductivity=20.0, density=2.7, thermal_expansion=23.0)
        pair = TwoPhase(stiff, pair.soft)
    cells = random_cells(rng, 1)
    cells = CellProperties(
        stiffness=cells.stiffness,
        fraction=cells.fraction,
        materials=pair,
        conductivity=cells.conductivity,
    )
    assert cells.conductivity is not None
    gradients = cells.gradients(NAMES)
    by_c, by_k, by_f = rng.standard_normal((6, 6)), rng.standard_normal((3, 3)), 0.3
    by_c, by_k = by_c + by_c.T, by_k + by_k.T
    expected = (
        np.einsum("tij,ij->t", gradients.stiffness, by_c)
        + np.einsum("tij,ij->t", gradients.conductivity, by_k)
        + by_f * gradients.fraction
    )
    step = 1e-6

    def moved(sign: float) -> np.ndarray:
        return CellProperties(
            stiffness=cells.stiffness + sign * step * by_c,
            fraction=cells.fraction + sign * step * by_f,
            materials=pair,
            conductivity=cells.conductivity + sign * step * by_k,  # pyright: ignore[reportOptionalOperand]
        ).values(NAMES)[0]

    numerical = (moved(1.0) - moved(-1.0)) / (2.0 * step)
    np.testing.assert_allclose(expected, numerical, rtol=2e-6, atol=1e-6)


def test_a_cell_that_carries_no_load_along_an_axis() -> None:
    stiffness = np.zeros((1, 6, 6))
    stiffness[0, 0, 0] = 10.0
    cells = CellProperties(
        stiffness=stiffness, fraction=np.array([0.3]), materials=TwoPhase.porous(30.0, 0.3)
    )
    values = cells.values(["E_x", "E_y", "nu_yx", "anisotropy"])[0]
    assert values[:2].tolist() == [10.0, 0.0] and np.isnan(values[2:]).all()
    assert not cells.gradients(["nu_yx", "anisotropy"]).stiffness.any()
    deviations = parse(["E_x=10", "nu_yx=0.3"]).deviations(cells)
    assert deviations[0, 0] == 0.0 and np.isnan(deviations[0, 1])


def test_deviations_are_relative_and_zero_within_a_range() -> None:
    diagonal = np.array([[50.0, 10.0, 33.0, 1, 1, 1], [60.0, 12.0, 45.0, 1, 1, 1]])
    cells = CellProperties.from_diagonal(diagonal, [0.3, 0.5], PAIR)
    targets = parse(["C11=40", "C33=30:40", "C22=:10", "volume_fraction=0.4", "C44=max"])
    expected = [[0.25, 0.0, 0.0, 0.25, 0.0], [0.5, 5 / 35, 0.2, 0.25, 0.0]]
    np.testing.assert_allclose(targets.deviations(cells), expected)
    np.testing.assert_allclose(targets.largest_deviation(cells), [0.25, 0.5])
    np.testing.assert_allclose(targets.mean_deviation(cells), [0.1, (0.5 + 5 / 35 + 0.2 + 0.25) / 5])
    assert np.isnan(parse("E_x=40").deviations(cells)).all()
    assert targets.order(cells).tolist() == [0, 1]


def test_weights_count_in_the_largest_deviation() -> None:
    cells = CellProperties.from_diagonal([[44.0, 22.0, 1, 1, 1, 1]], [0.3], PAIR)
    assert parse(["C11=40", "C22=20@3"]).largest_deviation(cells) == pytest.approx(0.3)


def test_quantities_that_may_vanish_have_a_least_scale() -> None:
    stiffness = isotropic_stiffness(50.0, 0.3)[None].repeat(2, 0)
    stiffness[1, 0, 3] = stiffness[1, 3, 0] = 1.0
    cells = CellProperties(stiffness=stiffness, fraction=np.array([0.4, 0.4]), materials=PAIR)
    deviations = parse(["nu_xy=0.29", "C14=0"]).deviations(cells)
    assert deviations[0].tolist() == pytest.approx([0.01 / 0.29, 0.0])
    assert deviations[1, 1] == pytest.approx(1.0 / (0.1 * np.sqrt(stiffness[1, 0, 0] * stiffness[1, 3, 3])))


def test_objectives_rank_those_that_are_near_enough() -> None:
    diagonal = [[40.0, 10.0, 1, 1, 1, 1], [40.1, 30.0, 1, 1, 1, 1], [50.0, 90.0, 1, 1, 1, 1]]
    cells = CellProperties.from_diagonal(diagonal, [0.3] * 3, PAIR)
    assert parse("C11=40", maximize=["C22"]).order(cells, tolerance=0.01).tolist() == [1, 0, 2]
    assert parse("C11=40", minimize=["C22"]).order(cells, tolerance=0.01).tolist() == [0, 1, 2]


def test_what_the_phases_do_not_say_is_refused() -> None:
    plain = TwoPhase()
    for name in ("k_x", "density", "alpha_x", "specific_E_y"):
        with pytest.raises(InputError, match=f"{name} needs the"):
            parse(f"{name}=3").check_materials(plain)
    parse("E_x=3").check_materials(plain)


@pytest.mark.parametrize(
    ("deviation", "words"),
    [
        (0.0, "within 1 %"),
        (0.01, "within 1 %"),
        (0.032, "3.2 % off"),
        (0.195, "20 % off"),
        (np.nan, "unknown"),
    ],
)
def test_words_for_a_deviation(deviation: float, words: str) -> None:
    assert percent_off(deviation) == words


def test_a_predicted_stiffness_may_be_a_little_indefinite() -> None:
    """Stiffness of a cell with voids that carries no load along an axis."""
    stiffness = isotropic_stiffness(10.0, 0.2)[None].copy()
    stiffness[0, 2] = stiffness[0, :, 2] = 0.0
    stiffness[0, 2, 2] = -1e-7
    cells = CellProperties(
        stiffness=stiffness, fraction=np.array([0.3]), materials=TwoPhase.porous(30.0, 0.3)
    )
    values = cells.values(["E_x", "E_z", "K"])[0]
    assert values[0] > 9.0 and values[1] == 0.0 and np.isfinite(values[2])
    assert np.isfinite(cells.gradients(["E_x", "E_z"]).stiffness).all()


@pytest.mark.parametrize("pair", ["silicon carbide/aluminium", "E-glass/epoxy", "titanium/aluminium"])
def test_cells_with_more_of_the_stiff_phase_conduct_as_their_phases_do(pair: str) -> None:
    """The conductivity of a random field, cut at two volume fractions, by the rule and by the solver."""
    materials = choose_materials(pair).pairs[0]
    field = gaussian_filter(np.random.default_rng(0).normal(size=(16, 16, 16)), 2.0, mode="wrap")
    volumes = [(field > np.quantile(field, 1.0 - fraction)).astype(np.uint8) for fraction in (0.3, 0.6)]
    stiffness = np.stack([homogenize(volume, materials, rtol=1e-3).stiffness for volume in volumes])
    conductivity = np.stack([conduct(volume, materials, rtol=1e-3).conductivity for volume in volumes])
    fraction = np.array([volume.mean() for volume in volumes])
    first = CellProperties(
        stiffness=stiffness[:1], fraction=fraction[:1], materials=materials, conductivity=conductivity[:1]
    )
    factor = stiffness[1:, 0, 0] / stiffness[:1, 0, 0]
    moved = first.scaled(factor, fraction[1:]).values(["k_x"])[0, 0]
    assert moved == pytest.approx(conductivity[1, 0, 0], rel=0.1)
    assert abs(moved - conductivity[1, 0, 0]) < 0.5 * abs(
        factor[0] * conductivity[0, 0, 0] - conductivity[1, 0, 0]
    )
