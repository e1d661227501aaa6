"""Constructions: exactly periodic, of the shape and symmetry that they are named after."""

import itertools

import numpy as np
import pytest

from vaereg.generators.shapes import (
    SURFACES,
    fibres,
    laminate,
    minimal_surface,
    spheres,
    surface_level,
    voronoi_walls,
)

SIZE = 15
MOVE = (4, 7, 11)


def moved(centres: np.ndarray) -> np.ndarray:
    """Centres after a shift by whole voxels, back into the cell."""
    return (centres + np.array(MOVE[: centres.shape[1]]) / SIZE) % 1.0


def test_moved_spheres_are_the_moved_volume(rng: np.random.Generator) -> None:
    centres, radii = rng.random((9, 3)), rng.uniform(0.5, 1.0, 9)
    volume = spheres(SIZE, centres, radii, 0.4)
    np.testing.assert_array_equal(
        spheres(SIZE, moved(centres), radii, 0.4), np.roll(volume, MOVE, axis=(0, 1, 2))
    )


@pytest.mark.parametrize("axis", range(3))
def test_moved_fibres_are_the_moved_volume(axis: int, rng: np.random.Generator) -> None:
    centres, radii = rng.random((5, 2)), rng.uniform(0.5, 1.0, 5)
    volume = fibres(SIZE, centres, radii, 0.4, axis=axis)
    plane = tuple(other for other in range(3) if other != axis)
    np.testing.assert_array_equal(
        fibres(SIZE, moved(centres), radii, 0.4, axis=axis), np.roll(volume, MOVE[:2], axis=plane)
    )


def test_moved_seeds_are_the_moved_walls(rng: np.random.Generator) -> None:
    seeds = rng.random((9, 3))
    volume = voronoi_walls(SIZE, seeds, 0.4)
    np.testing.assert_array_equal(
        voronoi_walls(SIZE, moved(seeds), 0.4), np.roll(volume, MOVE, axis=(0, 1, 2))
    )


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("periods", [(1, 1, 1), (2, 1, 3)])
def test_moved_surfaces_are_the_moved_level(surface: str, periods: tuple[int, int, int]) -> None:
    shift = np.array([0.1, 0.2, 0.3])
    level = surface_level(SIZE, surface, periods, shift.tolist())
    further = shift - np.array(MOVE) * np.array(periods) / SIZE
    np.testing.assert_allclose(
        surface_level(SIZE, surface, periods, further.tolist()),
        np.roll(level, MOVE, axis=(0, 1, 2)),
        atol=1e-12,
    )


def test_one_sphere_is_a_ball() -> None:
    size, fraction = 40, 0.2
    volume = spheres(size, np.array([[0.5, 0.5, 0.5]]), np.array([1.0]), fraction)
    radius = size * (3.0 * fraction / (4.0 * np.pi)) ** (1.0 / 3.0)
    grid = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 3, indexing="ij")) - size / 2.0
    distance = np.sqrt((grid**2).sum(axis=0))
    assert volume[distance < radius - 0.5].all()
    assert not volume[distance > radius + 0.5].any()


def test_radii_are_relative(rng: np.random.Generator) -> None:
    """Two balls that do not touch: twice the radius is eight times the volume, one cut for both."""
    volume = spheres(48, np.array([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]]), np.array([1.0, 2.0]), 0.05)
    assert volume[24:].sum() / volume[:24].sum() == pytest.approx(8.0, rel=0.1)


def test_soft_spheres_leave_what_stiff_ones_fill(rng: np.random.Generator) -> None:
    centres, radii = rng.random((9, 3)), rng.uniform(0.5, 1.0, 9)
    stiff = spheres(SIZE, centres, radii, 0.4)
    np.testing.assert_array_equal(spheres(SIZE, centres, radii, 0.6, stiff=False), 1 - stiff)


