"""Strains that a solid in a void resists: against the solver, and cells of known mechanisms."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import voigt_to_mandel
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.microstructure.carrying import carried_part, carried_strains
from vaereg.solver.homogenization import homogenize

POROUS = TwoPhase(Phase("", 1.0, 0.3), VOID)


def _rank(solid: np.ndarray) -> int:
    carried = carried_strains(solid)
    return 6 if carried is None else round(float(np.trace(carried)))


@pytest.mark.parametrize("seed", range(24))
def test_a_solid_resists_what_the_solver_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(8, 8, 8)), rng.uniform(0.5, 1.5, 3), mode="wrap")
    solid = field > np.quantile(field, rng.uniform(0.5, 0.95))
    stiffness = homogenize(solid, POROUS, rtol=1e-8, max_iter=4000).stiffness
    assert _rank(solid) == int((np.linalg.eigvalsh(voigt_to_mandel(stiffness)) > 1e-9).sum())
    np.testing.assert_allclose(carried_part(stiffness, carried_strains(solid)), stiffness, atol=1e-10)


def test_known_mechanisms() -> None:
    cell = np.zeros((6, 6, 6), dtype=bool)
    assert _rank(cell) == 0, "nothing resists nothing"
    block = cell.copy()
    block[1:4, 1:4, 1:4] = True
    assert _rank(block) == 0, "a particle apart from its copies"
    bar = cell.copy()
    bar[2, 2, :] = True
    assert _rank(bar) == 1, "a bar resists tension alone"
    crossed = bar.copy()
    crossed[5, :, 5] = True
    assert _rank(crossed) == 2, "bars apart from each other resist one tension each"
    sheet = cell.copy()
    sheet[:, :, 3] = True
    assert _rank(sheet) == 3, "a sheet resists what lies in its plane"
    assert _rank(sheet | bar) == 6, "a sheet and a bar through it resist all"
    assert _rank(~cell) == 6


def test_voxels_that_share_an_edge_are_a_hinge() -> None:
    diagonal = np.zeros((4, 4, 4), dtype=bool)
    diagonal[np.arange(4), np.arange(4)] = True  # bars along z that touch at edges
    stiffness = homogenize(diagonal, POROUS, rtol=1e-8).stiffness
    assert _rank(diagonal) == int((np.linalg.eigvalsh(voigt_to_mandel(stiffness)) > 1e-9).sum())


def test_many_loose_voxels_are_looked_at_in_time() -> None:
    noise = np.random.default_rng(0).random((24, 24, 24)) < 0.1
    carried = carried_strains(noise)
    assert carried is not None
    np.testing.assert_allclose(carried @ carried, carried, atol=1e-12)
