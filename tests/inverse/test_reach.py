"""Reach of the modes: which of them a target gets designs from, in which order of the axes."""

from pathlib import Path

import numpy as np
import pytest
from modes_fixture import modes_of

from vaereg.cli import main
from vaereg.elasticity import AXIS_ORDERS, PROPERTIES, diagonal_properties, voigt_bound
from vaereg.errors import InputError
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.reach import REACHED, mode_reach, nearest_targets, unreachable
from vaereg.io.designs import read_designs
from vaereg.materials import TwoPhase, choose_materials
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.targets import Targets, check_possible, parse

ROWS = [
    ("pores", [60.0, 60.0, 60.0, 20.0, 20.0, 20.0], 0.7),
    ("grains", [20.0, 30.0, 40.0, 8.0, 9.0, 10.0], 0.6),
    ("closed-foam", [21.0, 30.0, 40.0, 8.0, 9.0, 10.0], 0.4),
]


def test_weights_sum_to_one_and_modes_that_cannot_reach_a_target_get_none() -> None:
    reach = mode_reach(modes_of(ROWS), {"C11": 60.0, "C22": 60.0, "C33": 60.0})
    assert reach.weights.sum() == pytest.approx(1.0)
    assert reach.weights[MODE_NAMES.index("pores")] == pytest.approx(1.0, abs=1e-3)
    assert reach.reached.tolist() == [mode.name == "pores" for mode in MODES]


def test_axes_are_permuted_to_reach_a_target() -> None:
    modes, grains = modes_of(ROWS), MODE_NAMES.index("grains")
    found = mode_reach(modes, {"C11": 40.0, "C22": 20.0, "C33": 30.0}).modes[grains]
    assert found is not None
    assert found.deviation[0] == pytest.approx(0.0, abs=1e-9)
    nearest = modes.library.stiffness_of(found.rows)[0]
    assert diagonal_properties(nearest[None])[0, :3].tolist() == [40.0, 20.0, 30.0]
    assert AXIS_ORDERS[found.rows.order[0]][:3] == (2, 0, 1)


def test_a_common_factor_is_made_up_for_by_the_fraction() -> None:
    modes, pores = modes_of(ROWS), MODE_NAMES.index("pores")
    near = mode_reach(modes, {"C11": 66.0, "C22": 66.0, "C33": 66.0})
    assert near.distance[pores] < 0.01
    far = mode_reach(modes, {"C11": 60.0, "C22": 60.0, "C33": 90.0})
    assert far.distance[pores] > REACHED


def test_a_mode_keeps_to_the_fractions_of_its_volumes() -> None:
    """A smaller stiffness than that of pores at 0.7 would take a fraction at which no pores were seen."""
    pores = MODE_NAMES.index("pores")
    many, few = modes_of(ROWS[:1] * 20), modes_of(ROWS)
    low, high = many.library.fraction_ranges(len(many.names))
    assert (low[pores], high[pores]) == pytest.approx((0.7, 0.7))
    target = {"C11": 52.0, "C22": 52.0, "C33": 52.0}
    found = mode_reach(many, target).modes[pores]
    assert found is not None and found.nearest.fraction[0] == pytest.approx(0.7, abs=1e-6)
    assert found.deviation[0] > REACHED
    assert mode_reach(few, target).distance[pores] < 0.01  # one volume says nothing about the ends


def test_ranges_and_the_volume_fraction_count() -> None:
    reach = mode_reach(modes_of(ROWS), {"C11": (15.0, 45.0), "volume_fraction": (0.35, 0.45)})
    assert reach.distance[MODE_NAMES.index("closed-foam")] == 0.0
    assert reach.distance[MODE_NAMES.index("pores")] > REACHED


def test_modes_without_volumes_are_infinitely_far_and_refusals_say_so() -> None:
    reach = mode_reach(modes_of(ROWS[:1]), {"C11": 60.0})
    fibres = MODE_NAMES.index("fibres")
    assert np.isinf(reach.distance[fibres])
    assert "no training volume" in str(unreachable(reach, Targets.of({"C11": 60.0}), fibres))


