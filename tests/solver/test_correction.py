"""The correction of the preconditioner for a stiff phase with a larger ratio of bulk to shear modulus."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vaereg.generators.morphologies import sample
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.solver import correction
from vaereg.solver.cell import Cell
from vaereg.solver.compiled.kernels import apply_stiffness, element_constants
from vaereg.solver.homogenization import homogenize

EDGE = 16
UNLIKE = TwoPhase.from_moduli(1.0, 1e-3, 0.45, 0.2)


@pytest.fixture(autouse=True)
def small_cubes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "LEAST_EDGE", EDGE)


def make_cell(volume: NDArray, pair: TwoPhase, *, bbar: bool = False) -> Cell:
    return Cell(volume.astype(float), pair, np.dtype(np.float32), bbar=bbar, soft_reference=True)


def random_volume(rng: np.random.Generator) -> NDArray:
    return rng.random((EDGE, EDGE, EDGE)) < 0.5


@pytest.mark.parametrize("bbar", [False, True])
def test_it_is_what_the_formula_says(bbar: bool, rng: np.random.Generator) -> None:
    """G (r - Q G r)."""
    cell = make_cell(random_volume(rng), UNLIKE, bbar=bbar)
    told = cell.correction
    assert told is not None
    residual = rng.standard_normal(cell.empty().shape).astype(np.float32)
    solution, energy = cell.precondition(residual.copy())
    cell.correction = None
    plain, _ = cell.precondition(residual)
    law, forces = np.repeat(told.law / 16.0, 2, axis=2), np.empty_like(plain)
    constants = element_constants((1.0, 1.0, 1.0), bbar, np.dtype(np.float32))
    apply_stiffness(plain, law, np.zeros_like(law), constants, bbar, forces)
    expected, _ = cell.precondition(residual - forces)
    np.testing.assert_allclose(solution, expected, atol=1e-5 * np.abs(plain).max())
    np.testing.assert_allclose(energy, (residual * solution).reshape(-1, 2).sum(0), rtol=1e-4)


def test_it_is_symmetric(rng: np.random.Generator) -> None:
    cell = make_cell(random_volume(rng), UNLIKE)
    a, b = (rng.standard_normal(cell.empty().shape).astype(np.float32) for _ in range(2))
    there, back = ((first * cell.precondition(second)[0]).sum() for first, second in ((a, b), (b, a)))
    size = np.linalg.norm(a) * np.linalg.norm(cell.precondition(b)[0])
    assert abs(there - back) < 1e-5 * size


def test_the_homogeneous_stiff_phase_keeps_what_the_secant_leaves() -> None:
    """Relative to G, all eigenvalues are between 1 / (1 + c x) and 1: no cell has smaller ones."""
    cell = make_cell(np.ones((EDGE, EDGE, EDGE)), UNLIKE)
    assert cell.correction is not None
    blocks = []
    for corrected in (True, False):
        cell.correction = cell.correction if corrected else None
        columns = []
        for axis in range(3):
            force = np.zeros_like(cell.empty())
            force[axis, 0, 0, 0] = 1.0
            columns.append(np.fft.fftn(cell.precondition(force)[0][..., 0::2], axes=(1, 2, 3)))
        blocks.append(np.array(columns).reshape(3, 3, -1).transpose(2, 0, 1)[1:])
    inverse = np.linalg.inv(np.linalg.cholesky(blocks[1]))
    relative = np.linalg.eigvalsh(inverse @ blocks[0] @ inverse.conj().swapaxes(1, 2))
    assert 0.24 < relative.min() < 0.25 and relative.max() < 1.0 + 1e-4


@pytest.mark.parametrize(("swapped", "stiff"), [(False, 0.45), (True, 0.48)])
def test_it_saves_iterations_and_changes_no_stiffness(
    swapped: bool, stiff: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = sample("gaussian", EDGE, generator=np.random.default_rng(0)).volume
    pair = TwoPhase.from_moduli(1.0, 1e-3, stiff, 0.2)
    if swapped:
        volume, pair = 1 - volume, TwoPhase(pair.soft, pair.stiff)
    corrected = homogenize(volume, pair, rtol=1e-9)
    monkeypatch.setattr(correction, "LEAST_SPREAD", np.inf)
    plain = homogenize(volume, pair, rtol=1e-9)
    assert corrected.iterations < 0.7 * plain.iterations
    error = np.abs(corrected.stiffness - plain.stiffness).max()
    assert error < 1e-8 * np.abs(plain.stiffness).max()


@pytest.mark.parametrize(
    "pair",
    [
        TwoPhase(),
        TwoPhase.from_moduli(1.0, 1e-3, 0.2, 0.45),
        TwoPhase.from_moduli(1.0, 1e-3, 0.4, 0.2),
        TwoPhase(Phase("", 1.0, 0.45), VOID),
    ],
)
def test_it_is_left_out_where_it_does_not_pay(pair: TwoPhase, rng: np.random.Generator) -> None:
    assert make_cell(random_volume(rng), pair).correction is None
