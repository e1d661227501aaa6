"""What is wanted of a design: values, ranges, one-sided bounds and objectives, read, checked and measured.

The deviation of a quantity is how far it lies outside its range, relative to the middle of the range, or to
the bound of a one-sided one; quantities that may vanish have a least value that it is relative to. It is zero
within the range, and of an objective. The largest deviation over the quantities that are asked for, each
times its weight, is the one measure by which designs are ranked, coloured and described.

Letters: N cells, T quantities that are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.targets.diagonal import Target, interval
from vaereg.targets.properties import CellProperties
from vaereg.targets.quantities import QUANTITIES, canonical_name

__all__ = ["GOALS", "Targets", "Wanted", "percent_off"]

GOALS = ("min", "max")
"""Goals of an objective: a quantity as small, or as large as possible."""
_INFINITE = math.inf
_LARGEST = 1e300
"""Size of a number beyond which a file is not to be trusted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Target of one quantity, in its unit."""

    name: str
    """Quantity, one of `QUANTITIES`."""
    low: float = -_INFINITE
    """Least value; minus infinity if there is none."""
    high: float = _INFINITE
    """Largest value; infinity if there is none."""
    goal: str = ""
    """"min" or "max" of an objective; empty of a value or range."""
    weight: float = 1.0
    """Factor of its deviation among the others [-]."""

    def __post_init__(self) -> None:
        if self.name not in QUANTITIES:
            canonical_name(self.name)  # raises, unless it is another name for one
            raise InputError(f"expected the name {canonical_name(self.name)}, got {self.name}")
        if self.goal not in ("", *GOALS):
            raise InputError(f"expected an objective of {', '.join(GOALS)}, got {self.goal!r}")
        if not (math.isfinite(self.weight) and self.weight > 0.0):
            raise InputError(f"expected a positive weight of {self.name}, got {self.weight}")
        bounds, suffix = (self.low, self.high), QUANTITIES[self.name].unit_after
        range_text = _range_text(self.low, self.high)
        if any(math.isnan(value) for value in bounds) or self.low == _INFINITE or self.high == -_INFINITE:
            raise InputError(f"expected finite numbers for {self.name}, got {range_text}")
        if not self.goal and not any(map(math.isfinite, bounds)):
            raise InputError(f"expected a value, a range or an objective for {self.name}, got none")
        if self.low > self.high:
            raise InputError(
                f"expected a range low:high of {self.name}, got {self.low:g}:{self.high:g}{suffix}"
            )
        if self.name == "volume_fraction" and not all(
            0.0 < value < 1.0 for value in bounds if math.isfinite(value)
        ):
            raise InputError(f"volume_fraction must lie between 0 and 1, got {range_text}")
        beneath = math.isfinite(self.low) and self.low < 0.0
        if QUANTITIES[self.name].positive and (self.high <= 0.0 or beneath):
            raise InputError(f"{self.name} must be positive, got {range_text}{suffix}")

    @property
    def is_value(self) -> bool:
        """Whether it is a single value."""
        return self.low == self.high

    def text(self) -> str:
        """Text that the command line takes, such as "E_x=20", "density=:1.9" or "E_z=max"."""
        value = self.goal if self.goal and not self.is_bounded else _range_text(self.low, self.high)
        return f"{self.name}={value}" + ("" if self.weight == 1.0 else f"@{self.weight:g}")

    @property
    def is_bounded(self) -> bool:
        """Whether it has a least or a largest value."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def words(self) -> str:
        """Words for a person to read, such as "E_x = 20 GPa", "density at most 1.9 g/cm³" or "E_z as large as
        possible".
        """
        unit = QUANTITIES[self.name].unit_after
        if self.is_value:
            words = f"{self.name} = {self.low:.4g}{unit}"
        elif not self.is_bounded:
            words = self.name
        elif not math.isfinite(self.low):
            words = f"{self.name} at most {self.high:.4g}{unit}"
        elif not math.isfinite(self.high):
            words = f"{self.name} at least {self.low:.4g}{unit}"
        else:
            words = f"{self.name} = {self.low:.4g} to {self.high:.4g}{unit}"
        if self.goal:
            size = "large" if self.goal == "max" else "small"
            words += f"{',' if self.is_bounded else ''} as {size} as possible"
        return words


