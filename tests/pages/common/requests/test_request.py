"""The request of the Design page: what makes it the request of other designs."""

from dataclasses import replace

import pytest

from pages.parts.common.requests.request import Request, VoxelLength


def test_the_length_of_a_voxel_changes_no_design() -> None:
    request = Request(voxel=VoxelLength(value=10.0, unit="µm"), seed=7)
    assert replace(request, voxel=None).key == request.key != replace(request, seed=8).key
    assert request.voxel is not None and request.voxel.text(3.0) == "30 µm"
    assert request.voxel.millimetres == pytest.approx(0.01)
