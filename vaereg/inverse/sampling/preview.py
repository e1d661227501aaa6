"""Previews of a target while it is moved: one small design a mode, decoded from a latent vector.

The properties are those that the latent vector stands for, moved to the phases by the surrogate of the modes.
The random numbers are the same at every position, so that a preview changes as smoothly as its target.

Letters: M modes, S latent vectors a mode, T quantities.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.inverse.reach import REACHED, ends_of_modes, library_cells
from vaereg.inverse.sampling.proposals import drawn_built_latents, drawn_latents
from vaereg.inverse.sampling.scoring import allowed_range, best_scale, scaled
from vaereg.materials import TwoPhase
from vaereg.microstructure.symmetry import cut_symmetric
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import PERIODIC, decode_fields, decoded_fraction
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.library import Rows
from vaereg.model.networks import cut
from vaereg.targets import CellProperties, Targets
from vaereg.targets.symmetries import symmetrised

__all__ = ["PREVIEW_EDGE", "Preview", "Previewer"]

PREVIEW_EDGE = 24
"""Voxels per edge of a preview."""
_NEAR = 3
"""Nearest volumes of each mode whose volume fraction is changed to fit."""
_DRAWN = 8
"""Latent vectors that are drawn for each mode."""
_LEVELS = ((0.09, 2), (0.03, 1))
"""Steps of the scale that makes up for what is too stiff or too soft on the whole, see `best_scale` [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """One small design of each mode, the modes in their order."""

    volumes: NDArray[np.uint8]
    """Phases 0 and 1, shape (M, n, n, n)."""
    modes: tuple[int, ...]
    """Index of the mode of each, M of them."""
    names: tuple[str, ...]
    """Quantities that are asked for, and what else was to be told, T of them."""
    values: NDArray[np.float64]
    """Values that the latent vectors stand for, each in its unit, shape (M, T)."""
    deviation: NDArray[np.float64]
    """Largest relative deviation of these values from what is wanted, shape (M,) [-]."""
    reached: NDArray[np.bool_]
    """Whether a known volume of the mode reaches the target, shape (M,)."""


class Previewer:
    """Previews with one pair of phases; what does not depend on the target is computed once.

    Args:
        checkpoint: Trained model with modes.
        pair: The two phases.

    Raises:
        InputError: The checkpoint has no modes.
    """

    def __init__(self, checkpoint: Checkpoint, pair: TwoPhase) -> None:
        if checkpoint.modes is None:
            raise InputError("expected a checkpoint with modes for a preview, got one with a free mixture")
        self.checkpoint, self.modes, self.pair = checkpoint, checkpoint.modes, pair
        self._rows, self._cells = library_cells(self.modes, pair)
        self._ends = ends_of_modes(self.modes, self._rows)

    def preview(
        self,
        targets: Targets,
        *,
        modes: Sequence[int] = (),
        size: int = PREVIEW_EDGE,
        seed: int = 0,
        also: Sequence[str] = (),
        symmetry: str = "none",
        threads: Executor | None = None,
    ) -> Preview:
        """One design of each mode that knows volumes, as near to the target as a latent vector is found.

        Args:
            targets: What is wanted.
            modes: Indices of the modes that are asked for; all if left out.
            size: Voxels per edge.
            seed: Seed of all random numbers.
            also: Quantities whose values are told besides.
            symmetry: Symmetry that the designs are to have, see `vaereg.microstructure.symmetry`.
            threads: Threads that decode, each with one thread of computation; none for this one.

        Raises:
            InputError: The phases lack what a quantity needs.
        """
        targets.check_materials(self.pair)
        names = tuple(dict.fromkeys((*targets.names, *also)))
        near, tried, scale, deviation = self._nearest(targets, modes, symmetry)
        made, latents, cells = self._latents(targets, near, tried, scale, seed, symmetry)
        stretch = size / REFERENCE_EDGE
        numbers = np.random.default_rng(seed)
        seeds = numbers.integers(2**31, size=len(self.modes.names))

        def decode(place: int) -> NDArray[np.uint8]:
            with torch.inference_mode():
                component = np.array([made[place]])
                own = [int(seeds[made[place]])]
                z = latents[place]
                field = decode_fields(
                    self.checkpoint,
                    z,
                    component,
                    size,
                    seeds=own,
                    stretch=stretch,
                    matched=False,
                    symmetry=symmetry,
                )
                if symmetry != "none":
                    return cut_symmetric(field.squeeze().numpy(), float(cells.fraction[place]), symmetry)
                share = torch.tensor([cells.fraction[place]], dtype=field.dtype)
                return cut(field, share).squeeze().to(torch.uint8).numpy()

        places = range(len(made))
        volumes = list(map(decode, places) if threads is None else threads.map(decode, places))
        return Preview(
            volumes=np.stack(volumes) if volumes else np.zeros((0, size, size, size), np.uint8),
            modes=tuple(made),
            names=names,
            values=cells.values(names),
            deviation=np.nan_to_num(targets.largest_deviation(cells), nan=np.inf),
            reached=deviation <= REACHED,
        )

    def _nearest(
        self, targets: Targets, modes: Sequence[int], symmetry: str
    ) -> tuple[list[int], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Modes, and the place in the library, the scale and the deviation of the nearest volume of each."""
        known = self._cells
        if symmetry != "none":
            _, known = library_cells(self.modes, self.pair, symmetry)
        off = np.nan_to_num(targets.largest_deviation(known), nan=np.inf)
        if targets.objectives:  # the best of those that have the rest
            merit = np.nan_to_num(targets.merit(known), nan=-np.inf)
            off = np.where(off <= 0.5 * REACHED, -1.0 - np.exp(np.minimum(merit, 50.0)), off)
        indices: list[int] = []
        parts: list[NDArray[np.intp]] = []
        for index in range(len(self.modes.names)):
            places = np.arange(self._ends[index], self._ends[index + 1])
            can_have = self.modes.can_have(index, symmetry)
            if len(places) and can_have and (not modes or index in modes):
                indices.append(index)
                parts.append(places[_least(off[places])])
        if not indices:
            raise InputError("expected a mode that knows volumes, got none")
        candidates = np.concatenate(parts)
        scale, _ = best_scale(targets, known.rows(candidates), levels=_LEVELS)
        moved = scaled(known.rows(candidates), scale)
        rank = np.empty(len(candidates), dtype=np.intp)
        rank[targets.order(moved, tolerance=0.5 * REACHED)] = np.arange(len(candidates))
        starts = np.cumsum([0, *map(len, parts)])
        best = np.array([start + rank[start:end].argmin() for start, end in pairwise(starts)])
        reached = np.nan_to_num(targets.largest_deviation(moved)[best], nan=np.inf)
        return indices, candidates[best], scale[best], reached

    def _latents(
        self,
        targets: Targets,
        indices: list[int],
        places: NDArray[np.intp],
        scale: NDArray[np.float64],
        seed: int,
        symmetry: str,
    ) -> tuple[list[int], list[torch.Tensor], CellProperties]:
        """Mode, latent vector and expected properties of the most promising draw of each mode."""
        rows = self._rows[places]
        diagonal = diagonal_properties(self.modes.library.stiffness_of(rows)) * np.exp(scale)[:, None]
        generator = torch.Generator().manual_seed(seed)
        draws = self._draws(np.array(indices), rows, diagonal, generator)
        like = rows[np.concatenate([np.full(len(z), place) for place, (z, _, _) in enumerate(draws)])]
        cells = self.modes.cells(
            like,
            self.pair,
            diagonal=np.concatenate([values for _, values, _ in draws]),
            fraction=np.concatenate([fraction for _, _, fraction in draws]),
        )
        cells = symmetrised(cells, symmetry)
        change, error = best_scale(targets, cells, levels=_LEVELS)
        cost = error + 0.1 * np.abs(change)
        starts = np.cumsum([0, *(len(z) for z, _, _ in draws)])
        best = np.array([start + cost[start:end].argmin() for start, end in pairwise(starts)])
        chosen = scaled(cells.rows(best), change[best], limits=allowed_range(targets))
        latents = [z[[place - start]] for (z, _, _), place, start in zip(draws, best, starts, strict=False)]
        return indices, latents, chosen

    def _draws(
        self,
        indices: NDArray[np.int64],
        rows: Rows,
        diagonal: NDArray[np.float64],
        generator: torch.Generator,
    ) -> list[tuple[torch.Tensor, NDArray[np.float64], NDArray[np.float64]]]:
        """Latent vectors (S, D) of each mode, what they should decode to, C11 ... C66 with the reference pair
        (S, 6) [GPa], and their volume fractions (S,). Built modes are drawn in one batch.
        """
        built = np.isin(indices, BUILT)
        modes = np.repeat(indices[built], _DRAWN)
        z, values = drawn_built_latents(
            self.modes,
            modes,
            torch.from_numpy(np.repeat(diagonal[built], _DRAWN, axis=0)).float(),
            generator=generator,
        )
        with torch.inference_mode():
            fraction = decoded_fraction(self.checkpoint, z, modes).double().numpy()
        together = zip(
            z.split(_DRAWN),
            values.reshape(-1, _DRAWN, values.shape[1]),
            fraction.reshape(-1, _DRAWN),
            strict=False,  # no mode of them is one empty part of z
        )
        return [
            next(together)
            if built[place]
            else self._draw(index, rows[np.array([place])], diagonal[place], generator)
            for place, index in enumerate(indices.tolist())
        ]

    def _draw(
        self, index: int, row: Rows, diagonal: NDArray[np.float64], generator: torch.Generator
    ) -> tuple[torch.Tensor, NDArray[np.float64], NDArray[np.float64]]:
        """The same of one mode."""
        count = 1 if index == PERIODIC else _DRAWN
        rows = Rows(order=np.repeat(row.order, count), row=np.repeat(row.row, count))
        z, values = drawn_latents(
            self.checkpoint, index, rows, np.tile(diagonal, (count, 1)), generator=generator
        )
        with torch.inference_mode():
            fraction = decoded_fraction(self.checkpoint, z, np.full(count, index)).double().numpy()
        return z, values, fraction


def _least(off: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the smallest entries."""
    count = min(_NEAR, len(off))
    return np.argpartition(off, count - 1)[:count]
