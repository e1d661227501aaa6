"""Constraints on designs: what they are, whether a volume meets them, and a volume changed so that it does.

`check(volume, constraints)` looks at the voxels alone, whatever made them. `meet` changes a volume: thin
parts go by opening, islands and closed pores are filled, paths join what has to percolate, the volume is made
symmetric, its volume fraction is moved; the steps are repeated until all is met. Nothing is promised: the
check has the last word.

    constraints = Constraints(min_feature_stiff=3.0, connected={"stiff": "xyz"}, symmetry="cubic")
    report = check(volume, constraints)
    report.met, [str(result) for result in report.results]

Phases are "stiff" (1) and "soft" (0); lengths in voxels; volumes are periodic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, label

from vaereg.errors import InputError
from vaereg.inverse.bridges import bridged
from vaereg.inverse.features import PHASES, opened, thickened
from vaereg.microstructure.statistics import connectivity, contacts_across
from vaereg.microstructure.symmetry import (
    SYMMETRIES,
    cut_symmetric,
    is_symmetric,
    orbits_of,
    symmetrise_volume,
)
from vaereg.microstructure.volume import as_two_phase

__all__ = [
    "ConstraintReport",
    "ConstraintResult",
    "Constraints",
    "check",
    "clusters",
    "meet",
    "satisfied",
]

_ROUNDS = 12
"""Most rounds in which a volume is changed."""
_LEVEL = 1.0
"""Standard deviation of the filter whose level set moves the volume fraction [voxel]."""
_AXES = ("x", "y", "z", "xy", "xz", "yz", "xyz")
"""Sets of axes along which a cluster may percolate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraints:
    """What a design has to meet besides its targets."""

    min_feature_stiff: float = 0.0
    """Least diameter of a feature of the stiff phase [voxel]: balls of it fill the phase; 0 for none."""
    min_feature_soft: float = 0.0
    """Least diameter of a feature of the soft phase [voxel]; 0 for none."""
    connected: Mapping[str, str] = field(default_factory=dict)
    """Axes along which one cluster of a phase has to percolate, such as {"stiff": "xyz"}: along several, to
    as many independent copies of the cell."""
    no_islands: bool = False
    """Whether the stiff phase has to be a single cluster."""
    no_closed_pores: bool = False
    """Whether the soft phase has to be a single cluster."""
    symmetry: str = "none"
    """Symmetry of the volume, one of `SYMMETRIES`."""
    volume_fraction: tuple[float, float] | None = None
    """Least and largest volume fraction of the stiff phase [-]."""

    def __post_init__(self) -> None:
        for name in ("min_feature_stiff", "min_feature_soft"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"expected a {name} of 0 voxels or more, got {value}")
        for phase, axes in self.connected.items():
            if phase not in PHASES or not axes or not set(axes) <= set("xyz"):
                raise InputError(
                    f"expected a phase of stiff, soft and axes of x, y, z to be connected, got {phase}:{axes}"
                )
        if self.symmetry not in SYMMETRIES:
            raise InputError(f"expected a symmetry of {', '.join(SYMMETRIES)}, got {self.symmetry!r}")
        if self.volume_fraction is not None:
            low, high = self.volume_fraction
            if not 0.0 <= low <= high <= 1.0:
                raise InputError(f"expected volume fractions low:high between 0 and 1, got {low:g}:{high:g}")

    @property
    def names(self) -> tuple[str, ...]:
        """Constraints that are set, in the order of a report."""
        chosen = [
            ("min_feature_stiff", self.min_feature_stiff > 0.0),
            ("min_feature_soft", self.min_feature_soft > 0.0),
            *((f"connected_{phase}", phase in self.connected) for phase in PHASES),
            ("no_islands", self.no_islands),
            ("no_closed_pores", self.no_closed_pores),
            ("symmetry", self.symmetry != "none"),
            ("volume_fraction", self.volume_fraction is not None),
        ]
        return tuple(name for name, is_set in chosen if is_set)

    def __bool__(self) -> bool:
        """Whether anything is constrained."""
        return bool(self.names)

    def check_size(self, size: int) -> None:
        """Refuse least features that no cell of some voxels per edge has.

        Raises:
            InputError: Features of both phases do not fit beside each other.
        """
        features = self.min_feature_stiff, self.min_feature_soft
        if sum(features) > size:
            raise InputError(
                f"expected least features that fit beside each other in {size} voxels, got "
                f"{features[0]:g} voxels of the stiff and {features[1]:g} of the soft phase"
            )

    def to_json(self) -> dict[str, Any]:
        """Those that are set, as plain values for a file."""
        stored: dict[str, Any] = {}
        for name in self.names:
            key = "connected" if name.startswith("connected") else name
            value = getattr(self, key)
            stored[key] = (
                dict(value) if key == "connected" else list(value) if isinstance(value, tuple) else value
            )
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Constraints:
        """Undo `to_json`.

        Raises:
            InputError: A name is unknown, or a value has another form.
        """
        values = dict(stored)
        try:
            if "volume_fraction" in values:
                low, high = values["volume_fraction"]
                values["volume_fraction"] = (float(low), float(high))
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"expected constraints by name, got {str(stored)[:80]}: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstraintResult:
    """One constraint of one volume."""

    name: str
    """Which constraint, one of `Constraints.names`."""
    met: bool
    """Whether the volume meets it."""
    words: str
    """What was found and what is wanted, in one phrase."""

    def __str__(self) -> str:
        return f"{self.name}: {'met' if self.met else 'not met'}, {self.words}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstraintReport:
    """All constraints of one volume."""

    results: tuple[ConstraintResult, ...]
    """One entry a constraint."""

    @property
    def met(self) -> bool:
        """Whether all are met."""
        return all(result.met for result in self.results)


