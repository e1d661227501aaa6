"""Decoded volumes of the shipped modes are recognised; a split without volumes of built modes is refused."""

import pytest
import torch
from modes_fixture import unsolved_set

from vaereg.evaluation.modes.samples import decoded_recognition
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.modes.network import ModeNetworks


def test_the_gate_tells_trained_networks_from_untrained_ones() -> None:
    """Chance of eight right of ten by guessing among eleven modes is below 1e-6."""
    checkpoint = load_checkpoint()
    assert checkpoint.modes is not None
    data = unsolved_set(["closed-foam", "grains", "laminate", "open-foam", "pores"], "validation")
    model, networks = checkpoint.model, checkpoint.modes.networks
    assert decoded_recognition(model, networks, data) >= 0.8
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = ModeNetworks(networks.latent).eval()
    assert decoded_recognition(model, untrained, data) < decoded_recognition(model, networks, data)


def test_a_split_without_built_modes_is_refused() -> None:
    checkpoint = load_checkpoint()
    assert checkpoint.modes is not None
    with pytest.raises(ValueError, match="expected volumes of built modes of 32³ voxels"):
        decoded_recognition(checkpoint.model, checkpoint.modes.networks, unsolved_set(["tpms"], "validation"))
