"""The background solver: shared results, fair turns, nothing done for designs that nobody shows."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from manual import ManualExecutor, volumes
from scipy.ndimage import gaussian_filter

from pages.parts.solving import queue as queue_module, sharing
from pages.parts.solving.precedence import Precedence, Rank
from pages.parts.solving.queue import MeshTask, QueueFullError, SolverQueue
from pages.parts.solving.worker_pool import NICENESS, start_workers
from vaereg.materials import TwoPhase, choose_materials
from vaereg.microstructure.volume import volume_hash
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize


def test_results_are_those_of_the_solver(queue: SolverQueue, executor: ManualExecutor) -> None:
    shown = volumes(3)
    assert queue.watch("a", shown) == [None, None, None]
    executor.finish()
    for volume, outcome in zip(shown, queue.watch("a", shown), strict=True):
        assert isinstance(outcome, HomogenizationResult)
        np.testing.assert_allclose(outcome.stiffness, homogenize(volume).stiffness, rtol=1e-4, atol=1e-3)


def test_no_more_jobs_at_once_than_workers(queue: SolverQueue, executor: ManualExecutor) -> None:
    queue.watch("a", volumes(6))
    assert len(executor.jobs) == 2
    assert queue.waiting() == 4
    executor.step()
    assert len(executor.jobs) == 2


def test_nothing_is_begun_while_the_server_makes_designs(
    make_queue: Callable[..., SolverQueue], executor: ManualExecutor
) -> None:
    precedence = Precedence()
    queue = make_queue(executor, precedence=precedence)
    with precedence.at_work(Rank.DESIGN):
        queue.watch("a", volumes(3))
        assert not executor.jobs
    assert len(executor.jobs) == 2
    with precedence.at_work(Rank.PREVIEW):
        executor.step()
        assert len(executor.jobs) == 1  # what had begun goes on
    assert len(executor.jobs) == 2


def test_what_is_no_longer_shown_is_not_begun(queue: SolverQueue, executor: ManualExecutor) -> None:
    queue.watch("a", volumes(6))
    fresh = volumes(1, seed=7)
    queue.watch("a", fresh)
    executor.finish()
    assert len(executor.order) == 3  # the two that had begun, and the new one
    assert isinstance(queue.outcomes(fresh)[0], HomogenizationResult)


def test_sessions_take_turns(queue: SolverQueue, executor: ManualExecutor) -> None:
    first, second = volumes(6), volumes(2, seed=7)
    queue.watch("a", first)
    queue.watch("b", second)
    executor.finish()
    fractions = [float(volume.mean()) for volume in second]
    assert max(executor.order.index(fraction) for fraction in fractions) < 6


def test_a_volume_is_solved_once(queue: SolverQueue, executor: ManualExecutor) -> None:
    queue.watch("a", volumes(2))
    queue.watch("b", volumes(2))
    executor.finish()
    queue.watch("a", volumes(2))
    assert len(executor.order) == 2
    assert all(queue.outcomes(volumes(2)))


def test_other_materials_are_another_job(queue: SolverQueue, executor: ManualExecutor) -> None:
    (volume,) = volumes(1)
    soft = TwoPhase.from_moduli(e_stiff=12.0, e_soft=1.2)
    queue.watch("a", [volume])
    queue.watch("b", [volume], soft)
    executor.finish()
    reference, softer = queue.outcomes([volume])[0], queue.outcomes([volume], soft)[0]
    assert isinstance(reference, HomogenizationResult) and isinstance(softer, HomogenizationResult)
    assert softer.stiffness[0, 0] < 0.5 * reference.stiffness[0, 0]


def test_a_session_that_is_gone_is_forgotten(
    executor: ManualExecutor, make_queue: Callable[..., SolverQueue]
) -> None:
    now = [0.0]
    queue = make_queue(executor, clock=lambda: now[0])
    queue.watch("gone", volumes(6))
    now[0] = queue_module.FORGET_SESSION + 1.0
    queue.watch("here", volumes(1, seed=7))
    executor.finish()
    assert len(executor.order) == 3


def test_what_a_session_showed_that_is_gone_is_not_begun(
    executor: ManualExecutor, make_queue: Callable[..., SolverQueue]
) -> None:
    now = [0.0]
    queue = make_queue(executor, clock=lambda: now[0])
    queue.watch("a", volumes(6))
    now[0] = queue_module.FORGET_SESSION + 1.0
    executor.finish()  # and nobody looks any more
    assert len(executor.order) == 2


def test_tasks_of_abandoned_sessions_make_room(
    executor: ManualExecutor, make_queue: Callable[..., SolverQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "ALL_TASKS", 2)
    now = [0.0]
    queue = make_queue(executor, clock=lambda: now[0])
    old, new = ([MeshTask(volume=volume) for volume in volumes(2, seed)] for seed in (0, 7))
    queue.start("a", old)
    now[0] = queue_module.ABANDON_SESSION - 1.0
    with pytest.raises(QueueFullError):
        queue.start("b", new)
    now[0] = queue_module.ABANDON_SESSION + 1.0
    queue.start("b", new)
    assert [queue.progress(task) is None for task in (*old, *new)] == [True, True, False, False]


def test_an_empty_look_ends_the_interest(queue: SolverQueue, executor: ManualExecutor) -> None:
    queue.watch("a", volumes(6))
    assert queue.watch("a", []) == []
    executor.finish()
    assert len(executor.order) == 2


def test_a_failed_solve_is_told(
    queue: SolverQueue, executor: ManualExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConvergenceError("residual too large")

    monkeypatch.setattr(queue_module, "homogenize", fail)
    queue.watch("a", volumes(1))
    executor.finish()
    assert isinstance(queue.outcomes(volumes(1))[0], ConvergenceError)


def test_a_dead_worker_is_replaced(make_queue: Callable[..., SolverQueue]) -> None:
    executors = [ManualExecutor(), ManualExecutor()]
    queue = make_queue(*executors)
    queue.watch("a", volumes(1))
    executors[0].jobs.pop(0)[0].set_exception(BrokenProcessPool("a worker died"))
    queue.settle()
    executors[1].finish()
    assert isinstance(queue.outcomes(volumes(1))[0], HomogenizationResult)


def test_two_jobs_of_a_dead_pool_start_one_new_pool(make_queue: Callable[..., SolverQueue]) -> None:
    executors = [ManualExecutor(), ManualExecutor()]
    queue = make_queue(*executors)
    queue.watch("a", volumes(2))
    for job in [executors[0].jobs.pop(0), executors[0].jobs.pop(0)]:
        job[0].set_exception(BrokenProcessPool("a worker died"))
    queue.settle()
    executors[1].finish()
    assert all(isinstance(outcome, HomogenizationResult) for outcome in queue.outcomes(volumes(2)))
    assert not queue._deaths


def test_a_job_outlives_workers_that_others_kill(make_queue: Callable[..., SolverQueue]) -> None:
    """A killed worker takes the jobs of the others with it: two kills in a row say nothing of a job."""
    executors = [ManualExecutor() for _ in range(4)]
    queue = make_queue(*executors)
    queue.watch("a", volumes(2))
    for executor in executors[:3]:
        for job in [executor.jobs.pop(0), executor.jobs.pop(0)]:
            job[0].set_exception(BrokenProcessPool("a worker died"))
        queue.settle()
    executors[3].finish()
    assert all(isinstance(outcome, HomogenizationResult) for outcome in queue.outcomes(volumes(2)))
    assert not queue._deaths


@pytest.mark.parametrize("e_soft", [2.4, 1e-5])
def test_solves_are_exact_at_any_contrast(
    queue: SolverQueue, executor: ManualExecutor, e_soft: float
) -> None:
    volume, materials = np.zeros((16, 16, 16), np.uint8), TwoPhase.from_moduli(e_soft=e_soft)
    volume[3:13, 3:13, 3:13] = 1
    queue.watch("a", [volume], materials)
    executor.finish()
    (outcome,) = queue.outcomes([volume], materials)
    assert isinstance(outcome, HomogenizationResult)
    expected = homogenize(volume, materials, rtol=1e-8).stiffness
    np.testing.assert_allclose(np.diag(outcome.stiffness), np.diag(expected), rtol=1e-4)


def test_a_solid_of_thin_bars_in_a_void_is_solved(queue: SolverQueue, executor: ManualExecutor) -> None:
    """One that takes more than 300 iterations to a residual of 1e-6."""
    materials = choose_materials("aluminium/void").pairs[0]
    field = gaussian_filter(np.random.default_rng(1).standard_normal((16, 16, 16)), 0.9, mode="wrap")
    volume = (field > np.quantile(field, 0.74)).astype(np.uint8)
    with pytest.raises(ConvergenceError):
        homogenize(volume, materials, rtol=1e-6, max_iter=300)
    queue.watch("a", [volume], materials)
    executor.finish()
    (outcome,) = queue.outcomes([volume], materials)
    assert isinstance(outcome, HomogenizationResult)


def test_a_volume_that_kills_workers_is_given_up() -> None:
    executors: list[ManualExecutor] = []

    def start(workers: int) -> Executor:
        executors.append(ManualExecutor())
        executors[-1].broken = True
        return executors[-1]

    queue = SolverQueue(2, start=start)
    queue.watch("a", volumes(1))
    assert isinstance(queue.outcomes(volumes(1))[0], BrokenProcessPool)
    assert len(executors) == queue_module.MAX_DEATHS


def test_hash_tells_shapes_apart() -> None:
    assert volume_hash(np.zeros((2, 4, 4), np.uint8)) != volume_hash(np.zeros((4, 4, 2), np.uint8))


@pytest.fixture
def processes() -> Iterator[SolverQueue]:
    queue = SolverQueue(1, start=start_workers)
    yield queue
    queue.close()


def test_worker_processes_solve(processes: SolverQueue) -> None:
    shown = volumes(2)
    done = threading.Event()
    for _ in range(3000):
        if all(processes.watch("a", shown)):
            break
        done.wait(0.1)
    assert all(isinstance(outcome, HomogenizationResult) for outcome in processes.outcomes(shown))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a whole process gives way, not a thread")
def test_workers_give_way_to_the_pages(processes: SolverQueue) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    former = {child.pid for child in active_children()}  # of the test before, about to end
    processes.watch("a", volumes(1))
    workers = [child.pid for child in active_children() if child.pid and child.pid not in former]
    assert workers and all(os.getpriority(os.PRIO_PROCESS, worker) == before + NICENESS for worker in workers)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_the_program_ends_without_waiting_for_a_solve(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import time\n"
        "import numpy as np\n"
        "from pages.parts.solving.queue import SolverQueue\n"
        "if __name__ == '__main__':\n"
        "    queue = SolverQueue(1)\n"
        "    queue.close_with_program()\n"
        "    large = np.random.default_rng(0).integers(0, 2, (160, 160, 160), dtype=np.uint8)\n"
        "    queue.watch('a', [large])\n"
        "    while queue.waiting() or not queue._running:\n"
        "        time.sleep(0.05)\n"
        "    time.sleep(3.0)\n"
        "    print('ends', queue.outcomes([large]), flush=True)\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ends [None]\n"
        begin = time.monotonic()
        assert process.wait(60) == 0
        assert time.monotonic() - begin < 30.0  # the solve takes the better part of a minute
