"""Volumes that stay in their files: the same bytes, few open files, changed files are refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.io import stored_volumes
from vaereg.io.stored_volumes import StoredVolumes
from vaereg.microstructure.volume import pack_bits

SIZES = np.array([4, 4, 6, 6, 4])
VOLUMES = [
    np.random.default_rng(index).integers(0, 2, (size,) * 3, dtype=np.uint8)
    for index, size in enumerate(SIZES)
]


def write(path: Path, rows: slice, **settings: object) -> tuple[Path, int]:
    """A file that holds some of the volumes."""
    packed = np.concatenate([pack_bits(volume[None])[0] for volume in VOLUMES[rows]])
    with h5py.File(path, "w") as file:
        file.create_dataset("microstructures", data=packed, **settings)
    return path, len(VOLUMES[rows])


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, int]]:
    return [write(tmp_path / "1.h5", slice(0, 3)), write(tmp_path / "2.h5", slice(3, 5))]


@pytest.mark.parametrize("vectored", [True, False], ids=["preadv", "seek"])
def test_volumes_are_those_that_were_written(
    files: list[tuple[Path, int]], vectored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_volumes, "MOST_OPEN", 1)
    if not vectored:
        monkeypatch.delattr(stored_volumes.os, "preadv")
    stored = StoredVolumes(files, SIZES)
    assert len(stored) == 5
    for rows in ([4, 0, 1, 0], [3, 2]):
        np.testing.assert_array_equal(stored.read(rows), np.stack([VOLUMES[row] for row in rows]))
        assert len(stored._open) == 1
    stored.close()
    np.testing.assert_array_equal(stored.read([2])[0], VOLUMES[2])
    for rows, sizes in (([0, 2], r"\[4, 6\]"), ([], r"\[\]")):
        with pytest.raises(InputError, match=f"expected volumes of one size, got {sizes}"):
            stored.read(np.array(rows, dtype=np.intp))


def test_files_of_other_volumes_are_refused(files: list[tuple[Path, int]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 24 bytes of volumes in .*1\.h5, got 43"):
        StoredVolumes([(files[0][0], 3), files[1]], np.array([4, 4, 4, 6, 4]))
    chunked = write(tmp_path / "chunked.h5", slice(0, 2), chunks=(8,))
    with pytest.raises(InputError, match="stored whole and uncompressed in .*, got it in chunks"):
        StoredVolumes([chunked], SIZES[:2])
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.create_dataset("microstructures", shape=(16,), dtype=np.uint8)
    with pytest.raises(InputError, match="got nothing stored"):
        StoredVolumes([(tmp_path / "empty.h5", 2)], SIZES[:2])


def test_files_that_change_are_refused(files: list[tuple[Path, int]]) -> None:
    stored = StoredVolumes(files, SIZES)
    write(files[0][0], slice(1, 4))
    with pytest.raises(
        InputError, match=r"expected .*1\.h5 as it was at the start, got a file that was changed"
    ):
        stored.read([0])
    files[1][0].unlink()
    with pytest.raises(InputError, match=r"expected the volumes of .*2\.h5, got: No such file"):
        stored.read([4])
