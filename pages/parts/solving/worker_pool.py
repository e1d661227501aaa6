"""Worker processes of the background solver, and the solver's compiled kernels."""

import os
import sys
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context, parent_process

import numpy as np

from pages.parts.solving.tasks import RTOL
from vaereg.solver.homogenization import homogenize
from vaereg.workers import leave_with, limit_process_to_one_thread

__all__ = ["prepare_kernels", "start_workers", "stop_workers"]

NICENESS = 10
"""Niceness of the workers above that of the pages."""


def start_workers(count: int) -> Executor:
    """Start worker processes of one thread each, which end with this process however it ends."""
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_prepare_worker)

    def launch() -> None:
        if sys.platform == "linux":  # where a thread has a niceness of its own, which its children inherit
            os.nice(NICENESS)
        for _ in range(count):  # the first jobs start the processes
            executor.submit(_solve_something)

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    return executor


def stop_workers(executor: Executor) -> None:
    """End the workers at once, in the middle of their work."""
    # Python 3.14 has `kill_workers` for this.
    processes = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()


@cache
def prepare_kernels() -> threading.Thread:
    """Compile or load the solver's kernels once, in a thread of its own, while a server starts."""
    thread = threading.Thread(target=_solve_something, daemon=True)
    thread.start()
    return thread


def _solve_something() -> None:
    homogenize(np.eye(4)[:, :, None] * np.ones(4), rtol=RTOL, dtype=np.float32)


def _prepare_worker() -> None:
    """Give way to the pages, leave the keyboard's interrupt to the parent, and end with it."""
    limit_process_to_one_thread()
    if hasattr(os, "nice") and sys.platform != "linux":
        os.nice(NICENESS)
    parent = parent_process()
    if parent is not None:
        leave_with(parent.sentinel)
