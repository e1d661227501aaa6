"""Choice of the voxels of a two-phase volume to flip, to change its properties as wanted.

What the flip of a single voxel does is estimated (`effects`). What many do together is another thing, so the
sums of the estimates are multiplied by ratios that are learned from the solves as they come: two per
quantity, for voxels that become stiff and for those that become soft.

Of all flips that should reach the target, or come nearest to it within a trust region, those nearest to the
interface of the smoothed volume are chosen, without relying on a few voxels of large effect: a linear
program, min c.x with least <= A x <= most and 0 <= x <= 1. It is solved in its few multipliers, one per
quantity: with a little entropy of width t, x = sigmoid((A^T y - c) / t), and the concave dual function of y
is maximised by Newton's method while t falls. That is a level set shifted by a combination of the effects,
one weight per quantity. Only the interface moves, so the morphology is kept.

Letters: P targeted quantities, V voxels, X Y Z voxels along the axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.refining.effects import Effects, contrast_of, interface_of
from vaereg.inverse.refining.multipliers import choose_shares, round_shares
from vaereg.inverse.refining.necks import flips_apart
from vaereg.inverse.refining.smoothing import smoothed
from vaereg.materials import TwoPhase
from vaereg.targets import Targets
from vaereg.targets.properties import Gradients

__all__ = [
    "FEW",
    "FEWER",
    "MORE",
    "Flips",
    "Ratios",
    "choose_flips",
    "expected_change",
    "first_ratios",
    "flips_between",
    "learn_ratios",
    "neck_cost",
]


_SMOOTHING = 1.0
"""Standard deviation of the filter whose level set says how near to the interface a voxel is [voxel]."""
_TRUST = 0.03
"""Largest share of the voxels that are flipped at once [-]."""
_TRUST_ROUNDS = 4
"""Most times that less is asked for, to stay within the trust region."""
_LEAST_COST = 0.05
"""Cost of a flip right at the interface; one voxel away it is about 0.35."""
_NECK_COST = 1.0
"""Further cost of a flip that may open a neck or bridge a gap one voxel wide, and of half of it for two
voxels: its effect is far from the estimate, and it changes the morphology.
"""
_CLEAN, _NECKS_PER_DECADE = 10.0, 0.5
"""Contrast up to which that cost is enough [-], and by how much of itself it grows with every further decade.
Set by refinements of hard targets: at 5 and 1.5, 14 and 15 of 16 lattices with void reach theirs, at 0.5 all.
"""
_APART, _ROUNDS, _NEVER = 1.5, 4, 1e6
"""Cost of a neck, that of a contrast of 100, from which flips that open or close one together are left out;
most choices without those that were; and what these cost then [-]. Stiff grains touch where the wall between
them is thinned from both sides: of a cell at a contrast of 765, 660 flips that should have lowered C11 by
0.7 % raised it by 89 %.
"""
_FIRST, _FIRST_HARD, _FIRST_HEAT = (0.85, 1.03), (1.3, 1.1), (1.2, 1.0)
"""Ratios before anything is learned, of voxels that become the harder phase and the softer one [-]: of moduli
up to a contrast of `_HARD` and above, and of conductivities. So did the first corrections of 600 designs of
16 and 32 voxels per edge over the sums of the estimates. Energy is concave in the law of a cell: the more is
stiffened at once, the less each voxel does."""
_HARD = 1000.0
"""Contrast above which moduli have the second ratios [-]."""
FEWER, MORE = 0.5, 2.0
"""What the largest number of flips is multiplied by after flips that led away, and that helped [-]."""
FEW = 5
"""Voxels of flips that led away, up to which they are left alone from then on."""
_SPREAD, _TIE = 0.35, 0.7
"""Standard deviation of the two ratios, and their correlation: over designs, they are 0.4 to 1.4."""
_DRIFT = 0.05
"""Standard deviation by which they change from step to step."""
_NOISE = 0.003
"""Standard deviation of what the ratios leave open in a change, relative to the unit of the quantity [-]."""
_SURPRISE = 2.0
"""Standard deviations by which a change misses its estimate, beyond which the ratios are less sure [-]."""
_RANGE = (0.1, 5.0)
"""Ratios are kept within."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """Voxels to flip, and what that should do before it is multiplied by the ratios."""

    voxels: NDArray[np.intp]
    """Indices in C order, shape (V,)."""
    raised: NDArray[np.float64]
    """Estimated change of every quantity by the voxels that become stiff, shape (P,)."""
    lowered: NDArray[np.float64]
    """Estimated change by those that become soft, with the opposite sign, shape (P,)."""
    exact: NDArray[np.float64]
    """Change of every quantity through the volume fraction alone, shape (P,)."""

    def applied(self, volume: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Copy of a volume, shape (X, Y, Z), with the voxels flipped."""
        flipped = volume.copy()
        flipped.ravel()[self.voxels] ^= 1
        return flipped


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratios:
    """Actual by estimated changes of every quantity, for voxels that become stiff and that become soft."""

    mean: NDArray[np.float64]
    """Shape (P, 2) [-]."""
    covariance: NDArray[np.float64]
    """Uncertainty, shape (P, 2, 2) [-]; zero for quantities that need no estimate."""


