"""`predict` for any pair of phases: the contract of its file, and nothing new where no phases are given."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vaereg.cli import main
from vaereg.elasticity import voigt_to_mandel
from vaereg.engineering import ENGINEERING_NAMES, engineering_constants, thermal_expansion
from vaereg.materials import Phase, TwoPhase
from vaereg.model.pairs import regressor as module
from vaereg.model.pairs.calibration import SPREAD_FEATURES
from vaereg.model.pairs.network import PairRegressor
from vaereg.model.pairs.regressor import PairModel, novelty_inputs, save_pair_model
from vaereg.model.pairs.spread import engineering_spread, expansion_spread


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained regressor in place of the shipped one: what is tested is the file that is written."""
    torch.manual_seed(0)
    path, inputs = tmp_path / "pairs.pt", 2 * 5 + 9
    assert novelty_inputs.__doc__
    save_pair_model(
        path,
        PairModel(
            networks=(PairRegressor(16).eval(),),
            upper_share=np.zeros(5),
            largest_gap=np.full(5, np.inf),
            spread_weights=np.zeros((2, 3, len(SPREAD_FEATURES))),
            novelty_mean=np.zeros(inputs),
            novelty_whitening=np.eye(inputs),
            card={},
        ),
    )
    monkeypatch.setattr(module, "DEFAULT_PAIR_MODEL", path)
    return path


