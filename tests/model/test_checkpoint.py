"""Checkpoints: exact round trips, and files that are something else are refused without running them."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch

from vaereg.elasticity import PROPERTIES
from vaereg.io.datasets import Dataset
from vaereg.materials import TwoPhase
from vaereg.model import checkpoint as module
from vaereg.model.checkpoint import (
    DEFAULT_CHECKPOINT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    save_state,
)
from vaereg.model.config import PRESETS
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import predict
from vaereg.model.reachability import TrainingProperties
from vaereg.model.vae import VaeReg

State = dict[str, Any]


@pytest.fixture
def state(tiny_checkpoint_path: Path) -> State:
    return torch.load(tiny_checkpoint_path, weights_only=True)


def plain(value: object) -> object:
    """Fitted values in a form that can be compared: arrays and tensors as bytes, with their types."""
    if isinstance(value, torch.nn.Module):
        return {name: plain(tensor) for name, tensor in value.state_dict().items()}
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, TrainingProperties):
        return plain(value.values.astype(np.float32))
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]
    return value


def test_a_round_trip_is_exact(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset, tmp_path: Path) -> None:
    given = tiny_checkpoint
    path = tmp_path / "again.pt"
    save_checkpoint(path, given.model, given.config, given.fitted, given.card)
    result = load_checkpoint(path)
    assert plain(result.model) == plain(given.model)
    assert plain(result.fitted) == plain(given.fitted)
    assert (result.config, result.card, result.model.materials) == (
        given.config,
        given.card,
        given.model.materials,
    )
    volumes = tiny_dataset.volumes(slice(0, 4))
    assert plain(predict(result, volumes)) == plain(predict(given, volumes))


def test_materials_belong_to_the_checkpoint(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    pair = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.0, nu_stiff=0.2, nu_soft=0.4)
    model = VaeReg(tiny_checkpoint.config.model, pair)
    save_checkpoint(tmp_path / "c.pt", model, tiny_checkpoint.config, tiny_checkpoint.fitted, {})
    assert load_checkpoint(tmp_path / "c.pt").model.materials == pair


def test_a_loaded_model_is_for_use_not_for_training(tiny_checkpoint: Checkpoint) -> None:
    assert not tiny_checkpoint.model.training
    assert not any(parameter.requires_grad for parameter in tiny_checkpoint.model.parameters())


def test_what_a_checkpoint_says_of_itself(
    tiny_checkpoint: Checkpoint, tiny_checkpoint_path: Path, tiny_dataset: Dataset
) -> None:
    assert tiny_checkpoint.hash == hashlib.sha256(tiny_checkpoint_path.read_bytes()).hexdigest()[:16]
    assert tiny_checkpoint.components == PRESETS["tiny"].model.components == 2
    assert tiny_checkpoint.config == PRESETS["tiny"]
    train = tiny_dataset.samples.stiffness[tiny_dataset.indices("train")]
    for i, name in enumerate(PROPERTIES):
        expected = np.quantile(train[:, i, i].astype(np.float64), [0.01, 0.99])
        np.testing.assert_allclose(tiny_checkpoint.property_ranges[name], expected)
    card = tiny_checkpoint.card
    assert json.loads(json.dumps(card)) == card
    assert card["training volumes"] == len(train)
    assert card["steps"] == PRESETS["tiny"].training.steps
    assert card["style features"].startswith("random-multiscale, SHA-256 ")


def test_the_shipped_checkpoint(tiny_dataset: Dataset) -> None:
    """It loads, belongs to the reference materials, and knows more than the volume fraction."""
    shipped = load_checkpoint()
    assert shipped.hash == load_checkpoint(DEFAULT_CHECKPOINT).hash
    assert shipped.model.materials == TwoPhase()
    assert shipped.components >= 4
    assert list(shipped.property_ranges) == list(PROPERTIES)
    assert all(0.0 < low < high for low, high in shipped.property_ranges.values())
    for fact in ("data", "seed", "trained on", "training time", "versions"):
        assert shipped.card[fact] not in (None, "")
    truth = np.diagonal(tiny_dataset.samples.stiffness, axis1=1, axis2=2)[:32]
    result = predict(shipped, tiny_dataset.volumes(slice(0, 32))).mean
    assert np.abs(result / truth - 1.0)[:, :3].mean() < 0.15


def test_there_is_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no checkpoint {path}"):
            load_checkpoint(path)


class Code:
    """Unpickling this runs something."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def test_code_in_a_file_is_never_run(tmp_path: Path, state: State) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Code(mark)))
    torch.save(Code(mark), tmp_path / "zip.pt")
    torch.save({**state, "card": Code(mark)}, tmp_path / "inside.pt")
    for path in sorted(tmp_path.glob("*.pt")):
        with pytest.raises(CheckpointError, match=f"{path} is no vaereg checkpoint"):
            load_checkpoint(path)
    assert not mark.exists()
    torch.load(tmp_path / "zip.pt", weights_only=False)
    assert mark.exists(), "the files must be dangerous for this test to mean anything"


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99, 0.9999])
def test_truncated_files(part: float, tiny_checkpoint_path: Path, tmp_path: Path) -> None:
    whole = tiny_checkpoint_path.read_bytes()
    path = tmp_path / "part.pt"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CheckpointError, match="is no vaereg checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x05.", b"PK\x03\x04", b"a text", np.random.default_rng(0).bytes(10_000)]
)
def test_files_of_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is no vaereg checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damage_is_noticed(place: float, tiny_checkpoint_path: Path, tmp_path: Path) -> None:
    """One byte changed in a tensor: the weights would load, and be others."""
    whole = bytearray(tiny_checkpoint_path.read_bytes())
    whole[int(place * len(whole))] ^= 0xFF
    path = tmp_path / "damaged.pt"
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="is no vaereg checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_other_format_versions(version: object, state: State, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_state(path, {**state, "format_version": version})
    with pytest.raises(CheckpointError, match=f"has format version {version}, this program reads 2"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [{}, [], 3, {"format_version": torch.tensor([1, 1])}])
