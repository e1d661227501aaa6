"""Walks through the latent space: ends are met, steps are gradual, axes are those of the map."""

import numpy as np
import pytest
import torch

from vaereg.inverse.walks import Walk, along_axis, axis_place, axis_variance, between, walk
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import predict


@pytest.fixture(scope="module")
def path(tiny_checkpoint: Checkpoint, tiny_embedding: Embedding) -> Walk:
    latent = between(tiny_embedding.latent[0], tiny_embedding.latent[7], 5)
    return walk(tiny_checkpoint, latent, 16, generator=torch.Generator().manual_seed(1))


def test_a_path_begins_and_ends_where_it_should(tiny_embedding: Embedding) -> None:
    start, end = tiny_embedding.latent[:2]
    points = between(start, end, 5)
    np.testing.assert_allclose(points[[0, -1]], [start, end], rtol=1e-6)
    np.testing.assert_allclose(points[2], (start + end) / 2, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="at least 2 steps"):
        between(start, end, 1)


def test_a_walk_is_what_it_says(path: Walk, tiny_checkpoint: Checkpoint) -> None:
    assert path.microstructures.shape == (5, 16, 16, 16)
    assert path.microstructures.dtype == np.uint8
    assert set(np.unique(path.microstructures)) == {0, 1}
    np.testing.assert_allclose(path.volume_fraction, path.microstructures.mean(axis=(1, 2, 3)))
    result = predict(tiny_checkpoint, path.microstructures, guided=False)
    np.testing.assert_allclose(path.mean, result.mean, rtol=1e-4)
    np.testing.assert_allclose(path.std, result.std, rtol=1e-4)
    assert (path.expected > 0).all()


def test_expected_properties_are_the_mean_over_realisations(path: Walk, tiny_checkpoint: Checkpoint) -> None:
    """The tiny model is a poor one: that the unit and the order are right is all that can be asked of it."""
    generator = torch.Generator().manual_seed(0)
    z = torch.from_numpy(path.latent[2]).expand(24, -1)
    noise = tiny_checkpoint.model.noise(24, 16, generator=generator)
    with torch.inference_mode():
        volumes = tiny_checkpoint.model.decode(z, noise)
        mean = tiny_checkpoint.model.encode(volumes).property_mean.log().mean(0).exp().numpy()
    np.testing.assert_allclose(path.expected[2], mean, rtol=0.35)


def test_one_noise_makes_the_volume_change_gradually(tiny_checkpoint: Checkpoint, path: Walk) -> None:
    again = walk(tiny_checkpoint, path.latent, 16, generator=torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(again.microstructures, path.microstructures)
    other = walk(tiny_checkpoint, path.latent, 16, generator=torch.Generator().manual_seed(2))
    steps = (path.microstructures[1:] != path.microstructures[:-1]).mean()
    assert steps < (other.microstructures != path.microstructures).mean()
    still = walk(tiny_checkpoint, path.latent[[3, 3]], 16, generator=torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(still.microstructures[0], still.microstructures[1])


def test_many_steps_are_decoded_as_one_by_one(tiny_checkpoint: Checkpoint, path: Walk) -> None:
    """Batches share the noise too."""
    latent = np.repeat(path.latent[:2], 2, axis=0)
    whole = walk(tiny_checkpoint, latent, 72, generator=torch.Generator().manual_seed(1))
    item = walk(tiny_checkpoint, latent[2:3], 72, generator=torch.Generator().manual_seed(1))
    assert (whole.microstructures[3] != item.microstructures[0]).mean() < 1e-4


def test_only_the_place_on_the_axis_changes(tiny_embedding: Embedding) -> None:
    origin, places = tiny_embedding.latent[3], np.array([-2.0, 0.0, 1.5])
    points = along_axis(tiny_embedding, origin, 1, places)
    coordinates = (points - tiny_embedding.pca_mean) @ tiny_embedding.pca_axes.T
    own = (origin - tiny_embedding.pca_mean) @ tiny_embedding.pca_axes.T
    rest = np.arange(len(own)) != 1
    np.testing.assert_allclose(coordinates[:, rest], np.tile(own[rest], (3, 1)), atol=1e-4)
    np.testing.assert_allclose([axis_place(tiny_embedding, point, 1) for point in points], places, atol=1e-4)
    here = axis_place(tiny_embedding, origin, 1)
    np.testing.assert_allclose(along_axis(tiny_embedding, origin, 1, [here])[0], origin, atol=1e-5)


def test_places_are_in_standard_deviations_of_the_map(tiny_embedding: Embedding) -> None:
    places = [axis_place(tiny_embedding, latent, 0) for latent in tiny_embedding.latent]
    assert np.std(places) == pytest.approx(1.0, rel=1e-4)
    for axis in (-1, tiny_embedding.latent.shape[1]):
        with pytest.raises(ValueError, match="axis must be between"):
            axis_place(tiny_embedding, tiny_embedding.latent[0], axis)


def test_axes_are_ordered_by_their_variance(tiny_embedding: Embedding) -> None:
    variance = axis_variance(tiny_embedding)
    assert variance.sum() == pytest.approx(1.0)
    assert (np.diff(variance) <= 1e-9).all()
