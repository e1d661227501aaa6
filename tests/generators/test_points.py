"""Points that keep apart in a periodic box."""

import numpy as np

from vaereg.generators.points import nearest_distances, separated_points


def pair_distances(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    step = points[:, None] - points
    step -= box * np.round(step / box)
    distances = np.linalg.norm(step, axis=-1)
    return distances[np.triu_indices(len(points), 1)]


def test_points_lie_in_the_box_and_keep_their_distance() -> None:
    box = np.array([10.0, 20.0, 5.0])
    spacing = (box.prod() / 30) ** (1 / 3)
    points = separated_points(box, 30, distance=0.9 * spacing, generator=np.random.default_rng(1))
    assert (points >= 0).all() and (points < box).all()
    assert pair_distances(points, box).min() > 0.85 * spacing


def test_best_candidates_are_farther_apart_than_random_points() -> None:
    box, least = np.full(3, 8.0), {1: [], 8: []}
    for seed in range(20):
        for candidates, result in least.items():
            points = separated_points(box, 20, candidates=candidates, generator=np.random.default_rng(seed))
            result.append(pair_distances(points, box).min())
    assert np.mean(least[8]) > 2.0 * np.mean(least[1])


def test_nearest_distances_are_periodic() -> None:
    """Against all pairs."""
    box = np.array([6.0, 8.0, 4.0])
    points = np.random.default_rng(0).random((5, 3)) * box
    distances, indices = nearest_distances(points, box, 6, 3)
    for place in [(0, 0, 0), (5, 2, 3), (1, 4, 5)]:
        centre = (np.array(place) + 0.5) / 6 * box
        step = points - centre
        step -= box * np.round(step / box)
        expected = np.linalg.norm(step, axis=1)
        order = np.argsort(expected)[:3]
        np.testing.assert_array_equal(indices[(slice(None), *place)], order)
        np.testing.assert_allclose(distances[(slice(None), *place)], expected[order])
