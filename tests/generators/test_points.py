"""Points that keep apart: within the box, apart across its faces, seeded."""

import numpy as np
import pytest

from vaereg.generators.points import hard_core_points

BOX = np.array([4.0, 6.0, 3.0])


def least_distance(points: np.ndarray) -> float:
    """Least periodic distance between two points of the box."""
    offset = points[:, None] - points
    offset -= BOX * np.round(offset / BOX)
    distance = np.sqrt((offset**2).sum(-1))
    return float(distance[~np.eye(len(points), dtype=bool)].min())


def test_points_lie_in_the_box(rng: np.random.Generator) -> None:
    points = hard_core_points(BOX, 40, spacing=1.0, generator=rng)
    assert points.shape == (40, 3)
    assert (points >= 0.0).all() and (points <= BOX).all()


def test_points_keep_the_spacing_across_faces(rng: np.random.Generator) -> None:
    spacing = 0.9 * (BOX.prod() / 40) ** (1 / 3)
    assert least_distance(hard_core_points(BOX, 40, spacing=spacing, generator=rng)) > 0.9 * spacing
    assert least_distance(rng.random((40, 3)) * BOX) < 0.5 * spacing


def test_candidates_alone_keep_points_apart(rng: np.random.Generator) -> None:
    spread = [least_distance(hard_core_points(BOX, 40, generator=rng)) for _ in range(5)]
    random = [least_distance(rng.random((40, 3)) * BOX) for _ in range(5)]
    assert np.median(spread) > 2.0 * np.median(random)


def test_points_follow_from_the_seed() -> None:
    first, again, other = (
        hard_core_points(BOX, 9, spacing=1.0, generator=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("count", [1, 2])
def test_few_points(count: int, rng: np.random.Generator) -> None:
    assert hard_core_points(BOX, count, spacing=9.0, generator=rng).shape == (count, 3)
