"""Files of version 0.1 open, mean what they meant, and say what is unknown of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from vaereg.cli import main
from vaereg.io.datasets import read_dataset
from vaereg.io.designs import read_designs, write_designs
from vaereg.io.importing import AutomaticChoices, import_volume
from vaereg.materials import TwoPhase

FILES = Path(__file__).parent / "version_0_1"


def test_data_sets() -> None:
    dataset = read_dataset(FILES / "dataset.h5")
    assert len(dataset) == 2 and dataset.shape == (8, 8, 8)
    assert dataset.volumes([0]).max() == 1


def test_designs_say_that_their_phases_are_unknown() -> None:
    designs = read_designs(FILES / "designs.h5")
    assert designs.target == {"C11": 30.0, "C22": (20.0, 40.0)} and designs.predicted is not None
    assert len(designs.made_by) == 16 and designs.judged_by == ""
    assert designs.materials is None and designs.solver_tolerance is None and designs.solver_dtype is None
    refined = read_designs(FILES / "refined.h5")
    assert refined.stiffness is not None and refined.solves is not None
    np.testing.assert_array_equal(
        read_designs(FILES / "design.h5").microstructures[0], designs.microstructures[0]
    )


def test_designs_are_written_with_all_that_is_known(tmp_path: Path) -> None:
    """Read from version 0.1, written by this one, read again: nothing lost, and the new fields are kept."""
    old = read_designs(FILES / "refined.h5")
    assert old.stiffness is not None
    write_designs(
        tmp_path / "new.h5",
        microstructures=old.microstructures,
        component=old.component,
        latent=old.latent,
        target=old.target,
        seed=old.seed,
        made_by=old.made_by,
        judged_by="fedcba9876543210",
        materials=TwoPhase.from_moduli(70.0, 3.0, 0.2, 0.35),
        stiffness=old.stiffness,
        solver_tolerance=[1e-6, 1e-3],
        solver_dtype=["float64", "float32"],
    )
    new = read_designs(tmp_path / "new.h5")
    assert (new.made_by, new.judged_by) == (old.made_by, "fedcba9876543210")
    assert new.materials == TwoPhase.from_moduli(70.0, 3.0, 0.2, 0.35)
    assert new.solver_tolerance is not None and new.solver_tolerance.tolist() == [1e-6, 1e-3]
    assert new.solver_dtype is not None and new.solver_dtype.tolist() == ["float64", "float32"]
    np.testing.assert_array_equal(new.stiffness, old.stiffness)
    out = tmp_path / "manifest.json"
    assert (
        main(["export", str(tmp_path / "new.h5"), "--index", "1", "--format", "json", "--out", str(out)]) == 0
    )
    content = json.loads(out.read_text(encoding="utf-8"))
    assert (content["made_by"], content["judged_by"]) == (old.made_by, "fedcba9876543210")
    assert content["solver"]["tolerance"] == 1e-3 and content["solver"]["dtype"] == "float32"


def test_exported_volumes_keep_their_axes() -> None:
    """Its TIFF stacks have a page for each x, unlike those of any other program."""
    volume = read_designs(FILES / "designs.h5").microstructures[0]
    for name in ("design.tif", "design.vti"):
        np.testing.assert_array_equal(import_volume(FILES / name, AutomaticChoices()).volume, volume)


@pytest.mark.parametrize("command", ["homogenize", "predict"])
def test_results_have_the_same_values(command: str, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert main([command, str(FILES / "designs.h5"), "--out", str(out)]) == 0
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (FILES / f"{command}.json", out))
    for before, after in zip(old["results"], new["results"], strict=True):
        assert set(before) <= set(after)
        if command == "homogenize":
            np.testing.assert_allclose(after["stiffness"], before["stiffness"], rtol=1e-6, atol=1e-6)


def test_designs_are_refined_and_exported(tmp_path: Path) -> None:
    out = tmp_path / "all.zip"
    assert main(["export", str(FILES / "designs.h5"), "--format", "zip", "--out", str(out)]) == 0
    assert out.stat().st_size > 0
