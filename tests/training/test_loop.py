"""Training: data that follow the cube's symmetry, runs that can be interrupted, what is fitted at the end."""

import csv
import dataclasses
import math
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vaereg.generators.families import family_weights, gaussian_field
from vaereg.io.datasets import Dataset
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.config import PRESETS, RunConfig
from vaereg.solver.homogenization import homogenize
from vaereg.training.augmentation import augment
from vaereg.training.card import training_card
from vaereg.training.fitting import encode_all
from vaereg.training.loop import (
    CONFIG_FILE,
    LOG_FILE,
    STATE_FILE,
    TrainingResult,
    _Loop,
    train,
)
from vaereg.training.losses import TERMS

Progress = Callable[[int, int, dict[str, float]], None]


def settings(**changes: int | float) -> RunConfig:
    """The tiny preset with other settings of training."""
    tiny = PRESETS["tiny"]
    return dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, **changes))


def weights(result: TrainingResult) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in result.model.state_dict().items()}


def log_rows(out: Path) -> list[dict[str, str]]:
    with (out / LOG_FILE).open(newline="") as file:
        return list(csv.DictReader(file))


def stop_at(last: int) -> Progress:
    def interrupt(step: int, steps: int, terms: dict[str, float]) -> None:
        if step == last:
            raise KeyboardInterrupt

    return interrupt


def test_properties_follow_the_axes(rng: np.random.Generator, generator: torch.Generator) -> None:
    """Every symmetry that is drawn gives the volume that the solver finds the permuted properties for."""
    volume = gaussian_field(8, (0.6, 1.2, 3.0), 0.4, generator=rng)
    before = np.diag(homogenize(volume).stiffness)
    assert np.ptp(before[:3]) > 0.1 * before[:3].min() and np.ptp(before[3:]) > 0.1 * before[3:].min()
    copies = 30
    volumes, properties = augment(
        torch.from_numpy(volume).float().expand(copies, -1, -1, -1),
        torch.tensor(before).expand(copies, -1),
        generator=generator,
    )
    for turned, expected in zip(volumes.numpy(), properties.numpy(), strict=True):
        assert turned.sum() == volume.sum()
        np.testing.assert_allclose(np.diag(homogenize(turned).stiffness), expected, rtol=1e-5)
    assert len({tuple(row.tolist()) for row in properties}) == 6, "all orders of the axes are drawn"
    assert len({turned.numpy().tobytes() for turned in volumes}) == copies


def test_all_symmetries_of_the_cube_are_drawn(generator: torch.Generator) -> None:
    """48 of them, each with shifts by any number of voxels."""
    corner = torch.zeros(4, 4, 4)
    corner[0, 0, 0], corner[0, 0, 1], corner[0, 2, 0] = 1.0, 2.0, 3.0
    corner[1, 1, 2] = 4.0
    turned, _ = augment(corner.expand(3000, -1, -1, -1), torch.ones(3000, 6), generator=generator)
    seen, places = set(), set()
    for volume in turned:
        place = tuple(torch.nonzero(volume == 1.0)[0].tolist())
        places.add(place)
        seen.add(volume.roll([-index for index in place], (0, 1, 2)).numpy().tobytes())
    assert len(seen) == 48
    assert len(places) == 64


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))  # two ticks a step
    monkeypatch.setattr("vaereg.training.loop.time", clock)
    config, before = settings(checkpoint_minutes=0.2), torch.get_rng_state()
    whole = train(small_dataset, tmp_path / "whole", config)
    assert torch.equal(torch.get_rng_state(), before), "the library never seeds globally"
    with pytest.raises(KeyboardInterrupt):
        train(small_dataset, tmp_path / "parts", config, on_progress=stop_at(20))
    # the row of step 20 was written, the state after it was not: the row belongs to work that is lost
    assert [row["step"] for row in log_rows(tmp_path / "parts")] == ["20"]
    saved = torch.load(tmp_path / "parts" / STATE_FILE, weights_only=True)["step"]
    assert 10 <= saved < 20
    resumed = train(small_dataset, tmp_path / "parts", config, resume=True)
    assert weights(resumed) == weights(whole)
    assert resumed.steps == whole.steps == 40
    timeless = [[{**row, "seconds": ""} for row in log_rows(tmp_path / name)] for name in ("whole", "parts")]
    assert timeless[0] == timeless[1]
    assert [row["step"] for row in timeless[0]] == ["20", "40"]

    again = train(small_dataset, tmp_path / "parts", config, resume=True)
    assert weights(again) == weights(whole), "a finished run is left as it is"
    with pytest.raises(ValueError, match="another configuration"):
        train(small_dataset, tmp_path / "parts", settings(checkpoint_minutes=0.2, seed=1), resume=True)
    with pytest.raises(ValueError, match="holds a run already"):
        train(small_dataset, tmp_path / "parts", config)


