"""Two-phase voxel volumes: checks, volume fraction, hash, bit packing.

Array axes are x, y, z; a voxel is 1 where the material is stiff and 0 where it is soft; volumes are periodic.
Dimension letters: N volumes, X Y Z voxels.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError

__all__ = [
    "as_two_phase",
    "pack_bits",
    "unpack_bits",
    "volume_fraction",
    "volume_hash",
]

_LISTED = 2**16
"""Number of unexpected voxels that are examined for an error message."""


def as_two_phase(array: ArrayLike) -> NDArray[np.uint8]:
    """Check that an array is a two-phase volume and return it as 0 and 1.

    Args:
        array: Phase per voxel, exactly 0 (soft) or 1 (stiff), boolean, integer or real, shape (X, Y, Z). A
            volume of a single phase is accepted.

    Returns:
        The same phases as uint8 in C order, shape (X, Y, Z).

    Raises:
        InputError: The array is not three-dimensional, is empty, or holds anything but 0 and 1.
    """
    volume = np.asarray(array)
    if volume.ndim != 3:
        raise InputError(f"expected a volume of shape (X, Y, Z), got an array of shape {volume.shape}")
    _check_phases(volume)
    return np.ascontiguousarray(volume, dtype=np.uint8)


def volume_hash(volume: NDArray[np.uint8]) -> str:
    """SHA-256 of the shape and the phases, 0 and 1, of a volume, in hexadecimal."""
    digest = hashlib.sha256(str(volume.shape).encode())
    digest.update(np.packbits(volume).tobytes())
    return digest.hexdigest()


def volume_fraction(volume: ArrayLike) -> float:
    """Share of stiff voxels [-] of a volume of 0 and 1, shape (X, Y, Z)."""
    return float(np.asarray(volume).mean(dtype=np.float64))


def pack_bits(volumes: ArrayLike) -> NDArray[np.uint8]:
    """Pack volumes of 0 and 1, shape (N, X, Y, Z), eight voxels to a byte, shape (N, ceil(X Y Z / 8)).

    Voxels are taken in C order; the first of eight is the highest bit, as in `numpy.packbits`.
    """
    stack = np.asarray(volumes)
    if stack.ndim != 4:
        raise InputError(f"expected volumes of shape (N, X, Y, Z), got an array of shape {stack.shape}")
    return np.packbits(stack.reshape(len(stack), -1).astype(bool), axis=1)


def unpack_bits(packed: ArrayLike, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Undo `pack_bits`.

    Args:
        packed: Bytes of N volumes, shape (N, ceil(X Y Z / 8)).
        shape: Voxels of one volume, (X, Y, Z).

    Returns:
        Volumes of 0 and 1, shape (N, X, Y, Z).

    Raises:
        InputError: The bytes do not fit the shape.
    """
    rows = np.asarray(packed, dtype=np.uint8)
    voxels = int(np.prod(shape))
    if rows.ndim != 2 or rows.shape[1] != -(-voxels // 8):
        expected = f"(N, {-(-voxels // 8)})"
        raise InputError(f"expected packed volumes of shape {expected}, got an array of shape {rows.shape}")
    return np.unpackbits(rows, axis=1, count=voxels).reshape(len(rows), *shape)


def _check_phases(volume: NDArray[Any]) -> None:
    if volume.size == 0:
        raise InputError(f"expected at least one voxel, got an array of shape {volume.shape}")
    if volume.dtype == np.bool_:
        return
    if volume.dtype.kind not in "iuf":
        raise InputError(f"expected phases of bool, integer or float type, got {volume.dtype}")
    if volume.dtype.kind == "f" and not np.isfinite(volume).all():
        raise InputError("expected phases 0 and 1, got values that are not finite (NaN or infinity)")
    if not (valid := (volume == 0) | (volume == 1)).all():
        wrong = np.unique(volume[~valid][:_LISTED])
        values_text = ", ".join(str(value).removesuffix(".0") for value in wrong[:4]) + (
            ", ..." if len(wrong) > 4 else ""
        )
        raise InputError(f"expected phases 0 and 1 only, got other values as well: {values_text}")
