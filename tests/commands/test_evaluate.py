"""The command `evaluate`: figures and card, and what it refuses."""

import json
from pathlib import Path

import pytest
from commandline import refused

from vaereg.cli import main


def test_evaluate_writes_figures_and_card(
    tmp_path: Path, tiny_dataset_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, card = tmp_path / "metrics.json", tmp_path / "card.md"
    flags = ["--data", tiny_dataset_path, "--checkpoint", tiny_checkpoint_path, "--targets", 1, "--count", 2]
    arguments = ["evaluate", *flags, "--workers", 1, "--out", out, "--card", card]
    assert main([str(argument) for argument in arguments]) == 0
    metrics = json.loads(out.read_text(encoding="utf-8"))
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == "evaluate: 0/6 designs solved"
    assert f"{metrics['forward']['guided']['mape_axial']:.2%}" in captured.out
    assert f"{metrics['inverse']['median_error']:.1%}" in captured.out
    assert card.read_text(encoding="utf-8").startswith("# Model card")
    assert metrics["data"]["split"] == "test"


def test_phases_of_the_user_are_measured_by_the_solver(
    tmp_path: Path, tiny_dataset_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "metrics.json"
    flags = ["--data", tiny_dataset_path, "--targets", 2, "--materials", "E-glass/epoxy", "--workers", 1]
    assert main([str(argument) for argument in ["evaluate", *flags, "--out", out]]) == 0
    metrics = json.loads(out.read_text(encoding="utf-8"))
    assert metrics["materials"]["stiff"]["name"] == "E-glass"
    assert metrics["forward"]["volumes"] == 2 and metrics["forward"]["bounded"] == 1.0
    shown = capsys.readouterr()
    assert "evaluate: 2/2 volumes solved" in shown.err
    assert f"{metrics['forward']['mean']:.2%}" in shown.out and "guaranteed bounds: 100%" in shown.out
    message = refused(capsys, "evaluate", *flags, "--out", out, "--card", tmp_path / "card.md")
    assert "expected --card and --baselines without phases" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "tests"], "expected a split of train, validation, test, got 'tests'"),
        (["--targets", "0"], "expected at least one target and one design, got 0 and 12"),
        (["--targets", "999"], "expected at least 999 volumes in the split 'test', got "),
        (["--card", "no/card.md"], "expected a file in an existing folder, got no/card.md"),
        (["--baselines", "pyproject.toml"], "expected a JSON record of baselines in pyproject.toml"),
        (["--data", "none.h5"], "expected an HDF5 file, got no file at none.h5"),
    ],
)
def test_bad_flags_of_evaluate(
    flags: list[str],
    message: str,
    tmp_path: Path,
    tiny_dataset_path: Path,
    tiny_checkpoint_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "m.json"
    arguments = ["--data", tiny_dataset_path, "--checkpoint", tiny_checkpoint_path, "--out", out, *flags]
    assert message in refused(capsys, "evaluate", *arguments)
    assert not out.exists()
