"""Recipes: what latent vectors stand for, and orientation tensors against random directions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.inverse.direct import design
from vaereg.inverse.recipes import orientation_of_weights, recipes
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES


def test_orientation_tensors(rng: np.random.Generator) -> None:
    np.testing.assert_allclose(orientation_of_weights(np.full(3, 0.4)), np.eye(3) / 3.0, atol=1e-12)
    weights = np.array([1.0, 0.3, 0.1])
    directions = weights * rng.standard_normal((200_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    tensor = orientation_of_weights(weights)
    assert np.trace(tensor) == pytest.approx(1.0)
    np.testing.assert_allclose(np.diag(tensor), np.square(directions).mean(0), atol=3e-3)


def test_recipes_of_every_kind(modes_checkpoint_path: Path, tiny_checkpoint: Checkpoint) -> None:
    """Lengths follow the size of the cell where they are relative to it."""
    checkpoint = load_checkpoint(modes_checkpoint_path)
    made = design(checkpoint, {"C11": (1.0, 200.0)}, 1, 16)
    names = ("fibres", "platelets", "layers", "closed-foam", "periodic", "irregular")
    component = np.array([MODE_NAMES.index(name) for name in names])
    latent = np.zeros((len(names), made.latent.shape[1]), dtype=np.float32)
    latent[4, 3:6] = 2.0
    columns = {"component": component, "latent": latent}
    columns |= {
        name: np.repeat(getattr(made, name), len(names))
        for name in ("fraction", "cut_fraction", "realisation")
    }
    many = replace(made, **columns)
    told = dict(zip(names, recipes(checkpoint, many), strict=True))
    assert [recipe["class"] for recipe in told.values()] == list(names)
    assert told["fibres"]["half_length"] > 0.0 and "radius" in told["platelets"]
    assert np.trace(told["fibres"]["orientation_tensor"]) == pytest.approx(1.0)
    assert len(told["layers"]["period"]) == len(told["closed-foam"]["cell_spacing"]) == 3
    assert told["periodic"]["period"] == [16.0] * 3 and "variant" in told["periodic"]
    assert set(told["irregular"]) == {"class", "volume_fraction", "cut_fraction", "realisation"}
    twice = dict(zip(names, recipes(checkpoint, replace(many, stretch=2.0)), strict=True))
    assert twice["fibres"]["half_length"] == pytest.approx(2.0 * told["fibres"]["half_length"])
    assert twice["periodic"]["period"] == [32.0] * 3
    with pytest.raises(InputError, match="expected designs of the checkpoint"):
        recipes(tiny_checkpoint, many)
    plain = design(tiny_checkpoint, {"C11": 45.0}, 1, 16)
    assert recipes(tiny_checkpoint, plain)[0]["class"] is None
