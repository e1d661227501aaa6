"""Figures of cells against what is wanted of them: rows of cards and tables; free of any user interface.

Letters: N cells, T quantities that are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pages.parts.common.requests.quantities import (
    figure_text,
    missing_property,
    signed_deviations,
    with_unit,
)
from pages.parts.common.views.gallery import Line
from vaereg.targets import CellProperties, Targets

__all__ = ["COLUMNS", "COLUMN_KINDS", "Judgement", "card_lines", "deviation_text", "largest_first"]

COLUMNS, COLUMN_KINDS = ("predicted", "solver", "off"), ("predicted", "solver", "off")
"""Columns of the figures of a card, and the names of their styles."""
_ALWAYS = ("volume_fraction", "density")
"""Quantities on every card, asked for or not."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judgement:
    """What prediction and solver say of N cells, side by side."""

    targets: Targets | None
    """Target of the quantity; None where it has none."""
    predicted: CellProperties
    """Predicted value."""
    solved: CellProperties
    """Value by the solver; NaN where it has not solved the cell."""

    @property
    def is_solved(self) -> NDArray[np.bool_]:
        """Whether the solver knows each cell, shape (N,)."""
        return np.asarray(np.isfinite(self.solved.stiffness).all(axis=(1, 2)))

    @property
    def best(self) -> CellProperties:
        """Value by the solver where it knows the cell, else the predicted one."""
        known = self.is_solved
        conductivity = self.solved.conductivity
        return CellProperties(
            stiffness=np.where(known[:, None, None], self.solved.stiffness, self.predicted.stiffness),
            fraction=self.predicted.fraction,
            materials=self.predicted.materials,
            conductivity=self.predicted.conductivity if conductivity is None else conductivity,
        )

    def deviations(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Largest deviation over what is asked for, predicted and by the solver, each of shape (N,) [-]."""
        if self.targets is None:
            missing = np.full(len(self.predicted), np.nan)
            return missing, missing
        solved = np.where(self.is_solved, self.targets.largest_deviation(self.solved), np.nan)
        return self.targets.largest_deviation(self.predicted), solved

    def prediction_error(self) -> float:
        """Median difference of prediction and solver over what is asked for, as deviations are [-]."""
        known = self.is_solved
        if self.targets is None or not known.any():
            return np.nan
        rows = np.flatnonzero(known)
        predicted, solved = self.predicted.rows(rows), self.solved.rows(rows)
        names = self.targets.names
        difference = np.abs(predicted.values(names) - solved.values(names)) / self.targets.scales(solved)
        difference = difference[np.isfinite(difference)]
        return float(np.median(difference)) if len(difference) else np.nan


def largest_first(targets: Targets, cells: CellProperties, row: int) -> list[str]:
    """Quantities that are asked for, the one that is farthest off first."""
    off = np.abs(signed_deviations(targets, cells.rows([row])))[0]
    off = np.nan_to_num(off * [item.weight for item in targets], nan=-1.0)
    return [targets.names[place] for place in np.argsort(-off, kind="stable")]


def deviation_text(deviation: float) -> str:
    """A deviation as cards show it: "+1.8 %", "0 %" within the range, nothing where it is not known."""
    if np.isnan(deviation):
        return ""
    return "0 %" if abs(deviation) < 5e-4 else f"{100 * deviation:+.1f} %"


def card_lines(judgement: Judgement, row: int, state: str, usual: Sequence[str] = ()) -> list[Line]:
    """Rows of figures of one cell: what is asked for, the farthest off first, then fraction and density.

    Args:
        judgement: What is known of the cells.
        row: The cell.
        state: What stands in place of the solver's figures: "…", "–" or "failed".
        usual: Quantities that are shown where nothing is asked for.
    """
    targets, pair = judgement.targets, judgement.predicted.materials
    asked = [*usual] if targets is None else largest_first(targets, judgement.best, row)
    names = asked + [name for name in _ALWAYS if name not in asked and not missing_property(name, pair)]
    known = bool(judgement.is_solved[row])
    predicted = judgement.predicted.rows([row]).values(names)[0]
    solved = judgement.solved.rows([row]).values(names)[0]
    off: Mapping[str, float] = {}
    if targets is not None:
        signed = signed_deviations(targets, judgement.best.rows([row]))[0]
        off = dict(zip(targets.names, signed.tolist(), strict=True))
    goals = {} if targets is None else {item.name: item.goal for item in targets if not item.is_bounded}
    lines = []
    for name, own, truth in zip(names, predicted.tolist(), solved.tolist(), strict=True):
        deviation = goals.get(name) or deviation_text(off.get(name, np.nan))
        if name in _ALWAYS:  # of the voxels, not of a judge
            values = [figure_text(own), "", deviation]
        else:
            values = [figure_text(own), figure_text(truth) if known else state, deviation]
        lines.append(Line(label=with_unit(name), values=values, kind="" if name in asked else "spread"))
    return lines
