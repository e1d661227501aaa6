"""Other volumes of the mode of a design, drawn from the prior, that its refinement goes on from where it
stalls.

No flips lead from some volumes to the target: the walls of one may be too even, the contacts of another too
few. Other draws of the same mode have it otherwise. A few designs are made for the target, as `design` makes
them, and corrected by prediction much longer than there, the most promising ones the longest.

Letters: N volumes, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from vaereg.errors import InputError
from vaereg.inverse.constraints import satisfied
from vaereg.inverse.designs import Designs, chosen
from vaereg.inverse.direct import design
from vaereg.inverse.recipes import recipes
from vaereg.inverse.refining.guidance import corrections_of
from vaereg.inverse.refining.restarts import (
    begun_anew,
    gone_on_from,
    is_there,
    passed_over,
    sees_targets,
)
from vaereg.inverse.refining.search import Drawn, Origin, Search
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint

__all__ = ["DRAWS", "drawn_anew", "gone_on_elsewhere", "origins_of"]

DRAWS = 3
"""Most times that a search has designs drawn."""
_DESIGNS, _CORRECTIONS = 6, 2
"""Designs of each time, and the corrections that they are made with."""
_STEPS, _MORE_STEPS = 10, 10
"""Further corrections by prediction of all of them, and of the best ones after these: of four designs for a
target at a contrast of 765 the one that is the best after ten and after twenty is the last after five."""
_KEPT = 2
"""Number of these best ones."""


def origins_of(designs: Designs, checkpoint: Path | None = None) -> list[Origin]:
    """What designs were drawn from, for `refine` and `refine_all`.

    Args:
        designs: What `design` returned.
        checkpoint: File of the model that made them; the shipped one if left out.
    """
    return [
        Origin(
            component=component,
            lengths=designs.lengths,
            checkpoint=None if checkpoint is None else str(checkpoint),
            made_by=designs.checkpoint,
        )
        for component in designs.component.tolist()
    ]


def gone_on_elsewhere(search: Search, *, last: bool) -> tuple[Search, bool]:
    """The search from another volume, one with its interface shaken or one that is drawn, whichever is
    predicted to be nearer, and True; where none is near enough, the search as it is, and False.

    Args:
        search: A search that stalls.
        last: Whether it has no flips left: otherwise it looks at half of what is shaken, and draws once.
    """
    shaken = begun_anew(search, last=last)
    if shaken is not None and is_there(search, shaken[1]):
        return shaken[0], True
    rounds = DRAWS - search.draws
    if not last:
        rounds = min(1, rounds)
    drawn = drawn_anew(search, rounds=rounds)
    nearest = min(
        (anew for anew in (shaken, drawn) if anew is not None), key=lambda anew: anew[1], default=None
    )
    draws = search.draws + rounds
    if nearest is None:
        return replace(passed_over(search), draws=draws), False
    restarts = search.restarts if shaken is None else shaken[0].restarts
    return replace(nearest[0], restarts=restarts, draws=draws if drawn is None else drawn[0].draws), True


def drawn_anew(search: Search, *, rounds: int) -> tuple[Search, float] | None:
    """The search from another volume of the component, once one is predicted to be nearer than the best so
    far, and its predicted largest deviation [-]; None where none is, where predictions do not see the
    targets, or where nothing can be drawn.

    Args:
        search: A search that stalls.
        rounds: Most times that designs are drawn now.
    """
    if search.origin is None or not sees_targets(search) or len(set(search.start.shape)) > 1:
        return None
    checkpoint = _checkpoint(search.origin.checkpoint, search.origin.made_by)
    if checkpoint is None:
        return None
    for number in range(search.draws, search.draws + rounds):
        anew = _drawn(replace(search, draws=number + 1), checkpoint, search.origin)
        if anew is not None:
            return anew
    return None


def _drawn(search: Search, checkpoint: Checkpoint, origin: Origin) -> tuple[Search, float] | None:
    """The search from the best of a few designs, and how far off that is by prediction [-]; the volume at the
    start and the number of draws seed them.
    """
    try:
        designs = design(
            checkpoint,
            search.targets,
            _DESIGNS,
            search.start.shape[0],
            materials=search.materials,
            lengths=origin.lengths,
            seed=int(volume_hash(search.start)[:8], 16) + search.draws,
            component=origin.component,
            corrections=_CORRECTIONS,
            constraints=search.constraints if search.constraints else None,
            only_plausible=False,
        )
    except InputError:  # a size that nothing is decoded at, or a component with nothing near the target
        return None
    first = corrections_of(search, designs.microstructures, _STEPS)
    rows = np.argsort(first.largest_deviation[:, -1], kind="stable")[:_KEPT]
    last = corrections_of(search, first.volumes[rows], _MORE_STEPS)
    best = int(np.argmin(last.largest_deviation[:, -1]))
    off = float(last.largest_deviation[best, -1])
    if off > search.best.largest_distance or not satisfied(last.volumes[best], search.constraints):
        return None
    own = chosen(designs, rows[[best]])
    drawn = Drawn(
        latent=own.latent[0],
        realisation=int(own.realisation[0]),
        cut_fraction=float(own.cut_fraction[0]),
        recipe=recipes(checkpoint, own)[0],
    )
    return replace(gone_on_from(search, last.volumes[best]), shaken=False, drawn=drawn), off


@lru_cache(maxsize=1)
def _checkpoint(path: str | None, made_by: str) -> Checkpoint | None:
    """The trained model, if its file is here as it was: another machine may not have it."""
    try:
        checkpoint = load_checkpoint(None if path is None else Path(path))
    except (FileNotFoundError, CheckpointError):
        return None
    return checkpoint if checkpoint.hash == made_by else None
