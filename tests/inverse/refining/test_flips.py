"""Estimated effects of flips against the solver, and which flips are chosen."""

import numpy as np
import pytest
from scipy.optimize import linprog

from vaereg.elasticity import PROPERTIES
from vaereg.generators.families import gaussian_field
from vaereg.inverse.refining.effects import effects_of_flips
from vaereg.inverse.refining.flips import (
    Flips,
    choose_flips,
    first_ratios,
    learn_ratios,
)
from vaereg.inverse.refining.multipliers import choose_shares, round_shares
from vaereg.materials import Phase, TwoPhase
from vaereg.microstructure.symmetry import is_symmetric, orbits_of, symmetrise_volume
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.targets import FRACTION, CellProperties, Gradients

VOLUME = gaussian_field(16, (1.5, 2.0, 3.0), 0.5, generator=np.random.default_rng(0))
DIAGONAL = [0, 6, 11, 15, 18, 20]


@pytest.fixture(scope="module")
def sensitivity() -> np.ndarray:
    return np.asarray(homogenize(VOLUME, rtol=1e-3, dtype=np.float32, sensitivities=True).sensitivity)


def chosen(
    sensitivity: np.ndarray, targets: dict[str, float], volume: np.ndarray = VOLUME
) -> tuple[Flips | None, np.ndarray]:
    """Flips for relative changes of quantities, and the values before."""
    cell = cell_of(volume)
    values, gradients = cell.values(list(targets))[0], cell.gradients(list(targets))
    change = values * np.array(list(targets.values()))
    effects = effects_of_flips(volume, TwoPhase(), gradients, sensitivity)
    return choose_flips(volume, effects, first_ratios(gradients, TwoPhase()), change, change, values), values


def cell_of(volume: np.ndarray, pair: TwoPhase | None = None) -> CellProperties:
    pair = pair or TwoPhase()
    return CellProperties(
        stiffness=homogenize(volume, pair, rtol=1e-3, dtype=np.float32).stiffness[None],
        fraction=np.array([volume.mean()]),
        materials=pair,
    )


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
    assert 0.015 * VOLUME.size < len(flips.voxels) <= 0.03 * VOLUME.size + 1


def test_the_volume_fraction_is_met_exactly(sensitivity: np.ndarray) -> None:
    flips, _ = chosen(sensitivity, {FRACTION: 0.02})
    assert flips is not None
    assert flips.exact[0] == pytest.approx(0.02 * VOLUME.mean(), abs=1.5 / VOLUME.size)


def test_nothing_wanted_is_nothing_flipped(sensitivity: np.ndarray) -> None:
    assert chosen(sensitivity, {"C11": 0.0})[0] is None


@pytest.mark.parametrize("name", ["E_x", "G_xy", "nu_xy", "C12", "K", "specific_E_z"])
def test_any_quantity_moves_as_wanted(sensitivity: np.ndarray, name: str) -> None:
    """Engineering constants, couplings and quotients change in the right direction, by about as much."""
    for rise in (0.02, -0.02):
        pair = TwoPhase(Phase("", 120.0, 0.3, density=2.0), Phase("", 2.4, 0.3, density=1.0))
        cell = cell_of(VOLUME, pair)
        value, gradients = cell.values([name])[0], cell.gradients([name])
        effects = effects_of_flips(VOLUME, pair, gradients, sensitivity)
        ratios = first_ratios(gradients, pair)
        flips = choose_flips(VOLUME, effects, ratios, rise * value, rise * value, value)
        assert flips is not None
        flipped = VOLUME.copy()
        flipped.ravel()[flips.voxels] ^= 1
        change = cell_of(flipped, pair).values([name])[0] / value - 1.0
        assert 0.4 < float(change[0]) / rise < 2.0


def test_conductivities_move_as_wanted() -> None:
    pair = TwoPhase(Phase("", 120.0, 0.3, conductivity=1.0), Phase("", 2.4, 0.3, conductivity=40.0))
    before = conduct(VOLUME, pair, rtol=1e-4, sensitivities=True)
    cell = CellProperties(
        stiffness=np.full((1, 6, 6), np.nan),
        fraction=np.array([VOLUME.mean()]),
        materials=pair,
        conductivity=before.conductivity[None],
    )
    names = ["k_x", "k_y", "k_z"]
    values, gradients = cell.values(names)[0], cell.gradients(names)
    effects = effects_of_flips(VOLUME, pair, gradients, conduction=before.sensitivity)
    wanted = np.array([0.03, -0.02, 0.01]) * values
    flips = choose_flips(VOLUME, effects, first_ratios(gradients, pair), wanted, wanted, values)
    assert flips is not None
    flipped = VOLUME.copy()
    flipped.ravel()[flips.voxels] ^= 1
    change = np.diag(conduct(flipped, pair, rtol=1e-4).conductivity) - values
    assert np.abs((change - wanted) / values).max() < 0.012


def test_multipliers_find_what_a_linear_program_finds(rng: np.random.Generator) -> None:
    """The same cost within the width of the entropy, with values, ranges and a range that is met already."""
    changes, cost = rng.standard_normal((3, 400)), rng.uniform(0.05, 0.6, 400)
    low, high = np.array([15.0, -30.0, -400.0]), np.array([15.0, -25.0, 400.0])
    share = choose_shares(changes, cost, low, high)
    found = linprog(
        cost, A_ub=np.vstack([changes, -changes]), b_ub=np.concatenate([high, -low]), bounds=(0.0, 1.0)
    )
    reached = changes @ share
    assert (reached > low - 0.5).all() and (reached < high + 0.5).all()
    assert cost @ share == pytest.approx(found.fun, rel=0.03)
    assert ((share > 0.1) & (share < 0.9)).mean() < 0.05