def check(volume: ArrayLike, constraints: Constraints) -> ConstraintReport:
    """Whether a volume meets its constraints, from its voxels alone.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        constraints: What it has to meet.
    """
    phases = as_two_phase(volume)
    results: list[ConstraintResult] = []

    def add(name: str, met: bool, words: str) -> None:
        results.append(ConstraintResult(name=name, met=met, words=words))

    for name, diameter in (
        ("stiff", constraints.min_feature_stiff),
        ("soft", constraints.min_feature_soft),
    ):
        if diameter > 0.0:
            mask = phases == PHASES[name]
            lost = int((mask & ~opened(mask, diameter)).sum())
            words = f"{lost} voxels of the {name} phase lie in no ball of {diameter:g} voxels, none may"
            add(f"min_feature_{name}", lost == 0, words)
    for name, value in PHASES.items():
        if name in constraints.connected:
            wanted = constraints.connected[name]
            found = _percolating(phases == value, wanted)
            words = f"one cluster of the {name} phase percolates along {found or 'no axis'}, wanted {wanted}"
            add(f"connected_{name}", set(wanted) <= set(found), words)
    for name, value, is_set in (
        ("no_islands", 1, constraints.no_islands),
        ("no_closed_pores", 0, constraints.no_closed_pores),
    ):
        if is_set:
            count = connectivity(phases, value).count
            phase = "stiff" if value else "soft"
            add(name, count <= 1, f"{count} clusters of the {phase} phase, at most 1 wanted")
    if constraints.symmetry != "none":
        met = is_symmetric(phases, constraints.symmetry)
        add("symmetry", met, f"{'' if met else 'not '}{constraints.symmetry}")
    if constraints.volume_fraction is not None:
        low, high = constraints.volume_fraction
        own, slack = float(phases.mean()), 0.5 * _largest_step(phases, constraints.symmetry) / phases.size
        words = f"{own:.4f}, wanted {low:.4f}" + ("" if low == high else f" to {high:.4f}")
        add("volume_fraction", low - slack <= own <= high + slack, words)
    return ConstraintReport(results=tuple(results))


def _largest_step(phases: NDArray[np.uint8], symmetry: str) -> int:
    """Voxels of the largest orbit: half of them is how near a volume fraction can be met."""
    x, y, z = phases.shape
    return 1 if symmetry == "none" else int(np.bincount(orbits_of((x, y, z), symmetry).ravel()).max())


def satisfied(volume: ArrayLike, constraints: Constraints) -> bool:
    """Whether a volume meets all of its constraints."""
    return check(volume, constraints).met


