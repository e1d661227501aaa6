"""The page of file formats names all that is in the files, and nothing that is not."""

import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pages.parts.common.sessions.session_file import Session, write_session
from pages.parts.common.sessions.shortlist import ShortlistItem
from vaereg.cli import main
from vaereg.io.datasets import Dataset
from vaereg.io.designs import write_designs
from vaereg.io.exporting.export import FORMATS, Provenance, export
from vaereg.io.labelled_sets import LabelledVolumes, MorphologyPlan, write_labelled_set
from vaereg.io.shards import Shard, shard_attributes
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import pack_bits

PAGE = Path(__file__).parents[2] / "docs" / "file-formats.md"


def names_of(heading: str) -> set[str]:
    """Names in the first two columns of the tables of one section, in code."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = (text for text in sections if text.startswith(heading))
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    return {name for row in rows for cell in row[1:3] for name in re.findall(r"`([^`]+)`", cell)}


def text_of(heading: str) -> set[str]:
    """All names in code of one section."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = (text for text in sections if text.startswith(heading))
    return set(re.findall(r"`([^`]+)`", section))


def hdf5_names(path: Path) -> tuple[set[str], set[str]]:
    """Attributes of a file, and names of its datasets."""
    datasets: set[str] = set()
    with h5py.File(path) as file:
        file.visititems(lambda name, item: datasets.add(name) if isinstance(item, h5py.Dataset) else None)
        return set(file.attrs), datasets


def keys(value: object) -> Iterator[str]:
    """All keys of a JSON value but those that are names of quantities, axes or libraries."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in ("versions", "units", "phases", "materials", "target", "targets", "young", "shear"):
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((8, 8, 8)) < 0.5).astype(np.uint8)


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        name="a",
        target={"C11": 50.0},
        mean=np.ones(6),
        std=np.ones(6),
        stiffness=np.eye(6),
        latent=np.zeros(2, dtype=np.float32),
    )


def test_data_sets(tiny_dataset_path: Path) -> None:
    attributes, datasets = hdf5_names(tiny_dataset_path)
    listed = names_of("Labelled data set")
    assert attributes | datasets <= listed
    assert listed - attributes - datasets <= {"0 soft, 1 stiff", "GPa", "float32", *TwoPhase().moduli()}


def test_shards(tiny_dataset: Dataset) -> None:
    attributes = shard_attributes(Shard(index=1, of=2), 224, tiny_dataset.samples)
    assert set(attributes) == names_of("Shard of a data set")


def test_data_sets_of_morphologies(tmp_path: Path, volume: np.ndarray) -> None:
    plan = MorphologyPlan(
        count=1,
        seed=0,
        sizes={"8": 1.0},
        morphologies={"laminate": 1.0},
        pairs=1,
        physics="elastic",
        tolerance_rule="",
        solver_dtype="float32",
        generator_version=1,
    )
    samples = LabelledVolumes(
        seed=np.array([1]),
        morphology=np.array(["laminate"]),
        size=np.array([8]),
        relative=np.array([False]),
        recipe=np.array(["{}"]),
        volume_fraction=np.array([volume.mean()]),
        microstructures=pack_bits(volume[None]).reshape(-1),
        phases=np.ones((1, 1, 6)),
        stiffness=np.ones((1, 1, 6, 6), np.float32),
        conductivity=np.ones((1, 1, 3, 3), np.float32),
    )
    write_labelled_set(tmp_path / "data.h5", plan, samples)
    attributes, datasets = hdf5_names(tmp_path / "data.h5")
    listed = names_of("Data set of morphologies")
    assert attributes | datasets <= listed
    assert listed - attributes - datasets <= {"elastic", "thermal"}


def test_designs(tmp_path: Path, volume: np.ndarray) -> None:
    path = tmp_path / "designs.h5"
    write_designs(
        path,
        microstructures=volume[None],
        component=[0],
        latent=np.zeros((1, 2)),
        target={"C11": 50.0, "E_x": 40.0},
        seed=0,
        made_by="",
        predicted=np.ones((1, 6)),
        quantities={"E_x": [3.0]},
        stiffness=np.eye(6)[None],
        conductivity=np.eye(3)[None],
        modes=["pores"],
        weights=[1.0],
        constraints={"symmetry": "cubic"},
        met=[[True]],
        solves=[1],
        stalled=[False],
        materials=TwoPhase(),
        solver_tolerance=[1e-6],
        solver_dtype=["float64"],
        recipes=[{"class": "pores"}],
        spread={"eroded/E_x": [0.1]},
        front={"candidates": 10},
        lengths="relative",
    )
    attributes, datasets = hdf5_names(path)
    assert attributes | datasets <= text_of("Designs (HDF5")
    assert names_of("Designs (HDF5") - attributes - datasets <= {
        "volume_fraction",
        "range",
        "goal",
        "weight",
        *("min_feature_stiff", "min_feature_soft", "connected", "no_islands", "no_closed_pores", "symmetry"),
        "stiff",
        "soft",
        "name",
        "young_modulus",
        "poisson_ratio",
        *("objectives", "hypervolume", "training_hypervolume", "training_front"),
        *("min", "max", "candidates", "judged", "verified"),
    }


def test_checkpoints(tiny_checkpoint_path: Path) -> None:
    state = torch.load(tiny_checkpoint_path, weights_only=True)
    assert set(state) == names_of("Checkpoint") - {"e_stiff", "e_soft", "nu_stiff", "nu_soft"}
    version = re.search(r"## Checkpoint .*`format_version` (\d+)", PAGE.read_text(encoding="utf-8"))
    assert version and int(version[1]) == state["format_version"]


@pytest.mark.parametrize("command", ["homogenize", "predict"])
def test_results(command: str, tmp_path: Path, volume: np.ndarray, tiny_checkpoint_path: Path) -> None:
    np.save(tmp_path / "a.npy", volume)
    out = tmp_path / "r.json"
    model = ["--checkpoint", str(tiny_checkpoint_path)] if command == "predict" else []
    assert main([command, str(tmp_path / "a.npy"), "--out", str(out), *model]) == 0
    quantities = {"C11", "C22", "C33", "C44", "C55", "C66"}
    written = set(keys(json.loads(out.read_text(encoding="utf-8")))) - quantities
    assert written <= text_of("Results of commands")


def test_exports(tmp_path: Path, volume: np.ndarray, provenance: Provenance) -> None:
    (path,) = export(volume, TwoPhase(), "json", tmp_path / "a.json", provenance=provenance)
    written = set(keys(json.loads(path.read_text(encoding="utf-8")))) - {f"C{i}{i}" for i in range(1, 7)}
    assert written <= text_of("Exports")
    assert set(FORMATS) <= names_of("Exports")


def test_sessions(volume: np.ndarray) -> None:
    item = ShortlistItem(
        name="a", volume=volume, origin="a test", targets={}, mean=np.ones(6), std=np.ones(6)
    )
    content = BytesIO(write_session(Session(items=[item], inputs={})))
    with zipfile.ZipFile(content) as archive:
        index = json.loads(archive.read("session.json"))
    assert set(keys(index)) <= text_of("Session of the dashboard")
    assert set(index) <= names_of("Session of the dashboard")
