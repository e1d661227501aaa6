"""Grey values and labels to phases, crops, blocks, and faces that do not fit together."""

import numpy as np
import pytest

from vaereg.microstructure.segmentation import (
    Segmentation,
    crop,
    face_mismatch,
    histogram,
    labels,
    otsu_threshold,
    split_blocks,
)


def test_otsu_parts_two_peaks(rng: np.random.Generator) -> None:
    values = np.concatenate([rng.normal(50, 8, 4000), rng.normal(170, 8, 2000)])
    assert 75 < otsu_threshold(values) < 145
    assert otsu_threshold(np.array([0, 0, 1])) == 0.5
    assert 10 < otsu_threshold(np.array([10, 10, 200], np.uint8)) < 200
    with pytest.raises(ValueError, match="different values to find a threshold"):
        otsu_threshold(np.full(8, 3.0))


def test_otsu_is_the_best_of_all_thresholds(rng: np.random.Generator) -> None:
    values = rng.integers(0, 40, 500)

    def within(level: float) -> float:
        parts = [part for part in (values[values <= level], values[values > level]) if len(part)]
        return sum(len(part) * part.var() for part in parts)

    assert within(otsu_threshold(values)) == pytest.approx(min(within(level + 0.5) for level in range(39)))
    assert otsu_threshold(values > 20) == 0.5


def test_thresholds_labels_and_order() -> None:
    grey = np.array([[[0, 3], [5, 9]]])
    assert Segmentation(threshold=4).apply(grey, name="a").ravel().tolist() == [0, 0, 1, 1]
    assert Segmentation(threshold=4, swap=True).apply(grey, name="a").ravel().tolist() == [1, 1, 0, 0]
    assert Segmentation(stiff=[3, 9]).apply(grey, name="a").ravel().tolist() == [0, 1, 0, 1]
    assert Segmentation().apply(grey, name="a") is grey
    single = np.array([[[0.1, 0.7]]], np.float32)
    assert Segmentation(stiff=[0.7]).apply(single, name="a").ravel().tolist() == [0, 1]
    for segmentation, message in (
        (Segmentation(threshold=9), "threshold within its values 0 to 9, got 9"),
        (Segmentation(stiff=[4]), "labels of the file, got 4"),
        (Segmentation(swap=True), "phases 0 and 1 to swap"),
    ):
        with pytest.raises(ValueError, match=message):
            segmentation.apply(grey, name="a")
    with pytest.raises(ValueError, match="got both"):
        Segmentation(threshold=1.0, stiff=[1])
    for level in (np.nan, "best"):
        with pytest.raises(ValueError, match="threshold"):
            Segmentation(threshold=level)


def test_labels_and_histogram() -> None:
    result = labels(np.array([[4, 0], [2, 4]]))
    assert result is not None and result.tolist() == [0, 2, 4]
    assert labels(np.arange(100)) is None
    counts, edges = histogram(np.array([0, 0, 2, 5], np.uint8))
    assert counts.tolist() == [2, 0, 1, 0, 0, 1] and edges[0] == -0.5
    assert histogram(np.linspace(0.0, 1.0, 999))[0].sum() == 999


def test_crop_and_blocks() -> None:
    volume = np.arange(5 * 4 * 7).reshape(5, 4, 7)
    np.testing.assert_array_equal(crop(volume, (1, 0, 2), (2, 4, 3)), volume[1:3, :, 2:5])
    with pytest.raises(ValueError, match=r"part of the volume .*got \(2, 4, 6\) from \(1, 0, 2\)"):
        crop(volume, (1, 0, 2), (2, 4, 6))
    blocks, starts = split_blocks(volume, 2)
    assert blocks.shape == (2 * 2 * 3, 2, 2, 2)
    for block, (x, y, z) in zip(blocks, starts, strict=True):
        np.testing.assert_array_equal(block, volume[x : x + 2, y : y + 2, z : z + 2])
    with pytest.raises(ValueError, match="at least 5 voxels per edge"):
        split_blocks(volume, 5)


def test_faces_that_do_not_fit_are_found(rng: np.random.Generator) -> None:
    from vaereg.generators.families import gaussian_field

    whole = gaussian_field(32, (2.0, 2.0, 2.0), 0.5, generator=rng)
    assert face_mismatch(whole).periodic
    part = whole[:16]
    result = face_mismatch(part)
    assert not result.periodic
    assert result.faces[0] > 1.5 * result.inside[0] and result.faces[0] == np.mean(part[0] != part[-1])
    assert face_mismatch(np.ones((1, 2, 3))).periodic