def clusters(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number of the cluster of each voxel of a periodic set, by shared faces: from 1; 0 outside."""
    # SciPy's annotations know the number alone as well, which comes where `output` is given
    labelled: tuple[NDArray[np.int32], int] = label(mask)  # pyright: ignore[reportAssignmentType]
    labels, count = labelled
    parents = np.arange(count + 1)

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = int(parents[place])
        return place

    for axis in range(3):
        for a, b in contacts_across(labels, axis, count):
            parents[max(root(a), root(b))] = min(root(a), root(b))
    roots = np.array([root(place) for place in range(count + 1)])
    _, numbers = np.unique(roots, return_inverse=True)
    return numbers[labels]


def _percolating(mask: NDArray[np.bool_], axes_wanted: str) -> str:
    """Axes along which one cluster percolates: of all clusters that with most of the wanted ones.

    Along several axes at once, paths have to lead to copies of the cell in as many independent directions: a
    slanted sheet extends along x and y, but is not joined to its copies along either.
    """
    numbers = clusters(mask)
    sizes = np.bincount(numbers.ravel())
    best = ""
    for number in np.argsort(-sizes[1:]) + 1:
        if sizes[number] < min(mask.shape):
            break
        windings = connectivity((numbers == number).astype(np.uint8), 1).windings
        for axes in sorted(_AXES, key=lambda some: (-len(set(some) & set(axes_wanted)), -len(some))):
            columns = np.array(windings).reshape(-1, 3)[:, ["xyz".index(axis) for axis in axes]]
            if len(windings) and np.linalg.matrix_rank(columns) == len(axes):
                break
        else:
            axes = ""
        if len(set(axes) & set(axes_wanted)) > len(set(best) & set(axes_wanted)) or not best:
            best = axes
        if set(axes_wanted) <= set(best):
            break
    return best


def meet(volume: ArrayLike, constraints: Constraints) -> NDArray[np.uint8]:
    """Volume changed so that it meets its constraints, as far as the steps lead there.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        constraints: What it has to meet.

    Returns:
        The first volume that meets them all, or the one that meets most of them; `check` says which.
    """
    phases = as_two_phase(volume)
    best, most = phases, -1
    for _ in range(_ROUNDS):
        count = sum(result.met for result in check(phases, constraints).results)
        if count > most:
            best, most = phases, count
        if count == len(constraints.names):
            break
        former = phases
        phases = _symmetric(phases, constraints)
        phases = _bridged(phases, constraints)
        phases = _single_clusters(phases, constraints)
        phases = thickened(phases, constraints.min_feature_stiff, constraints.min_feature_soft)
        phases = _filled(phases, constraints)
        if np.array_equal(former, phases) or phases.min() == phases.max():
            break
    return best


def _symmetric(phases: NDArray[np.uint8], constraints: Constraints) -> NDArray[np.uint8]:
    return phases if constraints.symmetry == "none" else symmetrise_volume(phases, constraints.symmetry)


def _bridged(phases: NDArray[np.uint8], constraints: Constraints) -> NDArray[np.uint8]:
    """Volume whose phases percolate along the wanted axes: shortest paths join the largest cluster with its
    images.
    """
    for name, axes in constraints.connected.items():
        value = PHASES[name]
        mask = phases == value
        if not mask.any() or set(axes) <= set(_percolating(mask, axes)):
            continue
        numbers = clusters(mask)
        largest = 1 + int(np.bincount(numbers.ravel())[1:].argmax())
        depth = gaussian_filter(mask.astype(np.float64), _LEVEL, mode="wrap")
        deepest = int(np.where(numbers == largest, depth, -1.0).argmax())
        x, y, z = (int(place) for place in np.unravel_index(deepest, mask.shape))
        for axis in axes:
            mask = bridged(mask, "xyz".index(axis), (x, y, z))
            if constraints.symmetry != "none":  # with all images of the path
                orbits = orbits_of((mask.shape[0], mask.shape[1], mask.shape[2]), constraints.symmetry)
                mask = np.isin(orbits, np.unique(orbits[mask]))
        phases = np.where(mask, value, phases).astype(np.uint8)
    return phases


def _single_clusters(phases: NDArray[np.uint8], constraints: Constraints) -> NDArray[np.uint8]:
    for value, is_set in ((1, constraints.no_islands), (0, constraints.no_closed_pores)):
        if is_set:
            numbers = clusters(phases == value)
            sizes = np.bincount(numbers.ravel())
            if len(sizes) > 2:
                largest = 1 + int(sizes[1:].argmax())
                phases = np.where((numbers > 0) & (numbers != largest), 1 - value, phases).astype(np.uint8)
    return phases


def _filled(phases: NDArray[np.uint8], constraints: Constraints) -> NDArray[np.uint8]:
    """Volume whose interface is moved until its volume fraction is the wanted one."""
    if constraints.volume_fraction is None:
        return phases
    low, high = constraints.volume_fraction
    own = float(phases.mean())
    slack = 0.5 * _largest_step(phases, constraints.symmetry) / phases.size
    if low - slack <= own <= high + slack:
        return phases
    wanted = min(max(own, low), high)
    smooth = gaussian_filter(phases.astype(np.float64), _LEVEL, mode="wrap")
    # voxels change in one direction only, those nearest to the interface first
    upwards = np.where(phases == 1, 2.0 + smooth, smooth)
    level = upwards if wanted > own else np.where(phases == 1, smooth, smooth - 2.0)
    return cut_symmetric(level, wanted, constraints.symmetry)
