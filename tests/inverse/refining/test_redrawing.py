"""Searches that stall go on from another volume of the mode, where predictions find one that is nearer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, meet, satisfied
from vaereg.inverse.designs import Designs, with_volumes
from vaereg.inverse.direct import design
from vaereg.inverse.refining import redrawing as module
from vaereg.inverse.refining.redrawing import DRAWS, drawn_anew, gone_on_elsewhere, origins_of
from vaereg.inverse.refining.refinement import begin, refine, refine_all
from vaereg.inverse.refining.restarts import RESTARTS
from vaereg.inverse.refining.search import Best, Search
from vaereg.materials import Phase, TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.targets import parse

HARD = TwoPhase(Phase("", 3000.0, 0.2), Phase("", 1.0, 0.3))
WANTED = parse(["C11=900", "C22=500", "C33=300"])


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return load_checkpoint()


@pytest.fixture(scope="module")
def designs(shipped: Checkpoint) -> Designs:
    return design(shipped, WANTED, 2, 16, materials=HARD, component=[5, 10], seed=1, only_plausible=False)


@pytest.fixture(autouse=True)
def few_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DESIGNS", 3)


def stalled(designs: Designs) -> Search:
    """A search 20 % off its target, for which nothing is left to be shaken."""
    search = begin(designs.microstructures[0], WANTED, HARD, origin=origins_of(designs)[0])
    best = Best(volume=search.start, largest_distance=0.2, quantities=np.ones(3))
    return replace(search, best=best, restarts=RESTARTS)


def test_another_volume_of_the_mode_is_nearer(designs: Designs, shipped: Checkpoint) -> None:
    """It is of the same mode, of the same size, drawn anew each time, and tells what it was decoded from."""
    anew = drawn_anew(stalled(designs), rounds=DRAWS)
    assert anew is not None
    search, off = anew
    assert off <= 0.2 and search.draws >= 1 and search.volume.shape == (16, 16, 16)
    assert search.drawn is not None and not search.shaken and search.base is None
    assert search.drawn.recipe["class"] == designs.modes[designs.component[0]]
    assert not np.allclose(search.drawn.latent, designs.latent[0])
    again = drawn_anew(stalled(designs), rounds=DRAWS)
    assert again is not None
    np.testing.assert_array_equal(again[0].volume, search.volume)
    later = drawn_anew(replace(stalled(designs), draws=search.draws), rounds=1)
    assert later is None or (later[0].volume != search.volume).any()
    told = with_volumes(shipped, designs, search.volume[None], [0], [search.drawn])
    np.testing.assert_array_equal(told.latent[0], search.drawn.latent)
    assert told.realisation[0] == search.drawn.realisation
    assert not np.array_equal(told.latent[0], designs.latent[0])


def test_what_is_drawn_meets_the_constraints(designs: Designs) -> None:
    limits = Constraints(no_islands=True)
    search = stalled(designs)
    start = meet(search.start, limits)
    search = replace(search, start=start, constraints=limits, best=replace(search.best, volume=start))
    anew = drawn_anew(search, rounds=DRAWS)
    assert anew is not None and satisfied(anew[0].volume, limits)


def test_nothing_is_drawn_where_that_cannot_be(designs: Designs, tmp_path: Path) -> None:
    search = stalled(designs)
    assert search.origin is not None
    for origin in (
        None,
        replace(search.origin, made_by="another"),
        replace(search.origin, checkpoint=str(tmp_path / "elsewhere.pt")),
        replace(search.origin, component=99),
    ):
        assert drawn_anew(replace(search, origin=origin), rounds=DRAWS) is None
    flat = replace(search, start=search.start[:, :, :8])
    assert drawn_anew(flat, rounds=DRAWS) is None
    assert drawn_anew(replace(search, targets=parse(["C11=900"], maximize=["C22"])), rounds=1) is None
    with pytest.raises(InputError, match="origins"):
        refine_all(designs.microstructures, WANTED, HARD, origins=[None])


def test_what_is_predicted_to_be_nearer_is_gone_on_from(
    designs: Designs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shaken volume well within the tolerance is taken at once, otherwise the nearer of both volumes."""
    search, drawn = replace(stalled(designs), restarts=0), 0
    shaken_off, drawn_off = 0.005, 0.03

    def begun(search: Search, *, last: bool) -> tuple[Search, float]:
        return replace(search, restarts=2, shaken=True), shaken_off

    def drawing(search: Search, *, rounds: int) -> tuple[Search, float]:
        nonlocal drawn
        drawn += 1
        return replace(search, draws=search.draws + 1, avoided=(7,)), drawn_off

    monkeypatch.setattr(module, "begun_anew", begun)
    monkeypatch.setattr(module, "drawn_anew", drawing)
    anew, found = gone_on_elsewhere(search, last=False)
    assert found and anew.shaken and drawn == 0
    shaken_off = 0.04
    anew, found = gone_on_elsewhere(search, last=False)
    assert found and anew.avoided == (7,) and (anew.restarts, anew.draws, drawn) == (2, 1, 1)
    drawn_off = 0.05
    anew, found = gone_on_elsewhere(search, last=False)
    assert found and anew.shaken and (anew.restarts, anew.draws) == (2, 1)


def test_a_search_that_nothing_is_nearer_for_ends(designs: Designs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "begun_anew", lambda search, last: None)
    monkeypatch.setattr(module, "_drawn", lambda search, checkpoint, origin: None)
    search, found = gone_on_elsewhere(stalled(designs), last=False)
    assert not found and search.draws == 1
    search, found = gone_on_elsewhere(search, last=True)
    assert not found and search.draws == DRAWS


def test_a_start_that_leads_nowhere_is_no_end(designs: Designs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result says that it is of another volume; without the model the same search ends short of it."""
    monkeypatch.setattr(module, "begun_anew", lambda search, last: None)
    nowhere = np.zeros((16, 16, 16), dtype=np.uint8)
    nowhere[:, :, :5] = 1  # one plate, of which nothing carries along z
    origin = origins_of(designs)[0]
    alone = refine(nowhere, WANTED, HARD, max_solves=12)
    result = refine(nowhere, WANTED, HARD, max_solves=12, origin=origin)
    assert not alone.converged and alone.drawn is None
    assert result.converged and result.drawn is not None and "another volume" in result.begun_words
    assert result.history[0].largest_distance == alone.history[0].largest_distance
