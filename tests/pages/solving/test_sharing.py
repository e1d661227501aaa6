"""Servers that share a folder: a volume is solved once, limits hold over all, deaths and damage are told."""

import pickle
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from manual import ManualExecutor

from pages.parts.solving import queue as queue_module, shared_folder, sharing
from pages.parts.solving.queue import MeshTask, QueueFullError, SolverQueue
from pages.parts.solving.shared_folder import FOLDER, LAPSE, SharedFolder, open_shared_folder, result_key
from vaereg.materials import Phase, TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize

VOLUMES = [(np.indices((6, 6, 6)).sum(0) % 4 < part).astype(np.uint8) for part in (1, 2, 3)]
KEY = "a" * 64


class Marked:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[tuple[SolverQueue, ManualExecutor]]]:
    """Queues of two servers that share a folder, with their workers."""
    pairs = []
    for _ in range(2):
        executor = ManualExecutor()
        queue = SolverQueue(
            2, start=lambda workers, executor=executor: executor, shared=SharedFolder(tmp_path / "shared")
        )
        executor.after = queue.settle
        pairs.append((queue, executor))
    yield pairs
    for queue, _ in pairs:
        queue.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SharedFolder]:
    opened = SharedFolder(tmp_path / "shared")
    yield opened
    opened.close()


def test_a_result_comes_back_to_the_last_digit(folder: SharedFolder) -> None:
    pair = TwoPhase.from_moduli(1.0, 0.0)
    for volume, materials in ((VOLUMES[0], None), (VOLUMES[1], pair)):
        result = homogenize(volume, materials, rtol=1e-3)
        folder.keep(KEY, result)
        got = folder.result(KEY)
        assert isinstance(got, HomogenizationResult)
        np.testing.assert_array_equal(got.stiffness, result.stiffness)
        np.testing.assert_array_equal(got.history, result.history)
        assert (got.iterations, got.residual, got.unloaded) == (
            result.iterations,
            result.residual,
            result.unloaded,
        )
    folder.keep(KEY, ConvergenceError("too few"))
    assert str(folder.result(KEY)) == "too few"
    folder.keep("b", ValueError("a bug is not kept"))
    assert folder.result("b") is None


def test_the_key_says_what_a_result_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    name = volume_hash(VOLUMES[0])
    reference = TwoPhase()
    named = TwoPhase(Phase("steel", 120.0, 0.3, density=7.8), reference.soft)
    keys = {result_key(name, pair) for pair in (None, reference, named)}
    assert len(keys) == 1
    others = {result_key(volume_hash(VOLUMES[1]), None), result_key(name, TwoPhase.from_moduli(nu_soft=0.2))}
    monkeypatch.setattr(shared_folder, "solver_settings", lambda pair: {"rtol": 1e-4, "dtype": np.float64})
    others.add(result_key(name, None))
    monkeypatch.setattr(shared_folder, "_versions", lambda: {"vaereg": "9.9.9"})
    others.add(result_key(name, None))
    assert len(others) == 4 and not keys & others


def test_a_volume_is_solved_once_by_two_servers(servers: list[tuple[SolverQueue, ManualExecutor]]) -> None:
    (first, its), (second, others) = servers
    first.watch("a", VOLUMES)
    second.watch("b", VOLUMES)
    assert (len(its.jobs), len(others.jobs)) == (2, 1), "the second server takes what is left"
    its.finish()
    others.finish()
    assert first.watch("a", VOLUMES)[2] is not None
    for mine, other in zip(first.outcomes(VOLUMES), second.watch("b", VOLUMES), strict=True):
        assert isinstance(mine, HomogenizationResult) and isinstance(other, HomogenizationResult)
        np.testing.assert_array_equal(mine.stiffness, other.stiffness)
    assert len(its.order) + len(others.order) == len(VOLUMES)
    assert not its.jobs and not others.jobs


def test_the_same_volume_of_other_phases_is_another_one(
    servers: list[tuple[SolverQueue, ManualExecutor]],
) -> None:
    (first, its), (second, others) = servers
    pairs = [TwoPhase(), TwoPhase.from_moduli(1.0, 0.5)]
    first.watch("a", VOLUMES[:1], pairs[0])
    its.finish()
    known, unknown = second.watch("b", [VOLUMES[0], VOLUMES[0]], pairs)
    assert known is not None and unknown is None and len(others.jobs) == 1


