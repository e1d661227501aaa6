"""Bounds of quantities between two matrices hold for every matrix between them, and are attained."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.materials import TwoPhase, phase_by_name
from vaereg.targets import CellProperties
from vaereg.targets.enclosure import quantity_enclosure

PAIR = TwoPhase(phase_by_name("E-glass"), phase_by_name("epoxy"))
FRACTION = 0.4
ELASTIC = (
    *("E_x", "E_z", "G_yz", "G_xy", "nu_xy", "nu_zx", "E", "nu", "K", "G"),
    *("C11", "C12", "C46", "C66", "specific_E_y", "specific_cbrt_E"),
)


def between(low: NDArray, high: NDArray, count: int) -> NDArray[np.float64]:
    """Random matrices between two in the Loewner order, a third of them at an end in some direction."""
    generator = np.random.default_rng(5)
    root = np.linalg.cholesky(high - low)
    axes = np.linalg.qr(generator.normal(size=(count, 6, 6)))[0]
    share = generator.uniform(size=(count, 6))
    share[::3] = generator.integers(0, 2, size=share[::3].shape)
    middle = np.einsum("nik,nk,njk->nij", axes, share, axes)
    return low + root @ middle @ root.T


@pytest.fixture
def bounds() -> tuple[NDArray, NDArray]:
    """Two matrices that are closer to each other than those of the phases."""
    low, high = reuss_bound(FRACTION, PAIR), voigt_bound(FRACTION, PAIR)
    low, high = low + 0.3 * (high - low), low + 0.5 * (high - low)
    middle = np.diag([1.0, 0.7, 0.9, 0.8, 0.6, 1.0])
    return low, low + middle @ (high - low) @ middle


def test_every_matrix_between_two_has_its_quantities_between_the_ends(
    bounds: tuple[NDArray, NDArray],
) -> None:
    matrices = between(*bounds, 600)
    cells = CellProperties(stiffness=matrices, fraction=np.full(len(matrices), FRACTION), materials=PAIR)
    values = cells.values(ELASTIC)
    ends = quantity_enclosure(ELASTIC, FRACTION, PAIR, *bounds)
    slack = 1e-9 * np.abs(ends).max(axis=1)
    assert (values >= ends[:, 0] - slack).all() and (values <= ends[:, 1] + slack).all()
    of_phases = quantity_enclosure(ELASTIC, FRACTION, PAIR)
    assert (ends[:, 0] >= of_phases[:, 0]).all() and (ends[:, 1] <= of_phases[:, 1]).all()
    tighter = np.diff(ends, axis=1) < 0.7 * np.diff(of_phases, axis=1)
    assert tighter.all()


@pytest.mark.parametrize("name", ["nu_xy", "nu_zx", "C12", "E_x"])
def test_the_ends_of_one_quantity_are_attained(bounds: tuple[NDArray, NDArray], name: str) -> None:
    low, high = bounds
    if name.startswith("nu"):  # the extreme of a form of S, at a matrix that differs from A by a dyad
        stiff, soft = np.linalg.inv(high), np.linalg.inv(low)
        i, j = "xyz".index(name[3]), "xyz".index(name[4])
        end = quantity_enclosure([name], FRACTION, PAIR, low, high)[0, 1]
        first, second = np.eye(6)[i], -(np.eye(6)[j] + end * np.eye(6)[i])
        root = np.linalg.cholesky(soft - stiff)
        u, v = root.T @ first, root.T @ second
        middle = u / np.linalg.norm(u) + v / np.linalg.norm(v)
        middle /= np.linalg.norm(middle)
        compliance = stiff + root @ np.outer(middle, middle) @ root.T
        assert -compliance[i, j] / compliance[i, i] == pytest.approx(end, rel=1e-6)
        return
    ends = quantity_enclosure([name], FRACTION, PAIR, low, high)[0]
    matrices = between(low, high, 20_000)
    cells = CellProperties(stiffness=matrices, fraction=np.full(len(matrices), FRACTION), materials=PAIR)
    values = cells.values([name])
    assert values.max() - values.min() > 0.6 * (ends[1] - ends[0])


def test_a_cell_with_a_void_may_carry_no_load() -> None:
    pair = TwoPhase(phase_by_name("aluminium"), phase_by_name("void"))
    ends = quantity_enclosure(
        ["E_x", "nu_xy", "nu", "C11", "density"], 0.3, pair, np.zeros((6, 6)), voigt_bound(0.3, pair)
    )
    assert ends[0, 0] == 0.0 and ends[0, 1] > 0.0 and ends[3, 0] == 0.0
    assert np.isinf(ends[1]).all() and ends[4, 0] == ends[4, 1]
