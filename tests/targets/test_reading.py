"""Texts of targets: names, units, ranges, objectives, weights, and what is wrong with a text."""

import math

import pytest
from hypothesis import given, strategies

from vaereg.errors import InputError
from vaereg.targets import QUANTITIES, Targets, parse
from vaereg.targets.quantities import STIFFNESS_ENTRIES, read_number


@pytest.mark.parametrize(
    ("text", "name", "low", "high"),
    [
        ("E_x=20", "E_x", 20.0, 20.0),
        ("E_x=20GPa", "E_x", 20.0, 20.0),
        ("E_x = 20000 MPa", "E_x", 20.0, 20.0),
        ("E_x=2e10 Pa", "E_x", 20.0, 20.0),
        ("density=1900kg/m3", "density", 1.9, 1.9),
        ("density=:1900 kg/m^3", "density", -math.inf, 1.9),
        ("rho=1.5:", "density", 1.5, math.inf),
        ("nu_xy=0.2:0.3", "nu_xy", 0.2, 0.3),
        ("ν_yx=-0.1", "nu_yx", -0.1, -0.1),
        ("alpha_x=:12e-6/K", "alpha_x", -math.inf, 12.0),
        ("\u03b1_y=12e-6/°C", "alpha_y", 12.0, 12.0),
        ("alpha=12 ppm/K", "alpha", 12.0, 12.0),
        ("k_z=3 W m-1 K-1", "k_z", 3.0, 3.0),
        ("k_zz=3:4 W/(m K)", "k_z", 3.0, 4.0),
        ("volume_fraction=40%", "volume_fraction", 0.4, 0.4),
        ("E_x/density=20:", "specific_E_x", 20.0, math.inf),
        ("E_z/rho=25 MN m/kg", "specific_E_z", 25.0, 25.0),
        ("C21=5000MPa:6GPa", "C12", 5.0, 6.0),
        ("G_zy=3", "G_yz", 3.0, 3.0),
    ],
)
def test_texts_of_targets(text: str, name: str, low: float, high: float) -> None:
    (item,) = parse(text)
    assert (item.name, item.low, item.high) == (name, pytest.approx(low), pytest.approx(high))


def test_all_quantities_of_the_design() -> None:
    assert len(STIFFNESS_ENTRIES) == 21 and set(STIFFNESS_ENTRIES) < set(QUANTITIES)
    for kind, axes in (("E", "xyz"), ("k", "xyz"), ("alpha", "xyz"), ("specific_E", "xyz")):
        assert {f"{kind}_{axis}" for axis in axes} < set(QUANTITIES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E_x", "expected a target such as E_x=20GPa"),
        ("E_x=", "expected a target such as"),
        ("E_x=:", "expected a value or a range low:high of E_x, got ':'"),
        ("E_x=1:2:3", "expected a value or a range"),
        ("Ex=abc", "E_x: expected a number, with a unit or without, got 'abc'"),
        ("E_x=20kg", "expected a unit of E_x such as GPa, got 'kg'"),
        ("E_x=20 GPa**9**9**9", "expected a unit of E_x"),
        ("E_x=20;import os", "expected a unit of E_x"),
        ("E_x=nan", "expected a number"),
        ("E_x=1e999", "expected a number"),
        ("E_x=30:20", "expected a range low:high of E_x, got 30:20 GPa"),
        ("E_x=-5", "E_x must be positive, got -5 GPa"),
        ("volume_fraction=1.2", "volume_fraction must lie between 0 and 1, got 1.2"),
        ("E_q=20", "did you mean E_"),
        ("E_x=20@0", "expected a positive weight of E_x, got 0"),
        ("E_x=20@2GPa", "expected a weight without a unit"),
    ],
)
def test_texts_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_one_entry_a_quantity() -> None:
    with pytest.raises(InputError, match="expected one target for C12, got 2"):
        parse(["C12=3", "C21=4"])
    with pytest.raises(InputError, match="at least one target"):
        parse([])


def test_objectives_and_weights() -> None:
    targets = parse(["E_x=20@2", "density=:1.9", "k_z=max"], maximize=["E_z"], minimize=["density"])
    assert [item.text() for item in targets] == ["E_x=20@2", "density=:1.9", "k_z=max", "E_z=max"]
    assert [item.name for item in targets.objectives] == ["density", "k_z", "E_z"]
    assert targets.words() == (
        "E_x = 20 GPa, density at most 1.9 g/cm³, as small as possible, k_z as large as possible, "
        "E_z as large as possible"
    )


def test_expansion_in_words_is_no_number_beside_a_number() -> None:
    """And the words are read again."""
    assert parse(["alpha_x=2", "alpha=:12e-6/K"]).words() == "alpha_x = 2·10⁻⁶/K, alpha at most 12·10⁻⁶/K"
    assert parse(["alpha=12·10⁻⁶/K"]) == parse(["alpha=12"])
    with pytest.raises(InputError, match=r"got 12:11·10⁻⁶/K"):
        parse(["alpha=12:11"])


def test_targets_survive_a_file() -> None:
    targets = parse(["E_x=20@2", "nu_xy=0.2:0.3", "density=:1.9", "K=5:"], maximize=["E_z"], minimize=["K"])
    stored = targets.to_json()
    assert Targets.from_json(stored) == targets
    assert stored["nu_xy"] == [0.2, 0.3] and stored["density"] == [None, 1.9] and stored["E_z"] == "max"


@pytest.mark.parametrize("value", [True, "fast", [1.0], [1.0, "2"], {"low": 1.0}, {"weight": 2.0}, math.nan])
def test_stored_values_that_are_refused(value: object) -> None:
    with pytest.raises(InputError):
        Targets.from_json({"E_x": value})


@given(strategies.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    for whole in (text, f"E_x={text}", f"E_x=1{text}"):
        try:
            parse(whole)
        except InputError as error:
            assert str(error)


@given(strategies.floats(1e-6, 1e6))
def test_units_go_both_ways(value: float) -> None:
    assert read_number(f"{value!r} MPa", "E_x") == pytest.approx(value / 1e3, rel=1e-9)
    assert read_number(f"{value!r}kg/m3", "density") == pytest.approx(value / 1e3, rel=1e-9)
