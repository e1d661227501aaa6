"""The command `predict`: its file, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from commandline import RUN, refused

from vaereg.cli import main
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import predict


def test_predict_writes_the_agreed_file(
    cells: Path,
    tmp_path: Path,
    tiny_checkpoint_path: Path,
    tiny_checkpoint: Checkpoint,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "r.json"
    assert main(["predict", str(cells), "--out", str(out), "--checkpoint", str(tiny_checkpoint_path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("predict: 3/3 volumes"))
    assert f"{cells} read as NumPy array" in lines[place + 1]
    content = json.loads(out.read_text(encoding="utf-8"))
    assert set(content) == {*RUN, "regressor", "units", "order", "read_as", "results"}
    assert content["checkpoint"] == tiny_checkpoint.hash and content["solver"]["tolerance"] == 0.05
    assert content["materials"] == tiny_checkpoint.model.materials.to_dict()
    assert content["units"] == "GPa"
    expected = predict(tiny_checkpoint, np.load(cells))
    assert len(content["results"]) == 3
    for i, result in enumerate(content["results"]):
        known = {"properties", "stiffness", "engineering", "morphology", "volume_fraction", "in_distribution"}
        assert set(result) == {*known, "novelty", "iterations", "residual"}
        assert sum(result["morphology"].values()) == pytest.approx(1.0) and "pores" in result["morphology"]
        mean, lower, upper = (np.array(result["stiffness"][name]) for name in ("mean", "lower", "upper"))
        assert (np.diag(lower) <= np.diag(mean)).all() and (np.diag(mean) <= np.diag(upper) + 1e-4).all()
        assert list(result["properties"]) == ["C11", "C22", "C33", "C44", "C55", "C66"]
        for j, values in enumerate(result["properties"].values()):
            assert set(values) == {"mean", "std"}
            assert values["mean"] == pytest.approx(expected.mean[i, j])
            assert values["std"] == pytest.approx(expected.std[i, j])
        assert result["volume_fraction"] == np.load(cells)[i].mean()
        assert result["in_distribution"] is bool(expected.in_distribution[i])
        assert result["novelty"] == pytest.approx(expected.novelty[i])


def test_predict_refuses_what_it_cannot_know(
    volumes: Path, tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--out", tmp_path / "r.json", "--checkpoint", tiny_checkpoint_path]
    line = refused(capsys, "predict", volumes, *flags)
    assert f"{volumes}, volume 2: expected both phases, got stiff voxels only" in line
    np.save(volumes, np.load(volumes)[:2])
    assert "expected at least 8 voxels per edge, got a volume of shape (4, 4, 4)" in refused(
        capsys, "predict", volumes, *flags
    )
    none = tmp_path / "none.npy"
    assert f"got no file at {none}" in refused(capsys, "predict", none, *flags)
    assert not (tmp_path / "r.json").exists()
