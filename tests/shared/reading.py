"""A volume as it must be read, whatever the file."""

from pathlib import Path

import numpy as np

from vaereg.io.importing import Choices, ImportedVolume, import_volume

VOLUME = np.random.default_rng(3).integers(0, 2, (6, 5, 4), dtype=np.uint8)
"""Voxels along x, y, z: no permutation or flip of it looks like another."""
PAGES = VOLUME.T
"""The same as a stack of pages: z, y, x."""
CASES = Path(__file__).parents[1] / "io" / "cases"
"""Files of other programs."""


def taken(path: Path, **choices: object) -> ImportedVolume:
    return import_volume(path, Choices(**choices))  # type: ignore[arg-type]


def assert_read(path: Path, volume: np.ndarray = VOLUME, **choices: object) -> ImportedVolume:
    imported = taken(path, **choices)
    np.testing.assert_array_equal(imported.volumes, volume[None] if volume.ndim == 3 else volume)
    return imported
