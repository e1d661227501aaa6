"""The command `train`: a checkpoint, a run that goes on, and what it refuses."""

import dataclasses
from pathlib import Path

import pytest
import torch
from commandline import refused

from vaereg.cli import main
from vaereg.io.datasets import Dataset, write_dataset
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.config import PRESETS, RunConfig


@pytest.mark.usefixtures("no_umap")
def test_train_makes_a_checkpoint_and_goes_on(
    tmp_path: Path, small_dataset: Dataset, tiny_dataset_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings from a file; the same command with --resume finds the run finished, and ships it again."""
    tiny = PRESETS["tiny"]
    config = RunConfig(model=tiny.model, training=dataclasses.replace(tiny.training, steps=20))
    (tmp_path / "config.json").write_text(config.to_json())
    data = tmp_path / "small.h5"
    write_dataset(data, small_dataset.plan, small_dataset.samples)
    out = tmp_path / "run"
    flags = ["train", "--data", data, "--out", out, "--config", tmp_path / "config.json"]
    assert main([str(flag) for flag in flags]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("train: step 20/20: regression ")
    assert lines[-1] == f"train: wrote {out / 'checkpoint.pt'}"
    assert {path.name for path in out.iterdir()} == {"checkpoint.pt", "config.json", "log.csv", "state.pt"}
    first = load_checkpoint(out / "checkpoint.pt")
    assert first.config == config
    assert first.card["steps"] == 20
    assert first.card["data"] == "python -m vaereg generate --count 112 --seed 1 --size 8 --families gaussian"

    assert f"{out} holds a run already: resume it or choose another folder" in refused(capsys, *flags)
    assert main([str(flag) for flag in [*flags, "--resume"]]) == 0
    shipped = load_checkpoint(out / "checkpoint.pt")
    again = shipped.model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.model.state_dict().items())
    other = ["train", "--data", data, "--out", out, "--preset", "tiny", "--resume"]
    assert f"the run in {out} has another configuration" in refused(capsys, *other)

    more = [*flags[:3], "--out", tmp_path / "more", *flags[5:], "--continue-from", out / "checkpoint.pt"]
    assert main([str(flag) for flag in more]) == 0
    continued = load_checkpoint(tmp_path / "more" / "checkpoint.pt")
    assert f"checkpoint {shipped.hash} (steps 20" in continued.card["continued from"]
    line = refused(capsys, *more[:-2], "--resume")  # without the model that the run was begun from
    assert "was begun from another model, or from none" in line
    changed = continued.model.state_dict()
    moved = {name.split(".")[0] for name, tensor in changed.items() if not torch.equal(tensor, again[name])}
    assert moved == {"prior_network", "latent_head", "decoder"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset", "huge"], f"expected a preset of {', '.join(PRESETS)}, got 'huge'"),
        (["--preset", "tiny", "--config", "c.json"], "not allowed with argument --preset"),
        (["--config", "none.json"], "No such file or directory: 'none.json'"),
        (["--preset", "tiny", "--minutes", "0"], "expected positive minutes, got 0"),
        (["--preset", "tiny", "--minutes", "nan"], "expected positive minutes, got nan"),
        (["--preset", "tiny", "--resume"], "there is no run to resume in "),
        (["--preset", "tiny", "--device", "cuda"], "expected a CUDA device for --device cuda"),
        (["--preset", "tiny", "--data", "none.h5"], "expected an HDF5 file, got no file at none.h5"),
    ],
)
def test_bad_flags_of_train(
    flags: list[str],
    message: str,
    tmp_path: Path,
    tiny_dataset_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "run"
    assert message in refused(capsys, "train", "--data", tiny_dataset_path, "--out", out, *flags)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a JSON object of settings"),
        ('{"training": {"steps": "many"}}', "expected steps of type int, got 'many'"),
        ('{"model": {"size": 3}}', "expected settings of ModelConfig"),
        ('{"training": {"features": "eyes"}}', "expected one of vgg16-imagenet, alexnet-imagenet, "),
    ],
)
def test_bad_settings(
    text: str, message: str, tmp_path: Path, tiny_dataset_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    flags = ["--data", tiny_dataset_path, "--out", tmp_path / "run", "--config", path]
    assert message in refused(capsys, "train", *flags)
