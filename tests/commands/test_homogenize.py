"""The command `homogenize`: its file, phases and physics, and what it refuses."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from commandline import RUN, refused, solve

import vaereg
from vaereg.elasticity import isotropic_stiffness
from vaereg.solver.homogenization import homogenize


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
