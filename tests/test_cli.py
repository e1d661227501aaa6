"""The command line: files as agreed, one clear line and the right exit code for everything that is wrong."""

import dataclasses
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import vaereg
from vaereg.cli import main
from vaereg.commands import reporting
from vaereg.elasticity import PROPERTIES, isotropic_stiffness
from vaereg.inverse.direct import design
from vaereg.io.datasets import Dataset, read_dataset, write_dataset
from vaereg.io.designs import read_designs
from vaereg.io.labelled_sets import read_labelled_set
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.config import PRESETS, RunConfig
from vaereg.model.prediction import predict
from vaereg.solver.homogenization import homogenize

ROOT = Path(__file__).parents[1]
RUN = ("format_version", "program", "version", "materials", "phases", "solver", "checkpoint")
"""What a file of results says of its run."""
PROGRESS = ("homogenize: ", "generate: ", "train: ", "evaluate: ")


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (4, 4, 4), dtype=np.uint8)


@pytest.fixture
def cells(tmp_path: Path, tiny_dataset: Dataset) -> Path:
    """Three volumes of 16 voxels per edge."""
    path = tmp_path / "cells.npy"
    np.save(path, tiny_dataset.volumes(slice(0, 3)))
    return path


@pytest.fixture
def volumes(tmp_path: Path, volume: np.ndarray) -> Path:
    path = tmp_path / "volumes.npy"
    np.save(path, np.stack([volume, 1 - volume, np.ones_like(volume)]))
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    command = [sys.executable, "-m", "vaereg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def solve(path: Path, *flags: str) -> dict[str, Any]:
    out = path.with_suffix(".json")
    assert main(["homogenize", str(path), "--out", str(out), *flags]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """Run a command that must fail; returns what it says, which must be one line after any progress."""
    try:
        returned = main([str(argument) for argument in arguments])
    except SystemExit as end:
        returned = end.code
    assert returned == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.startswith(PROGRESS)]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("vaereg: error: ")
    return lines[0]


def test_homogenize_writes_the_agreed_file(volumes: Path) -> None:
    content = solve(volumes)
    assert set(content) == {*RUN, "units", "order", "read_as", "results"}
    assert content["units"] == "GPa"
    assert content["format_version"] == 2 and content["version"] == vaereg.__version__
    assert content["solver"] == {"tolerance": 1e-6, "dtype": "float64"} and content["checkpoint"] is None
    assert content["phases"] == {"0": "soft", "1": "stiff"}
    assert content["read_as"]["axes"] == "nxyz" and content["read_as"]["phases"] == "0 soft, 1 stiff"
    assert content["order"] == ["xx", "yy", "zz", "yz", "xz", "xy"]
    assert len(content["results"]) == 3
    for volume, result in zip(np.load(volumes), content["results"], strict=True):
        solved = {"stiffness", "iterations", "residual", "converged", "element", "unloaded"}
        assert set(result) == {*solved, "volume_fraction", "engineering"}
        expected = homogenize(volume)
        assert result["stiffness"] == expected.stiffness.tolist()
        assert result["volume_fraction"] == volume.mean()
        assert result["iterations"] == expected.iterations
        assert result["residual"] <= 1e-6
        assert result["converged"] is True


def test_a_homogeneous_volume_has_the_stiffness_of_its_phase(volumes: Path) -> None:
    results = solve(volumes, "--e-stiff", "7", "--nu", "0.2", "--e-soft", "1")["results"]
    np.testing.assert_allclose(results[2]["stiffness"], isotropic_stiffness(7.0, 0.2), atol=1e-9)


def test_a_single_volume_needs_no_stack(tmp_path: Path, volume: np.ndarray, volumes: Path) -> None:
    np.save(tmp_path / "one.npy", volume.astype(bool))
    assert solve(tmp_path / "one.npy")["results"] == solve(volumes)["results"][:1]


def test_stiffness_scales_with_the_moduli(volumes: Path) -> None:
    """Units: both moduli times ten is the stiffness times ten."""
    reference = solve(volumes, "--rtol", "1e-9")["results"][0]["stiffness"]
    scaled = solve(volumes, "--e-stiff", "1200", "--e-soft", "24", "--rtol", "1e-9")["results"][0][
        "stiffness"
    ]
    np.testing.assert_allclose(scaled, 10 * np.array(reference), rtol=1e-9, atol=1e-9)


def test_a_looser_tolerance_takes_fewer_iterations(volumes: Path) -> None:
    loose, tight = (solve(volumes, "--rtol", rtol)["results"][0] for rtol in ("1e-2", "1e-8"))
    assert loose["iterations"] < tight["iterations"]
    assert tight["residual"] <= 1e-8


def test_progress_goes_to_stderr(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solve(volumes)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{volumes} read as NumPy array" in captured.err.splitlines()[0]
    assert "homogenize: 0/3 volumes" in captured.err.splitlines()
    assert captured.err.splitlines()[-1].startswith("homogenize: 3/3 volumes")


BAD_VOLUMES = {
    "three values": (np.arange(27).reshape(3, 3, 3) % 3, "0 and 1 only, got other values as well: 2"),
    "NaN": (np.full((3, 3, 3), np.nan), "not finite"),
    "objects": (np.full((3, 3, 3), None), "pickled Python objects"),
    "two axes": (np.zeros((3, 3)), "(X, Y, Z) or (N, X, Y, Z), got (3, 3)"),
    "empty": (np.zeros((0, 3, 3, 3)), "at least one voxel"),
}


@pytest.mark.parametrize("case", BAD_VOLUMES)
def test_bad_volumes(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array, message = BAD_VOLUMES[case]
    np.save(tmp_path / "bad.npy", array, allow_pickle=True)
    line = refused(capsys, "homogenize", tmp_path / "bad.npy", "--out", tmp_path / "r.json")
    assert message in line
    assert "bad.npy: expected" in line
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--e-stiff", "-1"], "e_stiff must be a positive number of GPa, got -1"),
        (["--e-soft", "nan"], "e_soft must be a positive number of GPa, or 0 for a void, got nan"),
        (["--nu", "0.5"], "must lie between -1 and 0.5 (exclusive), got 0.5"),
        (["--nu", "high"], "--nu: invalid float value: 'high'"),
        (["--rtol", "0"], "rtol must be positive, got 0"),
        (["--threads", "0"], "expected at least one thread, got 0"),
        (["--physics", "magnetic"], "expected physics of elastic, thermal, got 'magnetic'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_bad_flags_of_homogenize(
    flags: list[str], message: str, volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    assert message in refused(capsys, "homogenize", volumes, "--out", out, *flags)
    assert not out.exists()


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


def test_a_solve_that_fails_is_told_apart_from_bad_input(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is written all the same, and says which volumes did not converge."""
    monkeypatch.setattr("vaereg.solver.homogenization.homogenize", partial(homogenize, max_iter=2))
    out = tmp_path / "r.json"
    line = refused(capsys, "homogenize", volumes, "--out", out, code=1)
    assert line == "vaereg: error: 2 of 3 volumes did not converge to 1e-06"
    results = json.loads(out.read_text(encoding="utf-8"))["results"]
    assert [result["converged"] for result in results] == [False, False, True]
    assert results[0]["residual"] > 1e-6


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


def test_generate_makes_a_data_set_and_leaves_it_at_that(tmp_path: Path) -> None:
    out = tmp_path / "data.h5"
    flags = [
        "--count",
        6,
        "--seed",
        3,
        "--size",
        8,
        "--out",
        out,
        "--families",
        "gaussian-rod-x,gaussian-free",
    ]
    result = run("generate", *flags, "--workers", 1)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[0] == "generate: 0/6 volumes"
    assert result.stderr.splitlines()[-1].startswith("generate: 6/6 volumes, ")
    data = read_dataset(out)
    assert (len(data), data.plan.seed, data.plan.size) == (6, 3, 8)
    assert data.plan.families == {"gaussian-rod-x": 0.5, "gaussian-free": 0.5}
    before = out.read_bytes()
    assert main(["generate", *map(str, flags)]) == 0
    assert out.read_bytes() == before


def test_generate_makes_data_sets_of_morphologies(tmp_path: Path) -> None:
    out = tmp_path / "labels.h5"
    flags = ["--count", 3, "--seed", 3, "--size", 8, 9, "--out", out, "--morphologies", "particles,tpms"]
    result = run("generate", *flags, "--workers", 1)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[-1].startswith("generate: 3/3 volumes, ")
    data = read_labelled_set(out)
    assert data.plan.morphologies == {"particles": 0.5, "tpms": 0.5}
    assert data.plan.sizes == {"8": 0.5, "9": 0.5}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--count", "0"], "at least one volume, got 0"),
        (["--count", "many"], "--count: invalid int value: 'many'"),
        (["--seed", "-1"], "seed from 0 to 2^63 - 1, got -1"),
        (["--size", "1"], "size of 2 to 512 voxels per edge, got 1"),
        (["--families", "foam"], "unknown family 'foam', expected one of gaussian-equiaxed, "),
        (["--families", ","], "at least one family of gaussian-equiaxed, "),
        (["--workers", "0"], "at least one worker, got 0"),
        (["--size", "8", "16"], "one size, got 2; several need --morphologies"),
        (["--morphologies", "foam"], "unknown morphology 'foam', expected one of particles, "),
        (["--morphologies", "all", "--size", "7"], "sizes of 8 to 128 voxels per edge, got [7]"),
        (["--morphologies", "all", "--families", "default"], "not allowed with argument"),
    ],
)
def test_bad_flags_of_generate(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--count", "4", "--seed", "1", "--out", str(tmp_path / "data.h5"), *flags]
    assert message in refused(capsys, "generate", *flags)
    assert not list(tmp_path.iterdir())


def test_generate_does_not_write_over_another_file(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = volumes.read_bytes()
    line = refused(capsys, "generate", "--count", 4, "--seed", 1, "--out", volumes)
    assert f"expected a readable HDF5 file, got {volumes}" in line
    assert volumes.read_bytes() == before


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
    """The rate counts what this run did, not what it found done."""
    times = iter([100.0, 109.9, 110.0, 110.1])
    monkeypatch.setattr(reporting.time, "monotonic", lambda: next(times))
    report = reporting.progress("generate", "volumes")
    for done in (40, 59, 60, 200):
        report(done, 200)
    assert capsys.readouterr().err.splitlines() == [
        "generate: 40/200 volumes",
        "generate: 59/200 volumes, 1.9/s, 1.2 min left",
        "generate: 200/200 volumes, 15.8/s, 0.0 min left",
    ]


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
    assert set(content) == {*RUN, "units", "read_as", "results"}
    assert content["checkpoint"] == tiny_checkpoint.hash and content["solver"] is None
    assert content["materials"] == tiny_checkpoint.model.materials.to_dict()
    assert content["units"] == "GPa"
    expected = predict(tiny_checkpoint, np.load(cells))
    assert len(content["results"]) == 3
    for i, result in enumerate(content["results"]):
        assert set(result) == {"properties", "volume_fraction", "in_distribution", "novelty"}
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


TARGETS = ["--target", "C11=45", "--target", "C33=25:35"]


def make_designs(out: Path, checkpoint: Path, *flags: object) -> h5py.File:
    arguments = ["design", *TARGETS, "--out", out, "--checkpoint", checkpoint, "--size", 16, *flags]
    assert main([str(argument) for argument in arguments]) == 0
    return h5py.File(out)


def test_design_writes_the_agreed_file(
    tmp_path: Path,
    tiny_checkpoint_path: Path,
    tiny_checkpoint: Checkpoint,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = design(tiny_checkpoint, {"C11": 45.0, "C33": (25.0, 35.0)}, 5, 16, seed=7)
    with make_designs(tmp_path / "d.h5", tiny_checkpoint_path, "--count", 5, "--seed", 7) as file:
        arrays = {}
        file.visititems(
            lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        predicted = {f"predicted/{name}" for name in PROPERTIES}
        assert set(arrays) == {"microstructures", "component", "latent", *predicted}
        assert (arrays["microstructures"].shape, arrays["microstructures"].dtype) == (
            (5, 16, 16, 16),
            np.uint8,
        )
        assert (arrays["component"].shape, arrays["component"].dtype.kind) == ((5,), "i")
        assert (arrays["latent"].shape, arrays["latent"].dtype) == ((5, 4), np.float32)
        for i, name in enumerate(PROPERTIES):
            column = arrays[f"predicted/{name}"]
            assert (column.shape, column.dtype.kind, column.attrs["units"]) == ((5,), "f", "GPa")
            np.testing.assert_array_equal(column[()], expected.mean[:, i])
        np.testing.assert_array_equal(arrays["microstructures"][()], expected.microstructures)
        np.testing.assert_array_equal(arrays["component"][()], expected.component)
        assert {"target", "seed", "checkpoint", "units", "format_version"} <= set(file.attrs)
        assert json.loads(str(file.attrs["target"])) == {"C11": 45.0, "C33": [25.0, 35.0]}
        assert (file.attrs["seed"], file.attrs["checkpoint"]) == (7, tiny_checkpoint.hash)
        assert (file.attrs["units"], file.attrs["format_version"]) == ("GPa", 1)
    assert read_designs(tmp_path / "d.h5").target == {"C11": 45.0, "C33": (25.0, 35.0)}
    assert re.search(r"^design: (\d+)/\1 candidates", capsys.readouterr().err, re.MULTILINE)


def test_designs_can_be_made_again(tmp_path: Path, tiny_checkpoint_path: Path) -> None:
    """The same seed, checkpoint and arguments: the same bytes."""
    for name, flags in {"a": [], "b": [], "c": ["--seed", 1], "d": ["--component", 1]}.items():
        make_designs(tmp_path / name, tiny_checkpoint_path, "--count", 2, *flags).close()
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other
    assert read_designs(tmp_path / "d").component.tolist() == [1, 1]
    assert read_designs(tmp_path / "a").component.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target", "C11=-3"], "C11 must be a positive number of GPa, or a range low:high, got -3.0"),
        (["--target", "C99=1"], "unknown property 'C99': expected one of C11, C22, C33, C44, C55, C66"),
        (["--target", "C11=abc"], "expected a target such as C11=60 or C22=30:40 in GPa, got 'C11=abc'"),
        (["--target", "C11"], "expected a target such as C11=60 or C22=30:40 in GPa, got 'C11'"),
        (
            ["--target", "C11=60:40"],
            "C11 must be a positive number of GPa, or a range low:high, got (60.0, 40.0)",
        ),
        (["--target", "C11=nan"], "C11 must be a positive number of GPa"),
        (["--target", "C11=40", "--target", "C11=50"], "expected one target for C11, got two"),
        (["--target", "C11=5000"], "C11 = 5000 GPa: the nearest has C11 = "),
        ([], "the following arguments are required: --target"),
        (["--target", "C11=40", "--count", "0"], "count must be between 1 and 256, got 0"),
        (["--target", "C11=40", "--count", "few"], "--count: invalid int value: 'few'"),
        (["--target", "C11=40", "--size", "30"], "size must be a multiple of 8 from 16 to 128, got 30"),
        (["--target", "C11=40", "--component", "2"], "component must be between 0 and 1, got 2"),
        (["--target", "C11=40", "--seed", "-1"], "seed must be between 0 and 2^63 - 1, got -1"),
        (["--target", "C11=40", "--seed", str(2**70)], "seed must be between 0 and 2^63 - 1"),
        (["--target", "C11=40", "--device", "tpu"], "--device: invalid choice: 'tpu'"),
    ],
)
def test_bad_flags_of_design(
    flags: list[str],
    message: str,
    tmp_path: Path,
    tiny_checkpoint_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "d.h5"
    line = refused(capsys, "design", *flags, "--out", out, "--checkpoint", tiny_checkpoint_path)
    assert message in line
    assert not out.exists()


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


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "tests"], "expected a split of train, validation, test, got 'tests'"),
        (["--targets", "0"], "expected at least one target, one design and one worker, got 0, 12 and 2"),
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


def test_physics_adds_what_the_phases_say(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = solve(volumes, "--materials", "aluminium/epoxy", "--physics", "elastic,thermal")
    first, _, solid = content["results"]
    assert np.shape(first["conductivity"]) == (3, 3)
    assert np.shape(first["thermal_expansion"]) == (6,)
    np.testing.assert_allclose(solid["conductivity"], 237.0 * np.eye(3), atol=1e-9)
    np.testing.assert_allclose(solid["thermal_expansion"], [23.1] * 3 + [0.0] * 3, atol=1e-6)
    assert solid["density"] == pytest.approx(2.7)
    assert solid["engineering"]["E_x"] == pytest.approx(70.0)
    assert solid["engineering"]["nu_xy"] == pytest.approx(0.35)
    assert first["conduction"]["converged"]
    bare = solve(volumes, "--physics", "elastic,thermal")
    assert "conductivity is left out" in capsys.readouterr().err
    assert not {"conductivity", "thermal_expansion", "density"} & set(bare["results"][0])
    alone = solve(volumes, "--materials", "aluminium/epoxy", "--physics", "thermal")["results"][0]
    assert alone["conductivity"] == first["conductivity"]
    assert "stiffness" not in alone


def test_voids_are_named_in_the_results(tmp_path: Path) -> None:
    volume = np.ones((6, 6, 6), np.uint8)
    volume[2] = 0  # a slit normal to x
    np.save(tmp_path / "slit.npy", volume)
    (result,) = solve(tmp_path / "slit.npy", "--materials", "steel/air", "--physics", "elastic,thermal")[
        "results"
    ]
    assert result["unloaded"] == ["xx", "xz", "xy"]
    assert result["engineering"]["E_x"] == 0.0
    assert result["engineering"]["nu_xy"] is None
    assert result["thermal_expansion"][:2] == [None, 12.0]
    assert result["conductivity"][0][0] == pytest.approx(1.0 / (5 / 6 / 50.0 + 1 / 6 / 0.026))


def test_materials_by_name_by_file_and_per_volume(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same pair by any way gives the same stiffness; a list holds one pair per volume."""
    file, out = tmp_path / "pair.json", tmp_path / "r.json"
    named = solve(volumes, "--materials", "epoxy/E-glass")
    assert "epoxy is softer than E-glass" in capsys.readouterr().err
    assert named["materials"]["stiff"]["name"] == "E-glass"
    assert named["materials"]["soft"]["density"] == 1.2
    pair = named["materials"]
    file.write_text(json.dumps({"stiff": pair["stiff"], "soft": "epoxy"}), encoding="utf-8")
    assert solve(volumes, "--materials", str(file))["results"] == named["results"]
    count = len(named["results"])
    file.write_text(json.dumps([{"stiff": "steel", "soft": "void"}] + [pair] * (count - 1)), encoding="utf-8")
    listed = solve(volumes, "--materials", str(file))
    assert listed["results"][1:] == named["results"][1:]
    assert listed["results"][0] != named["results"][0]
    file.write_text(json.dumps([pair] * (count + 1)), encoding="utf-8")
    message = refused(capsys, "homogenize", volumes, "--out", out, "--materials", file)
    assert f"one per volume ({count}), got {count + 1}" in message
    message = refused(capsys, "homogenize", volumes, "--out", out, "--materials", file, "--nu", "0.2")
    assert "got both" in message
