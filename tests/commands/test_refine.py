"""The command `refine`: what it writes is what `homogenize` finds; what is not reached is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaereg.cli import main
from vaereg.generators.families import gaussian_field
from vaereg.inverse.refining import refinement
from vaereg.inverse.refining.refinement import refine_all
from vaereg.inverse.refining.search import DRAWN, SHAKEN, STALLED, Drawn, Origin, Refinement
from vaereg.io.designs import SPREADS, read_designs, write_designs
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import homogenize


@pytest.fixture
def designs(tmp_path: Path) -> Path:
    """Two volumes near a target, the second one predicted to be nearer."""
    volumes = np.stack(
        [gaussian_field(16, (2, 2, 2), 0.5, generator=np.random.default_rng(i)) for i in (0, 1)]
    )
    wanted = float(1.05 * homogenize(volumes[0]).stiffness[0, 0])
    write_designs(
        tmp_path / "designs.h5",
        microstructures=volumes,
        component=[1, 1],
        latent=np.zeros((2, 4)),
        predicted=np.full((2, 6), wanted) * np.array([[0.5], [1.0]]),
        target={"C11": wanted},
        seed=3,
        made_by="another",
    )
    return tmp_path / "designs.h5"


def run(designs: Path, checkpoint: Path, *flags: str) -> int:
    out = designs.with_name("refined.h5")
    return main(["refine", str(designs), "--out", str(out), "--checkpoint", str(checkpoint), *flags])


def test_what_is_stored_is_what_the_solver_finds(
    designs: Path, tiny_checkpoint_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(designs, tiny_checkpoint_path, "--workers", "1") == 0
    said = capsys.readouterr().err
    assert "2/2 designs" in said and "one component differ by" in said and "another" in said
    before, after = read_designs(designs), read_designs(tmp_path / "refined.h5")
    assert (after.target, after.seed, after.made_by) == (before.target, 3, "another")
    assert after.solves is not None and after.stiffness is not None
    assert after.solves.min() >= 2 and after.solves.max() <= 20
    np.save(tmp_path / "volumes.npy", after.microstructures)
    assert main(["homogenize", str(tmp_path / "volumes.npy"), "--out", str(tmp_path / "own.json")]) == 0
    own = json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))["results"]
    for stored, result in zip(after.stiffness, own, strict=True):
        np.testing.assert_allclose(stored, result["stiffness"], rtol=1e-7, atol=1e-6)
        assert stored[0, 0] == pytest.approx(before.target["C11"], rel=0.0101)


def test_what_is_not_reached_is_said(
    designs: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--workers", "1", "--max-solves", "1", "--tolerance", "0.0001")
    assert run(designs, tiny_checkpoint_path, *flags) == 0
    assert "2 of 2 designs are not there yet" in capsys.readouterr().err
    refined = read_designs(designs.with_name("refined.h5"))
    assert refined.solves is not None and refined.solves.tolist() == [1, 1]


@pytest.mark.parametrize("flags", [("--tolerance", "0"), ("--max-solves", "0"), ("--workers", "0")])
def test_bad_flags_are_refused(
    designs: Path, tiny_checkpoint_path: Path, flags: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(designs, tiny_checkpoint_path, *flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not designs.with_name("refined.h5").exists()


def test_cells_that_are_too_small_are_refused_before_the_search(
    designs: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = read_designs(designs)
    write_designs(
        designs,
        microstructures=stored.microstructures[:, :6, :6, :6],
        component=stored.component,
        latent=stored.latent,
        predicted=stored.predicted,
        target=stored.target,
        seed=stored.seed,
        made_by=stored.made_by,
    )
    assert run(designs, tiny_checkpoint_path) == 2
    told = capsys.readouterr().err
    assert "at least 8 voxels per edge" in told and "designs\n" not in told


def test_a_file_of_something_else_is_refused(tiny_dataset_path: Path, tmp_path: Path) -> None:
    assert main(["refine", str(tiny_dataset_path), "--out", str(tmp_path / "r.h5")]) == 2
    assert main(["refine", str(tmp_path / "missing.h5"), "--out", str(tmp_path / "r.h5")]) == 2


def test_any_pair_quantity_and_constraint(
    tiny_checkpoint_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run goes on where the first one stopped: with what is there already, no solve is needed."""
    volume = gaussian_field(16, (3, 3, 3), 0.5, generator=np.random.default_rng(0))
    write_designs(
        tmp_path / "designs.h5",
        microstructures=volume[None],
        component=[-1],
        latent=np.zeros((1, 0)),
        target={"C11": 60.0},
        seed=-1,
        made_by="",
    )
    flags = ["--target", "E_x=15:17GPa", "--target", "k_z=0.55:0.6", "--symmetry", "orthotropic"]
    flags += ["--materials", "E-glass/epoxy", "--workers", "1", "--max-solves", "8", "--connected", "stiff"]
    checkpoint = ["--checkpoint", str(tiny_checkpoint_path)]
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    assert main(["refine", str(tmp_path / "designs.h5"), "--out", str(first), *flags, *checkpoint]) == 0
    stored = read_designs(first)
    assert stored.wanted is not None and stored.wanted.names == ("E_x", "k_z")
    assert stored.materials is not None and stored.materials.stiff.name == "E-glass"
    assert stored.constraints == {"symmetry": "orthotropic", "connected": {"stiff": "xyz"}}
    assert stored.met is not None and stored.met.all()
    assert stored.conductivity is not None and stored.solves is not None
    assert set(stored.quantities) >= {"E_x", "k_z"}
    young = 1.0 / np.linalg.inv(stored.stiffness)[0, 0, 0] if stored.stiffness is not None else 0.0
    assert 14.8 <= young <= 17.2 and 0.54 <= stored.conductivity[0, 2, 2] <= 0.61
    capsys.readouterr()
    assert main(["refine", str(first), "--out", str(second), *checkpoint]) == 0
    assert "1 of 1 designs are there already" in capsys.readouterr().err
    again = read_designs(second)
    np.testing.assert_array_equal(again.microstructures, stored.microstructures)
    np.testing.assert_array_equal(again.solves, stored.solves)


