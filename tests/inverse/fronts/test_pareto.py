"""Pareto fronts: dominance and hypervolume against brute force, and a front of predicted cells."""

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.fronts.pareto import (
    along_directions,
    covering,
    hypervolume,
    non_dominated,
    objective_values,
    pareto_front,
    ranks,
    reaching,
    shares_of_box,
)
from vaereg.inverse.refining.predicting import predicted_properties
from vaereg.materials import Phase, TwoPhase
from vaereg.targets import parse

PAIR = TwoPhase(Phase("aluminium", 70.0, 0.33, density=2.7), Phase("polymer", 3.0, 0.35, density=1.2))


def dominated_by_any(points: np.ndarray) -> np.ndarray:
    better = (points[:, None] >= points).all(2) & (points[:, None] > points).any(2)
    return np.any(better, axis=0)


@pytest.mark.parametrize("objectives", [2, 3])
def test_non_dominated_points(objectives: int, rng: np.random.Generator) -> None:
    points = np.round(rng.random((200, objectives)), 1 if objectives == 2 else 2)  # with ties
    np.testing.assert_array_equal(non_dominated(points), ~dominated_by_any(points))
    points[3, 0] = np.nan
    assert not non_dominated(points)[3]
    numbers = ranks(points)
    assert numbers[3] == -1 and numbers.max() > 1
    for number in range(1, numbers.max() + 1):
        above = points[numbers == number - 1]
        for point in points[numbers == number]:
            assert ((above >= point).all(1) & (above > point).any(1)).any()


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_hypervolume_agrees_with_counting(objectives: int, rng: np.random.Generator) -> None:
    points = rng.integers(-2, 9, (12, objectives)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(9) + 0.5] * objectives, indexing="ij"), -1).reshape(
        -1, objectives
    )
    counted = np.any((cells[:, None] < points).all(2), axis=1).sum()
    assert hypervolume(points, np.zeros(objectives)) == pytest.approx(counted)


def test_points_along_directions(rng: np.random.Generator) -> None:
    """Near the front and along all of it; few points are all taken, unknown ones never."""
    points = rng.random((800, 2))
    points = points[np.linalg.norm(points, axis=1) < 1.0]
    chosen = along_directions(points, 40, generator=rng)
    assert len(set(chosen.tolist())) == 40
    assert (ranks(points)[chosen] <= 6).all()
    assert (points[chosen].min(axis=0) < 0.2).all() and (points[chosen].max(axis=0) > 0.95).all()
    points[:3] = np.nan
    np.testing.assert_array_equal(along_directions(points[:5], 40, generator=rng), [3, 4])
    many = along_directions(points[:60], 50, generator=rng)
    assert len(set(many.tolist())) == 50 and many.min() >= 3


def test_shares_of_a_box(rng: np.random.Generator) -> None:
    better, worse = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.5, 0.0], [0.0, 0.5]])
    first, second = shares_of_box(better, worse)
    assert first == pytest.approx((0.1 * 1.1 * 2 - 0.01) / 1.21) and 0.0 < second < first
    assert shares_of_box(better, np.empty((0, 2)))[1] == 0.0 and shares_of_box(np.empty((0, 2))) == [0.0]
    assert shares_of_box([[2.0, 3.0]], [[2.0, 3.0]])[0] > 0.0


def test_a_front_of_given_cells(rng: np.random.Generator) -> None:
    names = ("gaussian", "fibres", "pores")
    volumes = np.stack([sample(name, 16, relative=True, generator=rng).volume for name in names])
    targets = parse("density=:2.2", maximize=["E_x"], minimize=["density"])
    cells = predicted_properties(volumes, targets, PAIR)
    front = pareto_front(targets, volumes, cells)
    assert 1 <= len(front.rows) <= front.feasible <= 3
    np.testing.assert_array_equal(front.volumes, volumes[front.rows])
    np.testing.assert_array_equal(front.values, front.properties.values(["density", "E_x"]))
    assert non_dominated(objective_values(targets, front.properties)).all()
    assert front.reference[1] <= front.values[:, 1].min() and front.reference[0] >= front.values[:, 0].max()
    with pytest.raises(InputError, match="two or three objectives for a Pareto front, got 1"):
        pareto_front(parse("E_x=max"), volumes, cells)
    far = parse("E_y=0.1:0.2", maximize=["E_x", "E_z"])
    with pytest.raises(InputError, match=r"no candidate of 3 .* the nearest is .* % off"):
        pareto_front(far, volumes, cells)
    limits = Constraints(symmetry="cubic")
    with pytest.raises(InputError, match="0 meet the constraints"):
        pareto_front(targets, volumes, cells, constraints=limits)


def test_few_points_cover_most_of_what_a_front_dominates(rng: np.random.Generator) -> None:
    angle = np.sort(rng.uniform(0.0, np.pi / 2, 300)) ** 2 / (np.pi / 2)  # dense at one end
    front = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.concatenate([front, 0.9 * front, [[np.nan, 2.0]]])
    chosen = covering(points, 24, generator=rng)
    assert len(set(chosen.tolist())) == 24 and non_dominated(points)[chosen].all()
    assert {0, 299} <= set(chosen.tolist())  # both ends
    base = np.array([-0.1, -0.1])
    whole = hypervolume(front, base)
    assert hypervolume(points[chosen], base) > 0.97 * whole
    some = rng.choice(300, 24, replace=False)
    assert hypervolume(points[chosen], base) > hypervolume(points[some], base)


def test_candidates_hold_the_front_and_what_lies_behind_it(rng: np.random.Generator) -> None:
    points = rng.normal(size=(400, 3))
    chosen = reaching(points, 100, generator=rng)
    assert len(set(chosen.tolist())) == 100
    assert np.isin(np.flatnonzero(non_dominated(points)), chosen).all()
