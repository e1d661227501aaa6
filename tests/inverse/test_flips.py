"""Estimated effects of flips against the solver, and what the linear program chooses."""

import numpy as np
import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.generators.families import gaussian_field
from vaereg.inverse.flips import Flips, choose_flips, effects_of_flips, first_ratios, learn_ratios
from vaereg.solver.homogenization import homogenize
from vaereg.targets import FRACTION

VOLUME = gaussian_field(16, (1.5, 2.0, 3.0), 0.5, generator=np.random.default_rng(0))
DIAGONAL = [0, 6, 11, 15, 18, 20]


@pytest.fixture(scope="module")
def sensitivity() -> np.ndarray:
    return np.asarray(homogenize(VOLUME, rtol=1e-3, dtype=np.float32, sensitivities=True).sensitivity)


def chosen(
    sensitivity: np.ndarray, targets: dict[str, float], volume: np.ndarray = VOLUME
) -> tuple[Flips | None, np.ndarray]:
    """Flips for relative changes of C11 ... C66 or the volume fraction, and the values before."""
    stiffness = homogenize(VOLUME, rtol=1e-3, dtype=np.float32).stiffness
    reference = {FRACTION: VOLUME.mean()} | {name: stiffness[i, i] for i, name in enumerate(PROPERTIES)}
    values = np.array([reference[name] for name in targets])
    change = values * np.array(list(targets.values()))
    effects = effects_of_flips(volume, sensitivity, list(targets))
    return choose_flips(volume, effects, first_ratios(list(targets)), change, change, values), values


@pytest.mark.parametrize("rise", [0.04, -0.04])
def test_flips_do_what_was_estimated(sensitivity: np.ndarray, rise: float) -> None:
    """The estimate is near; the plain sensitivity, summed over the same voxels, is not."""
    flips, before = chosen(sensitivity, dict.fromkeys(PROPERTIES[:3], rise))
    assert flips is not None
    flipped = VOLUME.copy()
    flipped.ravel()[flips.voxels] ^= 1
    change = np.diag(homogenize(flipped, rtol=1e-3, dtype=np.float32).stiffness)[:3] - before
    np.testing.assert_allclose(change / before, rise, rtol=0.5)
    signs = 1.0 - 2.0 * VOLUME.ravel()[flips.voxels]
    plain = (sensitivity[DIAGONAL[:3]].reshape(3, -1)[:, flips.voxels] * signs).sum(1)
    assert np.abs(np.log(np.abs(plain / change))).mean() > 2 * np.abs(np.log(change / before / rise)).mean()


def test_only_the_interface_moves(sensitivity: np.ndarray) -> None:
    flips, _ = chosen(sensitivity, {"C11": 0.1, "C22": -0.05})
    assert flips is not None
    neighbours = np.stack([np.roll(VOLUME, step, axis) for axis in range(3) for step in (1, -1)])
    differs = (neighbours != VOLUME).any(axis=0).ravel()
    assert differs[flips.voxels].all()


def test_no_more_than_the_trust_region(sensitivity: np.ndarray) -> None:
    flips, _ = chosen(sensitivity, {"C11": 3.0})
    assert flips is not None
    assert 0.02 * VOLUME.size < len(flips.voxels) <= 0.03 * VOLUME.size + 1


def test_the_volume_fraction_is_met_exactly(sensitivity: np.ndarray) -> None:
    flips, _ = chosen(sensitivity, {FRACTION: 0.02})
    assert flips is not None
    assert flips.raised[0] - flips.lowered[0] == pytest.approx(0.02 * VOLUME.mean(), abs=1.0 / VOLUME.size)


def test_nothing_wanted_is_nothing_flipped(sensitivity: np.ndarray) -> None:
    assert chosen(sensitivity, {"C11": 0.0})[0] is None


def test_ratios_are_learned_from_what_happened() -> None:
    ratios = first_ratios(["C11", FRACTION])
    flips = Flips(voxels=np.arange(9), raised=np.array([4.0, 0.01]), lowered=np.array([1.0, 0.005]))
    true = np.array([1.1, 0.5])
    for _ in range(3):
        ratios = learn_ratios(ratios, flips, np.array([4.4 - 0.5, 0.005]), np.array([50.0, 0.5]))
    assert np.array([4.0, -1.0]) @ ratios.mean[0] == pytest.approx(4.0 * true[0] - true[1], rel=0.02)
    assert (ratios.mean[1] == 1.0).all()  # a volume fraction needs no learning
    assert (np.linalg.eigvalsh(ratios.covariance[0]) > 0.0).all()
