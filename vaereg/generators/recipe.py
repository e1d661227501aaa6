"""Parameters and recipes of microstructures: base classes, permutation of axes, scaling of lengths.

Parameters are what a morphology draws; a recipe is what a volume was made of: its parameters at its size, and
what followed from them (numbers of bodies, thickness of walls, orientation tensor). Both consist of plain
values that JSON can hold. In both, three numbers are values along x, y, z, and three by three are a tensor;
everything else does not depend on directions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "Microstructure",
    "Parameters",
    "Triple",
    "draw_stretch",
    "log_uniform",
    "permute_recipe",
    "plain",
    "triple",
]

Triple = tuple[float, float, float]
"""Values along x, y, z."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Parameters of a morphology; lengths in voxels."""

    LENGTHS: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that are lengths [voxel]."""

    volume_fraction: float
    """Share of stiff voxels [-]."""

    def __post_init__(self) -> None:
        if not 0.0 < self.volume_fraction < 1.0:
            raise ValueError(f"expected a volume fraction between 0 and 1, got {self.volume_fraction}")

    def scaled(self, factor: float) -> Self:
        """Parameters whose lengths are multiplied by a factor."""
        lengths = {}
        for name in self.LENGTHS:
            value = getattr(self, name)
            lengths[name] = (
                triple(factor * np.asarray(value)) if isinstance(value, tuple) else float(factor * value)
            )
        return replace(self, **lengths)

    def permuted(self, axes: Sequence[int]) -> Self:
        """Parameters of a volume whose axes were permuted as by `numpy.transpose`."""
        values = permute_recipe(asdict(self), axes)
        return replace(self, **{name: _as_tuple(value) for name, value in values.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Microstructure:
    """One periodic two-phase volume with its recipe."""

    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (n, n, n)."""
    recipe: dict[str, Any]
    """Parameters and what followed from them; lengths [voxel], shares [-]."""


def permute_recipe(recipe: Mapping[str, Any], axes: Sequence[int]) -> dict[str, Any]:
    """Recipe of a volume whose axes were permuted as by `numpy.transpose(volume, axes)`.

    Args:
        recipe: Recipe, or parameters as a dictionary.
        axes: Permutation of 0, 1, 2.

    Raises:
        ValueError: `axes` is no permutation of 0, 1, 2.
    """
    if sorted(axes) != [0, 1, 2]:
        raise ValueError(f"expected a permutation of the axes 0, 1, 2, got {tuple(axes)}")
    return {name: _permute(value, axes) for name, value in recipe.items()}


def plain(value: object) -> Any:  # noqa: ANN401
    """Arrays, tuples and NumPy numbers as the lists and numbers that JSON holds."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def triple(values: Sequence[float] | NDArray[Any]) -> Triple:
    """Three plain numbers."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def log_uniform(low: float, high: float, generator: Generator) -> float:
    """Random number whose logarithm is uniform."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def draw_stretch(largest: float, generator: Generator) -> NDArray[np.float64]:
    """Random stretch along x, y, z of unit product, shape (3,) [-].

    A quarter is isotropic, half is stretched or compressed along one axis, a quarter along two independently.

    Args:
        largest: Upper limit of the ratio of the longest to the shortest axis.
        generator: Source of random numbers.
    """
    kind, order = generator.random(), generator.permutation(3)
    logarithms = np.zeros(3)
    if 0.25 <= kind < 0.75:
        logarithms[order[0]] = generator.uniform(-1.0, 1.0) * np.log(largest)
    elif kind >= 0.75:
        logarithms[order[:2]] = generator.uniform(0.0, 1.0, 2) * np.log(largest)
    return np.exp(logarithms - logarithms.mean())


def _permute(value: Any, axes: Sequence[int]) -> Any:  # noqa: ANN401
    if not isinstance(value, list | tuple) or len(value) != 3 or isinstance(value[0], str):
        return value
    items = [value[axis] for axis in axes]
    return [_permute(item, axes) for item in items] if isinstance(items[0], list | tuple) else items


def _as_tuple(value: Any) -> Any:  # noqa: ANN401
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