@dataclass(frozen=True, slots=True)
class Targets:
    """All that is wanted of a design, one entry a quantity."""

    wanted: tuple[Wanted, ...]
    """The T entries, in the order in which they were asked for."""

    def __post_init__(self) -> None:
        names = [item.name for item in self.wanted]
        if not names:
            raise InputError("expected at least one target, such as E_x=20")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"expected one target for {name}, got {names.count(name)}")

    def __iter__(self) -> Iterator[Wanted]:
        return iter(self.wanted)

    def __len__(self) -> int:
        return len(self.wanted)

    @property
    def names(self) -> tuple[str, ...]:
        """Quantities that are asked for."""
        return tuple(item.name for item in self.wanted)

    @property
    def objectives(self) -> tuple[Wanted, ...]:
        """Targets that are to be as small or as large as possible."""
        return tuple(item for item in self.wanted if item.goal)

    @property
    def needs_conductivity(self) -> bool:
        """Whether a quantity follows from the conductivity."""
        return any(QUANTITIES[name].needs == "conductivity" for name in self.names)

    @property
    def needs_stiffness(self) -> bool:
        """Whether a quantity follows from the stiffness."""
        plain = {"density", "volume_fraction"}
        return any(QUANTITIES[name].needs != "conductivity" and name not in plain for name in self.names)

    def only(self, names: Sequence[str]) -> Targets:
        """Some of the entries."""
        return Targets(tuple(item for item in self.wanted if item.name in names))

    def range_of(self, name: str) -> tuple[float, float]:
        """Least and largest value of a quantity; infinite where it is not asked for."""
        for item in self.wanted:
            if item.name == name:
                return item.low, item.high
        return -_INFINITE, _INFINITE

    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and largest values, each of shape (T,), infinite where there is none."""
        return np.array([item.low for item in self.wanted]), np.array([item.high for item in self.wanted])

    def scales(self, properties: CellProperties) -> NDArray[np.float64]:
        """Scales that deviations are relative to, in the unit of each quantity, shape (N, T)."""
        middles = [
            abs(item.low + item.high) / 2.0
            if math.isfinite(item.low) and math.isfinite(item.high)
            else max((abs(end) for end in (item.low, item.high) if math.isfinite(end)), default=0.0)
            for item in self.wanted
        ]
        scales = np.maximum(np.array(middles), properties.floors(self.names))
        bare = [place for place, item in enumerate(self.wanted) if not item.is_bounded]
        if bare:  # an objective without bounds: relative to what the cell has
            values = np.abs(properties.values([self.names[place] for place in bare]))
            scales[:, bare] = np.maximum(values, scales[:, bare])
        return np.maximum(scales, np.finfo(np.float64).tiny)

    def deviations(self, properties: CellProperties) -> NDArray[np.float64]:
        """Relative deviation of each quantity from what is wanted, shape (N, T) [-]: zero within the range,
        and of objectives without bounds; NaN where the quantity is not known.
        """
        low, high = self.limits()
        values = properties.values(self.names)
        outside = np.maximum(np.maximum(low - values, values - high), 0.0)
        return np.where(np.isnan(values), np.nan, outside / self.scales(properties))

    def largest_deviation(self, properties: CellProperties) -> NDArray[np.float64]:
        """Largest deviation over the quantities, each times its weight, shape (N,) [-]: the one measure of a
        design. NaN where a quantity is not known.
        """
        weights = np.array([item.weight for item in self.wanted])
        return (weights * self.deviations(properties)).max(axis=1)

    def mean_deviation(self, properties: CellProperties) -> NDArray[np.float64]:
        """Mean deviation over the quantities, shape (N,) [-]."""
        return self.deviations(properties).mean(axis=1)

    def merit(self, properties: CellProperties) -> NDArray[np.float64]:
        """Weighted sum of the objectives, each relative to its spread over the cells, the larger the better,
        shape (N,); zero without objectives.
        """
        total = np.zeros(len(properties))
        for item in self.objectives:
            values = properties.values([item.name])[:, 0]
            finite = values[np.isfinite(values)]
            spread = float(np.ptp(finite)) if len(finite) else 0.0
            sign = item.weight if item.goal == "max" else -item.weight
            total += (
                sign * (values - finite.mean()) / spread
                if spread > 0.0
                else np.where(np.isnan(values), values, 0.0)
            )
        return total

    def order(self, properties: CellProperties, *, tolerance: float = 0.0) -> NDArray[np.intp]:
        """Cells from the best to the worst, shape (N,): by their largest deviation; with objectives, those
        within `tolerance` come first, by their merit. Cells with unknown quantities come last.
        """
        largest = np.nan_to_num(self.largest_deviation(properties), nan=_INFINITE)
        if self.objectives:
            reached = largest <= tolerance
            merit = np.nan_to_num(self.merit(properties), nan=-_INFINITE)
            return np.lexsort((np.where(reached, -merit, largest), ~reached))
        return np.argsort(largest, kind="stable")

    def check_materials(self, materials: TwoPhase) -> None:
        """Refuse quantities that need what the phases do not say.

        Raises:
            InputError: With the phase and what it lacks.
        """
        for name in self.names:
            property_name = QUANTITIES[name].needs
            for key, phase in (("stiff", materials.stiff), ("soft", materials.soft)):
                is_given = not property_name or getattr(phase, property_name) is not None
                if not is_given and not (property_name == "thermal_expansion" and phase.is_void):
                    words = property_name.replace("_", " ")
                    raise InputError(
                        f"{name} needs the {words} of the {key} phase{phase.quoted}, which is not given"
                    )

    def words(self) -> str:
        """All that is wanted, as a person reads it."""
        return ", ".join(item.words() for item in self.wanted)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file: a number, [low, high] with null for none, or "min" or "max", by name;
        where there is more to say, an object of `range`, `goal` and `weight`.
        """
        content: dict[str, Any] = {}
        for item in self.wanted:
            ends = [value if math.isfinite(value) else None for value in (item.low, item.high)]
            value: Any = item.low if item.is_value else ends
            if item.goal and not item.is_bounded:
                value = item.goal
            if item.weight != 1.0 or (item.goal and item.is_bounded):
                value = {"range": ends, "goal": item.goal, "weight": item.weight}
            content[item.name] = value
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Targets:
        """Undo `to_json`; `Target` values and ranges are taken too.

        Raises:
            InputError: A value has another form, or cannot be wanted.
        """
        return cls(tuple(_from_json(canonical_name(str(name)), value) for name, value in content.items()))

    @classmethod
    def of(cls, targets: Targets | Mapping[str, Target]) -> Targets:
        """The same, from values and ranges by name if it is not yet of this class."""
        if isinstance(targets, Targets):
            return targets
        ends = {name: interval(value) for name, value in targets.items()}
        return cls(
            tuple(Wanted(name=canonical_name(name), low=low, high=high) for name, (low, high) in ends.items())
        )

    def plain(self) -> dict[str, Target]:
        """Values and ranges by name, without objectives and weights; the ends may be infinite."""
        return {
            item.name: item.low if item.is_value else (item.low, item.high)
            for item in self.wanted
            if item.is_bounded
        }


