"""Searches that stall begin anew: from volumes much like the best one, where predictions find them nearer."""

from dataclasses import replace

import numpy as np
import pytest

from vaereg.generators.families import gaussian_field
from vaereg.generators.morphologies import sample
from vaereg.inverse.refining import restarts as module
from vaereg.inverse.refining.refinement import begin, refine
from vaereg.inverse.refining.restarts import RESTARTS, begun_anew, passed_over, shaken
from vaereg.inverse.refining.search import FIRST_TRUST, Best, Search
from vaereg.materials import Phase, TwoPhase
from vaereg.solver.homogenization import homogenize
from vaereg.targets import Targets, parse

START = gaussian_field(16, (1.5, 2.0, 3.0), 0.4, generator=np.random.default_rng(1))


def stalled(targets: Targets, off: float = 0.1) -> Search:
    search = begin(START, targets)
    best = Best(volume=START, largest_distance=off, quantities=np.ones(1))
    return replace(search, best=best, trust=0.001, avoided=(3, 5), by_prediction=False)


@pytest.mark.parametrize("length", [1.0, 2.0])
def test_a_shaken_volume_is_much_like_it(length: float) -> None:
    one, other = (shaken(START, length, generator=np.random.default_rng(seed)) for seed in (0, 1))
    for volume in (one, other):
        assert abs(int(volume.sum()) - int(START.sum())) <= 1
        assert 0.005 < (volume != START).mean() < 0.12
    assert (one != other).mean() > 0.005
    np.testing.assert_array_equal(one, shaken(START, length, generator=np.random.default_rng(0)))


def test_a_search_begins_anew_from_what_is_predicted_to_be_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third volume is near enough; nothing that was learned of the former one is kept, but the best."""
    off = iter([0.09, 0.06, 0.04, 0.2, 0.2, 0.007])
    monkeypatch.setattr(module, "corrected", lambda search, volume: (volume, next(off)))
    search = stalled(parse(["C11=40"]))
    found = begun_anew(search, last=False)
    assert found is not None and found[1] == 0.04
    anew = found[0]
    assert anew.shaken and anew.restarts == 3 and anew.best is search.best
    assert not np.array_equal(anew.volume, START)
    assert (anew.base, anew.flips, anew.ratios, anew.avoided) == (None, None, None, ())
    assert anew.trust == FIRST_TRUST and anew.by_prediction
    assert begun_anew(anew, last=False) is None  # the fourth is not
    later = passed_over(replace(anew, history=anew.history + (None,) * 5))  # type: ignore[arg-type]
    assert (later.restarts, later.begun) == (4, 4)
    last = begun_anew(later, last=True)
    assert last is not None and last[0].restarts == 6 and passed_over(last[0]).restarts == RESTARTS


def test_objectives_and_what_predictions_do_not_see_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "corrected", lambda search, volume: (volume, 0.0))
    assert begun_anew(stalled(parse(["volume_fraction=0.3"])), last=True) is None
    assert begun_anew(stalled(parse(["C11=40"], maximize=["C22"])), last=True) is None
    assert begun_anew(replace(stalled(parse(["C11=40"])), restarts=RESTARTS), last=True) is None


def test_a_contact_that_is_open_or_closed_is_no_end() -> None:
    """Platelets in void: without another volume the search ends 20 % off, after two solves."""
    pair = TwoPhase(Phase("", 1.0, 0.2, conductivity=1.0), Phase("void", 0.0, 0.0, conductivity=0.0))
    generator = np.random.default_rng(0)
    volumes, stiffness = [], []
    while len(volumes) < 2:
        volume = sample("platelets", 12, relative=True, generator=generator).volume
        own = np.diag(homogenize(volume, pair, rtol=1e-5, dtype=np.float32).stiffness)
        if own.min() > 5e-3:
            volumes.append(volume)
            stiffness.append(own)
    wanted = parse([f"C{i}{i}={stiffness[1][i - 1]:.8g}" for i in (1, 2, 3)])
    result = refine(volumes[0], wanted, pair)
    assert result.converged and result.solves < 10
