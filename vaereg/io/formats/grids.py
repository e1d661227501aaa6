"""Axes of a grid whose directions a file gives as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["oriented_axes"]

_ALIGNED = 1e-4
"""Largest part of a direction across its axis, as a file rounds it [-]."""


def oriented_axes(direction: Sequence[float] | None) -> tuple[str, str, str]:
    """Letters of the axes of a grid, those that run backwards, and what is wrong.

    Args:
        direction: Unit vectors of the axes as columns of a matrix (3, 3), by rows; None for x, y, z.

    Returns:
        An order of x, y, z; letters of the axes that are stored backwards; an error, or an empty text. Only
        axes along x, y and z can be taken: voxels of a turned grid would have to be made anew.
    """
    if direction is None:
        return "xyz", "", ""
    matrix = np.array(direction, dtype=np.float64).reshape(3, 3)
    places = np.abs(matrix).argmax(axis=0)
    aligned = np.zeros((3, 3))
    aligned[places, range(3)] = np.sign(matrix[places, range(3)])
    if sorted(places.tolist()) != [0, 1, 2] or np.abs(matrix - aligned).max() > _ALIGNED:
        listed = ", ".join(f"{value:g}" for value in matrix.ravel())
        return "xyz", "", f"expected a grid along x, y and z, got the direction matrix {listed}"
    axes = "".join("xyz"[place] for place in places)
    flipped = "".join(axis for axis, sign in zip(axes, aligned.sum(axis=0), strict=True) if sign < 0.0)
    return axes, flipped, ""
