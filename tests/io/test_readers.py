"""Files of users: volumes are read, and anything else is refused in one line before its data is read."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from vaereg.io.importing import read_volumes
from vaereg.io.readers import MAX_VOXELS, as_volumes, read_npy


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (4, 4, 4), dtype=np.uint8)


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    """Start of a NumPy file with a header of our own."""
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode("latin1")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float64, ">f4"])
def test_one_volume_or_several_are_read(dtype: str | type, volume: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "volumes.npy"
    np.save(path, volume.astype(dtype))
    np.testing.assert_array_equal(read_volumes(path), volume[None])
    np.save(path, np.stack([volume, 1 - volume]).astype(dtype))
    result = read_volumes(path)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, [volume, 1 - volume])


def test_axes_keep_their_order_in_fortran_layout(tmp_path: Path) -> None:
    volume = np.zeros((4, 4, 4), dtype=np.uint8)
    volume[1, 2, 3] = 1
    np.save(tmp_path / "fortran.npy", np.asfortranarray(volume))
    np.testing.assert_array_equal(read_volumes(tmp_path / "fortran.npy"), volume[None])


def test_an_upload_is_read_from_memory_whatever_was_read_before(volume: np.ndarray) -> None:
    upload = io.BytesIO(npy_bytes(volume))
    upload.read(10)
    np.testing.assert_array_equal(read_npy(upload, name="upload.npy"), volume)
    np.testing.assert_array_equal(read_npy(npy_bytes(volume), name="upload.npy"), volume)


def test_a_single_phase_is_refused_only_where_both_are_needed(volume: np.ndarray) -> None:
    stack = np.stack([volume, np.ones_like(volume)])
    assert len(as_volumes(stack, name="a.npy")) == 2
    assert len(as_volumes(volume, name="a.npy", both_phases=True)) == 1
    with pytest.raises(ValueError, match=r"^a\.npy, volume 1: expected both phases, got stiff voxels only$"):
        as_volumes(stack, name="a.npy", both_phases=True)
    with pytest.raises(ValueError, match="got soft voxels only"):
        as_volumes(np.zeros((2, 2, 2)), name="a.npy", both_phases=True)


def test_boxes_are_read_where_cubes_are_not_needed() -> None:
    assert as_volumes(np.zeros((2, 3, 4)), name="a.npy", cubic=False).shape == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"\(X, Y, Z\) or \(N, X, Y, Z\), got \(4, 4\)"),
        (np.zeros((1, 1, 4, 4, 4)), r"\(X, Y, Z\) or \(N, X, Y, Z\), got \(1, 1, 4, 4, 4\)"),
        (np.float64(1.0), r"\(X, Y, Z\) or \(N, X, Y, Z\), got \(\)"),
        (np.zeros((0, 4, 4, 4)), r"at least one voxel, got shape \(0, 4, 4, 4\)"),
        (np.full((2, 2, 2), 3), "0 and 1 only, got other values as well: 3"),
        (np.full((2, 2, 2), np.nan), "not finite"),
        (np.full((2, 2, 2), None), "expected numbers, got pickled Python objects"),
        (np.full((2, 2, 2), 1j), "boolean, integer or real numbers, got type complex128"),
        (np.full((2, 2, 2), "1"), "boolean, integer or real numbers, got type <U1"),
        (np.zeros((2, 2, 2), dtype=[("a", "u1")]), "boolean, integer or real numbers, got type"),
    ],
)
def test_arrays_that_are_no_volumes(array: np.ndarray, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(ValueError, match=message) as caught:
        read_volumes(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_the_volume_that_is_wrong_is_named(volume: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^a\.npy, volume 1: .*other values as well: 2$"):
        as_volumes(np.stack([volume, np.full_like(volume, 2)]), name="a.npy")


class Unpickled:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a file was unpickled",)


HUGE = npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1048576, 1048576, 1048576), }\n")
FILES = {
    "empty": (b"", "NumPy file .*got an empty file"),
    "text": (b"0 1 0 1", "NumPy file .*got a file that starts with b'0 1 0 1'"),
    "short magic": (b"\x93NUM", "NumPy file .*got a file that starts with"),
    "pickle": (pickle.dumps(Unpickled()), "got a pickle, which is never opened"),
    "pickled array": (npy_bytes(np.array([Unpickled()] * 8).reshape(2, 2, 2)), "pickled Python objects"),
    "other version": (b"\x93NUMPY\x07\x00" + bytes(64), r"version 1\.0 or 2\.0, got 7\.0"),
    "no header": (b"\x93NUMPY\x01\x00", "header of a NumPy file, got a damaged one"),
    "header is code": (npy_header("__import__('os')\n"), "header of a NumPy file, got a damaged one"),
    "header is deep": (npy_header("(" * 9000 + "\n"), "header of a NumPy file, got a damaged one"),
    "header is long": (npy_header(" " * 20_000), "header of a NumPy file, got a damaged one"),
    "header is cut": (b"\x93NUMPY\x01", r"header of a NumPy file, got 7 bytes \(file truncated\)"),
    "negative": (
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -1, 1), }\n"),
        "zero or more",
    ),
    "huge": (HUGE, rf"at most {MAX_VOXELS} voxels, got shape \(1048576, 1048576, 1048576\)"),
    "truncated": (npy_bytes(np.zeros((4, 4, 4)))[:-8], r"512 bytes .*got 504 \(file truncated\)"),
    "trailing": (
        npy_bytes(np.zeros((4, 4, 4))) + b"more",
        r"512 bytes .*got 516 \(file with more behind it\)",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_numpy_files(case: str, tmp_path: Path) -> None:
    content, message = FILES[case]
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_volumes(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_an_archive_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "volume.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="a zip archive"):
        read_volumes(path)


def test_a_file_cut_short_anywhere_is_refused(volume: np.ndarray) -> None:
    whole = npy_bytes(volume)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"^upload: expected"):
            read_npy(whole[:length], name="upload")


def test_cubes_are_asked_for_where_they_are_needed(tmp_path: Path) -> None:
    np.save(tmp_path / "box.npy", np.zeros((4, 4, 5)))
    assert read_volumes(tmp_path / "box.npy").shape == (1, 4, 4, 5)
    with pytest.raises(ValueError, match=r"cubic .*got shape \(1, 4, 4, 5\)"):
        read_volumes(tmp_path / "box.npy", cubic=True)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="got no file at"):
        read_volumes(tmp_path / "none.npy")
    with pytest.raises(ValueError, match=r"expected slices of \.tif.*got 0 other files"):
        read_volumes(tmp_path)
