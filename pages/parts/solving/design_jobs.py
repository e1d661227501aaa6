"""Designs that are being made in threads of the server; free of any user interface.

A session asks for the designs that it shows (`ask`), which begins a job or joins that of another session. The
job has a first look at raw designs soon, and its result later. What no session asks for any more ends at its
next cell; finished designs are kept for all sessions.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import fields

import numpy as np

from pages.parts.solving.compiling import DECODING, SOLVING, Kernels, server_kernels
from pages.parts.solving.precedence import Precedence, Rank, server_precedence
from pages.parts.solving.store import BoundedStore
from vaereg.inverse.designs import Designs
from vaereg.workers import before_each_cell, limit_thread_to_one_thread

__all__ = ["DesignJob", "DesignJobs", "Make"]

Make = Callable[[Callable[[Designs], None], Callable[[int, int], None]], Designs]
"""Makes designs; called with `on_first` and `on_progress` of `vaereg.inverse.direct.design`."""
KEEP_DESIGNS, KEEP_DESIGN_BYTES = 64, 128 * 2**20
"""Largest number of targets whose designs are kept, and the largest size of these designs [byte]."""
AT_ONCE = 2
"""Jobs that are past their first look at the same time."""
NICENESS = 3
"""Niceness of what follows a first look, above that of the pages and below that of the solver. A browser that
draws the first look, or previews of another session, get two thirds of a core beside it by the weights of
Linux' scheduler (1024 to 526); where nobody else computes it has all."""
HEAD_START = 0.25
"""Time after a first look before its corrections begin [s]: a browser on this machine draws it meanwhile."""
TICK = 0.05
"""Time between two looks of who waits [s]."""


class _UnwantedError(Exception):
    """No session asks for the job any more."""


class DesignJob:
    """Designs on their way. Its fields may be read at any time."""

    def __init__(self) -> None:
        self.first: Designs | None = None
        """Raw designs as the encoder sees them."""
        self.result: Designs | None = None
        """The designs, once they are there."""
        self.error: Exception | None = None
        """What ended the job in place of designs."""
        self.progress: tuple[int, int] = 0, 1
        """Candidates that are done, and their number."""
        self.unwanted = False
        """Whether it is to end."""
        self.changed = threading.Condition()

    @property
    def is_over(self) -> bool:
        """Whether there are designs, or will be none."""
        return self.result is not None or self.error is not None

    def wait(self, look: Callable[[int, int], None], *, for_first: bool = False) -> None:
        """Wait for the end, or for the first look.

        Args:
            look: Called now and then with the progress; what it raises ends the wait.
            for_first: Whether a first look is enough.
        """
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._is_enough(for_first), TICK)
                enough = self._is_enough(for_first)
            if enough:
                return
            look(*self.progress)

    def _is_enough(self, for_first: bool) -> bool:
        return self.is_over or (for_first and self.first is not None)


class DesignJobs:
    """Jobs of a server, and the designs that it keeps.

    Args:
        precedence: Who computes first; that of this server if left out.
        kernels: Compiled kernels, which jobs wait for; those of this server if left out.
    """

    def __init__(self, precedence: Precedence | None = None, kernels: Kernels | None = None) -> None:
        self._precedence = precedence or server_precedence()
        self._kernels = kernels or server_kernels()
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, DesignJob] = {}
        self._asked: dict[str, Hashable] = {}
        self._places = threading.Semaphore(AT_ONCE)
        self._finished: BoundedStore[Hashable, Designs] = BoundedStore(
            max_count=KEEP_DESIGNS, max_bytes=KEEP_DESIGN_BYTES, size=_designs_bytes
        )

    def find(self, key: Hashable) -> Designs | None:
        """Finished designs of this key; None where there are none."""
        with self._lock:
            return self._finished.get(key)

    def ask(self, session: str, key: Hashable, make: Make) -> DesignJob:
        """The job of this key, begun where there is none; what the session asked for before, it leaves.

        Args:
            session: Who asks.
            key: Equal for equal designs.
            make: Makes them.
        """
        with self._lock:
            self._leave(session, unless=key)
            job = self._jobs.get(key)
            if job is None:
                job = DesignJob()
                job.result = self._finished.get(key)
                if job.is_over:  # since the session looked for them
                    return job
                self._jobs[key] = job
                thread = threading.Thread(
                    target=self._run, args=(key, job, make), name="designs", daemon=True
                )
                thread.start()
            self._asked[session] = key
            return job

    def leave(self, session: str) -> None:
        """Ask for nothing any more."""
        with self._lock:
            self._leave(session)

    def _leave(self, session: str, unless: Hashable = None) -> None:
        key = self._asked.pop(session, None)
        if key is None or key == unless or key in self._asked.values():
            return
        job = self._jobs.pop(key, None)
        if job is not None:
            job.unwanted = True

    def _run(self, key: Hashable, job: DesignJob, make: Make) -> None:
        limit_thread_to_one_thread()
        rank, result, error = Rank.FIRST_LOOK, None, None

        def before_cell() -> None:
            if job.unwanted:
                raise _UnwantedError
            self._precedence.give_way(rank)

        def on_progress(done: int, total: int) -> None:
            job.progress = done, total

        def wait_for_kernels(what: str) -> None:
            while not self._kernels.are_ready(what):
                time.sleep(TICK)
                before_cell()

        with ExitStack() as later, ExitStack() as looking:

            def on_first(designs: Designs) -> None:
                nonlocal rank
                with job.changed:
                    job.first = designs
                    job.changed.notify_all()
                if (
                    sys.platform == "linux"
                ):  # where a thread has a niceness of its own, which its children inherit
                    os.nice(NICENESS)
                rank = Rank.DESIGN
                later.enter_context(self._precedence.at_work(rank))
                looking.close()
                time.sleep(HEAD_START)
                wait_for_kernels(SOLVING)
                while not self._places.acquire(timeout=TICK):
                    before_cell()
                later.callback(self._places.release)

            looking.enter_context(self._precedence.at_work(rank))
            try:
                wait_for_kernels(DECODING)
                with before_each_cell(before_cell):
                    result = make(on_first, on_progress)
            except Exception as raised:
                error = raised
        with self._lock:
            if self._jobs.get(key) is job:
                del self._jobs[key]
                self._asked = {session: other for session, other in self._asked.items() if other != key}
            if result is not None:
                self._finished.put(key, result)
        with job.changed:
            job.result, job.error = result, error
            job.changed.notify_all()


def _designs_bytes(designs: Designs) -> int:
    """Size of the arrays of designs [byte]."""
    arrays = (getattr(designs, field.name) for field in fields(designs))
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
