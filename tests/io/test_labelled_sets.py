"""Data sets of morphologies in HDF5: round trips, several sizes, files that contradict themselves."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from vaereg.io.datasets import read_dataset
from vaereg.io.labelled_sets import (
    LabelledVolumes,
    MorphologyPlan,
    format_of,
    packed_length,
    read_labelled_set,
    read_morphology_plan,
    write_labelled_set,
)
from vaereg.microstructure.volume import pack_bits

SIZES = (4, 3, 4)


def plan(**changes: object) -> MorphologyPlan:
    settings = {
        "count": 3,
        "seed": 1,
        "sizes": {"3": 0.4, "4": 0.6},
        "morphologies": {"tpms": 1.0},
        "pairs": 2,
        "physics": "elastic",
        "tolerance_rule": "1e-4",
        "solver_dtype": "float32",
        "generator_version": 1,
    }
    return MorphologyPlan(**{**settings, **changes})


@pytest.fixture
def volumes(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 2, (size,) * 3).astype(np.uint8) for size in SIZES]


def batch(volumes: list[np.ndarray]) -> LabelledVolumes:
    count = len(volumes)
    phases = np.full((count, 2, 6), np.nan)
    phases[:, 0] = (120.0, 2.4, 0.3, 0.3, 1.0, 0.02)
    phases[0, 1] = (1.0, 0.0, 0.2, 0.0, 1.0, 5.0)
    stiffness = np.where(np.isnan(phases[..., :1, None]), np.nan, np.ones((1, 1, 6, 6))).astype(np.float32)
    return LabelledVolumes(
        seed=np.arange(count, dtype=np.int64),
        morphology=np.array(["tpms"] * count),
        size=np.array([len(volume) for volume in volumes], dtype=np.int64),
        relative=np.arange(count) % 2 == 1,
        recipe=np.array([f'{{"period": [{index}, 2, 3], "variant": "gyroid"}}' for index in range(count)]),
        volume_fraction=np.array([volume.mean() for volume in volumes]),
        microstructures=np.concatenate([pack_bits(volume[None])[0] for volume in volumes]),
        phases=phases,
        stiffness=stiffness,
        conductivity=stiffness[..., :3, :3],
    )


def test_a_data_set_comes_back_as_it_was(volumes: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"
    samples = batch(volumes)
    write_labelled_set(path, plan(), samples)
    data = read_labelled_set(path)
    assert data.plan == read_morphology_plan(path) == plan()
    assert format_of(path) == 2
    for name, column in samples.columns().items():
        np.testing.assert_array_equal(getattr(data.samples, name), column, err_msg=name)
    for index, volume in enumerate(volumes):
        np.testing.assert_array_equal(data.samples.volume(index), volume)
    np.testing.assert_array_equal(data.volumes([0, 2]), np.stack([volumes[0], volumes[2]]))
    with pytest.raises(ValueError, match=r"one size, got \[3, 4\]"):
        data.volumes([0, 1])
    assert data.recipe(2) == {"period": [2, 2, 3], "variant": "gyroid"}


def test_equal_data_gives_equal_bytes(volumes: list[np.ndarray], tmp_path: Path) -> None:
    for name in ("first.h5", "second.h5"):
        write_labelled_set(tmp_path / name, plan(), batch(volumes))
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def _array(file: h5py.File, name: str) -> np.ndarray:
    """Data set of a file."""
    dataset = file[name]
    assert isinstance(dataset, h5py.Dataset)
    return dataset[()]


def test_the_names_in_the_file_are_those_of_the_contract(volumes: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"
    write_labelled_set(path, plan(), batch(volumes))
    with h5py.File(path) as file:
        assert {"class", "parameters", "pair", "pairs", "stiffness", "conductivity"} <= set(file)
        assert _array(file, "pair").tolist() == [[0, 1], [0, -1], [0, -1]]
        assert _array(file, "pairs").shape == (2, 6)
        assert _array(file, "stiffness").shape == (3, 2, 6, 6)
        assert file["stiffness"].attrs["units"] == "GPa"


def test_volumes_of_one_size_are_rows(rng: np.random.Generator, tmp_path: Path) -> None:
    cubes = [rng.integers(0, 2, (4, 4, 4)).astype(np.uint8) for _ in range(3)]
    path = tmp_path / "labels.h5"
    write_labelled_set(path, plan(sizes={"4": 1.0}), batch(cubes))
    with h5py.File(path) as file:
        assert _array(file, "microstructures").shape == (3, 8)
    np.testing.assert_array_equal(read_labelled_set(path).volumes([0, 1, 2]), np.stack(cubes))


def test_rows_and_joining(volumes: list[np.ndarray]) -> None:
    samples = batch(volumes)
    parts = [samples.rows(slice(0, 1)), samples.rows(slice(1, 3))]
    assert [len(part) for part in parts] == [1, 2]
    np.testing.assert_array_equal(parts[1].volume(0), volumes[1])
    joined = LabelledVolumes.join(parts)
    assert joined.is_whole(3)
    np.testing.assert_array_equal(joined.microstructures, samples.microstructures)
    assert not LabelledVolumes(
        **{**samples.columns(), "microstructures": samples.microstructures[:-1]}
    ).is_whole(3)
    assert packed_length(np.array([3, 4])).tolist() == [4, 8]


def test_splits_go_by_seed_and_size(volumes: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"
    write_labelled_set(path, plan(), batch(volumes))
    data = read_labelled_set(path)
    everything = np.concatenate([data.indices(split) for split in ("train", "validation", "test")])
    assert sorted(everything) == [0, 1, 2]
    train = data.indices("train")
    assert set(data.indices("train", size=4)) == {index for index in train if SIZES[index] == 4}
    with pytest.raises(ValueError, match="split of train, validation, test, got 'all'"):
        data.indices("all")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "at least one volume, got 0"),
        ({"seed": -1}, "seed from 0"),
        ({"pairs": 0}, "1 to 16 pairs"),
        ({"sizes": {}}, "sizes with positive shares"),
        ({"sizes": {"x": 1.0}}, "voxels per edge, got 'x'"),
        ({"morphologies": {"tpms": 0.0}}, "morphologies with positive shares"),
        ({"morphologies": {"m" * 40: 1.0}}, "at most 32 bytes"),
    ],
)
def test_plans_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(**changes)


def test_files_that_contradict_themselves(volumes: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"
    for name, value, message in (
        ("size", [4, 4, 4], "microstructures of shape"),
        ("size", [5, 3, 4], "sizes of 3, 4"),
        ("pair", [[0, 2], [0, -1], [0, -1]], "indices of 2 pairs"),
        ("split", np.array([b"train", b"all", b"test"], dtype="S32"), "splits of train, validation, test"),
    ):
        write_labelled_set(path, plan(), batch(volumes))
        with h5py.File(path, "r+") as file:
            dataset = file[name]
            assert isinstance(dataset, h5py.Dataset)
            dataset[...] = value
        with pytest.raises(ValueError, match=message):
            read_labelled_set(path)
    with pytest.raises(ValueError, match="expected 4 samples as planned, got 3"):
        write_labelled_set(path, plan(count=4), batch(volumes))


def test_formats_are_not_mixed_up(volumes: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"
    write_labelled_set(path, plan(), batch(volumes))
    with pytest.raises(ValueError, match=r"format_version 1 in .*, got 2"):
        read_dataset(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = np.int64(1)
    with pytest.raises(ValueError, match=r"format_version 2 in .*, got 1"):
        read_labelled_set(path)
