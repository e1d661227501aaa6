"""Scores of designing: objectives weigh relative changes, whatever other cells there are."""

import numpy as np
import pytest

from vaereg.inverse.sampling.realising import measured_exponent
from vaereg.inverse.sampling.scoring import EXPONENT, score
from vaereg.materials import TwoPhase, choose_materials
from vaereg.targets import CellProperties, parse

FOAM = choose_materials("titanium/void").pairs[0]
STIFFNESS = np.diag([30.0, 30.0, 30.0, 8.0, 8.0, 8.0]) + np.pad(np.full((3, 3), 10.0), (0, 3))


def cells(*factors: float, fraction: float = 0.3, pair: TwoPhase = FOAM) -> CellProperties:
    """Cells of multiples of one stiffness."""
    stiffness = np.array(factors)[:, None, None] * STIFFNESS
    return CellProperties(stiffness=stiffness, fraction=np.full(len(factors), fraction), materials=pair)


@pytest.mark.parametrize("objective", ["E_x", "C11", "specific_E_x"])
def test_the_score_of_a_cell_does_not_hang_on_another_one_without_load(objective: str) -> None:
    targets = parse(["density=:1.0g/cm3"], maximize=[objective])
    with_unloaded = score(targets, cells(1.0, 1.5, 0.0))
    np.testing.assert_allclose(with_unloaded[:2], score(targets, cells(1.0, 1.5)))
    assert with_unloaded.argmax() == 2, "a cell that carries no load is the worst"


@pytest.mark.parametrize(("objective", "sign"), [("E_x", 1.0), ("alpha_x", 1.0)])
def test_objectives_weigh_relative_changes(objective: str, sign: float) -> None:
    """A tenth more of a modulus counts for as much in any unit; of thermal expansion nearly so."""
    pair = choose_materials("silicon carbide/aluminium").pairs[0]
    factors = np.array([1.0, 1.1])
    stiff = cells(*factors, pair=pair)
    values = stiff.values([objective])[:, 0]
    change = np.diff(score(parse([], minimize=[objective]), stiff))[0]
    assert change == pytest.approx(sign * np.log(values[1] / values[0]), rel=0.02)


def test_a_vanishing_objective_is_linear_near_zero() -> None:
    """The universal anisotropy is zero in an isotropic cell, which is no better than finitely good."""
    isotropic = np.diag([30.0, 30.0, 30.0, 15.0, 15.0, 15.0])
    stiffness = np.stack([isotropic, STIFFNESS])
    pair = CellProperties(stiffness=stiffness, fraction=np.full(2, 0.3), materials=FOAM)
    anisotropy = pair.values(["anisotropy"])[:, 0]
    result = score(parse([], minimize=["anisotropy"]), pair)
    np.testing.assert_allclose(result, np.arcsinh(anisotropy / 0.1), atol=1e-9)


def test_the_exponent_is_left_alone_where_no_load_is_carried() -> None:
    exponent = np.full(3, EXPONENT)
    former = cells(1.0, 0.0, 0.0)
    after = CellProperties(stiffness=cells(2.0, 1.0, 0.0).stiffness, fraction=np.full(3, 0.4), materials=FOAM)
    measured = measured_exponent(former, after, exponent)
    np.testing.assert_allclose(measured, [np.log(2.0) / np.log(4.0 / 3.0), EXPONENT, EXPONENT])