def _from_json(name: str, value: Any) -> Wanted:  # noqa: ANN401
    goal, weight, message = "", 1.0, f"expected a value, range or objective of {name}, got {str(value)[:40]}"
    if isinstance(value, Mapping):
        if not set(value) <= {"range", "goal", "weight"}:
            raise InputError(message)
        goal, weight, value = (
            value.get("goal", ""),
            value.get("weight", 1.0),
            value.get("range", [None, None]),
        )
    if isinstance(value, str):
        goal, value = value, [None, None]
    ends = list(value) if isinstance(value, list | tuple) else [value, value]
    numbers = [end for end in ends if end is not None] + [weight]
    plain = all(
        isinstance(end, int | float | np.number) and not isinstance(end, bool) and abs(end) < _LARGEST
        for end in numbers
    )
    if len(ends) != 2 or not plain or not isinstance(goal, str):
        raise InputError(message)
    low = -_INFINITE if ends[0] is None else float(ends[0])
    high = _INFINITE if ends[1] is None else float(ends[1])
    return Wanted(name=name, low=low, high=high, goal=goal, weight=float(weight))


def percent_off(deviation: float) -> str:
    """A deviation in words, such as "within 1 %", "3.2 % off" or "unknown"."""
    if math.isnan(deviation):
        return "unknown"
    percent = 100.0 * deviation
    if percent <= 1.0:
        return "within 1 %"
    return f"{percent:.1f} % off" if percent < 10.0 else f"{percent:.0f} % off"


def _range_text(low: float, high: float) -> str:
    if low == high:
        return f"{low:.10g}"
    return f"{low:.10g}:".replace("-inf", "") + (f"{high:.10g}" if math.isfinite(high) else "")
