"""Worker processes of the background solver."""

import logging
import os
import sys
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

from pages.parts.solving.compiling import server_kernels, solve_something
from vaereg.cluster import ClusterExecutor
from vaereg.errors import InputError
from vaereg.workers import leave_with, limit_process_to_one_thread

__all__ = ["executor_width", "start_processes", "start_workers", "stop_workers"]

SCHEDULER = "VAEREG_SCHEDULER"
"""Environment variable with the address of a Dask scheduler."""
PATIENCE = 120.0
"""Longest time that workers wait for compiled kernels, before they compile them on their own [s]."""
NICENESS = 5
"""Niceness of the workers above that of the pages: beside a busy program on every core it leaves a worker a
quarter of a core by the weights of Linux' scheduler (335 to 1024), where 10 leaves a tenth."""

_log = logging.getLogger(__name__)


def start_workers(count: int) -> Executor:
    """Workers of the cluster that `VAEREG_SCHEDULER` names; where there is none, processes of this machine.

    Args:
        count: Number of processes.
    """
    if address := os.environ.get(SCHEDULER):
        try:
            return ClusterExecutor(address)
        except InputError as error:
            _log.warning("%s; the solver takes processes of this machine", error)
    return start_processes(count)


def executor_width(executor: Executor) -> int:
    """Number of jobs that an executor does at once, as far as it says."""
    return executor.worker_count if isinstance(executor, ClusterExecutor) else 0


def start_processes(count: int) -> Executor:
    """Start worker processes of one thread each, which end with this process however it ends.

    They wait until this process has compiled the solver's kernels, and read what it has kept of them: at the
    first start, processes that compile the same would keep each other from it.
    """
    context = get_context("spawn")
    compiled = context.Event()
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_prepare_worker, initargs=(compiled,)
    )
    threading.Thread(target=_tell_of_kernels, args=(compiled,), daemon=True).start()

    def launch() -> None:
        if sys.platform == "linux":  # where a thread has a niceness of its own, which its children inherit
            os.nice(NICENESS)
        for _ in range(count):  # the first jobs start the processes
            executor.submit(solve_something)

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    return executor


def stop_workers(executor: Executor) -> None:
    """End the workers at once, in the middle of their work; those of a cluster stay."""
    # Python 3.14 has `kill_workers` for this.
    processes = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()


def _tell_of_kernels(compiled: Event) -> None:
    server_kernels().prepare().join()
    compiled.set()


def _prepare_worker(compiled: Event) -> None:
    """Give way to the pages, leave the keyboard's interrupt to the parent, and end with it."""
    limit_process_to_one_thread()
    if hasattr(os, "nice") and sys.platform != "linux":
        os.nice(NICENESS)
    parent = parent_process()
    if parent is not None:
        leave_with(parent.sentinel)
    compiled.wait(PATIENCE)
