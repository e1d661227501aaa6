"""TIFF stacks as ImageJ has them: page z, row y, column x, with the edge of a voxel."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaereg import __version__

__all__ = ["write_tif"]


def write_tif(path: Path, volume: NDArray[np.uint8], *, voxel_size: float = 1.0, comments: str = "") -> None:
    """Write a two-phase volume as a stack of 0 and 255.

    Args:
        path: File to create or replace.
        volume: Phases 0 and 1, shape (X, Y, Z).
        voxel_size: Edge of a voxel, in any unit of length.
        comments: Text that goes into the file as what ImageJ calls Info.
    """
    import tifffile

    pages = np.ascontiguousarray(255 * volume.transpose(2, 1, 0))
    with path.open("wb") as file:
        tifffile.imwrite(
            file,
            pages,
            imagej=True,
            photometric="minisblack",
            software=f"vaereg {__version__}",
            resolution=(1.0 / voxel_size, 1.0 / voxel_size),
            metadata={"axes": "ZYX", "spacing": voxel_size, "Info": comments},
        )
