"""Inverse design: the same seed, the same voxels; every component has its share; targets must be possible."""

import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from vaereg.elasticity import PROPERTIES
from vaereg.inverse import direct as module
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design, more_like
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.sampling import judging, proposals, realising, selecting
from vaereg.materials import choose_materials
from vaereg.model import prediction
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.prediction import predict
from vaereg.targets import Target, parse, target_distance

TARGETS: dict[str, Target] = {"C11": 45.0, "C33": (25.0, 35.0)}


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
    result = predict(tiny_checkpoint, designs.microstructures)
    np.testing.assert_allclose(designs.mean, result.mean, rtol=1e-4)
    np.testing.assert_allclose(designs.std, result.std, rtol=1e-4)
    np.testing.assert_allclose(designs.mean_distance, target_distance(designs.mean, TARGETS))
    np.testing.assert_array_equal(designs.fraction, designs.microstructures.mean((1, 2, 3)))


def test_designs_are_ordered_and_shared_by_the_components(designs: Designs) -> None:
    """Evenly; the first ones get what is left over. Within a component the nearest comes first."""
    assert designs.component.tolist() == [0, 0, 0, 0, 1, 1, 1]
    for component in range(2):
        errors = designs.mean_distance[designs.component == component]
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
    first, two = (
        design(tiny_checkpoint, all_fixed, 1, 16, seed=seed, only_plausible=False) for seed in (0, 1)
    )
    assert not np.array_equal(first.latent, two.latent), "nothing but z and the noise is left to draw"


