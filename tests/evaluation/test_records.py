"""Records of the benchmarks: what is read, and what a refinement's searches come to."""

import json
from pathlib import Path

import numpy as np
import pytest

from vaereg.evaluation.records import (
    comparable_baselines,
    comparable_runs,
    error_curve,
    read_record,
    solves_table,
    solves_to_reach,
    summarize_solves,
)

RUNS = [
    {"kind": "three", "start": "design", "errors": [0.1, 0.03, 0.009]},
    {"kind": "three", "start": "design", "errors": [0.04, 0.05, 0.015, 0.005, 0.005]},
    {"kind": "three", "start": "design", "errors": [0.008]},
    {"kind": "three", "start": "graded", "errors": [0.6, 0.009], "error_of_the_cut": 0.3},
    {"kind": "one", "start": "random", "errors": [0.9, 0.8]},
]


def test_the_first_solve_within_the_level_counts() -> None:
    assert solves_to_reach(RUNS, 0.05).tolist() == [2.0, 1.0, 1.0, 2.0, np.inf]
    assert solves_to_reach(RUNS, 0.01).tolist() == [3.0, 4.0, 1.0, 2.0, np.inf]
    assert solves_to_reach([], 0.01).shape == (0,)


def test_a_lower_level_never_takes_fewer_solves() -> None:
    rng = np.random.default_rng(0)
    runs = [{"errors": rng.lognormal(-3.0, 1.0, 12)} for _ in range(50)]
    counts = [solves_to_reach(runs, level) for level in (0.05, 0.02, 0.01)]
    assert (counts[0] <= counts[1]).all() and (counts[1] <= counts[2]).all()


def test_the_curve_never_rises_and_keeps_what_was_reached() -> None:
    curve = error_curve(RUNS[:3])
    np.testing.assert_allclose(curve, [0.04, 0.03, 0.009, 0.008, 0.008])
    assert (np.diff(curve) <= 0).all()
    assert error_curve([]).shape == (0,)


def test_kinds_and_starts_are_told_apart() -> None:
    item, three, graded = summarize_solves(RUNS)
    assert (item.kind, item.start, item.targets) == ("one", "random", 1)
    assert item.median_solves[0.05] == np.inf and item.within_few == 0.0
    assert (three.start, three.targets, three.median_solves[0.01]) == ("design", 3, 3.0)
    assert three.within_few == 1.0 and three.final_distance == 0.008
    assert graded.final_distance == 0.3  # of the two-phase volume, not of the graded field


def test_the_table_has_a_line_per_kind_and_start() -> None:
    lines = solves_table(RUNS).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert "not reached" in lines[2] and "100%" in lines[3]


@pytest.mark.parametrize("content", ["no json", "[]", '{"benchmark": "another"}', b"\xff\xfe\x00"])
def test_what_is_no_record_is_refused(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="refinement"):
        read_record(path, "refinement")


def test_a_record_is_read(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"benchmark": "refinement", "figures": RUNS}))
    assert read_record(path, "refinement")["figures"] == RUNS


def test_only_baselines_of_the_same_volumes_are_compared() -> None:
    plan, baselines = {"seed": 1, "count": 9}, {"volume fraction": {"test": {}}}
    metrics = {"data": plan | {"split": "test"}, "held_out": {"guided": {"by_family": {"voronoi": {}}}}}
    record = {"settings": {"data": plan, "held_out": ["voronoi"]}, "figures": {"baselines": baselines}}
    assert comparable_baselines(metrics, record) == baselines
    assert comparable_baselines(metrics | {"data": plan | {"split": "test", "count": 5}}, record) == baselines
    assert comparable_baselines(metrics, None) == {}
    assert comparable_baselines({}, record) == {}
    rest = [
        metrics | {"data": plan | {"split": "test", "seed": 2}},
        metrics | {"data": plan | {"split": "val"}},
        metrics | {"held_out": {"guided": {"by_family": {}}}},
    ]
    assert not any(comparable_baselines(other, record) for other in rest)


def test_only_runs_on_the_same_encoder_are_compared() -> None:
    runs = {"paper": {"settings": {"encoder_of": "0123abcd"}}}
    record = {"figures": {"runs": runs}}
    assert comparable_runs("0123abcd", {}, record) == runs
    assert comparable_runs("ffff", {"continued from": "checkpoint 0123abcd (steps 3)"}, record) == runs
    assert comparable_runs("ffff", {}, record) == {}
    assert comparable_runs("0123abcd", {}, {"figures": {}}) == comparable_runs("ffff", {}, None) == {}
