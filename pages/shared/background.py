"""The solver in the background: one bounded queue for all sessions, free of any user interface.

A session says again and again which volumes it shows, and gets what is known of them. What nobody shows any
more is dropped from the queue; sessions take turns; a volume that several sessions show is solved once.
"""

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import TwoPhase
from vaereg.homogenization import HomogenizationResult, homogenize
from vaereg.workers import leave_with, single_threaded

__all__ = ["SolverQueue", "start_workers", "volume_hash"]

RTOL = 1e-3
"""Relative residual of the solver [-], in float32: the error of the stiffness is about its square."""

WORKERS = 2
FORGET_SESSION = 20.0
"""A session that has not asked for so long is taken as gone [s]."""
KEEP_RESULTS = 4096

Outcome = HomogenizationResult | Exception | None
"""What is known of a volume: the solver's result, why there is none, or nothing yet."""

_Job = tuple[NDArray[np.uint8], TwoPhase | None]


@dataclass(slots=True)
class _Session:
    jobs: dict[str, _Job]
    """What the session shows, by hash, in the order in which it is wanted."""
    seen: float
    """When it last asked [s]."""


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
        self._running: dict[str, Future[HomogenizationResult]] = {}
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
            if not jobs:
                self._sessions.pop(session, None)
            elif session in self._sessions:  # keeps its turn
                self._sessions[session].jobs, self._sessions[session].seen = jobs, now
            else:
                self._sessions[session] = _Session(jobs, now)
            for name in [name for name, one in self._sessions.items() if now - one.seen > FORGET_SESSION]:
                del self._sessions[name]
            self._dispatch()
        return self.known(volumes, materials)

    def known(self, volumes: Sequence[NDArray[np.uint8]], materials: TwoPhase | None = None) -> list[Outcome]:
        """What is known of volumes, whether or not they are shown."""
        names = [_name(volume, materials) for volume in volumes]
        with self._lock:
            for name in names:
                if name in self._results:
                    self._results.move_to_end(name)
            return [self._results.get(name) for name in names]

    def waiting(self) -> int:
        """Number of volumes that are shown and not yet begun."""
        with self._lock:
            names = {name for one in self._sessions.values() for name in one.jobs}
            return len(names - self._running.keys() - self._results.keys())

    def close(self) -> None:
        """Stop the workers and forget what is queued."""
        with self._lock:
            self._sessions.clear()
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        while len(self._running) < self._workers:
            job = self._next_job()
            if job is None:
                return
            name, (volume, materials) = job
            if self._executor is None:
                self._executor = self._start(self._workers)
            try:
                future = self._executor.submit(homogenize, volume, materials, rtol=RTOL, dtype=np.float32)
            except BrokenProcessPool as error:
                self._replace_workers(name, error)
                continue
            self._running[name] = future
            future.add_done_callback(lambda done, name=name: self._finish(name, done))

    def _next_job(self) -> tuple[str, _Job] | None:
        """The next volume of the session that has waited longest for its turn."""
        for session in list(self._sessions):
            for name, job in self._sessions[session].jobs.items():
                if name not in self._running and name not in self._results:
                    self._sessions.move_to_end(session)
                    return name, job
        return None

    def _finish(self, name: str, future: "Future[HomogenizationResult]") -> None:
        with self._lock:
            self._running.pop(name, None)
            if future.cancelled():
                return
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                self._replace_workers(name, error)
            elif isinstance(error, Exception):
                self._keep(name, error)
            elif error is None:
                self._keep(name, future.result())
            self._dispatch()

    def _replace_workers(self, name: str, error: Exception) -> None:
        """Start anew after a worker died; a volume that two sets of workers died of is given up."""
        self._executor = None
        if name in self._broken:
            self._keep(name, error)
        self._broken.add(name)

    def _keep(self, name: str, result: HomogenizationResult | Exception) -> None:
        self._results[name] = result
        while len(self._results) > KEEP_RESULTS:
            self._results.popitem(last=False)


def _jobs(volumes: Sequence[NDArray[np.uint8]], materials: TwoPhase | None) -> dict[str, _Job]:
    return {_name(volume, materials): (volume, materials) for volume in volumes}


def _name(volume: NDArray[np.uint8], materials: TwoPhase | None) -> str:
    return f"{volume_hash(volume)} {materials or TwoPhase()}"


def volume_hash(volume: NDArray[np.uint8]) -> str:
    """Hash of a two-phase volume: of its shape and its voxels."""
    digest = hashlib.sha256(str(volume.shape).encode())
    digest.update(np.packbits(volume).tobytes())
    return digest.hexdigest()


def start_workers(count: int) -> Executor:
    """Worker processes of one thread each, which end with this process however it ends."""
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_prepare_worker)
    # The processes are started by the first jobs, and inherit the environment of that moment.
    with single_threaded():
        for _ in range(count):
            executor.submit(homogenize, np.eye(4)[:, :, None] * np.ones(4), rtol=RTOL, dtype=np.float32)
    return executor


def _prepare_worker() -> None:
    """Leave the processor to the pages, the keyboard's interrupt to the parent, and go when it is gone."""
    if hasattr(os, "nice"):
        os.nice(10)
    parent = parent_process()
    if parent is not None:
        leave_with(parent.sentinel)
