"""Inputs of other solvers: read back, and solved without vaereg."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
import yaml
from stiffnesses import PAIR

from vaereg.elasticity import VOIGT_ORDER, isotropic_stiffness
from vaereg.io.exporting.export import export
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize


def test_damask_files_say_phases_and_loads(volume: np.ndarray, tmp_path: Path) -> None:
    written = export(volume, PAIR, "damask", tmp_path / "cell.vti")
    assert len(written) == 8 and all(path.is_file() for path in written)
    content = yaml.safe_load((tmp_path / "cell-material.yaml").read_text(encoding="utf-8"))
    assert [entry["constituents"][0]["phase"] for entry in content["material"]] == ["soft", "stiff"]
    assert {entry["homogenization"] for entry in content["material"]} == set(content["homogenization"])
    for name, phase in (("soft", PAIR.soft), ("stiff", PAIR.stiff)):
        law = isotropic_stiffness(phase.young_modulus, phase.poisson_ratio)
        elastic = content["phase"][name]["mechanical"]["elastic"]
        result = [elastic[key] / 1e9 for key in ("C_11", "C_12", "C_44")]
        np.testing.assert_allclose(result, [law[0, 0], law[0, 1], law[3, 3]], rtol=1e-8)
    for name in VOIGT_ORDER:
        load = yaml.safe_load((tmp_path / f"cell-load-{name}.yaml").read_text(encoding="utf-8"))
        (step,) = load["loadstep"]
        rate = np.array(step["boundary_conditions"]["mechanical"]["dot_F"]) * step["discretization"]["t"]
        i, j = ("xyz".index(letter) for letter in name)
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5e-5
        strain[j, i] += 0.5e-5
        np.testing.assert_allclose(rate, strain, atol=1e-20)


@pytest.mark.skipif(shutil.which("ccx") is None, reason="CalculiX (ccx) is not installed")
@pytest.mark.parametrize(("size", "materials"), [(0.25, PAIR), (1.0, TwoPhase.porous(70.0, 0.2))])
def test_calculix_has_the_stiffness_of_the_cell(size: float, materials: TwoPhase, tmp_path: Path) -> None:
    """The means of the printed stresses of the six steps are the 36 entries of the stiffness."""
    cell = (np.random.default_rng(5).random((5, 4, 3)) < 0.7).astype(np.uint8)
    export(cell, materials, "abaqus", tmp_path / "cell.inp", voxel_size=size)
    subprocess.run(["ccx", "-i", "cell"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    text = (tmp_path / "cell.dat").read_text(encoding="ascii")
    columns = []
    for block in re.split(r"\n stresses ", text)[1:]:
        rows = [line.split() for line in block.splitlines()]
        points = [[float(word) for word in row[2:]] for row in rows if len(row) == 8 and row[0].isdigit()]
        assert len(points) == 8 * cell.size
        columns.append(np.mean(points, axis=0)[[0, 1, 2, 5, 4, 3]])  # printed as xx, yy, zz, xy, xz, yz
    expected = homogenize(cell, materials, rtol=1e-9).stiffness
    np.testing.assert_allclose(np.transpose(columns) / 1e-3, expected, atol=1e-6 * expected.max())


def hexahedron(corners: np.ndarray, law: np.ndarray) -> np.ndarray:
    """Stiffness of a trilinear element with 2 x 2 x 2 points, written for any corners, shape (24, 24)."""
    signs = np.array([(-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)])
    signs = np.concatenate([signs, signs * (1, 1, -1)])
    stiffness = np.zeros((24, 24))
    for point in itertools.product((-(3**-0.5), 3**-0.5), repeat=3):
        terms = 1.0 + signs * point
        slopes = np.stack(
            [signs[:, a] * np.delete(terms, a, axis=1).prod(axis=1) / 8.0 for a in range(3)], axis=1
        )
        jacobian = slopes.T @ corners
        gradient = np.linalg.solve(jacobian, slopes.T)
        b = np.zeros((6, 24))
        for row, name in enumerate(VOIGT_ORDER):
            i, j = ("xyz".index(letter) for letter in name)
            b[row, i::3] += gradient[j]
            if i != j:
                b[row, j::3] += gradient[i]
        stiffness += b.T @ law @ b * np.linalg.det(jacobian)
    return stiffness


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Keyword line and data lines of each block of an Abaqus input file."""
    result: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("**"):
            continue
        if line.startswith("*"):
            result.append((line, []))
        else:
            result[-1][1].append(line)
    return result


