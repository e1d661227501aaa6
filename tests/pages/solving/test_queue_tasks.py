"""Refinements and mesh checks in the background: cancelled, bounded, told when they fail."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from manual import ManualExecutor, volumes

from pages.parts.solving import queue as queue_module, sharing, tasks as tasks_module
from pages.parts.solving.queue import MeshTask, QueueFullError, RefineTask, SolverQueue
from vaereg.inverse.refining.refinement import Refinement, refine
from vaereg.solver.grid_check import MeshCheck
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize
from vaereg.targets import Target


def targets_of(volume: np.ndarray, factor: float = 1.04) -> dict[str, Target]:
    return {"C11": float(factor * homogenize(volume).stiffness[0, 0])}


def test_a_refinement_goes_one_solve_at_a_time(queue: SolverQueue, executor: ManualExecutor) -> None:
    (volume,) = volumes(1)
    task = RefineTask(volume=volume, targets=targets_of(volume), max_solves=6)
    assert queue.progress(task) is None
    queue.start("a", [task])
    progress = queue.progress(task)
    assert progress is not None and (progress.status, len(progress.history)) == ("running", 0)
    executor.step()
    progress = queue.progress(task)
    assert progress is not None and len(progress.history) == 1
    queue.watch("a", [])  # the page is left
    executor.finish()
    progress = queue.progress(task)
    assert progress is not None and progress.status == "done"
    assert isinstance(progress.result, Refinement)
    assert progress.result.solves == len(progress.history)
    expected = refine(volume, task.targets, max_solves=6, solve_first=True)
    np.testing.assert_array_equal(progress.result.volume, expected.volume)
    queue.start("b", [task])  # done for all
    assert not executor.jobs


def test_shown_volumes_pass_a_refinement(queue: SolverQueue, executor: ManualExecutor) -> None:
    """A session that comes later waits for solves, not for refinements."""
    many = [RefineTask(volume=volume, targets=targets_of(volume), max_solves=8) for volume in volumes(4)]
    queue.start("a", many)
    queue.watch("b", volumes(1, seed=7))
    for _ in range(4):
        executor.step()
    assert isinstance(queue.outcomes(volumes(1, seed=7))[0], HomogenizationResult)
    waiting = [queue.progress(task) for task in many]
    assert [progress.status for progress in waiting if progress is not None].count("waiting") >= 1


def test_tasks_can_be_cancelled(queue: SolverQueue, executor: ManualExecutor) -> None:
    tasks = [RefineTask(volume=volume, targets=targets_of(volume)) for volume in volumes(4)]
    queue.start("a", tasks)
    queue.start("b", tasks[:1])
    queue.cancel("a", tasks)
    assert queue.progress(tasks[0]) is not None  # the other session still wants it
    assert [queue.progress(task) for task in tasks[1:]] == [None] * 3
    queue.cancel("b", tasks)
    executor.finish()
    assert [queue.progress(task) for task in tasks] == [None] * 4
    assert len(executor.order) == 2  # the solves that had begun


def test_the_queue_is_bounded(queue: SolverQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "SESSION_TASKS", 2)
    monkeypatch.setattr(sharing, "ALL_TASKS", 3)
    tasks = [MeshTask(volume=volume) for volume in volumes(4)]
    with pytest.raises(QueueFullError):
        queue.start("a", tasks[:3])
    queue.start("a", tasks[:2])
    with pytest.raises(QueueFullError):
        queue.start("b", tasks[2:])
    assert queue.progress(tasks[2]) is None


def test_a_mesh_check_is_told(queue: SolverQueue, executor: ManualExecutor) -> None:
    task = MeshTask(volume=volumes(3)[2])
    queue.start("a", [task])
    executor.finish()
    progress = queue.progress(task)
    assert progress is not None and isinstance(progress.result, MeshCheck)
    assert (progress.result.change < 0.0).all()


def test_a_failed_task_is_told_and_can_be_tried_again(
    queue: SolverQueue, executor: ManualExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConvergenceError("residual too large")

    monkeypatch.setattr(tasks_module, "mesh_check", fail)
    task = MeshTask(volume=volumes(1)[0])
    queue.start("a", [task])
    executor.finish()
    progress = queue.progress(task)
    assert progress is not None and isinstance(progress.error, ConvergenceError)
    monkeypatch.undo()
    queue.start("a", [task])
    executor.finish()
    progress = queue.progress(task)
    assert progress is not None and progress.status == "done"
    with pytest.raises(ValueError, match="C99|unknown"):
        queue.start("a", [RefineTask(volume=volumes(1)[0], targets={"C99": 3.0})])


def test_a_callback_takes_no_lock_of_the_queue(queue: SolverQueue, executor: ManualExecutor) -> None:
    """An executor runs callbacks under its own lock, and `submit` asks for that lock under the queue's."""
    queue.watch("a", volumes(1))
    future, *_ = executor.jobs.pop(0)
    executor_lock = threading.Lock()
    held, ended = threading.Event(), threading.Event()

    def end_the_job() -> None:
        with executor_lock:
            held.set()
            future.set_exception(ConvergenceError("residual too large"))
        ended.set()

    with queue._lock:  # as while a job is submitted
        threading.Thread(target=end_the_job, daemon=True).start()
        assert held.wait(10.0)
        assert ended.wait(10.0), "the callback waits for the queue's lock, with the executor's in its hands"
    queue.settle()
    assert isinstance(queue.outcomes(volumes(1))[0], ConvergenceError)


def test_a_result_that_made_room_is_forgotten_not_cancelled(
    executor: ManualExecutor, make_queue: Callable[..., SolverQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "KEEP_TASKS", 1)
    queue = make_queue(executor)
    first, second = (MeshTask(volume=volume) for volume in volumes(2))
    queue.start("a", [first])
    executor.finish()
    queue.start("a", [second])
    executor.finish()
    seen = [queue.progress(task) for task in (first, second)]
    assert [progress.status for progress in seen if progress is not None] == ["forgotten", "done"]
    queue.start("a", [first])  # asked for again
    executor.finish()
    progress = queue.progress(first)
    assert progress is not None and progress.status == "done"


def test_finished_tasks_are_bounded_by_bytes(
    executor: ManualExecutor, make_queue: Callable[..., SolverQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [np.tile(volume, (2, 2, 2)) for volume in volumes(3)]
    monkeypatch.setattr(queue_module, "KEEP_TASK_BYTES", 2 * (shown[0].nbytes + 20_000))
    queue = make_queue(executor)
    tasks = [RefineTask(volume=volume, targets=targets_of(volume), max_solves=2) for volume in shown]
    queue.start("a", tasks)
    executor.finish()
    statuses = [progress.status for task in tasks if (progress := queue.progress(task)) is not None]
    assert sorted(statuses) == ["done", "done", "forgotten"]
