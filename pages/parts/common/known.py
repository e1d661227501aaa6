"""Known volumes: what the training volumes have with a pair of phases; computed once for all sessions.

Letters: N volumes.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from vaereg.inverse.reach import library_cells
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TARGETS, CellProperties

__all__ = ["KnownVolumes", "known_values", "known_volumes"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KnownVolumes:
    """Training volumes of the modes, in all orders of their axes, with a pair of phases."""

    cells: CellProperties
    """Expected properties, N cells."""
    mode: NDArray[np.int64]
    """Index of the mode of each, shape (N,)."""


def known_volumes(checkpoint: Checkpoint, pair: TwoPhase) -> KnownVolumes | None:
    """Return the training volumes of the modes with these phases; None of a model without modes."""
    return None if checkpoint.modes is None else _known_volumes(checkpoint, checkpoint.hash, pair)


@st.cache_resource(max_entries=8, show_spinner=False)
def _known_volumes(_checkpoint: Checkpoint, checkpoint_hash: str, pair: TwoPhase) -> KnownVolumes:
    modes = _checkpoint.modes
    if modes is None:
        raise ValueError("expected a model with modes, got one without")
    rows, cells = library_cells(modes, pair)  # whose constants the designs need too
    return KnownVolumes(cells=cells, mode=modes.library.mode[rows.row])


def known_values(checkpoint: Checkpoint, pair: TwoPhase, name: str) -> NDArray[np.float64]:
    """Return a quantity of the training volumes with these phases, in its unit, shape (N,).

    Of a model without modes those for its own phases; none of quantities that it does not know.
    """
    return _known_values(checkpoint, checkpoint.hash, pair, name)


@st.cache_data(max_entries=128, show_spinner=False)
def _known_values(
    _checkpoint: Checkpoint, checkpoint_hash: str, pair: TwoPhase, name: str
) -> NDArray[np.float64]:
    known = known_volumes(_checkpoint, pair)
    if known is not None:
        return known.cells.values([name])[:, 0]
    if name not in TARGETS or pair != _checkpoint.model.materials:
        return np.empty(0)
    return _checkpoint.fitted.training_properties.values[:, TARGETS.index(name)].astype(np.float64)
