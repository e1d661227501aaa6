"""Predictions: of any cell, in physical bounds, with a calibrated uncertainty and a word on novelty."""

import dataclasses

import numpy as np
import pytest

from vaereg.elasticity import isotropic_stiffness, reuss_bound, voigt_bound
from vaereg.generators.families import gaussian_field
from vaereg.io.datasets import Dataset
from vaereg.model import prediction
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import Prediction, encode_batch, log_interval, predict, tier_disagreement

FIELDS = [item.name for item in dataclasses.fields(Prediction)]


@pytest.fixture
def volumes(tiny_dataset: Dataset) -> np.ndarray:
    return tiny_dataset.volumes(tiny_dataset.indices("test")[:5])


def same(one: Prediction, other: Prediction, rtol: float = 1e-4) -> None:
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=rtol, atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize("guided", [True, False])
def test_shapes_and_ranges(guided: bool, tiny_checkpoint: Checkpoint, volumes: np.ndarray) -> None:
    result = predict(tiny_checkpoint, volumes, guided=guided)
    latent = tiny_checkpoint.config.model.latent
    shapes = {"mean": (5, 6), "std": (5, 6), "latent": (5, latent)}
    for name in FIELDS:
        value = getattr(result, name)
        assert value.shape == shapes.get(name, (5,)), name
        assert np.isfinite(value).all()
    assert result.mean.dtype == result.std.dtype == result.novelty.dtype == np.float64
    assert result.in_distribution.dtype == np.bool_
    np.testing.assert_allclose(result.volume_fraction, volumes.mean((1, 2, 3)))
    lower, upper = (
        np.diagonal(bound(result.volume_fraction), axis1=1, axis2=2) for bound in (reuss_bound, voigt_bound)
    )
    assert (lower < result.mean).all() and (result.mean < upper).all()
    assert (result.std > 0.0).all() and (result.novelty > 0.0).all()
    assert np.ptp(result.mean[:, 0]) > 1.0, "volumes of different stiffness are told apart"


def test_one_volume_is_a_stack_of_one(tiny_checkpoint: Checkpoint, volumes: np.ndarray) -> None:
    same(predict(tiny_checkpoint, volumes[2]), predict(tiny_checkpoint, volumes[2:3]), rtol=0.0)


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_the_type_of_the_voxels_does_not_matter(
    kind: type, tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    same(predict(tiny_checkpoint, volumes.astype(kind)), predict(tiny_checkpoint, volumes), rtol=0.0)


@pytest.mark.parametrize("guided", [True, False])
def test_volumes_of_different_sizes_keep_their_order(
    guided: bool, tiny_checkpoint: Checkpoint, volumes: np.ndarray, rng: np.random.Generator
) -> None:
    """Cells need not be cubic, nor even."""
    mixed = [
        volumes[0],
        gaussian_field(9, (1.0, 1.0, 2.0), 0.6, generator=rng),
        volumes[1],
        volumes[2],
        volumes[3][:8, :, :11],
    ]
    together = predict(tiny_checkpoint, mixed, guided=guided)
    for i, volume in enumerate(mixed):
        alone = predict(tiny_checkpoint, volume, guided=guided)
        for name in FIELDS:
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name)[0], rtol=1e-4, atol=1e-4
            )


