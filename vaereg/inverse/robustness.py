"""Robustness of designs: how much properties change as an interface moves by half a voxel, and over
realisations.

A manufacturer makes walls a little too thin or too thick, and never the same pores twice. Both are predicted
by a guided regressor; conductivities are solved. `measure_spread` tells both of designs, and `robust_designs`
makes designs that stay within limits of both.

Letters: N designs, T quantities, R realisations, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs, chosen
from vaereg.inverse.direct import design
from vaereg.inverse.refining.effects import interface_of
from vaereg.inverse.refining.predicting import predicted_properties
from vaereg.inverse.sampling.judging import Judge
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import specific_surface
from vaereg.microstructure.volume import as_two_phase
from vaereg.model.batches import device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.pairs.regressor import PairModel
from vaereg.targets import CellProperties, Target, Targets
from vaereg.workers import thread_map

__all__ = [
    "HALF_VOXEL",
    "REALISATIONS",
    "DesignSpread",
    "InterfaceSpread",
    "RealisationSpread",
    "interface_spread",
    "measure_spread",
    "moved",
    "realisation_spread",
    "robust_designs",
]

HALF_VOXEL = 0.5
"""Distance by which interfaces are moved [voxel]."""
REALISATIONS = 10
"""Realisations of a design over which its properties are looked at."""
_SPARE = 3
"""Designs that are made for each one that has to be robust."""
_LEVEL = 1.0
"""Standard deviation of the filter that says which voxels of the interface go first [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceSpread:
    """Relative changes of quantities as the stiff phase is eroded and dilated by half a voxel."""

    eroded: NDArray[np.float64]
    """Change over what deviations are relative to, shape (N, T) [-]; NaN where a quantity is lost."""
    dilated: NDArray[np.float64]
    """The same for dilation."""

    @property
    def largest(self) -> NDArray[np.float64]:
        """Largest size of both over the quantities, shape (N,) [-]; infinite where a quantity is lost."""
        changes = np.abs(np.concatenate([self.eroded, self.dilated], axis=1))
        return np.nan_to_num(changes, nan=np.inf).max(axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RealisationSpread:
    """Quantities over realisations of one design."""

    mean: NDArray[np.float64]
    """Shape (T,), each in its unit."""
    std: NDArray[np.float64]
    """Standard deviation over what deviations are relative to, shape (T,) [-]."""
    largest: float
    """Largest of these [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignSpread:
    """Spread of the targeted quantities of designs, relative to what deviations are relative to."""

    names: tuple[str, ...]
    """The T quantities."""
    eroded: NDArray[np.float64]
    """Change as the stiff phase loses half a voxel all around, shape (N, T) [-]; NaN where one is lost."""
    dilated: NDArray[np.float64]
    """Change as it gains half a voxel, shape (N, T) [-]."""
    realisations: NDArray[np.float64]
    """Standard deviation over realisations of the latent vector, uncorrected, shape (N, T) [-]; NaN where
    there are none.
    """

    @property
    def interface(self) -> NDArray[np.float64]:
        """Largest change by the interface over the quantities, shape (N,) [-]; infinite where one is lost."""
        return InterfaceSpread(eroded=self.eroded, dilated=self.dilated).largest

    @property
    def scatter(self) -> NDArray[np.float64]:
        """Largest standard deviation over the quantities, shape (N,) [-]; infinite where one is lost."""
        return np.nan_to_num(self.realisations, nan=np.inf).max(axis=1)

    def rows(self, rows: NDArray[np.intp]) -> DesignSpread:
        """That of some of the designs."""
        return DesignSpread(
            names=self.names,
            eroded=self.eroded[rows],
            dilated=self.dilated[rows],
            realisations=self.realisations[rows],
        )

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Columns of a file of designs: by kind and quantity, as `eroded/E_x`, shape (N,) each."""
        return {
            f"{kind}/{name}": column
            for kind in ("eroded", "dilated", "realisations")
            for name, column in zip(self.names, getattr(self, kind).T, strict=True)
        }


def moved(volume: ArrayLike, distance: float) -> NDArray[np.uint8]:
    """Volume whose interface is moved outwards from the stiff phase, or inwards.

    As many voxels of the interface change as the area of the smooth interface times the distance has; those
    that lie deepest in a notch, or furthest out on a ridge, change first.

    Args:
        volume: Phases 0 and 1, both present, shape (X, Y, Z).
        distance: From -1 to 1 [voxel]; negative for an erosion of the stiff phase.

    Raises:
        InputError: The distance is larger.
    """
    if not -1.0 <= distance <= 1.0:
        raise InputError(f"expected a distance of -1 to 1 voxel, got {distance}")
    phases = as_two_phase(volume)
    value = 0 if distance > 0.0 else 1  # what changes
    places = np.flatnonzero(interface_of(phases) & (phases == value))
    count = min(round(abs(distance) * specific_surface(phases) * phases.size), len(places))
    level = gaussian_filter(phases.astype(np.float64), _LEVEL, mode="wrap").ravel()[places]
    order = np.argsort(level if value else -level, kind="stable")
    result = phases.copy()
    result.ravel()[places[order[:count]]] = 1 - value
    return result


def interface_spread(
    volumes: NDArray[np.uint8],
    targets: Targets,
    materials: TwoPhase,
    *,
    properties: CellProperties | None = None,
    model: PairModel | None = None,
) -> InterfaceSpread:
    """Changes of the targeted quantities as the interfaces move by half a voxel either way.

    Args:
        volumes: Phases 0 and 1, both present, shape (N, X, Y, Z).
        targets: Whose quantities are looked at.
        materials: The two phases.
        properties: Predicted properties of the volumes; predicted here if left out.
        model: Regressor for any pair of phases; the shipped one if left out.
    """
    before = properties or predicted_properties(volumes, targets, materials, model=model)
    own, scales = before.values(targets.names), targets.scales(before)
    changes = []
    for distance in (-HALF_VOXEL, HALF_VOXEL):
        other = np.stack([moved(volume, distance) for volume in volumes])
        after = predicted_properties(other, targets, materials, model=model).values(targets.names)
        changes.append((after - own) / scales)
    return InterfaceSpread(eroded=changes[0], dilated=changes[1])


def realisation_spread(
    volumes: NDArray[np.uint8], targets: Targets, materials: TwoPhase, *, model: PairModel | None = None
) -> RealisationSpread:
    """Spread of the targeted quantities over realisations of one design, shape (R, X, Y, Z).

    Raises:
        InputError: There are fewer than two realisations.
    """
    if len(volumes) < 2:
        raise InputError(f"expected at least two realisations, got {len(volumes)}")
    cells = predicted_properties(volumes, targets, materials, model=model)
    values, scales = cells.values(targets.names), targets.scales(cells).mean(axis=0)
    std = values.std(axis=0, ddof=1) / scales
    return RealisationSpread(mean=values.mean(axis=0), std=std, largest=float(std.max()))


def measure_spread(
    checkpoint: Checkpoint,
    designs: Designs,
    *,
    realisations: int = REALISATIONS,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> DesignSpread:
    """How the quantities of designs change with their interfaces, and over realisations of their latents.

    Args:
        checkpoint: Trained model that made the designs.
        designs: What `design` returned.
        realisations: Number R of new realisations of each design; with 0 their spread is NaN.
        seed: Of the realisations.
        on_progress: Called with the cells that are predicted, and with their number.

    Raises:
        InputError: The designs are another checkpoint's, or R is 1 or negative.
    """
    if designs.checkpoint != checkpoint.hash:
        raise InputError(f"expected designs of the checkpoint {checkpoint.hash}, got {designs.checkpoint}'s")
    if realisations < 0 or realisations == 1:
        raise InputError(f"expected no realisations or at least two, got {realisations}")
    judge = Judge(checkpoint, designs.wanted, designs.materials, designs.constraints)
    count, names = len(designs.component), designs.wanted.names
    own, scales = designs.cells.values(names), designs.wanted.scales(designs.cells)
    total, done = count * (2 + realisations), 0

    def judged(volumes: NDArray[np.uint8]) -> NDArray[np.float64]:
        nonlocal done
        both = (volumes.min(axis=(1, 2, 3)) == 0) & (volumes.max(axis=(1, 2, 3)) == 1)
        values = np.full((len(volumes), len(names)), np.nan)
        if both.any():
            values[both] = judge.final(volumes[both]).cells.values(names)
        done += len(volumes)
        if on_progress:
            on_progress(done, total)
        return values

    changes = []
    for distance in (-HALF_VOXEL, HALF_VOXEL):
        others = np.stack([moved(volume, distance) for volume in designs.microstructures])
        changes.append((judged(others) - own) / scales)
    scatter = np.full((count, len(names)), np.nan)
    if realisations:
        seeds = np.random.default_rng(seed).integers(2**62, size=(count, realisations))
        for row in range(count):
            values = judged(_realisations(judge, designs, row, seeds[row]))
            scatter[row] = values.std(axis=0, ddof=1) / scales[row]
    return DesignSpread(names=names, eroded=changes[0], dilated=changes[1], realisations=scatter)


def _realisations(judge: Judge, designs: Designs, row: int, seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
    """New realisations of one design, cut at its volume fraction, constraints met, shape (R, X, Y, Z)."""
    z = torch.from_numpy(designs.latent[[row]]).to(device_of(judge.checkpoint.model))

    def decode(number: int) -> NDArray[np.uint8]:
        with torch.inference_mode():
            component, stretch = designs.component[[row]], designs.stretch
            field = judge.fields(z, component, designs.size, seeds=[number], stretch=stretch)
            return judge.cut(field, torch.from_numpy(designs.fraction[[row]]).to(field))[0]

    return np.stack(list(thread_map(decode, seeds.tolist())))


def robust_designs(
    checkpoint: Checkpoint,
    targets: Targets | Mapping[str, Target],
    count: int = 12,
    size: int = 32,
    *,
    interface: float = np.inf,
    scatter: float = np.inf,
    constraints: Constraints | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,  # noqa: ANN401
) -> tuple[Designs, DesignSpread]:
    """Designs whose quantities stay within limits as interfaces move, and over realisations.

    Three times as many are made, and of those that stay within the limits the first of each mode are kept;
    so fewer than asked for may be returned, and all of them are within.

    Args:
        checkpoint: Trained model.
        targets: What is wanted.
        count: Largest number of designs.
        size: Voxels per edge.
        interface: Largest change of a targeted quantity as the interface moves by half a voxel [-].
        scatter: Largest standard deviation of one over ten realisations [-].
        constraints: What every design has to meet besides.
        seed: As in `vaereg.inverse.direct.design`.
        on_progress: Called with the candidates and cells that are done, and with their number.
        options: Further arguments of `design`.

    Raises:
        InputError: No design is within the limits; the message has the least spread.
    """
    if not (interface > 0.0 and scatter > 0.0):
        raise InputError(f"expected positive limits of the spread, got {interface:g} and {scatter:g}")
    limited = np.isfinite(interface) or np.isfinite(scatter)
    designs = design(
        checkpoint,
        targets,
        min(_SPARE * count, 256) if limited else count,
        size,
        seed=seed,
        constraints=constraints,
        on_progress=on_progress,
        **options,
    )
    realisations = REALISATIONS if np.isfinite(scatter) or not limited else 0
    spread = measure_spread(
        checkpoint, designs, realisations=realisations, seed=seed, on_progress=on_progress
    )
    within = spread.interface <= interface
    if realisations:
        within &= spread.scatter <= scatter
    if not within.any():
        spread_words = f"{100 * spread.interface.min():.3g} % by half a voxel of the interface"
        if realisations:
            spread_words += f", {100 * spread.scatter.min():.3g} % over realisations"
        raise InputError(
            f"none of {len(within)} designs stays within {100 * interface:g} % and {100 * scatter:g} %: the "
            f"least spread is {spread_words}"
        )
    rows = _shared(designs, np.flatnonzero(within), count)
    designs, spread = chosen(designs, rows), spread.rows(rows)
    if limited and not realisations:
        spread = measure_spread(checkpoint, designs, seed=seed, on_progress=on_progress)
    return designs, spread


def _shared(designs: Designs, rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """At most so many of some designs, dealt to the modes in turn, in the order of the designs."""
    turn = np.zeros(len(rows), dtype=np.int64)
    for component in np.unique(designs.component[rows]):
        own = designs.component[rows] == component
        turn[own] = np.arange(own.sum())
    return np.sort(rows[np.argsort(turn, kind="stable")[:count]])
