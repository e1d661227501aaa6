"""What is fitted to a trained model holds on the split it is fitted to, and never sees the test split."""

import dataclasses

import numpy as np
import pytest
import torch

from vaereg.elasticity import PROPERTIES
from vaereg.io.datasets import Dataset, known_indices
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.config import PRESETS
from vaereg.model.prediction import predict
from vaereg.training.fitting import embed, encode_all, evenly, fit
from vaereg.training.training_set import TrainingSet


def test_encoding_in_parts_is_encoding(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    volumes = tiny_dataset.volumes(slice(0, 70))  # more than one part
    mean, spread, statistics = encode_all(tiny_checkpoint.model, volumes)
    with torch.no_grad():
        result = tiny_checkpoint.model.encode(torch.from_numpy(volumes).float()[:, None])
    for ours, whole in (
        (mean, result.property_mean),
        (spread, result.property_spread),
        (statistics, result.statistics),
    ):
        np.testing.assert_allclose(ours, whole.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("guided", [False, True])
def test_intervals_hold_nine_in_ten(guided: bool, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    """Intervals of 1.6449 standard deviations of the logarithm hold 90 % of the validation volumes."""
    rows = tiny_dataset.indices("validation")
    truth = np.diagonal(tiny_dataset.samples.stiffness[rows].astype(np.float64), axis1=1, axis2=2)
    result = predict(tiny_checkpoint, tiny_dataset.volumes(rows), guided=guided)
    deviations = np.abs(np.log(result.mean / truth)) / (result.std / result.mean)
    np.testing.assert_allclose(np.quantile(deviations, 0.9, axis=0), 1.6449, rtol=1e-4)


def test_ranges_are_those_of_the_training_set(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    stiffness = tiny_dataset.samples.stiffness[tiny_dataset.indices("train")].astype(np.float64)
    properties = np.diagonal(stiffness, axis1=1, axis2=2)
    low, high = tiny_checkpoint.fitted.property_quantiles
    for outside in (properties < low, properties > high):
        np.testing.assert_allclose(outside.mean(0), 0.01, atol=1.0 / len(properties))


@pytest.mark.parametrize("guided", [False, True])
def test_validation_volumes_are_known(
    guided: bool, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    """Both limits of novelty are quantiles of the validation split: of a dozen, all but one pass each."""
    rows = tiny_dataset.indices("validation")
    result = predict(tiny_checkpoint, tiny_dataset.volumes(rows), guided=guided)
    assert len(rows) - (2 if guided else 1) <= result.in_distribution.sum() <= len(rows) - 1
    np.testing.assert_array_equal(result.in_distribution, result.novelty <= 1.0)


def test_families_that_are_left_out_are_in_nothing(
    tiny_checkpoint: Checkpoint, small_dataset: Dataset
) -> None:
    settings = dataclasses.replace(PRESETS["tiny"].training, held_out=("gaussian-equiaxed",))
    rows = known_indices(small_dataset, "train", settings.held_out)
    assert 0 < len(rows) < len(small_dataset.indices("train"))
    assert "gaussian-equiaxed" not in small_dataset.samples.family[rows]
    assert len(fit(tiny_checkpoint.model, small_dataset, settings).training_properties.values) == len(rows)


@pytest.mark.usefixtures("no_neighbour_search")
def test_the_map_holds_volumes_that_can_be_made_again(
    tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    settings = dataclasses.replace(PRESETS["tiny"].training, held_out=("gaussian-free",))
    threads = torch.get_num_threads()
    result = embed(tiny_checkpoint.model, tiny_dataset, settings)
    assert torch.get_num_threads() == threads
    assert len(result) == len(tiny_dataset)
    assert ((result.split == "held-out") == (result.family == "gaussian-free")).all()
    np.testing.assert_array_equal(result.volume(5), tiny_dataset.volumes([5])[0])
    np.testing.assert_allclose(result.pca_axes @ result.pca_axes.T, np.eye(4), atol=1e-5)
    spread = result.pca.var(0)
    assert spread[0] >= spread[1] > 0.0
    assert np.isfinite(result.umap).all() and result.umap.shape == (len(result), 2)
    # volumes of the map are put where they are
    np.testing.assert_allclose(result.project_umap(result.latent[:3]), result.umap[:3], atol=1e-2)
    assert result.nearest(result.latent[:3], 1).ravel().tolist() == [0, 1, 2]


def test_the_test_split_is_never_seen(tiny_checkpoint: Checkpoint, small_dataset: Dataset) -> None:
    """Its labels may be anything, and nothing that is fitted changes."""
    stiffness = small_dataset.samples.stiffness.copy()
    stiffness[small_dataset.indices("test")] *= 7.0
    samples = dataclasses.replace(small_dataset.samples, stiffness=stiffness)
    before, reports = torch.get_rng_state(), []
    entry, other = (
        fit(
            tiny_checkpoint.model,
            data,
            PRESETS["tiny"].training,
            on_progress=lambda *report: reports.append(report),
        )
        for data in (small_dataset, dataclasses.replace(small_dataset, samples=samples))
    )
    for item in dataclasses.fields(entry):
        first, second = getattr(entry, item.name), getattr(other, item.name)
        if isinstance(first, torch.nn.Module):
            first, second = (torch.cat([p.flatten() for p in net.parameters()]) for net in (first, second))
        if isinstance(first, np.ndarray | torch.Tensor | float):
            np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(entry.mixture.means, other.mixture.means)
    assert torch.equal(torch.get_rng_state(), before)
    count = len(small_dataset) - len(small_dataset.indices("test"))
    assert reports[0] == (0, count)
    assert (count, count) in reports


def test_the_model_of_properties_fits_the_training_set(
    tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    """Moments of a Gaussian mixture fitted by maximum likelihood are those of the data."""
    stiffness = tiny_dataset.samples.stiffness[tiny_dataset.indices("train")].astype(np.float64)
    model = tiny_checkpoint.model
    logs = np.log(np.diagonal(stiffness, axis1=1, axis2=2))
    fractions = tiny_dataset.samples.volume_fraction[tiny_dataset.indices("train")]
    standardised = np.column_stack(
        [(logs - model.property_location.numpy()) / model.property_scale.numpy(), np.log(fractions)]
    )
    mixture = tiny_checkpoint.fitted.mixture
    assert mixture.means.shape[1] == len(PROPERTIES) + 1
    np.testing.assert_allclose(mixture.weights @ mixture.means, standardised.mean(0), atol=1e-3)
    second = np.einsum("m,mi,mj->ij", mixture.weights, mixture.means, mixture.means)
    second += np.einsum("m,mij->ij", mixture.weights, mixture.covariances)
    np.testing.assert_allclose(second, standardised.T @ standardised / len(standardised), atol=5e-3)


def test_the_latent_regressor_knows_what_the_decoder_makes(tiny_checkpoint: Checkpoint) -> None:
    """Its prediction of an unseen latent vector's mean properties is nearer than the mean of them all."""
    model = tiny_checkpoint.model
    generator = torch.Generator().manual_seed(11)
    properties = torch.tensor([list(tiny_checkpoint.property_ranges.values())]).mean(2)
    with torch.inference_mode():
        targets = properties * torch.linspace(0.4, 1.8, 24)[:, None]
        z, _ = model.prior(targets).sample(generator=generator)
        expected = tiny_checkpoint.fitted.latent_regressor(z)
        noise = model.noise(24 * 4, 16, generator=generator)
        decoded = model.encode(model.decode(z.repeat_interleave(4, 0), noise)).property_mean
        actual = model.standardise(decoded).reshape(24, 4, -1).mean(1)
    error = (expected - actual).square().mean()
    assert error < 0.5 * actual.var(0).mean()


def test_intervals_and_novelty_follow_the_size(tiny_checkpoint: Checkpoint, sized_set: LabelledSet) -> None:
    """Nine in ten intervals hold and most volumes are known, size by size, of several sizes."""
    item = tiny_checkpoint
    fitted = fit(item.model, sized_set, item.config.training, former=item.fitted)
    assert fitted.cell_sizes is not None and fitted.cell_sizes.edges.tolist() == [8.0, 16.0]
    data = TrainingSet.of(sized_set)
    known = item.fitted.training_properties.values
    np.testing.assert_array_equal(fitted.training_properties.values, np.unique(known, axis=0))  # the same
    checkpoint = dataclasses.replace(item, fitted=fitted)
    rows = data.labelled_rows("validation")
    for size in (8, 16):
        chosen = rows[data.size[rows] == size]
        for guided in (False, True):
            result = predict(checkpoint, data.volumes(chosen), guided=guided)
            deviations = np.abs(np.log(result.mean / data.properties[chosen])) / (result.std / result.mean)
            np.testing.assert_allclose(np.quantile(deviations, 0.9), 1.6449, rtol=0.1)
            assert result.in_distribution.mean() > 0.7


@pytest.mark.usefixtures("no_umap")
def test_the_map_of_classes_has_their_modes(tiny_checkpoint: Checkpoint, sized_set: LabelledSet) -> None:
    result = embed(tiny_checkpoint.model, sized_set, tiny_checkpoint.config.training)
    assert result.size == 16 and set(result.family.tolist()) == {"gaussian"}
    assert {result.modes[index] for index in result.component} == {"irregular"}


def test_rows_are_taken_evenly() -> None:
    rows = np.arange(10, 20)
    assert evenly(rows, 10) is rows
    assert evenly(rows, 4).tolist() == [10, 12, 15, 17]
