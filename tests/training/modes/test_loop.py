"""A tiny training run of the modes: losses fall, an interrupted run goes on, designs come out of it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.reach import mode_reach
from vaereg.io.labelled_sets import LabelledSet, LabelledVolumes, MorphologyPlan
from vaereg.microstructure.volume import pack_bits
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.config import MODES_PRESETS
from vaereg.model.modes.decoder import BUILT
from vaereg.training.modes.fitting import fit_modes
from vaereg.training.modes.loop import train_modes

TINY = MODES_PRESETS["modes-tiny"]
CLASSES = [name for name, mode in CLASS_MODES.items() if mode in BUILT] + ["tpms"]


@pytest.fixture(scope="module")
def dataset() -> LabelledSet:
    """Two volumes of each built class and of surfaces, with stiffness that rises with the fraction."""
    made = [sample(name, 32, generator=np.random.default_rng(seed)) for name in CLASSES for seed in range(2)]
    count = len(made)
    fraction = np.array([cell.volume.mean() for cell in made])
    stiffness = np.einsum("n,ij->nij", 10.0 + 50.0 * fraction, np.eye(6))[:, None]
    samples = LabelledVolumes(
        seed=np.arange(count),
        morphology=np.repeat(CLASSES, 2),
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
        morphologies=dict.fromkeys(CLASSES, 1.0 / len(CLASSES)),
        pairs=1,
        physics="elastic",
        tolerance_rule="none",
        solver_dtype="float32",
        generator_version=1,
    )
    return LabelledSet(plan=plan, samples=samples, split=np.full(count, "train"))


def test_an_interrupted_run_ends_as_one_that_was_not(dataset: LabelledSet, tmp_path: Path) -> None:
    whole = train_modes(dataset, tmp_path / "whole", TINY)
    with pytest.raises(InputError, match="resume it or choose"):
        train_modes(dataset, tmp_path / "whole", TINY)

    def stop(step: int, steps: int, terms: dict[str, float]) -> None:
        raise KeyboardInterrupt

    resumed = tmp_path / "resumed"
    settings = dataclasses.replace(TINY, checkpoint_minutes=0.0)
    with pytest.raises(KeyboardInterrupt):
        train_modes(dataset, resumed, settings, on_progress=stop)
    half = train_modes(dataset, resumed, settings, resume=True)
    assert half.steps == whole.steps == TINY.steps
    for name, value in whole.networks.state_dict().items():
        torch.testing.assert_close(half.networks.state_dict()[name], value)


def test_another_configuration_is_not_resumed(dataset: LabelledSet, tmp_path: Path) -> None:
    train_modes(dataset, tmp_path, dataclasses.replace(TINY, steps=2))
    with pytest.raises(InputError, match="another configuration"):
        train_modes(dataset, tmp_path, TINY, resume=True)


def test_every_built_mode_needs_a_volume(dataset: LabelledSet, tmp_path: Path) -> None:
    some = dataclasses.replace(dataset, split=np.where(np.arange(len(dataset)) < 8, "train", "test"))
    with pytest.raises(InputError, match="every built mode"):
        train_modes(some, tmp_path, TINY)


def test_the_library_holds_every_training_volume(dataset: LabelledSet, tmp_path: Path) -> None:
    modes = fit_modes(
        train_modes(dataset, tmp_path, dataclasses.replace(TINY, steps=2)).networks, dataset, TINY
    )
    assert len(modes.library) == len(dataset)
    assert mode_reach(modes, {"C11": 30.0}).weights.sum() == pytest.approx(1.0)
