"""Designs that carry nothing of what is asked for: pieces of a solid apart in a void."""

from dataclasses import replace

import numpy as np
import pytest

from vaereg.inverse import designs
from vaereg.inverse.direct import design
from vaereg.inverse.fronts.verified import design_front
from vaereg.inverse.idle import Idle, carries, idle_of
from vaereg.inverse.sampling import selecting
from vaereg.materials import choose_materials
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness
from vaereg.solver.homogenization import homogenize
from vaereg.targets import CellProperties, Targets, parse

POROUS = choose_materials("aluminium/void").pairs[0]


@pytest.fixture(scope="module")
def released() -> Checkpoint:
    return load_checkpoint()


def _solid() -> np.ndarray:
    """A particle, sheets normal to x, and a block with a pore, shape (3, 16, 16, 16)."""
    volumes = np.zeros((3, 16, 16, 16), dtype=np.uint8)
    volumes[0, 4:12, 4:12, 4:12] = 1
    volumes[1, 4:12] = 1
    volumes[2] = 1 - volumes[0]
    return volumes


def _solved(volumes: np.ndarray, targets: Targets) -> CellProperties:
    return CellProperties(
        stiffness=np.stack([homogenize(volume, POROUS, rtol=1e-5).stiffness for volume in volumes]),
        fraction=volumes.mean(axis=(1, 2, 3)),
        materials=POROUS,
    )


def test_predictions_are_zero_where_the_solver_finds_no_load() -> None:
    volumes = _solid()
    prediction = predict_stiffness(load_pair_model(), list(volumes), [POROUS])
    for volume, mean, std in zip(volumes, prediction.mean, prediction.std, strict=True):
        solved = homogenize(volume, POROUS, rtol=1e-6)
        np.testing.assert_allclose(mean, solved.stiffness, rtol=0.05, atol=0.5)
        np.testing.assert_allclose(mean[np.abs(solved.stiffness) < 1e-9], 0.0, atol=1e-6)
        assert not std[np.diag(solved.stiffness) == 0.0].any()


@pytest.mark.parametrize(
    ("texts", "maximize", "expected"),
    [
        (["alpha_x=23.1"], [], [False, False, True]),
        (["alpha_y=23.1"], [], [False, True, True]),
        (["nu_yz=0.1:"], [], [False, True, True]),
        ([], ["E_x"], [False, False, True]),
        ([], ["E_y"], [False, True, True]),
        (["E=5:"], [], [False, False, True]),
        (["density=:3"], [], [False, True, True]),
        (["E_x=:90"], [], [False, True, True]),
    ],
)
def test_what_is_asked_for_has_to_be_there(
    texts: list[str], maximize: list[str], expected: list[bool]
) -> None:
    targets = parse(texts, maximize=maximize)
    cells = _solved(_solid(), targets)
    assert carries(targets, cells).tolist() == expected
    idle = idle_of(targets, cells, np.arange(3), ["particles", "layers", "pores"])
    assert set(idle.counts) == {
        name
        for name, is_there in zip(("particles", "layers", "pores"), expected, strict=True)
        if not is_there
    }


def test_words() -> None:
    idle = Idle(counts={"particles": (4, 4), "layers": (1, 4)}, quantities=("E_x", "alpha"))
    modes, pieces = (
        "particles (4 of 4), layers (1 of 4)",
        "in pieces apart in the void, without E_x and alpha",
    )
    assert idle.words() == f"designs {pieces}, are left out: {modes}"
    assert replace(idle, kept=True).words() == f"some designs are {pieces}: {modes}"
    assert "carry no load at all" in Idle(counts={"particles": (1, 2)}).words()
    more = idle.joined(Idle(counts={"layers": (2, 3)}, quantities=("E_x",)))
    assert more.counts == {"particles": (4, 4), "layers": (3, 4)}
    assert not Idle()


@pytest.mark.parametrize(
    ("texts", "maximize"), [([], ["E_z"]), (["alpha_z=23.1:"], []), (["E_y=:11.8", "alpha_z=:23.1"], [])]
)
def test_what_design_calls_met_is_met_by_the_solver(
    released: Checkpoint, texts: list[str], maximize: list[str]
) -> None:
    targets = parse(texts, maximize=maximize)
    made = design(released, targets, 6, 16, materials=POROUS, corrections=1)
    solved = _solved(made.microstructures, targets)
    assert len(made.microstructures) == 6, "others take the places of those that are left out"
    assert np.isfinite(solved.values(targets.names)).all()
    assert np.isfinite(made.largest_deviation).all()
    np.testing.assert_allclose(
        targets.largest_deviation(solved), made.largest_deviation, atol=0.05, err_msg="as predicted"
    )
    if maximize:
        assert solved.values(maximize).min() > 0.0
    else:
        assert made.idle.counts and made.idle.quantities == ("alpha_z",)


def test_a_mode_that_is_asked_for_by_name_is_shown_with_the_truth(released: Checkpoint) -> None:
    targets = parse(["density=:0.5"], maximize=["E_x"])
    made = design(released, targets, 3, 16, materials=POROUS, component=0, corrections=1)
    solved = _solved(made.microstructures, targets)
    assert len(made.microstructures) == 3
    assert made.idle.kept and made.idle.counts["particles"][1] == 3
    np.testing.assert_array_equal(carries(targets, made.cells), carries(targets, solved))


def test_fronts_have_no_pieces_in_a_void(released: Checkpoint) -> None:
    targets = parse([], maximize=["E_x"], minimize=["density"])
    front = design_front(released, targets, 40, 16, materials=POROUS)
    assert front.values[:, 0].min() > 0.0


def test_a_request_that_all_candidates_lack_is_answered_with_the_truth(
    released: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (selecting, designs):
        monkeypatch.setattr(module, "carries", lambda targets, cells: np.zeros(len(cells), dtype=bool))
    made = design(released, parse([], maximize=["E_x"]), 3, 16, materials=POROUS)
    assert len(made.microstructures) == 3 and made.idle.kept
