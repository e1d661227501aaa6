"""TIFF stacks: order of axes, spacing, what ImageJ and OME say, compressions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from reading import CASES, PAGES, VOLUME, assert_read, taken

from vaereg.errors import InputError
from vaereg.microstructure.segmentation import Segmentation


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
