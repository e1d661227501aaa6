"""What the modes are trained on: statistics, geometry and properties of the volumes of a labelled data set.

Letters: N volumes, S statistics, G numbers of the geometry, T properties.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES, diagonal_properties
from vaereg.generators.morphologies import MORPHOLOGIES, component_of, draw, make
from vaereg.io.labelled_sets import LabelledSet
from vaereg.microstructure.volume import volume_fraction
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.constructive.decoder import BUILT, WARP_LENGTH
from vaereg.model.modes.constructive.geometry import LENGTHS
from vaereg.model.modes.encoder import geometric_statistics, permute_statistics

__all__ = [
    "ORDERS",
    "ModeData",
    "direction_weights",
    "draw_mode_data",
    "geometry_of_recipe",
    "permuted_lengths",
    "read_mode_data",
]

ORDERS = tuple(permutations(range(3)))
"""Permutations of the axes, in the order of `vaereg.elasticity.AXIS_ORDERS`."""
_NO_LAYERS = 150.0
"""Spacing along the axes in which layers extend [voxel]."""
_LEAST_SPREAD, _LEAST_WARP = 0.01, 0.05
"""Spread and warp of a geometry that has none: logarithms need a positive number."""
_NORMALS = np.random.default_rng(0).standard_normal((4000, 3))
"""Normal deviates that integrate over directions, shape (4000, 3)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeData:
    """Labelled volumes as the modes read them."""

    rows: NDArray[np.intp]
    """Index of each volume in the data set, shape (N,); -1 of volumes that were drawn."""
    size: NDArray[np.int64]
    """Voxels per edge, shape (N,)."""
    mode: Tensor
    """Index of the mode, shape (N,)."""
    statistics: Tensor
    """Geometric statistics, shape (N, S)."""
    geometry: Tensor
    """Logarithms of `LENGTHS`, shape (N, G)."""
    supervised: Tensor
    """Whether the recipe tells each number, shape (N, G), 0 or 1."""
    properties: Tensor
    """C11 ... C66 with the reference pair, shape (N, T) [GPa]; not a number where they have no label."""
    fraction: Tensor
    """Volume fraction of the stiff phase, shape (N,) [-]."""

    def permuted(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Statistics, geometry, supervision and properties of volumes whose axes are permuted.

        Args:
            rows: Volumes, shape (B,).
            order: Index into `ORDERS` of each, shape (B,).
        """
        columns = [self.statistics[rows], self.geometry[rows], self.supervised[rows], self.properties[rows]]
        changed = [column.clone() for column in columns]
        for index, axes in enumerate(ORDERS):
            in_order = order == index
            if not in_order.any():
                continue
            changed[0][in_order] = permute_statistics(columns[0][in_order], axes)
            lengths = permuted_lengths(axes)
            changed[1][in_order] = columns[1][in_order][:, lengths]
            changed[2][in_order] = columns[2][in_order][:, lengths]
            changed[3][in_order] = columns[3][in_order][:, list(AXIS_ORDERS[index])]
        statistics, geometry, supervised, properties = changed
        return statistics, geometry, supervised, properties


def permuted_lengths(axes: Sequence[int]) -> list[int]:
    """Indices into `LENGTHS` of the numbers of a geometry whose axes are permuted."""
    return [*axes, 3, 4, *(5 + axis for axis in axes), 8]


def read_mode_data(dataset: LabelledSet, rows: NDArray[np.intp]) -> ModeData:
    """Statistics, geometry and properties of some volumes of a labelled data set.

    Args:
        dataset: Volumes whose first pair is the reference pair.
        rows: Indices of the volumes; those without a label are left out.
    """
    samples = dataset.samples
    stiffness = samples.stiffness[rows, 0].astype(np.float64)
    rows = rows[np.isfinite(stiffness).all((1, 2))]
    columns = _Columns()
    for row in rows.tolist():
        name, recipe = str(samples.morphology[row]), json.loads(str(samples.recipe[row]))
        columns.add(name, component_of(name, recipe), recipe, samples.volume(row))
    return columns.collected(rows, torch.from_numpy(diagonal_properties(samples.stiffness[rows, 0])))


def draw_mode_data(
    count: int, edge: int, *, seed: int, on_progress: Callable[[int, int], None] | None = None
) -> ModeData:
    """Statistics and geometry of volumes of the built modes, fresh from the generators and without labels.

    Args:
        count: Volumes of each class; those of a class that are of no built mode are left out.
        edge: Voxels per edge.
        seed: Seed of parameters and volumes.
        on_progress: Called with the volumes that are drawn, and with their number.
    """
    columns, total = _Columns(), count * len(MORPHOLOGIES)
    for place in range(total):
        name = tuple(MORPHOLOGIES)[place % len(MORPHOLOGIES)]
        generator = np.random.default_rng([seed, place])
        parameters = draw(name, generator=generator)
        mode = component_of(name, dataclasses.asdict(parameters))
        if MODE_NAMES.index(mode) in BUILT:
            made = make(name, parameters, edge, generator=generator)
            columns.add(name, mode, made.recipe, made.volume)
        if on_progress:
            on_progress(place + 1, total)
    drawn = len(columns.mode)
    return columns.collected(np.full(drawn, -1), torch.full((drawn, len(PROPERTIES)), torch.nan))


class _Columns:
    """Columns of `ModeData`, a volume at a time."""

    def __init__(self) -> None:
        self.mode: list[int] = []
        self.size: list[int] = []
        self.fraction: list[float] = []
        self.geometry: list[NDArray[np.float64]] = []
        self.supervised: list[NDArray[np.float64]] = []
        self.statistics: list[Tensor] = []

    def add(self, name: str, mode: str, recipe: Mapping[str, Any], volume: NDArray[np.uint8]) -> None:
        """Append a volume of a class and a mode."""
        lengths, supervision = geometry_of_recipe(name, mode, recipe, volume)
        self.mode.append(MODE_NAMES.index(mode))
        self.size.append(len(volume))
        self.fraction.append(volume_fraction(volume))
        self.geometry.append(np.log(lengths))
        self.supervised.append(supervision)
        self.statistics.append(geometric_statistics(torch.from_numpy(volume.astype(np.float32))[None, None]))

    def collected(self, rows: NDArray[np.intp], properties: Tensor) -> ModeData:
        """All volumes, of rows of a data set, shape (N,), and of properties, shape (N, T) [GPa]."""
        statistics = torch.cat(self.statistics)
        return ModeData(
            rows=rows,
            size=np.array(self.size, dtype=np.int64),
            mode=torch.tensor(self.mode),
            statistics=statistics,
            geometry=torch.tensor(np.array(self.geometry), dtype=torch.float32),
            supervised=torch.tensor(np.array(self.supervised), dtype=torch.float32),
            properties=properties.float(),
            fraction=torch.tensor(self.fraction),
        )


def geometry_of_recipe(
    name: str, mode: str, recipe: Mapping[str, Any], volume: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of `LENGTHS` that a recipe tells, and which of them it tells (0 or 1), shape (G,) each.

    Args:
        name: Class of the volume.
        mode: Name of its mode.
        recipe: Recipe of the volume, lengths in voxels.
        volume: The volume, shape (n, n, n), whose layers are counted: some merge, and lamellae of spinodal
            decomposition coarsen.
    """
    numbers, supervision = np.ones(len(LENGTHS)), np.zeros(len(LENGTHS))

    def put(first: int, *values: float) -> None:
        numbers[first : first + len(values)] = values
        supervision[first : first + len(values)] = 1.0

    if mode in ("particles", "pores", "closed-foam", "grains", "open-foam"):
        put(0, *recipe["spacing"])
        spread = (
            recipe["radius_spread"] * recipe["radius"][0] / recipe["spacing"][0] if "radius" in recipe else 0
        )
        put(3, max(spread, _LEAST_SPREAD))
        put(8, _LEAST_WARP)
    elif mode in ("fibres", "channels", "platelets"):
        put(0, *recipe["spacing"])
        put(4, recipe["radius"] if mode == "platelets" else recipe["half_length"])
        put(5, *direction_weights(np.diag(recipe["orientation"])))
        put(8, _LEAST_WARP)
    elif name == "laminate":
        normal = np.asarray(recipe["normal"], dtype=bool)
        put(0, *_spacing_of_layers(volume, int(normal.argmax())))
        put(3, max(0.5 * recipe["thickness_spread"] * min(recipe["thickness"] / recipe["period"], 0.5), 0.01))
        put(8, max(_warp_of_waves(normal, recipe["waviness"], recipe["wave_std"]), _LEAST_WARP))
    elif mode == "layers":  # lamellae lie normal to the axis along which gradients cost least
        stretch = np.asarray(recipe["stretch"])
        put(0, *_spacing_of_layers(volume, int(stretch.argmin())))
    return numbers, supervision


def _spacing_of_layers(volume: NDArray[np.uint8], axis: int) -> NDArray[np.float64]:
    """Spacing along the axes, shape (3,) [voxel], of layers normal to one of them; a whole number of them."""
    layers = 0.5 * np.count_nonzero(volume != np.roll(volume, 1, axis)) / len(volume) ** 2
    spacing = np.full(3, _NO_LAYERS)
    spacing[axis] = len(volume) / max(round(layers), 1)
    return spacing


def _warp_of_waves(normal: NDArray[np.bool_], waviness: float, stds: Sequence[float]) -> float:
    """Warp, filtered by `WARP_LENGTH`, that makes layers as steep as waves of filters along x, y, z do.

    The mean square slope of filtered noise along an axis is that of its height over twice the square of the
    filter's standard deviation there.
    """
    within = np.asarray(stds)[~normal]
    return waviness * WARP_LENGTH * float(np.sqrt(np.mean(within**-2.0)))


def direction_weights(squares: NDArray[np.float64], iterations: int = 40) -> NDArray[np.float64]:
    """Weights of directions whose mean squares along the axes are given, shape (3,), the largest 1 [-].

    The fixed point of w ← w √(m / m(w)), where m(w) are the mean squares of the angular central Gaussian
    distribution (Tyler 1987, doi:10.1093/biomet/74.3.579).

    Args:
        squares: Diagonal of the orientation tensor, shape (3,), summing to one [-].
        iterations: Number of steps.
    """
    targets = np.maximum(squares, 2e-4)
    weights = np.sqrt(targets)
    for _ in range(iterations):
        vectors = weights * _NORMALS
        mean = np.square(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
        weights = weights * np.sqrt(targets / mean)
        weights = np.clip(weights / weights.max(), 0.02, 1.0)
    return weights
