"""Worker processes: their environment, and work that is shared among them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from vaereg.workers import (
    THREAD_VARIABLES,
    before_each_cell,
    limit_thread_to_one_thread,
    pool_threads,
    thread_map,
    worker_processes,
)


def test_workers_have_one_thread_and_the_environment_of_their_parent_is_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not for a moment: another thread may start a process, or another pool, meanwhile."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with worker_processes(1) as outer, worker_processes(1) as inner:
        for executor in (outer, inner):
            assert executor.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
            assert executor.submit(os.getenv, "MKL_NUM_THREADS").result() == "1"
            assert executor.submit(pool_threads).result() == 1
            assert dict(os.environ) == before
        assert outer.submit(torch.get_num_threads).result() == 1
    assert dict(os.environ) == before


def test_a_thread_is_limited_without_the_others() -> None:
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1, initializer=limit_thread_to_one_thread) as limited:
            assert limited.submit(torch.get_num_threads).result() == 1
            with ThreadPoolExecutor(1) as later:
                assert later.submit(torch.get_num_threads).result() == 2
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_limited_process_still_compiles() -> None:
    """A worker that has Numba loaded before it is limited compiles kernels afterwards, as refinement does."""
    code = (
        "import numba\n"
        "from vaereg.workers import limit_process_to_one_thread\n"
        "limit_process_to_one_thread()\n"
        "@numba.njit\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "assert double(3) == 6 and numba.get_num_threads() == 1\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    environment |= {"NUMBA_NUM_THREADS": "2", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_map_in_threads_keeps_the_order_and_stops_where_its_caller_stops() -> None:
    begun: list[int] = []

    def square(number: int) -> int:
        begun.append(number)
        return number**2

    assert list(thread_map(square, range(40))) == [number**2 for number in range(40)]
    begun.clear()
    results = thread_map(square, range(1000))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 20


def test_something_can_be_called_before_each_cell() -> None:
    called: list[int] = []

    def ahead() -> None:
        called.append(1)
        if len(called) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), before_each_cell(ahead):
        list(thread_map(abs, range(1000)))
    assert len(called) == 5
    assert list(thread_map(abs, range(3))) == [0, 1, 2]


def test_memory_of_arrays_is_used_again() -> None:
    """New pages from the system for the fields of every cell took a tenth of the time of predictions."""
    code = (
        "import resource\n"
        "import numpy as np\n"
        "from vaereg.workers import thread_map\n"
        "def pages():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(50):\n"
        "        fields = [np.zeros(2**20, np.uint8) + 1 for _ in range(5)]\n"
        "        del fields\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "def work(item):\n"
        "    pages()\n"
        "    return pages()\n"
        "assert max(thread_map(work, range(4))) < 5 * 256\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