def test_files_of_torch_that_hold_something_else(content: object, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_every_entry_is_needed(state: State, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    assert len(state) > 10
    for name in state.keys() - {"modes", "cell_sizes"}:  # files of version 0.1 have none
        save_state(path, {key: value for key, value in state.items() if key != name})
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_entries_of_another_type(state: State, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    for name in state:
        for other in ("text",) if name in ("embedding", "modes", "cell_sizes") else ("text", None):
            save_state(path, {**state, name: other})
            with pytest.raises(CheckpointError):
                load_checkpoint(path)


def test_weights_of_another_model(state: State, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_state(path, {**state, "config": PRESETS["default"].to_json()})
    with pytest.raises(CheckpointError, match="damaged or belongs to another version"):
        load_checkpoint(path)


def test_a_file_that_is_too_large_is_not_read(
    tiny_checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 1000)
    with pytest.raises(CheckpointError, match="expected a checkpoint of at most"):
        load_checkpoint(tiny_checkpoint_path)


def test_a_failed_save_leaves_the_former_file(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "c.pt"
    save_state(path, state)
    assert list(path.parent.iterdir()) == [path]
    before = path.read_bytes()

    def fail(_: State, target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_state(path, {})
    assert path.read_bytes() == before


def test_nearest_volumes_of_a_split(tiny_embedding: Embedding) -> None:
    """The nearest of all is the volume itself; of another split it is another volume."""
    latent = tiny_embedding.latent[:10]
    assert (tiny_embedding.nearest(latent, 1)[:, 0] == np.arange(10)).all()
    training = tiny_embedding.nearest(latent, 3, split="train")
    assert training.shape == (10, 3) and (tiny_embedding.split[training] == "train").all()
    distances = np.linalg.norm(tiny_embedding.latent[training] - latent[:, None], axis=2)
    assert (np.diff(distances, axis=1) >= -1e-6).all()
