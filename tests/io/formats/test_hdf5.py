"""HDF5: order of axes, labels of dimensions, DREAM.3D, chunks."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from reading import PAGES, VOLUME, assert_read, taken

from vaereg.errors import InputError


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
