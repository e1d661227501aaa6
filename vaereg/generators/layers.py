"""Morphology of layers: laminates, from plane to wavy, of equal or different layers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from vaereg.generators.fields import cut_at_quantile, filtered_noise
from vaereg.generators.recipe import Microstructure, Parameters, Triple, triple

__all__ = ["LaminateParameters", "draw_laminate", "make_laminate"]

REFERENCE_EDGE = 32
"""Edge of the cell that numbers of layers are given for [voxel]."""
VOLUME_FRACTION = (0.12, 0.88)
"""Volume fractions of the stiff phase [-]."""
LAYER_PAIRS = (1, 4)
"""Numbers of stiff layers in a cell of `REFERENCE_EDGE` voxels."""
JITTER, THICKNESS_SPREAD = (0.0, 0.25), (0.0, 0.25)
"""Largest displacements of layers relative to the period, and spread of their half thickness, relative to the
mean thickness of the thinner phase's layers [-]."""
PLANE = 0.2
"""Share of laminates whose layers are plane [-]."""
WAVINESS, WAVE_STD = (0.03, 0.14), (4.0, 10.0)
"""Root mean square displacement of wavy layers relative to the period [-]; filter of the waves [voxel]."""
LONGEST_WAVED = 16.0
"""Period from which the waves grow no more, so that single layers stay layers [voxel]."""
LEAST_PERIOD = 4
"""Least period of the layers [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaminateParameters(Parameters):
    """Parameters of a laminate."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("period", "waviness", "wave_std")

    normal: Triple
    """Direction normal to the layers: 1 along one axis, 0 along the others."""
    period: float
    """Mean distance from one stiff layer to the next [voxel]."""
    jitter: float
    """Largest displacement of a layer from its regular place, relative to the period [-]."""
    thickness_spread: float
    """Spread of the half thickness, relative to the mean thickness of the thinner phase's layers [-]."""
    waviness: float
    """Root mean square displacement of the waves; 0 for plane layers [voxel]."""
    wave_std: Triple
    """Standard deviations of the filter that makes the waves, along x, y, z [voxel]."""


def draw_laminate(generator: Generator) -> LaminateParameters:
    """Random parameters of a laminate."""
    period = REFERENCE_EDGE / int(generator.integers(LAYER_PAIRS[0], LAYER_PAIRS[1] + 1))
    plane = generator.random() < PLANE
    waviness = float(generator.uniform(*WAVINESS)) * min(period, LONGEST_WAVED)
    return LaminateParameters(
        volume_fraction=float(generator.uniform(*VOLUME_FRACTION)),
        normal=triple(np.eye(3)[int(generator.integers(3))]),
        period=period,
        jitter=float(generator.uniform(*JITTER)),
        thickness_spread=float(generator.uniform(*THICKNESS_SPREAD)),
        waviness=0.0 if plane else waviness,
        wave_std=triple(generator.uniform(*WAVE_STD, 3)),
    )


def make_laminate(parameters: LaminateParameters, size: int, generator: Generator) -> Microstructure:
    """Layers normal to one axis, stiff and soft in turn (Backus 1962, doi:10.1029/JZ067i011p04427).

    Plane layers are whole layers of voxels, so that their volume fraction is a multiple of 1/n.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
    """
    pairs = min(max(round(size / parameters.period), 1), max(size // LEAST_PERIOD, 1))
    period = size / pairs
    fraction = parameters.volume_fraction
    middles = generator.random() * size + period * np.arange(pairs)
    middles += parameters.jitter * period * generator.uniform(-1.0, 1.0, pairs)
    thinner = period * min(fraction, 1.0 - fraction)
    thicker = parameters.thickness_spread * thinner * generator.standard_normal(pairs)
    axis = int(np.argmax(parameters.normal))
    place = np.expand_dims(
        np.arange(size) + 0.5, tuple(direction for direction in range(3) if direction != axis)
    )
    if parameters.waviness > 0.0:
        noise = filtered_noise(size, parameters.wave_std, generator=generator)
        place = place + parameters.waviness * noise / noise.std()
    else:
        fraction = min(max(round(fraction * size), 1), size - 1) / size
    distance = np.full(place.shape, np.inf)
    for middle, extra in zip(middles, thicker, strict=True):
        step = place - middle
        distance = np.minimum(distance, np.abs(step - size * np.round(step / size)) - extra)
    recipe = {
        "volume_fraction": fraction,
        "normal": parameters.normal,
        "count": pairs,
        "period": period,
        "thickness": fraction * period,
        "jitter": parameters.jitter,
        "thickness_spread": parameters.thickness_spread,
        "waviness": parameters.waviness,
        "wave_std": parameters.wave_std,
    }
    volume = np.broadcast_to(cut_at_quantile(-distance, fraction), (size,) * 3)
    return Microstructure(volume=np.ascontiguousarray(volume), recipe=recipe)
