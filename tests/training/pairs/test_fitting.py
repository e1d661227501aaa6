"""Labels of random pairs, and a network that learns to do better than the bound that it corrects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from vaereg.elasticity import reuss_bound, voigt_to_mandel
from vaereg.errors import InputError
from vaereg.generators.morphologies import morphology_weights
from vaereg.io.labelled_sets import LabelledVolumes, MorphologyPlan
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import CheckpointError
from vaereg.model.pairs.calibration import SPREAD_FEATURES
from vaereg.model.pairs.features import STEPS, SYMMETRIES
from vaereg.model.pairs.regressor import (
    MAX_STEP,
    VOID_ENERGY,
    PairModel,
    load_pair_model,
    predict_stiffness,
    save_pair_model,
)
from vaereg.solver.bounds import residual_over_bound
from vaereg.solver.homogenization import homogenize
from vaereg.training.labelling.morphologies import label_morphologies
from vaereg.training.pairs.figures import pair_figures
from vaereg.training.pairs.fitting import (
    answer_labels,
    calibrated,
    carries_load,
    fit_pair_model,
    stopping_places,
)
from vaereg.training.pairs.labels import (
    PairLabels,
    chosen_pair,
    label_pairs,
    read_pair_labels,
    write_pair_labels,
)
from vaereg.training.pairs.spreads import quantile_regression


@pytest.fixture(scope="module")
def samples() -> LabelledVolumes:
    """Small cells: what is tested is that their bounds are corrected, not how well."""
    plan = MorphologyPlan(
        count=24,
        seed=4,
        sizes={"16": 1.0},
        morphologies=morphology_weights(None),
        pairs=2,
        physics="elastic, thermal",
        tolerance_rule="",
        solver_dtype="float32",
        generator_version=1,
    )
    return label_morphologies(plan, range(plan.count))


@pytest.fixture(scope="module")
def labels(samples: LabelledVolumes) -> PairLabels:
    return label_pairs(samples, range(len(samples)))


@pytest.fixture(scope="module")
def model(labels: PairLabels) -> PairModel:
    return fit_pair_model(labels, steps=250, hidden=48, parts=2)


def test_labels_lie_between_reuss_and_their_bounds(labels: PairLabels) -> None:
    truth = voigt_to_mandel(labels.stiffness)
    for place in range(len(STEPS)):
        assert np.linalg.eigvalsh(voigt_to_mandel(labels.uppers[:, place]) - truth).min() > -1e-4
    reuss = np.array([reuss_bound(f, pair) for f, pair in zip(labels.fraction, labels.pairs, strict=True)])
    assert np.linalg.eigvalsh(truth - voigt_to_mandel(reuss)).min() > -1e-4
    assert (np.diff(np.trace(labels.uppers, axis1=2, axis2=3), axis=1) < 1e-5).all(), "bounds fall"


def test_labels_are_those_of_the_data_set_over_the_stiff_modulus(
    samples: LabelledVolumes, labels: PairLabels
) -> None:
    again = label_pairs(samples, [5, 2])
    for row, index in enumerate((5, 2)):
        place = chosen_pair(samples, index)
        assert place is not None
        e_stiff, e_soft, *poisson, _, _ = samples.phases[index, place].tolist()
        np.testing.assert_allclose(again.moduli[row], [e_soft / e_stiff, *poisson])
        np.testing.assert_allclose(again.stiffness[row], samples.stiffness[index, place] / e_stiff, rtol=1e-6)
        assert again.morphology[row] == samples.morphology[index] and again.size[row] == 16
        np.testing.assert_allclose(again.uppers[row], labels.uppers[index], rtol=1e-5, atol=1e-7)
    with pytest.raises(InputError, match="volumes with a stiffness"):
        label_pairs(replace(samples, stiffness=np.full_like(samples.stiffness, np.nan)), [0])


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
        ratio = residual_over_bound(labels.uppers[row], labels.energies[row])
        factor = VOID_ENERGY if labels.pairs[row].has_void else 1.0
        reached = np.maximum(labels.residuals[row], ratio / factor) <= 0.05
        assert reached[place] or STEPS[place] == MAX_STEP
        assert place == 1 or not reached[place - 1]
    assert (stopping_places(labels, 0.2) <= places).all()


def test_what_is_learned_is_better_than_the_bound(model: PairModel, labels: PairLabels) -> None:
    """On the labels of training, at the first steps, where most is left to correct."""
    figures = pair_figures(replace(model, upper_share=np.zeros(5)), labels, residual=0.5)["all"]
    assert figures["mean"] < 0.85 * figures["upper_mean"]
    assert figures["median"] < figures["upper_median"]


def test_spreads_cover_the_calibration(model: PairModel, labels: PairLabels) -> None:
    """Those of the networks that did not see the labels: the model saw them all."""
    answers = answer_labels(model, labels)
    inside = np.abs(answers.mean - labels.stiffness) <= 1.6449 * answers.std + 1e-9
    assert 0.85 <= inside.mean() <= 1.0
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
    assert (result.iterations <= MAX_STEP).all() and (result.residual >= 0.0).all()


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


def test_figures_are_grouped_by_contrast_poisson_ratio_size_and_class(
    model: PairModel, labels: PairLabels
) -> None:
    figures = pair_figures(model, labels)
    count = figures["all"]["volumes"]
    assert set(figures) == {"all", "contrast", "poisson", "size", "class"}
    for kind in ("contrast", "poisson", "size", "class"):
        assert sum(row["volumes"] for row in figures[kind].values()) == count
        means = [row["mean"] * row["volumes"] for row in figures[kind].values()]
        assert sum(means) / count == pytest.approx(figures["all"]["mean"])


def test_a_calibrated_share_of_the_bound_never_harms(model: PairModel, labels: PairLabels) -> None:
    """Errors of the unseen answers that it was chosen on are at most those of the bound, in every decade."""
    drawn = replace(model, upper_share=np.ones(5))
    answers = answer_labels(drawn, labels)
    places = stopping_places(labels)
    np.testing.assert_allclose(answers.mean, labels.uppers[np.arange(len(labels)), places], atol=1e-10)
    assert ((model.upper_share >= 0.0) & (model.upper_share <= 1.0)).all()


def test_spreads_of_further_labels_cover_them(model: PairModel, labels: PairLabels) -> None:
    unseen = labels.rows(np.arange(len(labels)) % 3 > 0)
    told = calibrated(model, labels, unseen)
    answers, carrying = answer_labels(told, unseen), carries_load(unseen)
    inside = np.abs(answers.mean - unseen.stiffness) <= 1.6449 * answers.std + 1e-9
    assert 0.8 <= inside[carrying].mean() <= 1.0
    assert np.isfinite(told.largest_gap).all() and (told.largest_gap > 0.0).all()
    sizes = [name.endswith("voxels per edge") and not name.startswith("16") for name in SPREAD_FEATURES]
    assert not told.spread_weights[..., sizes].any(), "sizes that no label has keep their weight"


def test_a_part_of_the_values_lies_below_their_quantile(rng: np.random.Generator) -> None:
    slope = rng.random((2000, 1))
    values = 1.0 + 2.0 * slope[:, 0] + slope[:, 0] * rng.standard_normal(2000)
    features = np.column_stack([np.ones(2000), slope])
    weights = quantile_regression(features, values, 0.9, np.zeros(2))
    below = values <= features @ weights + 1e-12
    for low in (0.0, 0.5):
        half = (slope[:, 0] >= low) & (slope[:, 0] < low + 0.5)
        assert abs(below[half].mean() - 0.9) < 0.03
    np.testing.assert_allclose(weights, [1.0, 2.0 + float(norm.ppf(0.9))], atol=0.25)
