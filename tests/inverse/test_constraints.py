"""Constraints against an independent check with scipy.ndimage, and volumes changed to meet them."""

import numpy as np
import pytest
from scipy import ndimage

from vaereg.errors import InputError
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse import features
from vaereg.inverse.constraints import (
    Constraints,
    check,
    clusters,
    meet,
    satisfied,
)
from vaereg.inverse.features import ball, least_feature, opened
from vaereg.microstructure.symmetry import is_symmetric

SIZE = 10


def volumes(count: int, seed: int = 0) -> list[np.ndarray]:
    """Volumes of all morphologies in turn, with a little noise in every third."""
    rng = np.random.default_rng(seed)
    names = list(MORPHOLOGIES)
    made = []
    for place in range(count):
        volume = sample(names[place % len(names)], SIZE, relative=True, generator=rng).volume
        if place % 3 == 0:
            volume = volume ^ (rng.random(volume.shape) < 0.003).astype(np.uint8)
        made.append(volume)
    return made


def open_by_scipy(mask: np.ndarray, diameter: int) -> np.ndarray:
    edge = diameter
    place = np.arange(edge) - (edge - 1) / 2
    structure = (place[:, None, None] ** 2 + place[:, None] ** 2 + place**2) <= (diameter / 2) ** 2 + 1e-9
    if not structure.any():
        structure[:] = True
    width = 2 * edge
    padded = np.pad(mask, width, mode="wrap")
    inside = ndimage.binary_opening(padded, structure)[width:-width, width:-width, width:-width]
    return inside


def count_by_scipy(mask: np.ndarray) -> int:
    """Clusters of a periodic set: labels of the cell joined across its faces, as a graph."""
    labels, count = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    pairs = []
    for axis in range(3):
        first, last = np.take(labels, 0, axis), np.take(labels, -1, axis)
        both = (first > 0) & (last > 0)
        pairs.append(np.stack([first[both], last[both]]))
    a, b = np.concatenate(pairs, axis=1)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(count + 1, count + 1))
    return int(connected_components(graph, directed=False)[0]) - 1


def percolates_by_scipy(mask: np.ndarray, axes: str) -> bool:
    """Whether one cluster joins a voxel with images of it further on along each axis, in 4 x 4 x 4 cells."""
    tiled, _ = ndimage.label(np.tile(mask, (4, 4, 4)))  # pyright: ignore[reportGeneralTypeIssues]
    n = mask.shape[0]
    blocks = tiled.reshape(4, n, 4, n, 4, n).transpose(0, 2, 4, 1, 3, 5)
    middle = blocks[1, 1, 1]
    images = blocks == middle
    joined = middle > 0
    for axis in axes:
        along = np.moveaxis(images, "xyz".index(axis), 0)
        joined &= along[[0, 2, 3]].any(axis=(0, 1, 2))
    return bool(joined.any())


@pytest.mark.parametrize("part", range(4))
def test_constraints_agree_with_scipy(part: int) -> None:
    """On 200 volumes in all."""
    limits = Constraints(
        min_feature_stiff=2.0 + part % 3,
        min_feature_soft=3.0,
        connected={"stiff": "xyz", "soft": "xz"},
        no_islands=True,
        no_closed_pores=True,
    )
    seen = set()
    for volume in volumes(50, part):
        stiff = volume == 1
        report = {result.name: result.met for result in check(volume, limits).results}
        expected = {
            "min_feature_stiff": np.array_equal(open_by_scipy(stiff, 2 + part % 3), stiff),
            "min_feature_soft": np.array_equal(open_by_scipy(~stiff, 3), ~stiff),
            "connected_soft": percolates_by_scipy(~stiff, "xz"),
            "connected_stiff": percolates_by_scipy(stiff, "xyz"),
            "no_islands": count_by_scipy(stiff) == 1,
            "no_closed_pores": count_by_scipy(~stiff) == 1,
        }
        assert report == expected
        assert tuple(report) == limits.names
        seen |= set(expected.items())
    assert len(seen) >= 9, "the volumes must meet, and not meet, nearly every constraint for this test"


@pytest.mark.parametrize("diameter", [1, 2, 3, 4, 5])
def test_opening_agrees_with_scipy(diameter: int, rng: np.random.Generator) -> None:
    mask = ndimage.gaussian_filter(rng.standard_normal((14, 15, 16)), 1.2, mode="wrap") > 0
    np.testing.assert_array_equal(opened(mask, diameter), open_by_scipy(mask, diameter))


def test_balls() -> None:
    assert [len(ball(diameter)) for diameter in (1, 2, 3, 4)] == [1, 8, 19, 32]


def test_least_feature_of_known_bodies() -> None:
    volume = np.zeros((16, 16, 16), dtype=np.uint8)
    volume[3:7] = 1
    assert (least_feature(volume, "stiff"), least_feature(volume, "soft")) == (4, 8)
    volume[9, 4, 4] = 1
    assert least_feature(volume, "stiff") == 1
    assert least_feature(np.zeros_like(volume), "stiff") == 0


def test_clusters_across_the_faces() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[0, 0, 0] = mask[-1, 0, 0] = mask[3, 3, 3] = True
    numbers = clusters(mask)
    assert numbers[0, 0, 0] == numbers[-1, 0, 0] > 0 and numbers[3, 3, 3] not in (0, numbers[0, 0, 0])
    assert numbers.max() == 2 and numbers[1, 1, 1] == 0


