"""Statistics of periodic volumes against their definitions and against shapes whose values are known."""

import numpy as np
import pytest
from scipy.spatial import SphericalVoronoi

from vaereg.generators.shapes import fibres, laminate, spheres
from vaereg.microstructure.statistics import (
    connectivity,
    correlation_lengths,
    face_density,
    lineal_path,
    specific_surface,
    two_point_correlation,
)
from vaereg.microstructure.volume import volume_fraction


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((5, 6, 7)) < 0.3).astype(np.uint8)


def test_two_point_correlation_at_lag_zero_is_the_volume_fraction(volume: np.ndarray) -> None:
    assert two_point_correlation(volume)[0, 0, 0] == pytest.approx(volume_fraction(volume), rel=1e-12)


def test_two_point_correlation_sums_to_the_number_of_pairs(volume: np.ndarray) -> None:
    expected = volume.size * volume_fraction(volume) ** 2
    assert two_point_correlation(volume).sum() == pytest.approx(expected, rel=1e-12)


def test_two_point_correlation_counts_pairs_at_each_lag(volume: np.ndarray) -> None:
    """Against the definition, by shifting the volume."""
    correlation = two_point_correlation(volume)
    for lag in np.ndindex(*volume.shape):
        shifted = np.roll(volume, [-step for step in lag], axis=(0, 1, 2))
        assert correlation[lag] == pytest.approx(np.mean(volume * shifted), abs=1e-12)


def test_two_point_correlation_does_not_see_periodic_shifts(volume: np.ndarray) -> None:
    moved = np.roll(volume, (2, 3, 4), axis=(0, 1, 2))
    assert not np.array_equal(moved, volume)
    np.testing.assert_allclose(two_point_correlation(moved), two_point_correlation(volume), atol=1e-12)


def test_correlation_length_of_random_voxels_is_a_part_of_one(rng: np.random.Generator) -> None:
    """The autocorrelation falls from one to about zero within a voxel."""
    lengths = correlation_lengths(rng.random((32, 32, 32)) < 0.4)
    np.testing.assert_allclose(lengths, 1.0 - np.exp(-1.0), atol=0.02)


def test_correlation_length_needs_both_phases() -> None:
    with pytest.raises(ValueError, match="both phases"):
        correlation_lengths(np.zeros((4, 4, 4)))


@pytest.mark.parametrize("phase", [0, 1])
def test_lineal_path_of_random_voxels_is_a_power(phase: int, rng: np.random.Generator) -> None:
    volume = rng.random((40, 40, 40)) < 0.7
    fraction = (volume == phase).mean()
    expected = fraction ** np.arange(1, 6)
    np.testing.assert_allclose(lineal_path(volume, phase)[:, :5], np.tile(expected, (3, 1)), atol=0.01)


def test_lineal_path_of_a_laminate() -> None:
    """Across layers of 3 and 5 voxels it falls linearly, each layer on its own; along them it does not."""
    path = lineal_path(laminate([3, 5, 5, 3], axis=0))
    assert path.shape == (3, 16)
    steps = np.arange(16)
    across = (np.maximum(3 - steps, 0) + np.maximum(5 - steps, 0)) / 16.0
    np.testing.assert_allclose(path[0], across, atol=1e-12)
    np.testing.assert_allclose(path[1:], 0.5, atol=1e-12)


def test_lineal_path_counts_segments(volume: np.ndarray) -> None:
    """Against the definition; segments go on in the next copy of the cell."""
    path = lineal_path(volume, 0)
    assert path.shape == (3, 7)
    for axis, step in [(0, 0), (0, 3), (1, 1), (2, 2), (2, 6)]:
        segment = [np.roll(volume, -shift, axis) == 0 for shift in range(step + 1)]
        assert path[axis, step] == pytest.approx(np.mean(np.all(segment, axis=0)), abs=1e-12)
    assert path[:, 0] == pytest.approx(1.0 - volume_fraction(volume))


def test_face_density_counts_faces(rng: np.random.Generator) -> None:
    assert face_density(laminate([4, 4, 2, 6], axis=1)) == pytest.approx(4.0 / 16.0)
    assert face_density(np.indices((8, 8, 8)).sum(0) % 2) == 3.0
    assert face_density(np.ones((4, 4, 4))) == 0.0
    noise = rng.random((40, 40, 40)) < 0.3
    assert face_density(noise) == pytest.approx(6.0 * 0.3 * 0.7, rel=0.02)


