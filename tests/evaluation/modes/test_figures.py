"""Figures of the modes by the command `evaluate`, on tiny volumes and a library of their own properties."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from commandline import refused
from modes_fixture import modes_of

from vaereg.cli import main
from vaereg.elasticity import diagonal_properties
from vaereg.evaluation.modes.card import mode_section
from vaereg.evaluation.modes.figures import mode_figures
from vaereg.evaluation.modes.trials import KINDS, ModeTrial
from vaereg.generators.morphologies import component_of
from vaereg.inverse.designs import Designs
from vaereg.io.labelled_sets import LabelledSet, read_labelled_set
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vaereg.targets import Targets
from vaereg.training.labelling.morphologies import generate_morphologies

SIZE, COUNT = 16, 9
CLASSES = ["closed-foam", "grains", "tpms"]


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.h5"
    generate_morphologies(path, COUNT, 1, [SIZE], CLASSES, workers=1)
    return path


@pytest.fixture(scope="module")
def dataset(data_path: Path) -> LabelledSet:
    return read_labelled_set(data_path)


@pytest.fixture(scope="module")
def checkpoint_path(
    tiny_checkpoint: Checkpoint, dataset: LabelledSet, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny checkpoint with untrained networks of the modes, whose library are the volumes."""
    samples = dataset.samples
    modes = modes_of(
        [
            (
                component_of(str(samples.morphology[row]), dataset.recipe(row)),
                diagonal_properties(samples.stiffness[row, :1].astype(np.float64))[0].tolist(),
                float(samples.volume_fraction[row]),
            )
            for row in range(COUNT)
        ]
    )
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    own = tiny_checkpoint
    save_checkpoint(path, own.model, own.config, own.fitted, own.card, modes=modes)
    return path


@pytest.fixture(scope="module")
def metrics(data_path: Path, checkpoint_path: Path) -> dict[str, Any]:
    """Figures by the command, beside some that another run wrote."""
    out = checkpoint_path.with_suffix(".json")
    checkpoint = load_checkpoint(checkpoint_path)
    out.write_text(json.dumps({"checkpoint": checkpoint.hash, "timings": {}}), encoding="utf-8")
    flags = ["--data", data_path, "--checkpoint", checkpoint_path, "--split", "train", "--workers", 1]
    arguments = ["evaluate", *flags, "--targets", 1, "--count", 2, "--out", out]
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def test_every_figure_is_there_and_others_are_kept(metrics: dict[str, Any]) -> None:
    figures = metrics["modes"]
    assert metrics["timings"] == {} and figures["size"] == SIZE
    for judge in ("generators", "independent"):
        for item in figures["recognition"][judge].values():
            assert item["recognised"] == sum(mode["recognised"] for mode in item["by_mode"].values())
            assert item["volumes"] == sum(mode["volumes"] for mode in item["by_mode"].values())
    assert set(figures["decoded"]) <= set(CLASSES)
    for kind in KINDS:
        if "raw" in figures[kind]:
            tried = figures[kind]["modes_tried"]
            assert tried <= 2 and figures[kind]["raw"]["modes_near"] <= tried


def test_the_section_says_them_in_rectangular_tables(metrics: dict[str, Any]) -> None:
    text = mode_section(metrics["modes"])
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert len(blocks) == 4
    for block in blocks:
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1
    real = metrics["modes"]["recognition"]["generators"]["real"]
    assert f"**{100 * real['share']:.0f} ± {100 * real['standard_error']:.0f} %**" in text


def test_near_modes_are_those_whose_solved_stiffness_is_near() -> None:
    volumes = np.zeros((3, 2, 2, 2), dtype=np.uint8)
    designs = SimpleNamespace(
        microstructures=volumes,
        component=np.array([2, 2, 5]),
        materials=TwoPhase(),
        largest_deviation=np.array([0.2, 0.1, 0.3]),
    )
    solved = np.tile(np.diag([20.0, 30.0, 40.0, 1.0, 1.0, 1.0]), (2, 3, 1, 1))
    solved[0] *= np.array([1.04, 1.06, 1.07])[:, None, None]
    trial = ModeTrial(
        row=0,
        targets=Targets.of({"C11": 20.0, "C22": 30.0, "C33": 40.0}),
        designs=cast(Designs, designs),
        corrected=volumes,
        predicted=np.array([0.02, 0.03, 0.01]),
        solved=solved,
    )
    assert trial.deviations(False).max(1).tolist() == pytest.approx([0.04, 0.06, 0.07])
    assert trial.near(False).tolist() == [2] and trial.near(True).tolist() == [2, 5]
    assert trial.best(False) == 1 and trial.best(True) == 2


def test_models_without_modes_and_cards_without_figures_are_refused(
    tiny_checkpoint: Checkpoint,
    data_path: Path,
    checkpoint_path: Path,
    dataset: LabelledSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="expected a checkpoint with modes"):
        mode_figures(tiny_checkpoint, dataset)
    flags = ["--data", data_path, "--checkpoint", checkpoint_path, "--out", tmp_path / "m.json"]
    message = refused(capsys, "evaluate", *flags, "--card", tmp_path / "card.md")
    assert "evaluate it on a data set of families first" in message
