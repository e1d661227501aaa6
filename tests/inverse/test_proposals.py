"""Proposals for a target: which modes reach it, how designs are dealt, what z are drawn."""

import numpy as np
import pytest

from vaereg.elasticity import AXIS_ORDERS
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.model.modes.library import REACHED, ModeLibrary


def library(rows: list[tuple[str, list[float], float]]) -> ModeLibrary:
    """Library of volumes of given modes, properties and fractions."""
    return ModeLibrary(
        mode=np.array([MODE_NAMES.index(name) for name, _, _ in rows]),
        properties=np.array([properties for _, properties, _ in rows], dtype=np.float64),
        fraction=np.array([fraction for _, _, fraction in rows]),
        latent=np.zeros((len(rows), 4), dtype=np.float32),
    )


ROWS = [
    ("pores", [60.0, 60.0, 60.0, 20.0, 20.0, 20.0], 0.7),
    ("grains", [20.0, 30.0, 40.0, 8.0, 9.0, 10.0], 0.6),
    ("closed-foam", [21.0, 30.0, 40.0, 8.0, 9.0, 10.0], 0.4),
]


def test_weights_sum_to_one_and_modes_that_cannot_reach_a_target_get_none() -> None:
    reach = library(ROWS).reach({"C11": (60.0, 60.0), "C22": (60.0, 60.0), "C33": (60.0, 60.0)})
    assert reach.weights.sum() == pytest.approx(1.0)
    assert reach.weights[MODE_NAMES.index("pores")] == pytest.approx(1.0, abs=1e-6)
    assert reach.reached.tolist() == [mode.name == "pores" for mode in MODES]


def test_axes_are_permuted_to_reach_a_target() -> None:
    reach = library(ROWS).reach({"C11": (40.0, 40.0), "C22": (20.0, 20.0), "C33": (30.0, 30.0)})
    grains = MODE_NAMES.index("grains")
    assert reach.distance[grains] == pytest.approx(0.0)
    order, row = reach.nearest[grains]
    assert row == 1
    assert np.take(ROWS[1][1], AXIS_ORDERS[order])[:3].tolist() == [40.0, 20.0, 30.0]


def test_a_common_factor_is_made_up_for_by_the_fraction() -> None:
    cells = library(ROWS)
    near = cells.reach({"C11": (66.0, 66.0), "C22": (66.0, 66.0), "C33": (66.0, 66.0)})
    assert near.distance[MODE_NAMES.index("pores")] == pytest.approx(0.0)
    far = cells.reach({"C11": (60.0, 60.0), "C22": (60.0, 60.0), "C33": (80.0, 80.0)})
    assert far.distance[MODE_NAMES.index("pores")] > REACHED


def test_ranges_and_the_volume_fraction_count() -> None:
    reach = library(ROWS).reach({"C11": (15.0, 45.0), "volume_fraction": (0.35, 0.45)})
    assert reach.distance[MODE_NAMES.index("closed-foam")] == 0.0
    assert reach.distance[MODE_NAMES.index("grains")] == pytest.approx(0.15 / 0.25)


def test_modes_without_volumes_are_infinitely_far() -> None:
    reach = library(ROWS[:1]).reach({"C11": (60.0, 60.0)})
    assert np.isinf(reach.distance[MODE_NAMES.index("fibres")])
    assert reach.nearest[MODE_NAMES.index("fibres")].tolist() == [-1, -1]
