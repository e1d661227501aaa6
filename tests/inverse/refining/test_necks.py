"""Necks: flips that join or part pieces of a phase, and what they cost."""

import numpy as np
from scipy import ndimage

from vaereg.inverse.refining.effects import Effects
from vaereg.inverse.refining.flips import Ratios, choose_flips, neck_cost
from vaereg.inverse.refining.necks import flips_apart, necks_at
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


def test_flips_on_both_sides_of_a_wall_are_no_flips_apart() -> None:
    """Of two voxels that thin a wall of two, the second would open it; elsewhere both may flip."""
    volume = np.zeros((9, 8, 8), dtype=np.uint8)
    volume[3:5] = 1

    def at(*place: int) -> int:
        return int(np.ravel_multi_index(place, volume.shape))

    both, beside = [at(3, 4, 4), at(4, 4, 4)], [at(3, 1, 1), at(4, 6, 6)]
    assert flips_apart(volume, np.array(both)).sum() == 1
    assert flips_apart(volume, np.array(beside)).all()
    assert flips_apart(volume, np.array(both + beside)).sum() == 3
    sets = np.array([0, 0, 1, 1])
    assert flips_apart(volume, np.array(both + beside), sets).tolist() == [False, False, True, True]
    alone = volume.copy()
    alone[4] = 0  # a wall of one voxel: what opens it by itself is left to its cost
    assert flips_apart(alone, np.array([at(3, 4, 4), at(3, 1, 1)])).all()


def test_chosen_flips_open_no_neck_together(rng: np.random.Generator) -> None:
    """Of walls of two voxels with flips on both sides wanted, none is opened at a high contrast."""
    volume = np.zeros((8, 8, 8), dtype=np.uint8)
    volume[2:4] = 1
    effects = Effects(
        estimated=rng.uniform(0.5, 1.5, (1, volume.size)),
        exact=np.zeros(1),
        necks=necks_at(volume, np.arange(volume.size)),
    )
    ratios = Ratios(mean=np.ones((1, 2)), covariance=np.zeros((1, 2, 2)))
    walls = []
    for necks in (1.0, 2.0):  # of a low and of a high contrast
        flips = choose_flips(
            volume, effects, ratios, np.array([-40.0]), np.array([-39.0]), np.ones(1), necks=necks, trust=0.2
        )
        assert flips is not None
        walls.append(flips.applied(volume).any(axis=0))
    assert not walls[0].all() and walls[1].all()


def test_necks_cost_more_the_higher_the_contrast_that_the_targets_see() -> None:
    pair = TwoPhase(Phase("a", 5.0, 0.3, conductivity=1.0), Phase("b", 1.0, 0.3, conductivity=1e-3))
    void = TwoPhase(Phase("a", 5.0, 0.3), Phase("void", 0.0, 0.0))
    elastic, thermal = (neck_cost(parse([text]), pair) for text in ("E_x=2", "k_x=0.3"))
    assert elastic == 1.0 and thermal > 1.5
    assert neck_cost(parse(["E_x=2", "k_x=0.3"]), pair) == thermal
    assert neck_cost(parse(["E_x=2"]), void) > thermal