def first_ratios(gradients: Gradients, materials: TwoPhase) -> Ratios:
    """Ratios before anything has been learned.

    Args:
        gradients: Derivatives of the quantities.
        materials: The two phases.
    """
    moduli, heat = (materials.e_stiff, materials.e_soft), _conductivities(materials)
    elastic = _FIRST if contrast_of(*moduli) <= _HARD else _FIRST_HARD
    mean = np.ones((len(gradients.fraction), 2))
    covariance = np.zeros((len(mean), 2, 2))
    for derivative, first, (stiff, soft) in (
        (gradients.stiffness, elastic, moduli),
        (gradients.conductivity, _FIRST_HEAT, heat),
    ):
        through = np.abs(derivative).max(axis=(1, 2)) > 0.0
        mean[through] = first if stiff >= soft else first[::-1]
        covariance[through] = _SPREAD**2 * np.array([[1.0, _TIE], [_TIE, 1.0]])
    return Ratios(mean=mean, covariance=covariance)


def neck_cost(targets: Targets, materials: TwoPhase) -> float:
    """Cost of a flip that may open a neck, by the largest contrast that the targets see."""
    pairs = []
    if targets.needs_stiffness:
        pairs.append((materials.e_stiff, materials.e_soft))
    if targets.needs_conductivity:
        pairs.append(_conductivities(materials))
    largest = max((contrast_of(*pair) for pair in pairs if max(pair) > 0.0), default=1.0)
    return _NECK_COST * (1.0 + _NECKS_PER_DECADE * max(np.log10(largest / _CLEAN), 0.0))


def learn_ratios(
    ratios: Ratios, flips: Flips, change: NDArray[np.float64], unit: NDArray[np.float64]
) -> Ratios:
    """Correct the ratios by what flips did: a Kalman filter for each quantity.

    Args:
        ratios: Of the quantities so far.
        flips: What was flipped.
        change: Change of every quantity, shape (P,).
        unit: What changes of every quantity are relative to, shape (P,).
    """
    mean, covariance = ratios.mean.copy(), ratios.covariance.copy()
    for row in np.flatnonzero(covariance.any(axis=(1, 2))):
        estimate = np.array([flips.raised[row], -flips.lowered[row]])
        spread = covariance[row] + _DRIFT**2 * np.eye(2)
        surprise = change[row] - flips.exact[row] - estimate @ mean[row]
        expected = estimate @ spread @ estimate + (_NOISE * unit[row]) ** 2
        spread = spread * max(1.0, surprise**2 / (_SURPRISE**2 * expected))
        gain = spread @ estimate / (estimate @ spread @ estimate + (_NOISE * unit[row]) ** 2)
        mean[row] = np.clip(mean[row] + gain * surprise, *_RANGE)
        covariance[row] = spread - np.outer(gain, estimate @ spread)
    return Ratios(mean=mean, covariance=covariance)