def test_what_cannot_be_is_refused_before_any_solve(
    designs: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(designs, tiny_checkpoint_path, "--target", "E_x=300") == 2
    assert "above Voigt's bound of 119.9 GPa" in capsys.readouterr().err


def test_what_stalls_is_said_and_stored(
    designs: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--workers", "1", "--materials", "E-glass/epoxy", "--target", "E_x=30")
    flags += ("--target", "k_x=0.35")  # fibres along x that stiffen so much conduct nearly twice that
    assert run(designs, tiny_checkpoint_path, *flags) == 0
    said = capsys.readouterr().err
    assert "ended early" in said and STALLED in said
    stalled = read_designs(designs.with_name("refined.h5")).stalled
    assert stalled is not None and stalled.any()


def test_what_was_drawn_in_place_of_a_design_is_told_and_stored(
    designs: Path,
    tiny_checkpoint: Checkpoint,
    tiny_checkpoint_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file has the latent vector and recipe of the new volume, and no spread of realisations."""
    stored = read_designs(designs)
    write_designs(
        designs,
        microstructures=stored.microstructures,
        component=stored.component,
        latent=stored.latent,
        target=stored.target,
        seed=3,
        made_by=tiny_checkpoint.hash,
        recipes=[{"class": "grains"}] * 2,
        spread={f"{kind}/C11": [0.01, 0.02] for kind in SPREADS},
        lengths="relative",
    )
    drawn = Drawn(
        latent=np.full(4, 5.0, np.float32), realisation=1, cut_fraction=0.4, recipe={"class": "new"}
    )

    def refined(volumes: np.ndarray, *arguments: Any, **settings: Any) -> list[Refinement]:  # noqa: ANN401
        origins = [
            Origin(
                component=1,
                lengths="relative",
                checkpoint=str(tiny_checkpoint_path),
                made_by=tiny_checkpoint.hash,
            )
        ]
        assert settings["origins"] == origins * 2
        first, second = refine_all(volumes, *arguments, **settings)
        return [replace(first, shaken=True), replace(second, drawn=drawn)]

    monkeypatch.setattr(refinement, "refine_all", refined)
    assert run(designs, tiny_checkpoint_path, "--workers", "1") == 0
    said = capsys.readouterr().err
    assert f"design 0, counted from 0: {SHAKEN}" in said and f"design 1, counted from 0: {DRAWN}" in said
    after = read_designs(designs.with_name("refined.h5"))
    np.testing.assert_array_equal(after.latent, [[0.0] * 4, [5.0] * 4])
    assert [recipe["class"] for recipe in after.recipes] == ["grains", "new"]
    assert after.lengths == "relative"
    assert after.spread_of(0)["realisations"] == {"C11": 0.01} and "realisations" not in after.spread_of(1)
    assert set(after.spread_of(1)) == {"eroded", "dilated"}
