"""Reach of the modes: which of them a target gets designs from, in which order of the axes."""

import numpy as np
import pytest
from modes_fixture import modes_of

from vaereg.elasticity import AXIS_ORDERS, diagonal_properties
from vaereg.inverse.reach import REACHED, mode_reach, unreachable
from vaereg.materials import TwoPhase
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.targets import Targets, parse

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


def test_ranges_and_the_volume_fraction_count() -> None:
    reach = mode_reach(modes_of(ROWS), {"C11": (15.0, 45.0), "volume_fraction": (0.35, 0.45)})
    assert reach.distance[MODE_NAMES.index("closed-foam")] == 0.0
    assert reach.distance[MODE_NAMES.index("pores")] > REACHED


def test_modes_without_volumes_are_infinitely_far_and_refusals_say_so() -> None:
    reach = mode_reach(modes_of(ROWS[:1]), {"C11": 60.0})
    fibres = MODE_NAMES.index("fibres")
    assert np.isinf(reach.distance[fibres])
    assert "no training volume" in str(unreachable(reach, Targets.of({"C11": 60.0}), fibres))


def test_a_refusal_names_the_nearest() -> None:
    targets = parse(["E_x=1", "E_y=500"])
    reach = mode_reach(modes_of(ROWS), targets)
    error = unreachable(reach, targets, None)
    assert set(error.nearest) == {"E_x", "E_y"}
    assert "the nearest is" in str(error) and "GPa" in str(error)


def test_the_reference_pair_is_scaled_and_other_pairs_stay_between_the_bounds() -> None:
    modes = modes_of(ROWS)
    rows = modes.library.rows_of(MODE_NAMES.index("grains"))
    double = modes.cells(rows, TwoPhase.from_moduli(e_stiff=240.0, e_soft=4.8, nu_stiff=0.3, nu_soft=0.3))
    np.testing.assert_allclose(double.stiffness, 2.0 * modes.library.stiffness_of(rows), rtol=1e-9)
    void = modes.cells(rows, TwoPhase.from_moduli(e_stiff=120.0, e_soft=0.0, nu_stiff=0.3, nu_soft=0.0))
    assert (np.linalg.eigvalsh(void.stiffness) > 0.0).all()
    assert (diagonal_properties(void.stiffness) < 0.6 * 120.0 * 1.4).all()