def choose_flips(
    volume: NDArray[np.uint8],
    effects: Effects,
    ratios: Ratios,
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    unit: NDArray[np.float64],
    *,
    allowed: NDArray[np.bool_] | None = None,
    orbits: NDArray[np.intp] | None = None,
    necks: float = _NECK_COST,
    trust: float = _TRUST,
) -> Flips | None:
    """Flips at the interface after which the quantities should have changed by `least` to `most`.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        effects: From `effects_of_flips`.
        ratios: Of the quantities.
        least: Smallest change of every quantity that is wanted, shape (P,).
        most: Largest one, shape (P,).
        unit: What changes of every quantity are relative to, shape (P,).
        allowed: Voxels that may be flipped, shape (X, Y, Z); those at the interface if left out.
        orbits: Number of the set that each voxel belongs to, shape (X, Y, Z): sets of equal voxels of a
            symmetric volume, which are flipped as a whole.
        necks: Cost of a flip that may open a neck, see `neck_cost`.
        trust: Largest share of the voxels that are flipped.

    Returns:
        The flips, or None where none brings the quantities nearer.
    """
    voxels = np.flatnonzero(interface_of(volume) if allowed is None else allowed)
    if len(voxels) == 0:
        return None
    stiff = volume.ravel()[voxels].astype(bool)
    level = smoothed(volume, _SMOOTHING).ravel().astype(np.float64)
    estimated = effects.estimated
    if orbits is not None:
        level, estimated = _means(level, orbits), np.stack([_means(row, orbits) for row in estimated])
    estimated = estimated[:, voxels]
    signs = np.where(stiff, -1.0, 1.0)
    changes = estimated * np.where(stiff, -ratios.mean[:, 1:], ratios.mean[:, :1])
    changes = (changes + effects.exact[:, None] * signs) / unit[:, None]
    level = level[voxels]
    cost = np.maximum(np.where(stiff, level - 0.5, 0.5 - level), 0.0) + _LEAST_COST
    largest = np.abs(changes).max(axis=0)
    typical = float(np.median(largest))
    if typical <= 0.0:
        return None
    cost *= np.sqrt(1.0 + np.square(largest / typical))
    cost += necks * effects.necks[voxels]
    changes /= typical
    low, high = least / (unit * typical), most / (unit * typical)
    sets = None if orbits is None else orbits.ravel()[voxels]
    room = trust * volume.size
    chosen = _chosen(changes, cost, low, high, room, sets)
    for left in range(_ROUNDS if necks >= _APART else 0, 0, -1):
        places = np.flatnonzero(chosen)
        apart = flips_apart(volume, voxels[places], None if sets is None else sets[places])
        places = places[~apart]
        chosen[places] = False
        if left == 1 or len(places) == 0:
            break
        changes[:, places], cost[places] = 0.0, _NEVER
        chosen = _chosen(changes, cost, low, high, room, sets)
    if not chosen.any():
        return None
    return Flips(
        voxels=voxels[chosen],
        raised=estimated[:, chosen & ~stiff].sum(axis=1),
        lowered=estimated[:, chosen & stiff].sum(axis=1),
        exact=effects.exact * signs[chosen].sum(),
    )


def _chosen(
    changes: NDArray[np.float64],
    cost: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    room: float,
    sets: NDArray[np.intp] | None,
) -> NDArray[np.bool_]:
    """Voxels whose flips change the quantities as wanted, or as far towards that as `room` voxels do."""
    share = choose_shares(changes, cost, low, high)
    for _ in range(_TRUST_ROUNDS):  # beyond the trust region, less is asked for
        if (count := share.sum()) <= room + 1.0:
            break
        factor = room / count
        low, high = np.where(low > 0.0, factor * low, low), np.where(high < 0.0, factor * high, high)
        share = choose_shares(changes, cost, low, high)
    return round_shares(share, changes, low, high, int(room) + 1, sets)


def _conductivities(materials: TwoPhase) -> tuple[float, float]:
    """Conductivities of the stiff and the soft phase, 0 where they are not known [W/(m K)]."""
    return float(materials.stiff.conductivity or 0.0), float(materials.soft.conductivity or 0.0)


def _means(values: NDArray[np.float64], orbits: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean over the orbit of each voxel, exactly alike for all voxels of one, shape (X Y Z,)."""
    places = orbits.ravel()
    return (np.bincount(places, weights=values) / np.maximum(np.bincount(places), 1))[places]


def flips_between(volume: NDArray[np.uint8], other: NDArray[np.uint8], effects: Effects) -> Flips:
    """Flips that turn one volume into another, with what they should do by the effects of the first."""
    voxels = np.flatnonzero(volume != other)
    stiff = volume.ravel()[voxels].astype(bool)
    return Flips(
        voxels=voxels,
        raised=effects.estimated[:, voxels[~stiff]].sum(axis=1),
        lowered=effects.estimated[:, voxels[stiff]].sum(axis=1),
        exact=effects.exact * float(np.where(stiff, -1.0, 1.0).sum()),
    )


def expected_change(flips: Flips, ratios: Ratios) -> NDArray[np.float64]:
    """Change of every quantity that flips should bring, shape (P,)."""
    return flips.raised * ratios.mean[:, 0] - flips.lowered * ratios.mean[:, 1] + flips.exact