def test_orbits_are_flipped_as_a_whole(sensitivity: np.ndarray) -> None:
    volume = symmetrise_volume(VOLUME, "cubic")
    cell = cell_of(volume)
    gradients, value = cell.gradients(["C11"]), cell.values(["C11"])[0]
    solved = homogenize(volume, rtol=1e-3, dtype=np.float32, sensitivities=True).sensitivity
    flips = choose_flips(
        volume,
        effects_of_flips(volume, TwoPhase(), gradients, solved),
        first_ratios(gradients, TwoPhase()),
        0.03 * value,
        0.03 * value,
        value,
        orbits=orbits_of((16, 16, 16), "cubic"),
    )
    assert flips is not None
    volume.ravel()[flips.voxels] ^= 1
    assert is_symmetric(volume, "cubic")


def test_first_ratios_go_by_the_harder_phase() -> None:
    """Whichever of both phases is called the stiff one."""
    gradients = Gradients(
        stiffness=np.stack([np.eye(6), np.zeros((6, 6)), np.zeros((6, 6))]),
        conductivity=np.stack([np.zeros((3, 3)), np.eye(3), np.zeros((3, 3))]),
        fraction=np.ones(3),
    )
    hard, soft = Phase("", 120.0, 0.3, conductivity=40.0), Phase("", 2.4, 0.3, conductivity=1.0)
    ratios, swapped = (first_ratios(gradients, TwoPhase(*pair)) for pair in ((hard, soft), (soft, hard)))
    assert ratios.mean[0, 0] < ratios.mean[0, 1]
    np.testing.assert_array_equal(swapped.mean, ratios.mean[:, ::-1])
    assert ratios.mean[2].tolist() == [1.0, 1.0] and not ratios.covariance[2].any()


def test_ratios_are_learned_from_what_happened() -> None:
    gradients = Gradients(
        stiffness=np.stack([np.eye(6), np.zeros((6, 6))]),
        conductivity=np.zeros((2, 3, 3)),
        fraction=np.array([0.0, 1.0]),
    )
    ratios = first_ratios(gradients, TwoPhase())
    flips = Flips(
        voxels=np.arange(9),
        raised=np.array([4.0, 0.0]),
        lowered=np.array([1.0, 0.0]),
        exact=np.array([0.0, 0.005]),
    )
    true = np.array([1.1, 0.5])
    for _ in range(3):
        ratios = learn_ratios(ratios, flips, np.array([4.4 - 0.5, 0.005]), np.array([50.0, 0.5]))
    assert np.array([4.0, -1.0]) @ ratios.mean[0] == pytest.approx(4.0 * true[0] - true[1], rel=0.02)
    assert (ratios.mean[1] == 1.0).all()  # a volume fraction needs no learning
    assert (np.linalg.eigvalsh(ratios.covariance[0]) > 0.0).all()


def test_wishes_that_oppose_each_other_are_met_by_many_flips_together(rng: np.random.Generator) -> None:
    """No single voxel brings both quantities nearer, whole voxels do; sets are taken as a whole."""
    changes = np.stack([rng.uniform(0.5, 1.5, 200), rng.uniform(0.5, 1.5, 200)])
    changes[:, 100:] *= -1.0
    low = high = np.array([3.0, -3.0])
    share = choose_shares(changes, np.full(200, 0.1), low, high)
    chosen = round_shares(share, changes, low, high, 100, None)
    assert np.linalg.norm(changes @ chosen - low) < 0.3
    sets = np.arange(200) // 4
    together = round_shares(share, changes, low, high, 100, sets)
    assert (np.bincount(sets, together) % 4 == 0.0).all()
    assert np.linalg.norm(changes @ together - low) < 0.7 * np.linalg.norm(low)
    assert together.sum() <= 100


def test_a_quantity_that_voxels_hardly_change_is_met_like_the_others(rng: np.random.Generator) -> None:
    effects = np.stack([rng.normal(size=600), 0.02 * rng.uniform(0.5, 1.5, 600) * rng.choice([-1, 1], 600)])
    wanted = np.array([3.0, 2.0])  # the second one takes a hundred voxels
    share = choose_shares(effects, rng.uniform(0.05, 0.4, 600), wanted, wanted)
    np.testing.assert_allclose(effects @ share, wanted, atol=0.1)


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_multipliers_are_found_where_few_voxels_do_most(seed: int) -> None:
    generator = np.random.default_rng(seed)
    common = generator.lognormal(0.0, 2.5, 2000) * generator.choice([-1, 1], 2000)
    changes = common * generator.lognormal(0.0, 0.1, (6, 2000))
    size = np.abs(changes).max(0)
    cost = generator.uniform(0.01, 0.5, 2000) * np.hypot(1.0, size / np.median(size))
    wanted = generator.uniform(-600.0, 600.0, 6)
    assert np.abs(changes @ choose_shares(changes, cost, wanted, wanted) - wanted).max() < 1.0
