"""Quantities, targets and figures in the words and symbols of the pages."""

import numpy as np
import pytest

from pages.parts.common.requests.quantities import (
    describe_quantity,
    figure_text,
    guaranteed_text,
    missing_property,
    offered_quantities,
    range_of_phases,
    signed_deviations,
    symbol,
    target_text,
    with_symbols,
)
from pages.parts.common.text import sentence
from pages.parts.common.views.cards import Judgement, card_lines, largest_first
from vaereg.elasticity import isotropic_stiffness
from vaereg.materials import VOID, TwoPhase, phase_by_name
from vaereg.targets import QUANTITIES, CellProperties, Targets, Wanted, parse

GLASS = TwoPhase(phase_by_name("E-glass"), phase_by_name("epoxy"))
FOAM = TwoPhase(phase_by_name("aluminium"), VOID)


def test_every_quantity_has_a_symbol_of_its_own() -> None:
    names = offered_quantities()
    assert set(names) == set(QUANTITIES) and names[-1] == "C66"
    symbols = [symbol(name) for name in names]
    assert len(set(symbols)) == len(symbols) and not any("_" in text for text in symbols)
    assert [symbol(name) for name in ("E_x", "nu_xy", "specific_sqrt_E_z", "specific_E", "k_yz")] == [
        "Ex",
        "νxy",
        "√Ez/ρ",
        "E/ρ",
        "kyz",
    ]
    assert describe_quantity("C12").startswith("C12 · stiffness matrix")
    assert with_symbols("E_x = 20 GPa is above, nu_xy, nu and specific_E_x too") == (
        "Ex = 20 GPa is above, νxy, ν mean and Ex/ρ too"
    )
    assert sentence(with_symbols("k_x = 3 W/(m K) is low")).startswith("kx ")  # K is another quantity


def test_a_target_in_words() -> None:
    wanted = parse(["E_x=40", "E_y=25:30", "density=:1.9", "nu_xy=0.2", "E_z=max", "k_x=3:"])
    assert target_text(wanted) == (
        "Ex = 40, Ey = 25 to 30 GPa, density at most 1.9 g/cm³, νxy = 0.2, Ez as large as possible, "
        "kx at least 3 W/(m K)"
    )
    assert target_text(parse(["C11=60", "C22=40"])) == "C11 = 60, C22 = 40 GPa"
    assert target_text(parse(["alpha_x=20"])) == "\u03b1x = 20·10⁻⁶/K"
    assert with_symbols(parse(["alpha_x=20"]).words()) == "\u03b1x = 20·10⁻⁶/K"


def test_figures_have_three_digits() -> None:
    shown = [figure_text(value) for value in (7.314, 66.0, 120.3, 0.0312, -0.5, 9.996, 1e-9, np.nan)]
    assert shown == ["7.31", "66.0", "120", "0.0312", "-0.500", "10.0", "0", "–"]


@pytest.mark.parametrize("pair", [GLASS, FOAM, TwoPhase()])
def test_sliders_span_what_the_phases_allow(pair: TwoPhase) -> None:
    for name in QUANTITIES:
        if missing_property(name, pair):
            continue
        low, high = range_of_phases(name, pair)
        assert np.isfinite([low, high]).all() and low < high, name
    low, high = range_of_phases("E_x", pair)
    assert low <= pair.e_soft + 2.0 and 0.9 * pair.e_stiff < high < 1.1 * pair.e_stiff
    assert missing_property("density", TwoPhase()) == "the density of the phase of 120 GPa"
    assert missing_property("alpha_x", FOAM) == ""  # a void has none, and needs none


def cells(young: float, pair: TwoPhase = GLASS) -> CellProperties:
    stiffness = isotropic_stiffness(young, 0.3)[None]
    return CellProperties(stiffness=stiffness, fraction=np.array([0.4]), materials=pair)


def test_the_farthest_off_comes_first() -> None:
    targets = parse(["E_x=20", "nu_xy=0.3", "density=:1.9", "E_z=30:40", "E_y=max"])
    told = cells(22.0)
    off = dict(zip(targets.names, signed_deviations(targets, told)[0].tolist(), strict=True))
    assert off["E_x"] == pytest.approx(0.1)
    assert off["E_z"] == pytest.approx(-8.0 / 35.0)
    assert off["density"] == 0.0 and off["E_y"] == 0.0
    assert largest_first(targets, told, 0)[:2] == ["E_z", "E_x"]
    heavy = Targets((Wanted(name="E_x", low=20.0, high=20.0, weight=4.0), *targets.only(["E_z"])))
    assert largest_first(heavy, told, 0) == ["E_x", "E_z"]


def test_a_card_shows_prediction_and_solver_apart() -> None:
    targets = parse(["E_x=20", "E_z=max"])
    unknown = CellProperties.from_diagonal(np.full((1, 6), np.nan), [0.4], GLASS)
    judgement = Judgement(targets=targets, predicted=cells(22.0), solved=unknown)
    lines = card_lines(judgement, 0, "…")
    assert [line.label for line in lines] == ["Ex GPa", "Ez GPa", "fraction", "density g/cm³"]
    assert list(lines[0].values) == ["22.0", "…", "+10.0 %"]
    assert list(lines[1].values) == ["22.0", "…", "max"]
    assert lines[3].values[0] == figure_text(0.4 * 2.54 + 0.6 * 1.2)
    solved = Judgement(targets=targets, predicted=cells(22.0), solved=cells(19.0))
    assert list(card_lines(solved, 0, "…")[0].values) == ["22.0", "19.0", "-5.0 %"]
    assert solved.prediction_error() == pytest.approx(0.5 * (3.0 / 20.0 + 3.0 / 19.0))
    assert solved.deviations()[0][0] == pytest.approx(0.1) and solved.deviations()[1][0] == pytest.approx(
        0.05
    )
    assert np.isnan(judgement.deviations()[1][0])


def test_guaranteed_ends_are_rounded_outwards_and_say_something() -> None:
    assert guaranteed_text("E_x", 6.8364, 6.8391) == "6.836 to 6.840"
    assert guaranteed_text("G_xy", 0.0, 0.011724) == "0.00000 to 0.01173"
    assert guaranteed_text("nu_xy", 0.2912, 0.2915) == "0.2912 to 0.2915"
    assert guaranteed_text("nu_xy", -3.58, 3.58) == guaranteed_text("anisotropy", 0.0, np.inf) == ""
    assert guaranteed_text("density", 1.74, 1.74) == "" and guaranteed_text("E_x", 0.0, 0.0) == "0"
