"""Files made to do harm: refused in one line and in little memory."""

import io
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from written import ONES, VOLUME, WRITERS

from vaereg.io.importing import read_volumes
from vaereg.io.readers import list_arrays, read_array


def bomb_npz(path: Path) -> None:
    """2 GB of zeros in 2 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a.npy", "w", force_zip64=True) as file:
            head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4, 4), }".ljust(117) + b"\n"
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
            for _ in range(256):
                file.write(bytes(2**20))


def huge_npz(path: Path) -> None:
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (65536, 65536, 65536), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)


def objects_npz(path: Path) -> None:
    np.savez(path, a=np.array([{"a": 1}] * 8).reshape(2, 2, 2))


def huge_hdf5(path: Path) -> None:
    """64 GB declared, nothing stored."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(4096, 4096, 4096), dtype=np.uint8, chunks=(64, 64, 64))


def hollow_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(4096, 4096, 4096), dtype=np.float64, chunks=(64, 64, 64))


def bomb_hdf5(path: Path) -> None:
    """A chunk that inflates to 256 MB in place of 4 KB."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "a", shape=(16, 16, 16), dtype=np.uint8, chunks=(16, 16, 16), compression="gzip"
        )
        dataset.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(2**28), 1))


def masked_hdf5(path: Path) -> None:
    """The same of a chunk that says that it was not shuffled."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "a", shape=(16, 16, 16), dtype=np.uint8, chunks=(16, 16, 16), compression="gzip", shuffle=True
        )
        dataset.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(2**28), 1), filter_mask=1)


def external_hdf5(path: Path) -> None:
    (path.parent / "secret").write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a", shape=(4, 4, 4), dtype=np.uint8, external=[(str(path.parent / "secret"), 0, 64)]
        )


def link_hdf5(path: Path) -> None:
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["b"] = ONES
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink(str(path.parent / "other.h5"), "b")
        file["loop"] = h5py.SoftLink("/loop")


def circle_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = file["/"]


def huge_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 8, 8), np.uint8), photometric="minisblack")
    content = path.read_bytes()
    # width and height are tags 256 and 257, each of one short or long
    for tag in (256, 257):
        for kind in (3, 4):
            at = struct.pack("<HHI", tag, kind, 1)
            content = content.replace(at + struct.pack("<I", 8), at + struct.pack("<I", 60000))
    path.write_bytes(content)


def bomb_tiff(path: Path) -> None:
    """A strip that inflates to 256 MB in place of 4."""
    tifffile.imwrite(path, np.random.default_rng(0).random((256, 2048)), compression="zlib", rowsperstrip=256)
    with tifffile.TiffFile(path) as file:
        (offset,), (count,) = file.pages[0].dataoffsets, file.pages[0].databytecounts  # type: ignore[union-attr]
        tag = file.pages[0].tags["StripByteCounts"]  # type: ignore[union-attr]
    raw = bytearray(path.read_bytes())
    bomb = zlib.compress(bytes(2**28), 1)
    raw[offset : offset + len(bomb)] = bomb
    raw[tag.valueoffset : tag.valueoffset + 4] = struct.pack("<I", len(bomb))
    assert len(bomb) < count
    path.write_bytes(raw)


def lzw_tiff(path: Path) -> None:
    tifffile.imwrite(path, ONES, photometric="minisblack")
    at = struct.pack("<HHI", 259, 3, 1)
    path.write_bytes(path.read_bytes().replace(at + b"\1\0", at + b"\5\0"))


def colour_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 4, 4, 3), np.uint8), photometric="rgb")


def uneven_tiff(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((4, 4), np.uint8))
        file.write(np.zeros((5, 4), np.uint8))


VTI = (
    '<VTKFile type="ImageData" {attributes}><ImageData><Piece Extent="{extent}">{body}</Piece></ImageData>'
    "</VTKFile>"
)


ARRAY = '<CellData><DataArray type="UInt8" Name="a" format="{format}">{text}</DataArray></CellData>'


def vti_text(attributes: str = "", extent: str = "0 2 0 2 0 2", format: str = "ascii", text: str = "") -> str:
    body = ARRAY.format(format=format, text=text)
    return VTI.format(attributes=attributes, extent=extent, body=body)


def entity_vti(path: Path) -> None:
    """A billion laughs."""
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9))
    path.write_text(f"<!DOCTYPE VTKFile [{entities}]>" + vti_text(text="&a9;"))


def secret_vti(path: Path) -> None:
    path.write_text('<!DOCTYPE a [<!ENTITY s SYSTEM "file:///etc/passwd">]>' + vti_text(text="&s;"))


def huge_vti(path: Path) -> None:
    path.write_text(vti_text(extent="0 99999 0 99999 0 99999", text="0"))


def bomb_vti(path: Path) -> None:
    """A block that inflates to 32 MB in place of 8 bytes."""
    import base64

    data = zlib.compress(bytes(2**25), 9)
    head = base64.b64encode(struct.pack("<4I", 1, 8, 0, len(data))).decode()
    text = head + base64.b64encode(data).decode()
    path.write_text(vti_text('compressor="vtkZLibDataCompressor"', format="binary", text=text))


def poly_vti(path: Path) -> None:
    path.write_text('<VTKFile type="PolyData"/>')


