"""Inverse design: the same seed, the same voxels; every component has its share; targets must be possible."""

import re

import numpy as np
import pytest
import torch

from vaereg import design as module
from vaereg.checkpoint import Checkpoint
from vaereg.design import (
    Designs,
    Target,
    UnreachableTargetError,
    check_targets,
    complete_targets,
    design,
    parse_target,
    reachable_range,
    target_distance,
)
from vaereg.elasticity import PROPERTIES
from vaereg.prediction import predict

TARGETS: dict[str, Target] = {"C11": 45.0, "C33": (25.0, 35.0)}
DENSE: dict[str, Target] = {"C11": 100.0, "C22": 100.0, "C33": 100.0}
"""Only a volume of nearly one phase is as stiff along all axes; its shear moduli follow."""


@pytest.fixture(scope="module")
def designs(tiny_checkpoint: Checkpoint) -> Designs:
    return design(tiny_checkpoint, TARGETS, 7, 16, seed=3)


def test_designs_are_what_they_say(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    assert designs.microstructures.shape == (7, 16, 16, 16)
    assert designs.microstructures.dtype == np.uint8
    for volume in designs.microstructures:
        assert set(np.unique(volume)) == {0, 1}
    assert len({volume.tobytes() for volume in designs.microstructures}) == 7
    assert designs.latent.shape == (7, tiny_checkpoint.config.model.latent)
    assert designs.latent.dtype == np.float32
    assert (designs.targets, designs.size, designs.seed) == (TARGETS, 16, 3)
    assert designs.checkpoint == tiny_checkpoint.hash
    assert designs.weights.shape == (2,)
    assert designs.weights.sum() == pytest.approx(1.0)


def test_predictions_are_those_of_the_voxels(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    found = predict(tiny_checkpoint, designs.microstructures, guided=False)
    np.testing.assert_allclose(designs.mean, found.mean, rtol=1e-4)
    np.testing.assert_allclose(designs.std, found.std, rtol=1e-4)
    np.testing.assert_allclose(designs.error, target_distance(designs.mean, TARGETS))


def test_designs_are_ordered_and_shared_by_the_components(designs: Designs) -> None:
    """Evenly; the first ones get what is left over. Within a component the nearest comes first."""
    assert designs.component.tolist() == [0, 0, 0, 0, 1, 1, 1]
    for component in range(2):
        errors = designs.error[designs.component == component]
        assert (np.diff(errors) >= 0.0).all()


def test_the_same_seed_gives_the_same_bytes(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    again = design(tiny_checkpoint, TARGETS, 7, 16, seed=3)
    assert again.microstructures.tobytes() == designs.microstructures.tobytes()
    assert again.latent.tobytes() == designs.latent.tobytes()
    assert again.mean.tobytes() == designs.mean.tobytes()
    other = design(tiny_checkpoint, TARGETS, 7, 16, seed=4)
    ours = {volume.tobytes() for volume in designs.microstructures}
    assert not ours & {volume.tobytes() for volume in other.microstructures}
    all_fixed: dict[str, Target] = dict(zip(PROPERTIES, (40.0, 35.0, 35.0, 9.0, 9.0, 10.0), strict=True))
    one, two = (design(tiny_checkpoint, all_fixed, 1, 16, seed=seed, only_plausible=False) for seed in (0, 1))
    assert not np.array_equal(one.latent, two.latent), "nothing but z and the noise is left to draw"


def test_the_order_of_targets_does_not_matter(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    other = design(tiny_checkpoint, dict(reversed(TARGETS.items())), 7, 16, seed=3)
    assert other.microstructures.tobytes() == designs.microstructures.tobytes()


@pytest.mark.parametrize("component", [0, 1])
def test_one_component_alone(component: int, tiny_checkpoint: Checkpoint) -> None:
    found = design(tiny_checkpoint, TARGETS, 3, 16, component=component)
    assert found.component.tolist() == [component] * 3
    assert len({volume.tobytes() for volume in found.microstructures}) == 3
    assert found.weights.shape == (2,)


def test_latent_vectors_come_from_their_component(tiny_checkpoint: Checkpoint) -> None:
    """Under the prior at the (full) target each is most likely from the component that it is listed with."""
    target = {"C11": 40.0, "C22": 35.0, "C33": 35.0, "C44": 9.0, "C55": 9.0, "C66": 10.0}
    found = design(tiny_checkpoint, target, 12, 16, only_plausible=False)
    prior = tiny_checkpoint.model.prior(torch.tensor(list(target.values())).expand(12, -1))
    likely = prior.component_log_prob(torch.from_numpy(found.latent)) - prior.log_weights
    agree = (likely.argmax(1).numpy() == found.component).mean()
    assert agree >= 0.75


@pytest.mark.parametrize(("count", "size"), [(1, 16), (1, 24), (2, 40)])
def test_any_count_and_size(count: int, size: int, tiny_checkpoint: Checkpoint) -> None:
    found = design(tiny_checkpoint, {"C22": 40.0}, count, size)
    assert found.microstructures.shape == (count, size, size, size)
    assert found.component.tolist() == list(range(count))


@pytest.mark.parametrize(
    ("knob", "more", "target"),
    [("_POOL", 256, 30.0), ("_LATENTS_PER_DESIGN", 8, 45.0), ("_REALISATIONS", 8, 45.0)],
)
def test_choosing_pays(
    knob: str, more: int, target: float, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More to choose from, at each of the three stages alone, gives designs that are predicted nearer."""

    def mean_error() -> float:
        return float(
            np.mean([design(tiny_checkpoint, {"C11": target}, 4, 16, seed=seed).error for seed in range(6)])
        )

    for name, least in (("_POOL", 32), ("_LATENTS_PER_DESIGN", 1), ("_REALISATIONS", 1)):
        monkeypatch.setattr(module, name, least)
    before = mean_error()
    monkeypatch.setattr(module, knob, more)
    assert mean_error() < 0.8 * before


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("C11=60", "C11", 60.0),
        ("C22=30:40", "C22", (30.0, 40.0)),
        (" C66 = 1.5e1 ", "C66", 15.0),
        ("C11=-3", "C11", -3.0),  # refused later, with the name of the property
    ],
)
def test_targets_are_read(text: str, name: str, value: Target) -> None:
    assert parse_target(text) == (name, value)


@pytest.mark.parametrize("text", ["", "C11", "C11=", "C11=abc", "C11=1:2:3", "C11=30:", "C11:30", "C11=3=4"])
def test_texts_that_are_no_targets(text: str) -> None:
    expected = f"expected a target such as C11=60 or C22=30:40 in GPa, got {text!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        parse_target(text)


def test_targets_are_put_in_order() -> None:
    found = check_targets({"C66": (3.0, 3.0), "C11": 5, "C22": (np.float64(1.0), 2)})
    assert list(found.items()) == [("C11", 5.0), ("C22", (1.0, 2.0)), ("C66", 3.0)]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "expected at least one target property"),
        ({"C99": 1.0}, "unknown property 'C99': expected one of C11, C22, C33, C44, C55, C66"),
        ({"C12": 1.0}, "unknown property 'C12'"),
        ({"C11": -3.0}, "C11 must be a positive number of GPa, or a range low:high, got -3.0"),
        ({"C11": 0.0}, "C11 must be a positive number"),
        ({"C11": (60.0, 40.0)}, r"C11 must be a positive .* got \(60.0, 40.0\)"),
        ({"C11": (-1.0, 40.0)}, "C11 must be a positive number"),
        ({"C11": float("nan")}, "C11 must be a positive number"),
        ({"C11": (10.0, float("inf"))}, "C11 must be a positive number"),
    ],
)
def test_impossible_targets(targets: dict[str, Target], message: str, tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match=message) as error:
        design(tiny_checkpoint, targets, 1, 16)
    assert not isinstance(error.value, UnreachableTargetError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be between 1 and 256, got 0"),
        ({"count": 257}, "count must be between 1 and 256, got 257"),
        ({"size": 12}, "size must be a multiple of 8 from 16 to 128, got 12"),
        ({"size": 0}, "size must be a multiple of 8 from 16 to 128, got 0"),
        ({"size": 136}, "size must be a multiple of 8 from 16 to 128, got 136"),
        ({"component": 2}, "component must be between 0 and 1, got 2"),
        ({"component": -1}, "component must be between 0 and 1, got -1"),
        ({"seed": -1}, "seed must be between 0 and 2^63 - 1, got -1"),
        ({"seed": 2**63}, "seed must be between 0 and 2^63 - 1, got 9223372036854775808"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, int], message: str, tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        design(tiny_checkpoint, {"C11": 40.0}, **{"count": 1, "size": 16, **arguments})  # type: ignore[arg-type]


def unreachable(checkpoint: Checkpoint, targets: dict[str, Target]) -> str:
    with pytest.raises(UnreachableTargetError) as error:
        design(checkpoint, targets, 1, 16)
    return str(error.value)


def test_targets_outside_the_training_set(tiny_checkpoint: Checkpoint) -> None:
    """The message has the reachable range of each property in question, and of no other."""
    low, high = tiny_checkpoint.fitted.property_limits
    message = unreachable(tiny_checkpoint, {"C11": 200.0, "C22": 40.0, "C33": (0.1, 0.5)})
    assert f"C11 = 200 GPa (reachable: {low[0]:.1f} to {high[0]:.1f} GPa)" in message
    assert f"C33 = 0.1 to 0.5 GPa (reachable: {low[2]:.1f} to {high[2]:.1f} GPa)" in message
    assert "C22" not in message
    for value in (0.99 * low[0], 1.01 * high[0]):
        assert "C11" in unreachable(tiny_checkpoint, {"C11": value})
    # the limits themselves, and ranges that reach into them, can be had
    for reachable in (low[0], high[0], (0.5 * low[0], 1.1 * low[0])):
        design(tiny_checkpoint, {"C11": reachable}, 1, 16)


@pytest.mark.parametrize("shear", [4.0, (3.9, 4.1), (2.0, 5.0)], ids=["value", "range", "wide"])
def test_combinations_that_no_volume_has(shear: Target, tiny_checkpoint: Checkpoint) -> None:
    """Each of them alone is in reach."""
    targets = {**DENSE, "C44": shear}
    for name, value in targets.items():
        design(tiny_checkpoint, {name: value}, 1, 16)
    message = unreachable(tiny_checkpoint, targets)
    assert "no known microstructure combines C11 = 100, C22 = 100, C33 = 100, C44 = " in message
    found = re.search(r"C44 ([0-9.]+) to ([0-9.]+) GPa$", message)
    assert found is not None
    low, high = map(float, found.groups())
    assert 5.0 < low < high
    plausible = {**DENSE, "C44": 0.5 * (low + high)}
    design(tiny_checkpoint, plausible, 1, 16)  # what the message offers can be had
    assert design(tiny_checkpoint, targets, 1, 16, only_plausible=False).targets == targets

    # the hint on C22: 98 % of p(C22 | the other fixed values), by the mixture itself
    model = tiny_checkpoint.model
    values = [targets[name] if isinstance(targets.get(name), float) else np.nan for name in PROPERTIES]
    known = (np.log(values) - model.property_location.numpy()) / model.property_scale.numpy()
    others = np.isfinite(known) & (np.arange(6) != 1)
    low, high = reachable_range(tiny_checkpoint, "C22", others, known[others])
    assert f"; C22 {low:.1f} to {high:.1f} GPa; " in message


def test_ranges_that_hold_a_plausible_value_pass(tiny_checkpoint: Checkpoint) -> None:
    design(tiny_checkpoint, {**DENSE, "C44": (2.0, 40.0)}, 1, 16)


def test_reachable_ranges_hold_the_training_set(tiny_checkpoint: Checkpoint) -> None:
    """With nothing fixed: 98 % of each property; with something fixed, a part of that."""
    nothing = np.zeros(6, dtype=bool)
    ranges = tiny_checkpoint.property_ranges
    for name in PROPERTIES:
        low, high = reachable_range(tiny_checkpoint, name, nothing, np.empty(0))
        assert low == pytest.approx(ranges[name][0], rel=0.5)
        assert high == pytest.approx(ranges[name][1], rel=0.5)
    low, high = reachable_range(tiny_checkpoint, "C44", np.arange(6) == 1, np.array([1.5]))
    other = reachable_range(tiny_checkpoint, "C44", np.arange(6) == 1, np.array([-1.5]))
    assert other[0] < low and other[1] < high, "a stiffer volume is stiffer in shear"


def test_fixed_properties_are_kept_and_ranges_held(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    wanted: dict[str, Target] = {"C11": 45.0, "C22": (20.0, 30.0), "C66": 8.5}
    found = complete_targets(tiny_checkpoint, wanted, 500, generator=rng)
    assert found.shape == (500, 6)
    np.testing.assert_allclose(found[:, 0], 45.0, rtol=1e-12)
    np.testing.assert_allclose(found[:, 5], 8.5, rtol=1e-12)
    assert (found[:, 1] >= 20.0 * (1.0 - 1e-12)).all() and (found[:, 1] <= 30.0 * (1.0 + 1e-12)).all()
    assert np.ptp(found[:, 1]) > 5.0 and (found[:, 2:5].std(0) > 0.5).all()
    assert (found > 0.0).all() and np.isfinite(found).all()


def test_everything_fixed_leaves_nothing_to_draw(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    wanted: dict[str, Target] = dict(zip(PROPERTIES, (50.0, 40.0, 30.0, 7.0, 8.0, 9.0), strict=True))
    found = complete_targets(tiny_checkpoint, wanted, 3, generator=rng)
    np.testing.assert_allclose(found, np.tile(list(wanted.values()), (3, 1)), rtol=1e-12)


def test_free_properties_are_those_of_the_training_set(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    """With one range that holds everything, the draws are p(c): its moments, in the logarithm."""
    found = complete_targets(tiny_checkpoint, {"C11": (1e-3, 1e5)}, 4000, generator=rng)
    model, mixture = tiny_checkpoint.model, tiny_checkpoint.fitted.mixture
    standardised = (np.log(found) - model.property_location.numpy()) / model.property_scale.numpy()
    np.testing.assert_allclose(standardised.mean(0), mixture.weights @ mixture.means, atol=0.1)
    np.testing.assert_allclose(standardised.std(0), 1.0, atol=0.1)


def test_a_narrow_range_is_fair_to_all_rows(tiny_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    """Rows are dealt to the components in order: early ones must not get better draws than late ones."""
    wanted: dict[str, Target] = {"C11": 70.0, "C33": (10.0, 12.0)}
    found = complete_targets(tiny_checkpoint, wanted, 1000, generator=rng)[:, 2]
    clipped = np.isclose(found, 10.0, rtol=1e-9) | np.isclose(found, 12.0, rtol=1e-9)
    assert 0.1 < clipped.mean() < 0.9, "the range must be narrow, and not out of reach, for this test"
    assert abs(clipped[:500].mean() - clipped[500:].mean()) < 0.15


def test_distance_is_relative_and_zero_within_a_range() -> None:
    properties = np.array([[50.0, 10.0, 33.0, 1, 1, 1], [60.0, 12.0, 45.0, 1, 1, 1]])
    assert target_distance(properties, {"C11": 40.0}).tolist() == [0.25, 0.5]
    np.testing.assert_allclose(target_distance(properties, {"C33": (30.0, 40.0)}), [0.0, 5.0 / 35.0])
    both = target_distance(properties, {"C11": 50.0, "C22": 10.0})
    np.testing.assert_allclose(both, [0.0, 0.2])
