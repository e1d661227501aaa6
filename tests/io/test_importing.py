"""Files of other programs as their owners mean them: axes, spacing, components, phases, and how they were
taken."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import pyvista as pv
import scipy.io
import tifffile

from vaereg.cli import main
from vaereg.errors import InputError
from vaereg.io.importing import AutomaticChoices, Choices, ImportedVolume, Part, import_volume, to_cubes
from vaereg.io.readers import RawLayout
from vaereg.microstructure.segmentation import Segmentation

CASES = Path(__file__).parent / "cases"
VOLUME = np.random.default_rng(3).integers(0, 2, (6, 5, 4), dtype=np.uint8)
"""Voxels along x, y, z: no permutation or flip of it looks like another."""
PAGES = VOLUME.T
"""The same as a stack of pages: z, y, x."""
FIBRE_ALONG_Z = (5.10, 5.10, 33.03)
STRETCHED = (4.247, 4.247, 5.079, 1.193, 1.193, 1.151)
"""Elements three times as long along z, by an independent finite element program."""


def taken(path: Path, **choices: object) -> ImportedVolume:
    return import_volume(path, Choices(**choices))  # type: ignore[arg-type]


def assert_read(path: Path, volume: np.ndarray = VOLUME, **choices: object) -> ImportedVolume:
    imported = taken(path, **choices)
    np.testing.assert_array_equal(imported.volumes, volume[None] if volume.ndim == 3 else volume)
    return imported


# --- cases that version 0.1 read wrongly, with their right values


@pytest.mark.parametrize(
    ("name", "flags", "diagonal"),
    [
        ("imagej_fibre_along_z.tif", [], FIBRE_ALONG_Z),
        ("msutils_fibre_along_z.h5", [], FIBRE_ALONG_Z),
        ("uvw_uncompressed.vti", [], FIBRE_ALONG_Z),
        ("imagej_over4GB_style.tif", [], FIBRE_ALONG_Z),
        ("dream3d_cubic.h5", ["--labels", "2"], FIBRE_ALONG_Z),
        ("lzw.tif", [], FIBRE_ALONG_Z),
        ("sparse.h5", [], FIBRE_ALONG_Z),
        ("almost_one.npy", ["--threshold", "0.5"], FIBRE_ALONG_Z),
        ("spacing_1_1_3.vti", [], STRETCHED),
        ("imagej_spacing_1_1_3.tif", [], STRETCHED),
    ],
)
def test_cases_have_their_right_values(
    name: str,
    flags: list[str],
    diagonal: tuple[float, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "r.json"
    assert main(["homogenize", str(CASES / name), "--out", str(out), *flags]) == 0
    content = json.loads(out.read_text(encoding="utf-8"))
    result = np.diag(content["results"][0]["stiffness"])[: len(diagonal)]
    np.testing.assert_allclose(result, diagonal, atol=0.0051 if len(diagonal) == 3 else 0.00051)
    assert content["read_as"]["axes_from"]
    assert f"{name} read as " in capsys.readouterr().err


def test_nearly_incompressible_phases_do_not_lock(tmp_path: Path) -> None:
    command = ["homogenize", str(CASES / "sphere10.npy"), "--out", str(tmp_path / "r.json"), "--nu", "0.49"]
    assert main(command) == 0
    (result,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert (result["stiffness"][0][0] - result["stiffness"][0][1]) / 2 == pytest.approx(2.2, abs=0.1)
    assert result["element"] == "bbar"


def test_phases_of_their_own_and_voids(tmp_path: Path) -> None:
    """A Poisson ratio per phase, and a void: what a laminate of x is along its layers."""
    laminate = np.zeros((4, 4, 4), np.uint8)
    laminate[:2] = 1
    np.save(tmp_path / "a.npy", laminate)
    command = ["homogenize", str(tmp_path / "a.npy"), "--out", str(tmp_path / "r.json")]
    assert main([*command, "--nu-stiff", "0.2", "--nu-soft", "0.4"]) == 0
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["materials"]["stiff"]["poisson_ratio"] == 0.2
    assert content["materials"]["soft"]["poisson_ratio"] == 0.4
    shear = 0.5 * (120.0 / 2.4 + 2.4 / 2.8)
    assert content["results"][0]["stiffness"][3][3] == pytest.approx(shear, rel=1e-6)
    assert main([*command, "--e-soft", "0"]) == 0
    (result,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert result["stiffness"][0][0] == pytest.approx(0.0, abs=1e-9)
    assert "xx" in result["unloaded"]


def test_negative_labels_need_no_equals_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stiffness = []
    for flags in (["--labels", "-1,0"], ["--labels=-1,0"], ["--threshold", "-1e0"], ["--threshold=-1.0"]):
        command = ["homogenize", str(CASES / "minus_one.npy"), "--out", str(tmp_path / "r.json"), *flags]
        assert main(command) == 0
        content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        stiffness.append(content["results"][0]["stiffness"])
    assert stiffness[0] == stiffness[1] and stiffness[2] == stiffness[3]
    assert stiffness[0] != stiffness[2]
    capsys.readouterr()
    assert main(["homogenize", str(CASES / "minus_one.npy"), "--out", "r.json", "--labels", "-7,0"]) == 2
    assert "expected labels of the file, got -7" in capsys.readouterr().err


def test_almost_one_shows_its_digits_and_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["homogenize", str(CASES / "almost_one.npy"), "--out", str(tmp_path / "r.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "0.9999999" in line and "--threshold" in line and "--labels" in line


def test_spacing_is_read_from_vti_and_imagej() -> None:
    for name, source in (("spacing_1_1_3.vti", "Spacing"), ("imagej_spacing_1_1_3.tif", "ImageJ")):
        imported = taken(CASES / name)
        assert imported.voxel_size == (1.0, 1.0, 3.0)
        assert imported.read_as.voxel_size_from == source
        assert not imported.cubes
        cubes = to_cubes(imported)
        assert cubes.volume.shape == (12, 12, 36) and cubes.cubes
        np.testing.assert_array_equal(cubes.volume[:, :, ::3], imported.volume)
        assert "parted 1 x 1 x 3" in cubes.read_as.notes[-1]


# --- TIFF


def test_a_page_is_z_a_row_y_and_a_column_x(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", PAGES, photometric="minisblack", metadata=None)
    tifffile.imwrite(tmp_path / "shaped.tif", PAGES, photometric="minisblack")
    tifffile.imwrite(tmp_path / "named.tif", VOLUME, photometric="minisblack", metadata={"axes": "XYZ"})
    tifffile.imwrite(tmp_path / "big.tif", PAGES, photometric="minisblack", bigtiff=True)
    for name in ("plain.tif", "shaped.tif", "named.tif", "big.tif"):
        assert_read(tmp_path / name)


def test_a_stack_of_version_0_1_has_a_page_for_each_x(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "old.tif", 255 * VOLUME, photometric="minisblack", metadata=None, software="vaereg"
    )
    imported = assert_read(tmp_path / "old.tif", segmentation=Segmentation(threshold=128))
    assert imported.read_as.axes_from.startswith("vaereg 0.1")


def test_one_directory_of_imagej_holds_all_pages(tmp_path: Path) -> None:
    """Stacks above 4 GB: one directory, the pages behind one another, and their number in the description."""
    description = "ImageJ=1.53t\nimages=4\nslices=4\nspacing=1.0\n"
    pages = PAGES.astype(np.uint16)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, pages[0], description=description, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages.first.dataoffsets[0] + tiff.pages.first.databytecounts[0]
    assert end == path.stat().st_size
    with path.open("ab") as file:
        file.write(pages[1:].tobytes())
    assert_read(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match="stack"):
        taken(path)


def test_structs_of_matlab_7_3(tmp_path: Path) -> None:
    """A struct of MATLAB 7.3 is a group: its fields have dotted or slashed names."""
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file.create_group("scan")["phase"] = VOLUME.T
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    assert_read(tmp_path / "a.mat")


def test_imagej_says_spacing_and_unit(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        PAGES,
        imagej=True,
        resolution=(4.0, 2.0),
        metadata={"spacing": 0.75, "unit": "um", "axes": "ZYX"},
    )
    imported = assert_read(tmp_path / "a.tif")
    assert imported.read_as.voxel_size == (0.25, 0.5, 0.75) and imported.read_as.unit == "um"


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [("ZCYX", (6, 2, 5, 4), "one channel, got 2"), ("TYX", (6, 5, 4), "one time, got 6")],
)
def test_channels_and_times_are_refused(
    axes: str, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    array, metadata = np.zeros(shape, np.uint8), {"axes": axes}
    tifffile.imwrite(tmp_path / "ij.tif", array, imagej=True, metadata=metadata)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata=metadata, photometric="minisblack")
    for name in ("ij.tif", "a.ome.tif"):
        with pytest.raises(InputError, match=message):
            taken(tmp_path / name)
    if axes == "TYX":  # a stack that was saved as frames: the user may say so
        assert taken(tmp_path / "ij.tif", axes="zyx").volume.shape == (4, 5, 6)


def test_ome_says_order_and_size(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", PAGES, ome=True, metadata={"axes": "ZYX", **sizes}, photometric="minisblack"
    )
    imported = assert_read(tmp_path / "a.ome.tif")
    assert imported.read_as.voxel_size == (0.5, 0.5, 2.0) and imported.read_as.unit == "um"


def test_images_that_are_declared_must_be_there(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in PAGES:
            file.write(page, description="ImageJ=1.53t\nimages=9\nslices=9\n", metadata=None)
    with pytest.raises(InputError, match="9 images declared, 4 found"):
        taken(tmp_path / "a.tif")


def test_boolean_stacks_of_tifffile_keep_their_values(tmp_path: Path) -> None:
    """They are MinIsWhite: numbers are taken as they are stored."""
    tifffile.imwrite(tmp_path / "a.tif", PAGES.astype(bool))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].photometric == 0  # type: ignore[union-attr]
    imported = assert_read(tmp_path / "a.tif")
    assert "MinIsWhite" in imported.read_as.sentence()
    assert tifffile.imread(tmp_path / "a.tif").astype(np.uint8).tolist() == PAGES.tolist()


@pytest.mark.parametrize("compression", ["lzw", "packbits", "zlib"])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressions(compression: str, predictor: bool, tmp_path: Path) -> None:
    if predictor and compression == "packbits":
        return  # TIFF has no such combination
    tifffile.imwrite(
        tmp_path / "a.tif", PAGES, photometric="minisblack", compression=compression, predictor=predictor
    )
    assert_read(tmp_path / "a.tif")


def test_lzw_without_imagecodecs_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from vaereg.cli import main\n"
        f"sys.exit(main(['homogenize', {str(CASES / 'lzw.tif')!r}, '--out', 'r.json']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "imagecodecs" in result.stderr


# --- slices


def write_slices(folder: Path, kind: str) -> None:
    for z, page in enumerate(PAGES):
        name = folder / f"slice{z + 8}.{kind}"  # 8, 9, 10, 11: not in the order of letters
        if kind == "tif":
            tifffile.imwrite(name, page, photometric="minisblack")
        else:
            name.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(page)))
    (folder / "notes.txt").write_text("not a slice")


@pytest.mark.parametrize("kind", ["tif", "png"])
def test_a_folder_and_a_zip_of_slices(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    folder.mkdir()
    write_slices(folder, kind)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"scan/{path.name}")
    for path in (folder, tmp_path / "a.zip"):
        assert "4 slices" in assert_read(path).read_as.format
    tifffile.imwrite(folder / "slice99.tif", np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match=r"expected slices of shape \(5, 6\).*got \(3, 3\).*slice99"):
        taken(folder)


# --- HDF5


@pytest.mark.parametrize("order", ["xyz", "zyx", "yxz", "zxy"])
def test_permute_order_is_obeyed(order: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ms"] = VOLUME.transpose(["xyz".index(axis) for axis in order])
        file["ms"].attrs["permute_order"] = order
    assert_read(tmp_path / "a.h5")
    assert taken(tmp_path / "a.h5", axes="xyz").read_as.notes == (
        () if order == "xyz" else (f"the file says {order}",)
    )


def test_a_wrong_permute_order_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ms"] = VOLUME
        file["ms"].attrs["permute_order"] = "zzx"
    with pytest.raises(InputError, match="permute_order to be an order of x, y, z, got 'zzx'"):
        taken(tmp_path / "a.h5")


def test_a_last_axis_of_one_is_a_component(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = PAGES[..., None]
        axes = [{"key": axis} for axis in "zyxc"]
        file["data"].attrs["axistags"] = json.dumps({"axes": axes})
    assert_read(tmp_path / "a.h5")
    np.save(tmp_path / "a.npy", VOLUME[..., None])
    assert_read(tmp_path / "a.npy")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["data"]
        file["data"] = np.stack([PAGES] * 2, axis=-1)
        file["data"].attrs["axistags"] = json.dumps({"axes": axes})
    with pytest.raises(InputError, match="one channel, got 2"):
        taken(tmp_path / "a.h5")


def test_labels_of_dimensions_and_fiji(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = file.create_dataset("data", data=PAGES)
        for dimension, label in zip(stored.dims, "zyx", strict=True):
            dimension.label = label
    assert_read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["t0/channel0"] = PAGES
        file["t0/channel0"].attrs["element_size_um"] = [3.0, 2.0, 1.0]
    assert assert_read(tmp_path / "b.h5").voxel_size == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("version", [6, 8])
def test_dream3d_geometry(version: int, tmp_path: Path) -> None:
    x, y, z = VOLUME.shape
    with h5py.File(tmp_path / "a.dream3d", "w") as file:
        group = file.create_group("DataContainers/Image" if version == 6 else "DataStructure/Image")
        data = group.create_dataset("CellData/Phases", data=PAGES[..., None].astype(np.int32))
        data.attrs["ComponentDimensions"] = np.array([1], np.uint64)
        data.attrs["TupleDimensions"] = np.array([x, y, z] if version == 6 else [z, y, x], np.uint64)
        features = group.create_dataset("CellFeatureData/Volumes", data=np.zeros((9, 1)))
        features.attrs["ComponentDimensions"] = np.array([1], np.uint64)
        features.attrs["TupleDimensions"] = np.array([9], np.uint64)
        if version == 6:
            group["_SIMPL_GEOMETRY/SPACING"] = np.array([0.25, 0.5, 1.0], np.float32)
        else:
            group.attrs["_SPACING"] = np.array([0.25, 0.5, 1.0])
    imported = assert_read(tmp_path / "a.dream3d")
    assert imported.voxel_size == (0.25, 0.5, 1.0)


def test_chunks_that_were_never_written_are_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("p", shape=(8, 8, 8), dtype="u1", chunks=(4, 4, 4), fillvalue=1)
        data[:4] = 0
        file.create_dataset("q", shape=(8, 8, 8), dtype="f4", fillvalue=1.0)
    assert taken(tmp_path / "a.h5", dataset="p").volume.sum() == 256
    assert taken(tmp_path / "a.h5", dataset="q").volume.all()


# --- VTK image data and other grids


@pytest.mark.parametrize(
    ("direction", "volume"),
    [
        ((0, 0, 1, 1, 0, 0, 0, 1, 0), VOLUME.transpose(2, 0, 1)),
        ((-1, 0, 0, 0, 1, 0, 0, 0, -1), VOLUME[::-1, :, ::-1]),
    ],
)
def test_direction_of_a_grid(direction: tuple[int, ...], volume: np.ndarray, tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape], spacing=(1.0, 2.0, 3.0))
    image.direction_matrix = np.reshape(direction, (3, 3)).astype(float)
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.save(tmp_path / "a.vti")
    imported = assert_read(tmp_path / "a.vti", volume)
    # VTK's own places of the centres of the cells say the same
    centres = image.cell_centers().points
    places = np.round((centres - centres.min(axis=0)) / imported.voxel_size).astype(int)
    assert (imported.volume[tuple(places.T)] == image.cell_data["phase"]).all()


def test_a_turned_grid_is_refused(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    c, s = np.cos(0.3), np.sin(0.3)
    image.direction_matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.save(tmp_path / "a.vti")
    with pytest.raises(InputError, match="grid along x, y and z, got the direction matrix"):
        taken(tmp_path / "a.vti")


def test_cells_and_points_of_one_name(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.point_data["phase"] = np.arange(image.n_points) % 2
    image.save(tmp_path / "a.vti")
    with pytest.raises(InputError, match=r"CellData/phase \(6, 5, 4\)"):
        taken(tmp_path / "a.vti")
    assert_read(tmp_path / "a.vti", dataset="CellData/phase")
    assert taken(tmp_path / "a.vti", dataset="PointData/phase").volume.shape == (7, 6, 5)


def test_legacy_vtk(tmp_path: Path) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape], spacing=(1.0, 2.0, 3.0))
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    for binary in (True, False):
        image.save(tmp_path / "a.vtk", binary=binary)
        assert assert_read(tmp_path / "a.vtk").voxel_size == (1.0, 2.0, 3.0)
    pv.Sphere().save(tmp_path / "b.vtk")
    with pytest.raises(InputError, match="expected structured points"):
        taken(tmp_path / "b.vtk")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_scans_of_simpleitk(name: str, compressed: bool, tmp_path: Path) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(PAGES))
    image.SetSpacing((0.5, 0.5, 1.5))
    sitk.WriteImage(image, tmp_path / name, useCompression=compressed)
    imported = assert_read(tmp_path / name)
    assert imported.voxel_size == (0.5, 0.5, 1.5)
    if name == "a.mhd":
        with pytest.raises(InputError, match="leads to another file"):
            import_volume((tmp_path / name).read_bytes(), name=name)
        text = (tmp_path / name).read_text().replace("ElementDataFile = ", "ElementDataFile = ../")
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="a file of the same folder"):
            taken(tmp_path / name)


def test_an_nrrd_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: /etc/passwd\n\n"
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(InputError, match="one that leads to another"):
        taken(tmp_path / "a.nrrd")


def test_fields_of_matlab_structs(tmp_path: Path) -> None:
    for compressed in (False, True):
        scipy.io.savemat(
            tmp_path / "a.mat",
            {"scan": {"info": {"voxel": 2.0}, "deep": {"phase": VOLUME}, "grey": VOLUME * 9.5}},
            do_compression=compressed,
        )
        with pytest.raises(InputError, match=r"name of one of its arrays.*scan\.deep\.phase \(6, 5, 4\)"):
            taken(tmp_path / "a.mat")
        assert_read(tmp_path / "a.mat", dataset="scan.deep.phase")
        assert_read(tmp_path / "a.mat", dataset="scan.grey", segmentation=Segmentation(threshold=4.0))
    scipy.io.savemat(tmp_path / "b.mat", {"s": np.array([[{"p": VOLUME}, {"p": VOLUME}]], dtype=object)})
    scipy.io.savemat(tmp_path / "c.mat", {"s": np.array([("a",), ("b",)], dtype=[("x", object)])})
    with pytest.raises(InputError, match="got the struct s without one"):
        taken(tmp_path / "c.mat")


# --- choices


def test_the_user_overrules_the_file(tmp_path: Path) -> None:
    imported = taken(CASES / "imagej_spacing_1_1_3.tif", axes="xyz", voxel_size=(2.0, 2.0, 2.0))
    assert imported.cubes
    assert imported.read_as.notes == ("the file says zyx", "the file says voxels of 1 x 1 x 3")
    for axes in ("xyy", "xy", "abc", ""):
        with pytest.raises(InputError, match="expected axes such as zyx"):
            taken(CASES / "sparse.h5", axes=axes)
    with pytest.raises(InputError, match=r"expected axes for shape \(12, 12, 12\), got 'nxyz'"):
        taken(CASES / "sparse.h5", axes="nxyz")
    with pytest.raises(InputError, match="positive edges"):
        taken(CASES / "sparse.h5", voxel_size=(1.0, 0.0, 1.0))
    (tmp_path / "a.raw").write_bytes(PAGES.tobytes())
    assert_read(tmp_path / "a.raw", raw=RawLayout(shape=(4, 5, 6)), axes="zyx")


def test_order_of_the_steps(tmp_path: Path) -> None:
    """Number, phases, part: the part is of the phases of the volume that was chosen."""
    stack = np.stack([VOLUME * 0, VOLUME * 7 + 2])
    np.save(tmp_path / "a.npy", stack)
    part = Part(start=(1, 0, 2), shape=(4, 5, 2))
    imported = taken(tmp_path / "a.npy", number=2, segmentation=Segmentation(threshold="otsu"), part=part)
    np.testing.assert_array_equal(imported.volume, VOLUME[1:5, :, 2:4])
    assert imported.read_as.shape == (4, 5, 2) and imported.read_as.part == part
    assert "volume 2 of 2" in imported.read_as.notes
    assert "values above 5.5 stiff (Otsu)" in imported.read_as.sentence()
    with pytest.raises(InputError, match="a volume from 1 to 2, got 3"):
        taken(tmp_path / "a.npy", number=3)


def test_twenty_labels_are_not_a_grey_image(tmp_path: Path) -> None:
    grains = np.random.default_rng(0).integers(0, 20, (8, 8, 8))
    np.save(tmp_path / "a.npy", grains)
    imported = import_volume(tmp_path / "a.npy", AutomaticChoices())
    np.testing.assert_array_equal(imported.volume, grains == 19)
    assert imported.read_as.phases == "labels 19 stiff, others soft"
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(8, 8, 8)))
    assert "Otsu" in import_volume(tmp_path / "b.npy", AutomaticChoices()).read_as.phases


def test_edges_that_are_no_multiples_are_refused() -> None:
    with pytest.raises(InputError, match="small multiples of the shortest one"):
        to_cubes(taken(CASES / "sparse.h5", voxel_size=(1.0, 1.0, 1.37)))
    with pytest.raises(InputError, match="at most 2000 voxels after"):
        to_cubes(taken(CASES / "sparse.h5", voxel_size=(1.0, 1.0, 2.0)), max_voxels=2000)


def test_bytes_and_streams_are_files_too() -> None:
    content = (CASES / "imagej_fibre_along_z.tif").read_bytes()
    whole = taken(CASES / "imagej_fibre_along_z.tif").volume
    for source in (content, io.BytesIO(content)):
        np.testing.assert_array_equal(import_volume(source, name="a.tif").volume, whole)


def test_a_mirrored_cell_is_periodic_and_orthotropic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vaereg.generators.families import gaussian_field

    whole = gaussian_field(24, (2.5, 2.5, 2.5), 0.5, generator=np.random.default_rng(2))
    np.save(tmp_path / "scan.npy", whole[:10, 3:13, :10])
    command = ["homogenize", str(tmp_path / "scan.npy"), "--out", str(tmp_path / "r.json"), "--nu", "0.2"]
    assert main(command) == 0
    assert "is not periodic: " in capsys.readouterr().err
    (alone,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["results"]
    assert main([*command, "--mirror"]) == 0
    captured = capsys.readouterr().err
    assert "is not periodic" not in captured and "repeated instead of mirrored" in captured
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (mirrored,) = content["results"]
    assert "mirror images" in content["read_as"]["notes"][0]
    stiffness = np.array(mirrored["stiffness"])
    np.testing.assert_allclose(stiffness[:3, 3:], 0.0, atol=1e-5 * stiffness.max())
    assert mirrored["periodic"]["stiffness"] == alone["stiffness"]
    expected = np.abs(np.subtract(alone["stiffness"], stiffness)).max() / stiffness.max()
    assert mirrored["periodic"]["largest_change"] == pytest.approx(expected)
    with pytest.raises(InputError, match="at most 250 voxels to mirror, got 1728"):
        taken(CASES / "sparse.h5", mirror=True, max_voxels=2000)


def test_predict_parts_voxels_into_cubes_and_says_so(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(CASES / "spacing_1_1_3.vti"), "--out", str(tmp_path / "r.json")]
    command += ["--checkpoint", str(tiny_checkpoint_path)]
    assert main(command) == 0
    assert "parted 1 x 1 x 3 into cubes" in capsys.readouterr().err
    read_as = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["read_as"]
    assert read_as["shape"] == [12, 12, 36] and read_as["voxel_size"] == [1.0, 1.0, 1.0]
    assert main([*command, "--voxel-size", "1,1,1.37"]) == 2
    assert "small multiples of the shortest one" in capsys.readouterr().err
