"""Which realisations of the proposals become designs, and which are decoded once more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.designs import Designs
from vaereg.inverse.idle import carries

__all__ = ["best_realisations", "drawn_again"]

_FAR = 10.0
"""Deviation that cells count as in this that carry nothing of what is asked for [-]."""


def best_realisations(
    candidates: Designs, latent_of: NDArray[np.int64], quota: NDArray[np.int64], named: bool
) -> NDArray[np.intp]:
    """Rows of the nearest realisations of each component, one of each latent vector; in place of those that
    carry nothing of what is asked for, others, unless their component was named or there are none: flips may
    join their pieces.

    Args:
        candidates: Realisations.
        latent_of: Index of the latent vector of each realisation.
        quota: Number of designs that are wanted of each component.
        named: Whether the component was asked for.
    """
    carrying = carries(candidates.wanted, candidates.cells)
    order = np.lexsort((candidates.score, ~carrying))
    _, first = np.unique(latent_of[order], return_index=True)
    rows = order[np.sort(first)]
    if not named and carrying.any():
        rows = rows[carrying[rows]]
    best = np.concatenate([rows[candidates.component[rows] == k][:n] for k, n in enumerate(quota)])
    others = rows[~np.isin(rows, best)]
    return np.concatenate([best, others[: quota.sum() - len(best)]])


def drawn_again(candidates: Designs, best: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Latent vectors to be decoded once more, `count` at most: the worse a component, the more of them."""
    components = np.unique(candidates.component[best])
    worse = np.nan_to_num(candidates.score[best], posinf=_FAR)
    if candidates.wanted.objectives:  # whose scores have no zero
        worse = worse - worse.min()
    excess = np.array([np.mean(worse[candidates.component[best] == k]) ** 2 for k in components])
    share = np.floor(count * excess / max(excess.sum(), 1e-12) + 1e-9).astype(np.int64)
    return np.concatenate(
        [
            np.resize(np.flatnonzero(candidates.component == k), n)
            for k, n in zip(components, share, strict=True)
        ]
    )
