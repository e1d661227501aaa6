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


def some_volumes() -> tuple[np.ndarray, np.ndarray]:
    """Volumes, and the same with one in fifty voxels flipped, at the interface."""
    rng = np.random.default_rng(3)
    names = ("gaussian", "spinodal", "channels", "fibres")
    volumes = np.stack([sample(name, 16, relative=True, generator=rng).volume for name in names])
    changed = volumes.copy()
    for volume in changed:
        voxels = np.flatnonzero(interface_of(volume))
        volume.ravel()[rng.choice(voxels, volume.size // 50, replace=False)] ^= 1
    return volumes, changed


@pytest.mark.parametrize(
    "pair",
    [TwoPhase(), TwoPhase.from_moduli(3.0, 70.0, 0.4, 0.2), TwoPhase.from_moduli(2.0, 1.0, 0.3, 0.3)],
    ids=["reference", "swapped", "contrast-2"],
)
def test_predictions_of_volumes_much_like_known_ones(pair: TwoPhase) -> None:
    """After fewer iterations they are nearer than alone after as many, and their intervals cover, also where
    the first predictions take the fewest iterations that there are.
    """
    volumes, changed = some_volumes()
    model = load_pair_model()
    anchor = Anchor(answer=judge(volumes, TARGETS, pair, model, sensitivities=True))
    first = anchor.answer.prediction
    like = anchor, range(len(volumes)), closeness(pair, coarse=True)
    answer = judge(changed, TARGETS, pair, model, sensitivities=False, like=like)
    assert first is not None and answer.prediction is not None
    assert (answer.prediction.iterations <= first.iterations).all()
    assert answer.prediction.iterations.min() == 3
    exact = np.array([homogenize(volume, pair, rtol=1e-6).stiffness for volume in changed])
    spread = np.stack([answer.std(row) for row in range(len(changed))])
    within = np.abs(answer.properties.stiffness - exact) <= 1.645 * spread
    assert within.mean() > 0.8
    alone, shifted = (
        np.abs(np.einsum("nii->ni", matrices - exact))
        for matrices in (answer.prediction.mean, answer.properties.stiffness)
    )
    assert np.median(shifted) < 0.7 * np.median(alone) or pair.ordered().contrast < 10.0
