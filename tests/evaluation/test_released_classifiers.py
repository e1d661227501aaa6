"""References of the classifiers that are released with the weights."""

import numpy as np
import pytest

from vaereg.evaluation.recognition import confusion, draw_reference
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.recognition import (
    DEFAULT_REFERENCE,
    INDEPENDENT_REFERENCE,
    RECOGNISED_MODES,
    load_classifier,
    read_reference,
)


def test_released_references_have_the_classes_of_both_sources() -> None:
    generators, independent = (read_reference(path) for path in (DEFAULT_REFERENCE, INDEPENDENT_REFERENCE))
    assert set(generators.classes) == set(RECOGNISED_MODES)
    assert set(independent.classes) == set(CLASS_MODES)
    for reference in (generators, independent):
        assert np.isfinite(reference.descriptors).all()
        assert np.bincount(reference.labels).min() >= 30
    assert DEFAULT_REFERENCE.stat().st_size + INDEPENDENT_REFERENCE.stat().st_size < 1_200_000


@pytest.mark.slow
def test_released_classifier_recognises_volumes_of_other_seeds() -> None:
    generator = np.random.default_rng(12345)
    volumes = draw_reference(4, source="generators", generator=generator, sizes={24: 0.5, 32: 0.5})
    assert confusion(load_classifier(), volumes).overall().value > 0.85
    assert set(volumes.classes) == set(RECOGNISED_MODES)
