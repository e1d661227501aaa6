"""Data sets of either format are read alike by training."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from manual import ImmediateExecutor

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.io.datasets import Dataset
from vaereg.io.files import array_place
from vaereg.io.labelled_sets import LabelledSet, write_labelled_set
from vaereg.io.shards import Shard
from vaereg.materials import TwoPhase
from vaereg.training.labelling.families import generate_dataset
from vaereg.training.labelling.morphologies import generate_morphologies
from vaereg.training.training_set import TrainingSet, read_training_set


def test_families_keep_their_labels_and_volumes(tiny_dataset: Dataset, tiny_dataset_path: Path) -> None:
    data = read_training_set(tiny_dataset_path)
    assert data.mode is None and data.edge == 16
    np.testing.assert_array_equal(data.properties, diagonal_properties(tiny_dataset.samples.stiffness))
    rows = data.labelled_rows("test", ["gaussian-free"])
    expected = tiny_dataset.indices("test")
    assert rows.tolist() == [i for i in expected if tiny_dataset.samples.family[i] != "gaussian-free"]
    np.testing.assert_array_equal(data.volumes(rows), tiny_dataset.volumes(rows))


def test_classes_have_the_labels_of_the_reference_pair(sized_set: LabelledSet, tiny_dataset: Dataset) -> None:
    """Whichever of the pairs it is; a volume without one is in no split."""
    data = TrainingSet.of(sized_set)
    truth = diagonal_properties(tiny_dataset.samples.stiffness)
    np.testing.assert_array_equal(data.properties[: len(truth)], truth)
    assert np.isnan(data.properties[-1]).all()
    assert data.mode is not None and set(data.mode.tolist()) == {"irregular", "layers"}
    labelled = np.concatenate([data.labelled_rows(split) for split in ("train", "validation", "test")])
    assert sorted(labelled.tolist()) == list(range(len(data) - 1))
    assert not (data.name[data.labelled_rows("train", ["laminate"])] == "laminate").any()


def test_sets_without_the_reference_pair_are_refused(sized_set: LabelledSet) -> None:
    phases = sized_set.samples.phases.copy()
    phases[:, 1, 1] = 3.0
    with pytest.raises(ValueError, match="expected labels for the reference pair"):
        TrainingSet.of(replace(sized_set, samples=replace(sized_set.samples, phases=phases)))


def test_volumes_come_by_size_and_in_parts(sized_set: LabelledSet, tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    write_labelled_set(path, sized_set.plan, sized_set.samples)
    data = read_training_set(path)
    rows = np.random.default_rng(0).permutation(len(data))[:60]
    seen = []
    for places, volumes in data.by_size(rows, max_voxels=7 * 16**3):
        assert volumes.size <= 7 * 16**3 and len(volumes) == len(places)
        assert (data.size[rows[places]] == volumes.shape[1]).all()
        for place, volume in zip(places, volumes, strict=True):
            np.testing.assert_array_equal(volume, sized_set.samples.volume(int(rows[place])))
        seen += places.tolist()
    assert sorted(seen) == list(range(len(rows)))


def test_sets_are_joined_whatever_their_format(sized_set: LabelledSet, tiny_dataset: Dataset) -> None:
    parts = [TrainingSet.of(tiny_dataset), TrainingSet.of(sized_set)]
    data = TrainingSet.joined(parts)
    assert len(data) == len(parts[0]) + len(parts[1])
    rows = np.random.default_rng(0).permutation(np.flatnonzero(data.size == 16))[:20]
    assert (rows < len(parts[0])).any() and (rows >= len(parts[0])).any()
    for row, volume in zip(rows, data.volumes(rows), strict=True):
        part, own = (parts[0], row) if row < len(parts[0]) else (parts[1], row - len(parts[0]))
        np.testing.assert_array_equal(volume, part.volumes(np.array([own]))[0])
        np.testing.assert_array_equal(data.properties[row], part.properties[own])
        assert data.split[row] == part.split[own] and data.name[row] == part.name[own]
    assert data.mode is not None and set(data.mode[: len(parts[0])].tolist()) == {""}
    for part in parts:
        assert all(part.facts[name] in data.facts[name] for name in part.facts)


def test_only_sets_of_the_same_phases_are_joined(tiny_dataset: Dataset) -> None:
    data = TrainingSet.of(tiny_dataset)
    with pytest.raises(ValueError, match="same phases"):
        TrainingSet.joined([data, replace(data, materials=TwoPhase.from_moduli(100.0, 1.0, 0.3))])
    with pytest.raises(ValueError, match="at least one"):
        TrainingSet.joined([])


def make_shards(make: Callable[..., None], folder: Path) -> Path:
    folder.mkdir()
    for index in (1, 2, 3):
        make(folder / f"part-{index}.h5", shard=Shard(index=index, of=3))
    return folder


@pytest.mark.parametrize(
    "make",
    [
        partial(generate_dataset, count=7, seed=11, size=8, workers=ImmediateExecutor()),
        partial(generate_morphologies, count=7, seed=11, sizes=[8, 10], workers=ImmediateExecutor()),
    ],
    ids=["format 1", "format 2"],
)
def test_a_folder_of_shards_is_read_as_the_merged_file(make: Callable[..., None], tmp_path: Path) -> None:
    """Column by column; the volumes stay in the files of the shards."""
    folder = make_shards(make, tmp_path / "shards")
    make(tmp_path / "whole.h5")
    whole, data = read_training_set(tmp_path / "whole.h5"), read_training_set(folder)
    for name in (field.name for field in fields(TrainingSet)):
        mine, theirs = getattr(data, name), getattr(whole, name)
        if isinstance(theirs, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
        elif name != "unpack":
            assert mine == theirs, name
    rows = np.random.default_rng(0).permutation(7)
    for (places, volumes), (others, expected) in zip(data.by_size(rows), whole.by_size(rows), strict=True):
        np.testing.assert_array_equal(places, others)
        np.testing.assert_array_equal(volumes, expected)


def test_shards_of_a_folder_are_checked(tmp_path: Path) -> None:
    make = partial(generate_dataset, count=7, seed=11, size=8, workers=ImmediateExecutor())
    with pytest.raises(InputError, match=r"expected shards \(\*\.h5\) in .*, got none"):
        read_training_set(tmp_path)
    folder = make_shards(make, tmp_path / "shards")
    data = read_training_set(folder)
    path = folder / "part-2.h5"
    content = path.read_bytes()
    place, length = array_place(path, "microstructures")
    path.write_bytes(content[:place] + bytes(length) + content[place + length :])
    with pytest.raises(InputError, match=r"part-2\.h5 was written with, got another checksum"):
        read_training_set(folder)
    with pytest.raises(InputError, match=r"part-2\.h5 as it was at the start, got a file that was changed"):
        data.volumes(np.arange(7))
    path.unlink()
    with pytest.raises(InputError, match=r"expected 3 shards, got 2: 2/3 missing"):
        read_training_set(folder)