@pytest.mark.parametrize("axis", range(3))
def test_a_fibre_is_a_disc_along_its_axis(axis: int) -> None:
    size, fraction = 40, 0.3
    volume = fibres(size, np.array([[0.5, 0.5]]), np.array([1.0]), fraction, axis=axis)
    assert (volume == volume.take([0], axis=axis)).all()
    grid = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2, indexing="ij")) - size / 2.0
    distance = np.sqrt((grid**2).sum(axis=0))
    section, radius = np.moveaxis(volume, axis, 0)[0], size * np.sqrt(fraction / np.pi)
    assert section[distance < radius - 0.5].all()
    assert not section[distance > radius + 0.5].any()


@pytest.mark.parametrize("axis", range(3))
def test_a_laminate_has_the_layers_asked_for(axis: int) -> None:
    volume = np.moveaxis(laminate([2, 3, 1, 4], axis=axis, shift=1), axis, 0)
    assert (volume == volume[:, :1, :1]).all()
    assert volume[:, 0, 0].tolist() == [0, 1, 1, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("surface", SURFACES)
def test_surfaces_have_cubic_symmetry(surface: str) -> None:
    """No axis is preferred; the gyroid alone is chiral, and allows cyclic permutations only."""
    level = surface_level(12, surface, (1, 1, 1), (0.0, 0.0, 0.0))
    for order in itertools.permutations(range(3)):
        same = np.allclose(level.transpose(order), level, atol=1e-12)
        assert same == (surface != "gyroid" or order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)))


@pytest.mark.parametrize("surface", SURFACES)
def test_periods_repeat_to_the_last_bit(surface: str) -> None:
    level = surface_level(24, surface, (1, 2, 3), (0.12, 0.34, 0.56))
    assert np.array_equal(level, np.roll(level, 12, axis=1))
    assert np.array_equal(level, np.roll(level, 8, axis=2))


@pytest.mark.parametrize("surface", ["gyroid", "schwarz-p", "schwarz-d"])
def test_balanced_surfaces_halve_the_cell(surface: str) -> None:
    level = surface_level(24, surface, (1, 1, 1), (0.01, 0.02, 0.03))
    assert (level > 0).mean() == pytest.approx(0.5, abs=0.01)


def test_schwarz_d_is_the_sum_of_its_four_terms(rng: np.random.Generator) -> None:
    x, y, z = rng.uniform(0.0, 2.0 * np.pi, (3, 50))
    (sx, sy, sz), (cx, cy, cz) = np.sin([x, y, z]), np.cos([x, y, z])
    expected = sx * sy * sz + sx * cy * cz + cx * sy * cz + cx * cy * sz
    np.testing.assert_allclose(SURFACES["schwarz-d"](x, y, z), expected, atol=1e-12)


def test_a_sheet_lies_around_its_surface() -> None:
    shift = (0.01, 0.02, 0.03)
    level = surface_level(24, "gyroid", (1, 1, 1), shift)
    sheet = minimal_surface(24, "gyroid", (1, 1, 1), shift, 0.3, sheet=True)
    assert np.abs(level[sheet == 1]).max() <= np.abs(level[sheet == 0]).min()
    around = minimal_surface(24, "gyroid", (1, 1, 1), shift, 0.7, sheet=True, inverted=True)
    np.testing.assert_array_equal(around, 1 - sheet)
    skeleton = minimal_surface(24, "gyroid", (1, 1, 1), shift, 0.3)
    assert level[skeleton == 1].min() >= level[skeleton == 0].max()


def test_walls_part_the_seeds(rng: np.random.Generator) -> None:
    """A wall lies half way between two seeds, the seeds lie in the cells."""
    seeds = np.array([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]])
    volume = voronoi_walls(16, seeds, 0.25)
    assert volume.sum() == 16**3 // 4
    line = volume[:, 8, 8]
    assert line[[0, 7, 8, 15]].all() and not line[[3, 4, 11, 12]].any()
    np.testing.assert_array_equal(voronoi_walls(16, seeds, 0.75, stiff_walls=False), 1 - volume)
