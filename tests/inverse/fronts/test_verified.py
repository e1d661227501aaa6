"""Pareto fronts of designs: verified, none dominated, within targets and constraints, on file."""

import json
from pathlib import Path

import numpy as np
import pytest
from commandline import refused

from vaereg.cli import main
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, satisfied
from vaereg.inverse.fronts.pareto import hypervolume, non_dominated, objective_values
from vaereg.inverse.fronts.verified import DesignFront, design_front
from vaereg.inverse.sampling import judging
from vaereg.io.designs import read_designs
from vaereg.materials import Phase, TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import parse

PAIR = TwoPhase(Phase("", 70.0, 0.33, density=2.7), Phase("", 3.0, 0.35, density=1.2))
TARGETS = parse("volume_fraction=0.3:0.6", maximize=["E_x"], minimize=["density"])
LIMITS = Constraints(no_closed_pores=True)


@pytest.fixture(scope="module")
def checkpoint(modes_checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(modes_checkpoint_path)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def front(checkpoint: Checkpoint, told: list[tuple[int, int]]) -> DesignFront:
    return design_front(
        checkpoint,
        TARGETS,
        24,
        16,
        materials=PAIR,
        seed=1,
        constraints=LIMITS,
        on_progress=lambda *item: told.append(item),
    )


def test_a_front_is_verified_and_not_dominated(front: DesignFront, told: list[tuple[int, int]]) -> None:
    volumes = front.designs.microstructures
    assert 2 <= len(volumes) <= front.verified <= front.judged < front.candidates <= 24
    solved = homogenize(volumes[0], PAIR).stiffness
    np.testing.assert_allclose(front.properties.stiffness[0], solved, rtol=1e-9)
    values = objective_values(TARGETS, front.properties)
    assert non_dominated(values).all() and (np.diff(front.values[:, 0]) <= 0.0).all()
    np.testing.assert_array_equal(values, front.values * [1.0, -1.0])
    assert (TARGETS.largest_deviation(front.properties) <= 0.02).all()
    assert all(satisfied(volume, LIMITS) for volume in volumes) and front.designs.met.all()
    assert told[0][0] > 0 and told[-1][0] == told[-1][1] and len({total for _, total in told}) == 1


def test_a_front_dominates_its_own_random_subset(front: DesignFront, rng: np.random.Generator) -> None:
    values = objective_values(TARGETS, front.properties)
    reference = values.min(axis=0) - 1.0
    subset = rng.permutation(len(values))[: len(values) // 2]
    assert hypervolume(values[subset], reference) < hypervolume(values, reference)
    assert 0.0 < front.hypervolume <= 1.0 and 0.0 <= front.known_hypervolume <= 1.0


def test_a_front_on_file(
    tmp_path: Path, modes_checkpoint_path: Path, front: DesignFront, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command gives the designs of the function, with the solver's figures and the front."""
    materials = tmp_path / "pair.json"
    materials.write_text(json.dumps(PAIR.to_dict()))
    flags = ["design", "--target", "volume_fraction=0.3:0.6", "--maximize", "E_x", "--minimize", "density"]
    flags += ["--materials", materials, "--size", 16, "--seed", 1, "--corrections", 1, "--no-closed-pores"]
    flags += ["--checkpoint", modes_checkpoint_path, "--out", tmp_path / "front.h5"]
    assert main([*map(str, flags), "--pareto", "24"]) == 0
    assert "designs on the front by the solver, of 24 candidates" in capsys.readouterr().err
    stored = read_designs(tmp_path / "front.h5")
    np.testing.assert_array_equal(stored.microstructures, front.designs.microstructures)
    assert stored.stiffness is not None and stored.front == front.to_json()
    np.testing.assert_allclose(stored.stiffness, front.properties.stiffness)
    assert stored.front["objectives"] == {"E_x": "max", "density": "min"} and stored.wanted == TARGETS


def test_fronts_that_cannot_be(
    tmp_path: Path,
    checkpoint: Checkpoint,
    tiny_checkpoint: Checkpoint,
    tiny_checkpoint_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InputError, match="two or three objectives for a Pareto front, got 1"):
        design_front(checkpoint, parse("E_x=max"), materials=PAIR)
    with pytest.raises(InputError, match="checkpoint with modes"):
        design_front(tiny_checkpoint, TARGETS, materials=PAIR)
    with pytest.raises(InputError, match="candidates must be between 10 and 10000, got 3"):
        design_front(checkpoint, TARGETS, 3, materials=PAIR)
    with pytest.raises(InputError, match="density needs the density"):
        design_front(checkpoint, parse([], maximize=["E_x", "density"]))
    flags = ["design", "--maximize", "E_x", "--pareto", "--out", tmp_path / "d.h5"]
    line = refused(capsys, *flags, "--checkpoint", tiny_checkpoint_path)
    assert "expected two or three objectives for a Pareto front, got 1" in line


def test_fronts_go_on_beyond_the_training_volumes(checkpoint: Checkpoint) -> None:
    targets = parse([], maximize=["E_x"], minimize=["volume_fraction"])
    front = design_front(checkpoint, targets, 100, 16, seed=1)
    least, most = front.known_values[:, 1].min(), front.known_values[:, 1].max()
    assert front.values[:, 1].min() < 0.05 < least
    assert front.values[:, 1].max() > 0.95 > most
    assert front.hypervolume > front.known_hypervolume


def test_candidates_meet_constraints_once(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two cuts meets constraints, the first does not: that takes most of the time."""
    counts = []
    actual = judging.meet
    monkeypatch.setattr(judging, "meet", lambda *args: counts.append(1) or actual(*args))
    front = design_front(checkpoint, TARGETS, 12, 16, materials=PAIR, constraints=LIMITS)
    assert len(counts) == front.candidates
