"""What the modes are trained on: statistics, geometry and properties of the volumes of a labelled data set.

Letters: N volumes, S statistics, G numbers of the geometry, T properties.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS, diagonal_properties
from vaereg.generators.morphologies import component_of
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.constructive.decoder import WARP_LENGTH
from vaereg.model.modes.constructive.geometry import LENGTHS
from vaereg.model.modes.encoder import geometric_statistics, permute_statistics

__all__ = [
    "ORDERS",
    "ModeData",
    "direction_weights",
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
    """Index of each volume in the data set, shape (N,)."""
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
    """C11 ... C66 with the reference pair, shape (N, T) [GPa]."""
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
    modes, geometry, supervised, statistics = [], [], [], []
    for row in rows.tolist():
        name, recipe = str(samples.morphology[row]), json.loads(str(samples.recipe[row]))
        mode = component_of(name, recipe)
        lengths, supervision = geometry_of_recipe(name, mode, recipe)
        modes.append(MODE_NAMES.index(mode))
        geometry.append(np.log(lengths))
        supervised.append(supervision)
        volume = torch.from_numpy(samples.volume(row).astype(np.float32))[None, None]
        statistics.append(geometric_statistics(volume))
    return ModeData(
        rows=rows,
        size=samples.size[rows],
        mode=torch.tensor(modes),
        statistics=torch.cat(statistics),
        geometry=torch.tensor(np.array(geometry), dtype=torch.float32),
        supervised=torch.tensor(np.array(supervised), dtype=torch.float32),
        properties=torch.from_numpy(diagonal_properties(samples.stiffness[rows, 0])).float(),
        fraction=torch.from_numpy(samples.volume_fraction[rows]).float(),
    )


def geometry_of_recipe(
    name: str, mode: str, recipe: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of `LENGTHS` that a recipe tells, and which of them it tells (0 or 1), shape (G,) each.

    Args:
        name: Class of the volume.
        mode: Name of its mode.
        recipe: Recipe of the volume, lengths in voxels.
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
        put(0, *np.where(normal, recipe["period"], _NO_LAYERS))
        put(3, max(0.5 * recipe["thickness_spread"] * min(recipe["thickness"] / recipe["period"], 0.5), 0.01))
        put(8, max(_warp_of_waves(normal, recipe["waviness"], recipe["wave_std"]), _LEAST_WARP))
    elif mode == "layers":  # lamellae lie normal to the axis along which gradients cost least
        stretch = np.asarray(recipe["stretch"])
        put(0, *np.where(np.arange(3) == stretch.argmin(), recipe["wavelength"], _NO_LAYERS))
    return numbers, supervision


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