def test_the_order_of_targets_does_not_matter(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    other = design(tiny_checkpoint, dict(reversed(TARGETS.items())), 7, 16, seed=3)
    assert other.microstructures.tobytes() == designs.microstructures.tobytes()


@pytest.mark.parametrize("component", [0, 1])
def test_one_component_alone(component: int, tiny_checkpoint: Checkpoint) -> None:
    result = design(tiny_checkpoint, TARGETS, 3, 16, component=component)
    assert result.component.tolist() == [component] * 3
    assert len({volume.tobytes() for volume in result.microstructures}) == 3
    assert result.weights.shape == (2,)


def test_latent_vectors_come_from_their_component(tiny_checkpoint: Checkpoint) -> None:
    """Under the prior at the (full) target each is most likely from the component that it is listed with."""
    target = {"C11": 40.0, "C22": 35.0, "C33": 35.0, "C44": 9.0, "C55": 9.0, "C66": 10.0}
    result = [design(tiny_checkpoint, target, 24, 16, only_plausible=False, seed=seed) for seed in range(4)]
    latent = torch.from_numpy(np.concatenate([designs.latent for designs in result]))
    component = np.concatenate([designs.component for designs in result])
    prior = tiny_checkpoint.model.prior(torch.tensor(list(target.values())).expand(len(latent), -1))
    likely = prior.component_log_prob(latent) - prior.log_weights
    agreeing = int((likely.argmax(1).numpy() == component).sum())
    assert binomtest(agreeing, len(component), 0.5, alternative="greater").pvalue < 1e-3


@pytest.mark.parametrize(("count", "size"), [(1, 16), (1, 24), (2, 40)])
def test_any_count_and_size(count: int, size: int, tiny_checkpoint: Checkpoint) -> None:
    result = design(tiny_checkpoint, {"C22": 40.0}, count, size)
    assert result.microstructures.shape == (count, size, size, size)
    assert result.component.tolist() == list(range(count))


@pytest.mark.parametrize(
    ("knob", "more", "target"),
    [
        ("_POOL", 256, 30.0),
        ("_LATENTS_PER_DESIGN", 8, 45.0),
        ("_MORE_DRAWS", 8, 45.0),
        ("CUTS", 2, 45.0),
    ],
)
def test_choosing_pays(
    knob: str, more: int, target: float, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More to choose from, at each of the stages alone, gives designs that are predicted nearer.

    By the regressor that chooses: the last word of the physics-guided one is left out.
    """
    monkeypatch.setattr(judging, "predict", partial(predict, guided=False))
    # an answer is averaged over the orders of the axes, what ranks many candidates is not
    monkeypatch.setattr(prediction, "encode_averaged", lambda model, batch: model.encode(batch))

    def mean_error() -> float:
        return float(
            np.mean(
                [
                    design(tiny_checkpoint, {"C11": target}, 4, 16, seed=seed).mean_distance
                    for seed in range(6)
                ]
            )
        )

    def turn(name: str, value: int) -> None:
        for place in (module, proposals, realising):
            if hasattr(place, name):
                monkeypatch.setattr(place, name, value)

    for name, least in (("_POOL", 32), ("_LATENTS_PER_DESIGN", 1), ("_MORE_DRAWS", 0), ("CUTS", 1)):
        turn(name, least)
    before = mean_error()
    turn(knob, more)
    assert mean_error() < 0.8 * before


def test_progress_is_told_and_may_end_it_all(
    tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells are decoded one by one, as large ones are."""
    monkeypatch.setattr(realising, "_VOXELS_AT_ONCE", 16**3)
    told: list[tuple[int, int]] = []
    result = design(tiny_checkpoint, TARGETS, 2, 16, seed=1, on_progress=lambda *item: told.append(item))
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(set(done)) and len(set(totals)) == 1
    assert done[0] == 1 and done[-1] <= totals[0]
    alike = design(tiny_checkpoint, TARGETS, 2, 16, seed=1)
    np.testing.assert_array_equal(alike.microstructures, result.microstructures)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt, match=f"^{done[0]} of {totals[0]}$"):
        design(tiny_checkpoint, TARGETS, 2, 16, seed=1, on_progress=stop)


def test_the_worst_component_gets_most_draws(designs: Designs) -> None:
    result = replace(designs, score=np.where(designs.component == 1, 0.2, 0.1))
    again = selecting.drawn_again(result, np.arange(len(result.mean_distance)), 50)
    counts = np.bincount(result.component[again])
    rest = len(counts) - 1
    assert counts[1] == 50 * 4 // (4 + rest)
    assert set(np.delete(counts, 1)) == {50 // (4 + rest)}
    np.testing.assert_array_equal(
        np.unique(again), np.arange(len(result.mean_distance)), err_msg="each latent vector is drawn again"
    )
    exact = replace(designs, score=np.zeros(len(designs.score)))
    assert len(selecting.drawn_again(exact, np.arange(len(exact.mean_distance)), 50)) == 0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "expected at least one target property"),
        ({"C99": 1.0}, "C99"),
        ({"C12": 10.0}, "it has no modes"),
        ({"C11": -3.0}, "C11 must be a positive number of GPa, or a range low:high, got -3.0"),
        ({"C11": 0.0}, "C11 must be a positive number"),
        ({"C11": (60.0, 40.0)}, r"C11 must be a positive .* got \(60.0, 40.0\)"),
        ({"C11": (-1.0, 40.0)}, "C11 must be a positive number"),
        ({"C11": float("nan")}, "C11 must be a positive number"),
        ({"C11": (10.0, float("inf"))}, "C11 must be a positive number"),
        ({"volume_fraction": 1.0}, "volume_fraction must be between 0 and 1"),
        ({"volume_fraction": (0.0, 0.5)}, "volume_fraction must be between 0 and 1"),
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


@pytest.mark.parametrize("fraction", [0.5, (0.42, 0.46)])
def test_volume_fractions_are_met_to_the_voxel(fraction: Target, tiny_checkpoint: Checkpoint) -> None:
    result = design(tiny_checkpoint, {"C11": 40.0, "volume_fraction": fraction}, 4, 16)
    low, high = fraction if isinstance(fraction, tuple) else (fraction, fraction)
    tolerance = 0.5 / 16**3
    assert (result.fraction >= low - tolerance).all() and (result.fraction <= high + tolerance).all()
    off = target_distance(result.mean, {"C11": 40.0})
    np.testing.assert_allclose(result.largest_deviation, off, atol=2.0 * tolerance)


def test_the_volume_fraction_alone_is_a_target(tiny_checkpoint: Checkpoint) -> None:
    result = design(tiny_checkpoint, {"volume_fraction": 0.4}, 3, 16)
    assert (result.largest_deviation < 2.0 / 16**3).all()
    np.testing.assert_allclose(result.fraction, 0.4, atol=0.5 / 16**3)


def _threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_more_like_a_design(designs: Designs, tiny_checkpoint: Checkpoint) -> None:
    """Other voxels of the same latent vector; the nearest to the target first."""
    result = more_like(tiny_checkpoint, designs, 5, 3, seed=1)
    assert (result.latent == designs.latent[5]).all() and (result.component == designs.component[5]).all()
    assert (result.targets, result.size, result.seed) == (designs.targets, 16, 1)
    assert len({volume.tobytes() for volume in [*result.microstructures, designs.microstructures[5]]}) == 4
    assert (np.diff(result.mean_distance) >= 0.0).all()
    np.testing.assert_allclose(result.mean, predict(tiny_checkpoint, result.microstructures).mean, rtol=1e-4)
    assert _threads_of_a_new_thread() == torch.get_num_threads()
    told: list[tuple[int, int]] = []
    again = more_like(tiny_checkpoint, designs, 5, 3, seed=1, on_progress=lambda *item: told.append(item))
    assert again.mean.tobytes() == result.mean.tobytes()
    assert told[-1] == (15, 15)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"index": 7}, "index must be between 0 and 6, got 7"),
        ({}, {"count": 0}, "count must be between 1 and 256, got 0"),
        ({}, {"seed": -1}, "seed must be between 0"),
        ({"checkpoint": "other"}, {}, "expected designs of the checkpoint"),
    ],
)
def test_relatives_that_cannot_be_had(
    change: dict[str, str],
    arguments: dict[str, int],
    message: str,
    designs: Designs,
    tiny_checkpoint: Checkpoint,
) -> None:
    with pytest.raises(ValueError, match=message):
        more_like(tiny_checkpoint, replace(designs, **change), **{"index": 0, "count": 2, **arguments})  # type: ignore[arg-type]


