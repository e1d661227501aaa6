"""Batches that do not fit into memory are solved in halves."""

from typing import Any

import numpy as np
import pytest
import torch

from vaereg.materials import TwoPhase
from vaereg.solver.on_torch import homogenization as torch_solver
from vaereg.solver.on_torch.homogenization import homogenize_batch

PAIR = TwoPhase.from_moduli(1.0, 0.1, 0.2, 0.3)


@pytest.fixture
def phases() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((5, 3, 4, 2)).round())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("can't allocate memory"),
    ],
)
def test_the_result_is_that_of_the_whole_batch(
    error: RuntimeError, phases: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"sensitivities": True, "keep_displacement": True, "rtol": 1e-9}
    whole = homogenize_batch(phases, PAIR, **kept)
    assert whole.displacement is not None
    solve, sizes = torch_solver._solve_batch, []

    def short_of_memory(
        part: torch.Tensor,
        *arguments: Any,  # noqa: ANN401
    ) -> torch_solver.BatchResult:
        sizes.append(len(part))
        if len(part) > 2:
            raise error
        return solve(part, *arguments)

    monkeypatch.setattr(torch_solver, "_solve_batch", short_of_memory)
    halved = homogenize_batch(phases, PAIR, initial=torch.zeros_like(whole.displacement), **kept)
    assert sizes == [5, 2, 3, 1, 2]
    assert halved.converged and len(halved.unloaded) == 5
    assert abs(halved.iterations - whole.iterations) <= 1
    for name in ("stiffness", "sensitivity", "displacement"):
        torch.testing.assert_close(getattr(halved, name), getattr(whole, name), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("another")])
def test_one_cell_that_does_not_fit_and_other_errors_are_raised(
    error: RuntimeError, phases: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(part: torch.Tensor, *arguments: object) -> torch_solver.BatchResult:
        raise error

    monkeypatch.setattr(torch_solver, "_solve_batch", fail)
    with pytest.raises(type(error), match=str(error)):
        homogenize_batch(phases, PAIR)
