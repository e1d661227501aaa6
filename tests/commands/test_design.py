"""The commands `design` and `modes`: their files, the same for one seed, and what they refuse."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from commandline import TARGETS, make_designs, refused

from vaereg.cli import main
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.direct import design
from vaereg.io.designs import SPREADS, read_designs
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import percent_off


def test_design_writes_the_agreed_file(
    tmp_path: Path,
    tiny_checkpoint_path: Path,
    tiny_checkpoint: Checkpoint,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = design(tiny_checkpoint, {"C11": 45.0, "C33": (25.0, 35.0)}, 5, 16, seed=7, corrections=2)
    with make_designs(tmp_path / "d.h5", tiny_checkpoint_path, "--count", 5, "--seed", 7) as file:
        arrays = {}
        file.visititems(
            lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        predicted = {f"predicted/{name}" for name in PROPERTIES}
        assert set(arrays) == {
            "microstructures",
            "component",
            "latent",
            "weights",
            "recipe",
            *predicted,
        }
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
        (["--target", "C11=-3"], "C11 must be positive, got -3 GPa"),
        (["--target", "C99=1"], "unknown property 'C99': expected one of E_x, E_y, E_z"),
        (["--target", "C11=abc"], "expected a number, with a unit or without, got 'abc'"),
        (["--target", "C11"], "expected a target such as E_x=20GPa or nu_xy=0.2:0.3, got 'C11'"),
        (
            ["--target", "C11=60:40"],
            "expected a range low:high of C11, got 60:40 GPa",
        ),
        (["--target", "C11=nan"], "expected a number, with a unit or without, got 'nan'"),
        (["--target", "C11=40", "--target", "C11=50"], "expected one target for C11, got 2"),
        (["--target", "C11=5000"], "C11 = 5000 GPa: the nearest has C11 = "),
        ([], "expected a target, such as --target E_x=20GPa or --maximize E_z"),
        (["--target", "C11=40", "--mode", "fibres"], "expected a checkpoint with modes for --mode"),
        (["--target", "C11=40", "--corrections", "-1"], "corrections must be 0 or more, got -1"),
        (["--target", "C11=40", "--count", "0"], "count must be between 1 and 256, got 0"),
        (["--target", "C11=40", "--count", "few"], "--count: invalid int value: 'few'"),
        (["--target", "C11=40", "--size", "30"], "size must be a multiple of 8 from 16 to 128, got 30"),
        (["--target", "C11=40", "--component", "2"], "component must be between 0 and 1, got 2"),
        (["--target", "C11=40", "--seed", "-1"], "seed must be between 0 and 2^63 - 1, got -1"),
        (["--target", "C11=40", "--seed", str(2**70)], "seed must be between 0 and 2^63 - 1"),
        (["--target", "C11=40", "--hold", "C11"], "expected --nearest beside --hold, got --hold alone"),
        (["--target", "C11=40", "--nearest"], "expected a checkpoint with modes for the nearest targets"),
        (["--target", "C11=40", "--max-spread", "0"], "expected positive numbers for --max-spread, got '0'"),
        (["--target", "C11=40", "--max-spread", "1,2,3"], "one or two numbers for --max-spread"),
        (["--target", "C11=40", "--max-spread", "5kg"], "expected a unit of"),
        (["--target", "C11=40", "--pareto"], "two or three objectives for a Pareto front, got 0"),
        (["--target", "C11=40", "--pareto", "few"], "--pareto: invalid int value: 'few'"),
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


def test_a_table_of_targets_is_a_folder_of_designs(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused rows are on record; a second run makes only what is missing."""
    table, out = tmp_path / "targets.csv", tmp_path / "out"
    table.write_text("name,C11 [MPa],C33\nfirst,45000,25:35\nfar,900000,\n", encoding="utf-8")
    flags = ["design", "--targets", str(table), "--out", str(out), "--count", "2", "--size", "16"]
    flags += ["--checkpoint", str(tiny_checkpoint_path), "--corrections", "0", "--workers", "1"]
    assert main(flags) == 0
    said = capsys.readouterr().err
    assert "1 of 2 rows have designs" in said and "the first, line 3: C11 = 900 GPa is above" in said
    made = out / "000002-first.h5"
    assert read_designs(made).target == {"C11": 45.0, "C33": (25.0, 35.0)}
    before = made.stat().st_mtime_ns
    assert main(flags) == 0
    assert made.stat().st_mtime_ns == before
    assert "1 of 2 rows have designs" in capsys.readouterr().err
    assert main([*flags, "--target", "C11=3"]) == 2
    assert main([*flags, "--pareto"]) == 2
    table.write_text("C11 [kg]\n3\n", encoding="utf-8")
    assert main(flags) == 2
    assert "line 1, column 1: expected a unit of C11" in capsys.readouterr().err


