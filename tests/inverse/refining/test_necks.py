"""Necks: flips that join or part pieces of a phase, and what they cost."""

import numpy as np
from scipy import ndimage

from vaereg.inverse.refining.flips import neck_cost
from vaereg.inverse.refining.necks import necks_at
from vaereg.materials import Phase, TwoPhase
from vaereg.targets import parse


def pieces(mask: np.ndarray) -> int:
    """Pieces that share at least corners."""
    labels = np.asarray(ndimage.label(mask, np.ones((3, 3, 3)))[0])  # type: ignore[index]
    return int(labels.max())


def test_voxels_that_join_or_part_pieces_are_necks(rng: np.random.Generator) -> None:
    """Against SciPy's pieces of both phases among the 26 voxels around each."""
    smooth = ndimage.gaussian_filter(rng.standard_normal((8, 8, 8)), 0.8, mode="wrap")
    volume = (smooth > 0.0).astype(np.uint8)
    padded, expected = np.pad(volume, 1, mode="wrap"), np.zeros(volume.shape, dtype=bool)
    for x, y, z in np.ndindex(volume.shape):
        around = padded[x : x + 3, y : y + 3, z : z + 3].astype(int)
        around[1, 1, 1] = 2
        expected[x, y, z] = pieces(around == 0) != 1 or pieces(around == 1) != 1
    for axis in range(3):
        expected |= (np.roll(volume, 1, axis) != volume) & (np.roll(volume, -1, axis) != volume)
    necks = necks_at(volume, np.arange(volume.size)).reshape(volume.shape)
    np.testing.assert_array_equal(necks == 1.0, expected)
    assert 0.05 < expected.mean() < 0.9


def test_walls_of_one_and_two_voxels() -> None:
    volume = np.zeros((9, 8, 8), dtype=np.uint8)
    volume[0], volume[3:5] = 1, 1
    at = [int(np.ravel_multi_index((x, 4, 4), volume.shape)) for x in (0, 3, 5)]
    assert necks_at(volume, np.array(at)).tolist() == [1.0, 0.5, 0.0]


def test_necks_cost_more_the_higher_the_contrast_that_the_targets_see() -> None:
    pair = TwoPhase(Phase("a", 5.0, 0.3, conductivity=1.0), Phase("b", 1.0, 0.3, conductivity=1e-3))
    void = TwoPhase(Phase("a", 5.0, 0.3), Phase("void", 0.0, 0.0))
    elastic, thermal = (neck_cost(parse([text]), pair) for text in ("E_x=2", "k_x=0.3"))
    assert elastic == 1.0 and thermal > 5.0
    assert neck_cost(parse(["E_x=2", "k_x=0.3"]), pair) == thermal
    assert neck_cost(parse(["E_x=2"]), void) > thermal
