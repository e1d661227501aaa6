"""Files made to cost much, and damaged files of every kind: refused in a line, quickly, and in little
memory."""

import io
import struct
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import pyvista as pv
import scipy.io
import SimpleITK as sitk
import tifffile
from hypothesis import HealthCheck, given, settings, strategies as st

from vaereg.errors import InputError
from vaereg.io.formats.stored import ReadBudget, ReadLimits, bounded
from vaereg.io.importing import AutomaticChoices, import_volume
from vaereg.io.readers import read_array

SECONDS = 6.0
"""Processor time that a refusal may take [s]; of version 0.1 the slowest took 75."""
MEGABYTES = 512
VOLUME = np.random.default_rng(1).integers(0, 2, (6, 5, 4), dtype=np.uint8)


def shared_strip_tiff() -> bytes:
    """4,096 pages that share one deflated strip of 99 MB."""
    strip = zlib.compress(bytes(64), 0) + bytes(99_000_000)
    pages = []
    start, length = 8 + len(strip), 2 + 9 * 12 + 4
    for number in range(4096):
        entries = [
            (256, 4, 8),
            (257, 4, 8),
            (258, 3, 8),
            (259, 3, 8),
            (262, 3, 1),
            (273, 4, 8),
            (277, 3, 1),
            (278, 4, 8),
            (279, 4, len(strip)),
        ]
        after = start + (number + 1) * length if number < 4095 else 0
        tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        pages.append(struct.pack("<H", len(entries)) + tags + struct.pack("<I", after))
    return b"II*\0" + struct.pack("<I", start) + strip + b"".join(pages)


def empty_blocks_vti() -> bytes:
    """25 million blocks of nothing."""
    head = (
        '<VTKFile type="ImageData" byte_order="LittleEndian" header_type="UInt32" '
        'compressor="vtkZLibDataCompressor"><ImageData><Piece Extent="0 2 0 2 0 2"><CellData>'
        '<DataArray type="UInt8" Name="a" format="appended" offset="0"/></CellData></Piece></ImageData>'
        '<AppendedData encoding="raw">_'
    )
    return head.encode() + struct.pack("<3I", 25_000_000, 0, 8) + bytes(100_000_000)


def many_numbers_vti() -> bytes:
    """50 million numbers as text where 512 are declared."""
    head = (
        '<VTKFile type="ImageData"><ImageData><Piece Extent="0 8 0 8 0 8"><CellData>'
        '<DataArray type="UInt8" Name="a" format="ascii">'
    )
    return head.encode() + b"1 " * 50_000_000 + b"</DataArray></CellData></Piece></ImageData></VTKFile>"


def many_members_zip() -> bytes:
    """Two million entries of a directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        data = io.BytesIO()
        np.save(data, VOLUME)
        archive.writestr("a.npy", data.getvalue())
    content = buffer.getvalue()
    end = content.rindex(b"PK\x05\x06")
    (place,) = struct.unpack("<I", content[end + 16 : end + 20])
    directory = content[place:end] * 2_000_000
    record = content[end : end + 8] + struct.pack("<HHII", 0xFFFF, 0xFFFF, len(directory), place) + b"\0\0"
    return content[:place] + directory + record


def huge_png_zip() -> bytes:
    """A slice that declares 3.6 thousand million pixels."""
    png = imagecodecs.png_encode(VOLUME[0])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a1.png", png[:16] + struct.pack(">II", 60_000, 60_000) + png[24:])
    return buffer.getvalue()


def bomb_slices_zip() -> bytes:
    """A slice of 256 MB of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a1.tif", "w") as file:
            file.write(b"II*\0" + struct.pack("<I", 2**27))
            for _ in range(256):
                file.write(bytes(2**20))
    return buffer.getvalue()


