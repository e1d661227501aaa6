"""Folders and archives of slices."""

import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from reading import PAGES, assert_read, taken

from vaereg.errors import InputError


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
