"""Volumes that the tests of commands share."""

from pathlib import Path

import numpy as np
import pytest

from vaereg.io.datasets import Dataset


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (4, 4, 4), dtype=np.uint8)


@pytest.fixture
def cells(tmp_path: Path, tiny_dataset: Dataset) -> Path:
    """Three volumes of 16 voxels per edge."""
    path = tmp_path / "cells.npy"
    np.save(path, tiny_dataset.volumes(slice(0, 3)))
    return path


@pytest.fixture
def volumes(tmp_path: Path, volume: np.ndarray) -> Path:
    path = tmp_path / "volumes.npy"
    np.save(path, np.stack([volume, 1 - volume, np.ones_like(volume)]))
    return path
