"""Work through a Dask cluster of real processes: workers and schedulers that die, other versions, no answer.

The tests go on from one to the next: workers die on the way, and at the end the scheduler.
"""

import gc
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from dask_processes import START_SECONDS, DaskProcesses
from manual import ImmediateExecutor

from pages.parts.solving.queue import SolverQueue
from pages.parts.solving.worker_pool import SCHEDULER, start_workers
from vaereg import cluster
from vaereg.cli import _parser, main
from vaereg.cluster import ClusterExecutor, WorkerVersionError, installed_versions, workers_of
from vaereg.errors import InputError
from vaereg.executors import ExecutorLostError, map_tasks
from vaereg.io.datasets import read_dataset
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.training.labelling.families import generate_dataset

COUNT, SEED = 6, 3
families = partial(generate_dataset, count=COUNT, seed=SEED, size=8, batch_size=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The data set that this process writes."""
    path = tmp_path_factory.mktemp("whole") / "data.h5"
    families(path, workers=ImmediateExecutor())
    return path.read_bytes()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with DaskProcesses(tmp_path_factory.mktemp("cluster"), 2) as started:
        yield started


@pytest.fixture
def executor(processes: DaskProcesses) -> Iterator[ClusterExecutor]:
    with workers_of(1, processes.address) as workers:
        assert isinstance(workers, ClusterExecutor)
        yield workers


def alive(processes: DaskProcesses) -> int:
    return sum(worker.poll() is None for worker in processes.workers)


def test_results_come_in_order_and_errors_arrive(processes: DaskProcesses, executor: ClusterExecutor) -> None:
    deadline = time.monotonic() + START_SECONDS
    while executor.worker_count < 2:
        assert time.monotonic() < deadline and alive(processes) == 2
        time.sleep(0.05)
    assert list(map_tasks(str, range(20), executor)) == [str(number) for number in range(20)]
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_tasks(int, ["1", "one"], executor))
    assert executor.submit(cluster.installed_versions).result(30) == installed_versions()
    assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(30) == "1"


def test_workers_keep_no_result_that_has_arrived(executor: ClusterExecutor) -> None:
    """A worker that dies would take it along, and another one would compute it again."""
    gc.disable()  # which would tidy up now and then
    try:
        futures = [executor.submit(str, number) for number in range(5)]
        assert [future.result(60) for future in futures] == list("01234")
        deadline = time.monotonic() + START_SECONDS
        while executor._client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline, "the results are kept"
            time.sleep(0.05)
    finally:
        gc.enable()
    assert all(future.done() for future in futures)


def test_workers_of_another_version_are_refused(
    processes: DaskProcesses, executor: ClusterExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the cluster is joined, and by every task: a worker may come later."""
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    monkeypatch.setattr(executor, "_versions", installed_versions())
    with pytest.raises(WorkerVersionError, match=r"expected vaereg 9\.9\.9 on a worker on .*, got vaereg \d"):
        executor.submit(abs, -1).result(30)
    with pytest.raises(WorkerVersionError, match=r"9\.9\.9 on the worker tcp://"):
        ClusterExecutor(processes.address)


def test_the_queue_of_the_dashboard_takes_the_cluster(
    processes: DaskProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCHEDULER, processes.address)
    queue = SolverQueue(1, start=start_workers)
    try:
        shown = [(np.indices((6, 6, 6)).sum(0) % 3 == part).astype(np.uint8) for part in range(3)]
        deadline = time.monotonic() + START_SECONDS
        while not all(queue.watch("session", shown)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert all(isinstance(outcome, HomogenizationResult) for outcome in queue.outcomes(shown))
        assert isinstance(queue._executor, ClusterExecutor)
    finally:
        queue.close()


def test_a_worker_that_dies_loses_nothing(
    processes: DaskProcesses, executor: ClusterExecutor, whole: bytes, tmp_path: Path
) -> None:
    """The data set has the bytes of one process, though a worker is killed after the first batch."""
    path, calls = tmp_path / "data.h5", []

    def kill(done: int, total: int) -> None:
        calls.append(done)
        if done == 1:
            processes.workers[0].kill()

    families(path, workers=executor, on_progress=kill)
    assert alive(processes) == 1
    assert calls == list(range(COUNT + 1)), "nothing is lost, nothing is done twice"
    assert path.read_bytes() == whole


def test_a_scheduler_that_dies_is_one_line_and_what_is_done_is_kept(
    processes: DaskProcesses,
    whole: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "data.h5"
    with workers_of(1, processes.address) as executor:

        def kill(done: int, total: int) -> None:
            if done == 2:
                processes.scheduler.kill()
                processes.scheduler.wait()

        with pytest.raises(ExecutorLostError, match=r"is gone; \d of 6 volumes are kept: the same command"):
            families(path, workers=executor, on_progress=kill)
        with pytest.raises(ExecutorLostError, match=f"the scheduler {processes.address} is gone"):
            assert isinstance(executor, ClusterExecutor)
            executor.submit(abs, -1)
        assert list(map_tasks(abs, [-1, -2], executor, stand_in=1)) == [1, 2]
    kept = len(list((tmp_path / "data.h5.parts").glob("batch-*.npz")))
    assert kept >= 2
    # the next commands find no scheduler
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    flags = ["--count", str(COUNT), "--seed", str(SEED), "--size", "8", "--out", str(tmp_path / "other.h5")]
    assert main(["generate", *flags, "--scheduler", processes.address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vaereg: error: expected a Dask scheduler at {processes.address}, got no answer")
    calls: list[int] = []
    families(path, workers=ImmediateExecutor(), on_progress=lambda done, total: calls.append(done))
    assert calls[0] == kept
    assert path.read_bytes() == whole


def test_without_a_scheduler_the_dashboard_takes_its_own_processes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SCHEDULER, "tcp://127.0.0.1:9")
    monkeypatch.setattr(cluster, "TIMEOUT", 0.2)
    monkeypatch.setattr("pages.parts.solving.worker_pool.start_processes", lambda count: count)
    assert start_workers(3) == 3
    (record,) = [record for record in caplog.records if record.name.startswith("pages")]
    assert "expected a Dask scheduler at tcp://127.0.0.1:9" in record.getMessage()


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'vaereg\[cluster\]'"):
        ClusterExecutor("tcp://127.0.0.1:9")


def test_the_commands_of_the_page_are_commands() -> None:
    """Every line of the page that calls the program is a valid command line."""
    text = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
    lines = re.findall(r"-m (vaereg .*)", text.replace("\\\n", " ").replace("$SLURM_ARRAY_TASK_ID", "7"))
    assert {line.split()[1] for line in lines} == {"generate", "merge", "refine", "evaluate", "train"}
    for line in lines:
        _parser().parse_args(shlex.split(line)[1:])


SBATCH = "#!/bin/bash\ncp $1 $1.job\nbash $1.job > $1.log 2>&1 &\necho Submitted batch job $!\n"
"""A queue that starts a job at once on this machine; its caller deletes the script when it returns."""


@pytest.mark.parametrize(
    ("package", "changes"),
    [
        (
            "distributed",
            {
                "n_workers=2, threads_per_worker=1": "processes=False, dashboard_address='127.0.0.1:0', "
                "n_workers=1, threads_per_worker=1, protocol='tcp'"
            },
        ),
        (
            "dask_jobqueue",
            {
                'walltime="12:00:00"': "interface='lo', "
                "scheduler_options={'dashboard_address': '127.0.0.1:0'}",
                "jobs=64": "jobs=1",
                "wait_for_workers(1)": f"wait_for_workers(1, timeout={START_SECONDS})",
            },
        ),
        ("executorlib", {"max_workers=4": "max_workers=1"}),
    ],
)
def test_the_examples_of_the_page_run(
    package: str,
    changes: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With one worker and few small volumes; jobs of Slurm are started at once on this machine."""
    text = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"from {package} " in block
    )
    for old, new in {**changes, "count=1000": "count=2, size=8"}.items():
        assert old in code
        code = code.replace(old, new)
    for name, script in (("sbatch", SBATCH), ("scancel", "#!/bin/bash\nkill $@\n")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "limit_process_to_one_thread", lambda: None)
    exec(compile(code, "scaling.md", "exec"), {"__name__": "__main__"})
    assert len(read_dataset(tmp_path / "data.h5")) == 2
    assert ("#SBATCH" in capsys.readouterr().out) == (package == "dask_jobqueue")