def test_surface_of_a_sphere_and_its_voxel_faces() -> None:
    """The faces cover the disc twice along each axis: 6 pi r² instead of the area 4 pi r²."""
    for size in (24, 32, 48, 64):
        radius = 0.36 * size
        fraction = 4.0 * np.pi * radius**3 / (3.0 * size**3)
        ball = spheres(size, np.array([[0.5, 0.47, 0.44]]), np.ones(1), fraction)
        assert specific_surface(ball) == pytest.approx(4.0 * np.pi * radius**2 / size**3, rel=0.02)
        assert face_density(ball) == pytest.approx(6.0 * np.pi * radius**2 / size**3, rel=0.03)


@pytest.mark.parametrize("normal", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0)])
def test_surface_of_planes(normal: tuple[int, int, int]) -> None:
    """Planes are crossed by |n d| lines per area; the sum over 13 directions stands for the mean over all."""
    size = 40
    place = np.tensordot(np.array(normal), np.indices((size,) * 3), 1) % size
    steps = np.array([step for step in np.ndindex(3, 3, 3) if step != (1, 1, 1)]) - 1.0
    directions = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    shares = SphericalVoronoi(directions).calculate_areas() / (4.0 * np.pi)
    bias = 2.0 * (shares * np.abs(directions @ normal)).sum() / np.linalg.norm(normal)
    exact = 2.0 * np.linalg.norm(normal) / size
    assert specific_surface(place < size // 2) == pytest.approx(bias * exact, rel=1e-6)
    assert 0.92 < bias < 1.02


def test_surface_neither_sees_shifts_nor_phases(rng: np.random.Generator) -> None:
    noise = (rng.random((8, 9, 10)) < 0.3).astype(np.uint8)
    moved = np.roll(noise, (3, 4, 5), (0, 1, 2))
    assert specific_surface(moved) == pytest.approx(specific_surface(noise), rel=1e-12)
    assert specific_surface(1 - noise) == pytest.approx(specific_surface(noise), rel=1e-12)
    assert specific_surface(np.ones((4, 4, 4))) == 0.0


def test_an_inclusion_does_not_percolate_and_its_matrix_does() -> None:
    ball = spheres(16, np.zeros((1, 3)), np.ones(1), 0.2)  # cut into eight by the faces of the cell
    inclusion, matrix = connectivity(ball, 1), connectivity(ball, 0)
    assert (inclusion.largest, inclusion.percolates) == (1.0, (False, False, False))
    assert (matrix.largest, matrix.percolates) == (1.0, (True, True, True))


def test_fibres_and_layers_percolate_along_themselves() -> None:
    centres = np.array([[0.0, 0.25], [0.5, 0.75]])
    rods = connectivity(fibres(16, centres, np.ones(2), 0.1875, axis=1))
    assert (rods.largest, rods.percolates) == (0.5, (False, True, False))
    layers = connectivity(laminate([2, 2, 6, 6], axis=2))
    assert (layers.largest, layers.percolates) == (0.75, (True, True, False))


def test_clusters_are_of_shared_faces() -> None:
    checkerboard = np.indices((4, 4, 4)).sum(0) % 2
    clusters = connectivity(checkerboard)
    assert (clusters.largest, clusters.percolates) == (1.0 / 32.0, (False, False, False))


def test_a_diagonal_strand_percolates_along_both_its_axes() -> None:
    """It leaves the cell through one face and comes back through another."""
    strand = np.zeros((6, 6, 6), dtype=np.uint8)
    for step in range(6):
        strand[step, step, 2] = strand[(step + 1) % 6, step, 2] = 1
    assert connectivity(strand).percolates == (True, True, False)
    # cut once, it touches two opposite faces of the cell, but meets itself no more
    strand[3, 3, 2] = 0
    clusters = connectivity(strand)
    assert (clusters.largest, clusters.percolates) == (1.0, (False, False, False))


def test_a_strand_that_shifts_from_copy_to_copy_percolates() -> None:
    """It ends in the middle of the face through which it comes back: only two cells on it meets itself."""
    strand = np.zeros((4, 4, 4), dtype=np.uint8)
    strand[:, 0, 0] = 1
    strand[3, 1:3, 0] = strand[:, 2, 0] = strand[3, 3, 0] = 1
    assert connectivity(strand).percolates == (True, True, False)


def test_connectivity_does_not_see_periodic_shifts(rng: np.random.Generator) -> None:
    noise = (rng.random((12, 12, 12)) < 0.33).astype(np.uint8)
    expected = connectivity(noise)
    for shift in [(1, 0, 0), (3, 5, 7), (6, 6, 6)]:
        assert connectivity(np.roll(noise, shift, (0, 1, 2))) == expected


def test_an_absent_phase_has_no_clusters() -> None:
    clusters = connectivity(np.zeros((4, 4, 4)), 1)
    assert (clusters.largest, clusters.percolates) == (0.0, (False, False, False))
