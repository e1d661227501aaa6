"""Robustness: interfaces that move by half a voxel, and realisations."""

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.robustness import interface_spread, moved, realisation_spread
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import specific_surface
from vaereg.targets import parse

VOLUMES = np.stack(
    [sample("gaussian", 16, relative=True, generator=np.random.default_rng(i)).volume for i in range(3)]
)


def test_half_a_voxel_is_half_of_the_area() -> None:
    volume = VOLUMES[0]
    for distance in (-0.5, 0.5):
        other = moved(volume, distance)
        change = (other != volume).mean()
        assert change == pytest.approx(0.5 * specific_surface(volume), rel=0.02)
        assert ((other >= volume) if distance > 0 else (other <= volume)).all()
    np.testing.assert_array_equal(moved(volume, 0.0), volume)
    with pytest.raises(InputError, match="-1 to 1 voxel"):
        moved(volume, 2.0)


def test_a_layer_becomes_half_a_layer_thicker() -> None:
    volume = np.zeros((12, 12, 12), dtype=np.uint8)
    volume[:4] = 1
    assert moved(volume, 0.5).mean() == pytest.approx(5 / 12, rel=0.06)  # half a voxel on both sides


def test_erosion_softens_and_dilation_stiffens() -> None:
    targets = parse(["E_x=20", "volume_fraction=0.4"])
    spread = interface_spread(VOLUMES, targets, TwoPhase())
    assert (spread.eroded < 0.0).all() and (spread.dilated > 0.0).all()
    assert spread.largest.shape == (3,) and (spread.largest >= spread.dilated.max(1)).all()


def test_spread_over_realisations() -> None:
    targets = parse(["E_x=20", "nu_xy=0.3"])
    spread = realisation_spread(VOLUMES, targets, TwoPhase())
    assert spread.largest == spread.std.max() > 0.0
    assert realisation_spread(VOLUMES[[0, 0]], targets, TwoPhase()).largest < 1e-6
    with pytest.raises(InputError, match="at least two realisations"):
        realisation_spread(VOLUMES[:1], targets, TwoPhase())