def test_no_cubic_cell_has_layers() -> None:
    stiffness = [40.0, 40.0, 40.0, 12.0, 12.0, 12.0]
    modes, layers = modes_of([("layers", stiffness, 0.4)]), MODE_NAMES.index("layers")
    assert mode_reach(modes, {"C11": 40.0}, symmetry="orthotropic").distance[layers] < REACHED
    cubic = mode_reach(modes, {"C11": 40.0}, symmetry="cubic")
    assert np.isinf(cubic.distance[layers])
    assert "no cubic volume" in str(unreachable(cubic, Targets.of({"C11": 40.0}), layers))


def test_a_refusal_names_the_nearest() -> None:
    targets = parse(["E_x=1", "E_y=500"])
    reach = mode_reach(modes_of(ROWS), targets)
    error = unreachable(reach, targets, None)
    assert set(error.nearest) == {"E_x", "E_y"}
    assert "the nearest is" in str(error) and "GPa" in str(error)


def test_the_nearest_is_within_what_the_phases_allow() -> None:
    """A prediction of the library may be beyond its bounds: here more than twice the Voigt bound."""
    targets = parse(["C11=500", "nu_xy=3"])
    stiff = [("fibres", [160.0, 160.0, 160.0, 20.0, 20.0, 20.0], 0.4)]
    reach = mode_reach(modes_of(stiff), targets)
    nearest = reach.nearest(MODE_NAMES.index("fibres"), targets.names)
    found = reach.modes[MODE_NAMES.index("fibres")]
    assert found is not None
    cell = found.nearest
    voigt = voigt_bound(float(cell.fraction[0]), cell.materials)[0, 0]
    assert cell.values(["C11"])[0, 0] > voigt and nearest["C11"] == pytest.approx(voigt)
    assert " -," not in str(unreachable(reach, targets, None))


def test_the_reference_pair_is_scaled_and_other_pairs_stay_between_the_bounds() -> None:
    modes = modes_of(ROWS)
    rows = modes.library.rows_of(MODE_NAMES.index("grains"))
    double = modes.cells(rows, TwoPhase.from_moduli(e_stiff=240.0, e_soft=4.8, nu_stiff=0.3, nu_soft=0.3))
    np.testing.assert_allclose(double.stiffness, 2.0 * modes.library.stiffness_of(rows), rtol=1e-9)
    void = modes.cells(rows, TwoPhase.from_moduli(e_stiff=120.0, e_soft=0.0, nu_stiff=0.3, nu_soft=0.0))
    assert (np.linalg.eigvalsh(void.stiffness) > 0.0).all()
    assert (diagonal_properties(void.stiffness) < 0.6 * 120.0 * 1.4).all()


def test_nearest_targets_are_within_reach(modes_checkpoint_path: Path) -> None:
    """What is out of reach gives way; what is held, and what is within reach, stays as it is."""
    checkpoint = load_checkpoint(modes_checkpoint_path)
    assert checkpoint.modes is not None
    rows = checkpoint.modes.library
    own = dict(zip(PROPERTIES, diagonal_properties(rows.stiffness)[0].tolist(), strict=True))
    same = parse([f"C11={own['C11']}", f"C22={own['C22']}"])
    assert nearest_targets(checkpoint, same).targets == same
    far = parse([f"C11={3.0 * own['C11']}", f"C22={own['C22']}", f"C33={own['C33']}:"])
    found = nearest_targets(checkpoint, far)
    assert "C11" in found.changed and found.mode in MODE_NAMES
    near = mode_reach(checkpoint.modes, found.targets, checkpoint.model.materials)
    assert near.reached[MODE_NAMES.index(found.mode)]
    held = nearest_targets(checkpoint, far, fixed=["C22"])
    assert held.targets.range_of("C22") == far.range_of("C22") and "C22" not in held.changed
    fibres = MODE_NAMES.index("fibres")  # ten times softer
    asked = nearest_targets(checkpoint, same, component=fibres)
    assert asked.mode == "fibres" and asked.targets.range_of("C11")[1] < 0.5 * own["C11"]
    with pytest.raises(UnreachableTargetError, match="does not reach C11"):
        nearest_targets(checkpoint, far, fixed=["C11"])
    with pytest.raises(InputError, match="expected a target of E_x, which is to stay"):
        nearest_targets(checkpoint, far, fixed=["E_x"])