def test_large_cells_are_ranked_as_predict_sees_them(tiny_checkpoint: Checkpoint) -> None:
    result = design(tiny_checkpoint, TARGETS, 4, 48, component=0)
    np.testing.assert_allclose(result.mean, predict(tiny_checkpoint, result.microstructures).mean, rtol=1e-4)
    assert (np.diff(result.mean_distance) >= 0.0).all()


def test_designs_of_two_threads_at_once_leave_the_number_of_threads_alone(
    tiny_checkpoint: Checkpoint,
) -> None:
    """And have the digits of designs that are made one after the other; the second begins amid the first."""
    second: list[Future[Designs]] = []

    def begin_second(done: int, total: int) -> None:
        if not second:
            second.append(callers.submit(design, tiny_checkpoint, TARGETS, 8, 16, seed=1))

    torch.set_num_threads(2)
    try:
        alone = [design(tiny_checkpoint, TARGETS, 8, 16, seed=seed) for seed in range(2)]
        with ThreadPoolExecutor(2) as callers:
            first = callers.submit(
                design, tiny_checkpoint, TARGETS, 8, 16, seed=0, on_progress=begin_second
            ).result()
        together = [first, second[0].result()]
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for one_by_one, at_once in zip(alone, together, strict=True):
        for name in ("microstructures", "latent", "mean", "std"):
            assert getattr(one_by_one, name).tobytes() == getattr(at_once, name).tobytes()


def test_corrections_towards_conductivity_alone_tell_the_stiffness(modes_checkpoint_path: Path) -> None:
    pair = choose_materials("copper/epoxy").pairs[0]
    targets = parse(["k_x=150:"])
    made = design(
        load_checkpoint(modes_checkpoint_path),
        targets,
        2,
        16,
        materials=pair,
        corrections=1,
        only_plausible=False,
    )
    assert np.isfinite(made.mean).all() and np.isfinite(made.std).all()
    assert np.isfinite(made.stiffness).all() and np.isfinite(made.conductivity).all()


def test_bounds_that_a_symmetry_makes_tighter_are_those_that_are_told(modes_checkpoint_path: Path) -> None:
    checkpoint, wanted = load_checkpoint(modes_checkpoint_path), parse(["K=45", "volume_fraction=0.5"])
    with pytest.raises(ValueError, match="Hashin and Shtrikman's upper bound"):
        design(checkpoint, wanted, 1, 16, constraints=Constraints(symmetry="cubic"))


def test_designs_that_carry_no_load_spoil_no_others() -> None:
    """Among the modes of this target are grains in void, which touch nowhere."""
    targets = parse(["density=:1.5g/cm3"], maximize=["E_x"])
    result = design(
        load_checkpoint(),
        targets,
        4,
        16,
        materials=choose_materials("titanium/void").pairs[0],
        corrections=2,
        constraints=Constraints(symmetry="cubic"),
    )
    assert result.largest_deviation.max() < 0.02
    assert np.sort(result.cells.values(["E_x"])[:, 0])[1] > 5.0


def test_first_designs_have_the_properties_that_the_encoder_sees(tiny_checkpoint: Checkpoint) -> None:
    middle = np.median(tiny_checkpoint.fitted.property_quantiles, axis=0)
    first: list[Designs] = []
    design(tiny_checkpoint, {"C11": float(middle[0])}, 4, 16, corrections=1, on_first=first.append)
    seen = judging.Judge(tiny_checkpoint, first[0].wanted).quick(first[0].microstructures, None)
    np.testing.assert_allclose(first[0].mean, seen.mean, rtol=1e-4)