def test_small_batches_change_nothing(
    tiny_checkpoint: Checkpoint, volumes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predict(tiny_checkpoint, volumes)
    monkeypatch.setattr("vaereg.model.prediction._VOXELS_AT_ONCE", 2 * volumes[0].size)
    same(predict(tiny_checkpoint, volumes), whole)


@pytest.mark.parametrize("guided", [True, False])
def test_a_cell_may_be_cut_anywhere(guided: bool, tiny_checkpoint: Checkpoint, volumes: np.ndarray) -> None:
    """Steps are the total stride of the encoder, 2 * 2 in the tiny model."""
    shifted = np.roll(volumes, (4, -8, 12), (1, 2, 3))
    same(
        predict(tiny_checkpoint, shifted, guided=guided),
        predict(tiny_checkpoint, volumes, guided=guided),
        rtol=2e-3,
    )


@pytest.mark.parametrize("guided", [True, False])
def test_cells_of_one_phase_have_its_stiffness(
    guided: bool, tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    mixed = [np.zeros((8, 8, 8)), volumes[0], np.ones((9, 8, 10))]
    result = predict(tiny_checkpoint, mixed, guided=guided)
    materials = tiny_checkpoint.model.materials
    soft = isotropic_stiffness(materials.e_soft, materials.nu_soft)
    stiff = isotropic_stiffness(materials.e_stiff, materials.nu_stiff)
    np.testing.assert_allclose(result.mean[[0, 2]], [np.diag(soft), np.diag(stiff)], rtol=1e-6)
    np.testing.assert_allclose(
        result.mean[1], predict(tiny_checkpoint, volumes[0], guided=guided).mean[0], rtol=1e-4
    )
    assert np.isfinite(result.std).all()
    assert result.volume_fraction.tolist()[::2] == [0.0, 1.0]


@pytest.mark.parametrize(("guided", "name"), [(False, "spread_factor"), (True, "guided_spread_factor")])
def test_the_calibration_scales_the_uncertainty(
    guided: bool, name: str, tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    factors = np.array([1.0, 2.0, 3.0, 0.5, 1.0, 4.0])
    before = getattr(tiny_checkpoint.fitted, name)
    fitted = dataclasses.replace(tiny_checkpoint.fitted, **{name: before * factors})
    result = predict(dataclasses.replace(tiny_checkpoint, fitted=fitted), volumes, guided=guided)
    reference = predict(tiny_checkpoint, volumes, guided=guided)
    np.testing.assert_allclose(result.std, reference.std * factors, rtol=1e-5)
    np.testing.assert_allclose(result.mean, reference.mean, rtol=1e-6)


def test_the_encoder_answers_alike_in_cyclic_orders_of_the_axes(
    tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    """A volume with its axes in the order y, z, x: C22, C33, C11 and C55, C66, C44 of the answer."""
    upright = predict(tiny_checkpoint, volumes, guided=False)
    turned = predict(tiny_checkpoint, volumes.transpose(0, 2, 3, 1), guided=False)
    columns = [1, 2, 0, 4, 5, 3]
    np.testing.assert_allclose(turned.mean, upright.mean[:, columns], rtol=1e-4)
    factor = tiny_checkpoint.fitted.spread_factor
    np.testing.assert_allclose(turned.std / factor, (upright.std / factor)[:, columns], rtol=1e-4)
    once = encode_batch(tiny_checkpoint, volumes)[0]
    assert not np.allclose(once, upright.mean, rtol=1e-3)


@pytest.mark.parametrize(("guided", "share"), [(True, "_WIDER_GUIDED"), (False, "_WIDER_ENCODER")])
def test_intervals_are_wider_for_cells_of_other_sizes(
    guided: bool, share: str, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intervals widen by the share at half and twice the training edge, by a quarter of it half way there."""
    monkeypatch.setattr(Checkpoint, "training_edge", 16)
    cells = [
        gaussian_field(size, (2.0,) * 3, 0.5, generator=np.random.default_rng(1)) for size in (8, 16, 23, 32)
    ]
    wide = predict(tiny_checkpoint, cells, guided=guided).std
    factor = 1.0 + getattr(prediction, share) * np.log2([0.5, 1.0, 23 / 16, 2.0]) ** 2
    monkeypatch.setattr(prediction, share, 0.0)
    narrow = predict(tiny_checkpoint, cells, guided=guided).std
    np.testing.assert_allclose(wide / narrow, np.broadcast_to(factor[:, None], wide.shape), rtol=1e-6)


def test_the_guided_answer_does_not_depend_on_the_calibration_of_the_encoder(
    tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    fitted = dataclasses.replace(
        tiny_checkpoint.fitted, spread_factor=7.0 * tiny_checkpoint.fitted.spread_factor
    )
    actual = predict(dataclasses.replace(tiny_checkpoint, fitted=fitted), volumes)
    expected = predict(tiny_checkpoint, volumes)
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=1e-5)
    np.testing.assert_allclose(actual.std, expected.std, rtol=1e-5)


def test_tiers_that_disagree_are_news() -> None:
    """One per cent apart at an uncertainty of one per cent is one, whatever the unit."""
    mean = np.array([[50.0, 40.0, 30.0, 9.0, 8.0, 7.0]])
    result = tier_disagreement(np.exp(0.01) * mean, 0.01 * np.exp(0.01) * mean, mean)
    np.testing.assert_allclose(result, 1.0)
    np.testing.assert_allclose(tier_disagreement(mean, 0.02 * mean, mean), 0.0)


def test_a_volume_on_which_the_tiers_disagree_is_novel(
    tiny_checkpoint: Checkpoint, volumes: np.ndarray
) -> None:
    before = predict(tiny_checkpoint, volumes)
    assert before.in_distribution.any()
    fitted = dataclasses.replace(tiny_checkpoint.fitted, disagreement_limit=1e-3)
    after = predict(dataclasses.replace(tiny_checkpoint, fitted=fitted), volumes)
    assert not after.in_distribution.any()
    np.testing.assert_array_equal(after.mean, before.mean)


def test_strange_volumes_are_novel(tiny_checkpoint: Checkpoint, volumes: np.ndarray) -> None:
    """A checkerboard, and voxels at random, are unlike any Gaussian field of the training set."""
    board = np.indices((16, 16, 16)).sum(0) % 2
    confetti = np.random.default_rng(0).random((16, 16, 16)) < 0.5
    result = predict(tiny_checkpoint, [board, confetti, *volumes])
    assert not result.in_distribution[:2].any()
    assert result.in_distribution[2:].any()
    np.testing.assert_array_equal(result.in_distribution, result.novelty <= 1.0)


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        ([], "expected at least one volume, got none"),
        (np.zeros((0, 8, 8, 8)), "expected at least one volume, got none"),
        (np.array(1), r"expected volumes of shape .*, got an array of shape \(\)"),
        (np.zeros((8, 8)), r"got an array of shape \(8, 8\)"),
        (np.zeros((2, 2, 8, 8, 8)), r"got an array of shape \(2, 2, 8, 8, 8\)"),
        (np.zeros((7, 8, 8)), r"at least 8 voxels per edge, got a volume of shape \(7, 8, 8\)"),
        ([np.zeros((8, 8, 8)), np.zeros((9, 9, 3))], r"at least 8 voxels per edge, .* \(9, 9, 3\)"),
        (np.full((8, 8, 8), 2), "expected phases 0 and 1 only, got other values as well: 2"),
        (np.full((8, 8, 8), 0.5), "got other values as well: 0.5"),
        (np.full((8, 8, 8), np.nan), "not finite"),
        (np.full((8, 8, 8), "a"), "expected phases of bool, integer or float type"),
    ],
)
def test_what_is_no_volume(volumes: np.ndarray, message: str, tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match=message):
        predict(tiny_checkpoint, volumes)


def test_an_interval_covers_its_share_of_log_normal_truths(rng: np.random.Generator) -> None:
    truth = 40.0 * np.exp(0.3 * rng.standard_normal(100_000))
    low, high = log_interval(40.0, 0.3 * 40.0, 0.9)
    assert np.mean(truth < low) == pytest.approx(0.05, abs=0.005)
    assert np.mean(truth > high) == pytest.approx(0.05, abs=0.005)
    with pytest.raises(ValueError, match="probability"):
        log_interval(40.0, 1.0, 1.0)
