"""Worker processes of one thread each, which end with the process that started them; threads of a pool."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = [
    "THREAD_VARIABLES",
    "before_each_cell",
    "cell_threads",
    "leave_with",
    "limit_process_to_one_thread",
    "limit_thread_to_one_thread",
    "pool_threads",
    "thread_map",
    "worker_processes",
]

_Item = TypeVar("_Item")

_OWN = "VAEREG_NUM_THREADS"
_NUMBA = "NUMBA_NUM_THREADS"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", _NUMBA, _OWN)
"""Environment variables that numerical libraries, and this package, read their number of threads from."""
_MOST_THREADS = 4
_KEPT = 31 * 2**20
"""Size of an array whose release makes GNU's allocator keep all smaller ones for reuse [byte]: just below the
largest that it heeds."""
_ahead: ContextVar[Callable[[], None] | None] = ContextVar("before each cell", default=None)


def limit_process_to_one_thread() -> None:
    """Limit a worker process to one thread of computation, in libraries that it has loaded and in others.

    Called in the worker, so that the environment of the process that starts it stays as it is.
    """
    # Numba reads its variable again at every compilation, and refuses another number once it has threads.
    names = [name for name in THREAD_VARIABLES if name != _NUMBA or "numba" not in sys.modules]
    os.environ.update(dict.fromkeys(names, "1"))
    # libraries that the main module of the program has loaded before: they have read the environment already
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def limit_thread_to_one_thread() -> None:
    """Limit what PyTorch computes in the calling thread to this one thread; other threads keep theirs.

    `torch.set_num_threads` is global: it also holds for every thread that is started later. The number of
    OpenMP threads belongs to the calling thread alone, but PyTorch sets it at its first use in a thread.
    """
    import torch

    torch.get_num_threads()  # the first use
    _openmp().limit(limits=1)


@cache
def _openmp() -> ThreadpoolController:
    """The OpenMP libraries of this process, PyTorch's among them: to look for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")


def cell_threads() -> int:
    """Threads that share one large cell: one per processor that this process may use, or as told."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(os.environ.get(_OWN, usable)))


def pool_threads() -> int:
    """Threads that a pool of this process may have: one per processor, a few at most, or as told."""
    return min(_MOST_THREADS, int(os.environ.get(_OWN, os.cpu_count() or 1)))


@contextmanager
def before_each_cell(call: Callable[[], None]) -> Generator[None]:
    """Have `thread_map` call something before it begins each item, where this thread asks for it: what waits
    there gives way to other work, and what it raises ends the work.
    """
    token = _ahead.set(call)
    try:
        yield
    finally:
        _ahead.reset(token)


def thread_map(function: Callable[..., _Item], *items: Iterable[Any]) -> Iterator[_Item]:
    """Results of a function in the order of its items, computed in threads of one thread of PyTorch each.

    Only as many items as there are threads are under way. Where the caller stops, no further one is begun.

    Args:
        function: Called with an item of each.
        items: As of `map`.
    """
    _keep_freed_memory()
    ahead, width = _ahead.get(), pool_threads()
    under_way: deque[Future[_Item]] = deque()
    with ThreadPoolExecutor(width, initializer=limit_thread_to_one_thread) as threads:
        for arguments in zip(*items, strict=True):
            if ahead is not None:
                ahead()
            under_way.append(threads.submit(function, *arguments))
            if len(under_way) > width:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@cache
def _keep_freed_memory() -> None:
    """Have the memory of arrays that are freed used again, in place of new pages from the system.

    GNU's allocator hands large blocks back at once, and learns from those that are freed what is large
    (mallopt(3), `M_MMAP_THRESHOLD`). New pages for the fields of each cell take a tenth of the time of a
    prediction at 32 voxels per edge. Others are not affected.
    """
    import numpy as np

    np.empty(_KEPT, np.uint8)


def _begin_worker(parent: Connection) -> None:
    leave_with(parent)
    limit_process_to_one_thread()


def leave_with(parent: Connection | int) -> None:
    """Leave Ctrl-C to the parent, and end when the parent lets go, by will or because it is gone.

    Args:
        parent: Read end of a pipe that the parent holds, or the sentinel of its process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: Connection | int) -> None:
    wait([parent])
    os._exit(1)


@contextmanager
def worker_processes(count: int) -> Generator[ProcessPoolExecutor, None, None]:
    """Processes of one thread each, which end at once where the caller fails or is killed.

    Args:
        count: Number of processes.
    """
    context = get_context("spawn")
    read_end, lifeline = context.Pipe(duplex=False)
    with read_end, lifeline:
        executor = ProcessPoolExecutor(
            count, mp_context=context, initializer=_begin_worker, initargs=(read_end,)
        )
        try:
            yield executor
        except BaseException:
            lifeline.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
