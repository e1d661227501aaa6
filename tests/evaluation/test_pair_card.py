"""The tables on any two phases say what their records say."""

import re
from typing import Any

from vaereg.evaluation.pair_card import pair_section


def row(mean: float) -> dict[str, float]:
    names = ("median", "upper_mean", "upper_median", "young", "poisson", "coverage_90", "novel")
    return {"volumes": 7, "iterations": 4.25, "mean": mean, **dict.fromkeys(names, 0.01)}


def groups(mean: float) -> dict[str, Any]:
    kinds = {"contrast": "10 to 100", "poisson": "below 0.2", "size": "32", "class": "tpms"}
    return {"all": row(mean)} | {kind: {name: row(mean)} for kind, name in kinds.items()}


def test_every_group_has_a_line_and_tables_are_rectangular() -> None:
    measured = {
        "settings": {"checkpoint": "abc"},
        "figures": {"0.05": groups(0.0021), "0.1": groups(0.0063)},
    }
    held_out = {"settings": {"classes": ["tpms"], "training labels": 30}, "figures": groups(0.0444)}
    encoder = {
        "settings": {"checkpoint": "abc", "volumes": 9},
        "figures": {"void": {"volumes": 9, "mean": 0.441, "median": 0.075}},
    }
    text = pair_section(measured, held_out, encoder)
    assert "`abc`" in text and "Trained without tpms (30 labels)" in text
    assert text.count("| 0.21% |") == 5 and text.count("| 0.63% |") == 1 and text.count("| 4.44% |") == 2
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1
    assert "| void | 9 | 44.1% | 7.5% |" in text
    assert "Trained without" not in pair_section(measured) and "9 test volumes" in text
