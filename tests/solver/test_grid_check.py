"""The refined grid: never stiffer, exact where the grid does not matter, started from the coarse solution."""

import numpy as np
import pytest

from vaereg.materials import TwoPhase
from vaereg.solver.grid_check import mesh_check
from vaereg.solver.homogenization import homogenize


@pytest.mark.parametrize("shape", [(5, 6, 4), (1, 4, 3)], ids=str)
def test_fine_solve_is_that_of_the_split_voxels(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    phase = (rng.random(shape) < 0.5).astype(np.uint8)
    check = mesh_check(phase)
    split = np.kron(phase, np.ones((2, 2, 2)))
    np.testing.assert_allclose(check.coarse.stiffness, homogenize(phase).stiffness, atol=1e-12)
    expected = homogenize(split).stiffness
    np.testing.assert_allclose(check.fine.stiffness, expected, atol=1e-9 * expected.max())


def test_a_finer_grid_is_softer_in_every_strain(rng: np.random.Generator) -> None:
    """Its displacements include those of the coarse grid, so that its least energy is not larger."""
    check = mesh_check(rng.random((6, 6, 6)) < 0.5)
    assert np.linalg.eigvalsh(check.coarse.stiffness - check.fine.stiffness).min() > 0.0
    assert (check.change < 0.0).all()
    assert check.change[0] == pytest.approx(
        (check.fine.stiffness[0, 0] - check.coarse.stiffness[0, 0]) / check.coarse.stiffness[0, 0]
    )


def test_a_laminate_does_not_depend_on_the_grid() -> None:
    phase = np.broadcast_to(np.array([1.0, 0.0, 0.0, 1.0])[:, None, None], (4, 3, 2))
    check = mesh_check(phase, TwoPhase.from_moduli(nu_soft=0.45))
    np.testing.assert_allclose(check.change, 0.0, atol=1e-9)
    assert check.fine.iterations == 0  # the coarse solution, interpolated, is that of the fine grid


def test_coarse_solution_shortens_the_fine_solve() -> None:
    x, y, z = np.meshgrid(*[np.sin(2.0 * np.pi * np.arange(12) / 12)] * 3, indexing="ij")
    phase = (x + y + z + 3.0) / 6.0
    assert mesh_check(phase).fine.iterations < homogenize(np.kron(phase, np.ones((2, 2, 2)))).iterations
