"""Work over many volumes, through one seam: worker processes of this machine, or any executor.

A function of a module goes out with plain data and comes back with plain data. A task whose worker process
dies is done once more; the order in which tasks are finished never matters to a result.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

from vaereg.errors import InputError
from vaereg.workers import worker_processes

__all__ = ["ExecutorLostError", "TaskGivenUpError", "Workers", "check_workers", "map_tasks", "run_tasks"]

Task = TypeVar("Task")
Result = TypeVar("Result")
Workers: TypeAlias = int | Executor
"""Number of processes of one thread each on this machine, or an executor: of processes, of a cluster."""

MAX_DEATHS = 3
"""Sets of worker processes in a row that may die without one result before the work is given up."""
OUTSTANDING = 4096
"""Tasks that an executor holds at once: enough for the workers of a cluster, and no more memory than that."""

_logger = logging.getLogger(__name__)


class ExecutorLostError(BrokenExecutor):
    """The executor is gone for good, as a cluster whose scheduler has ended."""


class TaskGivenUpError(BrokenExecutor):
    """A task is given up because the workers that did it died; others may go on."""


def check_workers(workers: Workers) -> None:
    """Raise an `InputError` unless there is at least one worker."""
    if not isinstance(workers, Executor) and workers < 1:
        raise InputError(f"expected at least one worker, got {workers}")


def map_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: Workers, *, stand_in: int = 0
) -> Iterator[Result]:
    """Results of a function in the order of its tasks.

    Args:
        function: Of a module, so that processes find it by name.
        tasks: Its arguments.
        workers: Number of processes, or an executor; with one process, all is computed in this one.
        stand_in: As in `run_tasks`.
    """
    if not isinstance(workers, Executor) and (workers == 1 or len(tasks) < 2):
        yield from map(function, tasks)
        return
    early: dict[int, Result] = {}
    place = 0
    with closing(run_tasks(function, tasks, workers, stand_in=stand_in)) as finished:
        for number, result in finished:
            early[number] = result
            while place in early:
                yield early.pop(place)
                place += 1


def run_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: Workers, *, stand_in: int = 0
) -> Generator[tuple[int, Result], None, None]:
    """Number and result of every task, in the order in which they are finished.

    Args:
        function: Of a module, so that processes find it by name.
        tasks: Its arguments.
        workers: Number of processes of one thread each, or an executor. Where it is left before its end, the
            processes end at once; an executor loses the tasks that have not begun.
        stand_in: Number of processes of this machine that do what is left where the executor is gone; with 0
            the error is raised.

    Raises:
        BrokenExecutor: Worker processes died again and again, or the executor is gone.
    """
    open_tasks = dict(enumerate(tasks))
    if isinstance(workers, Executor):
        try:
            yield from _finished(workers, function, open_tasks, cancel=True)
        except ExecutorLostError as error:
            if not stand_in:
                raise
            _logger.warning("%s: %d of %d tasks are done here", error, len(open_tasks), len(tasks))
            workers = stand_in
    deaths = 0
    while open_tasks and not isinstance(workers, Executor):
        before = len(open_tasks)
        try:
            with worker_processes(min(workers, before)) as executor:
                # Its futures are not cancelled: the pool of Python 3.11 that breaks because its processes end
                # fails at a future that is.
                yield from _finished(executor, function, open_tasks, cancel=False)
        except BrokenProcessPool as error:
            deaths = deaths + 1 if len(open_tasks) == before else 1
            if deaths == MAX_DEATHS:
                raise BrokenProcessPool(
                    f"worker processes died {deaths} times in a row without a result, {len(open_tasks)} of "
                    f"{len(tasks)} tasks are left: another program ended them, or there is too little memory"
                ) from error


def _finished(
    executor: Executor, function: Callable[[Task], Result], open_tasks: dict[int, Task], *, cancel: bool
) -> Generator[tuple[int, Result], None, None]:
    """Number and result of every task as it is finished, which is then taken from `left`."""
    ended_futures: SimpleQueue[Future[Result]] = SimpleQueue()
    numbers: dict[Future[Result], int] = {}
    waiting = iter(list(open_tasks))
    try:
        while True:
            for number in islice(waiting, OUTSTANDING - len(numbers)):
                future = executor.submit(function, open_tasks[number])
                numbers[future] = number
                future.add_done_callback(ended_futures.put)
            if not numbers:
                return
            future = ended_futures.get()
            number = numbers.pop(future)
            result = future.result()
            del open_tasks[number]
            yield number, result
    except BrokenExecutor:
        while not ended_futures.empty():  # what was finished before
            future = ended_futures.get()
            number = numbers.pop(future)
            if not future.cancelled() and future.exception() is None:
                result = future.result()
                del open_tasks[number]
                yield number, result
        raise
    finally:
        if cancel:
            for future in numbers:
                future.cancel()
