"""Descriptors of morphologies: symmetries, sizes, and volumes whose descriptors are known."""

import time
from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from vaereg.generators.families import generate
from vaereg.generators.fields import gaussian_field
from vaereg.generators.shapes import laminate, spheres
from vaereg.microstructure.descriptors import (
    DESCRIPTOR_NAMES,
    describe_morphologies,
    describe_morphology,
    phase_distances,
)

ROUNDED = ("spectrum", "shell", "local")
"""Descriptors that sum numbers which are rounded."""


def volume_of(family: str, size: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    return generate(family, size, generator=np.random.default_rng(seed)).volume


def named(volume: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(DESCRIPTOR_NAMES, describe_morphology(volume).tolist(), strict=True))


def assert_same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
    item, other = named(first), named(second)
    for name, value in item.items():
        if name.startswith(ROUNDED):
            assert other[name] == pytest.approx(value, abs=1e-11), name
        else:
            assert other[name] == value, name


def test_names_are_unique_and_finite_values_go_with_them() -> None:
    assert len(set(DESCRIPTOR_NAMES)) == len(DESCRIPTOR_NAMES) == 132
    families = ("gaussian-free", "spheres", "fibres", "laminate", "minimal-surface", "voronoi")
    rows = describe_morphologies([volume_of(name) for name in families])
    assert rows.shape == (len(families), len(DESCRIPTOR_NAMES))
    assert np.isfinite(rows).all()
    assert describe_morphologies([]).shape == (0, len(DESCRIPTOR_NAMES))


@pytest.mark.parametrize("family", ["gaussian-free", "fibres", "voronoi", "laminate", "minimal-surface"])
def test_exchanged_reversed_and_shifted_axes_change_nothing(family: str) -> None:
    volume = volume_of(family)
    for order in permutations(range(3)):
        assert_same(volume, volume.transpose(order))
    for flips in product((1, -1), repeat=3):
        assert_same(volume, volume[:: flips[0], :: flips[1], :: flips[2]])
    for shift in [(1, 0, 0), (3, 5, 7), (8, 8, 8)]:
        assert_same(volume, np.roll(volume, shift, (0, 1, 2)))


def test_axes_of_unlike_lengths_may_be_exchanged() -> None:
    volume = volume_of("gaussian-equiaxed", 24)[:12, :18]
    for order in permutations(range(3)):
        assert_same(volume, volume.transpose(order))


def test_axes_that_tie_in_their_surface_are_still_told_apart() -> None:
    """Bars along z of sections 2 × 2, in pairs along x: as many faces normal to x as to y."""
    volume = np.zeros((12, 12, 12), np.uint8)
    volume[1:3, 1:3] = volume[5:7, 1:3] = 1
    assert named(volume)["surface most"] == named(volume)["surface middle"] == 0.5
    assert_same(volume, volume.transpose(1, 0, 2))


def test_phases_exchange_with_the_material() -> None:
    volume = volume_of("spheres")
    first, other = named(volume), named(1 - volume)
    for name, value in first.items():
        if "soft" in name:
            assert other[name.replace("soft", "stiff")] == pytest.approx(value, abs=1e-12), name
        elif name.startswith(("two-point", "shell", "surface", "spectrum")):
            assert other[name] == pytest.approx(value, abs=1e-9), name


def test_laminate_of_one_pair() -> None:
    """Layers of 4 stiff and 12 soft voxels.

    2/16 of the neighbours along one axis are unlike, 1/24 in the mean: the correlation length is 9, the mean
    chord of the soft phase 36 and that of the stiff phase 12 voxels.
    """
    row = named(laminate([4, 12], axis=1))
    assert [row[f"surface {axis}"] for axis in ("most", "middle", "least")] == [1.0, 0.0, 0.0]
    assert row["two-point 0.5 most"] == pytest.approx((0.0 - 1 / 16) / (3 / 16))
    assert row["two-point 6 middle"] == pytest.approx(1.0)
    assert row["path stiff 0.5 most"] == 0.0  # a segment of 6 steps in a layer of 4
    assert row["path soft 0.5 most"] == 0.0
    assert row["path stiff 5 least"] == row["path soft 5 middle"] == 1.0
    assert row["chord stiff most"] == row["chord soft least"] == 0.0
    assert row["distance mean stiff"] == pytest.approx((1 + 2 + 2 + 1) / 4 / 12)
    assert row["distance 1 stiff"] == pytest.approx(2 / 1.5)
    assert row["euler soft"] == row["euler stiff"] == 0.0
    assert row["percolation soft"] == row["percolation stiff"] == 2.0
    assert row["largest soft"] == row["largest stiff"] == 1.0
    assert row["clusters stiff"] == pytest.approx(np.log1p(12**3 / 16**3))
    patterns = [value for name, value in row.items() if name.startswith("pattern")]
    assert sorted(patterns)[-2:] == [0.0, 1.0]  # four stiff voxels in a plane, nothing else


def test_balls_are_counted_by_euler_number_and_clusters() -> None:
    centres = np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])
    volume = spheres(32, centres, np.ones(2), 0.1)
    row = named(volume)
    unlike = sum((volume != np.roll(volume, 1, axis)).mean() for axis in range(3)) / 3
    chord = 2 * volume.mean() / unlike  # of a ball: 4/3 of its radius
    assert chord == pytest.approx(4 / 3 * (0.3 * 32**3 / (8 * np.pi)) ** (1 / 3), rel=0.1)
    assert row["euler stiff"] == pytest.approx(np.arcsinh(2 * chord**3 / 32**3))
    assert row["clusters stiff"] == pytest.approx(np.log1p(2 * chord**3 / 32**3))
    assert row["largest stiff"] == pytest.approx(0.5, abs=0.002)
    assert (row["percolation stiff"], row["percolation soft"]) == (0.0, 3.0)
    # the distance 1 - u to the surface of a ball has the density 3 u²
    assert row["distance skewness stiff"] == pytest.approx(0.86, abs=0.25)  # least distance: 1 voxel
    assert row["surface most"] == row["surface least"] == pytest.approx(1 / 3)


