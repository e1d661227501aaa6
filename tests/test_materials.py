"""Phases and pairs: what is refused, what a void is, and what files store."""

import json
from pathlib import Path

import numpy as np
import pytest

from vaereg.elasticity import hashin_shtrikman_bounds, isotropic_stiffness, reuss_bound, voigt_bound
from vaereg.engineering import mixed_density, thermal_expansion
from vaereg.errors import InputError
from vaereg.materials import (
    VOID,
    Phase,
    TwoPhase,
    choose_materials,
    library,
    library_rows,
    parse_materials,
    phase_by_name,
)

GLASS = Phase("E-glass", 72.0, 0.22, conductivity=1.3, density=2.54, thermal_expansion=5.0)
EPOXY = Phase("epoxy", 3.2, 0.35, conductivity=0.2, density=1.2, thermal_expansion=60.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("e_stiff", value) for value in (0.0, -1.0, float("nan"), float("inf"))]
    + [("e_soft", value) for value in (-1.0, float("nan"), float("inf"))],
)
def test_young_modulus_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        TwoPhase.from_moduli(**{name: value})


@pytest.mark.parametrize("name", ["nu_stiff", "nu_soft"])
@pytest.mark.parametrize("value", [-1.0, 0.5, 0.7, float("nan")])
def test_poisson_ratio_must_be_admissible(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        TwoPhase.from_moduli(**{name: value})


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"young_modulus": -1.0}, "phase 'x': expected a Young's modulus of 0 GPa"),
        ({"young_modulus": float("nan")}, "Young's modulus"),
        ({"young_modulus": True}, "Young's modulus"),
        ({"young_modulus": "7"}, "Young's modulus"),
        ({"poisson_ratio": 0.5}, "Poisson ratio between -1 and 0.5"),
        ({"conductivity": -0.1}, "conductivity of 0 or more"),
        ({"density": float("inf")}, "density of 0 or more"),
        ({"thermal_expansion": float("nan")}, "thermal expansion"),
    ],
)
def test_a_phase_out_of_range_is_refused(numbers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phase(**{"name": "x", "young_modulus": 1.0, "poisson_ratio": 0.3, **numbers})


def test_the_default_is_the_reference_pair() -> None:
    assert TwoPhase() == TwoPhase.from_moduli(e_stiff=120.0, e_soft=2.4, nu_stiff=0.3, nu_soft=0.3)
    assert TwoPhase().contrast == pytest.approx(50.0)


def test_porous_is_a_solid_with_exact_voids() -> None:
    pair = TwoPhase.porous(70.0, 0.33)
    assert (pair.e_stiff, pair.nu_stiff, pair.e_soft) == (70.0, 0.33, 0.0)
    assert pair.has_void
    assert pair.contrast == np.inf
    with pytest.raises(ValueError, match="two voids"):
        TwoPhase(VOID, VOID)


@pytest.mark.parametrize("pair", [TwoPhase(GLASS, EPOXY), TwoPhase(EPOXY, VOID), TwoPhase()])
def test_what_a_file_stores_gives_the_pair_back(pair: TwoPhase) -> None:
    assert TwoPhase.from_dict(json.loads(json.dumps(pair.to_dict()))) == pair


def test_four_numbers_of_version_0_1_are_read() -> None:
    stored = {"e_stiff": 70.0, "e_soft": 3.0, "nu_stiff": 0.2, "nu_soft": 0.4}
    pair = TwoPhase.from_dict(stored)
    assert pair.moduli() == stored
    assert pair.stiff.conductivity is None


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"e_stiff": 1.0}, "keys stiff and soft"),
        ({"stiff": {"young_modulus": 1.0, "poisson_ratio": 0.3}, "soft": "air"}, "expected a phase of"),
        ({"stiff": {"poisson_ratio": 0.3}, "soft": {}}, "young_modulus and poisson_ratio of the stiff"),
        ({"stiff": {"young_modulus": 1.0, "colour": 2}, "soft": {}}, "expected a phase of"),
    ],
)
def test_other_keys_are_refused(stored: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoPhase.from_dict(stored)


def test_order_and_scale() -> None:
    swapped = TwoPhase(EPOXY, GLASS)
    assert swapped.ordered() == TwoPhase(GLASS, EPOXY)
    assert swapped.ordered().ordered() == swapped.ordered()
    assert swapped.scaled(2.0).moduli() == {
        "e_stiff": 6.4,
        "e_soft": 144.0,
        "nu_stiff": 0.35,
        "nu_soft": 0.22,
    }


def test_bounds_of_a_porous_solid() -> None:
    pair, f = TwoPhase.porous(70.0, 0.3), np.array([0.0, 0.4, 1.0])
    solid = isotropic_stiffness(70.0, 0.3)
    np.testing.assert_allclose(voigt_bound(f, pair), f[:, None, None] * solid)
    np.testing.assert_allclose(reuss_bound(f, pair), (f == 1.0)[:, None, None] * solid, atol=1e-12)
    bounds = hashin_shtrikman_bounds(f, pair)
    np.testing.assert_allclose(bounds.bulk_lower[:2], 0.0, atol=1e-12)
    np.testing.assert_allclose(bounds.shear_lower[:2], 0.0, atol=1e-12)
    # spheres of void in a shell (Hashin 1962): K = f K1 / (1 + (1 - f) 3 K1 / (4 G1))
    bulk, shear = solid[:3, :3].sum() / 9.0, solid[3, 3]
    np.testing.assert_allclose(bounds.bulk_upper, f * bulk / (1.0 + (1.0 - f) * 0.75 * bulk / shear))
    for value in (bounds.bulk_lower, bounds.bulk_upper):
        np.testing.assert_allclose(value[2], bulk)
    np.testing.assert_allclose(bounds.shear_lower[2], shear)


ISOTROPIC = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def test_density_is_mixed() -> None:
    assert mixed_density(0.6, TwoPhase(GLASS, EPOXY)) == pytest.approx(0.6 * 2.54 + 0.4 * 1.2)
    assert mixed_density(0.25, TwoPhase(GLASS, VOID)) == pytest.approx(0.635)
    with pytest.raises(InputError, match="density of the stiff phase"):
        mixed_density(0.5, TwoPhase())


@pytest.mark.parametrize("f", [0.0, 1.0])
def test_expansion_of_one_phase_is_its_own(f: float) -> None:
    pair = TwoPhase(GLASS, EPOXY)
    phase = GLASS if f else EPOXY
    stiffness = isotropic_stiffness(phase.young_modulus, phase.poisson_ratio)
    np.testing.assert_allclose(thermal_expansion(stiffness, f, pair), phase.thermal_expansion * ISOTROPIC)  # type: ignore[operator]


def test_a_porous_solid_expands_as_the_solid() -> None:
    pair = TwoPhase(GLASS, VOID)
    stiffness = 0.1 * isotropic_stiffness(70.0, 0.3)
    np.testing.assert_allclose(thermal_expansion(stiffness, 0.3, pair), 5.0 * ISOTROPIC)
    stiffness[0] = stiffness[:, 0] = stiffness[4] = stiffness[5] = 0.0
    stiffness[:, 4] = stiffness[:, 5] = 0.0  # a slit normal to x
    np.testing.assert_array_equal(
        thermal_expansion(stiffness, 0.3, pair), [np.nan, 5.0, 5.0, 0.0, np.nan, np.nan]
    )


def test_alike_bulk_moduli_mix_the_expansions() -> None:
    soft = Phase("x", GLASS.young_modulus, GLASS.poisson_ratio, thermal_expansion=20.0)
    pair = TwoPhase(GLASS, soft)
    stiffness = isotropic_stiffness(GLASS.young_modulus, GLASS.poisson_ratio)
    np.testing.assert_allclose(thermal_expansion(stiffness, 0.25, pair), 16.25 * ISOTROPIC)
    with pytest.raises(InputError, match="thermal expansion of the stiff phase"):
        thermal_expansion(stiffness, 0.5, TwoPhase())


# The library


def test_the_library_is_plausible() -> None:
    phases = library()
    assert len(phases) >= 60
    assert len(phases) == len(library_rows())
    assert {"metal", "ceramic", "polymer", "fibre", "foam", "gas"} <= {row["kind"] for row in library_rows()}
    for row in library_rows():
        phase = phases[row["name"]]
        assert row["source"], f"{phase.name} has no source"
        assert phase_by_name(row["name"]) == phase
        assert phase.conductivity is not None and 0.01 < phase.conductivity < 2500.0
        assert phase.density is not None and 0.0 < phase.density < 23.0
        if phase.is_void:
            continue
        assert 1e-4 < phase.young_modulus < 1300.0
        assert 0.0 <= phase.poisson_ratio < 0.5
        assert phase.thermal_expansion is not None and 0.0 < phase.thermal_expansion < 400.0
        # speed of sound in a rod [km/s]: at most beryllium's and diamond's
        assert 0.03 < np.sqrt(phase.young_modulus / phase.density) < 18.0


def test_metals_conduct_heat_better_than_polymers() -> None:
    kinds = {row["name"]: row["kind"] for row in library_rows()}
    conductivity = {
        kind: [phase.conductivity for name, phase in library().items() if kinds[name] == kind]
        for kind in ("metal", "polymer")
    }
    assert min(map(float, conductivity["metal"])) > max(map(float, conductivity["polymer"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["E-glass", "e glass", "EGLASS", " e-Glass "])
def test_names_are_read_as_people_write_them(name: str) -> None:
    assert phase_by_name(name).name == "E-glass"


def test_an_unknown_name_is_told_what_comes_close() -> None:
    with pytest.raises(InputError, match="expected epoxy, got material 'epoxi'"):
        phase_by_name("epoxi")
    assert phase_by_name("Void") == VOID


# Files of pairs


def test_a_file_holds_a_pair_or_one_per_volume(tmp_path: Path) -> None:
    glass = {"name": "glass", "young_modulus": 72, "poisson_ratio": 0.22, "density": 2.5}
    file = tmp_path / "pair.json"
    file.write_text(json.dumps({"stiff": glass, "soft": "epoxy"}), encoding="utf-8")
    (pair,) = choose_materials(str(file)).pairs
    assert (pair.e_stiff, pair.stiff.density, pair.stiff.conductivity) == (72, 2.5, None)
    assert pair.soft == library()["epoxy"]
    file.write_text(json.dumps([{"stiff": glass, "soft": "void"}] * 3), encoding="utf-8")
    choice = choose_materials(str(file))
    assert choice.per_volume(3) == choice.pairs
    assert choice.pairs[0].soft == VOID
    with pytest.raises(InputError, match=r"one per volume \(2\), got 3"):
        choice.per_volume(2)


def test_two_names_of_the_library() -> None:
    choice = choose_materials("E-glass/epoxy")
    assert [phase.name for phase in (choice.pairs[0].stiff, choice.pairs[0].soft)] == ["E-glass", "epoxy"]
    assert choice.notes == ()
    assert len(choice.per_volume(5)) == 5


def test_a_softer_stiff_phase_is_swapped_with_a_word() -> None:
    choice = choose_materials("epoxy/E-glass")
    assert choice.pairs[0].stiff.name == "E-glass"
    assert choice.notes == ("epoxy is softer than E-glass: E-glass is taken as the stiff phase",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "at least one pair"),
        (3, "expected a pair"),
        ({"stiff": "steel"}, "expected a pair"),
        ({"stiff": "steel", "soft": 3}, "soft phase, got 3"),
        ({"stiff": "steel", "soft": {"young_modulus": 1.0}}, "expected poisson_ratio of the soft phase"),
        ({"stiff": "steel", "soft": {"E": 1.0}}, "expected a name or an object of"),
        (
            {"stiff": "steel", "soft": {"young_modulus": -1, "poisson_ratio": 0}},
            "or more, got -1",
        ),
        ([{"stiff": "steel", "soft": "epoxy"}, {"stiff": "x", "soft": "y"}], "pair 1: expected"),
        ({"stiff": "void", "soft": "air"}, "two voids"),
        (
            {"stiff": {"young_modulus": 3.0, "poisson_ratio": 0.5}, "soft": "void"},
            "stiff phase: expected a Poisson ratio between -1 and 0.5",
        ),
    ],
)
def test_bad_pairs_get_a_line(content: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_materials(content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "[" * 100000, "\x00"])
def test_what_is_no_json_gets_a_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="bad.json") as error:
        choose_materials(str(file))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("choice", ["missing.json", "steel", "a/b/c", "some/where.json", ""])
def test_what_is_neither_file_nor_names_is_refused(choice: str) -> None:
    with pytest.raises(InputError, match="expected a file of materials"):
        choose_materials(choice)
