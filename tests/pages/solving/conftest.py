"""Queues whose pool of workers does its jobs when a test says so."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from manual import ManualExecutor

from pages.parts.solving.queue import SolverQueue


@pytest.fixture
def executor() -> ManualExecutor:
    return ManualExecutor()


@pytest.fixture
def make_queue() -> Iterator[Callable[..., SolverQueue]]:
    """Makes queues whose results are taken over before a test goes on."""
    queues: list[SolverQueue] = []

    def make(*executors: ManualExecutor, **settings: Any) -> SolverQueue:  # noqa: ANN401
        started = iter(executors)
        queues.append(SolverQueue(2, start=lambda workers: next(started), **settings))
        for executor in executors:
            executor.after = queues[-1].settle
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(executor: ManualExecutor, make_queue: Callable[..., SolverQueue]) -> SolverQueue:
    return make_queue(executor)
