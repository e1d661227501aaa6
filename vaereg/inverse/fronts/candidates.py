"""Candidates for a Pareto front: latent vectors near the training volumes that reach farthest, decoded.

Letters: N candidates, B rows of the library, D latent size, M objectives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.inverse.fronts.pareto import non_dominated, objective_values, reaching
from vaereg.inverse.reach import library_cells
from vaereg.inverse.sampling.judging import Judge
from vaereg.inverse.sampling.proposals import drawn_latents
from vaereg.inverse.sampling.scoring import COARSE, EXPONENT, FRACTIONS, allowed_range, best_scale, scaled
from vaereg.materials import TwoPhase
from vaereg.model.decoding import PERIODIC, decoded_fraction
from vaereg.model.modes.library import Rows
from vaereg.model.modes.release import Modes
from vaereg.targets import CellProperties, Targets
from vaereg.workers import thread_map

__all__ = [
    "TRUSTED",
    "Candidates",
    "cells_of_modes",
    "decoded",
    "drawn_near",
    "known_front",
    "moved_onto",
    "near_values",
    "with_ends",
]

_NEAR = 0.25
"""Deviation of a training volume from the other targets, up to which its neighbourhood is searched [-]."""
TRUSTED = 0.1
"""Deviation from the other targets, by surrogates, up to which a candidate goes on [-]."""
_FARTHEST = 0.3
"""Largest change of the logarithm of the volume fraction by which surrogates are trusted [-]."""
_SEEDS_PER_MODE, _SEEDS = 1200, 300
"""Training volumes of each mode that are looked at, and of all modes that are searched around."""
_DRAWS = 12
"""Latent vectors that are drawn near each of them."""
_ENDS = 0.06
"""Share of the candidates that go on beyond the ends of the front that is looked for [-]."""
_AT_ONCE = 6
"""Candidates of 32 voxels per edge that a thread decodes at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Latent vectors, each with the volume fraction at which its field is cut."""

    latent: Tensor
    component: NDArray[np.int64]
    rows: Rows
    cells: CellProperties
    """What the latent regressor expects of them."""

    def __getitem__(self, places: NDArray[np.intp]) -> Candidates:
        return Candidates(
            latent=self.latent[torch.from_numpy(places).to(self.latent.device)],
            component=self.component[places],
            rows=self.rows[places],
            cells=self.cells.rows(places),
        )


def cells_of_modes(modes: Modes, asked: Sequence[int], pair: TwoPhase) -> tuple[Rows, CellProperties]:
    """Training volumes of some modes with their axes in any order, and their properties with these phases."""
    rows, cells = library_cells(modes, pair)
    places = np.flatnonzero(np.isin(modes.library.mode[rows.row], asked))
    if len(places) == 0:
        raise InputError("expected a mode with training volumes, got none")
    return rows[places], cells.rows(places)


def known_front(targets: Targets, cells: CellProperties, tolerance: float) -> NDArray[np.intp]:
    """Training volumes on their own front, those that meet the other targets within the tolerance."""
    near = np.flatnonzero(np.nan_to_num(targets.largest_deviation(cells), nan=np.inf) <= tolerance)
    front = near[non_dominated(objective_values(targets, cells.rows(near)))] if len(near) else near
    return front[np.argsort(-objective_values(targets, cells.rows(front))[:, 0], kind="stable")]


def near_values(
    targets: Targets, values: NDArray[np.float64], cells: CellProperties, *, tolerance: float
) -> NDArray[np.float64]:
    """Objectives of the cells that come near the other targets, NaN of the rest; of all if none is near."""
    off = np.nan_to_num(targets.largest_deviation(cells), nan=np.inf)
    limit = max(tolerance, float(np.quantile(off, 0.2)))
    return np.where((off <= limit)[:, None], values, np.nan)


def drawn_near(
    judge: Judge,
    modes: Modes,
    every: Rows,
    cells: CellProperties,
    numbers: np.random.Generator,
    generator: torch.Generator,
) -> Candidates:
    """Latent vectors near the training volumes that reach farthest."""
    targets, mode_of = judge.targets, modes.library.mode[every.row]
    starts = np.concatenate(
        [
            numbers.permutation(np.flatnonzero(mode_of == index))[:_SEEDS_PER_MODE]
            for index in np.unique(mode_of)
        ]
    )
    starts = np.union1d(starts, known_front(targets, cells, _NEAR))
    scale, _, values = moved_onto(targets, cells.rows(starts))
    best = reaching(values, _SEEDS, generator=numbers)
    seeds, scale = every[starts[best]], scale[best]
    parts = [
        _of_mode(judge, modes, index, seeds[places], scale[places], generator)
        for index in np.unique(modes.library.mode[seeds.row]).tolist()
        for places in [np.flatnonzero(modes.library.mode[seeds.row] == index)]
    ]
    return _joined(parts)


def moved_onto(
    targets: Targets, cells: CellProperties
) -> tuple[NDArray[np.float64], CellProperties, NDArray[np.float64]]:
    """Cells whose volume fraction is moved a little to meet the other targets: the logarithm of the factor of
    their stiffness, their properties, and their objectives, NaN where they are not near.
    """
    scale = _scales(targets, cells)
    moved = scaled(cells, scale, limits=allowed_range(targets))
    values = near_values(targets, objective_values(targets, moved), moved, tolerance=TRUSTED)
    far = np.abs(np.log(moved.fraction / cells.fraction)) > _FARTHEST
    values[far] = np.nan
    return scale, moved, values


def with_ends(targets: Targets, chosen: Candidates, count: int) -> Candidates:
    """Candidates, of which the last are others that go on where the front of the rest ends: the best ones in
    each objective, cut at volume fractions between theirs and the last that the decoders know. Where other
    targets say at which fraction a field is cut, there are none.

    Args:
        targets: Two or three objectives, and what else is wanted.
        chosen: Candidates, the most promising first.
        count: Number of candidates.
    """
    if _others(targets) is not None:
        return chosen[np.arange(min(count, len(chosen.component)))]
    number = max(1, round(_ENDS * count / len(targets.objectives)))
    cells, own = chosen.cells, objective_values(targets, chosen.cells)
    parts = [chosen[np.arange(min(count - number * own.shape[1], len(own)))]]
    for place, column in enumerate(own.T):
        best = np.argsort(-np.nan_to_num(column, nan=-np.inf), kind="stable")[:number]
        share = np.arange(1, len(best) + 1) / len(best)
        for limit in allowed_range(targets):
            fraction = cells.fraction[best] + share * (limit - cells.fraction[best])
            further = scaled(cells.rows(best), EXPONENT * np.log(fraction / cells.fraction[best]))
            if objective_values(targets, further)[-1, place] > column[best[-1]]:
                parts.append(replace(chosen[best], cells=further))
    return _joined(parts)


def _scales(targets: Targets, cells: CellProperties) -> NDArray[np.float64]:
    """Logarithm of the factor of the stiffness that brings cells nearest to the other targets, shape (N,)."""
    others = _others(targets)
    return np.zeros(len(cells)) if others is None else best_scale(others, cells, levels=COARSE)[0]


def _others(targets: Targets) -> Targets | None:
    """What is wanted besides the objectives: the values and ranges; None where there are none."""
    bounded = tuple(replace(item, goal="") for item in targets if item.is_bounded)
    return Targets(bounded) if bounded else None


def _of_mode(
    judge: Judge,
    modes: Modes,
    index: int,
    rows: Rows,
    scale: NDArray[np.float64],
    generator: torch.Generator,
) -> Candidates:
    """Latent vectors of one mode near training volumes, and what is expected of them."""
    repeats = np.repeat(np.arange(len(rows)), 1 if index == PERIODIC else _DRAWS)
    repeated = rows[repeats]
    diagonal = diagonal_properties(modes.library.stiffness_of(repeated)) * np.exp(scale[repeats])[:, None]
    z, expected = drawn_latents(judge.checkpoint, index, repeated, diagonal, generator=generator)
    component = np.full(len(repeated), index)
    with torch.inference_mode():
        fraction = decoded_fraction(judge.checkpoint, z, component).cpu().numpy().astype(np.float64)
    return Candidates(
        latent=z,
        component=component,
        rows=repeated,
        cells=modes.cells(repeated, judge.pair, diagonal=expected, fraction=fraction),
    )


def _joined(parts: Sequence[Candidates]) -> Candidates:
    heat = [part.cells.conductivity for part in parts if part.cells.conductivity is not None]
    first = parts[0]
    return Candidates(
        latent=torch.cat([part.latent for part in parts]),
        component=np.concatenate([part.component for part in parts]),
        rows=Rows(
            order=np.concatenate([part.rows.order for part in parts]),
            row=np.concatenate([part.rows.row for part in parts]),
        ),
        cells=replace(
            first.cells,
            stiffness=np.concatenate([part.cells.stiffness for part in parts]),
            fraction=np.concatenate([part.cells.fraction for part in parts]),
            conductivity=np.concatenate(heat) if len(heat) == len(parts) else None,
        ),
    )


def decoded(
    judge: Judge,
    chosen: Candidates,
    seeds: NDArray[np.int64],
    size: int,
    stretch: float,
    on_progress: Callable[[int], None],
) -> tuple[NDArray[np.uint8], NDArray[np.float64], CellProperties]:
    """Voxels, the fractions at which they were cut, and their properties as the encoder sees them."""
    count = max(1, _AT_ONCE * 32**3 // size**3)
    places = np.arange(len(seeds))
    parts = [places[begin : begin + count] for begin in range(0, len(places), count)]
    bounded = _others(judge.targets) is not None

    def decode(
        places_of_part: NDArray[np.intp],
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], CellProperties]:
        part = chosen[places_of_part]
        fraction = part.cells.fraction
        with torch.inference_mode():
            own_seeds = seeds[places_of_part]
            field = judge.fields(part.latent, part.component, size, seeds=own_seeds, stretch=stretch)
            volumes = judge.cut(field, torch.from_numpy(fraction).to(field), meeting=not bounded)
            cells = judge.quick(volumes, part.rows).cells
            if bounded:  # cut again, at the fraction that makes up for what is too stiff or too soft
                moved = scaled(cells, _scales(judge.targets, cells), limits=allowed_range(judge.targets))
                fraction = np.clip(fraction * moved.fraction / cells.fraction, *FRACTIONS)
                volumes = judge.cut(field, torch.from_numpy(fraction).to(field))
                cells = judge.quick(volumes, part.rows).cells
        return volumes, fraction, cells

    decoded_parts: list[tuple[NDArray[np.uint8], NDArray[np.float64], CellProperties]] = []
    count_decoded = 0
    for part in thread_map(decode, parts):
        decoded_parts.append(part)
        count_decoded += len(part[0])
        on_progress(count_decoded)
    heat = [cells.conductivity for _, _, cells in decoded_parts if cells.conductivity is not None]
    cells = replace(
        decoded_parts[0][2],
        stiffness=np.concatenate([cells.stiffness for _, _, cells in decoded_parts]),
        fraction=np.concatenate([cells.fraction for _, _, cells in decoded_parts]),
        conductivity=np.concatenate(heat) if len(heat) == len(decoded_parts) else None,
    )
    volumes = np.concatenate([volumes for volumes, _, _ in decoded_parts])
    return volumes, np.concatenate([fraction for _, fraction, _ in decoded_parts]), cells
