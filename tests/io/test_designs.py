"""Designs in HDF5: what is written is read back, and hostile files are refused."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from stored import COUNT, dataset_of, replace_dataset, set_attribute

from vaereg.elasticity import PROPERTIES
from vaereg.io.designs import read_designs, write_designs
from vaereg.targets import parse


def test_designs_are_read_back(designs: Path, volumes: np.ndarray) -> None:
    result = read_designs(designs)
    np.testing.assert_array_equal(result.microstructures, volumes)
    assert result.component.tolist() == [index % 4 for index in range(COUNT)]
    assert result.latent.shape == (COUNT, 7)
    assert result.latent.dtype == np.float32
    assert result.predicted is not None and result.predicted.shape == (COUNT, 6)
    assert result.target == {"C11": 60.0, "C22": (30.0, 40.0)}
    assert (result.seed, result.made_by) == (5, "abc")
    assert result.stiffness is None
    assert result.solves is None


def test_the_schema_of_designs(designs: Path) -> None:
    predicted = read_designs(designs).predicted
    assert predicted is not None
    with h5py.File(designs) as file:
        assert dataset_of(file, "microstructures").dtype == np.uint8
        for column, name in enumerate(PROPERTIES):
            np.testing.assert_array_equal(dataset_of(file, f"predicted/{name}")[()], predicted[:, column])
            assert file[f"predicted/{name}"].attrs["units"] == "GPa"
        assert json.loads(str(file.attrs["target"])) == {"C11": 60.0, "C22": [30.0, 40.0]}
        assert set(file.attrs) >= {"target", "seed", "checkpoint", "units", "format_version"}


def test_designs_keep_what_the_solver_found(designs: Path, tmp_path: Path) -> None:
    first = read_designs(designs)
    stiffness, solves = np.arange(COUNT * 36.0).reshape(COUNT, 6, 6), np.arange(COUNT)
    path = tmp_path / "verified.h5"
    fields = {name: getattr(first, name) for name in ("microstructures", "component", "latent", "predicted")}
    write_designs(
        path,
        **fields,
        target=first.target,
        seed=first.seed,
        made_by=first.made_by,
        stiffness=stiffness,
        solves=solves,
    )
    result = read_designs(path)
    assert result.stiffness is not None and result.stiffness.dtype == np.float64
    assert result.solves is not None
    np.testing.assert_array_equal(result.stiffness, stiffness)
    np.testing.assert_array_equal(result.solves, solves)


def test_designs_that_contradict_themselves_are_not_written(tmp_path: Path, volumes: np.ndarray) -> None:
    path = tmp_path / "designs.h5"
    with pytest.raises(ValueError, match=r"latent of shape \(12, None\) .*got \(11, 7\)"):
        write_designs(
            path,
            microstructures=volumes,
            component=np.zeros(COUNT),
            latent=np.zeros((COUNT - 1, 7)),
            predicted=np.zeros((COUNT, 6)),
            target={},
            seed=0,
            made_by="",
        )
    assert not path.exists()


HOSTILE_DESIGNS = {
    "three phases": (
        lambda file: file["microstructures"].__setitem__((0, 0, 0, 0), 2),
        "phases 0 and 1 .*2$",
    ),
    "no designs": (
        replace_dataset("microstructures", data=np.zeros((0, 5, 5, 5), np.uint8)),
        r"got shape \(0, 5, 5, 5\)",
    ),
    "one volume": (replace_dataset("microstructures", data=np.zeros((5, 5, 5), np.uint8)), "of shape"),
    "half of the predictions": (lambda file: file.__delitem__("predicted/C44"), "a dataset predicted/C44"),
    "group elsewhere": (
        lambda file: (
            file.__delitem__("predicted"),
            file.__setitem__("predicted", h5py.ExternalLink("other.h5", "/")),
        ),
        "a dataset predicted/C11",
    ),
    "other length": (replace_dataset("component", data=np.zeros(3, int)), r"component of shape \(12\)"),
    "unknown target": (set_attribute("target", '{"C77": 3}'), "can be met in .*unknown property 'C77'"),
    "no range": (
        set_attribute("target", '{"C11": [1, 2, 3]}'),
        r"range or objective of C11, got \[1, 2, 3\]",
    ),
    "no number": (set_attribute("target", '{"C11": "x"}'), "an objective of min, max, got 'x'"),
    "other units": (set_attribute("units", "MPa"), "in GPa .*'MPa'"),
}


@pytest.mark.parametrize("case", HOSTILE_DESIGNS)
def test_hostile_designs_are_refused(case: str, designs: Path) -> None:
    change, message = HOSTILE_DESIGNS[case]
    with h5py.File(designs, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        read_designs(designs)


def test_designs_keep_all_that_was_wanted_and_found(tmp_path: Path, rng: np.random.Generator) -> None:
    """Targets with objectives, quantities by name, modes, weights, constraints, conductivities."""
    path = tmp_path / "designs.h5"
    targets = parse(["E_x=20@2", "density=:1.9", "C12=3:4"], maximize=["k_z"])
    constraints = {"symmetry": "cubic", "connected": {"stiff": "xyz"}}
    quantities = {name: rng.random(2) for name in (*targets.names, "nu_xy")}
    met, conductivity = np.array([[True, False], [True, True]]), rng.random((2, 3, 3))
    write_designs(
        path,
        microstructures=np.eye(4, dtype=np.uint8)[None, :, :, None].repeat(4, 3).repeat(2, 0),
        component=[1, 0],
        latent=np.zeros((2, 3)),
        target=targets,
        seed=1,
        made_by="a",
        quantities=quantities,
        conductivity=conductivity,
        modes=["pores", "fibres"],
        weights=[0.2, 0.8],
        constraints=constraints,
        met=met,
    )
    stored = read_designs(path)
    assert stored.wanted == targets and stored.modes == ("pores", "fibres")
    assert stored.target == {"E_x": 20.0, "density": (-np.inf, 1.9), "C12": (3.0, 4.0)}
    assert stored.constraints == constraints and stored.predicted is None
    np.testing.assert_array_equal(stored.met, met)
    np.testing.assert_array_equal(stored.weights, [0.2, 0.8])
    np.testing.assert_array_equal(stored.conductivity, conductivity)
    assert set(stored.quantities) == set(quantities)
    for name, values in quantities.items():
        np.testing.assert_array_equal(stored.quantities[name], values)
    with h5py.File(path) as file:
        assert file["predicted/density"].attrs["units"] == "g/cm³"