def test_a_failure_is_shared_too(
    servers: list[tuple[SolverQueue, ManualExecutor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConvergenceError("no")

    monkeypatch.setattr(queue_module, "homogenize", fail)
    (first, its), (second, others) = servers
    first.watch("a", VOLUMES[:1])
    its.finish()
    (outcome,) = second.watch("b", VOLUMES[:1])
    assert isinstance(outcome, ConvergenceError) and not others.jobs


def test_what_a_dead_server_had_begun_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("diskcache.core.time", SimpleNamespace(time=lambda: now[0], sleep=time.sleep))
    dead, alive = (SharedFolder(tmp_path / "shared") for _ in range(2))
    try:
        assert dead.claim(KEY) and dead.claim(KEY) and not alive.claim(KEY)
        dead.admit(lambda others: {"owner": {"task"}})
        now[0] += 0.6 * LAPSE
        dead.renew([KEY])
        now[0] += 0.6 * LAPSE
        assert not alive.claim(KEY), "the claim was renewed"
        now[0] += 0.6 * LAPSE
        assert alive.claim(KEY)
        seen: list[object] = []
        alive.admit(lambda others: seen.append(dict(others)) or {})
        assert seen == [{}]
    finally:
        dead.close()
        alive.close()


def test_limits_hold_over_all_servers(
    servers: list[tuple[SolverQueue, ManualExecutor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "SESSION_TASKS", 2)
    monkeypatch.setattr(sharing, "ALL_TASKS", 3)
    tasks = [MeshTask(volume=volume) for volume in VOLUMES]
    (first, its), (second, _) = servers
    first.start("session at one", tasks[:2], owner="tab")
    with pytest.raises(QueueFullError, match="got 3 and 3"):
        second.start("session at two", tasks[2:], owner="tab")
    second.start("another", tasks[2:], owner="other tab")
    with pytest.raises(QueueFullError, match="got 2 and 4"):
        second.start("another", [MeshTask(volume=1 - VOLUMES[0])], owner="other tab")
    its.finish()
    second.start("session at two", [MeshTask(volume=1 - VOLUMES[0])], owner="tab")


def entry(folder: Path, value: object, mode: int) -> None:
    """Put a value into the file of the results, past all checks."""
    with sqlite3.connect(folder / "results" / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = ?, mode = ?", (value, mode))


def test_damaged_entries_are_solved_again_and_nothing_is_unpickled(
    tmp_path: Path, folder: SharedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    from diskcache import core

    result, mark = homogenize(VOLUMES[0], rtol=1e-3), tmp_path / "mark"
    damages = [("abc", core.MODE_RAW), (7, core.MODE_RAW), (pickle.dumps(Marked(mark)), core.MODE_PICKLE)]
    for value, mode in damages:
        folder.keep(KEY, result)
        entry(tmp_path / "shared", value, mode)
        assert folder.result(KEY) is None
        assert folder.result(KEY) is None, "it is gone"
    assert len(caplog.records) == len(damages) and not mark.exists()
    with pytest.raises(TypeError, match="expected a text to keep, got bytes"):
        folder._results.set(KEY, b"bytes")


def test_a_folder_that_cannot_be_used_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert open_shared_folder() is None and not caplog.records
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    assert open_shared_folder() is None
    (tmp_path / "bad" / "results").mkdir(parents=True)
    (tmp_path / "bad" / "results" / "cache.db").write_bytes(b"no data base" * 1000)
    monkeypatch.setenv(FOLDER, str(tmp_path / "bad"))
    assert open_shared_folder() is None
    assert len(caplog.records) == 2


def test_work_goes_on_where_the_folder_fails(
    servers: list[tuple[SolverQueue, ManualExecutor]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import diskcache

    def fail(*args: object, **kwargs: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for name in ("get", "set", "add", "delete", "transact"):
        monkeypatch.setattr(diskcache.Cache, name, fail)
    queue, executor = servers[0]
    queue.watch("a", VOLUMES)
    queue.start("a", [MeshTask(volume=VOLUMES[0])])
    executor.finish()
    assert all(queue.outcomes(VOLUMES))
    (record,) = caplog.records
    assert "database or disk is full" in record.getMessage()
