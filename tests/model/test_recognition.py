"""Classifier of morphologies: stored references, probabilities, recognition of modes."""

import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vaereg.generators.fields import gaussian_field
from vaereg.generators.shapes import laminate, spheres
from vaereg.microstructure.descriptors import DESCRIPTOR_NAMES
from vaereg.model.checkpoint import CheckpointError
from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES
from vaereg.model.recognition import (
    LAMELLAE,
    RECOGNISED_MODES,
    MorphologyClassifier,
    Share,
    fit_classifier,
    load_classifier,
    make_reference,
    read_reference,
    recognition_of_modes,
    save_reference,
)

CLASSES = ("particles", "laminate", "gaussian")
SIZE = 16


def cell(name: str, seed: int, size: int = SIZE) -> NDArray[np.uint8]:
    generator = np.random.default_rng([seed, size])
    fraction = generator.uniform(0.2, 0.4)
    if name == "particles":
        return spheres(size, generator.random((4, 3)), np.ones(4), fraction)
    if name == "laminate":
        stiff = int(generator.integers(2, size - 2))
        return laminate([stiff, size - stiff], axis=int(generator.integers(3)))
    return gaussian_field(size, (1.2,) * 3, fraction, generator=generator)


def cells(seeds: range) -> tuple[list[NDArray[np.uint8]], list[str]]:
    names = [name for name in CLASSES for _ in seeds]
    return [cell(name, seed) for name in CLASSES for seed in seeds], names


@pytest.fixture(scope="module")
def classifier() -> MorphologyClassifier:
    volumes, names = cells(range(12))
    reference = make_reference(volumes, names, origin="test")
    return fit_classifier(reference.descriptors, reference.labels, reference.classes, trees=60)


def test_volumes_of_other_seeds_and_sizes_are_recognised(classifier: MorphologyClassifier) -> None:
    volumes, names = cells(range(100, 105))
    volumes += [cell(name, 200, 24) for name in CLASSES]
    votes = classifier.predict_proba(volumes)
    assert votes.shape == (18, 3)
    np.testing.assert_allclose(votes.sum(axis=1), 1.0)
    expected = [CLASSES.index(name) for name in [*names, *CLASSES]]
    assert (votes.argmax(axis=1) == expected).mean() >= 16 / 18
    assert classifier.predict_proba([]).shape == (0, 3)


def test_shifts_and_turns_change_no_vote(classifier: MorphologyClassifier) -> None:
    volume = cell("gaussian", 7)
    turned = np.roll(volume.transpose(2, 0, 1)[:, ::-1], (3, 1, 4), (0, 1, 2))
    votes, turned_votes = (classifier.predict_proba([item]) for item in (volume, turned))
    np.testing.assert_array_equal(votes, turned_votes)


def test_an_executor_gives_the_same_votes(classifier: MorphologyClassifier) -> None:
    volumes, _ = cells(range(2))
    with ThreadPoolExecutor(2) as executor:
        parallel = classifier.predict_proba(volumes, executor=executor)
    np.testing.assert_array_equal(parallel, classifier.predict_proba(volumes))


def test_probabilities_of_modes_are_sums_over_their_classes() -> None:
    reference = make_reference(*cells(range(2)), origin="test")
    present = fit_classifier(reference.descriptors, reference.labels, ("tpms", "lattice", "gaussian"))
    votes = np.array([[0.3, 0.3, 0.4], [0.2, 0.1, 0.7]])
    modes = present.mode_proba(votes)
    assert modes.shape == (2, len(MODE_NAMES))
    assert modes[:, MODE_NAMES.index("periodic")] == pytest.approx([0.6, 0.3])
    np.testing.assert_allclose(modes.sum(axis=1), 1.0)
    # two classes of a mode outvote a third class that has more votes than either
    assert present.most_likely(votes).tolist() == [0, 2]


def test_every_class_has_its_mode() -> None:
    assert set(CLASS_MODES) < set(RECOGNISED_MODES)
    assert MODE_NAMES[RECOGNISED_MODES[LAMELLAE]] == "layers"


