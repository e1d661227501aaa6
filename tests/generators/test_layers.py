"""Laminates: numbers, thickness and waves of their layers."""

from dataclasses import replace

import numpy as np
import pytest

from vaereg.generators.layers import LaminateParameters
from vaereg.generators.morphologies import make
from vaereg.microstructure.statistics import face_density, lineal_path

PLANE = LaminateParameters(
    volume_fraction=0.4,
    normal=(0.0, 1.0, 0.0),
    period=8.0,
    jitter=0.0,
    thickness_spread=0.0,
    waviness=0.0,
    wave_std=(6.0, 6.0, 6.0),
)


@pytest.mark.parametrize("size", [16, 24, 32, 50])
def test_plane_layers_are_whole_layers_of_voxels(size: int) -> None:
    made = make("laminate", PLANE, size, generator=np.random.default_rng(size))
    line = made.volume[0, :, 0]
    assert (made.volume == line[None, :, None]).all()
    assert (np.diff(line.astype(int), append=line[0]) != 0).sum() == 2 * made.recipe["count"]
    assert made.recipe["count"] == round(size / 8)
    assert line.mean() == made.recipe["volume_fraction"] == pytest.approx(0.4, abs=0.5 / size)


def test_thickness_of_layers() -> None:
    made = make("laminate", PLANE, 40, generator=np.random.default_rng(0))
    path = lineal_path(made.volume)[1]
    assert path[0] / (path[0] - path[1]) == pytest.approx(made.recipe["thickness"])


def test_waves_displace_the_layers() -> None:
    wavy = replace(PLANE, waviness=1.2, wave_std=(6.0, 8.0, 6.0))
    volume = make("laminate", wavy, 48, generator=np.random.default_rng(0)).volume
    assert face_density(volume) > 1.1 * face_density(
        make("laminate", PLANE, 48, generator=np.random.default_rng(0)).volume
    )
    middles = np.array(
        [np.sin(2 * np.pi * (np.arange(48) + 0.5) / 8), np.cos(2 * np.pi * (np.arange(48) + 0.5) / 8)]
    )
    phase = np.arctan2(*(np.tensordot(volume.astype(float), part, (1, 0)) for part in middles))
    turned = np.exp(1j * phase)
    displaced = np.sqrt(-2.0 * np.log(np.abs(turned.mean()))) * 8 / (2 * np.pi)
    assert displaced == pytest.approx(1.2, rel=0.5)


def test_thickness_spreads() -> None:
    uneven = replace(PLANE, thickness_spread=0.25, jitter=0.2)
    line = make("laminate", uneven, 64, generator=np.random.default_rng(1)).volume[0, :, 0]
    edges = np.flatnonzero(np.diff(line.astype(int), append=line[0]))
    assert np.diff(edges).std() > 0.5
