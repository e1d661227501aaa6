"""The solver in the background: one bounded queue for all sessions, free of any user interface.

A session says again and again which volumes it shows (`watch`), and gets what is known of them. What nobody
shows any more is dropped from the queue; sessions take turns; a volume that several sessions show is solved
once.

Longer work is asked for once, as a task: `RefineTask` brings a volume onto a target, `MeshTask` solves it
on a finer grid. `start` takes tasks, the most promising first, `progress` says how far each one is, `cancel`
ends them. Tasks go on while their session is on other pages, or gone. A refinement is queued one solve at a
time, so that it never keeps another session waiting for longer than that.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.solving.tasks import (
    RTOL,
    TASK_NAMES,
    MeshTask,
    Progress,
    RefineTask,
    Task,
    Work,
    begin_work,
    solver_settings,
    volume_name,
)
from vaereg.elasticity import TwoPhase
from vaereg.inverse.refinement import Search
from vaereg.solver.grid_check import MeshCheck
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.workers import leave_with, limit_process_to_one_thread

__all__ = [
    "MeshTask",
    "Outcome",
    "Progress",
    "QueueFullError",
    "RefineTask",
    "SolverQueue",
    "prepare_kernels",
    "start_workers",
]

WORKERS = 2
NICENESS = 10
"""By how much the workers give way to the pages."""
FORGET_SESSION = 20.0
"""A session that has not asked for so long is taken as gone [s]."""
ABANDON_SESSION = 900.0
"""Tasks of a session that has not asked for so long are given up where others need the room [s]."""
KEEP_RESULTS = 4096
KEEP_TASKS = 512
"""Finished tasks that are remembered."""
SESSION_TASKS, ALL_TASKS = 48, 144
"""Unfinished tasks that one session, and all of them, may have."""

Outcome = HomogenizationResult | Exception | None
"""What is known of a volume: the solver's result, why there is none, or nothing yet."""

_Job = tuple[NDArray[np.uint8], TwoPhase | None]


class QueueFullError(RuntimeError):
    """There are too many unfinished tasks."""


@dataclass(slots=True)
class _Session:
    seen: float
    """When it last asked [s]."""
    jobs: dict[str, _Job] = field(default_factory=dict)
    """What the session shows, by hash, in the order in which it is wanted."""
    tasks: list[str] = field(default_factory=list)
    """Names of its unfinished tasks, in the order in which they are wanted."""


