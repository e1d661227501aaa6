"""One large cell is shared among threads: the same result, in parts that never write to one place."""

from types import SimpleNamespace

import numpy as np
import pytest

from vaereg.commands.reporting import iteration_progress
from vaereg.materials import TwoPhase
from vaereg.solver.compiled import threads, vectors
from vaereg.solver.compiled.threads import parts_of, share
from vaereg.solver.homogenization import homogenize
from vaereg.workers import cell_threads


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEREG_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "LEAST_NUMBERS", 1)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("length", "step"), [(1, 1), (2, 1), (3, 1), (6, 1), (7, 1), (100, 1), (1000, 64)])
def test_parts_cover_an_axis_and_are_never_shorter_than_two_steps(length: int, step: int) -> None:
    parts = parts_of(10, length, step)
    assert [index for begin, end in parts for index in range(begin, end)] == list(range(length))
    assert len(parts) == max(1, min(3, length // (2 * step)))
    assert len(parts) == 1 or min(end - begin for begin, end in parts) >= 2 * step
    assert all(begin % step == 0 for begin, _ in parts)


def test_small_cells_take_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEREG_NUM_THREADS", "3")
    assert parts_of(3 * 48 * 48 * 96, 48) == [(0, 48)]
    assert len(parts_of(3 * 64 * 64 * 128, 64)) == 3
    monkeypatch.setenv("VAEREG_NUM_THREADS", "1")
    assert parts_of(3 * 64 * 64 * 128, 64) == [(0, 64)] and cell_threads() == 1


@pytest.mark.usefixtures("three_threads")
def test_errors_of_threads_arrive() -> None:
    with pytest.raises(ZeroDivisionError):
        share(lambda begin, end: 1 // (begin - 4), [(0, 2), (2, 4), (4, 6)])


@pytest.mark.parametrize("shape", [(7, 4, 5), (2, 6, 4), (1, 3, 3)])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_threads_do_not_change_the_result(
    shape: tuple[int, int, int], element: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = np.random.default_rng(0).random(shape).round()
    pair = TwoPhase.from_moduli(1.0, 0.1, 0.2, 0.4)
    monkeypatch.setenv("VAEREG_NUM_THREADS", "1")
    alone = homogenize(phase, pair, rtol=1e-10, element=element)
    monkeypatch.setenv("VAEREG_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "LEAST_NUMBERS", 1)
    shared = homogenize(phase, pair, rtol=1e-10, element=element)
    np.testing.assert_allclose(shared.stiffness, alone.stiffness, rtol=1e-9, atol=1e-12)
    assert shared.converged and abs(shared.iterations - alone.iterations) <= 1


@pytest.mark.usefixtures("three_threads")
def test_vectors_in_parts_are_those_in_one() -> None:
    generator = np.random.default_rng(1)
    a, b, c = generator.standard_normal((3, 20_000))
    even, odd = vectors.pair_dot(a, b)
    assert (even, odd) == pytest.approx(((a * b)[::2].sum(), (a * b)[1::2].sum()), rel=1e-10)
    step, ratio = np.array([0.5, 2.0]), np.array([3.0, -1.0])
    moved, turned = a + np.tile(step, 10_000) * c, b + np.tile(ratio, 10_000) * c
    vectors.move(a, c, b, step, ratio)
    for got, expected in ((a, moved), (c, turned)):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    six = [vector[: vector.size // 6 * 6] for vector in (a, b)]
    rows, columns = (vector.reshape(3, -1) for vector in six)
    cases, others = (
        np.stack([row[part::2] for row in part_of for part in (0, 1)]) for part_of in (rows, columns)
    )
    np.testing.assert_allclose(vectors.gram(rows, columns), cases @ others.T, rtol=1e-9, atol=1e-9)
    both = vectors.gram(rows, columns, rows)
    np.testing.assert_allclose(both, cases @ (others + cases).T, rtol=1e-9, atol=1e-9)


def test_the_command_tells_of_a_long_solve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr("vaereg.commands.reporting.time", SimpleNamespace(monotonic=lambda: next(times)))
    report = iteration_progress("homogenize")
    for solved, residual in ((0, 0.5), (2, 0.01), (4, 0.5)):
        report(solved, residual)
    assert capsys.readouterr().err == "homogenize: 2 of 6 load cases solved, residual 1.0e-02\n"


def test_a_solve_reports_its_iterations_and_can_be_ended() -> None:
    phase = np.random.default_rng(0).random((6, 6, 6)).round()
    calls: list[tuple[int, float]] = []
    result = homogenize(phase, rtol=1e-5, on_iteration=lambda solved, left: calls.append((solved, left)))
    assert [solved for solved, _ in calls] == sorted(solved for solved, _ in calls)
    assert {solved for solved, _ in calls} == {0, 2, 4}
    assert max(sum(solved == part for solved, _ in calls) for part in (0, 2, 4)) == result.iterations
    assert calls[-1][1] <= 1e-5 < calls[0][1]

    def end(solved: int, left: float) -> None:
        if solved == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        homogenize(phase, on_iteration=end)