def test_abaqus_model_has_the_stiffness_of_the_cell(volume: np.ndarray, tmp_path: Path) -> None:
    """The file alone, mesh, materials, constraints and load cases, assembled and solved without vaereg."""
    size = 0.5
    path = tmp_path / "a.inp"
    export(volume, PAIR, "abaqus", path, voxel_size=size)
    mesh = meshio.read(path)
    (cells,) = mesh.cells
    assert cells.type == "hexahedron" and len(cells.data) == volume.size
    np.testing.assert_allclose(mesh.points[:-3].max(axis=0), size * np.array(volume.shape))
    phases = np.full(volume.size, -1)
    for phase, name in enumerate(("SOFT", "STIFF")):
        phases[mesh.cell_sets[name][0]] = phase
    centres = mesh.points[cells.data].mean(axis=1) / size
    np.testing.assert_array_equal(phases, volume[tuple(centres.astype(int).T)])

    text = path.read_text(encoding="ascii")
    assert "B-bar" in text
    laws = {}
    for (keyword, _), (_, lines) in itertools.pairwise(blocks(text)):
        if keyword.startswith("*MATERIAL"):
            laws[keyword.split("=")[1]] = isotropic_stiffness(*map(float, lines[0].split(",")))
    degrees = 3 * len(mesh.points)
    k = np.zeros((degrees, degrees))
    for nodes, phase in zip(cells.data, phases, strict=True):
        dofs = (3 * nodes[:, None] + np.arange(3)).ravel()
        k[np.ix_(dofs, dofs)] += hexahedron(mesh.points[nodes], laws[("SOFT", "STIFF")[phase]])

    transform = np.eye(degrees)  # displacements from those that no equation determines
    for keyword, lines in blocks(text):
        if keyword == "*EQUATION":
            numbers = [float(word) for line in lines[1:] for word in line.split(",")]
            terms = np.array(numbers).reshape(int(lines[0]), 3)
            assert all(len(line.split(",")) <= 12 for line in lines)
            first, *rest = [(3 * int(node - 1) + int(d) - 1, factor) for node, d, factor in terms]
            assert transform[first[0], first[0]] == 1.0  # determined once
            transform[first[0], first[0]] = 0.0
            for dof, factor in rest:
                transform[first[0], dof] = -factor / first[1]
    reduced = transform.T @ k @ transform

    stiffness, steps = np.zeros((6, 6)), [b for b in blocks(text) if b[0].startswith("*BOUNDARY")]
    area = volume.size * size**3 / (size * np.array(volume.shape))
    references = [len(mesh.points) - 3 + axis for axis in range(3)]
    for case, (_, lines) in enumerate(steps):
        given = np.zeros(degrees)
        fixed: list[int] = []
        for line in lines:
            node, first, last, *value = line.split(",")
            for direction in range(int(first), int(last) + 1):
                fixed.append(3 * (int(node) - 1) + direction - 1)
                given[fixed[-1]] = float(value[0]) if value else 0.0
        moving = np.setdiff1d(np.flatnonzero(np.diag(reduced) > 0.0), fixed)
        u = given.copy()
        u[moving] = np.linalg.solve(reduced[np.ix_(moving, moving)], -(reduced @ given)[moving])
        reaction = (reduced @ u).reshape(-1, 3)
        for row, name in enumerate(VOIGT_ORDER):
            i, j = ("xyz".index(letter) for letter in name)
            stiffness[row, case] = reaction[references[j], i] / area[j] / 1e-3
    np.testing.assert_allclose(stiffness, homogenize(volume, PAIR, rtol=1e-9).stiffness, rtol=1e-6, atol=1e-6)


def test_fans(volume: np.ndarray, tmp_path: Path) -> None:
    paths = export(volume, PAIR, "fans", tmp_path / "cell.h5", voxel_size=2.0)
    assert [path.name for path in paths] == ["cell.h5", "cell.json"]
    settings = json.loads(paths[1].read_text(encoding="utf-8"))
    microstructure = settings["microstructure"]
    with h5py.File(tmp_path / microstructure["filepath"]) as file:
        stored = file[microstructure["datasetname"]]
        assert isinstance(stored, h5py.Dataset)
        np.testing.assert_array_equal(stored[()], volume)
        assert stored.attrs["permute_order"] == "xyz"
    assert microstructure["L"] == [10.0, 8.0, 6.0]
    properties = settings["material_properties"]
    for phase, (young, poisson) in enumerate(((3.5, 0.35), (70.0, 0.2))):
        bulk, shear = properties["bulk_modulus"][phase], properties["shear_modulus"][phase]
        assert 9 * bulk * shear / (3 * bulk + shear) == pytest.approx(young)
        assert (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear) == pytest.approx(poisson)
    assert np.shape(settings["macroscale_loading"]) == (6, 1, 6)
    required = {"problem_type", "matmodel", "method", "error_parameters", "n_it", "results"}
    assert required <= settings.keys()
    with pytest.raises(ValueError, match="both phases for FANS"):
        export(np.ones((4, 4, 4)), PAIR, "fans", tmp_path / "one.h5")
    with pytest.raises(ValueError, match="expected a file .h5"):
        export(volume, PAIR, "fans", tmp_path / "cell.json")
