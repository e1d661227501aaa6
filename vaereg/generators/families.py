"""Seeded periodic random microstructures: parameters of each family, and the mixes of families.

A family is a function `family(size, *, generator) -> Sample`; a volume is thus a pure function of the family,
the size and the seed that `numpy.random.default_rng` was given. `FAMILIES` lists them by name. `fields`
(random fields) and `shapes` (constructions) make the volumes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.generators.fields import cut_at_quantile, gaussian_field, spinodal_field
from vaereg.generators.shapes import SURFACES, fibres, laminate, minimal_surface, spheres, voronoi_walls

__all__ = [
    "DEFAULT_MIX",
    "FAMILIES",
    "GENERATOR_VERSION",
    "MIXES",
    "Family",
    "Sample",
    "family_weights",
    "gaussian_field",
    "generate",
    "mix_name",
]

GENERATOR_VERSION = 1
"""Raised whenever the same family, size and seed would give another volume."""

STD_RANGE = (1.0, 8.0)
"""Standard deviations of the Gaussian filter [voxel]."""
SHORT_STD_RANGE = (1.0, 3.0)
"""The short standard deviation of rods and plates [voxel]."""
LONG_STD_MIN, ELONGATION = 4.0, 2.5
"""The long standard deviation is at least LONG_STD_MIN [voxel] and ELONGATION times the short one."""
VOLUME_FRACTION_RANGE = (0.25, 0.75)
"""Volume fractions of the stiff phase in Gaussian fields [-]."""

WIDE_FRACTION_RANGE = (0.2, 0.8)
"""Volume fractions of the stiff phase in all other families [-]."""
WAVELENGTH_RANGE = (6.0, 14.0)
"""Wavelengths that grow fastest in spinodal decomposition [voxel], and at most half the cell."""
SPINODAL_STEPS = (30, 60)
"""Time steps of spinodal decomposition and coarsening."""
SPINODAL_STRETCH = (2.0, 12.0)
"""Cost of gradients along the long axes of columns and lamellae, relative to the others [-]."""
SPHERE_COUNT, FIBRE_COUNT, SEED_COUNT = (6, 48), (2, 16), (8, 40)
"""Numbers of spheres, of fibres and of Voronoi cells."""
RADIUS_SPREAD = (0.0, 0.5)
"""Standard deviations of the logarithm of the radii of spheres and fibres [-]."""
LAYER_PAIRS = (1, 5)
"""Numbers of stiff layers, and of soft ones, in a laminate."""
SURFACE_PERIODS, SURFACE_PERIOD_MIN = (1, 3), 8
"""Periods of a minimal surface per axis, none of less than SURFACE_PERIOD_MIN voxels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One random microstructure and the parameters that were drawn for it."""

    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (n, n, n)."""
    parameters: dict[str, float]
    """Parameters by name; lengths [voxel], volume fraction [-]."""


class Family(Protocol):
    """A seeded random microstructure of cubic shape."""

    def __call__(self, size: int, *, generator: Generator) -> Sample:
        """Draw one volume of `size` voxels per edge."""
        ...


def generate(family: str, size: int, *, generator: Generator) -> Sample:
    """Draw one volume of a family given by name.

    Raises:
        InputError: The family is unknown or the size is below 2.
    """
    if size < 2:
        raise InputError(f"expected at least 2 voxels per edge, got {size}")
    return FAMILIES[_checked(family)](size, generator=generator)


def family_weights(families: Mapping[str, float] | Sequence[str] | str | None = None) -> dict[str, float]:
    """Share of each family [-] in a data set, summing to one, in the order of `FAMILIES`.

    Args:
        families: Weights by name, names that share equally, one of `MIXES`, or None for `DEFAULT_MIX`.

    Raises:
        InputError: A family is unknown, none is given, or a weight is not positive.
    """
    if families is None:
        families = DEFAULT_MIX
    if isinstance(families, str):
        families = [families]
    if not isinstance(families, Mapping) and len(families) == 1 and families[0] in MIXES:
        families = MIXES[families[0]]
    weights = dict(families) if isinstance(families, Mapping) else dict.fromkeys(families, 1.0)
    if not weights:
        raise InputError(f"expected at least one family of {', '.join(FAMILIES)}")
    for name, weight in weights.items():
        if not 0 < weight < np.inf:
            raise InputError(f"expected a positive weight for family {_checked(name)}, got {weight}")
    ordered = sorted(weights, key=lambda name: list(FAMILIES).index(_checked(name)))
    total = sum(weights.values())
    return {name: weights[name] / total for name in ordered}


