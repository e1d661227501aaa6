"""The solver in the background: one bounded queue for all sessions, free of any user interface.

A session says again and again which volumes it shows (`watch`), and gets what is known of them. What nobody
shows any more is dropped from the queue; sessions take turns; a volume that several sessions show is solved
once, also by servers that share a folder (`sharing`). While the server makes designs or previews, nothing
is begun (`precedence`).

Longer work is asked for once, as a task: `RefineTask` brings a volume onto a target, `MeshTask` solves it
on a finer grid. `start` takes tasks, the most promising first, `progress` says how far each one is, `cancel`
ends them. Tasks go on while their session is on other pages, or gone. A refinement is queued one solve at a
time, so that it never keeps another session waiting for longer than that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import Empty, Queue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.solving.precedence import Precedence
from pages.parts.solving.sessions import Outcome, Pairs, Session, jobs_of, pairs_of
from pages.parts.solving.shared_folder import RENEW, SharedFolder, Unfinished, short_name
from pages.parts.solving.sharing import QueueFullError, Sharing, check_limits
from pages.parts.solving.store import BoundedStore
from pages.parts.solving.tasks import (
    TASK_NAMES,
    MeshTask,
    Progress,
    RefineTask,
    Task,
    Work,
    begin_work,
    progress_bytes,
    solver_settings,
    volume_name,
)
from pages.parts.solving.worker_pool import executor_width, start_workers, stop_workers
from vaereg.executors import TaskGivenUpError
from vaereg.inverse.refining.refinement import Search
from vaereg.solver.grid_check import MeshCheck
from vaereg.solver.homogenization import HomogenizationResult, homogenize

__all__ = [
    "MeshTask",
    "Outcome",
    "Progress",
    "QueueFullError",
    "RefineTask",
    "SolverQueue",
]

WORKERS = 2
FORGET_SESSION = 20.0
"""Time after its last call at which a session counts as gone [s]."""
ABANDON_SESSION = 900.0
"""Time after its last call at which a session's tasks are given up where others need the room [s]."""
KEEP_RESULTS = 4096
"""Largest number of solved volumes whose stiffness is kept."""
KEEP_TASKS, KEEP_TASK_BYTES = 512, 256 * 2**20
"""Largest number and size [byte] of finished tasks whose results are kept."""
KEEP_NAMES = 4096
"""Largest number of finished tasks that are remembered by name once their results are forgotten."""
MAX_DEATHS = 4
"""Sets of workers in a row that may die with a job before it is given up: others may have killed them."""

_log = logging.getLogger(__name__)


