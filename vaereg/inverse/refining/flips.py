"""Choice of the voxels of a two-phase volume to flip, to change its properties as wanted.

By reciprocity, flips change the stiffness by exactly the sum over them of

    e : (C_new - C_old) : e',    e, e' the strains before and after,

and a flipped voxel strains nearly like its neighbours of the phase that it joins. So the change of an energy
is estimated by the geometric mean of the solver's sensitivity (which has e in both places) over the nearby
voxels of the one phase and of the other. A quantity q with the derivative dq/dC = sum g_m v_m v_m^T changes
by the sum of g_m times the energies under the strains v_m; Young's moduli, shear moduli and conductivities
have a single one, uniaxial stress. At a contrast of 50 the sensitivity alone is wrong by a factor of two or
three in either direction; this mean, after a constant ratio, by 20 %. The ratios are learned from the solves
as they come: two per quantity, for voxels that become stiff and for those that become soft.

Of all flips that should reach the target, or come nearest to it within a trust region, those nearest to the
interface of the smoothed volume are chosen, without relying on a few voxels of large effect: a linear
program, min c.x with least <= A x <= most and 0 <= x <= 1. It is solved in its few multipliers, one per
quantity: with a little entropy of width t, x = sigmoid((A^T y - c) / t), and the concave dual function of y
is maximised by Newton's method while t falls. That is a level set shifted by a combination of the effects,
one weight per quantity. Only the interface moves, so the morphology is kept.

Letters: P targeted quantities, M strains, V voxels, X Y Z voxels along the axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.refining.multipliers import choose_shares, round_shares
from vaereg.inverse.refining.necks import necks_at
from vaereg.inverse.refining.smoothing import smoothed
from vaereg.materials import TwoPhase
from vaereg.targets import Targets
from vaereg.targets.properties import Gradients

__all__ = [
    "Effects",
    "Flips",
    "Ratios",
    "choose_flips",
    "effects_of_flips",
    "expected_change",
    "first_ratios",
    "flips_between",
    "interface_of",
    "learn_ratios",
    "neck_cost",
]


_NEIGHBOURS = 0.8
"""Standard deviation of the means over neighbours [voxel]."""
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
_CLEAN, _NECKS_PER_DECADE = 10.0, 5.0
"""Contrast up to which that cost is enough [-], and by how much of itself it grows with every further decade:
a wall of one voxel that opens may change a conductivity by a half. Set by refinements of hard targets."""
_NEGLIGIBLE = 1e-6
"""Eigenvalue of a derivative over its largest [-], below which its strain is left out."""
_CONTRASTS = (1.0, 10.0, 50.0, 300.0, 3000.0)
"""Contrasts at which the first ratios are given; between them they are interpolated in the logarithm [-]."""
_RAISED, _LOWERED = (1.0, 0.93, 0.75, 0.7, 0.66), (1.0, 0.93, 0.76, 0.8, 0.75)
"""Actual by estimated change of voxels that become the harder phase, and the softer: least squares over first
corrections of three moduli of 12 designs of 32 voxels per edge, the softer nearer to those of Gaussian
fields."""
_SPREAD, _TIE = 0.35, 0.7
"""Standard deviation of the two ratios, and their correlation: over designs, they are 0.4 to 1.4."""
_DRIFT = 0.05
"""Standard deviation by which they change from step to step."""
_NOISE = 0.003
"""Standard deviation of what the ratios leave open in a change, relative to the unit of the quantity [-]."""
_RANGE = (0.2, 2.0)
"""Ratios are kept within."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """Estimated change of every quantity by the flip of each voxel to the stiff phase."""

    estimated: NDArray[np.float64]
    """What goes through stiffness and conductivity, before it is multiplied by a ratio, shape (P, X Y Z)."""
    exact: NDArray[np.float64]
    """What goes through the volume fraction, the same for all voxels, shape (P,)."""


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
    through = [np.abs(part).max(axis=(1, 2)) for part in (gradients.stiffness, gradients.conductivity)]
    elastic, thermal = (part > 0.0 for part in through)
    count = len(elastic)
    mean, covariance = np.ones((count, 2)), np.zeros((count, 2, 2))
    mean[elastic] = _ratios_of(materials.e_stiff, materials.e_soft)
    first, second = (float(phase.conductivity or 0.0) for phase in (materials.stiff, materials.soft))
    mean[thermal] = _ratios_of(first, second)
    covariance[elastic | thermal] = _SPREAD**2 * np.array([[1.0, _TIE], [_TIE, 1.0]])
    return Ratios(mean=mean, covariance=covariance)


def neck_cost(targets: Targets, materials: TwoPhase) -> float:
    """Cost of a flip that may open a neck, by the largest contrast that the targets see."""
    pairs = []
    if targets.needs_stiffness:
        pairs.append((materials.e_stiff, materials.e_soft))
    if targets.needs_conductivity:
        first, second = (float(phase.conductivity or 0.0) for phase in (materials.stiff, materials.soft))
        pairs.append((first, second))
    contrasts = [max(pair) / min(pair) if min(pair) > 0.0 else _CONTRASTS[-1] for pair in pairs if max(pair)]
    largest = min(max(contrasts, default=1.0), _CONTRASTS[-1])
    return _NECK_COST * (1.0 + _NECKS_PER_DECADE * max(np.log10(largest / _CLEAN), 0.0))


def _ratios_of(first: float, second: float) -> tuple[float, float]:
    """First ratios of voxels that become phase 1 and phase 0, by a modulus of both phases."""
    harder, softer = max(first, second), min(first, second)
    contrast = min(harder / softer, _CONTRASTS[-1]) if softer > 0.0 else _CONTRASTS[-1]
    place, places = np.log(max(contrast, 1.0)), np.log(_CONTRASTS)
    raised, lowered = (float(np.interp(place, places, ratios)) for ratios in (_RAISED, _LOWERED))
    return (raised, lowered) if first >= second else (lowered, raised)


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
        gain = spread @ estimate / (estimate @ spread @ estimate + (_NOISE * unit[row]) ** 2)
        surprise = change[row] - flips.exact[row] - estimate @ mean[row]
        mean[row] = np.clip(mean[row] + gain * surprise, *_RANGE)
        covariance[row] = spread - np.outer(gain, estimate @ spread)
    return Ratios(mean=mean, covariance=covariance)


def effects_of_flips(
    volume: NDArray[np.uint8],
    gradients: Gradients,
    sensitivity: NDArray | None = None,
    conduction: NDArray | None = None,
) -> Effects:
    """Estimated change of every quantity by the flip of each voxel.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z). gradients: Derivatives of the quantities of this volume.
        sensitivity: From `homogenize` or `bound_stiffness`, shape (21, X, Y, Z) [GPa]; may be left out where
        no
            quantity goes through the stiffness.
        conduction: From `conduct`, shape (6, X, Y, Z) [W/(m K)]; likewise.
    """
    stiff = volume.astype(np.float32)
    share = smoothed(stiff, _NEIGHBOURS)
    among = 1.0 / np.maximum(share, 1e-3), 1.0 / np.maximum(1.0 - share, 1e-3)
    estimated = np.zeros((len(gradients.fraction), volume.size))
    for part, energies in ((gradients.stiffness, sensitivity), (gradients.conductivity, conduction)):
        if energies is None:
            continue
        packed = energies.reshape(len(energies), -1)
        for row, derivative in enumerate(part):
            for factor, strain in _strains(derivative):
                energy = (_pack(strain) @ packed).reshape(volume.shape)
                inside = smoothed(stiff * energy, _NEIGHBOURS)
                outside = smoothed((1.0 - stiff) * energy, _NEIGHBOURS) * among[1]
                inside *= among[0]
                # phases of unlike Poisson ratios may have energies of unlike signs: no estimate there
                alike = np.sqrt(np.maximum(inside * outside, 0.0)) * np.sign(inside)
                estimated[row] += factor * alike.ravel()
    return Effects(estimated=estimated, exact=gradients.fraction / volume.size)


def _strains(derivative: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    """Factors g_m and strains v_m of a derivative sum g_m v_m v_m^T, those that matter."""
    if not derivative.any():
        return []
    values, vectors = np.linalg.eigh(derivative)
    least = _NEGLIGIBLE * np.abs(values).max()
    return [
        (float(value), vector) for value, vector in zip(values, vectors.T, strict=True) if abs(value) > least
    ]


def _pack(strain: NDArray[np.float64]) -> NDArray[np.float32]:
    """Factors of the packed entries (i, j), i <= j, in the energy under a strain."""
    rows, columns = np.triu_indices(len(strain))
    return (np.where(rows == columns, 1.0, 2.0) * strain[rows] * strain[columns]).astype(np.float32)


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
    cost += necks * necks_at(volume, voxels)
    changes /= typical
    low, high = least / (unit * typical), most / (unit * typical)
    share = choose_shares(changes, cost, low, high)
    for _ in range(_TRUST_ROUNDS):  # beyond the trust region, less is asked for
        if (count := share.sum()) <= trust * volume.size + 1.0:
            break
        factor = trust * volume.size / count
        low, high = np.where(low > 0.0, factor * low, low), np.where(high < 0.0, factor * high, high)
        share = choose_shares(changes, cost, low, high)
    sets = None if orbits is None else orbits.ravel()[voxels]
    chosen = round_shares(share, changes, low, high, int(trust * volume.size) + 1, sets)
    if not chosen.any():
        return None
    return Flips(
        voxels=voxels[chosen],
        raised=estimated[:, chosen & ~stiff].sum(axis=1),
        lowered=estimated[:, chosen & stiff].sum(axis=1),
        exact=effects.exact * signs[chosen].sum(),
    )


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


def interface_of(volume: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Voxels that share a face with one of the other phase, shape (X, Y, Z)."""
    interface = np.zeros(volume.shape, dtype=bool)
    for axis in range(3):
        differs = volume != np.roll(volume, 1, axis)
        interface |= differs | np.roll(differs, -1, axis)
    return interface
