"""Every exported file, read back by the library that its users would read it with."""

import csv
import itertools
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
import pyvista as pv
import tifffile
import trimesh
import yaml

from vaereg.elasticity import PROPERTIES, VOIGT_ORDER, isotropic_stiffness
from vaereg.io.designs import read_designs
from vaereg.io.exporting.export import FORMATS, BundleItem, Provenance, bundle, describe_surface, export
from vaereg.io.exporting.meshes import closed_surface, enclosed_volume
from vaereg.io.importing import AutomaticChoices, import_volume, read_volumes
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.solver.homogenization import homogenize

PAIR = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.5, nu_stiff=0.2, nu_soft=0.35)


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    """Unequal edges: an axis that is mistaken for another one shows."""
    return (rng.random((5, 4, 3)) < 0.4).astype(np.uint8)


@pytest.fixture
def provenance(volume: np.ndarray) -> Provenance:
    return Provenance(
        name="plates #3",
        target={"C11": 30.0, "volume_fraction": (0.3, 0.5)},
        seed=7,
        component=2,
        latent=np.arange(4, dtype=np.float32),
        made_by="0123456789abcdef",
        mean=np.arange(1.0, 7.0),
        std=0.1 * np.arange(1.0, 7.0),
        stiffness=homogenize(volume, PAIR).stiffness,
        solver_tolerance=1e-6,
        solver_dtype="float64",
        solves=4,
    )


def test_numpy(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "npy", tmp_path / "a.npy")
    result = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, volume)


def test_tiff_is_a_stack_of_imagej(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "tif", tmp_path / "a.tif", voxel_size=0.25)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "ZYX" and file.imagej_metadata is not None
        assert file.imagej_metadata["spacing"] == 0.25
        np.testing.assert_array_equal(file.asarray(), 255 * volume.transpose(2, 1, 0))
    imported = import_volume(tmp_path / "a.tif", AutomaticChoices())
    np.testing.assert_array_equal(imported.volume, volume)
    np.testing.assert_allclose(imported.voxel_size, 0.25)


