"""The command line: files as agreed, one clear line and the right exit code for everything that is wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commandline import refused, run, solve

from vaereg.cli import main
from vaereg.commands import reporting


def test_progress_goes_to_stderr(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solve(volumes)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{volumes} read as NumPy array" in captured.err.splitlines()[0]
    assert "homogenize: 0/3 volumes" in captured.err.splitlines()
    assert captured.err.splitlines()[-1].startswith("homogenize: 3/3 volumes")


def test_paths_that_cannot_be(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "homogenize", tmp_path / "none.npy", "--out", tmp_path / "r.json")
    assert f"expected a file of volumes or a folder of slices, got no file at {tmp_path / 'none.npy'}" in line
    assert "existing folder" in refused(capsys, "homogenize", volumes, "--out", tmp_path / "no" / "r.json")
    assert f"got the folder {tmp_path}" in refused(capsys, "homogenize", volumes, "--out", tmp_path)
    line = refused(capsys, "homogenize", volumes, "--out", "/proc/r.json")  # before anything is solved
    assert "expected a folder that can be written to, got /proc" in line
    assert "required: --out" in refused(capsys, "homogenize", volumes)
    assert "required: COMMAND" in refused(capsys)
    assert "invalid choice: 'fly'" in refused(capsys, "fly")


def test_a_result_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not a finite number"):
        reporting.write_json(tmp_path / "r.json", {"stiffness": [float("nan")]})
    assert not (tmp_path / "r.json").exists()


def test_faults_of_the_program_show_their_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a library raises is not the user's fault; what this package says of an input is."""
    command = ["homogenize", str(tmp_path / "none.npy"), "--out", str(tmp_path / "r.json"), "--shape", "a"]
    assert main(command) == 2
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("VAEREG_DEBUG", "1")
    assert main(command) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.delenv("VAEREG_DEBUG")
    monkeypatch.setattr("vaereg.commands.homogenize.imported_volumes", lambda _: np.zeros(3).reshape(2, 2))
    assert main(command) == 1
    captured = capsys.readouterr().err
    assert "Traceback" in captured and captured.splitlines()[-1].startswith("vaereg: error: cannot reshape")


def test_the_program_says_what_is_wrong_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.npy"
    np.save(path, np.full((3, 3, 3), 5))
    result = run("homogenize", path, "--out", tmp_path / "r.json")
    expected = f"vaereg: error: {path}: expected phases 0 and 1 only, got other values as well: 5; "
    expected += "--threshold makes phases of grey values, --labels of labels\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", expected)


@pytest.mark.parametrize(
    "command", ["homogenize", "predict", "design", "refine", "generate", "train", "evaluate", "export"]
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "--out " in shown
    assert "--threads N" in shown
    uses_model = command in ("predict", "design", "refine", "evaluate")
    assert ("--checkpoint FILE" in shown) == uses_model
    assert ("--device {cpu,cuda}" in shown) == (command not in ("generate", "export"))
    assert "--device {cpu" in shown


def test_interrupts_are_quiet(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vaereg.solver.homogenization.homogenize", interrupt)
    assert main(["homogenize", str(volumes), "--out", str(tmp_path / "r.json")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "vaereg: interrupted"


def test_progress_states_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate counts what this run did, not what it found done, and neither does it count the start."""
    times = iter([100.0, 120.0, 120.1, 130.0, 130.1])
    monkeypatch.setattr(reporting.time, "monotonic", lambda: next(times))
    report = reporting.progress("generate", "volumes")
    for done in (40, 59, 60, 90, 200):
        report(done, 200)
    assert capsys.readouterr().err.splitlines() == [
        "generate: 40/200 volumes",
        "generate: 59/200 volumes, at most 2.5 min left",
        "generate: 90/200 volumes, 3.1/s, 35 s left",
        "generate: 200/200 volumes, 5.3/s",
    ]


def test_progress_of_few_long_parts_says_how_long_each_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 30.0, 45.0])
    monkeypatch.setattr(reporting.time, "monotonic", lambda: next(times))
    report = reporting.progress("refine", "designs")
    for done in (0, 1, 2):
        report(done, 3)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "refine: 1/3 designs, at most 1.0 min left",
        "refine: 2/3 designs, 15.0 s each, 15 s left",
    ]


def commands_of_the_model(cells: Path, data: Path, out: Path) -> dict[str, list[object]]:
    return {
        "predict": ["predict", cells, "--out", out],
        "design": ["design", "--target", "C11=40", "--out", out],
        "evaluate": ["evaluate", "--data", data, "--out", out],
    }


@pytest.mark.parametrize("command", ["predict", "design", "evaluate"])
def test_checkpoints_and_devices_that_are_none(
    command: str,
    cells: Path,
    tmp_path: Path,
    tiny_dataset_path: Path,
    tiny_checkpoint_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of the user's that is no checkpoint is bad input: exit code 2."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "out"
    arguments = commands_of_the_model(cells, tiny_dataset_path, out)[command]
    assert f"{cells} is no vaereg checkpoint" in refused(capsys, *arguments, "--checkpoint", cells)
    part = tmp_path / "part.pt"
    part.write_bytes(tiny_checkpoint_path.read_bytes()[:5000])
    assert f"{part} is no vaereg checkpoint" in refused(capsys, *arguments, "--checkpoint", part)
    none = tmp_path / "none.pt"
    assert f"there is no checkpoint {none}" in refused(capsys, *arguments, "--checkpoint", none)
    line = refused(capsys, *arguments, "--checkpoint", tiny_checkpoint_path, "--device", "cuda")
    assert "expected a CUDA device for --device cuda, got none on this machine" in line
    arguments[arguments.index(out)] = tmp_path / "no" / "out"
    assert "existing folder" in refused(capsys, *arguments, "--checkpoint", tiny_checkpoint_path)
    assert not out.exists()