@pytest.fixture
def volume(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "volume.npy"
    np.save(path, (rng.random((8, 8, 8)) < 0.5).astype(np.uint8))
    return path


def test_predict_answers_in_full_for_any_pair(shipped: Path, volume: Path, tmp_path: Path) -> None:
    phases = {
        "stiff": {
            "name": "glass",
            "young_modulus": 70.0,
            "poisson_ratio": 0.2,
            "density": 2.5,
            "conductivity": 1.2,
        },
        "soft": {
            "name": "epoxy",
            "young_modulus": 3.5,
            "poisson_ratio": 0.35,
            "density": 1.2,
            "conductivity": 0.2,
        },
    }
    (tmp_path / "phases.json").write_text(json.dumps(phases))
    out = tmp_path / "out.json"
    flags = ["--materials", str(tmp_path / "phases.json"), "--out", str(out)]
    assert main(["predict", str(volume), *flags]) == 0
    content = json.loads(out.read_text())
    assert content["materials"]["stiff"]["young_modulus"] == 70.0
    assert content["order"] == ["xx", "yy", "zz", "yz", "xz", "xy"] and content["units"] == "GPa"
    (result,) = content["results"]
    mean, lower, upper = (np.array(result["stiffness"][name]) for name in ("mean", "lower", "upper"))
    assert np.linalg.eigvalsh(voigt_to_mandel(upper - mean)).min() > -1e-4
    assert np.linalg.eigvalsh(voigt_to_mandel(upper - lower)).min() > 0.0
    assert result["properties"]["C44"]["mean"] == mean[3, 3]
    assert set(result["engineering"]) == set(ENGINEERING_NAMES)
    assert result["engineering"]["E_x"]["mean"] == engineering_constants(mean).by_name()["E_x"]
    assert result["engineering"]["E_x"]["std"] > 0.0
    conductivity = np.linalg.eigvalsh(result["conductivity"]["mean"])
    assert 0.2 < conductivity.min() <= conductivity.max() < 1.2
    fraction = result["volume_fraction"]
    assert result["density"] == pytest.approx(fraction * 2.5 + (1.0 - fraction) * 1.2)
    assert result["wave_speeds"]["x"][0] == pytest.approx((mean[0, 0] / result["density"]) ** 0.5, rel=0.05)


def test_a_void_is_a_phase_like_others(shipped: Path, volume: Path, tmp_path: Path) -> None:
    phases = {"stiff": {"name": "steel", "young_modulus": 200.0, "poisson_ratio": 0.3}, "soft": "void"}
    (tmp_path / "phases.json").write_text(json.dumps(phases))
    out = tmp_path / "out.json"
    assert (
        main(["predict", str(volume), "--materials", str(tmp_path / "phases.json"), "--out", str(out)]) == 0
    )
    (result,) = json.loads(out.read_text())["results"]
    assert not np.array(result["stiffness"]["lower"]).any() and "density" not in result


def test_cells_that_carry_no_load_are_answered(tmp_path: Path) -> None:
    """Cells by the shipped regressor that carry no load: a slit along x, and a ball in empty space."""
    volumes = np.zeros((2, 8, 8, 8), dtype=np.uint8)
    volumes[0] = 1
    volumes[0, 3] = 0
    volumes[1, 2:6, 2:6, 2:6] = 1
    np.save(tmp_path / "cells.npy", volumes)
    out = tmp_path / "out.json"
    assert main(["predict", str(tmp_path / "cells.npy"), "--materials", "steel/void", "--out", str(out)]) == 0
    slit, ball = json.loads(out.read_text())["results"]
    assert slit["engineering"]["E_x"]["mean"] == 0.0 and slit["engineering"]["nu_xy"]["mean"] is None
    assert slit["engineering"]["E_y"]["mean"] == pytest.approx(7 / 8 * 200.0, rel=0.05)
    assert slit["engineering"]["E_y"]["std"] is not None and slit["thermal_expansion"][0] is None
    assert slit["thermal_expansion_std"] == [None, 0.0, 0.0, 0.0, None, None]  # that of the solid
    assert slit["perhaps_unloaded"] == ["xx", "xz", "xy"] and len(ball["perhaps_unloaded"]) == 6
    assert not np.array(ball["stiffness"]["mean"]).any()
    assert ball["engineering"]["E_x"] == {"mean": 0.0, "std": None} and ball["wave_speeds"]["x"] == [0.0] * 3


def test_the_spread_of_constants_is_that_of_draws(rng: np.random.Generator) -> None:
    mean = np.diag([40.0, 30.0, 20.0, 8.0, 9.0, 10.0])
    mean[:3, :3] += 8.0
    std = 0.002 * np.sqrt(np.outer(np.diag(mean), np.diag(mean)))
    spreads = engineering_spread(mean, std)
    noise = np.triu(rng.standard_normal((4000, 6, 6)))
    noise = noise + np.triu(noise, 1).swapaxes(1, 2)
    constants = engineering_constants(mean + noise * std)
    for name, draws in (("E_x", constants.young[:, 0]), ("nu_xy", constants.poisson[:, 0, 1])):
        value, spread = spreads[name]
        assert value is not None and spread == pytest.approx(draws.std(), rel=0.05)
        assert value == pytest.approx(draws.mean(), rel=1e-3)


def test_the_spread_of_thermal_expansion_is_that_of_draws(rng: np.random.Generator) -> None:
    mean = np.diag([40.0, 30.0, 20.0, 8.0, 9.0, 10.0])
    mean[:3, :3] += 8.0
    std = 0.002 * np.sqrt(np.outer(np.diag(mean), np.diag(mean)))
    pair = TwoPhase(Phase("", 120.0, 0.3, thermal_expansion=5.0), Phase("", 2.4, 0.3, thermal_expansion=60.0))
    noise = np.triu(rng.standard_normal((4000, 6, 6)))
    noise = noise + np.triu(noise, 1).swapaxes(1, 2)
    draws = thermal_expansion(mean + noise * std, 0.3, pair)
    told = np.array(expansion_spread(mean, std, 0.3, pair), dtype=float)
    np.testing.assert_allclose(told, draws.std(0), rtol=0.06)


def test_another_checkpoint_is_refused_in_one_line(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.pt").write_bytes(b"no checkpoint")
    flags = ["--e-soft", "1", "--checkpoint", str(tmp_path / "other.pt"), "--out", str(tmp_path / "out.json")]
    assert main(["predict", str(volume), *flags]) == 2
    assert "no regressor for any pair" in capsys.readouterr().err.splitlines()[-1]