class SolverQueue:
    """Solves the volumes that sessions show, a few at a time, fairly."""

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        start: Callable[[int], Executor] | None = None,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedFolder | None = None,
        precedence: Precedence | None = None,
    ) -> None:
        self._precedence = precedence or Precedence()
        self._precedence.on_quiet(self._resume)
        self._workers = workers
        self._at_once = workers
        self._start = start or start_workers
        self._clock = clock
        self._sharing = Sharing(shared, clock)
        self._lock = threading.RLock()
        self._executor: Executor | None = None
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._work: dict[str, Work] = {}
        self._finished: BoundedStore[str, Progress] = BoundedStore(
            max_count=KEEP_TASKS, max_bytes=KEEP_TASK_BYTES, size=progress_bytes
        )
        self._forgotten: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, Future[Any]] = {}
        self._results: OrderedDict[str, HomogenizationResult | Exception] = OrderedDict()
        self._deaths: dict[str, int] = {}
        # An executor runs the callbacks of its futures under locks of its own. So callbacks only note here
        # what has ended, without a lock of ours, and one thread takes it over.
        self._ended: Queue[tuple[str, Executor, Future[Any]] | None] = Queue()
        self._drain: threading.Thread | None = None

    def watch(
        self, session: str, volumes: Sequence[NDArray[np.uint8]], materials: Pairs = None
    ) -> list[Outcome]:
        """Say what a session shows now, in place of what it showed before, and get what is known of it.

        Args:
            session: Name of the session.
            volumes: Two-phase volumes of shape (X, Y, Z), the most wanted first; none to end its interest.
            materials: The two phases, or those of each volume; the reference pair if left out.
        """
        jobs = jobs_of(volumes, materials)
        with self._lock:
            unknown = jobs.keys() - self._results.keys() - self._running.keys()
        found = self._sharing.find({name: jobs[name][1] for name in unknown})
        with self._lock:
            for name, result in found.items():
                self._keep(name, result)
            now = self._clock()
            own = self._sessions.setdefault(session, Session(now))  # a known session keeps its turn
            own.jobs, own.seen = jobs, now
            self._dispatch()
            self._forget_idle()
        return self.outcomes(volumes, materials)

    def outcomes(self, volumes: Sequence[NDArray[np.uint8]], materials: Pairs = None) -> list[Outcome]:
        """Return the outcome per volume, whether or not the volume is shown."""
        names = [
            volume_name(volume, pair)
            for volume, pair in zip(volumes, pairs_of(volumes, materials), strict=True)
        ]
        with self._lock:
            for name in names:
                if name in self._results:
                    self._results.move_to_end(name)
            return [self._results.get(name) for name in names]

    def start(self, session: str, tasks: Sequence[Task], *, owner: str | None = None) -> None:
        """Queue tasks of a session, the most wanted first; what is under way or done is not begun anew.

        Args:
            session: Name of the session.
            tasks: What it asks for.
            owner: Who the tasks count for, such as a browser tab over its sessions; by default the session.

        Raises:
            ValueError: A task cannot be done, such as for a target that is none.
            QueueFullError: The owner, or all together, have too many unfinished tasks; none was queued.
        """
        work = {task.name: begin_work(task, session) for task in tasks}
        with self._lock:
            fresh = [name for name in work if not self._is_done(name)]
            own = self._sessions.setdefault(session, Session(self._clock()))
            own.seen, own.owner = self._clock(), owner or session

            def check(elsewhere: Unfinished) -> Unfinished:
                return check_limits(
                    own.owner, fresh, self._unfinished, elsewhere, make_room=self._give_up_abandoned
                )

            self._sharing.admit(check)
            for name in fresh:
                self._finished.remove(name)  # failed before, or its result was forgotten: once more
                self._forgotten.pop(name, None)
                self._work.setdefault(name, work[name]).sessions.add(session)
                if name not in own.tasks:
                    own.tasks.append(name)
            self._dispatch()

    def progress(self, task: Task) -> Progress | None:
        """Return the state of a task; None where it was never started, or cancelled.

        A finished task whose result had to make room for others has the status `forgotten`.
        """
        with self._lock:
            name = task.name
            if (finished := self._finished.get(name)) is not None:
                return finished
            work = self._work.get(name)
            if work is not None:
                return Progress(status="running" if work.begun else "waiting", history=work.history)
            return Progress(status="forgotten") if name in self._forgotten else None

    def cancel(self, session: str, tasks: Iterable[Task]) -> None:
        """End unfinished tasks of a session, after the solve of the moment; those of others go on."""
        with self._lock:
            own = self._sessions.get(session)
            self._drop(session, [task.name for task in tasks if own is not None and task.name in own.tasks])
            self._forget_idle()
            self._sharing.publish(self._unfinished())
            self._dispatch()

    def waiting(self) -> int:
        """Number of volumes that are shown and not yet begun."""
        with self._lock:
            names = {name for session in self._sessions.values() for name in session.jobs}
            return len(names - self._running.keys() - self._results.keys())

    def settle(self) -> None:
        """Wait until every job that has ended is taken over, and the jobs after it are begun."""
        self._ended.join()

    def close(self) -> None:
        """Stop the workers and forget what is queued."""
        with self._lock:
            self._sessions.clear()
            self._work.clear()
            executor, self._executor = self._executor, None
            if self._drain is not None:
                self._ended.put(None)
                self._drain = None
            self._sharing.close()
        if executor is not None:
            stop_workers(executor)

    def close_with_program(self) -> None:
        """Let the program end without waiting for running solves, which may take a minute."""
        # `atexit` comes too late: concurrent.futures has waited by then.
        threading._register_atexit(self.close)  # type: ignore[attr-defined]

    def _is_done(self, name: str) -> bool:
        finished = self._finished.get(name)
        return finished is not None and finished.status == "done"

    def _unfinished(self) -> dict[str, set[str]]:
        """Short names of the unfinished tasks by owner."""
        tasks: dict[str, set[str]] = {}
        for session in self._sessions.values():
            tasks.setdefault(session.owner, set()).update(map(short_name, session.tasks))
        return tasks

    def _drop(self, session: str, names: Iterable[str]) -> None:
        """End unfinished tasks of a session; those of others go on."""
        for name in list(names):
            self._sessions[session].tasks.remove(name)
            self._work[name].sessions.discard(session)
            if not self._work[name].sessions:
                del self._work[name]

    def _give_up_abandoned(self) -> None:
        """End the tasks of sessions that have not called for long, to make room."""
        now = self._clock()
        for name, session in self._sessions.items():
            if now - session.seen > ABANDON_SESSION:
                self._drop(name, session.tasks)

    def _forget_idle(self) -> None:
        idle = [name for name, session in self._sessions.items() if not session.jobs and not session.tasks]
        for name in idle:
            del self._sessions[name]

    def _resume(self) -> None:
        with self._lock:
            self._dispatch()

    def _dispatch(self) -> None:
        if not self._precedence.is_quiet():
            return  # `_resume` comes
        while len(self._running) < self._at_once:
            name = self._next()
            if name is None:
                return
            if self._executor is None:
                self._executor = self._start(self._workers)
                self._at_once = max(self._workers, executor_width(self._executor))
            try:
                future = self._submit(self._executor, name)
            except BrokenExecutor as error:
                self._replace_workers(name, self._executor, error)
                continue
            except RuntimeError:  # the program is about to end
                return
            self._running[name] = future
            self._note_end(name, self._executor, future)

    def _note_end(self, name: str, executor: Executor, future: Future[Any]) -> None:
        """Have the thread of this queue take over a job when it ends."""
        if self._drain is None:
            self._drain = threading.Thread(target=self._take_over, name="solver queue", daemon=True)
            self._drain.start()
        future.add_done_callback(lambda ended: self._ended.put((name, executor, ended)))

    def _take_over(self) -> None:
        """Take over jobs as they end, until the queue is closed."""
        while True:
            with self._lock:
                self._sharing.renew(self._unfinished)
            try:
                ended = self._ended.get(timeout=RENEW)
            except Empty:
                continue
            try:
                if ended is None:
                    return
                self._finish(*ended)
            except Exception:  # the next job must still be taken over
                _log.exception("a solve could not be taken over")
            finally:
                self._ended.task_done()

    def _next(self) -> str | None:
        """Name of the next job of the session that has waited longest: volumes come first, then tasks."""
        now = self._clock()
        for session_name in list(self._sessions):
            session = self._sessions[session_name]
            if now - session.seen > FORGET_SESSION:
                session.jobs = {}
            shown = (name for name in session.jobs if name not in self._results)
            for name in (*shown, *session.tasks):
                if name not in self._running and (
                    name not in session.jobs or self._sharing.claim(name, session.jobs[name][1])
                ):
                    self._sessions.move_to_end(session_name)
                    return name
        return None

    def _submit(self, executor: Executor, name: str) -> Future[Any]:
        if name in self._work:
            work = self._work[name]
            future = executor.submit(work.call, work.argument)
            work.begun = True
            return future
        volume, materials = next(
            session.jobs[name] for session in self._sessions.values() if name in session.jobs
        )
        return executor.submit(homogenize, volume, materials, **solver_settings(materials))

    def _finish(self, name: str, executor: Executor, future: Future[Any]) -> None:
        with self._lock:
            self._running.pop(name, None)
            if future.cancelled():
                self._sharing.give_back(name)
                return
            error = future.exception()
            if isinstance(error, BrokenExecutor) and not isinstance(error, TaskGivenUpError):
                self._replace_workers(name, executor, error)
            elif isinstance(error, Exception):
                self._keep(name, error)
            elif error is None:
                self._keep(name, future.result())
            self._dispatch()

    def _replace_workers(self, name: str, executor: Executor, error: Exception) -> None:
        """Start anew after a worker died; a job that was there whenever workers died is given up in the end.

        Which of the running jobs its worker died of is unknown: each of them counts.
        """
        if self._executor is executor:  # not one that was started since
            self._executor = None
        self._deaths[name] = self._deaths.get(name, 0) + 1
        if self._deaths[name] >= MAX_DEATHS:
            self._keep(name, error)

    def _keep(self, name: str, result: Any) -> None:  # noqa: ANN401
        self._deaths.pop(name, None)
        if name.startswith(TASK_NAMES):
            self._keep_task(name, result)
            return
        self._sharing.keep(name, result)
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
        outcome = result.result if isinstance(result, Search) else result
        for session in work.sessions & self._sessions.keys():
            self._sessions[session].tasks.remove(name)
        del self._work[name]
        progress = Progress(
            status="failed" if error else "done",
            history=history,
            result=None if isinstance(outcome, Exception) else outcome,
            error=error,
        )
        for forgotten in self._finished.put(name, progress):
            self._forgotten[forgotten] = None
        while len(self._forgotten) > KEEP_NAMES:
            self._forgotten.popitem(last=False)
        self._forget_idle()
        self._sharing.publish(self._unfinished())
