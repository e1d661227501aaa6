"""Estimated effects of single flips against the solver."""

import numpy as np
import pytest

from vaereg.inverse.refining.effects import effects_of_flips
from vaereg.materials import Phase, TwoPhase
from vaereg.solver.homogenization import homogenize
from vaereg.targets import CellProperties

PAIR = TwoPhase(Phase("", 100.0, 0.3), Phase("", 1.0, 0.3))


def cell_of(stiffness: np.ndarray, volume: np.ndarray) -> CellProperties:
    return CellProperties(stiffness=stiffness[None], fraction=np.array([volume.mean()]), materials=PAIR)


@pytest.mark.parametrize("name", ["C11", "C22"])
@pytest.mark.parametrize(("place", "kind"), [((4, 3, 3), "bump"), ((3, 3, 3), "pit")])
def test_a_bump_and_a_pit_on_a_flat_wall(name: str, place: tuple[int, int, int], kind: str) -> None:
    """Across the wall, a bump does far more than a voxel of a layer, and a pit hardly anything."""
    volume = np.zeros((8, 8, 8), dtype=np.uint8)
    volume[:4] = 1
    solved = homogenize(volume, PAIR, rtol=1e-6, sensitivities=True)
    before = cell_of(solved.stiffness, volume)
    effects = effects_of_flips(volume, PAIR, before.gradients([name]), solved.sensitivity)
    flipped = volume.copy()
    flipped[place] ^= 1
    after = cell_of(homogenize(flipped, PAIR, rtol=1e-6).stiffness, flipped)
    actual = float((after.values([name]) - before.values([name]))[0, 0])
    sign = 1.0 if kind == "bump" else -1.0
    estimate = sign * float(effects.estimated[0, np.ravel_multi_index(place, volume.shape)])
    assert 0.4 < estimate / actual < 2.5
    layer = volume.copy()
    layer[place[0]] ^= 1
    whole = cell_of(homogenize(layer, PAIR, rtol=1e-6).stiffness, layer).values([name])[0, 0]
    of_layer = float(whole - before.values([name])[0, 0]) / layer[0].size
    if name == "C11":
        assert actual / of_layer > 2.0 if kind == "bump" else actual / of_layer < 0.2


def test_a_bridge_between_two_grains() -> None:
    """One voxel that joins stiff grains does many times what a bump does, as the estimate knows."""
    volume = np.ones((8, 8, 8), dtype=np.uint8)
    volume[0], volume[:, 0], volume[:, :, 0] = 0, 0, 0
    solved = homogenize(volume, PAIR, rtol=1e-6, sensitivities=True)
    before = cell_of(solved.stiffness, volume)
    effects = effects_of_flips(volume, PAIR, before.gradients(["C11"]), solved.sensitivity)
    bridged = volume.copy()
    bridged[0, 4, 4] = 1
    actual = homogenize(bridged, PAIR, rtol=1e-6).stiffness[0, 0] - solved.stiffness[0, 0]
    estimate = effects.estimated[0, np.ravel_multi_index((0, 4, 4), volume.shape)]
    assert 0.3 < estimate / actual < 3.0
