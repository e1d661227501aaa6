"""Jobs that make designs: a first look, one job for all who ask, an end where nobody does."""

import os
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pages.parts.solving import design_jobs
from pages.parts.solving.design_jobs import DesignJob, DesignJobs, Make
from pages.parts.solving.precedence import Precedence
from vaereg.inverse.designs import Designs
from vaereg.workers import thread_map

RAW, CORRECTED = (cast(Designs, SimpleNamespace(name=name)) for name in ("raw", "corrected"))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> DesignJobs:
    monkeypatch.setattr(design_jobs, "_designs_bytes", lambda designs: 1)
    return DesignJobs(Precedence())


@pytest.fixture
def gate() -> threading.Event:
    """Closed: designs stay raw."""
    return threading.Event()


def making(gate: threading.Event, calls: list[int]) -> Make:
    """Makes raw designs at once, and corrects them once the gate is open, cell by cell."""

    def cell(number: int) -> int:
        calls.append(number)
        gate.wait(60.0)
        return number

    def make(on_first: Callable[[Designs], None], on_progress: Callable[[int, int], None]) -> Designs:
        on_first(RAW)
        for number in thread_map(cell, range(100)):
            on_progress(number + 1, 100)
        return CORRECTED

    return make


def wait(job: DesignJob, **options: Any) -> None:  # noqa: ANN401
    job.wait(lambda done, total: None, **options)


def test_a_first_look_comes_before_the_designs_which_are_kept(
    jobs: DesignJobs, gate: threading.Event
) -> None:
    job = jobs.ask("a", "key", making(gate, []))
    wait(job, for_first=True)
    assert job.first is RAW and not job.is_over and jobs.find("key") is None
    gate.set()
    wait(job)
    assert job.result is CORRECTED and jobs.find("key") is CORRECTED
    assert job.progress == (100, 100)
    assert jobs.ask("b", "key", making(gate, [])).result is CORRECTED


def test_those_who_ask_for_the_same_share_a_job(jobs: DesignJobs, gate: threading.Event) -> None:
    calls: list[int] = []
    first, second = (jobs.ask(name, "key", making(gate, calls)) for name in "ab")
    assert first is second
    jobs.leave("a")
    gate.set()
    wait(second)
    assert second.result is CORRECTED and sorted(calls) == list(range(100))


def test_what_nobody_asks_for_any_more_ends_at_its_next_cell(jobs: DesignJobs, gate: threading.Event) -> None:
    calls: list[int] = []
    job = jobs.ask("a", "key", making(gate, calls))
    wait(job, for_first=True)
    other = jobs.ask("a", "other", making(gate, []))
    gate.set()
    wait(job)
    wait(other)
    assert job.result is None and job.error is not None and len(calls) < 100
    assert other.result is CORRECTED
    again = jobs.ask("a", "key", making(gate, []))
    wait(again)
    assert again.result is CORRECTED


def test_what_follows_the_first_look_gives_way_to_pages(jobs: DesignJobs) -> None:
    if sys.platform != "linux":
        return  # where threads have no niceness of their own

    def niceness(_: int = 0) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own: list[int] = []

    def make(on_first: Callable[[Designs], None], on_progress: Callable[[int, int], None]) -> Designs:
        own.append(niceness())
        on_first(RAW)
        own.extend(thread_map(niceness, range(3)))
        return CORRECTED

    wait(jobs.ask("a", "key", make))
    assert own == [niceness(), *[niceness() + design_jobs.NICENESS] * 3]


def test_what_goes_wrong_is_handed_on(jobs: DesignJobs) -> None:
    def make(on_first: Callable[[Designs], None], on_progress: Callable[[int, int], None]) -> Designs:
        raise ValueError("expected something else")

    job = jobs.ask("a", "key", make)
    wait(job, for_first=True)
    assert str(job.error) == "expected something else"


def test_who_waits_can_be_called_away(jobs: DesignJobs, gate: threading.Event) -> None:
    def leave(done: int, total: int) -> None:
        raise KeyboardInterrupt

    job = jobs.ask("a", "key", making(gate, []))
    with pytest.raises(KeyboardInterrupt):
        job.wait(leave)
    gate.set()
    wait(job)
    assert job.result is CORRECTED
