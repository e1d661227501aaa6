"""Data sets: what is written is read back, equal data gives equal bytes, hostile files are refused."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from stored import COUNT, SIZE, dataset_of, plan, replace_dataset, set_attribute

from vaereg.io.datasets import (
    SPLITS,
    LabelledBatch,
    read_dataset,
    read_plan,
    split_of_seed,
    write_dataset,
)


def test_a_data_set_is_read_back(data: Path, samples: LabelledBatch, volumes: np.ndarray) -> None:
    dataset = read_dataset(data)
    assert dataset.plan == read_plan(data) == plan()
    assert len(dataset) == COUNT
    for name in ("microstructures", "stiffness", "volume_fraction", "family", "seed"):
        np.testing.assert_array_equal(getattr(dataset.samples, name), getattr(samples, name))
    np.testing.assert_array_equal(dataset.volumes(slice(None)), volumes)
    np.testing.assert_array_equal(dataset.volumes([4, 1]), volumes[[4, 1]])
    assert dataset.split.tolist() == [split_of_seed(seed) for seed in samples.seed.tolist()]


def test_the_schema_of_a_data_set(data: Path) -> None:
    """Names, types, shapes and attributes that other programs rely on."""
    with h5py.File(data) as file:
        result = {name: (item.dtype.str, item.shape) for name, item in file.items()}
        assert result == {
            "microstructures": ("|u1", (COUNT, 16)),
            "stiffness": ("<f4", (COUNT, 6, 6)),
            "volume_fraction": ("<f8", (COUNT,)),
            "family": ("|S32", (COUNT,)),
            "seed": ("<i8", (COUNT,)),
            "split": ("|S32", (COUNT,)),
        }
        assert file["stiffness"].attrs["units"] == "GPa"
        assert np.asarray(file.attrs["shape"]).tolist() == [SIZE] * 3
        assert file.attrs["units"] == "GPa"
        assert file.attrs["phases"] == "0 soft, 1 stiff"
        assert file.attrs["format_version"] == 1
        assert file.attrs["count"] == COUNT
        assert json.loads(str(file.attrs["materials"]))["e_soft"] == 2.4


def test_equal_data_gives_equal_bytes(data: Path, samples: LabelledBatch, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    write_dataset(again, plan(), samples)
    assert again.read_bytes() == data.read_bytes()


def test_the_splits_part_a_data_set(data: Path) -> None:
    dataset = read_dataset(data)
    joined = np.concatenate([dataset.indices(split) for split in SPLITS])
    assert sorted(joined.tolist()) == list(range(COUNT))
    with pytest.raises(ValueError, match="train, validation, test, got 'training'"):
        dataset.indices("training")


def test_seeds_are_split_80_10_10_for_ever() -> None:
    """The split of a seed must never change: models are compared on it."""
    assert [split_of_seed(seed) for seed in (0, 1, 8, 12, 2**63 - 1)] == [
        "validation",
        "train",
        "test",
        "test",
        "train",
    ]
    shares = [split_of_seed(seed) for seed in range(20_000)]
    assert shares.count("train") / 20_000 == pytest.approx(0.8, abs=0.01)
    assert shares.count("validation") / 20_000 == pytest.approx(0.1, abs=0.01)


def test_a_data_set_is_as_long_as_planned(tmp_path: Path, samples: LabelledBatch) -> None:
    with pytest.raises(ValueError, match="13 samples as planned, got 12"):
        write_dataset(tmp_path / "data.h5", plan(count=13), samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "at least one volume, got 0"),
        ({"seed": -1}, "seed from 0 .*got -1"),
        ({"size": 1}, "size of 2 to 512 .*got 1"),
        ({"size": 513}, "size of 2 to 512 .*got 513"),
        ({"families": {"x" * 33: 1.0}}, "at most 32 bytes"),
        ({"families": {"gaussian-free": "all"}}, "families of one number each"),
        ({"materials": {"e_stiff": 1.0}}, "materials e_stiff, e_soft, nu_stiff, nu_soft, got e_stiff"),
    ],
)
def test_a_plan_states_what_is_wrong_with_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(**changes)


def link_elsewhere(file: h5py.File) -> None:
    del file["seed"]
    file["seed"] = h5py.ExternalLink("/etc/passwd", "/")


def link_to_a_loop(file: h5py.File) -> None:
    del file["seed"]
    file["seed"] = h5py.SoftLink("/seed")


def make_virtual(file: h5py.File) -> None:
    del file["seed"]
    layout = h5py.VirtualLayout((COUNT,), "i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "seed", (COUNT,))
    file.create_virtual_dataset("seed", layout)


def not_finite(file: h5py.File) -> None:
    dataset_of(file, "stiffness")[0, 0, 0] = np.nan


def strange_split(file: h5py.File) -> None:
    dataset_of(file, "split")[0] = b"holdout"


HOSTILE = {
    "missing dataset": (lambda file: file.__delitem__("stiffness"), "a dataset stiffness in .*holds family"),
    "wrong shape": (
        replace_dataset("stiffness", data=np.zeros((COUNT, 3, 3))),
        r"stiffness of shape \(12, 6, 6\) .*got \(12, 3, 3\)",
    ),
    "wrong type": (replace_dataset("seed", data=np.zeros(COUNT)), "seed of type int64 .*got float64"),
    "objects": (replace_dataset("seed", shape=(COUNT,), dtype=h5py.string_dtype()), "seed of type int64"),
    "a group": (lambda file: (file.__delitem__("seed"), file.create_group("seed")), "a dataset seed"),
    "no data space": (replace_dataset("seed", data=h5py.Empty("i8")), "a dataset seed"),
    "huge": (
        replace_dataset("microstructures", shape=(2**40, 2**20), dtype="u1"),
        "whole and uncompressed .*got 1152921504606846976 bytes declared",
    ),
    "overflowing": (
        replace_dataset("microstructures", shape=(2**40, 2**40), dtype="u1", chunks=(1, 1)),
        "whole and uncompressed",
    ),
    "external link": (link_elsewhere, "a dataset seed"),
    "soft link": (link_to_a_loop, "a dataset seed"),
    "virtual": (make_virtual, "a dataset seed"),
    "not finite": (not_finite, "finite stiffness"),
    "unknown split": (strange_split, "splits of train, validation, test .*got 'holdout'"),
    "not UTF-8": (lambda file: file["family"].__setitem__(0, b"\xff"), "text in family .*not UTF-8"),
    "other version": (set_attribute("format_version", np.int64(2)), "format_version 1 in .*got 2"),
    "no version": (lambda file: file.attrs.__delitem__("format_version"), "'format_version' .*got none"),
    "other count": (set_attribute("count", np.int64(COUNT + 1)), r"shape \(13, 16\)"),
    "text for a count": (set_attribute("count", "many"), "'count' .*an integer, got 'many'"),
    "not cubic": (set_attribute("shape", np.array([5, 5, 6])), "three equal lengths"),
    "shape is text": (set_attribute("shape", "5"), "three equal lengths"),
    "enormous shape": (set_attribute("shape", np.array([2**40] * 3)), "size of 2 to 512"),
    "not JSON": (set_attribute("families", "{"), "'families' .*JSON, got '{'"),
    "deep JSON": (set_attribute("families", "[" * 30_000), "'families' .*JSON"),
    "JSON list": (set_attribute("materials", "[1]"), "'materials' .*JSON object"),
    "other materials": (set_attribute("materials", '{"e": 1.0}'), "materials"),
    "tolerance": (set_attribute("solver_tolerance", np.nan), "'solver_tolerance' .*a number, got 'nan'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_data_set_is_refused(case: str, data: Path) -> None:
    change, message = HOSTILE[case]
    with h5py.File(data, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message) as caught:
        read_dataset(data)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_cut_short_anywhere_is_refused(data: Path) -> None:
    whole = data.read_bytes()
    for length in (*range(0, len(whole), 500), len(whole) - 1):
        data.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"expected a readable HDF5 file, got .*data\.h5: "):
            read_dataset(data)


def test_damage_is_reported_or_harmless(data: Path, rng: np.random.Generator) -> None:
    """Bytes overwritten at random: a `ValueError` of one line, or a data set of the right shape."""
    whole = bytearray(data.read_bytes())
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        position = int(rng.integers(0, len(whole) - 4))
        damaged[position : position + 4] = rng.bytes(4)
        data.write_bytes(damaged)
        try:
            assert len(read_dataset(data).volumes([0])) == 1
        except ValueError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 0


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(FileNotFoundError, match="got no file at"):
            read_dataset(path)