class SolverQueue:
    """Solves the volumes that sessions show, a few at a time, fairly."""

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        start: Callable[[int], Executor] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers = workers
        self._start = start or start_workers
        self._clock = clock
        self._lock = threading.RLock()
        self._executor: Executor | None = None
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._work: dict[str, Work] = {}
        self._finished: OrderedDict[str, Progress] = OrderedDict()
        self._running: dict[str, Future[Any]] = {}
        self._results: OrderedDict[str, HomogenizationResult | Exception] = OrderedDict()
        self._broken: set[str] = set()

    def watch(
        self, session: str, volumes: Sequence[NDArray[np.uint8]], materials: TwoPhase | None = None
    ) -> list[Outcome]:
        """Say what a session shows now, in place of what it showed before, and get what is known of it.

        Args:
            session: Name of the session.
            volumes: Two-phase volumes of shape (X, Y, Z), the most wanted first; none to end its interest.
            materials: The two phases; the reference pair if left out.
        """
        jobs = _jobs(volumes, materials)
        with self._lock:
            now = self._clock()
            one = self._sessions.setdefault(session, _Session(now))  # one that is there keeps its turn
            one.jobs, one.seen = jobs, now
            self._dispatch()
            self._forget_idle()
        return self.outcomes(volumes, materials)

    def outcomes(
        self, volumes: Sequence[NDArray[np.uint8]], materials: TwoPhase | None = None
    ) -> list[Outcome]:
        """What is known of volumes, whether or not they are shown."""
        names = [volume_name(volume, materials) for volume in volumes]
        with self._lock:
            for name in names:
                if name in self._results:
                    self._results.move_to_end(name)
            return [self._results.get(name) for name in names]

    def start(self, session: str, tasks: Sequence[Task]) -> None:
        """Queue tasks of a session, the most wanted first; what is under way or done is not begun anew.

        Raises:
            ValueError: A task cannot be done, such as for a target that is none.
            QueueFullError: The session, or all together, have too many unfinished tasks; none was queued.
        """
        work = {task.name: begin_work(task, session) for task in tasks}
        with self._lock:
            fresh = [name for name in work if not self._is_done(name)]
            one = self._sessions.setdefault(session, _Session(self._clock()))
            one.seen = self._clock()
            if len(self._work.keys() | set(fresh)) > ALL_TASKS:
                self._give_up_abandoned()
            own, every = set(one.tasks) | set(fresh), self._work.keys() | set(fresh)
            if len(own) > SESSION_TASKS or len(every) > ALL_TASKS:
                raise QueueFullError(
                    f"expected at most {SESSION_TASKS} unfinished tasks in a session and {ALL_TASKS} in all, "
                    f"got {len(own)} and {len(every)}"
                )
            for name in fresh:
                self._finished.pop(name, None)  # failed before: once more
                self._work.setdefault(name, work[name]).sessions.add(session)
                if name not in one.tasks:
                    one.tasks.append(name)
            self._dispatch()

    def progress(self, task: Task) -> Progress | None:
        """How far a task is; None where it was never started, or cancelled."""
        with self._lock:
            name = task.name
            if name in self._finished:
                self._finished.move_to_end(name)
                return self._finished[name]
            work = self._work.get(name)
            if work is None:
                return None
            return Progress(status="running" if work.begun else "waiting", history=work.history)

    def cancel(self, session: str, tasks: Iterable[Task]) -> None:
        """End unfinished tasks of a session, after the solve of the moment; those of others go on."""
        with self._lock:
            one = self._sessions.get(session)
            self._drop(session, [task.name for task in tasks if one is not None and task.name in one.tasks])
            self._forget_idle()
            self._dispatch()

    def waiting(self) -> int:
        """Number of volumes that are shown and not yet begun."""
        with self._lock:
            names = {name for one in self._sessions.values() for name in one.jobs}
            return len(names - self._running.keys() - self._results.keys())

    def close(self) -> None:
        """Stop the workers and forget what is queued."""
        with self._lock:
            self._sessions.clear()
            self._work.clear()
            executor, self._executor = self._executor, None
        if executor is not None:
            processes = dict(
                getattr(executor, "_processes", None) or {}
            )  # `kill_workers` from Python 3.14 on
            executor.shutdown(wait=False, cancel_futures=True)
            for process in processes.values():
                process.terminate()

    def close_with_program(self) -> None:
        """Let the program end without waiting for the solves of the moment, which may take a minute."""
        # `atexit` is too late: concurrent.futures has waited by then.
        threading._register_atexit(self.close)  # type: ignore[attr-defined]

    def _is_done(self, name: str) -> bool:
        return name in self._finished and self._finished[name].status == "done"

    def _drop(self, session: str, names: Iterable[str]) -> None:
        """End unfinished tasks of a session; those of others go on."""
        for name in list(names):
            self._sessions[session].tasks.remove(name)
            self._work[name].sessions.discard(session)
            if not self._work[name].sessions:
                del self._work[name]

    def _give_up_abandoned(self) -> None:
        """Make room: tasks of sessions that have shown nothing for long are ended."""
        now = self._clock()
        for session, one in self._sessions.items():
            if now - one.seen > ABANDON_SESSION:
                self._drop(session, one.tasks)

    def _forget_idle(self) -> None:
        for name in [name for name, one in self._sessions.items() if not one.jobs and not one.tasks]:
            del self._sessions[name]

    def _dispatch(self) -> None:
        while len(self._running) < self._workers:
            name = self._next()
            if name is None:
                return
            if self._executor is None:
                self._executor = self._start(self._workers)
            try:
                future = self._submit(self._executor, name)
            except BrokenProcessPool as error:
                self._replace_workers(name, self._executor, error)
                continue
            except RuntimeError:  # the program is about to end
                return
            self._running[name] = future
            future.add_done_callback(partial(self._finish, name, self._executor))

    def _next(self) -> str | None:
        """What the session that has waited longest for its turn wants most: volumes first, then tasks."""
        now = self._clock()
        for session in list(self._sessions):
            one = self._sessions[session]
            if now - one.seen > FORGET_SESSION:
                one.jobs = {}
            shown = (name for name in one.jobs if name not in self._results)
            for name in (*shown, *one.tasks):
                if name not in self._running:
                    self._sessions.move_to_end(session)
                    return name
        return None

    def _submit(self, executor: Executor, name: str) -> Future[Any]:
        if name in self._work:
            work = self._work[name]
            future = executor.submit(work.call, work.argument)
            work.begun = True
            return future
        volume, materials = next(one.jobs[name] for one in self._sessions.values() if name in one.jobs)
        return executor.submit(homogenize, volume, materials, **solver_settings(materials))

    def _finish(self, name: str, executor: Executor, future: Future[Any]) -> None:
        with self._lock:
            self._running.pop(name, None)
            if future.cancelled():
                return
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                self._replace_workers(name, executor, error)
            elif isinstance(error, Exception):
                self._keep(name, error)
            elif error is None:
                self._keep(name, future.result())
            self._dispatch()

    def _replace_workers(self, name: str, executor: Executor, error: Exception) -> None:
        """Start anew after a worker died; what two sets of workers died of is given up."""
        if self._executor is executor:  # not one that was started since
            self._executor = None
        if name in self._broken:
            self._keep(name, error)
        self._broken.add(name)

    def _keep(self, name: str, result: Any) -> None:  # noqa: ANN401
        self._broken.discard(name)
        if name.startswith(TASK_NAMES):
            self._keep_task(name, result)
            return
        self._results[name] = result
        while len(self._results) > KEEP_RESULTS:
            self._results.popitem(last=False)

    def _keep_task(self, name: str, result: Search | MeshCheck | Exception) -> None:
        work = self._work.get(name)
        if work is None:  # cancelled meanwhile
            return
        if isinstance(result, Search):
            work.argument = result
            if result.result is None:
                return
        history, error = work.history, result if isinstance(result, Exception) else None
        found = result.result if isinstance(result, Search) else result
        for session in work.sessions & self._sessions.keys():
            self._sessions[session].tasks.remove(name)
        del self._work[name]
        self._finished[name] = Progress(
            status="failed" if error else "done",
            history=history,
            result=None if isinstance(found, Exception) else found,
            error=error,
        )
        while len(self._finished) > KEEP_TASKS:
            self._finished.popitem(last=False)
        self._forget_idle()


