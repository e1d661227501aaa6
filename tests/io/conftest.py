"""Volumes, a data set and designs in files."""

from pathlib import Path

import numpy as np
import pytest
from stored import COUNT, SIZE, plan

from vaereg.io.datasets import (
    LabelledBatch,
    write_dataset,
)
from vaereg.io.designs import write_designs
from vaereg.microstructure.volume import pack_bits


@pytest.fixture
def volumes(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (COUNT, SIZE, SIZE, SIZE), dtype=np.uint8)


@pytest.fixture
def samples(volumes: np.ndarray, rng: np.random.Generator) -> LabelledBatch:
    return LabelledBatch(
        microstructures=pack_bits(volumes),
        stiffness=rng.random((COUNT, 6, 6), dtype=np.float32),
        volume_fraction=volumes.mean(axis=(1, 2, 3)),
        family=np.array(["gaussian-free"] * 9 + ["gaussian-rod-x"] * 3),
        seed=rng.integers(0, 2**63, COUNT),
    )


@pytest.fixture
def data(tmp_path: Path, samples: LabelledBatch) -> Path:
    path = tmp_path / "data.h5"
    write_dataset(path, plan(), samples)
    return path


@pytest.fixture
def designs(tmp_path: Path, volumes: np.ndarray, rng: np.random.Generator) -> Path:
    path = tmp_path / "designs.h5"
    write_designs(
        path,
        microstructures=volumes,
        component=np.arange(COUNT) % 4,
        latent=rng.random((COUNT, 7)),
        predicted=rng.random((COUNT, 6)),
        target={"C11": 60.0, "C22": (30.0, 40.0)},
        seed=5,
        made_by="abc",
    )
    return path
