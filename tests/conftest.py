"""Options, fixtures and collection rules that all tests share."""

import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from modes_fixture import modes_of

from vaereg.elasticity import PROPERTIES
from vaereg.evaluation.figures import evaluate
from vaereg.generators.families import GENERATOR_VERSION, family_weights
from vaereg.io.datasets import Dataset, DatasetPlan, read_dataset, write_dataset
from vaereg.io.files import replace_file
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import pack_bits
from vaereg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vaereg.model.config import PRESETS
from vaereg.model.embedding import Embedding
from vaereg.training.card import training_card
from vaereg.training.fitting import fit
from vaereg.training.labelling.families import SOLVER_TOLERANCE, label_batch
from vaereg.training.loop import train


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="device of the torch tests")


def pytest_configure() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in a browser and of training come first: at the end one process would wait for the other."""
    training = Path(__file__).with_name("training")

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("browser"):
            return 0
        return 1 if training in item.path.parents else 2

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:  # noqa: ANN401 (pytest-xdist's own)
    """The scheduler of `--dist loadfile`, with one process for the browser."""
    if config.getoption("dist") != "loadfile":
        return None
    from scheduling import BrowserScheduling

    return BrowserScheduling(config, log)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """Device given by --device."""
    return torch.device(str(request.config.getoption("--device")))


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy generator, seeded afresh for each test."""
    return np.random.default_rng(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Torch generator on the CPU, seeded afresh for each test."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all processes of a run of tests share, for what `made_once` makes."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """A file that one process of tests makes, while others that need it wait."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            replace_file(path, make)
    return path


@pytest.fixture(scope="session")
def tiny_dataset_path(shared_folder: Path) -> Path:
    """Data set of 112 labelled volumes of 16 voxels per edge, of Gaussian fields, made once per session."""
    plan = DatasetPlan(
        count=112,
        seed=1,
        size=16,
        families=family_weights("gaussian"),
        materials=TwoPhase().moduli(),
        solver_tolerance=SOLVER_TOLERANCE,
        solver_dtype="float32",
        generator_version=GENERATOR_VERSION,
    )
    return made_once(
        shared_folder / "tiny.h5",
        lambda path: write_dataset(path, plan, label_batch(plan, range(plan.count))),
    )


@pytest.fixture(scope="session")
def tiny_dataset(tiny_dataset_path: Path) -> Dataset:
    """The tiny data set, read."""
    return read_dataset(tiny_dataset_path)


@pytest.fixture(scope="session")
def small_dataset(tiny_dataset: Dataset) -> Dataset:
    """Every second voxel of the tiny data set, 8 per edge: its labels are rough, for tests of mechanics."""
    volumes = tiny_dataset.volumes(slice(None))[:, ::2, ::2, ::2]
    samples = replace(tiny_dataset.samples, microstructures=pack_bits(volumes))
    return replace(tiny_dataset, plan=replace(tiny_dataset.plan, size=8), samples=samples)


@pytest.fixture(scope="session")
def tiny_checkpoint_path(
    tmp_path_factory: pytest.TempPathFactory, shared_folder: Path, tiny_dataset: Dataset
) -> Path:
    """Checkpoint of the preset `tiny`, trained on the tiny data set: real in every part, and a poor model."""

    def make(path: Path) -> None:
        config = PRESETS["tiny"]
        result = train(tiny_dataset, tmp_path_factory.mktemp("run"), config)
        card = training_card(tiny_dataset, config, result, "cpu")
        fitted = fit(result.model, tiny_dataset, config.training)
        save_checkpoint(path, result.model, config, fitted, card)

    return made_once(shared_folder / "checkpoint.pt", make)


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_checkpoint_path: Path) -> Checkpoint:
    """The tiny checkpoint, loaded; shared by all tests, so never change it in place."""
    return load_checkpoint(tiny_checkpoint_path)


@pytest.fixture(scope="session")
def tiny_embedding(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> Embedding:
    """Map of the tiny data set; further principal axes stand in for UMAP, which takes half a minute."""
    volumes = torch.from_numpy(tiny_dataset.volumes(slice(None))).float()[:, None]
    properties = np.diagonal(tiny_dataset.samples.stiffness, axis1=1, axis2=2).astype(np.float32)
    with torch.inference_mode():
        latent = tiny_checkpoint.model.encode(volumes).latent_mean
        prior = tiny_checkpoint.model.prior(torch.from_numpy(properties))
        component = prior.responsibilities(latent).argmax(1).numpy()
    latent = latent.numpy()
    centre = latent.mean(0)
    axes = np.linalg.svd(latent - centre, full_matrices=False)[2]
    return Embedding(
        family=tiny_dataset.samples.family,
        seed=tiny_dataset.samples.seed,
        split=tiny_dataset.split,
        size=tiny_dataset.plan.size,
        properties=properties,
        volume_fraction=tiny_dataset.samples.volume_fraction.astype(np.float32),
        component=component,
        latent=latent,
        pca_mean=centre,
        pca_axes=axes,
        umap=(latent - centre) @ axes[1:3].T,
    )


@pytest.fixture(scope="session")
def tiny_metrics(shared_folder: Path, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> dict[str, Any]:
    """Figures of the tiny checkpoint on the tiny data set, with two targets of three designs each."""

    def make(path: Path) -> None:
        figures = evaluate(tiny_checkpoint, tiny_dataset, targets=2, count=3)
        text = json.dumps(figures, allow_nan=False)
        assert json.loads(text) == figures  # plain numbers
        path.write_text(text, encoding="utf-8")

    return json.loads(made_once(shared_folder / "metrics.json", make).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def modes_checkpoint_path(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_path: Path) -> Path:
    """The tiny checkpoint with modes: untrained networks, and volumes of three modes.

    Closed foams and grains have the middle of the training data, fibres are ten times softer.
    """
    tiny = load_checkpoint(tiny_checkpoint_path)
    middle = np.median(tiny.fitted.property_quantiles, axis=0)[: len(PROPERTIES)]
    torch.manual_seed(0)
    modes = modes_of(
        [
            ("closed-foam", middle.tolist(), 0.4),
            ("grains", middle.tolist(), 0.5),
            ("fibres", (0.1 * middle).tolist(), 0.2),
        ]
    )
    spread = np.outer([0.9, 1.0, 1.1], middle)
    modes.networks.set_scaling(torch.from_numpy(spread).float())
    path = tmp_path_factory.mktemp("modes") / "modes.pt"
    save_checkpoint(path, tiny.model, tiny.config, tiny.fitted, tiny.card, modes=modes)
    return path


class _FirstAxes:
    """Stands in for `umap.UMAP`: the first two latent numbers are the places in the plane."""

    def __init__(self, **_settings: object) -> None:
        pass

    def fit_transform(self, latent: np.ndarray) -> np.ndarray:
        return latent[:, :2]


@pytest.fixture
def no_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package umap with `_FirstAxes` in it: import and first call of the real one take twenty seconds."""
    module = ModuleType("umap")
    module.__spec__ = ModuleSpec("umap", None)
    monkeypatch.setattr(module, "UMAP", _FirstAxes, raising=False)
    monkeypatch.setitem(sys.modules, "umap", module)


@pytest.fixture
def no_neighbour_search(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without pynndescent, which compiles for twenty seconds when it is imported: UMAP itself finds the
    neighbours of fewer than 4096 points.
    """
    for name in ("pynndescent", "pynndescent.distances", "pynndescent.sparse"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for attribute in ("NNDescent", "named_distances", "sparse_named_distances"):
            monkeypatch.setattr(module, attribute, {}, raising=False)
        monkeypatch.setitem(sys.modules, name, module)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "umap"]:
        del sys.modules[name]
