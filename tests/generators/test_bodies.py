"""Fibres, channels and platelets: recipe against measurement."""

import numpy as np
import pytest

from vaereg.generators.bodies import FibreParameters, PlateletParameters
from vaereg.generators.morphologies import make
from vaereg.microstructure.statistics import lineal_path, specific_surface


def fibres(
    weights: tuple[float, float, float], fraction: float = 0.12, half: float = 12.0
) -> FibreParameters:
    return FibreParameters(volume_fraction=fraction, radius=2.2, half_length=half, weights=weights)


def normal_tensor(volume: np.ndarray) -> np.ndarray:
    """Mean of n n over the interface, from central differences of the phase, shape (3, 3)."""
    field = volume.astype(float)
    for axis in range(3):
        field = (np.roll(field, 1, axis) + 2.0 * field + np.roll(field, -1, axis)) / 4.0
    gradient = np.stack([np.roll(field, -1, axis) - np.roll(field, 1, axis) for axis in range(3)])
    length = np.linalg.norm(gradient, axis=0) + 1e-12
    return np.einsum("ixyz,jxyz,xyz->ij", gradient, gradient, 1.0 / length) / length.sum()


@pytest.mark.parametrize("weights", [(0.08, 0.1, 1.0), (1.0, 0.1, 1.0), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("name", ["fibres", "channels"])
def test_orientation_tensor_of_fibres(name: str, weights: tuple[float, float, float]) -> None:
    """The normals of a long cylinder are spread about its axis: <n n> = (1 - <u u>) / 2."""
    parameters = fibres(weights, fraction=0.12 if name == "fibres" else 0.88, half=15.0)
    made = make(name, parameters, 64, generator=np.random.default_rng(0))
    orientation = np.array(made.recipe["orientation"])
    assert np.trace(orientation) == pytest.approx(1.0)
    measured = np.eye(3) - 2.0 * normal_tensor(made.volume)  # round ends are 15 % of the surface
    np.testing.assert_allclose(measured, orientation, atol=0.16)
    assert np.argmax(np.diag(measured)) == np.argmax(np.diag(orientation)) or weights == (1.0, 1.0, 1.0)


def test_orientation_tensor_of_platelets() -> None:
    """The flat faces have the normal of the disc."""
    parameters = PlateletParameters(
        volume_fraction=0.12, half_thickness=1.6, radius=10.0, weights=(0.1, 1.0, 0.1)
    )
    made = make("platelets", parameters, 48, generator=np.random.default_rng(0))
    orientation = np.array(made.recipe["orientation"])
    np.testing.assert_allclose(normal_tensor(made.volume), orientation, atol=0.2)
    assert made.recipe["texture"][1] == 1.0


def test_texture_of_many_fibres_is_that_of_their_weights() -> None:
    made = make("fibres", fibres((0.05, 0.05, 1.0)), 96, generator=np.random.default_rng(4))
    orientation = np.diag(made.recipe["orientation"])
    assert orientation[2] > 0.85
    assert orientation[0] == pytest.approx(orientation[1], abs=0.05)


@pytest.mark.parametrize(("weights", "rel"), [((0.05, 0.05, 1.0), 0.12), ((1.0, 1.0, 1.0), 0.2)])
def test_radius_of_fibres(weights: tuple[float, float, float], rel: float) -> None:
    """It is near the one asked for, and 2 f / S of the fibres, about."""
    made = make("fibres", fibres(weights), 64, generator=np.random.default_rng(1))
    assert made.recipe["radius"] == pytest.approx(2.2, rel=rel)
    assert made.recipe["radius"] == pytest.approx(2.0 * 0.12 / specific_surface(made.volume), rel=0.15)


def test_thickness_of_platelets() -> None:
    parameters = PlateletParameters(volume_fraction=0.12, half_thickness=1.7, radius=11.0, weights=(1, 1, 1))
    made = make("platelets", parameters, 64, generator=np.random.default_rng(1))
    assert made.recipe["half_thickness"] == pytest.approx(1.7, rel=0.25)
    assert made.recipe["half_thickness"] == pytest.approx(0.12 / specific_surface(made.volume), rel=0.3)


def test_bodies_cross_the_faces_of_the_cell() -> None:
    """A single long fibre is whole in the periodic medium: it does not end at the faces."""
    parameters = fibres((0.0, 0.0, 1.0), fraction=0.02, half=40.0)
    volume = make("fibres", parameters, 16, generator=np.random.default_rng(0)).volume
    assert (volume != volume[..., :1]).mean() < 0.005, "a fibre longer than the cell goes on for ever"
    oblique = make("fibres", fibres((1.0, 1.0, 1.0), 0.03, 20.0), 24, generator=np.random.default_rng(2))
    path = lineal_path(oblique.volume)
    seams = [(oblique.volume.take(0, axis) != oblique.volume.take(-1, axis)).mean() for axis in range(3)]
    changes = 2.0 * (path[:, 0] - path[:, 1])
    assert np.mean(seams) < 2.0 * changes.mean()


def test_thin_bodies_keep_a_least_thickness() -> None:
    made = make("fibres", fibres((0.1, 0.1, 1.0)).scaled(0.25), 16, generator=np.random.default_rng(0))
    assert made.recipe["radius"] > 0.9
    assert made.recipe["half_length"] == 3.0
