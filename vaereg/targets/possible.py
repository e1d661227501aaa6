"""What no cell of two phases can have: targets beyond the bounds, and targets that exclude each other.

A target without a volume fraction is possible if there is one at which all of its quantities are.

Letters: F volume fractions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.targets.bounds import Curve, QuantityBounds, phase_conductivities, quantity_bounds
from vaereg.targets.consistency import check_consistency
from vaereg.targets.diagonal import Target
from vaereg.targets.quantities import QUANTITIES
from vaereg.targets.symmetries import check_symmetry
from vaereg.targets.wanted import Targets, Wanted

__all__ = ["ImpossibleTargetError", "check_possible"]

_FRACTIONS = 400
"""Volume fractions at which the bounds are computed where a range of them is possible."""
_END = 1e-3
"""Least share of either phase [-]."""
_SLACK = 5e-3
"""Relative excess over a bound that counts as the rounding of what was asked for, to three digits [-]."""
_ROUNDING = 1e-6
"""The same of quantities whose bound may vanish, relative to the wider bound [-]."""
_FRACTION_SLACK = 1e-2
"""Difference of volume fractions [-] that counts as the rounding of what was asked for: laminates lie on both
bounds at a single one."""
_ISOTROPIC, _NEARLY = 1e-6, 0.01
"""Universal anisotropy A up to which a cell counts as isotropic, and up to which its moduli are near those of
an isotropic mixture of itself, which the bounds hold for [-]: its averages by A, others by the root of A.
"""
_AVERAGES = ("E", "K", "G", "specific_E", "specific_sqrt_E", "specific_cbrt_E")
_ALONG_AXES = ("E", "G", *_AVERAGES[3:])


class ImpossibleTargetError(InputError):
    """No cell of these phases has what is wanted.

    Attributes:
        name: Quantity that cannot be had.
        bound: Nearest value that can, in the unit of the quantity.
    """

    def __init__(self, message: str, name: str, bound: float) -> None:
        super().__init__(message)
        self.name = name
        self.bound = bound


def check_possible(
    targets: Targets | Mapping[str, Target], materials: TwoPhase, *, symmetry: str = "none"
) -> None:
    """Refuse what no cell of two phases can have.

    Args:
        targets: What is wanted.
        materials: The two phases.
        symmetry: Symmetry that designs will have: quantities vanish or are equal in it, and "cubic" makes
            some bounds tighter.

    Raises:
        ImpossibleTargetError: With the bound and its value.
        InputError: A phase lacks a property that a quantity needs; quantities exclude each other.
    """
    target_set = Targets.of(targets)
    target_set.check_materials(materials)
    fractions = _fractions(target_set, materials)
    check_symmetry(
        target_set, symmetry, lambda name: float(quantity_bounds(name, fractions, materials).high.max())
    )
    anisotropy = target_set.range_of("anisotropy")[1]
    possible: dict[str, NDArray[np.bool_]] = {}
    all_bounds: dict[str, QuantityBounds] = {}
    for item in target_set:
        slack = _isotropic_slack(item.name, anisotropy)
        bounds = quantity_bounds(
            item.name, fractions, materials, isotropic=slack is not None, symmetry=symmetry
        )
        all_bounds[item.name] = bounds
        if item.is_bounded and item.name not in ("density", "volume_fraction"):
            possible[item.name] = _refuse_beyond(item, bounds, fractions, _SLACK + (slack or 0.0))
    _refuse_pairs(target_set, possible, fractions)
    _refuse_conductivities(target_set, materials, fractions)
    check_consistency(target_set, lambda name: _span(name, target_set, fractions, materials))


def _isotropic_slack(name: str, anisotropy: float) -> float | None:
    """Relative excess over the bounds of isotropic cells that a universal anisotropy allows [-]; None where
    these do not hold. They say nothing of the conductivity, which may have axes where the stiffness has none.
    """
    kind, _, suffix = name.rpartition("_")
    if name == "k" or kind == "k":
        return None
    if anisotropy <= _ISOTROPIC:
        return 0.0
    if anisotropy > _NEARLY:
        return None
    if name in _AVERAGES:
        return anisotropy
    along = (kind in _ALONG_AXES and set(suffix) <= set("xyz")) or (name[0] == "C" and name[1] == name[2])
    return math.sqrt(anisotropy) if along else None


def _span(name: str, targets: Targets, fractions: Curve, materials: TwoPhase) -> tuple[float, float]:
    """Least and largest value of a quantity that the targets and the bounds leave open."""
    bounds = quantity_bounds(name, fractions, materials)
    low, high = targets.range_of(name)
    return max(low, float(bounds.low.min())), min(high, float(bounds.high.max()))


def _fractions(targets: Targets, materials: TwoPhase) -> Curve:
    """Volume fractions that the targets for it and for the density leave open.

    Raises:
        ImpossibleTargetError: There is none.
    """
    low, high = _END, 1.0 - _END
    fraction_range = targets.range_of("volume_fraction")
    low, high = max(low, fraction_range[0]), min(high, fraction_range[1])
    density = targets.range_of("density")
    if any(map(math.isfinite, density)):
        stiff, soft = float(materials.stiff.density or 0.0), float(materials.soft.density or 0.0)
        lightest, heaviest = min(stiff, soft), max(stiff, soft)
        for end, beyond, bound in (
            (density[0], density[0] > heaviest * (1.0 + _SLACK), heaviest),
            (density[1], density[1] < lightest * (1.0 - _SLACK), lightest),
        ):
            if beyond:
                word = "heavier" if bound == heaviest else "lighter"
                raise ImpossibleTargetError(
                    f"density = {end:.4g} g/cm³ is out of reach: the {word} phase has {bound:.4g} g/cm³",
                    "density",
                    bound,
                )
        if heaviest > lightest:

            def ends_of(*densities: float) -> list[float]:
                return sorted(
                    (min(max(end, lightest), heaviest) - soft) / (stiff - soft) for end in densities
                )

            ends = ends_of(density[0] * (1.0 - _SLACK), density[1] * (1.0 + _SLACK))
            if ends[0] > high + _FRACTION_SLACK or ends[1] < low - _FRACTION_SLACK:
                near = ends_of(*density)[0 if ends[0] > high else 1]
                raise ImpossibleTargetError(
                    f"density and volume_fraction exclude each other: the density needs a volume fraction of "
                    f"{near:.3f}, {low if near < low else high:.3f} is asked for",
                    "volume_fraction",
                    near,
                )
            low, high = min(max(low, ends[0]), high), max(min(high, ends[1]), low)
    return np.unique(np.linspace(low, high, _FRACTIONS if high > low else 1))


def _refuse_beyond(item: Wanted, bounds: QuantityBounds, fractions: Curve, slack: float) -> NDArray[np.bool_]:
    """At which volume fractions a target lies between the bounds.

    Raises:
        ImpossibleTargetError: At none.
    """
    size = np.maximum(np.abs(bounds.low), np.abs(bounds.high))
    rounding = _ROUNDING * np.where(np.isfinite(size), size, 1.0)
    above = item.low > bounds.high + np.maximum(slack * np.abs(bounds.high), rounding)
    below = item.high < bounds.low - np.maximum(slack * np.abs(bounds.low), rounding)
    fits = ~(above | below)
    # bounds are continuous: where they pass the target between two volume fractions, it fits between them
    passed = (above[:-1] & below[1:]) | (below[:-1] & above[1:])
    fits[:-1] |= passed
    fits[1:] |= passed
    if fits.any():
        return fits
    unit = QUANTITIES[item.name].unit_after
    # the volume fraction at which least is missing; of targets far beyond, differences are all alike
    distance = np.where(above, item.low - bounds.high, bounds.low - item.high)
    order = -bounds.high if above.all() else bounds.low if below.all() else distance
    place = int(order.argmin())
    if above[place]:
        value, bound, by, word = item.low, float(bounds.high[place]), bounds.high_by, "above"
    else:
        value, bound, by, word = item.high, float(bounds.low[place]), bounds.low_by, "below"
    ends = bounds.high if above[place] else bounds.low
    at = "" if np.ptp(ends) == 0.0 < len(ends) - 1 else f" at a volume fraction of {fractions[place]:.3g}"
    at += ", the best one" if at and len(ends) > 1 else ""
    raise ImpossibleTargetError(
        f"{item.name} = {value:.4g}{unit} is {word} {by} of {bound:.4g}{unit}{at}", item.name, bound
    )


def _refuse_pairs(targets: Targets, possible: dict[str, NDArray[np.bool_]], fractions: Curve) -> None:
    """Refuse targets that need different volume fractions."""
    possible = {name: _widened(mask, fractions) for name, mask in possible.items()}
    if not possible or np.logical_and.reduce(list(possible.values())).any():
        return
    items = {item.name: item for item in targets}
    names = list(possible)
    for place, first in enumerate(names):
        for second in names[:place]:
            if not (possible[first] & possible[second]).any():
                windows = [_window(name, possible[name], fractions) for name in (second, first)]
                raise ImpossibleTargetError(
                    f"{items[second].words()} and {items[first].words()} exclude each other: the bounds "
                    f"leave {second} volume fractions of {windows[0]}, {first} of {windows[1]}",
                    first,
                    float(fractions[possible[second]][0]),
                )
    raise ImpossibleTargetError(
        f"{targets.words()} exclude each other: the bounds leave no volume fraction for all of them, but "
        + ", ".join(f"{_window(name, possible[name], fractions)} for {name}" for name in names),
        names[0],
        float(fractions[possible[names[0]]][0]),
    )


def _widened(mask: NDArray[np.bool_], fractions: Curve) -> NDArray[np.bool_]:
    """Volume fractions within the slack of those at which a target fits."""
    fitting = fractions[mask]
    if len(fitting) == 0:
        return mask
    place = np.searchsorted(fitting, fractions)
    before, after = fitting[np.maximum(place - 1, 0)], fitting[np.minimum(place, len(fitting) - 1)]
    return np.minimum(np.abs(fractions - before), np.abs(fractions - after)) <= _FRACTION_SLACK


def _window(name: str, mask: NDArray[np.bool_], fractions: Curve) -> str:
    low, high = fractions[mask].min(), fractions[mask].max()
    return f"{low:.3f}" if high - low < _END else f"{low:.3f} to {high:.3f}"


def _refuse_conductivities(targets: Targets, materials: TwoPhase, fractions: Curve) -> None:
    """Three conductivities that are possible each, but not together (trace bounds: Lurie & Cherkaev 1984,
    doi:10.1017/S0308210500025476; Murat & Tartar 1985).
    """
    ranges = [targets.range_of(f"k_{axis}") for axis in "xyz"]
    if not all(any(map(math.isfinite, ends)) for ends in ranges):
        return
    small, large, mixed, beside = phase_conductivities(materials, fractions)
    if large <= small:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        highs = np.minimum(np.array([ends[1] * (1.0 + _SLACK) for ends in ranges])[:, None], mixed)
        lows = np.maximum(np.array([ends[0] * (1.0 - _SLACK) for ends in ranges])[:, None], beside)
        least = (1.0 / (highs - small)).sum(axis=0)
        most = (1.0 / (large - lows)).sum(axis=0)
        above = least <= (1.0 / (beside - small) + 2.0 / (mixed - small)) * (1.0 + _ROUNDING)
        below = most <= (1.0 / (large - beside) + 2.0 / (large - mixed)) * (1.0 + _ROUNDING)
    if not (_widened(above, fractions) & _widened(below, fractions)).any():
        words = ", ".join(item.words() for item in targets if item.name in ("k_x", "k_y", "k_z"))
        isotropic = quantity_bounds("k", fractions, materials, isotropic=True)
        low, high = float(isotropic.low.min()), float(isotropic.high.max())
        raise ImpossibleTargetError(
            f"{words} exclude each other, though each alone can be had: alike along all axes, {low:.4g} to "
            f"{high:.4g} W/(m K) can (Hashin-Shtrikman bounds at these volume fractions)",
            "k_x",
            high if least.min() < math.inf and ranges[0][0] > high else low,
        )
