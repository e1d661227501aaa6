"""Files of users on the command line: flags that say what they mean, exports, one line per mistake."""

import json
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
import tifffile

from vaereg.cli import main
from vaereg.io.designs import write_designs
from vaereg.io.exporting.export import FORMATS, export
from vaereg.materials import TwoPhase, choose_materials
from vaereg.solver.homogenization import homogenize

GREY = np.random.default_rng(0).integers(0, 200, (4, 4, 4), dtype=np.uint8)


def fraction_of(path: Path) -> float:
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    return result["volume_fraction"]


@pytest.fixture
def designs(tmp_path: Path) -> Path:
    volumes = np.random.default_rng(1).integers(0, 2, (2, 4, 4, 4), dtype=np.uint8)
    path = tmp_path / "designs.h5"
    write_designs(
        path,
        microstructures=volumes,
        component=[0, 1],
        latent=np.zeros((2, 3)),
        predicted=np.ones((2, 6)),
        target={"C11": 30.0},
        seed=4,
        made_by="0123456789abcdef",
        stiffness=[homogenize(volume).stiffness for volume in volumes],
    )
    return path


def test_threshold_and_phase_order(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "ct.tif", GREY, photometric="minisblack")
    command = ["homogenize", str(tmp_path / "ct.tif"), "--out", str(tmp_path / "r.json")]
    assert main([*command, "--threshold", "90"]) == 0
    assert fraction_of(tmp_path / "r.json") == np.mean(GREY > 90)
    assert main([*command, "--threshold", "90", "--phase-order", "stiff-soft"]) == 0
    assert fraction_of(tmp_path / "r.json") == np.mean(GREY <= 90)
    assert main([*command, "--threshold", "otsu"]) == 0
    assert 0.3 < fraction_of(tmp_path / "r.json") < 0.7


