"""Specification sheets: thickness, orientation and connectivity of bodies that are known."""

import json

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.microstructure.spec_sheet import orientation_tensor, phase_thickness, spec_sheet


def layers(thickness: int) -> np.ndarray:
    volume = np.zeros((12, 12, 12), dtype=np.uint8)
    volume[:, :thickness] = 1
    return volume


def test_layers() -> None:
    volume = layers(3)
    assert phase_thickness(volume, 1) == (3.0, 3.0) and phase_thickness(volume, 0) == (9.0, 9.0)
    np.testing.assert_allclose(orientation_tensor(volume), np.diag([0.0, 1.0, 0.0]), atol=1e-12)
    sheet = spec_sheet(volume, voxel_size=2.0, length_unit="µm", morphology="layers", recipe={"period": 12})
    stiff = sheet["phases"]["stiff"]
    assert stiff["percolates"] == "xz" and stiff["clusters"] == 1
    assert stiff["mean_thickness"] == {"voxel": 3.0, "µm": 6.0}
    assert sheet["class"] == "layers" and sheet["recipe"] == {"period": 12}
    assert sheet["cell"][0] == {"voxel": 12.0, "µm": 24.0}
    assert sheet["area"]["µm²"] == pytest.approx(4.0 * sheet["area"]["voxel²"])
    assert json.loads(json.dumps(sheet)) == sheet


def test_no_direction_is_preferred_by_a_cube_of_spheres() -> None:
    place = np.arange(16) - 7.5
    sphere = (place[:, None, None] ** 2 + place[:, None] ** 2 + place**2 < 25).astype(np.uint8)
    np.testing.assert_allclose(orientation_tensor(sphere), np.eye(3) / 3, atol=1e-9)
    assert phase_thickness(sphere)[0] == pytest.approx(10.0, abs=2.5)


def test_a_single_phase_has_no_interface() -> None:
    sheet = spec_sheet(np.ones((4, 4, 4), dtype=np.uint8))
    assert sheet["phases"]["soft"]["clusters"] == 0 and "orientation_tensor" not in sheet
    assert sheet["class"] is None and sheet["area"] == {"voxel²": 0.0}
    for function in (orientation_tensor, phase_thickness):
        with pytest.raises(InputError, match="both phases"):
            function(np.ones((4, 4, 4), dtype=np.uint8))
    with pytest.raises(InputError, match="positive voxel size"):
        spec_sheet(layers(3), voxel_size=0.0)