def test_euler_number_of_a_torus_and_a_hollow_ball() -> None:
    ring = np.zeros((12, 12, 12), np.uint8)
    ring[2:9, 2:9, 5:7] = 1
    ring[4:7, 4:7] = 0
    shell = np.zeros((12, 12, 12), np.uint8)
    shell[2:9, 2:9, 2:9] = 1
    shell[4:7, 4:7, 4:7] = 0
    assert named(ring)["euler stiff"] == 0.0
    assert np.sinh(named(shell)["euler stiff"]) > 0.0
    unlike = sum((shell != np.roll(shell, 1, axis)).mean() for axis in range(3)) / 3
    chord = 2 * shell.mean() / unlike
    assert np.sinh(named(shell)["euler stiff"]) == pytest.approx(2 * chord**3 / 12**3)


def test_interfaces_of_layers_rods_and_balls_have_one_two_and_three_directions() -> None:
    size, radius = 32, 5.0
    offsets = np.arange(size) - 15.5
    squares = np.stack(np.meshgrid(offsets**2, offsets**2, offsets**2, indexing="ij"))
    directions = []
    for axes in (1, 2, 3):
        row = named((squares[:axes].sum(0) < radius**2).astype(np.uint8))
        directions.append([row["local most stiff mean"], row["local least stiff mean"]])
    layer, rod, ball = directions
    assert layer == pytest.approx([1.0, 0.0], abs=1e-9)
    assert rod[0] < 0.8 and rod[1] == pytest.approx(0.0, abs=1e-9)
    assert ball[0] < rod[0] and ball[1] > 0.15


def test_checkerboard() -> None:
    """Every voxel is a cluster, every chord a voxel long, and every 2x2x2 voxels are of one kind."""
    x, y, z = np.indices((8, 8, 8))
    row = named(((x + y + z) % 2).astype(np.uint8))
    assert row["two-point least most"] == pytest.approx(-1.0)
    assert row["path stiff 0.5 most"] == pytest.approx(0.5)
    assert row["path stiff 1 most"] == row["chord stiff most"] == row["distance spread stiff"] == 0.0
    assert row["distance mean stiff"] == 1.0
    assert row["clusters stiff"] == pytest.approx(np.log1p(0.5))
    assert row["euler stiff"] == pytest.approx(
        np.arcsinh(0.5)
    )  # nodes - edges + faces - cubes of 26 neighbours
    assert sorted(value for name, value in row.items() if name.startswith("pattern"))[-2:] == [0.0, 1.0]


def test_finer_voxels_of_the_same_structure_change_little() -> None:
    """Voxels split 2×2×2: curves are the same to rounding, distances and shells nearly so."""
    volume = volume_of("gaussian-equiaxed", 16, seed=3)
    coarse, fine = named(volume), named(volume.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    for name, value in coarse.items():
        if name.startswith(("two-point", "surface", "path", "euler", "largest", "percolation", "clusters")):
            assert fine[name] == pytest.approx(value, abs=1e-9), name
        elif name.startswith(("chord", "shell mean", "distance spread", "spectrum modes")):
            assert fine[name] == pytest.approx(value, abs=0.25), name


def test_larger_cells_of_the_same_lengths_are_described_alike() -> None:
    """Gaussian fields: the means of two sizes differ by less than single cells of the smaller size do."""

    def cells(size: int, count: int) -> NDArray[np.float64]:
        seeds = [np.random.default_rng([size, seed]) for seed in range(count)]
        return describe_morphologies(gaussian_field(size, (1.5,) * 3, 0.5, generator=seed) for seed in seeds)

    small, large = cells(24, 24), cells(48, 6)
    spread = small.std(axis=0) + 0.01
    distance = np.abs(large.mean(axis=0) - small.mean(axis=0)) / spread
    assert np.median(distance) < 0.5
    far = [name for name, value in zip(DESCRIPTOR_NAMES, distance, strict=True) if value > 2.0]
    assert len(far) < 6, far


def test_distances_are_periodic() -> None:
    inside = np.ones((9, 9, 9), bool)
    inside[0, 0, 0] = False
    x, y, z = (np.minimum(i, 9 - i) for i in np.indices(inside.shape))
    np.testing.assert_allclose(phase_distances(inside), np.sqrt(x**2 + y**2 + z**2))


def test_a_volume_is_described_in_reasonable_time() -> None:
    volume = volume_of("gaussian-free", 32)
    describe_morphology(volume)
    begin = time.process_time()
    describe_morphology(volume)
    assert time.process_time() - begin < 0.6  # 0.05 s alone on a core


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.ones((4, 4, 4)), "both phases, got a single one"),
        (np.zeros((4, 4)), r"shape \(X, Y, Z\)"),
        (np.full((4, 4, 4), 0.5), "phases 0 and 1 only"),
    ],
)
def test_volumes_that_cannot_be_described(volume: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe_morphology(volume)
