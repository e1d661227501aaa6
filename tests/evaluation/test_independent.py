"""Generators that share nothing with those of the data set."""

import ast
from pathlib import Path

import numpy as np
import pytest

from vaereg.evaluation import independent
from vaereg.evaluation.independent import INDEPENDENT_CLASSES, draw_independent
from vaereg.microstructure.statistics import connectivity
from vaereg.model.modes.catalogue import CLASS_MODES


def test_the_classes_are_those_of_the_generators() -> None:
    assert set(INDEPENDENT_CLASSES) == set(CLASS_MODES)


def test_nothing_of_the_package_is_imported() -> None:
    source = ast.parse(Path(independent.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(source) if isinstance(node, ast.ImportFrom)}
    modules |= {
        alias.name for node in ast.walk(source) if isinstance(node, ast.Import) for alias in node.names
    }
    assert not [name for name in modules if name and name.startswith("vaereg")]


@pytest.mark.parametrize("name", INDEPENDENT_CLASSES)
def test_volumes_have_two_phases_and_follow_the_seed(name: str) -> None:
    for size in (8, 13):
        volume = draw_independent(name, size, generator=np.random.default_rng(size))
        assert volume.shape == (size,) * 3 and volume.dtype == np.uint8
        assert set(np.unique(volume).tolist()) == {0, 1}
        again = draw_independent(name, size, generator=np.random.default_rng(size))
        np.testing.assert_array_equal(volume, again)
        other = draw_independent(name, size, generator=np.random.default_rng(size + 1))
        assert not np.array_equal(volume, other)


@pytest.mark.parametrize("name", INDEPENDENT_CLASSES)
def test_volumes_go_on_over_their_faces(name: str) -> None:
    """Neighbours across the faces of the cell are unlike as often as those inside, in the mean."""
    across, inside = [], []
    for seed in range(8):
        volume = draw_independent(name, 12, generator=np.random.default_rng(seed))
        for axis in range(3):
            unlike = (volume != np.roll(volume, 1, axis)).mean(axis=tuple({0, 1, 2} - {axis}))
            across.append(unlike[0])
            inside.append(unlike[1:])
    spread = np.std([row.mean() for row in inside]) + np.std(across)
    assert abs(np.mean(across) - np.mean(inside)) < 3.0 * spread / np.sqrt(len(across)) + 0.02
    assert np.mean(across) < 2.0 * np.mean(inside)


def share(name: str, phase: int) -> float:
    """Mean over seeds of the number of axes along which a phase percolates."""
    volumes = [draw_independent(name, 20, generator=np.random.default_rng(seed)) for seed in range(6)]
    return float(np.mean([sum(connectivity(volume, phase).percolates) for volume in volumes]))


def test_phases_hang_together_as_the_class_says() -> None:
    assert share("particles", 0) == share("pores", 1) == 3.0
    assert share("particles", 1) < 2.0 and share("pores", 0) < 2.0
    assert share("closed-foam", 1) == 3.0 and share("closed-foam", 0) < 0.5
    assert share("grains", 0) == 3.0 and share("grains", 1) < 0.5
    assert share("open-foam", 0) == 3.0
    assert share("laminate", 0) >= 1.5 and share("laminate", 1) >= 1.5
    assert share("lattice", 1) > 2.0 and share("lattice", 0) > 2.0


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("foam", 16, "unknown class 'foam', expected one of particles"), ("tpms", 4, "at least 8 voxels")],
)
def test_what_cannot_be_drawn(name: str, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_independent(name, size, generator=np.random.default_rng(0))
