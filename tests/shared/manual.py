"""Executors that do their jobs when a test says so, or at once, and small volumes for them."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np


def volumes(count: int, seed: int = 0) -> list[np.ndarray]:
    """Different small volumes of increasing volume fraction."""
    noise = np.random.default_rng(seed).permutation(512).reshape(8, 8, 8)
    return [(noise < 40 * (i + 1) + seed).astype(np.uint8) for i in range(count)]


class ManualExecutor(Executor):
    """Runs a job when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, object]]] = []
        self.order: list[float] = []
        self.broken = False
        self.after: Callable[[], None] = lambda: None
        """Called after every job, such as to wait for whoever takes over its result."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        if self.broken:
            raise BrokenProcessPool("a worker died")
        future: Future[Any] = Future()
        self.jobs.append((future, fn, args, kwargs))
        return future

    def step(self) -> None:
        """Do the oldest job."""
        future, fn, args, kwargs = self.jobs.pop(0)
        self.order.append(float(np.mean(getattr(args[0], "volume", args[0]))))
        try:
            result = fn(*args, **kwargs)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        self.after()

    def finish(self) -> None:
        """Do all jobs, and those that they lead to."""
        while self.jobs:
            self.step()


class ImmediateExecutor(Executor):
    """Does a job in this process, when it is handed in."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
