"""Untrained modes with a small library, for tests of what hangs on a library alone."""

import numpy as np

from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.materials import PairMap
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.release import Modes


def modes_of(rows: list[tuple[str, list[float], float]]) -> Modes:
    """Untrained modes with a library of volumes of given modes, properties and fractions."""
    diagonal = np.array([properties for _, properties, _ in rows], dtype=np.float64)
    stiffness = np.einsum("ni,ij->nij", diagonal, np.eye(6))
    stiffness[:, :3, :3] += 2.0 * (1.0 - np.eye(3))
    library = ModeLibrary(
        mode=np.array([MODE_NAMES.index(name) for name, _, _ in rows]),
        stiffness=stiffness,
        conductivity=np.tile(0.3 * np.eye(3), (len(rows), 1, 1)),
        fraction=np.array([fraction for _, _, fraction in rows]),
        latent=np.zeros((len(rows), 10), dtype=np.float32),
    )
    return Modes(
        networks=ModeNetworks(10),
        config=ModesConfig(latent=10),
        library=library,
        elastic_map=PairMap().double(),
        thermal_map=PairMap().double(),
    )
