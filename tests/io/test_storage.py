"""HDF5 files: what is written is read back, equal data gives equal bytes, and hostile files are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.io.datasets import (
    SPLITS,
    DatasetPlan,
    LabelledBatch,
    read_dataset,
    read_plan,
    split_of_seed,
    write_dataset,
)
from vaereg.io.designs import read_designs, write_designs
from vaereg.io.files import lock_file, replace_file
from vaereg.microstructure.volume import pack_bits
from vaereg.targets import parse

COUNT, SIZE = 12, 5


def dataset_of(file: h5py.File, name: str) -> h5py.Dataset:
    item = file[name]
    assert isinstance(item, h5py.Dataset)
    return item


def plan(**changes: Any) -> DatasetPlan:  # noqa: ANN401
    values: dict[str, Any] = {
        "count": COUNT,
        "seed": 3,
        "size": SIZE,
        "families": {"gaussian-free": 0.75, "gaussian-rod-x": 0.25},
        "materials": {"e_stiff": 120.0, "e_soft": 2.4, "nu_stiff": 0.3, "nu_soft": 0.3},
        "solver_tolerance": 1e-4,
        "solver_dtype": "float32",
        "generator_version": 1,
    }
    return DatasetPlan(**{**values, **changes})


@pytest.fixture
def volumes(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (COUNT, SIZE, SIZE, SIZE), dtype=np.uint8)


@pytest.fixture
def samples(volumes: np.ndarray, rng: np.random.Generator) -> LabelledBatch:
    return LabelledBatch(
        microstructures=pack_bits(volumes),
        stiffness=rng.random((COUNT, 6, 6), dtype=np.float32),
        volume_fraction=volumes.mean(axis=(1, 2, 3)),
        family=np.array(["gaussian-free"] * 9 + ["gaussian-rod-x"] * 3),
        seed=rng.integers(0, 2**63, COUNT),
    )


@pytest.fixture
def data(tmp_path: Path, samples: LabelledBatch) -> Path:
    path = tmp_path / "data.h5"
    write_dataset(path, plan(), samples)
    return path


@pytest.fixture
def designs(tmp_path: Path, volumes: np.ndarray, rng: np.random.Generator) -> Path:
    path = tmp_path / "designs.h5"
    write_designs(
        path,
        microstructures=volumes,
        component=np.arange(COUNT) % 4,
        latent=rng.random((COUNT, 7)),
        predicted=rng.random((COUNT, 6)),
        target={"C11": 60.0, "C22": (30.0, 40.0)},
        seed=5,
        made_by="abc",
    )
    return path


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


def test_designs_are_read_back(designs: Path, volumes: np.ndarray) -> None:
    result = read_designs(designs)
    np.testing.assert_array_equal(result.microstructures, volumes)
    assert result.component.tolist() == [index % 4 for index in range(COUNT)]
    assert result.latent.shape == (COUNT, 7)
    assert result.latent.dtype == np.float32
    assert result.predicted is not None and result.predicted.shape == (COUNT, 6)
    assert result.target == {"C11": 60.0, "C22": (30.0, 40.0)}
    assert (result.seed, result.made_by) == (5, "abc")
    assert result.stiffness is None
    assert result.solves is None


def test_the_schema_of_designs(designs: Path) -> None:
    predicted = read_designs(designs).predicted
    assert predicted is not None
    with h5py.File(designs) as file:
        assert dataset_of(file, "microstructures").dtype == np.uint8
        for column, name in enumerate(PROPERTIES):
            np.testing.assert_array_equal(dataset_of(file, f"predicted/{name}")[()], predicted[:, column])
            assert file[f"predicted/{name}"].attrs["units"] == "GPa"
        assert json.loads(str(file.attrs["target"])) == {"C11": 60.0, "C22": [30.0, 40.0]}
        assert set(file.attrs) >= {"target", "seed", "checkpoint", "units", "format_version"}


def test_designs_keep_what_the_solver_found(designs: Path, tmp_path: Path) -> None:
    first = read_designs(designs)
    stiffness, solves = np.arange(COUNT * 36.0).reshape(COUNT, 6, 6), np.arange(COUNT)
    path = tmp_path / "verified.h5"
    fields = {name: getattr(first, name) for name in ("microstructures", "component", "latent", "predicted")}
    write_designs(
        path,
        **fields,
        target=first.target,
        seed=first.seed,
        made_by=first.made_by,
        stiffness=stiffness,
        solves=solves,
    )
    result = read_designs(path)
    assert result.stiffness is not None and result.stiffness.dtype == np.float64
    assert result.solves is not None
    np.testing.assert_array_equal(result.stiffness, stiffness)
    np.testing.assert_array_equal(result.solves, solves)


def test_designs_that_contradict_themselves_are_not_written(tmp_path: Path, volumes: np.ndarray) -> None:
    path = tmp_path / "designs.h5"
    with pytest.raises(ValueError, match=r"latent of shape \(12, None\) .*got \(11, 7\)"):
        write_designs(
            path,
            microstructures=volumes,
            component=np.zeros(COUNT),
            latent=np.zeros((COUNT - 1, 7)),
            predicted=np.zeros((COUNT, 6)),
            target={},
            seed=0,
            made_by="",
        )
    assert not path.exists()


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


def replace_dataset(name: str, **arguments: Any) -> Callable[[h5py.File], None]:  # noqa: ANN401
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **arguments)

    return change


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


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


HOSTILE_DESIGNS = {
    "three phases": (
        lambda file: file["microstructures"].__setitem__((0, 0, 0, 0), 2),
        "phases 0 and 1 .*2$",
    ),
    "no designs": (
        replace_dataset("microstructures", data=np.zeros((0, 5, 5, 5), np.uint8)),
        r"got shape \(0, 5, 5, 5\)",
    ),
    "one volume": (replace_dataset("microstructures", data=np.zeros((5, 5, 5), np.uint8)), "of shape"),
    "half of the predictions": (lambda file: file.__delitem__("predicted/C44"), "a dataset predicted/C44"),
    "group elsewhere": (
        lambda file: (
            file.__delitem__("predicted"),
            file.__setitem__("predicted", h5py.ExternalLink("other.h5", "/")),
        ),
        "a dataset predicted/C11",
    ),
    "other length": (replace_dataset("component", data=np.zeros(3, int)), r"component of shape \(12\)"),
    "unknown target": (set_attribute("target", '{"Ex": 3}'), "can be met in .*unknown property 'Ex'"),
    "no range": (
        set_attribute("target", '{"C11": [1, 2, 3]}'),
        r"range or objective of C11, got \[1, 2, 3\]",
    ),
    "no number": (set_attribute("target", '{"C11": "x"}'), "an objective of min, max, got 'x'"),
    "other units": (set_attribute("units", "MPa"), "in GPa .*'MPa'"),
}


@pytest.mark.parametrize("case", HOSTILE_DESIGNS)
def test_hostile_designs_are_refused(case: str, designs: Path) -> None:
    change, message = HOSTILE_DESIGNS[case]
    with h5py.File(designs, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        read_designs(designs)


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


def test_a_failed_write_leaves_the_former_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, lambda temporary: temporary.write_text("first"))

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the sec")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("former")
    link = tmp_path / "link"
    link.symlink_to("real")
    replace_file(link, lambda temporary: temporary.write_text("new"))
    assert link.is_symlink() and (tmp_path / "real").read_text() == "new"


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock"), pytest.raises(ValueError, match="no other process at work"):
        lock_file(tmp_path / "lock")
    lock_file(tmp_path / "lock").close()


def test_designs_keep_all_that_was_wanted_and_found(tmp_path: Path, rng: np.random.Generator) -> None:
    """Targets with objectives, quantities by name, modes, weights, constraints, conductivities."""
    path = tmp_path / "designs.h5"
    targets = parse(["E_x=20@2", "density=:1.9", "C12=3:4"], maximize=["k_z"])
    constraints = {"symmetry": "cubic", "connected": {"stiff": "xyz"}}
    quantities = {name: rng.random(2) for name in (*targets.names, "nu_xy")}
    met, conductivity = np.array([[True, False], [True, True]]), rng.random((2, 3, 3))
    write_designs(
        path,
        microstructures=np.eye(4, dtype=np.uint8)[None, :, :, None].repeat(4, 3).repeat(2, 0),
        component=[1, 0],
        latent=np.zeros((2, 3)),
        target=targets,
        seed=1,
        made_by="a",
        quantities=quantities,
        conductivity=conductivity,
        modes=["pores", "fibres"],
        weights=[0.2, 0.8],
        constraints=constraints,
        met=met,
    )
    stored = read_designs(path)
    assert stored.wanted == targets and stored.modes == ("pores", "fibres")
    assert stored.target == {"E_x": 20.0, "density": (-np.inf, 1.9), "C12": (3.0, 4.0)}
    assert stored.constraints == constraints and stored.predicted is None
    np.testing.assert_array_equal(stored.met, met)
    np.testing.assert_array_equal(stored.weights, [0.2, 0.8])
    np.testing.assert_array_equal(stored.conductivity, conductivity)
    assert set(stored.quantities) == set(quantities)
    for name, values in quantities.items():
        np.testing.assert_array_equal(stored.quantities[name], values)
    with h5py.File(path) as file:
        assert file["predicted/density"].attrs["units"] == "g/cm³"
