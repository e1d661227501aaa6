"""A data set of two sizes for the tests of training."""

import numpy as np
import pytest

from vaereg.io.datasets import Dataset
from vaereg.io.labelled_sets import LabelledSet, LabelledVolumes, MorphologyPlan
from vaereg.microstructure.volume import pack_bits
from vaereg.training.labelling.morphologies import REFERENCE_PAIR


@pytest.fixture(scope="session")
def sized_set(tiny_dataset: Dataset) -> LabelledSet:
    """The tiny data set as Gaussian fields of format 2, and every second voxel of most of it as laminates.

    The last volume has no label for the reference pair; the labels of the small cells are rough.
    """
    volumes, samples = tiny_dataset.volumes(slice(None)), tiny_dataset.samples
    count, small = len(volumes), len(volumes) - 8
    rows = np.concatenate([np.arange(count), np.arange(small)])
    phases = np.tile([(1.0,) * 6, REFERENCE_PAIR], (len(rows), 1, 1))
    phases[-1, 1] = np.nan
    stiffness = np.full((len(rows), 2, 6, 6), np.nan, dtype=np.float32)
    stiffness[:, 1] = samples.stiffness[rows]
    packed = [pack_bits(volumes).ravel(), pack_bits(volumes[:small, ::2, ::2, ::2]).ravel()]
    plan = MorphologyPlan(
        count=len(rows),
        seed=1,
        sizes={"8": 0.4, "16": 0.6},
        morphologies={"gaussian": 0.6, "laminate": 0.4},
        pairs=2,
        physics="elastic",
        tolerance_rule="1e-4",
        solver_dtype="float32",
        generator_version=1,
    )
    labelled = LabelledVolumes(
        seed=samples.seed[rows],
        morphology=np.array(["gaussian"] * count + ["laminate"] * small),
        size=np.array([16] * count + [8] * small),
        relative=np.zeros(len(rows), dtype=bool),
        recipe=np.full(len(rows), "{}"),
        volume_fraction=samples.volume_fraction[rows],
        microstructures=np.concatenate(packed),
        phases=phases,
        stiffness=stiffness,
        conductivity=np.full((len(rows), 2, 3, 3), np.nan, dtype=np.float32),
    )
    return LabelledSet(plan=plan, samples=labelled, split=tiny_dataset.split[rows])
