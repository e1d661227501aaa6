"""Processes that share a training run of the modes: the losses of one process, and its files."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from modes_fixture import unsolved_set
from replica_processes import run_replicas

from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.config import MODES_PRESETS
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.training.modes import loop

SHARED = """
import json, sys
from pathlib import Path
import torch
from modes_fixture import unsolved_set
from replica_processes import fork_replicas
from vaereg.model.modes.config import ModesConfig
from vaereg.training.modes.loop import _Loop, train_modes
from vaereg.training.replicas import join_replicas

torch.set_num_threads(1)
fork_replicas()
folder = Path(sys.argv[1])
rows = []
step = _Loop._train_step
_Loop._train_step = lambda loop: rows.append(step(loop)) or rows[-1]
with join_replicas() as replicas:
    config = ModesConfig.from_json((folder / "settings.json").read_text())
    dataset = unsolved_set(sys.argv[2:])
    train_modes(dataset, folder / "run", config, replicas=replicas, recognise=lambda networks: 0.9)
    if replicas.is_first:
        (folder / "losses.json").write_text(json.dumps(rows))
"""


def test_two_processes_have_the_losses_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every term, an odd number of decodings, and the gate at the end."""
    config = dataclasses.replace(
        MODES_PRESETS["modes-tiny"], steps=3, decode_every=2, decoded=3, style_every=1, gate=0.5
    )
    classes = list({mode: name for name, mode in CLASS_MODES.items() if mode in BUILT}.values())
    (tmp_path / "settings.json").write_text(config.to_json())
    run_replicas(SHARED, tmp_path, *classes)
    together = json.loads((tmp_path / "losses.json").read_text())

    alone: list[dict[str, float]] = []
    step = loop._Loop._train_step
    monkeypatch.setattr(loop._Loop, "_train_step", lambda own: alone.append(step(own)) or alone[-1])
    result = loop.train_modes(
        unsolved_set(classes), tmp_path / "alone", config, recognise=lambda networks: 0.9
    )
    assert {name for terms in alone for name in terms} >= {"correlation", "path", "surface", "style"}
    for expected, got in zip(alone, together, strict=True):
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-5)
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    for name, value in result.networks.state_dict().items():
        torch.testing.assert_close(state["networks"][name], value, rtol=1e-4, atol=1e-5)
    assert (tmp_path / "run" / "config.json").exists()