def deep_vti(path: Path) -> None:
    path.write_text('<VTKFile type="ImageData">' + "<a>" * 100_000)


def text_vti(path: Path) -> None:
    path.write_text(vti_text(text="1 0 1 rubbish 0 1 1 1"))


def many_vti(path: Path) -> None:
    path.write_text(vti_text(text="1 " * 100))


def bomb_mat(path: Path) -> None:
    """An element that inflates to 256 MB in place of 64 bytes."""
    scipy.io.savemat(path, {"a": ONES})
    element = path.read_bytes()[128:] + bytes(2**28)
    packed = zlib.compress(element, 1)
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(packed)) + packed)


def huge_mat(path: Path) -> None:
    scipy.io.savemat(path, {"a": np.zeros((3, 5, 7), np.uint8)})
    shape = struct.pack("<3i", 3, 5, 7)
    path.write_bytes(path.read_bytes().replace(shape, struct.pack("<3i", 2**30, 2**30, 2**30)))


def old_mat(path: Path) -> None:
    scipy.io.savemat(path, {"a": np.ones((4, 4))}, format="4")


def cells_mat(path: Path) -> None:
    scipy.io.savemat(path, {"a": np.array([[{"b": 1}]], dtype=object), "s": {"t": 2}})


def disguised(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def empty(path: Path) -> None:
    path.write_bytes(b"")


HARM = {
    "bomb.npz": (bomb_npz, r"64 bytes of data for shape \(4, 4, 4\), got .* more behind it"),
    "huge.npz": (huge_npz, r"at most \d+ voxels, got shape \(65536, 65536, 65536\)"),
    "objects.npz": (objects_npz, "pickled Python objects"),
    "huge.h5": (huge_hdf5, r"at most \d+ voxels, got shape \(4096, 4096, 4096\)"),
    "hollow.h5": (hollow_hdf5, r"at most \d+ voxels, got shape \(4096, 4096, 4096\)"),
    "bomb.h5": (bomb_hdf5, "bytes of data, got more when inflated"),
    "masked.h5": (masked_hdf5, "went through all filters, got one that did not"),
    "external.h5": (external_hdf5, "stored in the file, got one that refers to others"),
    "link.h5": (link_hdf5, "got no array"),
    "circle.h5": (circle_hdf5, "got no array"),
    "huge.tif": (huge_tiff, "expected"),
    "bomb.tif": (bomb_tiff, "bytes of data, got more when inflated"),
    "lzw.tif": (lzw_tiff, "expected a TIFF file, got a damaged one: .*LZW"),
    "colour.tif": (colour_tiff, r"one number per pixel \(grey\), got 3"),
    "uneven.tif": (uneven_tiff, r"expected shape \(4, 4\).*got \(5, 4\)"),
    "entity.vti": (entity_vti, "got XML with a document type"),
    "secret.vti": (secret_vti, "got XML with a document type"),
    "huge.vti": (huge_vti, r"at most \d+ voxels, got shape \(99999, 99999, 99999\)"),
    "bomb.vti": (bomb_vti, "8 bytes of data, got 9"),
    "poly.vti": (poly_vti, "got 'VTK file of type PolyData'"),
    "deep.vti": (deep_vti, "tags within tags"),
    "text.vti": (text_vti, "expected numbers, got other text"),
    "many.vti": (many_vti, r"8 numbers for shape \(2, 2, 2\), got 100"),
    "bomb.mat": (bomb_mat, "expected"),
    "huge.mat": (huge_mat, r"at most \d+ voxels, got shape"),
    "old.mat": (old_mat, "MATLAB file"),
    "cells.mat": (cells_mat, r"got \(1, 1\)"),
    **{
        f"pickle{suffix}": (disguised, "a pickle, which is never opened")
        for suffix in (".npz", ".h5", ".tif")
    },
    **{f"pickle2{suffix}": (disguised, "a pickle, which is never opened") for suffix in (".vti", ".mat")},
    **{f"empty{suffix}": (empty, "got an empty file") for suffix in (".npz", ".h5", ".tif", ".vti", ".mat")},
    "volume.pdf": (empty, r"expected a file of \.npy, .*got '\.pdf'"),
}


@pytest.mark.parametrize("name", HARM)
def test_files_made_to_do_harm(name: str, tmp_path: Path) -> None:
    write, message = HARM[name]
    write(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    tracemalloc.start()
    try:
        if name == "bomb.mat":  # what lies behind the array is never inflated
            np.testing.assert_array_equal(read_array(content, name=name), ONES)
        else:
            with pytest.raises(ValueError, match=message) as caught:
                read_array(content, name=name)
            assert len(str(caught.value).splitlines()) == 1
            assert len(str(caught.value)) < 500
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.tif", "a.mat"])
def test_values_that_are_not_finite(name: str, value: float, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, np.where(VOLUME, value, 0.0))
    with pytest.raises(ValueError, match="expected finite numbers"):
        read_volumes(tmp_path / name)


def test_hostile_names_are_printable() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        data = io.BytesIO()
        np.save(data, ONES)
        archive.writestr("a\n\x1b[31m![x](http://example.com).npy", data.getvalue())
    (result,) = list_arrays(buffer.getvalue(), name="a.npz")
    assert result.name.isprintable()
    np.testing.assert_array_equal(read_array(buffer.getvalue(), name="a.npz", dataset=result.name), ONES)
