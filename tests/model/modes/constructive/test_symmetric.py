"""Geometry with all of its images: points, bodies and fields of modes that mirrors leave as they are."""

import numpy as np
import pytest
import torch

from vaereg.microstructure.symmetry import SYMMETRIES, average_field, cut_symmetric, is_symmetric
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.decoding import decode_fields, decoded_fraction
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.model.modes.constructive.decoder import BUILT, ConstructiveDecoder
from vaereg.model.modes.constructive.regular import VARIANTS, periodic_field
from vaereg.model.modes.constructive.symmetric import (
    _images,
    _steps,
    closed_bodies,
    closed_points,
    equal_axes,
)
from vaereg.model.recognition import load_classifier

LATENT = 6
SYMMETRIC = SYMMETRIES[1:]
BOX = np.array([4.0, 4.0, 4.0])


def distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances of all points to all others in the periodic box."""
    return np.linalg.norm(_steps(points[:, None], others, BOX), axis=-1)


@pytest.mark.parametrize("symmetry", SYMMETRIC)
@pytest.mark.parametrize("apart", [0.0, 0.9])
def test_points_have_all_of_their_images(symmetry: str, apart: float, rng: np.random.Generator) -> None:
    points, base = closed_points(BOX, 64.0, symmetry=symmetry, distance=apart, spacing=1.0, generator=rng)
    assert abs(len(points) - 64) <= 24
    images = _images(points, BOX, symmetry).reshape(-1, 3)
    assert distances(images, points).min(axis=1).max() < 1e-6
    between = distances(points, points) + 10.0 * np.eye(len(points))
    assert between[base[:, None] == base].min() >= 0.7
    if apart:
        assert between.min() > 0.8


@pytest.mark.parametrize("symmetry", SYMMETRIC)
def test_bodies_have_all_of_their_images_once(symmetry: str, rng: np.random.Generator) -> None:
    points, base = closed_points(BOX, 40.0, symmetry=symmetry, distance=0.0, spacing=1.0, generator=rng)
    drawn = rng.standard_normal((base.max() + 1, 3))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    places, axes = closed_bodies(points, base, drawn, BOX, symmetry, 1.0)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1.0)
    zero = np.zeros(3)
    for place, axis in zip(places, axes, strict=True):
        turned = _images(axis, zero, symmetry)
        near = distances(_images(place, BOX, symmetry), places) < 1e-3
        assert ((np.abs(turned @ axes.T) > 0.999) & near).any(axis=1).all()
    same = (distances(places, places) < 1e-3) & (np.abs(axes @ axes.T) > 0.999)
    assert same.sum() == len(places)


def test_exchanged_axes_have_one_length() -> None:
    lengths = torch.tensor([2.0, 8.0, 4.0])
    for symmetry, expected in zip(SYMMETRIES, ([2, 8, 4], [2, 8, 4], [4, 4, 4], [4, 4, 4]), strict=True):
        torch.testing.assert_close(equal_axes(lengths, symmetry), torch.tensor(expected).float())


@pytest.mark.parametrize("symmetry", SYMMETRIC)
@pytest.mark.parametrize("name", [MODES[index].name for index in BUILT])
def test_fields_of_built_modes_are_symmetric(symmetry: str, name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = ConstructiveDecoder(LATENT)
    mode = torch.tensor([MODE_NAMES.index(name)])
    with torch.no_grad():
        field = decoder.field(
            torch.zeros(1, LATENT),
            mode,
            (16, 16, 16),
            generators=[np.random.default_rng(1)],
            symmetry=symmetry,
        )[0, 0].numpy()
    assert np.ptp(field) > 1.0
    np.testing.assert_allclose(average_field(field, symmetry), field, atol=2e-3)
    assert is_symmetric(cut_symmetric(field, 0.3, symmetry), symmetry)


@pytest.mark.parametrize("symmetry", SYMMETRIC)
@pytest.mark.parametrize("variant", VARIANTS)
def test_surfaces_and_lattices_are_symmetric(symmetry: str, variant: str, rng: np.random.Generator) -> None:
    latent = np.zeros(12, dtype=np.float32)
    latent[0] = VARIANTS.index(variant)
    latent[3:6], latent[6:9] = (1.0, 2.0, 4.0), (1.0, 0.5, 0.7)
    field = periodic_field(latent, 16, rng, 1.0, symmetry)
    assert np.ptp(field) > 0.5  # a mean over mirrors would leave nothing of the gyroid
    np.testing.assert_allclose(average_field(field, symmetry), field, atol=1e-9)


def test_symmetric_volumes_are_recognised() -> None:
    """Means over the images of such volumes are not: most of them are taken for other modes."""
    checkpoint, classifier = load_checkpoint(), load_classifier()
    assert checkpoint.modes is not None
    modes = np.repeat([MODE_NAMES.index(name) for name in ("grains", "platelets", "pores")], 4)
    library = checkpoint.modes.library
    rows = np.concatenate([library.rows_of(mode).row[[5, 6, 7, 8]] for mode in np.unique(modes)])
    z = torch.from_numpy(library.latent[rows]).float()
    modes = library.mode[rows].astype(np.int64)
    with torch.no_grad():
        share = decoded_fraction(checkpoint, z, modes).tolist()
        fields = decode_fields(checkpoint, z, modes, 32, seeds=range(len(rows)), symmetry="orthotropic")
    volumes = [
        cut_symmetric(field[0], part, "orthotropic") for field, part in zip(fields, share, strict=True)
    ]
    named = classifier.mode_proba(classifier.predict_proba(volumes)).argmax(axis=1)
    assert (named == modes).mean() >= 0.7
