"""Files of one volume, each written by the library that owns its format."""

from pathlib import Path

import h5py
import numpy as np
import pyvista as pv
import scipy.io
import tifffile

VOLUME = np.random.default_rng(0).integers(0, 2, (6, 5, 4), dtype=np.uint8)
ONES = np.ones((4, 4, 4), dtype=np.uint8)


def npz(path: Path, array: np.ndarray) -> None:
    np.savez_compressed(path, im=array, other=np.arange(3.0))


def hdf5(path: Path, array: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "shuffle": True, "chunks": (2, 2, 2)}
        file.create_dataset("sphere/32/ms", data=array, **options)
        file["curve"] = np.arange(4.0)


def tiff(path: Path, array: np.ndarray) -> None:
    tifffile.imwrite(path, array.T, photometric="minisblack", compression="zlib")


def vti(path: Path, array: np.ndarray) -> None:
    image = pv.ImageData(dimensions=[length + 1 for length in array.shape])
    image.cell_data["phase"] = array.flatten(order="F")
    image.save(path)


def mat(path: Path, array: np.ndarray) -> None:
    scipy.io.savemat(path, {"phase": array, "note": "text", "parts": {"a": 1}}, do_compression=True)


def mat73(path: Path, array: np.ndarray) -> None:
    """MATLAB's file: HDF5 behind a header of 512 bytes, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["phase"] = array.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


WRITERS = {
    "a.npz": npz,
    "a.h5": hdf5,
    "a.hdf5": hdf5,
    "a.tif": tiff,
    "A.TIFF": tiff,
    "a.vti": vti,
    "a.mat": mat,
    "b.mat": mat73,
}
