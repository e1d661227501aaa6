"""What was asked of a design beside what it has: by the solver where it has seen it, and by prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.io.exporting.provenance import Provenance
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_fraction
from vaereg.targets import QUANTITIES, CellProperties, Targets, Wanted

__all__ = ["AskedQuantity", "asked_quantities", "known_quantities", "solved_properties"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedQuantity:
    """One quantity that was asked for."""

    wanted: Wanted
    """Target of the quantity."""
    value: float
    """The solver's value where there is one, else the predicted one, in the unit of the quantity; or NaN."""
    is_solved: bool
    """Whether the value is the solver's; the volume fraction and the density are those of the voxels."""
    deviation: float
    """Relative deviation of the value from what was asked for, with its sign [-]; 0 within a range and for
    objectives, NaN where the value is not known."""
    predicted: float
    """Predicted value; NaN where there is none."""

    @property
    def off(self) -> float:
        """Size of the deviation for an order [-]; what is not known comes last."""
        return -1.0 if math.isnan(self.deviation) else abs(self.deviation)


def asked_quantities(
    volume: NDArray[np.uint8], provenance: Provenance, materials: TwoPhase
) -> list[AskedQuantity]:
    """Every quantity that was asked for, that with the largest deviation first.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        provenance: What is known of the volume.
        materials: The two phases.
    """
    if not provenance.target:
        return []
    targets = Targets.of(provenance.target)
    solver = solved_properties(volume, provenance, materials)
    rows: list[AskedQuantity] = []
    for item in targets:
        target = Targets((item,))
        predicted = _predicted(item.name, volume, provenance, materials)
        value = float(_values(solver, item.name))
        is_solved = math.isfinite(value)
        if is_solved:
            off = float(target.deviations(solver)[0, 0])
        else:
            value = predicted
            off = _deviation(item, value)
        sign = -1.0 if value < item.low else 1.0
        rows.append(
            AskedQuantity(
                wanted=item, value=value, is_solved=is_solved, deviation=sign * off, predicted=predicted
            )
        )
    return sorted(rows, key=lambda row: -row.off)


def solved_properties(
    volume: NDArray[np.uint8], provenance: Provenance, materials: TwoPhase
) -> CellProperties:
    """Properties of a volume by the solver, NaN where it has not computed them."""
    stiffness = np.full((6, 6), np.nan) if provenance.stiffness is None else provenance.stiffness
    conductivity = provenance.conductivity
    return CellProperties(
        stiffness=np.asarray(stiffness, dtype=np.float64)[None],
        fraction=np.array([volume_fraction(volume)]),
        materials=materials,
        conductivity=None if conductivity is None else np.asarray(conductivity, dtype=np.float64)[None],
    )


def known_quantities(cells: CellProperties) -> dict[str, float]:
    """All quantities of one cell that are known and not an entry of its stiffness, each in its unit."""
    names = [name for name in QUANTITIES if not name.startswith("C")]
    values = {name: float(_values(cells, name)) for name in names}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _values(cells: CellProperties, name: str) -> float:
    """A quantity of one cell; NaN where the phases do not say what it needs."""
    property_name = QUANTITIES[name].needs
    for phase in (cells.materials.stiff, cells.materials.soft):
        is_given = not property_name or getattr(phase, property_name) is not None
        if not is_given and not (property_name == "thermal_expansion" and phase.is_void):
            return math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(cells.values([name])[0, 0])


def _predicted(name: str, volume: NDArray[np.uint8], provenance: Provenance, materials: TwoPhase) -> float:
    if name in provenance.quantities:
        return float(provenance.quantities[name])
    if provenance.mean is None:
        return math.nan
    fraction = np.array([volume_fraction(volume)])
    cells = CellProperties.from_diagonal(np.asarray(provenance.mean)[None], fraction, materials)
    return _values(cells, name)


def _deviation(item: Wanted, value: float) -> float:
    """Relative deviation of a bare value; relative to at least the floor of its quantity."""
    if math.isnan(value):
        return math.nan
    ends = [abs(end) for end in (item.low, item.high) if math.isfinite(end)]
    middle = abs(item.low + item.high) / 2.0 if len(ends) == 2 else max(ends, default=abs(value))
    scale = max(middle, QUANTITIES[item.name].floor, np.finfo(np.float64).tiny)
    return max(item.low - value, value - item.high, 0.0) / scale
