"""Pairs of phases that are odd are told so in a line; what is usual is not."""

import pytest

from pages.parts.common.requests.materials_panel import pair_doubt
from vaereg.materials import VOID, Phase, TwoPhase, library


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
