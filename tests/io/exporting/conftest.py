"""A volume with unequal edges, and what is known of it."""

import numpy as np
import pytest
from stiffnesses import PAIR

from vaereg.io.exporting.export import Provenance
from vaereg.solver.homogenization import homogenize


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    """Unequal edges: an axis that is mistaken for another one shows."""
    return (rng.random((5, 4, 3)) < 0.4).astype(np.uint8)


@pytest.fixture
def provenance(volume: np.ndarray) -> Provenance:
    return Provenance(
        name="plates #3",
        target={"C11": 30.0, "volume_fraction": (0.3, 0.5)},
        seed=7,
        component=2,
        latent=np.arange(4, dtype=np.float32),
        made_by="0123456789abcdef",
        mean=np.arange(1.0, 7.0),
        std=0.1 * np.arange(1.0, 7.0),
        stiffness=homogenize(volume, PAIR).stiffness,
        solver_tolerance=1e-6,
        solver_dtype="float64",
        solves=4,
    )
