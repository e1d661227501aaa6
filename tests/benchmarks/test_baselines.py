"""What stands beside the model: baselines, its components in a picture, the card from stored figures."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmark_programs import benchmark, module
from PIL import Image

from vaereg.evaluation.figures import held_out_rows
from vaereg.evaluation.model_card import model_card
from vaereg.evaluation.pair_card import pair_section
from vaereg.evaluation.records import read_record
from vaereg.io.datasets import Dataset, known_indices
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from vaereg.model.config import PRESETS

ROOT = Path(__file__).parents[2]
FAMILY = "gaussian-free"
ABLATIONS = ("paper", "single-gaussian")
NAMES = ("volume fraction", "two-point statistics", "five-block CNN", "forward-only encoder")


@pytest.fixture(scope="module")
def out(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_dataset_path: Path,
    tiny_checkpoint_path: Path,
) -> Path:
    """Record of all baselines, of seconds, and of two ablations, of steps."""
    out = tmp_path_factory.mktemp("baselines") / "record.json"
    flags = ["--data", tiny_dataset_path, "--checkpoint", tiny_checkpoint_path, "--out", out]
    benchmark("baselines", *flags, "--held-out", FAMILY, "--minutes", 0.005)
    few = ["--steps", 2, "--targets", 1, "--count", 2]
    benchmark("ablations", *flags, *few, "--only", *ABLATIONS)
    return out


@pytest.fixture(scope="module")
def record(out: Path) -> dict[str, Any]:
    return read_record(out, "baselines")


def test_every_baseline_is_tested_on_the_same_volumes(record: dict[str, Any], tiny_dataset: Dataset) -> None:
    settings, result = record["settings"], record["figures"]["baselines"]
    assert tuple(result) == NAMES
    assert settings["training_volumes"] == len(known_indices(tiny_dataset, "train", (FAMILY,)))
    assert settings["test_volumes"] == len(known_indices(tiny_dataset, "test", (FAMILY,)))
    assert settings["held_out"] == [FAMILY]
    assert settings["held_out_volumes"] == len(held_out_rows(tiny_dataset, (FAMILY,)))
    for item in result.values():
        assert FAMILY not in item["test"]["mape_axial_by_family"]
        assert list(item["held_out"]["mape_axial_by_family"]) == [FAMILY]
        assert 0.0 < item["test"]["mape_axial"] < 3.0


def test_two_point_statistics_know_more_than_the_volume_fraction(record: dict[str, Any]) -> None:
    result = record["figures"]["baselines"]
    errors = [result[name]["test"]["mape_axial"] for name in NAMES[:2]]
    assert errors[1] < 0.8 * errors[0]


def test_networks_are_trained_for_the_same_time(record: dict[str, Any]) -> None:
    for name in NAMES[2:]:
        settings = record["figures"]["baselines"][name]["settings"]
        assert settings["steps"] >= 1 and settings["parameters"] > 1000


def test_ablations_are_trained_alike(record: dict[str, Any], tiny_checkpoint: Checkpoint) -> None:
    runs = record["figures"]["runs"]
    assert tuple(runs) == ABLATIONS
    for run in runs.values():
        assert (run["settings"]["steps"], run["settings"]["encoder_of"]) == (2, tiny_checkpoint.hash)
        assert run["inverse"]["targets"] == 1 and run["inverse"]["median_error"] > 0.0
        assert all(ratio > 0.0 for ratio in run["decoded_against_real"].values())
    assert runs["single-gaussian"]["components_effective"] == 1.0


def test_an_ablation_takes_one_claim_away(tiny_checkpoint: Checkpoint) -> None:
    altered, default = module("ablations")._altered, PRESETS["default"]
    own = tiny_checkpoint.config
    single = PRESETS["single-gaussian"]
    assert altered(own.model, single.model, default.model) == dataclasses.replace(own.model, components=1)
    assert altered(own.training, default.training, default.training) == own.training


def test_entries_of_other_data_are_dropped(
    out: Path, tmp_path: Path, tiny_dataset_path: Path, tiny_checkpoint_path: Path
) -> None:
    """The tiny model left nothing out: without the flag the split is another one."""
    again = tmp_path / "again.json"
    again.write_text(out.read_text())
    flags = ["--data", tiny_dataset_path, "--checkpoint", tiny_checkpoint_path, "--only", "volume fraction"]
    benchmark("baselines", *flags, "--out", again)
    figures = read_record(again, "baselines")["figures"]
    assert list(figures["baselines"]) == ["volume fraction"]
    assert tuple(figures["runs"]) == ABLATIONS


def test_the_published_network_is_as_published() -> None:
    network = module("baselines").FiveBlocks(32)
    layers = [module for module in network.modules() if not list(module.children())]
    channels = [layer.out_channels for layer in layers if isinstance(layer, torch.nn.Conv3d)]
    widths = [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert (channels, widths) == ([16, 32, 64, 128, 256], [2048, 1024, 6])
    assert network(torch.zeros(2, 1, 32, 32, 32)).shape == (2, 6)


def test_statistics_turn_with_the_volume(rng: np.random.Generator) -> None:
    """What boosting reads of one axis is what it reads of another of the turned volume."""
    statistics = module("baselines")._statistics
    volume = (rng.random((16, 16, 16)) < 0.4).astype(np.uint8)
    result = statistics(volume)
    np.testing.assert_allclose(statistics(volume.transpose(1, 2, 0)), result[[1, 2, 0]], atol=1e-12)
    np.testing.assert_allclose(statistics(volume[:, ::-1]), result, atol=1e-12)


def test_components_are_drawn(tmp_path: Path, tiny_checkpoint_path: Path) -> None:
    path = tmp_path / "components.png"
    flags = ["--checkpoint", tiny_checkpoint_path, "--size", 16, "--out", path]
    benchmark("components", *flags)
    with Image.open(path) as picture:
        assert picture.width > picture.height > 200
    assert (ROOT / "docs" / "components.png").stat().st_size < 500_000


def any_two_phases() -> str:
    """Part of the card on any two phases, from the stored records."""
    records = [
        read_record(ROOT / "benchmarks" / "results" / f"{name}.json", name)
        for name in ("materials", "materials_held_out", "materials_encoder")
    ]
    return pair_section(*records)


def test_the_card_is_made_again_from_stored_figures(
    tmp_path: Path,
    out: Path,
    tiny_checkpoint_path: Path,
    tiny_checkpoint: Checkpoint,
    tiny_metrics: dict[str, Any],
) -> None:
    metrics, card = tmp_path / "metrics.json", tmp_path / "card.md"
    metrics.write_text(json.dumps(tiny_metrics))
    flags = ["--checkpoint", tiny_checkpoint_path, "--metrics", metrics, "--baselines", out, "--out", card]
    benchmark("model_card", *flags)
    expected = model_card(
        tiny_checkpoint, tiny_metrics, read_record(out, "baselines"), pairs=any_two_phases()
    )
    assert card.read_text(encoding="utf-8") == expected


def test_the_card_is_that_of_the_shipped_model() -> None:
    metrics = json.loads(DEFAULT_CHECKPOINT.with_suffix(".json").read_text(encoding="utf-8"))
    stored = ROOT / "benchmarks" / "results" / "baselines.json"
    expected = model_card(
        load_checkpoint(), metrics, read_record(stored, "baselines"), pairs=any_two_phases()
    )
    actual = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert actual == expected, "run `python -m vaereg evaluate --card`, or benchmarks/model_card.py"
