"""Untrained modes with a small library, and labelled volumes that no solver has seen."""

import json

import numpy as np

from vaereg.generators.morphologies import sample
from vaereg.io.labelled_sets import LabelledSet, LabelledVolumes, MorphologyPlan
from vaereg.microstructure.volume import pack_bits
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


def unsolved_set(classes: list[str], split: str = "train") -> LabelledSet:
    """Two volumes of 32³ voxels of each class in a split, with stiffness that rises with the fraction."""
    made = [sample(name, 32, generator=np.random.default_rng(seed)) for name in classes for seed in range(2)]
    count = len(made)
    fraction = np.array([cell.volume.mean() for cell in made])
    stiffness = np.einsum("n,ij->nij", 10.0 + 50.0 * fraction, np.eye(6))[:, None]
    samples = LabelledVolumes(
        seed=np.arange(count),
        morphology=np.repeat(classes, 2),
        size=np.full(count, 32),
        relative=np.zeros(count, dtype=bool),
        recipe=np.array([json.dumps(cell.recipe) for cell in made]),
        volume_fraction=fraction,
        microstructures=pack_bits(np.stack([cell.volume for cell in made])).ravel(),
        phases=np.tile([120.0, 2.4, 0.3, 0.3, 1.0, 0.02], (count, 1, 1)),
        stiffness=stiffness.astype(np.float32),
        conductivity=np.ones((count, 1, 3, 3), dtype=np.float32),
    )
    plan = MorphologyPlan(
        count=count,
        seed=0,
        sizes={"32": 1.0},
        morphologies=dict.fromkeys(classes, 1.0 / len(classes)),
        pairs=1,
        physics="elastic",
        tolerance_rule="none",
        solver_dtype="float32",
        generator_version=1,
    )
    return LabelledSet(plan=plan, samples=samples, split=np.full(count, split))
