"""What the flip of each voxel does to the properties of a cell, estimated from sensitivities.

By reciprocity, flips change the stiffness by exactly the sum over them of

    e : (C_new - C_old) : e',    e, e' the strains before and after.

The sensitivity of the solver has e in both places. Where voxels of a plane interface flip together, a flipped
voxel strains like its neighbours of the phase that it joins, and the change is the geometric mean of the
sensitivities on both sides: that of a layer. A single voxel is an inclusion, though: a bump on a flat wall
collects stress, six times that of a layer across the wall, and a pit in it is hardly seen, 0.02 times, at
a contrast of 100. So the estimate is that of a layer times

    exp((w + n c w') . m),    m the monomials up to the second degree of a, b, c, s:

a the logarithm of the voxel's own sensitivity over that of a layer, b that of the mean on the side that it
joins over that on the side that it leaves, c the logarithm of the contrast, s the share of the harder phase
around it, n how much of a neck it is (`necks`): between two stiff grains a bridge of one voxel does up to ten
times what other flips do. The weights are fitted to solves of single flips (`benchmarks/single_flips.py`): of
voxels of one interface they leave 10 % of the effects open, those of layers 38 % (medians over cells and
quantities).

A quantity q with the derivative dq/dC = sum g_m v_m v_m^T changes by the sum of g_m times the energies under
the strains v_m; Young's moduli, shear moduli and conductivities have a single one, uniaxial stress.

Letters: P targeted quantities, M strains, V voxels, X Y Z voxels along the axes.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.inverse.refining.necks import necks_at
from vaereg.inverse.refining.smoothing import smoothed
from vaereg.materials import TwoPhase
from vaereg.solver.bounds import StrainEnergies
from vaereg.targets.properties import Gradients

__all__ = [
    "MAX_CONTRAST",
    "NEIGHBOURS",
    "Effects",
    "Layers",
    "contrast_of",
    "effects_of_flips",
    "interface_of",
    "layers_of",
]

MAX_CONTRAST = 3000.0
"""Contrast that larger ones, and void, count as [-]."""

NEIGHBOURS = 0.8
"""Standard deviation of the means over neighbours [voxel]."""
_NEGLIGIBLE = 1e-6
"""Eigenvalue of a derivative over its largest [-], below which its strain is left out."""
_LEAST_SHARE = 1e-3
"""Share of a phase around a voxel below which its mean is not divided by less [-]."""
_TINY = 1e-30
"""Sensitivity that stands for none, in the unit of the modulus."""
_SCALES, _LIMITS = (4.0, 8.0, 8.0), (2.0, 1.5)
"""What a, b, c are divided by, and how large a and b may then be [-]."""
_WEIGHTS = np.array(
    [
        [
            [
                -0.119,
                2.429,
                -0.511,
                0.107,
                -0.32,
                -2.883,
                -6.59,
                0.133,
                -4.601,
                -0.938,
                7.651,
                -3.475,
                0.658,
                3.906,
                -0.303,
            ],
            [
                -0.017,
                2.447,
                -0.045,
                1.24,
                0.141,
                -2.306,
                2.691,
                -0.26,
                1.159,
                4.095,
                -0.654,
                -0.294,
                -0.538,
                -0.669,
                0.006,
            ],
        ],
        [
            [
                -1.234,
                -0.482,
                -4.337,
                1.445,
                -1.622,
                -3.892,
                -4.177,
                1.916,
                -5.961,
                -3.28,
                -1.801,
                -8.472,
                -1.403,
                -1.544,
                -1.659,
            ],
            [
                0.78,
                1.268,
                -0.59,
                -1.143,
                -1.382,
                1.417,
                2.703,
                -0.514,
                -1.53,
                2.051,
                0.286,
                0.037,
                0.38,
                1.11,
                0.423,
            ],
        ],
    ]
)
"""Weights of the monomials, and of the monomials times n c, each for voxels that become the harder phase, and
the softer, shape (2, 2, 15) [-]."""
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
    necks: NDArray[np.float64]
    """How much of a neck each voxel of the interface is (`necks_at`), 0 elsewhere, shape (X Y Z,) [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Flips of layers under one strain, and what the effects of single voxels depend on besides."""

    change: NDArray[np.float64]
    """Change of the energy by each voxel of a layer that becomes stiff, shape (X Y Z,)."""
    exponents: NDArray[np.float64]
    """Sums of the weighted monomials of some voxels, shape (W, V)."""
    contrast: float
    """Logarithm of the contrast, as the monomials have it."""
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
    sensitivity: NDArray | StrainEnergies | None = None,
    conduction: NDArray | None = None,
) -> Effects:
    """Estimated change of every quantity by the flip of each voxel.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        materials: The two phases.
        gradients: Derivatives of the quantities of this volume.
        sensitivity: From `bound_stiffness`, or from `homogenize`, shape (21, X, Y, Z) [GPa]; may be left out
            where no quantity goes through the stiffness.
        conduction: From `conduct`, shape (6, X, Y, Z) [W/(m K)]; likewise.
    """
    estimated = np.zeros((len(gradients.fraction), volume.size))
    heat = [float(phase.conductivity or 0.0) for phase in (materials.stiff, materials.soft)]
    voxels = np.flatnonzero(interface_of(volume))
    necks = np.zeros(volume.size)
    necks[voxels] = necks_at(volume, voxels)
    share = smoothed(volume, NEIGHBOURS)
    for part, energies, (first, second) in (
        (gradients.stiffness, sensitivity, (materials.e_stiff, materials.e_soft)),
        (gradients.conductivity, conduction, heat),
    ):
        if energies is None:
            continue
        for row, derivative in enumerate(part):
            for factor, strain in _strains(derivative):
                layers = layers_of(volume, share, energies, strain, first, second, voxels)
                change = layers.change
                exponents = np.where(layers.raised, *_TOGETHER) * layers.exponents[0]
                exponents += layers.contrast * necks[voxels] * layers.exponents[1]
                single = np.exp(np.clip(exponents, *np.log(_FACTORS)))
                change[voxels] *= np.where(layers.signed, single, 1.0)
                estimated[row] += factor * change
    return Effects(estimated=estimated, exact=gradients.fraction / volume.size, necks=necks)


def layers_of(
    volume: NDArray[np.uint8],
    share: NDArray[np.float32],
    energies: NDArray | StrainEnergies,
    strain: NDArray[np.float64],
    first: float,
    second: float,
    voxels: NDArray[np.intp],
    weights: NDArray[np.float64] = _WEIGHTS,
) -> Layers:
    """What flips of layers do to the energy under a strain, and what those of single voxels depend on.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        share: Share of the stiff phase around each voxel, the volume `smoothed` over `NEIGHBOURS`, like it.
        energies: Sensitivities; packed ones have the shape (21, X, Y, Z) or (6, X, Y, Z).
        strain: Macroscopic strain or gradient, shape (6,) or (3,).
        first: Modulus or conductivity of the stiff phase.
        second: That of the soft phase.
        voxels: Indices in C order, shape (V,).
        weights: Weights of the monomials for voxels that become the harder phase, and the softer, shape
            (W, 2, 15).
    """
    stiff = volume.astype(np.float32)
    energy = _energy(energies, strain).astype(np.float32, copy=False).reshape(volume.shape)
    inside = smoothed(stiff * energy, NEIGHBOURS) / np.maximum(share, _LEAST_SHARE)
    outside = smoothed((1.0 - stiff) * energy, NEIGHBOURS) / np.maximum(1.0 - share, _LEAST_SHARE)
    # phases of unlike Poisson ratios may have energies of unlike signs: no estimate there
    change = np.sqrt(np.maximum(inside * outside, 0.0)) * np.sign(inside)
    sign = 1.0 if first >= second else -1.0
    is_stiff = volume.ravel()[voxels] == 1
    raised = ~is_stiff if first >= second else is_stiff
    contrast = float(np.log(contrast_of(first, second))) / _SCALES[2]
    exponents, signed = np.empty((len(weights), len(voxels))), np.empty(len(voxels), dtype=bool)
    own, within, without = (
        sign * part.ravel()[voxels].astype(np.float64) for part in (energy, inside, outside)
    )
    _sum_monomials(
        own,
        within,
        without,
        share.ravel()[voxels].astype(np.float64),
        is_stiff,
        first >= second,
        contrast,
        weights,
        exponents,
        signed,
    )
    return Layers(
        change=change.ravel().astype(np.float64),
        exponents=exponents,
        contrast=contrast,
        raised=raised,
        signed=signed,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_monomials(own, inside, outside, share, is_stiff, stiff_is_harder, contrast, weights, out, signed):  # noqa: ANN001, ANN202
    """Weighted sums of the monomials of what the factor on the change of a layer depends on.

    Args:
        own: Sensitivity of each voxel, shape (V,).
        inside: Mean around it over the stiff phase, and `outside` over the soft one, shape (V,).
        share: Share of the stiff phase around it, shape (V,) [-].
        is_stiff: Whether it is of the stiff phase, shape (V,).
        stiff_is_harder: Whether the stiff phase is the harder one.
        contrast: Logarithm of the contrast, scaled.
        weights: Shape (W, 2, 15).
        out: Sums, shape (W, V).
        signed: Whether all three energies of a voxel are above zero, shape (V,).
    """
    terms = np.empty(15)
    variables = np.empty(4)
    for v in range(own.size):
        signed[v] = own[v] > 0.0 and inside[v] > 0.0 and outside[v] > 0.0
        logs = np.log(max(own[v], _TINY)), np.log(max(inside[v], _TINY)), np.log(max(outside[v], _TINY))
        joined, left = (logs[2], logs[1]) if is_stiff[v] else (logs[1], logs[2])
        side, limit = (logs[0] - (joined + left) / 2.0) / _SCALES[0], _LIMITS[0]
        variables[0] = min(max(side, -limit), limit)
        side, limit = (joined - left) / _SCALES[1], _LIMITS[1]
        variables[1] = min(max(side, -limit), limit)
        variables[2] = contrast
        variables[3] = 2.0 * share[v] - 1.0 if stiff_is_harder else 1.0 - 2.0 * share[v]
        terms[0] = 1.0
        at = 5
        for i in range(4):
            terms[i + 1] = variables[i]
            for j in range(i, 4):
                terms[at] = variables[i] * variables[j]
                at += 1
        direction = 1 if is_stiff[v] == stiff_is_harder else 0
        for w in range(len(weights)):
            total = 0.0
            for m in range(15):
                total += weights[w, direction, m] * terms[m]
            out[w, v] = total


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


def _energy(energies: NDArray | StrainEnergies, strain: NDArray[np.float64]) -> NDArray:
    """Energies of all voxels under a strain, X Y Z of them."""
    if isinstance(energies, StrainEnergies):
        return energies.under(strain)
    rows, columns = np.triu_indices(len(strain))
    factors = np.where(rows == columns, 1.0, 2.0) * strain[rows] * strain[columns]
    return factors.astype(np.float32) @ energies.reshape(len(energies), -1)