def test_the_log_has_every_term(small_dataset: Dataset, tmp_path: Path) -> None:
    config, reports = settings(steps=20, pixel_weight=1.0), []
    result = train(
        small_dataset,
        tmp_path,
        config,
        on_progress=lambda *report: reports.append((*report[:2], dict(report[2]))),
    )
    (row,) = log_rows(tmp_path)
    assert list(row) == ["step", "seconds", *TERMS, "validation_mape"]
    assert row["step"] == "20" and abs(float(row["seconds"]) - result.seconds) < 0.5
    assert all(math.isfinite(float(row[name])) for name in TERMS)
    ((step, steps, terms),) = reports
    assert (step, steps) == (20, 20)
    assert {name: float(row[name]) for name in TERMS} == pytest.approx(
        {name: terms[name] for name in TERMS}, rel=1e-4
    )
    assert RunConfig.from_json((tmp_path / CONFIG_FILE).read_text()) == config


def test_seeds_make_runs(small_dataset: Dataset, tmp_path: Path) -> None:
    first, same, other = (
        weights(train(small_dataset, tmp_path / str(i), settings(steps=3, seed=seed)))
        for i, seed in enumerate((0, 0, 1))
    )
    assert first == same
    assert all(first[name] != other[name] for name in first if not name.startswith("property_"))


def test_the_running_mean_of_one_step_is_the_model(small_dataset: Dataset, tmp_path: Path) -> None:
    """With nothing kept of former weights; else it lags behind them."""
    for average in (0.0, 0.9):
        result = train(small_dataset, tmp_path / str(average), settings(steps=12, average=average))
        state = torch.load(tmp_path / str(average) / STATE_FILE, weights_only=True)["model"]
        equal = all(torch.equal(tensor, state[name]) for name, tensor in result.model.state_dict().items())
        assert equal == (average == 0.0)


def test_a_limit_of_time_ends_a_run_early(small_dataset: Dataset, tmp_path: Path) -> None:
    result = train(small_dataset, tmp_path, settings(), max_minutes=1e-4)
    assert 1 <= result.steps < 40
    assert (tmp_path / STATE_FILE).exists()


def test_the_learning_rate_rises_and_falls(small_dataset: Dataset, tmp_path: Path) -> None:
    config = settings(steps=100, warmup=10, learning_rate=1.0)
    loop = _Loop(small_dataset, tmp_path, config, torch.device("cpu"), max_minutes=1.0)
    rates = []
    for step in range(101):
        loop.step = step
        loop._set_learning_rate()
        rates.append(loop.optimiser.param_groups[0]["lr"])
    assert rates[0] < 0.15
    assert max(rates) > 0.9 and rates.index(max(rates)) == 9
    assert all(after < before for before, after in pairwise(rates[9:]))
    assert rates[100] == pytest.approx(0.01)
    loop.step, loop.seconds = 0, 60.0  # time is up
    loop._set_learning_rate()
    assert loop.optimiser.param_groups[0]["lr"] == pytest.approx(0.01)


def labelled(dataset: Dataset, **changes: np.ndarray) -> Dataset:
    return dataclasses.replace(dataset, samples=dataclasses.replace(dataset.samples, **changes))


def test_a_loss_that_is_not_finite_ends_the_run(small_dataset: Dataset, tmp_path: Path) -> None:
    stiffness = small_dataset.samples.stiffness.copy()
    stiffness[small_dataset.indices("train"), 0, 0] = np.nan
    with pytest.raises(RuntimeError, match="the loss is not finite at step [0-9]+: .*'regression': nan"):
        train(labelled(small_dataset, stiffness=stiffness), tmp_path, settings())


def test_validation_is_the_error_of_the_running_mean(small_dataset: Dataset, tmp_path: Path) -> None:
    """Over C11, C22, C33 of the validation split."""
    loop = _Loop(small_dataset, tmp_path, settings(), torch.device("cpu"), max_minutes=None)
    rows = small_dataset.indices("validation")
    stiffness = small_dataset.samples.stiffness[rows].astype(np.float64)
    mean, _, _ = encode_all(loop.average, small_dataset.volumes(rows))
    errors = [abs(mean[n, i] / stiffness[n, i, i] - 1.0) for n in range(len(rows)) for i in range(3)]
    assert loop._validate() == pytest.approx(np.mean(errors), rel=1e-5)


def test_data_that_do_not_suffice(small_dataset: Dataset, tmp_path: Path) -> None:
    small_dataset = dataclasses.replace(small_dataset, split=np.full(len(small_dataset), "test"))
    with pytest.raises(ValueError, match="expected at least 8 training volumes and one for .*, got 0 and 0"):
        train(small_dataset, tmp_path, settings())
    alone = dataclasses.replace(small_dataset, split=np.full(len(small_dataset), "train"))
    with pytest.raises(ValueError, match="got 112 and 0"):
        train(alone, tmp_path, settings())
    assert not list(tmp_path.iterdir())