def _jobs(volumes: Sequence[NDArray[np.uint8]], materials: TwoPhase | None) -> dict[str, _Job]:
    return {volume_name(volume, materials): (volume, materials) for volume in volumes}


def start_workers(count: int) -> Executor:
    """Worker processes of one thread each, which end with this process however it ends."""
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_prepare_worker)

    def launch() -> None:
        if sys.platform == "linux":  # where this thread alone gives way, and what it starts
            os.nice(NICENESS)
        for _ in range(count):  # the first jobs start the processes
            executor.submit(_solve_something)

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    return executor


@cache
def prepare_kernels() -> threading.Thread:
    """Compile the solver's kernels, or load them, while a server starts: once, in a thread of its own."""
    thread = threading.Thread(target=_solve_something, daemon=True)
    thread.start()
    return thread


def _solve_something() -> None:
    homogenize(np.eye(4)[:, :, None] * np.ones(4), rtol=RTOL, dtype=np.float32)


def _prepare_worker() -> None:
    """Leave the processor to the pages, the keyboard's interrupt to the parent, and go when it is gone."""
    limit_process_to_one_thread()
    if hasattr(os, "nice") and sys.platform != "linux":
        os.nice(NICENESS)
    parent = parent_process()
    if parent is not None:
        leave_with(parent.sentinel)
