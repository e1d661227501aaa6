"""Worker processes: their environment, and work that is shared among them."""

import multiprocessing
import os

import pytest

from vaereg.workers import map_in_processes, single_threaded


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with single_threaded():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert dict(os.environ) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert list(map_in_processes(os.path.basename, ["a/1", "b/2", "c/3"], workers)) == ["1", "2", "3"]


def test_errors_of_processes_arrive() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_processes(int, ["1", "one"], 2))


def test_processes_end_when_results_are_no_longer_wanted() -> None:
    results = map_in_processes(int, [str(number) for number in range(40)], 2)
    assert next(iter(results)) == 0
    results.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
