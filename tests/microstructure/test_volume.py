"""Two-phase volumes: what is one, and the statistics that define it."""

import numpy as np
import pytest

from vaereg.generators.shapes import fibres, laminate, spheres
from vaereg.microstructure.statistics import (
    connectivity,
    correlation_lengths,
    lineal_path,
    specific_surface,
    two_point_correlation,
)
from vaereg.microstructure.volume import as_two_phase, pack_bits, unpack_bits, volume_fraction


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


def test_volume_fraction_is_the_share_of_stiff_voxels() -> None:
    volume = np.zeros((4, 4, 4), dtype=np.uint8)
    volume[:1] = 1
    assert volume_fraction(volume) == 0.25


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
        whole = [np.roll(volume, -each, axis) == 0 for each in range(step + 1)]
        assert path[axis, step] == pytest.approx(np.mean(np.all(whole, axis=0)), abs=1e-12)
    assert path[:, 0] == pytest.approx(1.0 - volume_fraction(volume))


def test_specific_surface_of_known_interfaces(rng: np.random.Generator) -> None:
    assert specific_surface(laminate([4, 4, 2, 6], axis=1)) == pytest.approx(4.0 / 16.0)
    assert specific_surface(np.indices((8, 8, 8)).sum(0) % 2) == 3.0
    assert specific_surface(np.ones((4, 4, 4))) == 0.0
    noise = rng.random((40, 40, 40)) < 0.3
    assert specific_surface(noise) == pytest.approx(6.0 * 0.3 * 0.7, rel=0.02)


def test_specific_surface_of_a_sphere() -> None:
    """Seen along each axis the faces cover the disc twice: 6 pi r² in place of 4 pi r²."""
    fraction, size = 0.2, 48
    radius = size * (3.0 * fraction / (4.0 * np.pi)) ** (1.0 / 3.0)
    ball = spheres(size, np.array([[0.5, 0.5, 0.5]]), np.ones(1), fraction)
    assert specific_surface(ball) == pytest.approx(6.0 * np.pi * radius**2 / size**3, rel=0.03)


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
    found = connectivity(checkerboard)
    assert (found.largest, found.percolates) == (1.0 / 32.0, (False, False, False))


def test_a_diagonal_strand_percolates_along_both_its_axes() -> None:
    """It leaves the cell through one face and comes back through another."""
    strand = np.zeros((6, 6, 6), dtype=np.uint8)
    for step in range(6):
        strand[step, step, 2] = strand[(step + 1) % 6, step, 2] = 1
    assert connectivity(strand).percolates == (True, True, False)
    # cut once, it touches two opposite faces of the cell, but meets itself no more
    strand[3, 3, 2] = 0
    found = connectivity(strand)
    assert (found.largest, found.percolates) == (1.0, (False, False, False))


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
    found = connectivity(np.zeros((4, 4, 4)), 1)
    assert (found.largest, found.percolates) == (0.0, (False, False, False))


def test_packing_has_the_bit_order_of_numpy() -> None:
    volume = np.zeros((1, 2, 2, 2), dtype=np.uint8)
    volume[0, 0, 0, 0] = volume[0, 1, 1, 1] = 1
    assert pack_bits(volume).tolist() == [[0b10000001]]


@pytest.mark.parametrize("shape", [(3, 4, 4, 4), (2, 3, 3, 3), (1, 1, 2, 5)])
def test_unpacking_undoes_packing(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    volumes = rng.integers(0, 2, shape, dtype=np.uint8)
    packed = pack_bits(volumes)
    assert packed.shape == (shape[0], -(-int(np.prod(shape[1:])) // 8))
    np.testing.assert_array_equal(unpack_bits(packed, shape[1:]), volumes)


def test_packing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(N, X, Y, Z\), got .*\(4, 4, 4\)"):
        pack_bits(np.zeros((4, 4, 4)))
    with pytest.raises(ValueError, match=r"\(N, 8\), got .*\(2, 7\)"):
        unpack_bits(np.zeros((2, 7), dtype=np.uint8), (4, 4, 4))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_types_of_phases_that_are_two_phase(dtype: type, volume: np.ndarray) -> None:
    checked = as_two_phase(np.asfortranarray(volume.astype(dtype)))
    assert checked.dtype == np.uint8
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, volume)


def test_a_single_phase_is_allowed() -> None:
    assert as_two_phase(np.ones((2, 2, 2))).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"\(X, Y, Z\), got .*\(4, 4\)"),
        (np.zeros((0, 4, 4)), r"at least one voxel, got .*\(0, 4, 4\)"),
        (np.full((2, 2, 2), 0.5), r"0 and 1 only, got .*: 0\.5$"),
        (np.arange(8).reshape(2, 2, 2), r"0 and 1 only, got .*: 2, 3, 4, 5, \.\.\.$"),
        (np.full((2, 2, 2), 255, dtype=np.uint8), r"got .*: 255$"),
        (np.full((2, 2, 2), np.nan), "not finite"),
        (np.full((2, 2, 2), 1j), "bool, integer or float type, got complex128"),
        (np.full((2, 2, 2), "1"), "bool, integer or float type, got <U1"),
    ],
)
def test_what_is_not_two_phase(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_two_phase(array)
