"""Targets on the diagonal: read, put in order, completed by p(c), refused when nothing known comes near."""

import re

import numpy as np
import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.inverse.plausible import UnreachableTargetError, check_reachable, complete_targets
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Target, check_targets, parse_target, target_distance, target_ratio


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("C11=60", "C11", 60.0),
        ("C22=30:40", "C22", (30.0, 40.0)),
        (" C66 = 1.5e1 ", "C66", 15.0),
        ("volume_fraction=0.4", "volume_fraction", 0.4),
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
    result = check_targets({"C66": (3.0, 3.0), "C11": 5, "C22": (np.float64(1.0), 2)})
    assert list(result.items()) == [("C11", 5.0), ("C22", (1.0, 2.0)), ("C66", 3.0)]


def refusal(checkpoint: Checkpoint, targets: dict[str, Target]) -> UnreachableTargetError:
    with pytest.raises(UnreachableTargetError) as error:
        check_reachable(checkpoint, check_targets(targets))
    return error.value


def test_targets_outside_the_training_set(tiny_checkpoint: Checkpoint) -> None:
    """The message has the nearest volume, and the reachable range of what is outside, and of nothing else."""
    low, high = tiny_checkpoint.fitted.training_properties.ranges[0]
    error = refusal(tiny_checkpoint, {"C11": 200.0, "C22": 40.0})
    assert f"reachable: C11 = {low:.4g} to {high:.4g} GPa" in str(error)
    assert "reachable: C22" not in str(error)
    assert error.nearest["C11"] <= high
    assert error.distance >= np.log(200.0 / high) - 1e-9
    assert f"{100 * np.expm1(error.distance):.0f} % off" in str(error)
    check_reachable(tiny_checkpoint, {"C11": high})
    check_reachable(tiny_checkpoint, {"C11": (0.5 * low, 1.1 * low)})


@pytest.mark.parametrize("shear", [4.0, (3.9, 4.1), (2.0, 5.0)], ids=["value", "range", "wide"])
def test_combinations_that_no_volume_has(shear: Target, tiny_checkpoint: Checkpoint) -> None:
    """Each of them alone is in reach; what the refusal offers is so too."""
    stiff = float(tiny_checkpoint.fitted.training_properties.values[:, :3].min(1).max())
    targets: dict[str, Target] = {"C11": stiff, "C22": stiff, "C33": stiff, "C44": shear}
    for name, value in targets.items():
        check_reachable(tiny_checkpoint, {name: value})
    error = refusal(tiny_checkpoint, targets)
    assert f"no known microstructure comes near C11 = {stiff:.4g} GPa, C22 = " in str(error)
    assert set(error.nearest) == set(targets)
    check_reachable(tiny_checkpoint, error.nearest)
    check_reachable(tiny_checkpoint, {**targets, "C44": (2.0, 40.0)})


def test_a_stiff_cell_needs_stiff_phase(tiny_checkpoint: Checkpoint) -> None:
    error = refusal(tiny_checkpoint, {"C11": 60.0, "volume_fraction": 0.3})
    assert "volume_fraction = 0.300" in str(error)


def test_fixed_properties_are_kept_and_ranges_held(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    wanted: dict[str, Target] = {"C11": 45.0, "C22": (20.0, 30.0), "C66": 8.5}
    result = complete_targets(tiny_checkpoint, wanted, 500, generator=rng)
    assert result.shape == (500, 6)
    np.testing.assert_allclose(result[:, 0], 45.0, rtol=1e-12)
    np.testing.assert_allclose(result[:, 5], 8.5, rtol=1e-12)
    assert (result[:, 1] >= 20.0 * (1.0 - 1e-12)).all() and (result[:, 1] <= 30.0 * (1.0 + 1e-12)).all()
    assert np.ptp(result[:, 1]) > 5.0 and (result[:, 2:5].std(0) > 0.5).all()
    assert (result > 0.0).all() and np.isfinite(result).all()


def test_everything_fixed_leaves_nothing_to_draw(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    wanted: dict[str, Target] = dict(zip(PROPERTIES, (50.0, 40.0, 30.0, 7.0, 8.0, 9.0), strict=True))
    result = complete_targets(tiny_checkpoint, wanted, 3, generator=rng)
    np.testing.assert_allclose(result, np.tile(list(wanted.values()), (3, 1)), rtol=1e-12)


def test_free_properties_are_those_of_the_training_set(
    tiny_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    """With one range that holds everything, the draws are p(c): its moments, in the logarithm."""
    result = complete_targets(tiny_checkpoint, {"C11": (1e-3, 1e5)}, 4000, generator=rng)
    model, mixture = tiny_checkpoint.model, tiny_checkpoint.fitted.mixture
    standardised = (np.log(result) - model.property_location.numpy()) / model.property_scale.numpy()
    np.testing.assert_allclose(standardised.mean(0), (mixture.weights @ mixture.means)[:6], atol=0.1)
    np.testing.assert_allclose(standardised.std(0), 1.0, atol=0.1)


def test_a_narrow_range_is_fair_to_all_rows(tiny_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    """Rows are dealt to the components in order: early ones must not get better draws than late ones."""
    wanted: dict[str, Target] = {"C11": 70.0, "C33": (10.0, 12.0)}
    result = complete_targets(tiny_checkpoint, wanted, 1000, generator=rng)[:, 2]
    clipped = np.isclose(result, 10.0, rtol=1e-9) | np.isclose(result, 12.0, rtol=1e-9)
    assert 0.1 < clipped.mean() < 0.9, "the range must be narrow, and not out of reach, for this test"
    assert abs(clipped[:500].mean() - clipped[500:].mean()) < 0.15


def test_distance_is_relative_and_zero_within_a_range() -> None:
    properties = np.array([[50.0, 10.0, 33.0, 1, 1, 1], [60.0, 12.0, 45.0, 1, 1, 1]])
    assert target_distance(properties, {"C11": 40.0}).tolist() == [0.25, 0.5]
    np.testing.assert_allclose(target_distance(properties, {"C33": (30.0, 40.0)}), [0.0, 5.0 / 35.0])
    both = target_distance(properties, {"C11": 50.0, "C22": 10.0})
    np.testing.assert_allclose(both, [0.0, 0.2])
    unknown = np.where(np.arange(2)[:, None] == 1, np.nan, properties)
    np.testing.assert_array_equal(target_distance(unknown, {"volume_fraction": 0.4}), [0.0, np.nan])


def test_ratio_is_one_within_ranges_and_the_geometric_mean_of_several() -> None:
    properties = np.array([[50.0, 10.0, 33.0, 1, 1, 1], [60.0, 20.0, 45.0, 1, 1, 1]])
    np.testing.assert_allclose(target_ratio(properties, {"C11": 40.0}), [0.8, 2.0 / 3.0])
    np.testing.assert_allclose(target_ratio(properties, {"C33": (30.0, 40.0)}), [1.0, 40.0 / 45.0])
    np.testing.assert_allclose(
        target_ratio(properties, {"C11": 50.0, "C22": 40.0}), [2.0, np.sqrt(2.0 * 5.0 / 6.0)]
    )
    np.testing.assert_array_equal(target_ratio(properties, {"volume_fraction": 0.4}), [1.0, 1.0])
