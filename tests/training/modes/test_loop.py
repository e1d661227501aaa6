"""A tiny training run of the modes: losses fall, an interrupted run goes on, designs come out of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from modes_fixture import unsolved_set

from vaereg.errors import InputError
from vaereg.evaluation.modes.samples import mode_samples
from vaereg.inverse.reach import mode_reach
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.config import MODES_PRESETS
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.recognition import load_classifier
from vaereg.training.modes.fitting import fit_modes
from vaereg.training.modes.loop import GateError, train_modes

TINY = MODES_PRESETS["modes-tiny"]
CLASSES = [name for name, mode in CLASS_MODES.items() if mode in BUILT] + ["tpms"]


@pytest.fixture(scope="module")
def dataset() -> LabelledSet:
    """Two volumes of each built class and of surfaces, with stiffness that rises with the fraction."""
    return unsolved_set(CLASSES)


def test_an_interrupted_run_ends_as_one_that_was_not(dataset: LabelledSet, tmp_path: Path) -> None:
    whole = train_modes(dataset, tmp_path / "whole", TINY)
    with pytest.raises(InputError, match="resume it or choose"):
        train_modes(dataset, tmp_path / "whole", TINY)

    def stop(step: int, steps: int, terms: dict[str, float]) -> None:
        raise KeyboardInterrupt

    resumed = tmp_path / "resumed"
    settings = dataclasses.replace(TINY, checkpoint_minutes=0.0)
    with pytest.raises(KeyboardInterrupt):  # among the steps of all networks
        train_modes(dataset, resumed, settings, on_progress=stop)
    with pytest.raises(KeyboardInterrupt):  # among those of the encoder alone
        train_modes(dataset, resumed, settings, resume=True, on_progress=stop)
    half = train_modes(dataset, resumed, settings, resume=True)
    assert half.steps == whole.steps == TINY.steps + TINY.encoder_steps
    for name, value in whole.networks.state_dict().items():
        torch.testing.assert_close(half.networks.state_dict()[name], value)


def test_a_run_ends_at_the_gate_where_too_few_volumes_are_recognised(
    dataset: LabelledSet, tmp_path: Path
) -> None:
    settings = dataclasses.replace(TINY, steps=4, encoder_steps=0, gate=0.7, gate_minutes=0.0)
    asked: list[bool] = []

    def recognise(networks: ModeNetworks) -> float:
        asked.append(networks.training)
        return 0.4

    with pytest.raises(GateError, match="40% of the decoded volumes are recognised, expected at least 70%"):
        train_modes(dataset, tmp_path, settings, recognise=recognise)
    result = train_modes(dataset, tmp_path, settings, recognise=recognise, resume=True)
    assert asked == [False] and result.steps == 4 and result.recognised == 0.4


def test_a_short_run_meets_the_gate_at_its_end(dataset: LabelledSet, tmp_path: Path) -> None:
    settings = dataclasses.replace(TINY, steps=2, gate=0.7)
    result = train_modes(dataset, tmp_path, settings, recognise=lambda networks: 0.9)
    assert result.recognised == 0.9
    assert train_modes(dataset, tmp_path / "tiny", dataclasses.replace(TINY, steps=2)).recognised is None


def test_a_tiny_run_names_at_least_three_of_its_classes(dataset: LabelledSet, tmp_path: Path) -> None:
    """By the classifier, of what it decodes from the encodings of its volumes."""
    networks = train_modes(dataset, tmp_path, TINY).networks
    checkpoint = load_checkpoint()
    samples = mode_samples(checkpoint.model, networks, dataset, np.arange(len(dataset)), 2)
    classifier = load_classifier()
    taken = classifier.mode_proba(classifier.predict_proba(list(samples.decoded))).argmax(1)
    right = samples.mode[taken == samples.mode]
    assert len(np.unique(right[np.isin(right, BUILT)])) >= 3


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