def test_there_is_nothing_to_resume(small_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no run to resume in {tmp_path}"):
        train(small_dataset, tmp_path, settings(), resume=True)


def test_only_the_training_split_teaches(small_dataset: Dataset, tmp_path: Path) -> None:
    """Labels of the other splits may be anything, not even numbers, and change no weight."""
    stiffness = small_dataset.samples.stiffness.copy()
    for split in ("validation", "test"):
        stiffness[small_dataset.indices(split)] = np.nan
    first, second = (
        train(data, tmp_path / name, settings(steps=6))
        for name, data in (("a", small_dataset), ("b", labelled(small_dataset, stiffness=stiffness)))
    )
    assert weights(first) == weights(second)


def test_the_card_has_the_command_that_makes_the_data(small_dataset: Dataset, tmp_path: Path) -> None:
    result = train(small_dataset, tmp_path, settings(steps=1))
    uneven = {"gaussian-free": 0.3, "gaussian-rod-x": 0.7}
    shares = {"gaussian": family_weights("gaussian"), "gaussian-rod-x": {"gaussian-rod-x": 1.0}}
    for families, actual in {**shares, str(uneven): uneven}.items():
        plan = dataclasses.replace(small_dataset.plan, families=actual)
        card = training_card(dataclasses.replace(small_dataset, plan=plan), PRESETS["tiny"], result, "cpu")
        expected = f"python -m vaereg generate --count 112 --seed 1 --size 8 --families {families}"
        assert card["data"] == expected


def test_a_run_is_not_resumed_on_other_data(small_dataset: Dataset, tmp_path: Path) -> None:
    train(small_dataset, tmp_path, settings(steps=1))
    plan = dataclasses.replace(small_dataset.plan, seed=small_dataset.plan.seed + 1)
    other = dataclasses.replace(small_dataset, plan=plan)
    with pytest.raises(ValueError, match="another data set"):
        train(other, tmp_path, settings(steps=1), resume=True)


def test_a_damaged_state_is_named(small_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"no state")
    with pytest.raises(ValueError, match="damaged"):
        train(small_dataset, tmp_path, settings(), resume=True)


def test_a_fresh_run_begins_its_log_anew(small_dataset: Dataset, tmp_path: Path) -> None:
    """A run that was killed before its first saved state leaves a log behind."""
    (tmp_path / LOG_FILE).write_text("step,seconds\n20,1.0\n")
    train(small_dataset, tmp_path, settings(steps=20))
    assert [row["step"] for row in log_rows(tmp_path)] == ["20"]


def test_a_regressor_is_taken_over_and_stays(small_dataset: Dataset, tmp_path: Path) -> None:
    """Also after a run is resumed; all else is trained."""
    first = train(small_dataset, tmp_path / "first", settings(steps=6)).model
    config = settings(steps=8, checkpoint_minutes=0.0, seed=3)
    with pytest.raises(KeyboardInterrupt):
        train(small_dataset, tmp_path / "own", settings(steps=20), regressor=first, on_progress=stop_at(20))
    model = train(small_dataset, tmp_path / "second", config, regressor=first).model
    again = train(small_dataset, tmp_path / "second", config, resume=True, regressor=first).model
    with pytest.raises(ValueError, match="begun from another model, or from none"):
        train(small_dataset, tmp_path / "second", config, resume=True)
    for result in (model, again):
        for part, kept in (("encoder", True), ("property_head", True), ("decoder", False)):
            own, rest = (
                torch.cat([p.flatten() for p in getattr(item, part).parameters()]) for item in (result, first)
            )
            assert torch.equal(own, rest) == kept, part
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, widths=(4, 8)))
    with pytest.raises(ValueError, match="expected a model of the shape"):
        train(small_dataset, tmp_path / "third", other, regressor=first)


def test_a_model_goes_on_with_volumes_of_several_sizes(
    tiny_checkpoint: Checkpoint, sized_set: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regressor learns, prior and decoder stay, latent vectors stay nearly; every size is trained on."""
    former = tiny_checkpoint.model
    shapes = []
    turned = _Loop._turned

    def spy(loop: _Loop, rows: np.ndarray, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        shapes.append((len(rows), sized_set.samples.size[rows].tolist()))
        return turned(loop, rows, generator)

    monkeypatch.setattr(_Loop, "_turned", spy)
    config = settings(forward_share=1.0, steps=30)
    result = train(sized_set, tmp_path, config, regressor=former)
    assert {(count, *set(sizes)) for count, sizes in shapes} == {(8, 8), (8, 16)}
    before, after = former.state_dict(), result.model.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"encoder", "property_head", "latent_head"}
    rows = sized_set.indices("test", size=16)
    volumes = torch.from_numpy(sized_set.volumes(rows)).float()[:, None]
    with torch.inference_mode():
        old, new = former.encode(volumes), result.model.encode(volumes)
    assert not torch.allclose(old.statistics, new.statistics, rtol=1e-3)
    error = (new.latent_mean - old.latent_mean).square().mean()
    assert error < 0.2 * old.latent_mean.var(0).mean()
    card = training_card(sized_set, config, result, "cpu", tiny_checkpoint)
    assert str(card["continued from"]).endswith("prior and decoder are its")
    assert card["cell"] == "8³ to 16³ voxels, periodic"
