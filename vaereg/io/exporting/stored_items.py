"""Designs of a file as volumes for other files, with what their file says of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from vaereg.io.designs import DesignFile
from vaereg.io.exporting.provenance import BundleItem, Provenance

__all__ = ["stored_items"]


def stored_items(
    designs: DesignFile, indices: Iterable[int], source: str, *, figures: bool = True
) -> list[BundleItem]:
    """Designs of a file with what it says of them.

    Args:
        designs: What `vaereg.io.datasets.read_designs` read.
        indices: Their places in the file.
        source: Name of the file.
        figures: Take over what was predicted and solved; that is of the materials of the model.
    """
    predicted, stiffness, solves = designs.predicted, designs.stiffness, designs.solves
    conductivity = designs.conductivity
    return [
        BundleItem(
            volume=designs.microstructures[i],
            provenance=Provenance(
                name=f"design {i}",
                origin=f"design {i} of {source}",
                target=designs.wanted or {},
                mode=designs.mode(i),
                seed=designs.seed if designs.seed >= 0 else None,
                component=int(designs.component[i]) if designs.component[i] >= 0 else None,
                latent=designs.latent[i] if designs.latent.size else None,
                made_by=designs.made_by,
                judged_by=designs.judged_by if figures else "",
                mean=predicted[i] if figures and predicted is not None else None,
                quantities={name: float(values[i]) for name, values in designs.quantities.items()}
                if figures
                else {},
                stiffness=stiffness[i] if figures and stiffness is not None else None,
                conductivity=conductivity[i] if figures and conductivity is not None else None,
                constraints=_constraints(designs, i),
                solver_tolerance=_at(designs.solver_tolerance, i) if figures else None,
                solver_dtype=str(_at(designs.solver_dtype, i) or "") if figures else "",
                solves=int(solves[i]) if figures and solves is not None else None,
                recipe=designs.recipes[i] if designs.recipes else {},
                spread=designs.spread_of(i) if figures else {},
            ),
        )
        for i in indices
    ]


def _constraints(designs: DesignFile, place: int) -> dict[str, bool]:
    """Constraints of a design in words, and whether it meets them."""
    words: list[str] = []
    constraints = designs.constraints
    for phase in ("stiff", "soft"):
        if f"min_feature_{phase}" in constraints:
            words.append(
                f"features of the {phase} phase of at least {constraints[f'min_feature_{phase}']} voxels"
            )
    connected = constraints.get("connected")
    for phase in ("stiff", "soft"):
        if isinstance(connected, dict) and phase in connected:
            words.append(f"{phase} phase connected along {', '.join(str(connected[phase]))}")
    words += ["no islands of the stiff phase"] * ("no_islands" in constraints)
    words += ["no closed pores"] * ("no_closed_pores" in constraints)
    if "symmetry" in constraints:
        words.append(f"symmetry: {constraints['symmetry']}")
    if "volume_fraction" in constraints:
        words.append(f"volume fraction {constraints['volume_fraction']}")
    if designs.met is None or designs.met.shape[1] != len(words):
        return {}
    return dict(zip(words, map(bool, designs.met[place]), strict=True))


def _at(values: NDArray[Any] | None, place: int) -> Any:  # noqa: ANN401
    """An entry of an array in plain values; None where there is no array."""
    return None if values is None else values[place].item()
