"""Data sets of morphologies: shares, pairs, labels, the same bytes whatever happens on the way."""

import json
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.generators.morphologies import MORPHOLOGIES, morphology_weights, sample
from vaereg.io.labelled_sets import LabelledVolumes, MorphologyPlan, read_labelled_set
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.training.labelling import morphologies as morphology_labels
from vaereg.training.labelling.morphologies import (
    PAIRS,
    PHYSICS,
    REFERENCE_PAIR,
    TOLERANCE_RULE,
    draw_pairs,
    generate_morphologies,
    label_morphologies,
    label_tolerance,
    morphology_source,
    pair_of,
    size_shares,
)

COUNT, SEED, BATCH = 10, 5, 4
SIZES = {8: 0.6, 10: 0.4}


def label_here(
    plan: MorphologyPlan, batches: Sequence[range], workers: int
) -> Generator[tuple[range, LabelledVolumes], None, None]:
    """Label in this process, last batch first: neither processes nor their order may matter."""
    del workers
    for indices in reversed(batches):
        yield indices, label_morphologies(plan, indices)


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morphology_labels, "_label_all", label_here)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set made without interruption, by two processes."""
    path = tmp_path_factory.mktemp("whole") / "labels.h5"
    generate_morphologies(path, COUNT, SEED, SIZES, workers=2, batch_size=BATCH)
    return path


def plan(**changes: object) -> MorphologyPlan:
    settings = {
        "count": COUNT,
        "seed": SEED,
        "sizes": size_shares(SIZES),
        "morphologies": morphology_weights(),
        "pairs": PAIRS,
        "physics": PHYSICS,
        "tolerance_rule": TOLERANCE_RULE,
        "solver_dtype": "float32",
        "generator_version": 1,
    }
    return MorphologyPlan(**{**settings, **changes})


def test_volumes_and_recipes_can_be_made_again(whole: Path) -> None:
    data = read_labelled_set(whole)
    for index in range(COUNT):
        source = morphology_source(data.plan, index)
        assert source.morphology == data.samples.morphology[index]
        assert source.seed == data.samples.seed[index]
        again = sample(
            source.morphology,
            int(data.samples.size[index]),
            relative=bool(data.samples.relative[index]),
            generator=np.random.default_rng(source.seed),
        )
        np.testing.assert_array_equal(data.samples.volume(index), again.volume)
        assert data.samples.volume_fraction[index] == again.volume.mean()
        assert data.recipe(index).keys() == again.recipe.keys()
        assert data.recipe(index)["volume_fraction"] == pytest.approx(
            again.recipe["volume_fraction"], rel=1e-5
        )


def test_labels_are_the_solver_s_and_lie_between_the_bounds(whole: Path) -> None:
    samples = read_labelled_set(whole).samples
    labelled = np.isfinite(samples.stiffness).all(axis=(2, 3))
    np.testing.assert_array_equal(labelled, np.isfinite(samples.phases).all(axis=2))
    assert labelled.all()
    for index, place in np.argwhere(labelled):
        pair, fraction = pair_of(samples.phases[index, place]), samples.volume_fraction[index]
        label = samples.stiffness[index, place].astype(float)
        scale = np.abs(label).max()
        exact = homogenize(samples.volume(index), pair, rtol=1e-6).stiffness
        assert np.abs(label - exact).max() < 5e-5 * scale
        conductivity = samples.conductivity[index, place].astype(float)
        expected = conduct(samples.volume(index), pair, rtol=1e-6).conductivity
        assert np.abs(conductivity - expected).max() < 5e-5 * np.abs(expected).max()
        assert np.linalg.eigvalsh(voigt_bound(fraction, pair) - label).min() > -1e-5 * scale
        if pair.e_soft > 0.0:
            assert np.linalg.eigvalsh(label - reuss_bound(fraction, pair)).min() > -1e-5 * scale


def test_a_pair_without_a_solution_has_no_label(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> HomogenizationResult:
        return HomogenizationResult(
            stiffness=np.zeros((6, 6)), iterations=1, residual=1.0, converged=False, history=None
        )

    monkeypatch.setattr(morphology_labels, "homogenize", fail)
    batch = label_morphologies(plan(), range(1))
    assert np.isnan(batch.stiffness).all()
    assert np.isfinite(batch.conductivity[0, : PAIRS - 1]).all(), "the other label is kept"
    assert "volume 0" in caplog.text


@pytest.mark.usefixtures("no_processes")
@pytest.mark.parametrize("batch_size", [BATCH, 3])
def test_neither_processes_nor_order_nor_batches_change_a_byte(
    batch_size: int, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "labels.h5"
    generate_morphologies(path, COUNT, SEED, SIZES, batch_size=batch_size)
    assert path.read_bytes() == whole.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("no_processes")
def test_a_data_set_is_extended_by_what_is_missing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, labelled = tmp_path / "labels.h5", []
    generate_morphologies(path, 6, SEED, SIZES, batch_size=2)

    def watched(plan: MorphologyPlan, indices: range) -> LabelledVolumes:
        labelled.extend(indices)
        return morphology_labels.label_morphologies(plan, indices)

    monkeypatch.setitem(label_here.__globals__, "label_morphologies", watched)
    generate_morphologies(path, COUNT, SEED, SIZES, batch_size=2)
    assert sorted(labelled) == list(range(6, COUNT))
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("no_processes")
def test_an_interrupted_run_goes_on(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.h5"

    def stop(done: int, total: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_morphologies(path, COUNT, SEED, SIZES, batch_size=BATCH, on_progress=stop)
    assert not path.exists()
    calls: list[tuple[int, int]] = []
    generate_morphologies(
        path,
        COUNT,
        SEED,
        SIZES,
        batch_size=BATCH,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[0][0] >= 6
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": SEED + 1}, r"seed 5\), got seed 6"),
        ({"sizes": [9]}, "begun with .sizes"),
        ({"morphologies": ["tpms"]}, "begun with .morphologies"),
        ({"workers": 0}, "at least one worker, got 0"),
        ({"batch_size": 0}, "at least one volume per batch, got 0"),
        ({"sizes": [4]}, r"sizes of 8 to 128 voxels per edge, got \[4\]"),
        ({"morphologies": ["foam"]}, "unknown morphology 'foam'"),
        ({"count": 0}, "at least one volume, got 0"),
    ],
)
def test_other_arguments_do_not_touch_what_is_there(
    arguments: dict[str, object], message: str, whole: Path
) -> None:
    before = whole.read_bytes()
    with pytest.raises(ValueError, match=message):
        generate_morphologies(**{"path": whole, "count": COUNT, "seed": SEED, "sizes": SIZES, **arguments})
    assert whole.read_bytes() == before


def test_classes_sizes_and_lengths_come_in_their_shares() -> None:
    sources = [morphology_source(plan(), index) for index in range(4000)]
    for name, share in morphology_weights().items():
        counted = sum(source.morphology == name for source in sources) / 4000
        assert counted == pytest.approx(share, abs=0.03)
    assert sum(source.size == 8 for source in sources) / 4000 == pytest.approx(0.6, abs=0.03)
    assert sum(source.relative for source in sources) / 4000 == pytest.approx(0.5, abs=0.03)
    assert len({source.seed for source in sources}) == len({source.pair_seed for source in sources}) == 4000
    assert {source.morphology for source in sources} == set(MORPHOLOGIES)


def test_pairs_have_the_distribution_asked_for() -> None:
    pairs = np.stack([draw_pairs(np.random.default_rng(seed)) for seed in range(6000)])
    assert pairs.shape == (6000, PAIRS, 6)
    assert (pairs[:, 0] == REFERENCE_PAIR).all()
    rest = pairs[:, 1:].reshape(-1, 6)
    void = rest[:, 1] == 0.0
    assert void.mean() == pytest.approx(0.1, abs=0.01)
    contrast = np.log10(rest[~void, 0] / rest[~void, 1])
    ratio = np.log10(rest[:, 4] / rest[:, 5])
    for values, low, high in ((contrast, 0.0, 4.0), (ratio, -4.0, 4.0)):
        assert np.quantile(values, [0.0, 0.5, 1.0]) == pytest.approx([low, (low + high) / 2, high], abs=0.15)
    assert rest[:, 2].min() < 0.01 < 0.48 < rest[:, 2].max() < 0.49


def test_tolerance_follows_the_contrast() -> None:
    assert label_tolerance(1.0) == 2e-3
    assert label_tolerance(100.0) == pytest.approx(1e-3)
    assert label_tolerance(1e6) == label_tolerance(np.inf) == 1e-4


def test_recipes_are_rounded_json(whole: Path) -> None:
    samples = read_labelled_set(whole).samples
    for text in samples.recipe.tolist():
        recipe = json.loads(text)
        assert len(text) < 1000
        assert isinstance(recipe, dict)
