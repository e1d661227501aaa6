"""Pairs of phases that are odd are told so in a line; what is usual is not."""

import math
import re

import pytest

from pages.parts.common.requests.materials_panel import own_phase, pair_doubt
from vaereg.errors import InputError
from vaereg.materials import VOID, Phase, TwoPhase, library


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-3.0, 0.3), "Young's modulus of 1e-06 to 100000 GPa, got -3"),
        ((math.nan, 0.3), "got nan"),
        ((1e300, 0.3), "got 1e+300"),
        ((10.0, 0.5), "Poisson ratio above -1 and at most 0.49, got 0.5"),
        ((10.0, 0.3, -1.0), "density of 0 or more"),
        ((10.0, 0.3, math.inf), "density of at most 1e+06, got inf"),
    ],
)
def test_numbers_that_no_material_has_are_told_in_a_line(numbers: tuple[float, ...], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as error:
        own_phase("mine", *numbers[:2], density=numbers[2] if len(numbers) > 2 else None)
    assert "\n" not in str(error.value)


def test_usual_pairs_are_not_doubted() -> None:
    known = library()
    for pair in (
        TwoPhase(),
        TwoPhase(known["E-glass"], known["epoxy"]),
        TwoPhase(known["aluminium"], VOID),
    ):
        assert pair_doubt(pair) == ""


@pytest.mark.parametrize(
    ("soft", "words"),
    [(Phase("a", 70.0, 0.3), "no difference to the stiffness"), (Phase("b", 1e-6, 0.3), "take a void")],
)
def test_odd_pairs_are_told_in_a_line(soft: Phase, words: str) -> None:
    doubt = pair_doubt(TwoPhase(Phase("metal", 70.0, 0.3), soft))
    assert words in doubt and "\n" not in doubt
