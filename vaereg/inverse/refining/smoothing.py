"""Compiled means over the neighbours of each voxel of a periodic cell."""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["smoothed"]

_REACH = 3.0
"""Reach of the filter [standard deviations]."""


def smoothed(values: NDArray, deviation: float) -> NDArray[np.float32]:
    """Gaussian filter of a periodic cell, cut off at `_REACH` standard deviations, shape (X, Y, Z).

    Args:
        values: Shape (X, Y, Z).
        deviation: Standard deviation of the filter [voxel].
    """
    radius = int(_REACH * deviation + 0.5)
    weights = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / deviation))
    weights = (weights / weights.sum()).astype(np.float32)
    field = np.ascontiguousarray(values, dtype=np.float32)
    for axis, length in enumerate(field.shape):
        after = int(np.prod(field.shape[axis + 1 :]))
        out = np.empty_like(field)
        shape = (-1, length, after)
        _filter_axis(field.reshape(shape), weights, out.reshape(shape))
        field = out
    return field


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _filter_axis(values, weights, out):  # noqa: ANN001, ANN202
    """Filter along the second of three axes, periodically."""
    before, length, after = values.shape
    radius = weights.size // 2
    row, total = np.empty(length + 2 * radius, values.dtype), np.empty(length, values.dtype)
    for b in range(before):
        if after == 1:
            for n in range(length + 2 * radius):
                row[n] = values[b, (n - radius) % length, 0]
            total[:] = 0
            for k in range(weights.size):
                weight = weights[k]
                for n in range(length):
                    total[n] += weight * row[n + k]
            for n in range(length):
                out[b, n, 0] = total[n]
        else:
            for n in range(length):
                target = out[b, n]
                target[:] = 0
                for k in range(weights.size):
                    weight, source = weights[k], values[b, (n + k - radius) % length]
                    for a in range(after):
                        target[a] += weight * source[a]
