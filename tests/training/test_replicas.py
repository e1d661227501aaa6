"""Processes that share a training run: the losses of one process, resumed with another number of them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from replica_processes import run_replicas
from torch import nn

from vaereg.io.datasets import Dataset, write_dataset
from vaereg.model.config import PRESETS, RunConfig
from vaereg.training.loop import _Loop
from vaereg.training.replicas import Replicas, join_replicas

STEPS, SAVED = 16, 12

SHARED = """
import json, sys
from pathlib import Path
import torch
from replica_processes import fork_replicas
from vaereg.io.datasets import read_dataset
from vaereg.model.config import RunConfig
from vaereg.training.loop import _Loop
from vaereg.training.replicas import join_replicas

torch.set_num_threads(1)
fork_replicas()
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
with join_replicas() as replicas:
    config = RunConfig.from_json((folder / "settings.json").read_text())
    loop = _Loop(read_dataset(folder / "data.h5"), folder, config, torch.device("cpu"), None, replicas)
    losses = []
    for _ in range(steps):
        losses.append(loop._train_step())
        loop.step += 1
        if replicas.is_first and loop.step == int(sys.argv[3]):
            loop.save()
    assert replicas.agree(float(replicas.rank)) == 0.0
    if replicas.is_first:
        (folder / "losses.json").write_text(json.dumps(losses))
    replicas.wait()
"""


@pytest.fixture(scope="module")
def config() -> RunConfig:
    """The tiny preset, long enough for every term; an odd batch is not shared evenly."""
    tiny = PRESETS["tiny"]
    settings = dataclasses.replace(
        tiny.training, steps=STEPS, batch_size=7, decoded=3, style_volumes=3, forward_share=0.2, warmup=1
    )
    return dataclasses.replace(tiny, training=settings)


@pytest.fixture(scope="module")
def alone(small_dataset: Dataset, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Terms of every step by one process."""
    loop = _Loop(
        small_dataset, tmp_path_factory.mktemp("alone"), config, torch.device("cpu"), None, Replicas()
    )
    losses = []
    for _ in range(STEPS):
        losses.append(loop._train_step())
        loop.step += 1
    return losses


@pytest.fixture(scope="module")
def shared(small_dataset: Dataset, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of two processes, by the variables that torchrun sets."""
    folder = tmp_path_factory.mktemp("shared")
    write_dataset(folder / "data.h5", small_dataset.plan, small_dataset.samples)
    (folder / "settings.json").write_text(config.to_json())
    run_replicas(SHARED, folder, STEPS, SAVED)
    return folder


def test_two_processes_have_the_losses_of_one(alone: list[dict], shared: Path) -> None:
    together = json.loads((shared / "losses.json").read_text())
    assert {name for terms in together for name in terms} >= {"consistency", "inverse", "style", "morphology"}
    for step, (expected, got) in enumerate(zip(alone, together, strict=True)):
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-5), f"step {step}"


def test_one_process_goes_on_where_two_were(
    small_dataset: Dataset, config: RunConfig, shared: Path, alone: list[dict]
) -> None:
    loop = _Loop(small_dataset, shared, config, torch.device("cpu"), None)
    loop.restore()
    assert loop.step == SAVED
    for expected in alone[SAVED:]:
        assert loop._train_step() == pytest.approx(expected, rel=1e-5, abs=1e-5)
        loop.step += 1


def test_a_process_without_torchrun_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_replicas() as replicas:
        assert replicas == Replicas() and replicas.is_first
        network = nn.Linear(2, 2)
        forward = network.forward
        replicas.spread(network)
        assert network.forward == forward
        assert replicas.agree(3.5) == 3.5
        replicas.wait()
        network(torch.ones(1, 2)).sum().backward()
        before = network.weight.grad
        assert before is not None
        replicas.average_gradients(network.parameters())
        np.testing.assert_array_equal(network.weight.grad, before)