def test_robust_designs_on_file(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spread and recipe go into the file, through refinement, into manifests; limits leave out the rest."""
    path, refined, sheet = (tmp_path / name for name in ("d.h5", "r.h5", "s.json"))
    flags = ["--count", 2, "--corrections", 0]
    make_designs(path, tiny_checkpoint_path, *flags, "--robustness").close()
    assert "as interfaces move by half a voxel" in capsys.readouterr().err
    stored = read_designs(path)
    keys = {f"{kind}/{name}" for kind in SPREADS for name in ("C11", "C33")}
    assert set(stored.spread) == keys and len(stored.recipes) == 2
    assert (stored.spread["eroded/C11"] < 0.0).all() and (stored.spread["realisations/C33"] > 0.0).all()
    worst = np.max([np.abs(column) for key, column in stored.spread.items() if "real" not in key], axis=0)
    limit = float(np.sort(worst)[0] * 1.001)
    make_designs(tmp_path / "few.h5", tiny_checkpoint_path, *flags, "--max-spread", limit).close()
    few = read_designs(tmp_path / "few.h5")
    assert 1 <= len(few) <= 2
    for key, column in few.spread.items():
        assert "real" in key or (np.abs(column) <= limit).all()
    line = refused(
        capsys,
        *["design", *TARGETS, "--size", 16, *flags, "--max-spread", "0.01%,0.01%"],
        *["--out", tmp_path / "none.h5", "--checkpoint", tiny_checkpoint_path],
    )
    assert "none of 6 designs stays within 0.01 % and 0.01 %: the least spread is " in line
    refine = ["refine", path, "--out", refined, "--checkpoint", tiny_checkpoint_path, "--workers", 1]
    assert main([*map(str, refine), "--max-solves", "2"]) == 0
    again = read_designs(refined)
    assert again.recipes == stored.recipes and set(again.spread) == keys
    np.testing.assert_array_equal(again.spread["realisations/C11"], stored.spread["realisations/C11"])
    export = ["export", refined, "--index", 0, "--format", "json", "--out", sheet, "--voxel-size", 2]
    assert main([*map(str, export), "--length-unit", "µm"]) == 0
    told = json.loads(sheet.read_text(encoding="utf-8"))["spec_sheet"]
    assert told["recipe"] == stored.recipes[0] and set(told["robustness"]) == {
        "eroded",
        "dilated",
        "realisations",
    }
    assert told["cell"][0] == {"voxel": 16.0, "µm": 32.0}


def test_designs_that_do_not_meet_their_constraints_are_left_out(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that is written meets everything; where nothing does, the constraint is named."""
    flags = ["--count", 4, "--corrections", 0, "--connected", "stiff", "--connected", "soft"]
    make_designs(tmp_path / "d.h5", tiny_checkpoint_path, *flags).close()
    stored = read_designs(tmp_path / "d.h5")
    assert stored.met is not None and stored.met.all() and 1 <= len(stored) <= 4
    capsys.readouterr()
    line = refused(
        capsys,
        *["design", *TARGETS, "--size", 16, "--count", 2, "--corrections", 0, "--min-feature", "14,0"],
        *["--out", tmp_path / "none.h5", "--checkpoint", tiny_checkpoint_path],
    )
    assert "none of 2 designs meets all constraints: min_feature_stiff is not met by" in line


def test_modes_says_which_modes_reach_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "modes.json"
    flags = ["--materials", "E-glass/epoxy", "--target", "E_x=20", "--target", "E_y=8", "--target", "E_z=8"]
    assert main(["modes", *flags, "--out", str(out)]) == 0
    modes = json.loads(out.read_text(encoding="utf-8"))["modes"]
    reaching = [name for name, mode in modes.items() if mode["reached"]]
    others = {name: mode["largest_deviation"] for name, mode in modes.items() if not mode["reached"]}
    nearest = min(others, key=others.__getitem__)
    assert "fibres" in reaching
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"modes: reached by {', '.join(reaching)}; the nearest of the others is {nearest}, "
        f"{percent_off(others[nearest])}"
    )


def test_modes_tries_whether_cells_with_a_void_hold_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "modes.json"
    flags = ["--materials", "titanium/void", "--target", "E_x=20", "--target", "alpha=8.6"]
    assert main(["modes", *flags, "--out", str(out)]) == 0
    modes = json.loads(out.read_text(encoding="utf-8"))["modes"]
    assert modes["layers"]["in_pieces"] == 1.0 and not modes["layers"]["reached"]
    assert modes["pores"]["in_pieces"] == 0.0 and modes["pores"]["reached"]
    said = capsys.readouterr().err.splitlines()
    assert "layers 100 %" in said[-1]
    assert "layers" not in said[-2].partition(";")[0]


def test_modes_tells_how_far_an_objective_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "modes.json"
    assert main(["modes", "--maximize", "E_x", "--target", "volume_fraction=0.3", "--out", str(out)]) == 0
    assert re.search(r"E_x \[GPa\] that is expected of the nearest cells: \w+", capsys.readouterr().err)


def test_design_tells_objectives_and_pieces_in_a_void(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, refined = tmp_path / "d.h5", tmp_path / "r.h5"
    flags = ["--materials", "aluminium/void", "--maximize", "E_x", "--size", "16", "--count", "2"]
    particles = ["--mode", "particles", "--target", "density=:0.5"]
    assert main(["design", *flags, *particles, "--out", str(made)]) == 0
    said = capsys.readouterr().err
    assert "by prediction none has all that is asked for" in said
    assert "some designs are in pieces apart in the void, without E_x: particles (2 of 2)" in said
    assert main(["refine", str(made), "--max-solves", "2", "--workers", "1", "--out", str(refined)]) == 0
    said = capsys.readouterr().err
    assert "some designs are in pieces apart in the void, without E_x: particles (2 of 2)" in said
    assert "by the solver none has all that is asked for" in said
    assert main(["design", *flags, "--out", str(made)]) == 0
    said = capsys.readouterr().err
    assert re.search(r"by prediction E_x up to 6\d(\.\d+)? GPa, median", said)
    assert "nearly all of the stiff phase, since nothing is asked for that weighs against that" in said
