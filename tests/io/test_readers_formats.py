"""Every kind of file that is read: what its own library writes, cut short, damaged, and of several arrays."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import pyvista as pv
from written import ONES, VOLUME, WRITERS, npz

from vaereg.io.importing import read_volumes
from vaereg.io.readers import RawLayout, choose_array, list_arrays, read_array


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_what_its_own_library_writes_is_read(name: str, dtype: type, tmp_path: Path) -> None:
    if name == "a.npz":
        npz(tmp_path / name, VOLUME.astype(dtype))
    else:
        WRITERS[name](tmp_path / name, VOLUME.astype(dtype))
    result = read_volumes(tmp_path / name, cubic=False)
    np.testing.assert_array_equal(result, VOLUME[None])


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_short_anywhere_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, VOLUME)
    whole = (tmp_path / name).read_bytes()
    cuts = {*range(0, 300, 13), *range(300, len(whole) - 1, max(1, len(whole) // 60))}
    for length in sorted(cut for cut in cuts if cut < len(whole)):
        try:
            result = read_array(whole[:length], name=name)
        except ValueError as error:
            assert str(error).startswith(f"{name}: ") or name in str(error)
            assert len(str(error).splitlines()) == 1
        else:  # what is missing was not needed
            np.testing.assert_array_equal(result, VOLUME)


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_refused_in_one_line(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Flipped bytes give another volume or a ValueError, never another error."""
    WRITERS[name](tmp_path / name, VOLUME)
    whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, min(len(whole), 4000), 3)] = rng.integers(0, 256, 3)
        try:
            read_array(damaged.tobytes(), name=name)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("mode", ["Ascii", "Binary", "Appended"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("encoded", [False, True])
def test_every_encoding_of_vtk(mode: str, compressed: bool, encoded: bool, tmp_path: Path) -> None:
    from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    image.cell_data["double"] = 2.5 * VOLUME.flatten(order="F")
    image.cell_data["vector"] = np.zeros((VOLUME.size, 3))
    writer = vtkXMLImageDataWriter()
    writer.SetFileName(str(tmp_path / "a.vti"))
    writer.SetInputData(image)
    getattr(writer, f"SetDataModeTo{mode}")()
    writer.SetEncodeAppendedData(encoded)
    writer.SetCompressorTypeToZLib() if compressed else writer.SetCompressorTypeToNone()
    writer.Write()
    content = (tmp_path / "a.vti").read_bytes()
    assert {item.name for item in list_arrays(content, name="a.vti")} == {"phase", "double"}
    for name, factor in (("phase", 1), ("double", 2.5)):
        result = read_array(content, name="a.vti", dataset=name)
        np.testing.assert_array_equal(result, factor * VOLUME)


def test_raw_needs_a_shape_and_has_exactly_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(VOLUME.astype(">u2").tobytes())
    result = read_volumes(path, raw=RawLayout(shape=(6, 5, 4), dtype=">u2"), cubic=False)
    np.testing.assert_array_equal(result[0], VOLUME)
    with pytest.raises(ValueError, match="shape of a file without a header"):
        read_volumes(path)
    with pytest.raises(ValueError, match=r"960 bytes for shape \(6, 5, 4\) of float64, got 240"):
        read_volumes(path, raw=RawLayout(shape=(6, 5, 4), dtype="float64"))
    for shape, dtype in (((4, 4), "uint8"), ((4, 0, 4), "uint8"), ((4, 4, 4), "O"), ((4, 4, 4), "rubbish")):
        with pytest.raises(ValueError, match="expected a (shape|type)"):
            RawLayout(shape=shape, dtype=dtype)


def test_one_of_several_data_sets_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["one"], file["deep/two"], file["curve"] = ONES, 1 - ONES, np.arange(4)
        file["objects"] = np.array([b"a", b"bc"], dtype=object)
    listed = list_arrays(path.read_bytes(), name="a.h5")
    assert {item.name for item in listed if item.usable} == {"one", "deep/two"}
    assert choose_array(listed, "/deep/two", name="a.h5").shape == (4, 4, 4)
    with pytest.raises(ValueError, match=r"name of one of its arrays, got none: .*one \(4, 4, 4\)"):
        read_volumes(path)
    with pytest.raises(ValueError, match="an array 'three', got .*one"):
        read_volumes(path, dataset="three")
    assert read_volumes(path, dataset="deep/two").max() == 0
