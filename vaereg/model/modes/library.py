"""The training volumes of the modes: where the prior is asked, and what each mode reaches.

A row is one volume with its stiffness and conductivity for the reference pair; all orders of its axes count.

Letters: N rows, O = 6 orders of the axes, B chosen rows, D latent size, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import AXIS_ORDERS

__all__ = ["ModeLibrary", "Rows"]


_ENOUGH = 20
"""Rows of a mode that tell the ends of its volume fractions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Some rows of the library, each with an order of its axes."""

    order: NDArray[np.intp]
    """Index into `vaereg.elasticity.AXIS_ORDERS`, shape (B,)."""
    row: NDArray[np.intp]
    """Row of the library, shape (B,)."""

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: NDArray[np.intp]) -> Rows:
        return Rows(order=self.order[index], row=self.row[index])


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeLibrary:
    """Training volumes in one orientation."""

    mode: NDArray[np.int64]
    """Index of the mode of each row, shape (N,)."""
    stiffness: NDArray[np.float64]
    """Stiffness with the reference pair, Voigt order, shape (N, 6, 6) [GPa]."""
    conductivity: NDArray[np.float64]
    """Conductivity with the reference pair, shape (N, 3, 3) [W/(m K)]."""
    fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    latent: NDArray[np.float32]
    """Latent vectors of the rows of the periodic mode, means of q(z | x, k) of built modes, shape (N, D)."""

    def __len__(self) -> int:
        return len(self.mode)

    def rows_of(self, mode: int) -> Rows:
        """Rows of a mode, in all orders of the axes."""
        indices = np.flatnonzero(self.mode == mode)
        return Rows(
            order=np.repeat(np.arange(len(AXIS_ORDERS)), len(indices)), row=np.tile(indices, len(AXIS_ORDERS))
        )

    def fraction_ranges(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Volume fractions between which each of the first modes looks like itself, shape (count,) each [-].

        These are the ends of its rows: pores that fill more than half of the volume are recognised as foams
        or channels. Any fraction where a mode has too few rows to tell.
        """
        low, high = np.zeros(count), np.ones(count)
        for mode in range(count):
            fractions = self.fraction[self.mode == mode]
            if len(fractions) >= _ENOUGH:
                low[mode], high[mode] = fractions.min(), fractions.max()
        return low, high

    def stiffness_of(self, rows: Rows) -> NDArray[np.float64]:
        """Stiffness of rows with their axes in order, shape (B, 6, 6) [GPa]."""
        orders = np.array(AXIS_ORDERS)[rows.order]
        return self.stiffness[rows.row[:, None, None], orders[:, :, None], orders[:, None, :]]

    def conductivity_of(self, rows: Rows) -> NDArray[np.float64]:
        """Conductivity of rows with their axes in order, shape (B, 3, 3) [W/(m K)]."""
        orders = np.array(AXIS_ORDERS)[rows.order][:, :3]
        return self.conductivity[rows.row[:, None, None], orders[:, :, None], orders[:, None, :]]
