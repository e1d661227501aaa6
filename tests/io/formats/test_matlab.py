"""Structs of MATLAB."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from reading import VOLUME, assert_read, taken

from vaereg.errors import InputError
from vaereg.microstructure.segmentation import Segmentation


def test_structs_of_matlab_7_3(tmp_path: Path) -> None:
    """A struct of MATLAB 7.3 is a group: its fields have dotted or slashed names."""
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file.create_group("scan")["phase"] = VOLUME.T
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    assert_read(tmp_path / "a.mat")


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