def test_recognition_of_modes_counts_by_mode(classifier: MorphologyClassifier) -> None:
    volumes, names = cells(range(300, 304))
    modes = [RECOGNISED_MODES[name] for name in names]
    right = recognition_of_modes(classifier, volumes, modes)
    assert right.overall.trials == 12 and right.overall.value >= 0.9
    assert set(right.by_mode) == {"particles", "layers", "irregular"}
    assert sum(share.successes for share in right.by_mode.values()) == right.overall.successes
    assert right.taken_for.sum() == 12
    # the same volumes, made for another mode, are not recognised as that
    wrong = recognition_of_modes(classifier, volumes, [MODE_NAMES.index("grains")] * 12)
    assert wrong.overall.successes == 0 and wrong.by_mode["grains"].trials == 12
    assert wrong.taken_for[MODE_NAMES.index("grains")].sum() == 12


def test_a_volume_of_one_phase_is_not_recognised(classifier: MorphologyClassifier) -> None:
    volumes = [cell("laminate", 1), np.ones((SIZE,) * 3)]
    result = recognition_of_modes(classifier, volumes, [RECOGNISED_MODES["laminate"]] * 2)
    assert result.overall == Share(successes=1, trials=2)


def test_standard_error_of_a_share() -> None:
    share = Share(successes=30, trials=100)
    assert share.value == 0.3
    assert share.standard_error == pytest.approx(math.sqrt(0.3 * 0.7 / 100), rel=0.02)
    assert Share(successes=4, trials=4).standard_error > 0.1
    assert Share(successes=0, trials=0).value == 0.0
    with pytest.raises(ValueError, match="0 to 2 successes, got 3"):
        Share(successes=3, trials=2)


def test_a_reference_is_stored_as_plain_arrays(tmp_path: Path) -> None:
    reference = make_reference(*cells(range(3)), origin="three seeds")
    path = tmp_path / "reference.npz"
    save_reference(reference, path)
    again = read_reference(path)
    np.testing.assert_array_equal(again.descriptors, reference.descriptors)
    np.testing.assert_array_equal(again.labels, reference.labels)
    assert (again.classes, again.origin) == (CLASSES, "three seeds")
    first = path.read_bytes()
    save_reference(reference, path)
    assert path.read_bytes() == first
    fitted = fit_classifier(reference.descriptors, reference.labels, reference.classes)
    volumes = [cell(name, 50) for name in CLASSES]
    stored = load_classifier(path).predict_proba(volumes)
    np.testing.assert_array_equal(stored, fitted.predict_proba(volumes))
    assert load_classifier(path) is load_classifier(path)


def test_files_that_are_no_reference_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    with pytest.raises(FileNotFoundError, match="no reference"):
        read_reference(path)
    path.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="is no reference"):
        read_reference(path)
    np.savez(path, descriptors=np.zeros((2, 3)))
    with pytest.raises(CheckpointError, match="is no reference"):
        read_reference(path)
    arrays = {"descriptors": np.zeros((2, 3)), "labels": np.zeros(2), "classes": np.array(["a"])}
    np.savez(path, **arrays, origin=np.array(""), format_version=np.array(1), names=np.array(["a", "b", "c"]))
    with pytest.raises(CheckpointError, match="other descriptors"):
        read_reference(path)
    pickled = np.array([{"code": "run"}], dtype=object)
    np.savez(path, descriptors=pickled, format_version=np.array(1), names=np.array(DESCRIPTOR_NAMES))
    with pytest.raises(CheckpointError, match="is no reference"):
        read_reference(path)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    save_reference(make_reference(*cells(range(1)), origin="test"), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(CheckpointError, match="is no reference"):
        read_reference(path)


def test_shapes_are_checked(classifier: MorphologyClassifier) -> None:
    count = len(DESCRIPTOR_NAMES)
    with pytest.raises(ValueError, match=rf"\(N, {count}\)"):
        classifier.predict_descriptors(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=rf"\(N, {count}\)"):
        fit_classifier(np.zeros((2, 3)), [0, 1], ("a", "b"))
    with pytest.raises(ValueError, match=r"labels of shape \(2,\)"):
        fit_classifier(np.zeros((2, count)), [0], ("a",))
    with pytest.raises(ValueError, match="each of 3 classes"):
        fit_classifier(np.zeros((2, count)), [0, 1], ("a", "b", "c"))
    with pytest.raises(ValueError, match="the mode of each of 1 volumes"):
        recognition_of_modes(classifier, [cell("laminate", 1)], [0, 1])
    with pytest.raises(ValueError, match="class for each of 1 volumes, got 2"):
        make_reference([cell("laminate", 1)], ["laminate", "gaussian"], origin="test")