def bomb_struct_mat() -> bytes:
    """A struct that inflates to 256 MB."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"s": {"a": VOLUME}})
    engine = zlib.compressobj(1)
    packed = engine.compress(buffer.getvalue()[128:])
    packed += b"".join(engine.compress(bytes(2**20)) for _ in range(256)) + engine.flush()
    return buffer.getvalue()[:128] + struct.pack("<II", 15, len(packed)) + packed


def packbits_tiff() -> bytes:
    """A page whose strip of PackBits is much longer than what it stands for."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((8, 8), np.uint8), compression="packbits")
    content = bytearray(buffer.getvalue())
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        counts, offsets = tags["StripByteCounts"], tags["StripOffsets"]
    content[counts.valueoffset : counts.valueoffset + 4] = struct.pack("<I", 50_000_000)
    content[offsets.valueoffset : offsets.valueoffset + 4] = struct.pack("<I", len(content))
    return bytes(content) + b"\x81\x00" * 25_000_000


COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "strips.tif": (shared_strip_tiff, "pages with data of their own"),
    "blocks.vti": (empty_blocks_vti, "expected blocks of data, got 25000000 blocks"),
    "numbers.vti": (many_numbers_vti, "512 numbers for shape .* got text of 100000000 bytes"),
    "members.npz": (many_members_zip, "at most 10000 members, got a directory of"),
    "members.zip": (many_members_zip, "at most 10000 members, got a directory of"),
    "huge.zip": (huge_png_zip, "expected smaller slices, got 60000 x 60000"),
    "bomb.zip": (bomb_slices_zip, "a1.tif|expected"),
    "struct.mat": (bomb_struct_mat, "got the struct s without one"),
    "packbits.tif": (packbits_tiff, "expected strips of at most 64 bytes, got 50000000"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_files_are_refused_quickly(name: str) -> None:
    make, message = COSTLY[name]
    content = make()
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            read_array(content, name=name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert peak < MEGABYTES * 2**20
    assert len(str(caught.value).splitlines()) == 1


def test_a_budget_bounds_reading_inflating_and_time() -> None:
    limits = ReadLimits(slack_bytes=10, rereads=2, inflated_bytes=100)
    budget = ReadBudget("a.tif", 45, limits)
    stream = bounded(io.BytesIO(bytes(45)), budget)
    for _ in range(2):
        stream.seek(0)
        assert len(stream.read()) == 45
    stream.seek(0)
    with pytest.raises(InputError, match=r"^a\.tif: expected a file whose parts are read once"):
        stream.read()
    budget.inflate(100)
    with pytest.raises(InputError, match="of inflated data, got more"):
        budget.inflate(1)
    with pytest.raises(InputError, match=r"within 0 s of processor time"):
        ReadBudget("a.tif", 1, ReadLimits(seconds=0.0)).check_time()


def test_a_library_does_not_hide_a_budget_that_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 swallows what its file raises; the refusal comes out all the same."""
    monkeypatch.setattr("vaereg.io.formats.stored.LIMITS", ReadLimits(slack_bytes=0, rereads=0))
    monkeypatch.setattr(
        "vaereg.io.readers.ReadBudget",
        # HDF5 crashes when the process ends if already its header could not be read: let it have that
        lambda name, size: ReadBudget(
            name, size, ReadLimits(slack_bytes=size // 3 if name == "a.h5" else 10, rereads=0)
        ),
    )
    for name in ("a.h5", "a.tif", "a.npz", "a.vti"):
        with pytest.raises(InputError, match="whose parts are read once"):
            read_array(corpus()[name], name=name)


# --- damaged files of every kind


@cache
def corpus() -> dict[str, bytes]:
    """A small file of every kind, the same bytes in every run."""
    files: dict[str, bytes] = {}

    def add(name: str, write: Callable[[io.BytesIO], object]) -> None:
        buffer = io.BytesIO()
        write(buffer)
        files[name] = buffer.getvalue()

    def hdf5(buffer: io.BytesIO, **options: object) -> None:
        with h5py.File(buffer, "w") as file:
            data = file.create_dataset("g/phase", data=VOLUME[..., None], **options)  # type: ignore[arg-type]
            data.attrs["ComponentDimensions"] = np.array([1])
            data.attrs["TupleDimensions"] = np.array(VOLUME.shape[::-1])
            file["g/_SIMPL_GEOMETRY/SPACING"] = np.array([1.0, 1.0, 2.0])

    def slices(buffer: io.BytesIO) -> None:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, layer in enumerate(VOLUME):
                archive.writestr(zipfile.ZipInfo(f"a{place}.png"), imagecodecs.png_encode(layer))

    add("a.npy", lambda buffer: np.save(buffer, VOLUME))
    add("a.npz", lambda buffer: np.savez_compressed(buffer, a=VOLUME, b=np.arange(3)))
    add("a.h5", hdf5)
    add("a.dream3d", lambda buffer: hdf5(buffer, compression="gzip", shuffle=True, chunks=(2, 2, 2, 1)))
    add("a.tif", lambda b: tifffile.imwrite(b, VOLUME, imagej=True, metadata={"spacing": 2, "unit": "um"}))
    add(
        "b.tif",
        lambda b: tifffile.imwrite(b, VOLUME, ome=True, photometric="minisblack", metadata={"UUID": "1"}),
    )
    add("c.tif", lambda b: tifffile.imwrite(b, VOLUME, compression="lzw", photometric="minisblack"))
    add("d.tif", lambda b: tifffile.imwrite(b, VOLUME, compression="packbits", photometric="minisblack"))
    add("e.tif", lambda b: tifffile.imwrite(b, VOLUME, compression="zlib", tile=(16, 16)))
    add("a.mat", lambda b: scipy.io.savemat(b, {"s": {"p": VOLUME, "t": {"u": 1}}}, do_compression=False))
    add("b.mat", lambda b: scipy.io.savemat(b, {"a": VOLUME}, do_compression=True))
    for name in ("a.mat", "b.mat"):  # their text has the time of writing
        files[name] = b"MATLAB 5.0 MAT-file".ljust(116) + files[name][116:]
    add("a.zip", slices)
    image = pv.ImageData(dimensions=[length + 1 for length in VOLUME.shape])
    image.cell_data["phase"] = VOLUME.flatten(order="F")
    with tempfile.TemporaryDirectory() as folder:
        for name, binary in (("a.vti", True), ("b.vti", False)):
            image.save(Path(folder) / name, binary=binary)
            files[name] = (Path(folder) / name).read_bytes()
        image.save(Path(folder) / "a.vtk")
        files["a.vtk"] = (Path(folder) / "a.vtk").read_bytes()
        for name in ("a.nrrd", "a.mha"):
            sitk.WriteImage(sitk.GetImageFromArray(VOLUME), Path(folder) / name)
            files[name] = (Path(folder) / name).read_bytes()
    return files


OWN = ["npy", "npz", "h5", "dream3d", "tif", "mat", "zip", "vti"]
"""Kinds that are read in this process."""
DAMAGE = st.lists(st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 255)), max_size=6)


def damaged(content: bytes, changes: list[tuple[float, int]], kept: float) -> bytes:
    """The file with other bytes in some places, and cut off."""
    array = bytearray(content)
    for place, value in changes:
        array[int(place * len(array))] = value
    return bytes(array[: int(kept * len(array)) + 1])


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    name=st.sampled_from([name for name in corpus() if name.split(".")[1] in OWN]),
    changes=DAMAGE,
    kept=st.one_of(st.just(1.0), st.floats(0.0, 1.0)),
)
def test_damaged_files_are_volumes_or_refused(
    name: str, changes: list[tuple[float, int]], kept: float
) -> None:
    """Whatever bytes change: a volume, or one line that begins with the name of the file."""
    try:
        imported = import_volume(damaged(corpus()[name], changes, kept), AutomaticChoices(), name=name)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 600
    else:
        assert imported.volume.ndim == 3 and imported.volume.max() <= 1


@pytest.mark.parametrize("name", ["a.vtk", "a.nrrd", "a.mha"])
def test_damaged_scans_are_volumes_or_refused(name: str, rng: np.random.Generator) -> None:
    """Libraries of others read them in a process of its own, which may crash."""
    content = corpus()[name]
    for _ in range(3):
        changes = [(float(rng.random()) * 0.5, int(rng.integers(256))) for _ in range(4)]
        try:
            import_volume(damaged(content, changes, 1.0), AutomaticChoices(), name=name)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