def test_designs_for_the_nearest(
    tmp_path: Path, modes_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["design", "--target", "C11=100", "--target", "C22=8"]
    flags += ["--count", 2, "--size", 16, "--corrections", 1]
    flags += ["--checkpoint", modes_checkpoint_path, "--out", tmp_path / "d.h5"]
    assert main([*map(str, flags)]) == 0
    assert "no mode reaches C11 = 100 GPa, C22 = 8 GPa: the nearest is" in capsys.readouterr().err
    assert main([*map(str, flags), "--nearest"]) == 0
    said = capsys.readouterr().err
    assert "is out of reach; the designs are for the nearest: C11 = " in said
    stored = read_designs(tmp_path / "d.h5")
    assert isinstance(stored.target["C11"], float) and stored.target["C11"] < 99.0
    assert {recipe["class"] for recipe in stored.recipes} <= {"closed-foam", "grains", "fibres"}
    assert all(len(recipe["cell_spacing"]) == 3 for recipe in stored.recipes if recipe["class"] != "fibres")


def test_where_no_mode_reaches_a_target_the_nearest_makes_designs(
    tmp_path: Path, modes_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Targets that the bounds leave open are not refused for being a little beyond the training volumes."""
    flags = ["design", "--target", "C11=100", "--count", 2, "--size", 16, "--corrections", 2]
    flags += ["--checkpoint", modes_checkpoint_path, "--out", tmp_path / "d.h5"]
    assert main([*map(str, flags)]) == 0
    said = capsys.readouterr().err
    assert "no mode reaches C11 = 100 GPa: the nearest is " in said and "designs go on from there" in said
    stored = read_designs(tmp_path / "d.h5")
    assert stored.target["C11"] == 100.0
    assert {recipe["class"] for recipe in stored.recipes} <= {"closed-foam", "grains"}
    (tmp_path / "t.csv").write_text("C11\n60\n100\n")
    flags[1:3] = ["--targets", tmp_path / "t.csv", "--workers", 1]
    assert main([*map(str, flags[:-1]), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "1 of 2 rows are far from all modes; the first, line 3: no mode reaches C11 = 100 GPa" in said
    reach = mode_reach(modes_of(ROWS), {"C11": 60.0, "C22": 60.0, "C33": 90.0})
    grains, pores = MODE_NAMES.index("grains"), MODE_NAMES.index("pores")
    assert reach.makers(range(len(MODE_NAMES))).tolist() == [pores] and len(reach.makers([grains])) == 1
    far = mode_reach(modes_of(ROWS), {"C11": 3.0, "C22": 90.0})
    assert far.distance[grains] > 4.0 and far.makers([grains]).tolist() == [grains]
    assert len(far.makers([MODE_NAMES.index("fibres")])) == 0  # it has no volume


def test_what_symmetric_cells_can_have_has_the_symmetry() -> None:
    """So that the nearest targets can be asked for."""
    checkpoint = load_checkpoint()
    assert checkpoint.modes is not None
    pair = choose_materials("E-glass/epoxy").pairs[0]
    wanted = parse(["E_x=12", "E_y=12", "nu_xy=0.1", "C26=0"])
    for symmetry in ("tetragonal", "cubic"):
        reach = mode_reach(checkpoint.modes, wanted, pair, symmetry=symmetry)
        for index in np.flatnonzero(np.isfinite(reach.distance)).tolist():
            nearest = reach.nearest(index, wanted.names)
            assert nearest["E_x"] == pytest.approx(nearest["E_y"]) and nearest["C26"] == 0.0
        offered = nearest_targets(checkpoint, wanted, pair, symmetry=symmetry).targets
        check_possible(offered, pair, symmetry=symmetry)
    unlike = mode_reach(checkpoint.modes, wanted, pair).nearest(0, wanted.names)
    assert unlike["E_x"] != pytest.approx(unlike["E_y"], rel=1e-3)