@pytest.mark.parametrize(("format", "field"), [("vti", "phase"), ("damask", "material")])
def test_image_data(format: str, field: str, volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, format, tmp_path / "a.vti", voxel_size=0.25, provenance=Provenance(name="é"))
    mesh = pv.read(tmp_path / "a.vti")
    assert mesh.dimensions == tuple(length + 1 for length in volume.shape)
    assert mesh.spacing == (0.25, 0.25, 0.25)
    np.testing.assert_array_equal(mesh.cell_data[field].reshape(volume.shape, order="F"), volume)
    centre = mesh.cell_centers().points[np.flatnonzero(mesh.cell_data[field])[0]]
    assert volume[tuple(int(length) for length in centre // 0.25)] == 1
    if format == "damask":
        assert mesh.cell_data[field].dtype == np.int32
        assert "periodic two-phase cell 5 x 4 x 3" in mesh.field_data["comments"][0]
    lines = (tmp_path / "a.vti").read_text(encoding="ascii").splitlines()
    place = next(i for i, line in enumerate(lines) if f'Name="{field}"' in line)
    # DAMASK_grid goes by lines: base64 in the line behind the tag, whatever the compressed length
    assert lines[place].endswith(">") and re.fullmatch(r"[A-Za-z0-9+/=]+", lines[place + 1])
    assert lines[place + 2] == "</DataArray>"


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


def test_the_surface_is_compared_with_the_voxels(volume: np.ndarray, tmp_path: Path) -> None:
    export(volume, PAIR, "stl", tmp_path / "a.stl")
    mesh = trimesh.load(tmp_path / "a.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert enclosed_volume(closed_surface(volume)) == pytest.approx(mesh.volume, rel=1e-6)
    assert describe_surface(volume).startswith(
        f"the surface encloses {mesh.volume:.1f} voxels, the stiff phase has {volume.sum()}: -"
    )


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.95, 1.0])
def test_the_surface_is_closed_whatever_the_volume(
    fraction: float, tmp_path: Path, rng: np.random.Generator
) -> None:
    volume = (rng.random((9, 8, 7)) < fraction).astype(np.uint8)
    export(volume, PAIR, "stl", tmp_path / "a.stl", voxel_size=2.0)
    mesh = trimesh.load(tmp_path / "a.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0.0
    assert (mesh.bounds[0] >= 0.0).all()
    assert (mesh.bounds[1] <= 2.0 * np.array(volume.shape)).all()


def test_the_surface_encloses_the_stiff_phase(tmp_path: Path) -> None:
    """A ball: the volume is that of the voxels but for the corners that are cut."""
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij")) - 11.5
    ball = (np.square(grid).sum(0) < 9.0**2).astype(np.uint8)
    export(ball, PAIR, "stl", tmp_path / "ball.stl")
    mesh = trimesh.load(tmp_path / "ball.stl")
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.volume == pytest.approx(float(ball.sum()), rel=0.03)
    np.testing.assert_allclose(mesh.center_mass, 12.0, atol=0.05)
    assert mesh.euler_number == 2
    assert len(closed_surface(np.zeros((3, 3, 3), np.uint8))) == 0


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


def test_bundle(volume: np.ndarray, provenance: Provenance, tmp_path: Path) -> None:
    hostile = Provenance(name="=cmd|'/c calc'!../../evil\n")
    items = [
        BundleItem(volume=volume, provenance=provenance),
        BundleItem(volume=1 - volume, provenance=hostile),
    ]
    bundle(tmp_path / "all.zip", items, PAIR)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert not [name for name in names if ".." in name or name.startswith("/") or "\n" in name]
        content = json.loads(archive.read("manifest.json"))
        for design, item in zip(content["designs"], items, strict=True):
            assert len(design["files"]) == len(FORMATS) + 8  # FANS takes two, DAMASK eight
            assert set(design["files"]) <= set(names)
            (npy,) = [name for name in design["files"] if name.endswith(".npy")]
            (tmp_path / "back.npy").write_bytes(archive.read(npy))
            np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), item.volume)
        rows = list(csv.DictReader(archive.read("properties.csv").decode().splitlines()))
    assert len(rows) == 2
    assert rows[1]["name"].startswith("'=")
    bundle(tmp_path / "one.zip", items[:1], PAIR, formats=["stl", "npy"])
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == 4
    with pytest.raises(ValueError, match="at least one volume"):
        bundle(tmp_path / "none.zip", [], PAIR)


@pytest.mark.parametrize("format", ["npy", "vti", "damask", "tif"])
def test_exported_volumes_are_read_again(format: str, volume: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / f"a{FORMATS[format].suffix}"
    export(volume, PAIR, format, path)
    if format == "tif":
        with pytest.raises(ValueError, match="0 and 1 only, got other values as well: 255"):
            read_volumes(path)
        np.testing.assert_array_equal(import_volume(path, AutomaticChoices()).volume, volume)
        return
    np.testing.assert_array_equal(read_volumes(path, cubic=False), volume[None])


@pytest.mark.parametrize(
    ("array", "format", "size", "message"),
    [
        (np.zeros((2, 2, 2)), "pdf", 1.0, "format of npy, .*got 'pdf'"),
        (np.zeros((2, 2)), "npy", 1.0, r"shape \(X, Y, Z\)"),
        (np.full((2, 2, 2), 5), "vti", 1.0, "0 and 1"),
        (np.ones((2, 2, 2)), "vti", 0.0, "positive voxel size, got 0.0"),
        (np.zeros((2, 2, 2)), "stl", 1.0, "stiff voxels for a surface"),
    ],
)
def test_what_cannot_be_exported(
    array: np.ndarray, format: str, size: float, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        export(array, PAIR, format, tmp_path / "a", voxel_size=size)
    assert not list(tmp_path.iterdir())
