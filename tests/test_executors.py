"""The seam that work over volumes goes through: own processes or any executor, retried, in any order."""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vaereg import executors
from vaereg.errors import InputError
from vaereg.executors import ExecutorLostError, check_workers, map_tasks, run_tasks


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert list(map_tasks(os.path.basename, ["a/1", "b/2", "c/3"], workers)) == ["1", "2", "3"]


def test_errors_of_processes_arrive() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_tasks(int, ["1", "one"], 2))


@pytest.mark.parametrize("seconds", [0, 60])
@pytest.mark.parametrize("lag", [0.0, 0.5])
def test_processes_end_when_results_are_no_longer_wanted(
    seconds: int, lag: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, in the middle of a task, and without an error in a thread of the pool (which fails a test)."""
    shut_down = ProcessPoolExecutor.shutdown

    def late(executor: ProcessPoolExecutor, **options: bool) -> None:
        time.sleep(lag)  # The processes have ended before.
        shut_down(executor, **options)

    monkeypatch.setattr(ProcessPoolExecutor, "shutdown", late)
    results = map_tasks(time.sleep, [0] * 4 + [seconds] * 36, 2)
    assert next(iter(results)) is None
    start = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
    assert time.monotonic() - start < 30


class BackwardExecutor(Executor):
    """Does three jobs at a time, the newest first; is lost after so many jobs."""

    def __init__(self, jobs: float = float("inf")) -> None:
        self.jobs = jobs
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.cancelled = 0

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, partial(fn, *args, **kwargs)))
        future.add_done_callback(self.count)
        if len(self.waiting) == 3:
            self.work()
        return future

    def count(self, future: Future[Any]) -> None:
        self.cancelled += future.cancelled()

    def work(self) -> None:
        for future, call in reversed(self.waiting):
            self.jobs -= 1
            if self.jobs < 0:
                future.set_exception(ExecutorLostError("the scheduler is gone"))
            else:
                future.set_result(call())
        self.waiting = []


def test_the_order_of_an_executor_does_not_matter() -> None:
    tasks = ["a/1", "b/2", "c/3", "d/4", "e/5", "f/6"]
    finished = list(run_tasks(os.path.basename, tasks, BackwardExecutor()))
    assert [number for number, _ in finished] == [1, 0, 2, 4, 3, 5]
    assert list(map_tasks(os.path.basename, tasks, BackwardExecutor())) == ["1", "2", "3", "4", "5", "6"]


def test_an_executor_holds_a_bounded_number_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "OUTSTANDING", 3)
    with ThreadPoolExecutor(2) as threads:
        held: list[int] = []
        submit = threads.submit

        def counted(*arguments: Any) -> Future[Any]:  # noqa: ANN401
            held.append(threads._work_queue.qsize())
            return submit(*arguments)

        monkeypatch.setattr(threads, "submit", counted)
        assert list(map_tasks(abs, range(20), threads)) == list(range(20))
    assert len(held) == 20 and max(held) <= 3


def test_what_is_no_longer_wanted_is_cancelled() -> None:
    executor = BackwardExecutor()
    results = map_tasks(abs, range(5), executor)
    assert next(iter(results)) == 0
    results.close()  # type: ignore[attr-defined]
    assert executor.cancelled == 2


def test_where_an_executor_is_lost_processes_here_do_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    tasks = ["a/1", "b/2", "c/3", "d/4", "e/5", "f/6"]
    assert list(map_tasks(os.path.basename, tasks, BackwardExecutor(4), stand_in=1)) == list("123456")
    (record,) = caplog.records
    assert record.getMessage() == "the scheduler is gone: 2 of 6 tasks are done here"
    with pytest.raises(ExecutorLostError, match="gone"):
        list(map_tasks(os.path.basename, tasks, BackwardExecutor(4)))


def end_worker_once(marks: Path, number: int) -> int:
    """End the worker process at the first call with an even number."""
    mark = marks / str(number)
    if number % 2 == 0 and not mark.exists():
        mark.touch()
        os._exit(9)
    return number


def test_tasks_of_workers_that_die_are_done_once_more(tmp_path: Path) -> None:
    assert list(map_tasks(partial(end_worker_once, tmp_path), range(3), 2)) == [0, 1, 2]
    assert {mark.name for mark in tmp_path.iterdir()} == {"0", "2"}


def test_a_task_that_always_ends_its_worker_is_given_up() -> None:
    with pytest.raises(BrokenProcessPool, match=r"died 3 times in a row without a result, 2 of 2 tasks"):
        list(map_tasks(os._exit, [9, 9], 2))


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(workers: int) -> None:
    with pytest.raises(InputError, match=f"at least one worker, got {workers}"):
        check_workers(workers)


def test_a_lost_executor_is_an_error_that_the_command_line_states() -> None:
    assert issubclass(ExecutorLostError, BrokenExecutor)
