"""Predictions of volumes that differ from known ones by few voxels."""

import numpy as np
import pytest

from vaereg.generators.morphologies import sample
from vaereg.inverse.refining.effects import interface_of
from vaereg.inverse.refining.predicting import Anchor, closeness, judge
from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import load_pair_model
from vaereg.solver.homogenization import homogenize
from vaereg.targets import parse

TARGETS = parse(["C11=1", "C22=1"])


@pytest.mark.parametrize(
    "pair", [TwoPhase(), TwoPhase.from_moduli(3.0, 70.0, 0.4, 0.2)], ids=["reference", "swapped"]
)
def test_predictions_of_volumes_much_like_known_ones_need_fewer_iterations(pair: TwoPhase) -> None:
    """They are nearer than alone after as many, and their intervals cover."""
    rng, model = np.random.default_rng(3), load_pair_model()
    names = ("gaussian", "spinodal", "channels", "fibres")
    volumes = np.stack([sample(name, 16, relative=True, generator=rng).volume for name in names])
    changed = volumes.copy()
    for volume in changed:
        voxels = np.flatnonzero(interface_of(volume))
        volume.ravel()[rng.choice(voxels, volume.size // 50, replace=False)] ^= 1
    anchor = Anchor(answer=judge(volumes, TARGETS, pair, model, sensitivities=True))
    first = anchor.answer.prediction
    like = anchor, range(len(volumes)), closeness(pair, coarse=True)
    answer = judge(changed, TARGETS, pair, model, sensitivities=False, like=like)
    assert first is not None and answer.prediction is not None
    assert (answer.prediction.iterations <= first.iterations).all()
    assert answer.prediction.iterations.sum() < first.iterations.sum()
    exact = np.array([homogenize(volume, pair, rtol=1e-4).stiffness for volume in changed])
    scale = np.einsum("nii->ni", exact)
    alone, shifted = (
        np.abs(np.einsum("nii->ni", matrices - exact)) / scale
        for matrices in (answer.prediction.mean, answer.properties.stiffness)
    )
    assert np.median(shifted) < 0.7 * np.median(alone)
    spread = np.stack([answer.std(row) for row in range(len(changed))])
    within = np.abs(answer.properties.stiffness - exact) <= 1.645 * spread
    assert within.mean() > 0.8