def mix_name(weights: Mapping[str, float]) -> str | None:
    """Name of the mix that has these shares, or names of families that share equally; otherwise None."""
    if all(name in FAMILIES for name in weights):
        for families in (*([name] for name in MIXES), list(weights)):
            if family_weights(families) == dict(weights):
                return ",".join(families)
    return None


def _checked(family: str) -> str:
    if family not in FAMILIES:
        raise InputError(f"unknown family {family!r}, expected one of {', '.join(FAMILIES)}")
    return family


def _log_uniform(bounds: tuple[float, float], generator: Generator) -> float:
    return float(np.exp(generator.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def _long_std(short: float, generator: Generator) -> float:
    return float(generator.uniform(max(ELONGATION * short, LONG_STD_MIN), STD_RANGE[1]))


def _gaussian_sample(size: int, std: Sequence[float], generator: Generator) -> Sample:
    fraction = float(generator.uniform(*VOLUME_FRACTION_RANGE))
    volume = gaussian_field(size, std, fraction, generator=generator)
    lengths = {f"std_{axis}": float(value) for axis, value in zip("xyz", std, strict=True)}
    return Sample(volume=volume, parameters={"volume_fraction": fraction, **lengths})


def _equiaxed(size: int, *, generator: Generator) -> Sample:
    return _gaussian_sample(size, [_log_uniform(STD_RANGE, generator)] * 3, generator)


def _free(size: int, *, generator: Generator) -> Sample:
    return _gaussian_sample(size, [_log_uniform(STD_RANGE, generator) for _ in range(3)], generator)


def _rod(size: int, *, axis: int, generator: Generator) -> Sample:
    short = _log_uniform(SHORT_STD_RANGE, generator)
    std = [short] * 3
    std[axis] = _long_std(short, generator)
    return _gaussian_sample(size, std, generator)


def _plate(size: int, *, axis: int, generator: Generator) -> Sample:
    short = _log_uniform(SHORT_STD_RANGE, generator)
    std = [_long_std(short, generator) for _ in range(3)]
    std[axis] = short
    return _gaussian_sample(size, std, generator)


def _wide_fraction(generator: Generator) -> float:
    return float(generator.uniform(*WIDE_FRACTION_RANGE))


def _count(bounds: tuple[int, int], generator: Generator) -> int:
    return round(_log_uniform((bounds[0], bounds[1]), generator))


def _coin(generator: Generator) -> bool:
    return bool(generator.integers(2))


def _spinodal(size: int, *, long_axes: int, generator: Generator) -> Sample:
    """Equiaxed structure without long axes, columns with one, lamellae with two; which axes is random."""
    fraction = _wide_fraction(generator)
    wavelength = min(_log_uniform(WAVELENGTH_RANGE, generator), size / 2.0)
    steps = int(generator.integers(SPINODAL_STEPS[0], SPINODAL_STEPS[1] + 1))
    stretch = np.ones(3)
    if long_axes:
        stretch[generator.permutation(3)[:long_axes]] = _log_uniform(SPINODAL_STRETCH, generator)
    # a mean concentration between the spinodals decomposes at any fraction; the cut then moves little
    mean = 0.6 * (2.0 * fraction - 1.0)
    field = spinodal_field(size, wavelength, steps, stretch=stretch.tolist(), mean=mean, generator=generator)
    parameters = {"volume_fraction": fraction, "wavelength": wavelength, "steps": float(steps)}
    parameters |= {f"stretch_{axis}": float(value) for axis, value in zip("xyz", stretch, strict=True)}
    return Sample(volume=cut_at_quantile(field, fraction), parameters=parameters)


def _radii(count: int, spread: float, generator: Generator) -> NDArray[np.float64]:
    return np.exp(spread * generator.standard_normal(count))


def _spheres(size: int, *, generator: Generator) -> Sample:
    fraction, stiff = _wide_fraction(generator), _coin(generator)
    count, spread = _count(SPHERE_COUNT, generator), float(generator.uniform(*RADIUS_SPREAD))
    centres = generator.random((count, 3))
    volume = spheres(size, centres, _radii(count, spread, generator), fraction, stiff=stiff)
    parameters = {"volume_fraction": fraction, "stiff_spheres": float(stiff), "count": float(count)}
    return Sample(volume=volume, parameters={**parameters, "radius_spread": spread})


def _fibres(size: int, *, generator: Generator) -> Sample:
    fraction, stiff, axis = _wide_fraction(generator), _coin(generator), int(generator.integers(3))
    count, spread = _count(FIBRE_COUNT, generator), float(generator.uniform(*RADIUS_SPREAD))
    centres = generator.random((count, 2))
    volume = fibres(size, centres, _radii(count, spread, generator), fraction, axis=axis, stiff=stiff)
    parameters = {"volume_fraction": fraction, "axis": float(axis), "stiff_fibres": float(stiff)}
    return Sample(volume=volume, parameters={**parameters, "count": float(count), "radius_spread": spread})


def _laminate(size: int, *, generator: Generator) -> Sample:
    stiff = min(max(round(_wide_fraction(generator) * size), 1), size - 1)
    axis, shift = int(generator.integers(3)), int(generator.integers(size))
    pairs = min(int(generator.integers(LAYER_PAIRS[0], LAYER_PAIRS[1] + 1)), stiff, size - stiff)
    thickness = np.empty(2 * pairs, dtype=np.int64)
    thickness[::2] = _parts(stiff, pairs, generator)
    thickness[1::2] = _parts(size - stiff, pairs, generator)
    volume = laminate(thickness.tolist(), axis=axis, shift=shift)
    parameters = {"volume_fraction": stiff / size, "axis": float(axis), "layers": float(2 * pairs)}
    return Sample(volume=volume, parameters=parameters)


def _parts(total: int, count: int, generator: Generator) -> NDArray[np.int64]:
    """Positive integers of the given sum, all such lists equally likely."""
    cuts = np.sort(generator.permutation(total - 1)[: count - 1]) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def _minimal_surface(size: int, *, generator: Generator) -> Sample:
    """Minimal surface; half of them have equal periods along all axes."""
    fraction, names = _wide_fraction(generator), list(SURFACES)
    number, sheet, inverted = int(generator.integers(len(names))), _coin(generator), _coin(generator)
    most = min(SURFACE_PERIODS[1], max(size // SURFACE_PERIOD_MIN, 1))
    periods = generator.integers(SURFACE_PERIODS[0], most + 1, size=3)
    if _coin(generator):
        periods[:] = periods[0]
    volume = minimal_surface(
        size,
        names[number],
        periods.tolist(),
        generator.random(3).tolist(),
        fraction,
        sheet=sheet,
        inverted=inverted,
    )
    parameters = {"volume_fraction": fraction, "surface": float(number), "sheet": float(sheet)}
    parameters |= {f"periods_{axis}": float(value) for axis, value in zip("xyz", periods, strict=True)}
    return Sample(volume=volume, parameters={**parameters, "inverted": float(inverted)})


def _voronoi(size: int, *, generator: Generator) -> Sample:
    fraction, stiff = _wide_fraction(generator), _coin(generator)
    count = _count(SEED_COUNT, generator)
    volume = voronoi_walls(size, generator.random((count, 3)), fraction, stiff_walls=stiff)
    parameters = {"volume_fraction": fraction, "stiff_walls": float(stiff), "count": float(count)}
    return Sample(volume=volume, parameters=parameters)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "gaussian-equiaxed": _equiaxed,
        **{f"gaussian-rod-{name}": partial(_rod, axis=axis) for axis, name in enumerate("xyz")},
        **{f"gaussian-plate-{name}": partial(_plate, axis=axis) for axis, name in enumerate("xyz")},
        "gaussian-free": _free,
        "spinodal": partial(_spinodal, long_axes=0),
        "spinodal-columns": partial(_spinodal, long_axes=1),
        "spinodal-lamellae": partial(_spinodal, long_axes=2),
        "spheres": _spheres,
        "fibres": _fibres,
        "laminate": _laminate,
        "minimal-surface": _minimal_surface,
        "voronoi": _voronoi,
    }
)
"""Every family by name; a Gaussian rod is long along its axis, a plate is thin along its axis."""

_GAUSSIAN = {
    name: 1 / 12 if "rod" in name or "plate" in name else 1 / 4
    for name in FAMILIES
    if name.startswith("gaussian-")
}
_OTHERS = {
    "spinodal": 0.06,
    "spinodal-columns": 0.04,
    "spinodal-lamellae": 0.04,
    "spheres": 0.07,
    "fibres": 0.06,
    "laminate": 0.02,  # laminates of equal fraction and axis have equal stiffness
    "minimal-surface": 0.06,
    "voronoi": 0.05,
}

MIXES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "default": {**{name: 0.6 * share for name, share in _GAUSSIAN.items()}, **_OTHERS},
        "gaussian": _GAUSSIAN,
    }
)
"""Shares of the families [-] by the name of the mix."""

DEFAULT_MIX: Mapping[str, float] = MIXES["default"]
"""Share of each family [-] in a data set, unless others are asked for."""
