"""Trial cells of modes: whether a solid in a void holds together, which training volumes do not tell.

Letters: B trial cells.
"""

from __future__ import annotations

import numpy as np
import torch

from vaereg.inverse.idle import carries
from vaereg.inverse.reach import Reach
from vaereg.inverse.sampling.judging import Judge
from vaereg.inverse.sampling.proposals import drawn_latents
from vaereg.inverse.sampling.scoring import allowed_range
from vaereg.model.decoding import decoded_fraction

__all__ = ["shares_in_pieces"]

_TRIALS = 6
"""Trial cells of each mode."""
_EDGE = 32
"""Voxels per edge of these."""


def shares_in_pieces(judge: Judge, reach: Reach, *, seed: int = 0) -> dict[int, float]:
    """Share of trial cells that carry nothing of what is asked for, of each mode that reaches it [-].

    Args:
        judge: Target, phases of which one is a void, and a checkpoint with modes.
        reach: How near the modes come to the target.
        seed: Seed of the trial cells.
    """
    generator = torch.Generator().manual_seed(seed)
    shares: dict[int, float] = {}
    for index in np.flatnonzero(reach.reached).tolist():
        mode = reach.modes[index]
        if mode is None:
            continue
        rows = mode.rows[np.arange(min(_TRIALS, len(mode.deviation)))]
        z, _ = drawn_latents(judge.checkpoint, index, rows, generator=generator)
        component = np.full(len(z), index)
        with torch.inference_mode():
            fraction = decoded_fraction(judge.checkpoint, z, component)
            field = judge.fields(z, component, _EDGE, seeds=np.arange(len(z)), stretch=1.0)
            volumes = judge.cut(field, fraction.clamp(*allowed_range(judge.targets)))
            cells = judge.quick(volumes, rows).cells
        shares[index] = 1.0 - float(carries(judge.targets, cells).mean())
    return shares
