"""Confusion, coverage and Vendi score; volumes of known classes."""

import numpy as np
import pytest

from vaereg.evaluation.recognition import (
    confusion,
    coverage,
    draw_class,
    draw_reference,
    fit_kernel,
    vendi_score,
)
from vaereg.generators.morphologies import MORPHOLOGIES
from vaereg.microstructure.descriptors import DESCRIPTOR_NAMES, describe_morphologies
from vaereg.model.recognition import LAMELLAE, Reference, fit_classifier


def blocks(classes: tuple[str, ...], labels: list[int]) -> Reference:
    """Descriptors that tell the classes apart: the first one is the label."""
    descriptors = np.random.default_rng(0).random((len(labels), len(DESCRIPTOR_NAMES)))
    descriptors[:, 0] = labels
    return Reference(
        descriptors=descriptors.astype(np.float16),
        labels=np.array(labels, dtype=np.uint8),
        classes=classes,
        origin="test",
    )


def test_a_reference_has_every_class_and_is_seeded() -> None:
    sizes = {8: 0.5, 10: 0.5}
    own = draw_reference(2, source="generators", generator=np.random.default_rng(0), sizes=sizes)
    assert own.classes == (*MORPHOLOGIES, LAMELLAE)
    assert own.descriptors.shape == (2 * len(own.classes), len(DESCRIPTOR_NAMES))
    assert "2 volumes of each class, of 8 (1), 10 (1) voxels per edge" in own.origin
    again = draw_reference(2, source="generators", generator=np.random.default_rng(0), sizes=sizes)
    np.testing.assert_array_equal(own.descriptors, again.descriptors)
    with pytest.raises(ValueError, match="at least one volume"):
        draw_reference(0, source="generators", generator=np.random.default_rng(0))


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    draw_reference(
        1,
        source="independent",
        generator=np.random.default_rng(0),
        sizes={8: 1.0},
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(number, 13) for number in range(1, 14)]


def test_lamellae_are_not_among_the_spinodals() -> None:
    """Lamellae are long along two axes, the others at most mildly so: by their surfaces."""
    column = DESCRIPTOR_NAMES.index("surface most")

    def share(name: str) -> float:
        volumes = [
            draw_class(name, 24, source="generators", generator=np.random.default_rng(seed))
            for seed in range(6)
        ]
        return float(np.median(describe_morphologies(volumes)[:, column]))

    assert share(LAMELLAE) > share("spinodal") + 0.05


def test_confusion_counts_modes() -> None:
    classes = ("tpms", "lattice", "gaussian")
    reference = blocks(classes, [0] * 20 + [1] * 20 + [2] * 20)
    classifier = fit_classifier(reference.descriptors, reference.labels, classes, trees=60)
    result = confusion(classifier, reference)
    assert result.counts.tolist() == [[20, 0, 0], [0, 20, 0], [0, 0, 20]]
    assert result.overall().value == 1.0
    # volumes of classes that are listed in another order, and labelled wrongly
    other = blocks(("spinodal", "lattice"), [0] * 4 + [2] * 3)
    wrong = Reference(
        descriptors=other.descriptors,
        labels=np.array([0] * 4 + [1] * 3, dtype=np.uint8),
        classes=other.classes,
        origin="test",
    )
    mixed = confusion(classifier, wrong)
    assert mixed.by_class()["spinodal"].successes == 0
    assert mixed.by_class()["lattice"].successes == 0
    assert mixed.mistakes("spinodal") == [("tpms", 4)]
    assert mixed.mistakes("lattice") == [("gaussian", 3)]
    assert mixed.overall().trials == 7


def test_a_class_of_the_same_mode_counts_as_recognised() -> None:
    reference = blocks(("tpms", "gaussian"), [0] * 20 + [1] * 20)
    classifier = fit_classifier(reference.descriptors, reference.labels, reference.classes, trees=60)
    result = confusion(classifier, blocks(("lattice", "spinodal"), [0] * 3 + [1] * 5))
    assert result.by_class()["lattice"].value == result.by_class()["spinodal"].value == 1.0


def test_vendi_score_counts_different_volumes() -> None:
    assert vendi_score(np.eye(5)) == pytest.approx(5.0)
    assert vendi_score(np.ones((5, 5))) == pytest.approx(1.0)
    twins = np.kron(np.eye(3), np.ones((2, 2)))
    assert vendi_score(twins) == pytest.approx(3.0)
    # eigenvalues (1 ± s) / 2
    s = 0.6
    expected = np.exp(-sum(p * np.log(p) for p in ((1 + s) / 2, (1 - s) / 2)))
    assert vendi_score(np.array([[1.0, s], [s, 1.0]])) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"shape \(N, N\)"),
        (np.zeros((0, 0)), r"shape \(N, N\)"),
        (2.0 * np.eye(2), "diagonal of ones"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "positive semidefinite"),
    ],
)
def test_what_is_no_similarity(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vendi_score(matrix)


def test_the_kernel_tells_classes_from_copies() -> None:
    reference = blocks(("a", "b", "c"), [0] * 15 + [1] * 15 + [2] * 15)
    kernel = fit_kernel(reference)
    same = kernel(np.repeat(reference.descriptors[:1], 6, axis=0))
    np.testing.assert_allclose(same, 1.0)
    assert vendi_score(same) == pytest.approx(1.0)
    similar = kernel(reference.descriptors)
    within = similar[reference.labels[:, None] == reference.labels]
    assert np.median(within[within < 1.0]) == pytest.approx(np.exp(-0.5), abs=1e-6)
    # designs of three classes are more diverse than as many of one
    item, three = reference.descriptors[:9], reference.descriptors[::5]
    assert vendi_score(kernel(three)) > vendi_score(kernel(item))
    with pytest.raises(ValueError, match="two volumes of a class"):
        fit_kernel(blocks(("a", "b"), [0, 1]))


def test_coverage_is_the_share_of_targets_whose_class_is_there() -> None:
    result = coverage([{0, 1}, {2}, set(), {3, 0}], [1, 1, 0, 3])
    assert (result.successes, result.trials, result.value) == (2, 4, 0.5)
    with pytest.raises(ValueError, match="each of 2 volumes, got 1"):
        coverage([{0}], [0, 1])
