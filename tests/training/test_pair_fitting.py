"""Labels of random pairs, and a network that learns to do better than the bound that it corrects."""

from pathlib import Path

import numpy as np
import pytest

from vaereg.elasticity import reuss_bound, voigt_to_mandel
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import CheckpointError
from vaereg.model.pair_features import STEPS, SYMMETRIES
from vaereg.model.pair_model import PairModel, load_pair_model, predict_stiffness, save_pair_model
from vaereg.solver.homogenization import homogenize
from vaereg.training import pair_labels as module
from vaereg.training.pair_fitting import answer_labels, fit_pair_model, pair_figures, stopping_places
from vaereg.training.pair_labels import PairLabels, label_pairs, read_pair_labels, write_pair_labels


@pytest.fixture(scope="module")
def labels() -> PairLabels:
    """Small cells: what is tested is that their bounds are corrected, not how well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIZES", (16, 16))
        return label_pairs(40, seed=4)


@pytest.fixture(scope="module")
def model(labels: PairLabels) -> PairModel:
    rows = np.arange(len(labels))
    return fit_pair_model(labels.rows(rows < 30), labels.rows(rows >= 30), steps=600, hidden=64)


def test_labels_lie_between_reuss_and_their_bounds(labels: PairLabels) -> None:
    truth = voigt_to_mandel(labels.stiffness)
    for place in range(len(STEPS)):
        assert np.linalg.eigvalsh(voigt_to_mandel(labels.uppers[:, place]) - truth).min() > -1e-4
    reuss = np.array([reuss_bound(f, pair) for f, pair in zip(labels.fraction, labels.pairs, strict=True)])
    assert np.linalg.eigvalsh(truth - voigt_to_mandel(reuss)).min() > -1e-4
    assert (np.diff(np.trace(labels.uppers, axis1=2, axis2=3), axis=1) < 1e-5).all(), "bounds fall"


def test_a_label_depends_on_its_seed_and_index_alone(labels: PairLabels) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIZES", (16, 16))
        again = label_pairs(3, seed=4)
    for name in ("fraction", "moduli", "stiffness", "uppers"):
        np.testing.assert_array_equal(getattr(again, name), getattr(labels, name)[:3])


def test_labels_survive_their_file(labels: PairLabels, tmp_path: Path) -> None:
    write_pair_labels(tmp_path / "labels.npz", labels)
    again = read_pair_labels(tmp_path / "labels.npz")
    np.testing.assert_array_equal(again.stiffness, labels.stiffness)
    np.testing.assert_array_equal(again.morphology, labels.morphology)
    np.savez(tmp_path / "other.npz", stiffness=labels.stiffness)
    with pytest.raises(InputError, match="format version"):
        read_pair_labels(tmp_path / "other.npz")


def test_the_iteration_stops_at_the_residual_or_at_its_limit(labels: PairLabels) -> None:
    places = stopping_places(labels, 0.05)
    for row, place in enumerate(places):
        hard = labels.pairs[row].contrast > 1000.0
        reached = labels.residuals[row, place] <= 0.05
        assert reached or STEPS[place] == (20 if hard else 12)
        assert place == 1 or labels.residuals[row, place - 1] > 0.05
    assert (stopping_places(labels, 0.2) <= places).all()


def test_what_is_learned_is_better_than_the_bound(model: PairModel, labels: PairLabels) -> None:
    """On the labels of training, at the first steps, where most is left to correct."""
    figures = pair_figures(model, labels.rows(np.arange(30)), residual=0.5)["all"]
    assert figures["mean"] < 0.5 * figures["upper_mean"]
    assert figures["median"] < 0.7 * figures["upper_median"]


def test_spreads_cover_the_calibration(model: PairModel, labels: PairLabels) -> None:
    answers = answer_labels(model, labels.rows(np.arange(30, len(labels))))
    inside = np.abs(answers.mean - labels.stiffness[30:]) <= 1.6449 * answers.std + 1e-9
    assert 0.75 <= inside.mean() <= 1.0
    assert (answers.std > 0.0).all() and (answers.mean[:, range(6), range(6)] > 0.0).all()


def test_predictions_are_between_guaranteed_bounds_and_near_the_solver(
    model: PairModel, rng: np.random.Generator
) -> None:
    volume = (rng.random((16, 16, 16)) < 0.4).astype(np.uint8)
    volume[:, :8] |= volume[:, 8:]
    pairs = [TwoPhase.from_moduli(70.0, 3.0, 0.2, 0.35), TwoPhase.from_moduli(70.0, 0.0, 0.2, 0.0)]
    result = predict_stiffness(model, [volume, volume], pairs)
    for row, pair in enumerate(pairs):
        exact = homogenize(volume, pair, rtol=1e-5).stiffness
        mean, exact = voigt_to_mandel(result.mean[row]), voigt_to_mandel(exact)
        upper, lower = voigt_to_mandel(result.upper[row]), voigt_to_mandel(result.lower[row])
        assert np.linalg.eigvalsh(upper - mean).min() > -1e-6 * np.trace(upper)
        assert np.linalg.eigvalsh(upper - exact).min() > -1e-6 * np.trace(upper)
        assert np.linalg.eigvalsh(exact - lower).min() > -1e-6 * np.trace(upper)
        assert np.linalg.norm(mean - exact) < 0.1 * np.linalg.norm(exact)
    assert not result.lower[1].any(), "a void has no lower bound but zero"
    assert (result.iterations <= [12, 20]).all() and (result.residual >= 0.0).all()


def test_predictions_turn_with_the_volume_and_have_no_favourite_phase(
    model: PairModel, rng: np.random.Generator
) -> None:
    volume = (rng.random((16, 16, 16)) < 0.5).astype(np.uint8)
    volume[:4] = 1
    pair = TwoPhase.from_moduli(70.0, 3.0, 0.2, 0.35)
    turned, inverted = volume.transpose(1, 2, 0), 1 - volume
    result = predict_stiffness(
        model, [volume, turned, inverted], [pair, pair, TwoPhase(stiff=pair.soft, soft=pair.stiff)]
    )
    mandel = voigt_to_mandel(result.mean)
    np.testing.assert_allclose(mandel[2], mandel[0], rtol=1e-4, atol=1e-4)
    turns = [turn @ mandel[0] @ turn.T for turn in SYMMETRIES]
    assert min(np.abs(mandel[1] - turn).max() for turn in turns) < 1e-3 * np.abs(mandel[0]).max()


def test_one_phase_alone_is_exact(model: PairModel) -> None:
    pair = TwoPhase.from_moduli(70.0, 3.0, 0.2, 0.35)
    result = predict_stiffness(model, [np.ones((8, 8, 8))], [pair])
    np.testing.assert_allclose(result.mean[0], homogenize(np.ones((8, 8, 8)), pair).stiffness, rtol=1e-5)
    assert not result.std.any()


def test_a_model_survives_its_file(model: PairModel, labels: PairLabels, tmp_path: Path) -> None:
    path = tmp_path / "pairs.pt"
    save_pair_model(path, model)
    again = load_pair_model(path)
    before, after = answer_labels(model, labels), answer_labels(again, labels)
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.std, after.std)
    assert len(again.hash) == 16 and again.card == model.card
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="no regressor"):
        load_pair_model(path)
