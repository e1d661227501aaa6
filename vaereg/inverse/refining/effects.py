"""What the flip of each voxel does to the properties of a cell, estimated from sensitivities.

By reciprocity, flips change the stiffness by exactly the sum over them of

    e : (C_new - C_old) : e',    e, e' the strains before and after.

The sensitivity of the solver has e in both places. Where voxels of a plane interface flip together, a flipped
voxel strains like its neighbours of the phase that it joins, and the change is the geometric mean of the
sensitivities on both sides: that of a layer. A single voxel is an inclusion, though: a bump on a flat wall
collects stress, six times that of a layer across the wall, and a pit in it is hardly seen, 0.02 times, at
a contrast of 100. So the estimate is that of a layer times

    exp(w . m),    m the monomials up to the second degree of a, b, c, s:

a the logarithm of the voxel's own sensitivity over that of a layer, b that of the mean on the side that it
joins over that on the side that it leaves, c the logarithm of the contrast, s the share of the harder phase
around it. The weights w are fitted to solves of single flips (`benchmarks/single_flips.py`): of voxels of
one interface they leave 11 % of the effects open, those of layers 37 % (medians over cells and quantities).

A quantity q with the derivative dq/dC = sum g_m v_m v_m^T changes by the sum of g_m times the energies under
the strains v_m; Young's moduli, shear moduli and conductivities have a single one, uniaxial stress.

Letters: P targeted quantities, M strains, V voxels, X Y Z voxels along the axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.refining.smoothing import smoothed
from vaereg.materials import TwoPhase
from vaereg.targets.properties import Gradients

__all__ = [
    "MAX_CONTRAST",
    "Effects",
    "Layers",
    "contrast_of",
    "effects_of_flips",
    "interface_of",
    "layers_of",
]

MAX_CONTRAST = 3000.0
"""Contrast that larger ones, and void, count as [-]."""

_NEIGHBOURS = 0.8
"""Standard deviation of the means over neighbours [voxel]."""
_NEGLIGIBLE = 1e-6
"""Eigenvalue of a derivative over its largest [-], below which its strain is left out."""
_LEAST_SHARE = 1e-3
"""Share of a phase around a voxel below which its mean is not divided by less [-]."""
_TINY = 1e-30
"""Sensitivity that stands for none, in the unit of the modulus."""
_SCALES, _LIMITS = (4.0, 8.0, 8.0), (2.0, 1.5)
"""What a, b, c are divided by, and how large a and b may then be [-]."""
_RAISED, _LOWERED = (
    (
        -0.215,
        4.395,
        -0.38,
        -1.254,
        -1.138,
        -1.484,
        -2.257,
        0.865,
        -2.759,
        0.284,
        6.444,
        -3.434,
        1.569,
        2.976,
        -1.492,
    ),
    (
        0.057,
        2.501,
        0.293,
        1.076,
        -0.191,
        -2.758,
        1.723,
        0.035,
        0.733,
        3.678,
        -0.779,
        -0.434,
        -0.523,
        -0.304,
        0.18,
    ),
)
"""Weights of the monomials for voxels that become the harder phase, and the softer [-]."""
_TOGETHER = (0.7, 0.85)
"""Share of the exponents that is left where many voxels flip at once, for voxels that become the harder phase
and the softer [-]: flips side by side act more like a layer. Set by 621 sets of flips that `choose_flips`
made for 16 voxels per edge: what they do over the sum of the estimates spreads by a fifth less."""
_FACTORS = (0.0025, 55.0)
"""Least and largest factor on the change of a layer [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """Estimated change of every quantity by the flip of each voxel to the stiff phase."""

    estimated: NDArray[np.float64]
    """What goes through stiffness and conductivity, before it is multiplied by a ratio, shape (P, X Y Z)."""
    exact: NDArray[np.float64]
    """What goes through the volume fraction, the same for all voxels, shape (P,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Flips of layers under one strain, and what the effects of single voxels depend on besides."""

    change: NDArray[np.float64]
    """Change of the energy by each voxel of a layer that becomes stiff, shape (X Y Z,)."""
    terms: NDArray[np.float64]
    """Monomials of some voxels, shape (15, V)."""
    raised: NDArray[np.bool_]
    """Whether the flips of these make them of the harder phase, shape (V,)."""
    signed: NDArray[np.bool_]
    """Whether their energies and those around them are of one sign, shape (V,)."""


def interface_of(volume: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Voxels that share a face with one of the other phase, shape (X, Y, Z)."""
    interface = np.zeros(volume.shape, dtype=bool)
    for axis in range(3):
        differs = volume != np.roll(volume, 1, axis)
        interface |= differs | np.roll(differs, -1, axis)
    return interface


def effects_of_flips(
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    gradients: Gradients,
    sensitivity: NDArray | None = None,
    conduction: NDArray | None = None,
) -> Effects:
    """Estimated change of every quantity by the flip of each voxel.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        materials: The two phases.
        gradients: Derivatives of the quantities of this volume.
        sensitivity: From `homogenize` or `bound_stiffness`, shape (21, X, Y, Z) [GPa]; may be left out where
            no quantity goes through the stiffness.
        conduction: From `conduct`, shape (6, X, Y, Z) [W/(m K)]; likewise.
    """
    estimated = np.zeros((len(gradients.fraction), volume.size))
    heat = [float(phase.conductivity or 0.0) for phase in (materials.stiff, materials.soft)]
    voxels = np.flatnonzero(interface_of(volume))
    for part, energies, (first, second) in (
        (gradients.stiffness, sensitivity, (materials.e_stiff, materials.e_soft)),
        (gradients.conductivity, conduction, heat),
    ):
        if energies is None:
            continue
        for row, derivative in enumerate(part):
            for factor, strain in _strains(derivative):
                layers = layers_of(volume, energies, strain, first, second, voxels)
                change = layers.change
                raised, lowered = (
                    share * np.dot(weights, layers.terms)
                    for share, weights in zip(_TOGETHER, (_RAISED, _LOWERED), strict=True)
                )
                exponent = np.where(layers.raised, raised, lowered)
                single = np.exp(np.clip(exponent, *np.log(_FACTORS)))
                change[voxels] *= np.where(layers.signed, single, 1.0)
                estimated[row] += factor * change
    return Effects(estimated=estimated, exact=gradients.fraction / volume.size)


def layers_of(
    volume: NDArray[np.uint8],
    energies: NDArray,
    strain: NDArray[np.float64],
    first: float,
    second: float,
    voxels: NDArray[np.intp],
) -> Layers:
    """What flips of layers do to the energy under a strain, and what those of single voxels depend on.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        energies: Sensitivities, packed, shape (21, X, Y, Z) or (6, X, Y, Z).
        strain: Macroscopic strain or gradient, shape (6,) or (3,).
        first: Modulus or conductivity of the stiff phase.
        second: That of the soft phase.
        voxels: Indices in C order, shape (V,).
    """
    stiff = volume.astype(np.float32)
    share = smoothed(stiff, _NEIGHBOURS)
    energy = (_pack(strain) @ energies.reshape(len(energies), -1)).reshape(volume.shape)
    inside = smoothed(stiff * energy, _NEIGHBOURS) / np.maximum(share, _LEAST_SHARE)
    outside = smoothed((1.0 - stiff) * energy, _NEIGHBOURS) / np.maximum(1.0 - share, _LEAST_SHARE)
    # phases of unlike Poisson ratios may have energies of unlike signs: no estimate there
    change = np.sqrt(np.maximum(inside * outside, 0.0)) * np.sign(inside)
    sign = 1.0 if first >= second else -1.0
    own, within, without = (
        sign * part.ravel()[voxels].astype(np.float64) for part in (energy, inside, outside)
    )
    shares = share.ravel()[voxels].astype(np.float64)
    is_stiff = volume.ravel()[voxels] == 1
    logs = [np.log(np.maximum(part, _TINY)) for part in (own, within, without)]
    return Layers(
        change=change.ravel().astype(np.float64),
        terms=_monomials(
            logs[0],
            np.where(is_stiff, logs[2], logs[1]),
            np.where(is_stiff, logs[1], logs[2]),
            contrast_of(first, second),
            shares if first >= second else 1.0 - shares,
        ),
        raised=~is_stiff if first >= second else is_stiff,
        signed=(own > 0.0) & (within > 0.0) & (without > 0.0),
    )


def _monomials(
    own: NDArray[np.float64],
    joined: NDArray[np.float64],
    left: NDArray[np.float64],
    contrast: float,
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Monomials of what the factor on the change of a layer depends on, shape (15, V).

    Args:
        own: Logarithm of the sensitivity of each voxel, shape (V,).
        joined: That of the mean around it over the phase that it joins, shape (V,).
        left: That over the phase that it leaves, shape (V,).
        contrast: Harder over softer modulus [-].
        share: Share of the harder phase around it, shape (V,) [-].
    """
    variables = (
        np.clip((own - (joined + left) / 2.0) / _SCALES[0], -_LIMITS[0], _LIMITS[0]),
        np.clip((joined - left) / _SCALES[1], -_LIMITS[1], _LIMITS[1]),
        np.full_like(own, np.log(contrast) / _SCALES[2]),
        2.0 * share - 1.0,
    )
    squares = [one * other for one, other in combinations_with_replacement(variables, 2)]
    return np.stack([np.ones_like(own), *variables, *squares])


def contrast_of(first: float, second: float) -> float:
    """Harder over softer of two moduli [-], `MAX_CONTRAST` at most."""
    harder, softer = max(first, second), min(first, second)
    return min(harder / softer, MAX_CONTRAST) if softer > 0.0 else MAX_CONTRAST


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
