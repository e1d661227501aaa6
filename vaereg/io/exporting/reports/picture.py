"""Pictures of two-phase volumes without a graphics card: the stiff phase in light and shadow, as PNG.

Rays run in parallel through the smoothed volume until they meet the stiff phase. x points to the right and to
the front, y to the right and to the back, z up.

Letters: R rays, X Y Z voxels.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from vaereg.microstructure.volume import as_two_phase

__all__ = ["Picture", "png_bytes", "render"]

_Points = NDArray[np.float64]

_EYE = np.array([0.72, -1.0, 0.62])
"""Direction from the middle of the cell to the eye."""
_LIGHT = np.array([0.25, -0.75, 1.0])
"""Direction from the cell to the light."""
_MARGIN = 0.02
"""Room around the cell, over the width of the picture [-]."""
_SMOOTHING = 0.6
"""Standard deviation of the filter of the phase, whose level 1/2 is the surface [voxel]."""
_SHADOW, _AHEAD = 2.5, 2.5
"""Standard deviation of the filter that says how much stiff phase is around a place, and how far from the
surface it is asked [voxel]."""
_STEP = 0.3
"""Step along a ray [voxel]."""
_LEVEL = 0.5
_HALVINGS = 4
"""Halvings of the last step of a ray."""
_SURFACE, _CUT = np.array([116.0, 148.0, 196.0]), np.array([231.0, 168.0, 88.0])
"""Colours of the surface of the stiff phase and of where the faces of the cell cut it, 0 to 255."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A rendered cell, and where its edges are in the picture."""

    pixels: NDArray[np.uint8]
    """Red, green, blue and opacity, the first row at the top, shape (height, width, 4)."""
    corners: NDArray[np.float64]
    """Places of the corners from the left and from the top [pixel], shape (2, 2, 2, 2): by the end along x, y
    and z, then across and down."""
    hidden: tuple[int, int, int]
    """Ends along x, y, z of the corner that the cell itself hides."""


def render(volume: ArrayLike, width: int = 480) -> Picture:
    """Picture of the stiff phase of a cell.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        width: Width of the picture [pixel].
    """
    phases = as_two_phase(volume)
    size = np.array(phases.shape, dtype=np.float64)
    forward = -_EYE / np.linalg.norm(_EYE)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    ends = np.stack(np.meshgrid(*([0.0, length] for length in size), indexing="ij"), axis=-1)
    across, above = (ends - size / 2.0) @ right, (ends - size / 2.0) @ up
    scale = width * (1.0 - 2.0 * _MARGIN) / np.ptp(across)
    height = round(scale * float(np.ptp(above)) + 2.0 * _MARGIN * width)
    corners = np.stack([width / 2.0 + scale * across, height / 2.0 - scale * above], axis=-1)
    columns, lines = (np.arange(width) + 0.5 - width / 2.0), (height / 2.0 - np.arange(height) - 0.5)
    start = (
        size / 2.0
        + (columns[None, :, None] * right + lines[:, None, None] * up) / scale
        - forward * float(np.linalg.norm(size))
    ).reshape(-1, 3)
    pixels = np.zeros((height * width, 4), dtype=np.uint8)
    with np.errstate(divide="ignore"):
        inverse = 1.0 / forward
    near, far = _crossed(start, inverse, size)
    rays = np.flatnonzero(near < far)
    colour, hit = _lit(phases, start[rays], near[rays], far[rays], forward, inverse, size)
    pixels[rays[hit], :3], pixels[rays[hit], 3] = colour[hit], 255
    hidden = tuple(int(component > 0.0) for component in forward)
    return Picture(
        pixels=pixels.reshape(height, width, 4), corners=corners, hidden=(hidden[0], hidden[1], hidden[2])
    )


def _crossed(start: _Points, inverse: _Points, size: _Points) -> tuple[_Points, _Points]:
    """Lengths along rays at which they enter and leave the cell, shape (R,) each [voxel]."""
    first, second = -start * inverse, (size - start) * inverse
    return np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)


def _lit(
    phases: NDArray[np.uint8],
    start: _Points,
    near: _Points,
    far: _Points,
    forward: _Points,
    inverse: _Points,
    size: _Points,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Colours of rays, shape (R, 3), and whether each of them meets the stiff phase, shape (R,)."""
    share = phases.astype(np.float32)
    field = np.asarray(gaussian_filter(share, _SMOOTHING, mode="wrap"), dtype=np.float32)
    crowd = np.asarray(gaussian_filter(share, _SHADOW, mode="wrap"), dtype=np.float32)

    def at(values: NDArray[np.float32], points: _Points) -> _Points:
        # a value is that of the middle of its voxel
        return np.asarray(map_coordinates(values, points.T - 0.5, order=1, mode="grid-wrap"), np.float64)

    length = near + 1e-3
    cut = at(field, start + length[:, None] * forward) > _LEVEL
    hit = cut.copy()
    open_rays = np.flatnonzero(~cut)
    while len(open_rays):
        length[open_rays] += _STEP
        open_rays = open_rays[length[open_rays] < far[open_rays]]
        solid = at(field, start[open_rays] + length[open_rays, None] * forward) > _LEVEL
        hit[open_rays[solid]] = True
        open_rays = open_rays[~solid]
    surface = np.flatnonzero(hit & ~cut)
    low, high = length[surface] - _STEP, length[surface].copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        solid = at(field, start[surface] + middle[:, None] * forward) > _LEVEL
        high, low = np.where(solid, middle, high), np.where(solid, low, middle)
    length[surface] = high
    points = start + length[:, None] * forward
    normal = np.zeros_like(start)
    entered = np.minimum(-start * inverse, (size - start) * inverse).argmax(axis=1)
    normal[np.arange(len(start)), entered] = -np.sign(forward)[entered]
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = 0.8
        normal[surface, axis] = at(field, points[surface] - shift) - at(field, points[surface] + shift)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    light = 0.58 + 0.42 * np.maximum(normal @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0)
    around = at(crowd, points[surface] + _AHEAD * normal[surface])
    depth = (length - near)[surface] / float(np.linalg.norm(size))
    light[surface] *= np.clip(1.12 - 0.85 * around, 0.35, 1.0) * (1.0 - 0.5 * np.clip(depth, 0.0, 1.0))
    colour = np.where(cut[:, None], _CUT, _SURFACE) * light[:, None]
    return np.clip(colour, 0.0, 255.0).astype(np.uint8), hit


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """An image as PNG (ISO/IEC 15948).

    Args:
        pixels: Red, green, blue and opacity, shape (height, width, 4).
    """
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 4 * width), dtype=np.uint8)  # each begins with its filter: none
    lines[:, 1:] = np.ascontiguousarray(pixels).reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
