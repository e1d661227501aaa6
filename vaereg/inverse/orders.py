"""An order of designs as plain data, carried out here or by a worker: what `design --targets` maps over."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs, chosen, save_designs
from vaereg.inverse.direct import design
from vaereg.inverse.reach import nearest_targets, out_of_reach
from vaereg.inverse.recipes import recipes
from vaereg.inverse.robustness import DesignSpread, measure_spread, robust_designs
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.targets import TableRow, Targets

__all__ = ["DesignOrder", "Designed", "carry_out", "for_row", "save_designed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignOrder:
    """Everything that `design` is told but the target; defaults are those of `design`."""

    count: int = 12
    size: int = 32
    lengths: Literal["voxels", "relative"] = "voxels"
    seed: int = 0
    component: tuple[int, ...] | None = None
    corrections: int = 2
    constraints: Constraints = field(default_factory=Constraints)
    materials: TwoPhase | None = None
    robustness: bool = False
    """Whether the spread of the designs is measured."""
    interface: float = np.inf
    """Largest change of a quantity as the interface moves by half a voxel [-]."""
    scatter: float = np.inf
    """Largest standard deviation of a quantity over ten realisations [-]."""
    nearest: bool = False
    """Whether targets out of reach are replaced by the nearest that a mode can have."""
    fixed: tuple[str, ...] = ()
    """Quantities whose targets stay as they are with `nearest`."""
    checkpoint: Path | None = None
    """File of the trained model; the shipped one if left out."""
    checkpoint_hash: str = ""
    """Hash that the file must have, wherever it is loaded; empty for any."""
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class Designed:
    """Designs with what goes into their file beside them."""

    designs: Designs
    recipes: list[dict[str, Any]]
    spread: DesignSpread | None
    """Their robustness, where it was measured."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Designs that were left out because they do not meet a constraint, by its name."""
    far: str = ""
    """What to tell where no mode reaches the target, and designs come from the nearest ones."""


def carry_out(order: DesignOrder, targets: Targets, checkpoint: Checkpoint, **options: Any) -> Designed:  # noqa: ANN401
    """Make the designs of an order for one target; those that do not meet all constraints are left out.

    Args:
        order: Everything else.
        targets: What is wanted.
        checkpoint: Trained model.
        options: `on_progress` of `design`.

    Raises:
        InputError: As `design` and `robust_designs` do, or no design meets all constraints.
    """
    if order.nearest:
        targets = nearest_targets(
            checkpoint,
            targets,
            order.materials,
            component=order.component,
            fixed=order.fixed,
            symmetry=order.constraints.symmetry,
        ).targets
    settings: dict[str, Any] = {
        "materials": order.materials,
        "lengths": order.lengths,
        "seed": order.seed,
        "component": order.component,
        "corrections": order.corrections,
        "constraints": order.constraints,
        **options,
    }
    spread = None
    if np.isfinite(order.interface) or np.isfinite(order.scatter):
        designs, spread = robust_designs(
            checkpoint,
            targets,
            order.count,
            order.size,
            interface=order.interface,
            scatter=order.scatter,
            **settings,
        )
    else:
        designs = design(checkpoint, targets, order.count, order.size, **settings)
        if order.robustness:
            spread = measure_spread(checkpoint, designs, seed=order.seed)
    unmet = {
        name: int((~met).sum())
        for name, met in zip(order.constraints.names, designs.met.T, strict=True)
        if not met.all()
    }
    if unmet:
        rows = np.flatnonzero(designs.met.all(axis=1))
        if len(rows) == 0:
            told = ", ".join(f"{name} is not met by {count}" for name, count in unmet.items())
            raise InputError(f"none of {len(designs.met)} designs meets all constraints: {told}")
        designs, spread = chosen(designs, rows), None if spread is None else spread.rows(rows)
    far = out_of_reach(
        checkpoint,
        targets,
        order.materials,
        component=order.component,
        symmetry=order.constraints.symmetry,
    )
    return Designed(
        designs=designs,
        recipes=recipes(checkpoint, designs),
        spread=spread,
        left_out=unmet,
        far="" if far is None else f"{far}; designs go on from there",
    )


def for_row(order: DesignOrder, row: TableRow) -> Designed:
    """Make the designs of a row of a table, with the model that the order names; for workers.

    Raises:
        InputError: As `carry_out` does, or the model here is another one than where the order comes from.
    """
    checkpoint = _loaded(order.checkpoint, order.device)
    if order.checkpoint_hash not in ("", checkpoint.hash):
        raise InputError(
            f"expected the checkpoint {order.checkpoint_hash} on the worker, got {checkpoint.hash}"
        )
    return carry_out(order, row.targets, checkpoint)


@cache
def _loaded(path: Path | None, device: str) -> Checkpoint:
    return load_checkpoint(path, device)


def save_designed(designed: Designed, path: Path) -> None:
    """Write designs with their recipes and, where it was measured, their spread as `designs.h5`."""
    spread = None if designed.spread is None else designed.spread.columns()
    save_designs(path, designed.designs, recipes=designed.recipes, spread=spread)
