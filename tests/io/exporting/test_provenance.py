"""Manifests, tables and design files say what is known of a volume, and no more."""

import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from stiffnesses import PAIR

from vaereg.elasticity import PROPERTIES
from vaereg.io.designs import read_designs
from vaereg.io.exporting.export import FORMATS, Provenance, export
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.solver.homogenization import homogenize


def test_designs_file(volume: np.ndarray, provenance: Provenance, tmp_path: Path) -> None:
    export(volume, PAIR, "h5", tmp_path / "a.h5", provenance=provenance)
    stored = read_designs(tmp_path / "a.h5")
    np.testing.assert_array_equal(stored.microstructures, volume[None])
    assert stored.target == {"C11": 30.0, "volume_fraction": (0.3, 0.5)}
    assert (stored.seed, stored.component[0], stored.made_by) == (7, 2, "0123456789abcdef")
    assert stored.stiffness is not None and stored.solves is not None and stored.predicted is not None
    np.testing.assert_array_equal(stored.stiffness[0], provenance.stiffness)
    np.testing.assert_array_equal(stored.predicted[0], provenance.mean)


def test_designs_file_holds_no_more_than_is_known(volume: np.ndarray, tmp_path: Path) -> None:
    """What is not known is not there: no figure that is not a number."""
    export(volume, PAIR, "h5", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"microstructures", "component", "latent"}
        assert (file.attrs["seed"], file.attrs["checkpoint"]) == (-1, "")
    stored = read_designs(tmp_path / "a.h5")
    np.testing.assert_array_equal(stored.microstructures, volume[None])
    assert stored.predicted is None and stored.stiffness is None
    assert (stored.component.tolist(), stored.latent.shape) == ([-1], (1, 0))


def test_manifest_says_what_is_known(volume: np.ndarray, provenance: Provenance, tmp_path: Path) -> None:
    export(volume, PAIR, "json", tmp_path / "a.json", provenance=provenance)
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["target"] == {"C11": 30.0, "volume_fraction": [0.3, 0.5]}
    assert (content["seed"], content["component"], content["made_by"]) == (7, 2, "0123456789abcdef")
    assert content["units"]["moduli"] == "GPa"
    assert TwoPhase.from_dict(content["materials"]) == PAIR and content["element"] == "hex8"
    assert content["solver"]["tolerance"] == 1e-6
    assert provenance.stiffness is not None
    np.testing.assert_allclose(content["solver"]["stiffness"], provenance.stiffness)
    assert content["predicted"]["C66"] == {"mean": 6.0, "std": pytest.approx(0.6)}
    assert content["versions"]["numpy"] == np.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", content["time"])
    assert content["volume_fraction"] == pytest.approx(volume.mean())
    export(volume, PAIR, "json", tmp_path / "bare.json")
    bare = json.loads((tmp_path / "bare.json").read_text(encoding="utf-8"))
    assert bare["solver"] is None and bare["predicted"] is None and bare["seed"] is None
    assert bare["density"] is None


def test_files_say_both_phases_with_all_their_numbers(
    volume: np.ndarray, provenance: Provenance, tmp_path: Path
) -> None:
    glass = Phase("E-glass", 72.0, 0.22, conductivity=1.3, density=2.54, thermal_expansion=5.4)
    epoxy = Phase("epoxy", 3.2, 0.35, conductivity=0.2, density=1.2, thermal_expansion=60.0)
    pair = TwoPhase(glass, epoxy)
    for format in ("json", "csv", "abaqus", "damask", "fans", "h5"):
        export(volume, pair, format, tmp_path / f"{format}{FORMATS[format].suffix}", provenance=provenance)
    content = json.loads((tmp_path / "json.json").read_text(encoding="utf-8"))
    assert TwoPhase.from_dict(content["materials"]) == pair
    density = volume.mean() * 2.54 + (1.0 - volume.mean()) * 1.2
    assert content["density"] == pytest.approx(density)
    assert len(content["solver"]["thermal_expansion"]) == 6
    young = content["solver"]["engineering_constants"]["young"]["x"]
    assert content["solver"]["specific"]["sqrt(E_x)/density"] == pytest.approx(young**0.5 / density)
    assert read_designs(tmp_path / "h5.h5").materials == pair
    abaqus = (tmp_path / "abaqus.inp").read_text(encoding="ascii")
    assert "*EXPANSION\n5.4e-06" in abaqus and "E-glass: Young's modulus 72 GPa" in abaqus
    assert "density 1.2 g/cm3" in (tmp_path / "damask-material.yaml").read_text(encoding="utf-8")
    thermal = json.loads((tmp_path / "fans-thermal.json").read_text(encoding="utf-8"))
    assert thermal["material_properties"]["conductivity"] == [0.2, 1.3]
    assert np.shape(thermal["macroscale_loading"]) == (3, 1, 3) and thermal["problem_type"] == "thermal"
    table = (tmp_path / "csv.csv").read_text(encoding="utf-8").splitlines()
    assert "density [g/cm3]" in table[0]


def test_a_cell_that_carries_no_load_has_a_manifest(volume: np.ndarray, tmp_path: Path) -> None:
    """What has no value is null: a manifest has no NaN."""
    slit = np.ones((5, 4, 3), dtype=np.uint8)
    slit[2] = 0
    pair = TwoPhase(Phase("steel", 200.0, 0.3, conductivity=50.0), VOID)
    stiffness = homogenize(slit, pair).stiffness
    export(slit, pair, "json", tmp_path / "a.json", provenance=Provenance(stiffness=stiffness))
    solver = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["solver"]
    assert solver["engineering_constants"]["young"]["x"] == 0.0 and solver["universal_anisotropy"] is None
    (_, _, thermal) = export(slit, pair, "fans", tmp_path / "cell.h5")
    conductivity = json.loads(thermal.read_text(encoding="utf-8"))["material_properties"]["conductivity"]
    assert 0.0 < conductivity[0] < 1e-6 and conductivity[1] == 50.0


def test_table_of_properties(volume: np.ndarray, provenance: Provenance, tmp_path: Path) -> None:
    export(volume, PAIR, "csv", tmp_path / "a.csv", provenance=provenance)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "plates #3"
    for i, name in enumerate(PROPERTIES):
        assert float(row[f"{name} predicted [GPa]"]) == i + 1.0
        assert float(row[f"{name} solver [GPa]"]) == pytest.approx(provenance.stiffness[i, i])  # type: ignore[index]
    assert float(row["C11 target [GPa]"]) == 30.0 and row["C22 target [GPa]"] == ""
    assert "E_x [GPa]" in row and "universal anisotropy [-]" in row