def test_data_set_labels_and_raw(tmp_path: Path) -> None:
    labelled = (GREY // 40).astype(np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/labels"], file["other"] = labelled, GREY
    out = tmp_path / "r.json"
    command = ["homogenize", str(tmp_path / "a.h5"), "--dataset", "scan/labels", "--labels", "1,3"]
    assert main([*command, "--out", str(out)]) == 0
    assert fraction_of(out) == np.isin(labelled, (1, 3)).mean()
    (tmp_path / "a.raw").write_bytes((GREY > 90).astype(">i2").tobytes())
    command = ["homogenize", str(tmp_path / "a.raw"), "--shape", "4,4,4", "--dtype", ">i2"]
    assert main([*command, "--out", str(out)]) == 0
    assert fraction_of(out) == np.mean(GREY > 90)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "expected the name of one of its arrays"),
        (["--dataset", "none"], "expected an array 'none'"),
        (["--dataset", "labels"], "0 and 1 only, got other values"),
        (["--dataset", "labels", "--threshold", "9"], "threshold within its values 0 to 4"),
        (["--dataset", "labels", "--threshold", "much"], "numbers for --threshold, got 'much'"),
        (["--dataset", "labels", "--threshold", "nan"], "finite threshold"),
        (["--dataset", "labels", "--threshold", "1,5"], "one number for --threshold, got '1,5'"),
        (["--dataset", "labels", "--labels", "7"], "labels of the file, got 7"),
        (["--dataset", "labels", "--labels", "1", "--threshold", "1"], "got both"),
        (["--dataset", "labels", "--phase-order", "stiff-soft"], "phases 0 and 1 to swap"),
        (["--dataset", "curve"], "got (4,)"),
        (["--shape", "4,x,4"], "numbers for --shape"),
    ],
)
@pytest.mark.parametrize("command", ["homogenize", "predict"])
def test_bad_input_is_one_line_and_code_2(
    command: str, flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["labels"], file["grey"], file["curve"] = GREY // 40, GREY, np.arange(4)
    assert main([command, str(tmp_path / "a.h5"), "--out", str(tmp_path / "r.json"), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vaereg: error: ") and message in line
    assert not (tmp_path / "r.json").exists()


def test_designs_with_other_arrays_are_volumes_too(designs: Path, tmp_path: Path) -> None:
    assert main(["homogenize", str(designs), "--out", str(tmp_path / "r.json")]) == 0
    assert len(json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]) == 2


def test_what_is_read_is_not_written_over(
    designs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = designs.read_bytes()
    (tmp_path / "link.h5").symlink_to(designs)
    for out in (designs, tmp_path / "link.h5"):
        for command in (["homogenize"], ["export", "--index", "0", "--format", "npy"]):
            assert main([*command, str(designs), "--out", str(out)]) == 2
            assert "expected another file to write" in capsys.readouterr().err
    assert designs.read_bytes() == before


def test_every_format_is_exported(designs: Path, tmp_path: Path) -> None:
    for format in FORMATS:
        out = tmp_path / f"one-{format}{FORMATS[format].suffix}"
        assert main(["export", str(designs), "--index", "1", "--format", format, "--out", str(out)]) == 0
        assert out.stat().st_size > 0
    with h5py.File(designs) as file:
        stored = file["microstructures"]
        assert isinstance(stored, h5py.Dataset)
        np.testing.assert_array_equal(np.load(tmp_path / "one-npy.npy"), stored[1])
    assert len(meshio.read(tmp_path / "one-abaqus.inp").cells[0].data) == 64
    reference = json.loads((tmp_path / "one-json.json").read_text(encoding="utf-8"))
    assert (reference["seed"], reference["component"], reference["target"]) == (4, 1, {"C11": 30.0})
    sheets = {path.name for path in tmp_path.glob("*-sheet.json")}
    assert sheets == {f"one-{format}-sheet.json" for format in ("npy", "stl", "fans", "csv")}
    sheet = json.loads((tmp_path / "one-npy-sheet.json").read_text(encoding="utf-8"))
    assert sheet["spec_sheet"] == reference["spec_sheet"] and sheet["seed"] == 4
    assert main(["export", str(designs), "--format", "zip", "--out", str(tmp_path / "all.zip")]) == 0


def test_figures_of_other_moduli_are_left_out(
    designs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(designs), "--index", "1", "--format", "json", "--out", str(tmp_path / "a.json")]
    assert main(command) == 0
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["predicted"] is not None
    assert main([*command, "--e-stiff", "200"]) == 0
    reference = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert reference["predicted"] is None and reference["solver"] is None
    assert "left out" in capsys.readouterr().err


def test_designs_are_exported_with_the_phases_of_their_file(
    designs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or with those that are asked for."""
    pair = choose_materials("E-glass/epoxy").pairs[0]
    export(np.eye(4)[:, :, None] * np.ones(4), pair, "h5", tmp_path / "own.h5")
    command = ["export", str(tmp_path / "own.h5"), "--index", "0", "--format", "json"]
    command += ["--out", str(tmp_path / "a.json")]

    def written(*flags: str) -> dict:
        assert main([*command, *flags]) == 0
        return json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["materials"]

    assert written() == pair.to_dict() and "left out" not in capsys.readouterr().err
    assert written("--materials", "steel/air")["stiff"]["name"] == "steel"
    assert "left out" in capsys.readouterr().err


def test_a_bare_design_is_exported_and_read_again(tmp_path: Path) -> None:
    """What is not known stays so, from file to file."""
    export(np.eye(4)[:, :, None] * np.ones(4), TwoPhase(), "h5", tmp_path / "bare.h5")
    out = tmp_path / "a.json"
    command = ["export", str(tmp_path / "bare.h5"), "--index", "0", "--format", "json"]
    assert main([*command, "--out", str(out)]) == 0
    reference = json.loads(out.read_text(encoding="utf-8"))
    assert all(reference[key] is None for key in ("predicted", "solver", "seed", "component", "latent"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--index", "2", "--format", "npy"], "index from 0 to 1, got 2"),
        (["--index", "-1", "--format", "npy"], "index from 0 to 1, got -1"),
        (["--format", "npy"], "expected --index"),
        (["--index", "0", "--format", "npy", "--voxel-size", "-1"], "positive voxel size"),
        (["--index", "0", "--format", "npy", "--e-soft", "-1"], "e_soft must be a positive number"),
    ],
)
def test_what_cannot_be_exported(
    flags: list[str], message: str, designs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(designs), "--out", str(tmp_path / "x.npy"), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "x.npy").exists()
