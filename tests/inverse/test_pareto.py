"""Pareto fronts: dominance and hypervolume against brute force, and a front of predicted cells."""

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.constraints import Constraints, satisfied
from vaereg.inverse.pareto import (
    hypervolume,
    non_dominated,
    objective_values,
    pareto_front,
    ranks,
    search_front,
)
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


def test_a_front_dominates_its_own_random_subset(rng: np.random.Generator) -> None:
    volumes = np.stack(
        [
            sample(name, 16, relative=True, generator=rng).volume
            for name in ("gaussian", "fibres", "pores") * 4
        ]
    )
    drawn = iter(volumes)
    targets = parse("density=:2.2", maximize=["E_x"], minimize=["density"])
    limits = Constraints(no_closed_pores=True)

    def draw(number: int) -> np.ndarray:
        return np.stack([next(drawn) for _ in range(number)])

    done: list[tuple[int, int]] = []
    front = search_front(
        targets,
        PAIR,
        draw,
        count=12,
        constraints=limits,
        on_progress=lambda *item: done.append(item),
    )
    assert done[-1] == (12, 12) and front.candidates == 12 and 1 <= len(front.volumes) <= front.feasible
    assert all(satisfied(volume, limits) for volume in front.volumes)
    assert (np.diff(front.values, axis=0) > 0.0).all()  # stiffer is heavier
    assert non_dominated(objective_values(targets, front.properties)).all()
    subset = rng.permutation(len(front.volumes))[: max(1, len(front.volumes) // 2)]
    part = pareto_front(targets, front.volumes[subset], front.properties.rows(subset))
    values = objective_values(targets, front.properties)
    reference = values.min(axis=0) - 1.0
    assert hypervolume(values[subset], reference) <= hypervolume(values, reference)
    assert len(part.volumes) == len(subset)


def test_fronts_that_cannot_be(rng: np.random.Generator) -> None:
    volumes = np.stack([sample("gaussian", 16, relative=True, generator=rng).volume])
    with pytest.raises(InputError, match="two or three objectives for a Pareto front, got 1"):
        search_front(parse("E_x=max"), PAIR, lambda number: volumes, count=1)
    targets = parse("E_y=0.1:0.2", maximize=["E_x", "E_z"])
    with pytest.raises(InputError, match=r"no candidate of 1 .* the nearest is .* % off"):
        search_front(targets, PAIR, lambda number: volumes, count=1, steps=0)
