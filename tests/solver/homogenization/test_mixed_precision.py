"""Float64 results of an iteration that runs in float32 between true residuals."""

import numpy as np
import pytest

from vaereg.generators.morphologies import sample
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.solver import homogenization
from vaereg.solver.cell import Cell
from vaereg.solver.homogenization import homogenize

PAIRS = {
    "reference": TwoPhase(),
    "contrast 10,000": TwoPhase(Phase("", 100.0, 0.2), Phase("", 0.01, 0.45)),
    "void": TwoPhase(Phase("", 100.0, 0.3), VOID),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_true_residual_reaches_what_float32_cannot(pair: str) -> None:
    """The stiffness is that of a solve wholly in float64, in nearly as many iterations."""
    volume = sample("gaussian", 16, generator=np.random.default_rng(1)).volume
    mixed = homogenize(volume, PAIRS[pair], rtol=1e-10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cell, "in_single", lambda cell: cell)
        double = homogenize(volume, PAIRS[pair], rtol=1e-10)
    assert mixed.residual <= 1e-10
    np.testing.assert_allclose(mixed.stiffness, double.stiffness, atol=1e-11 * np.abs(double.stiffness).max())
    assert mixed.iterations <= 1.25 * double.iterations + 5


def test_an_iteration_that_rounding_stops_goes_on_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homogenization, "_STALLED", 0.0)  # every fall counts as none
    volume = sample("grains", 12, generator=np.random.default_rng(1)).volume
    result = homogenize(volume, rtol=1e-10)
    assert result.converged and result.residual <= 1e-10


@pytest.mark.parametrize("seed", [0, 9, 14, 22])
def test_a_load_case_that_is_solved_first_does_not_spoil_the_other(seed: int) -> None:
    """Few unknowns: conjugate gradients end early, and go on at rounding level until the other case ends."""
    phase = (np.random.default_rng(seed).random((4, 1, 3)) < 0.5).astype(float)
    pair = TwoPhase.from_moduli(e_stiff=100.0, e_soft=0.01)
    result = homogenize(phase, pair, rtol=1e-9)
    assert result.converged and result.iterations < 60


def test_a_single_cell_shares_the_preconditioner() -> None:
    cell = Cell(np.eye(4)[None].repeat(4, 0), TwoPhase(), np.dtype(np.float64))
    single = cell.in_single()
    assert single.green is cell.green and single.empty().dtype == np.float32
    assert cell.empty().dtype == np.float64 and cell.first_rows.dtype == np.float64