@pytest.mark.parametrize(
    "limits",
    [
        Constraints(min_feature_stiff=2.0, min_feature_soft=2.0),
        Constraints(no_islands=True, no_closed_pores=True),
        Constraints(symmetry="cubic", volume_fraction=(0.4, 0.45)),
        Constraints(symmetry="orthotropic", min_feature_stiff=2.0, no_islands=True),
        Constraints(volume_fraction=(0.35, 0.35), min_feature_soft=2.0),
    ],
    ids=["features", "clusters", "cubic", "orthotropic", "fraction"],
)
def test_volumes_are_changed_to_meet_constraints(limits: Constraints) -> None:
    """Most small volumes can be changed to meet them, by the check; both phases stay."""
    met = []
    for volume in volumes(13, 5):
        changed = meet(volume, limits)
        assert 0 < changed.mean() < 1
        met.append(satisfied(changed, limits))
        if satisfied(volume, limits):
            np.testing.assert_array_equal(changed, volume)
    assert np.mean(met) >= 0.6


def test_every_result_says_what_was_found() -> None:
    volume = np.zeros((8, 8, 8), dtype=np.uint8)
    volume[:2] = 1
    volume[5, 5, 5] = 1
    limits = Constraints(
        min_feature_stiff=2.0,
        connected={"stiff": "xyz"},
        no_islands=True,
        symmetry="cubic",
        volume_fraction=(0.4, 0.5),
    )
    assert [str(result) for result in check(volume, limits).results] == [
        "min_feature_stiff: not met, 1 voxels of the stiff phase lie in no ball of 2 voxels, none may",
        "connected_stiff: not met, one cluster of the stiff phase percolates along yz, wanted xyz",
        "no_islands: not met, 2 clusters of the stiff phase, at most 1 wanted",
        "symmetry: not met, not cubic",
        "volume_fraction: not met, 0.2520, wanted 0.4000 to 0.5000",
    ]


def test_constraints_survive_a_file() -> None:
    limits = Constraints(
        min_feature_soft=2.5, connected={"stiff": "xy"}, symmetry="tetragonal", volume_fraction=(0.2, 0.4)
    )
    assert Constraints.from_json(limits.to_json()) == limits
    assert Constraints.from_json({}) == Constraints() and not Constraints()
    assert is_symmetric(meet(volumes(1)[0], Constraints(symmetry="cubic")), "cubic")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"min_feature_stiff": -1.0}, "0 voxels or more"),
        ({"connected": {"hard": "x"}}, "phase of stiff, soft"),
        ({"connected": {"stiff": "w"}}, "axes of x, y, z"),
        ({"symmetry": "round"}, "expected a symmetry of none"),
        ({"volume_fraction": [0.5, 0.2]}, "volume fractions low:high"),
        ({"volume_fraction": 3}, "expected constraints by name"),
        ({"colour": "red"}, "expected constraints by name"),
    ],
)
def test_constraints_that_are_refused(stored: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Constraints.from_json(stored)


def test_a_slanted_sheet_is_not_joined_to_its_copies_along_an_axis() -> None:
    x, y, _ = np.indices((8, 8, 8))
    sheet = ((x - y) % 8 < 2).astype(np.uint8)
    assert not satisfied(sheet, Constraints(connected={"stiff": "xy"}))
    assert not satisfied(sheet, Constraints(connected={"stiff": "xyz"}))
    for axes in ("x", "y", "z", "xz", "yz"):
        assert satisfied(sheet, Constraints(connected={"stiff": axes}))
    joined = sheet | ((x + y) % 8 < 2).astype(np.uint8)
    assert satisfied(joined, Constraints(connected={"stiff": "xyz"}))


@pytest.mark.parametrize("symmetry", ["none", "cubic"])
def test_a_phase_that_does_not_percolate_is_joined_by_short_paths(symmetry: str) -> None:
    volume = np.zeros((12, 12, 12), dtype=np.uint8)
    volume[3:9, 3:9, 3:9] = 1
    limits = Constraints(connected={"stiff": "xyz"}, no_islands=True, symmetry=symmetry)
    changed = meet(volume, limits)
    assert satisfied(changed, limits) and not satisfied(volume, limits)
    assert 18 <= (changed != volume).sum() <= (18 if symmetry == "none" else 6 * 3 * 4)
    slab = np.zeros((8, 8, 8), dtype=np.uint8)
    slab[:2] = 1
    joined = meet(slab, Constraints(connected={"stiff": "xyz"}))
    assert satisfied(joined, Constraints(connected={"stiff": "xyz"})) and (joined != slab).sum() == 6


@pytest.mark.parametrize("shape", [(14, 12, 10), (5, 4, 64), (4, 5, 70)])
@pytest.mark.parametrize("diameter", [2.0, 3.0, 4.0, 6.5, 9.0])
def test_openings_by_words_and_by_convolution_are_those_by_shifts(
    diameter: float, shape: tuple[int, ...], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0, mode="wrap") > -0.01
    by_convolution, by_default = features._opened_by_fft(mask, diameter), features.opened(mask, diameter)
    monkeypatch.setattr(features, "_WORD", 0)
    monkeypatch.setattr(features, "_ROLLED", 10**6)
    by_shifts = features.opened(mask, diameter)
    np.testing.assert_array_equal(by_convolution, by_shifts)
    np.testing.assert_array_equal(by_default, by_shifts)


def test_features_that_do_not_fit_a_cell_are_refused() -> None:
    Constraints(min_feature_stiff=12.0, min_feature_soft=4.0).check_size(16)
    with pytest.raises(
        InputError, match="fit beside each other in 16 voxels, got 12 voxels of the stiff and 5"
    ):
        Constraints(min_feature_stiff=12.0, min_feature_soft=5.0).check_size(16)
