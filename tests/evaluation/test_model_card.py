"""The model card renders what was measured."""

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.evaluation.model_card import compact_json, model_card
from vaereg.evaluation.records import read_record
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.config import PRESETS

Metrics = dict[str, Any]


@pytest.fixture
def baselines(tiny_metrics: Metrics, tiny_checkpoint: Checkpoint) -> dict[str, Any]:
    """A record as of benchmarks/baselines.py, of the same data."""
    data = {key: value for key, value in tiny_metrics["data"].items() if key not in ("split", "volumes")}
    entry = {"settings": {"steps": 1234, "cpu_minutes": 2.5}, "test": tiny_metrics["forward"]["encoder"]}
    run = {key: tiny_metrics[key] for key in ("inverse_one", "inverse", "inverse_six")} | {
        "settings": {"steps": 9, "encoder_of": tiny_checkpoint.hash},
        "components_used": 1,
        "components_effective": 1.0,
        "decoded_against_real": {"two_point": 1.0, "lineal_path": 1.2, "specific_surface": None},
    }
    return {
        "benchmark": "baselines",
        "settings": {"data": data, "held_out": []},
        "figures": {"baselines": {"small network": entry}, "runs": {"one Gaussian": run}},
    }


def test_the_card_renders(tiny_metrics: Metrics, tiny_checkpoint: Checkpoint) -> None:
    text = model_card(tiny_checkpoint, tiny_metrics)
    assert text.startswith("# Model card\n") and text.endswith("\n")
    assert tiny_checkpoint.hash in text
    for key, value in tiny_checkpoint.card.items():
        assert f"| {key} | {value} |" in text
    for name in (*PROPERTIES, *tiny_metrics["forward"]["guided"]["mape_axial_by_family"]):
        assert name in text
    assert f"**{tiny_metrics['forward']['guided']['mape_axial']:.2%}**" in text
    for kind in ("inverse_one", "inverse", "inverse_six"):
        assert f"{tiny_metrics[kind]['median_error']:.1%}" in text
    for component in tiny_metrics["components"]["by_component"].values():
        assert f"| {component['name']} |" in text
    assert "best of 3 by prediction" in text
    assert not re.search(r"\b(nan|None|inf)\b", text)
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120
    start = text.index("```json") + len("```json")
    assert json.loads(text[start : text.rindex("```")]) == json.loads(tiny_checkpoint.config.to_json())


def test_tables_are_rectangular(tiny_metrics: Metrics, tiny_checkpoint: Checkpoint) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", model_card(tiny_checkpoint, tiny_metrics), re.MULTILINE):
        assert len({line.count(" |") for line in block.splitlines()}) == 1, block


def test_the_card_names_what_went_into_the_checkpoint(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint
) -> None:
    assert "ImageNet" not in model_card(tiny_checkpoint, tiny_metrics)
    other = dataclasses.replace(tiny_checkpoint, config=PRESETS["default"])
    assert "ImageNet, whose terms are non-commercial research" in model_card(other, tiny_metrics)


def test_the_card_shows_families_that_training_left_out(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint
) -> None:
    assert "never saw\n" not in model_card(tiny_checkpoint, tiny_metrics)
    metrics = copy.deepcopy(tiny_metrics)
    tiers = {tier: metrics["forward"][tier] for tier in ("pairs", "guided", "encoder")}
    families = tiers["guided"]["mape_axial_by_family"]
    metrics["held_out"] = {"volumes": 77, **tiers}
    metrics["novelty"]["held_out"] = dict.fromkeys(families, 0.875)
    text = model_card(tiny_checkpoint, metrics)
    section = text[text.index("## Families that training never saw") : text.index("## Calibration")]
    assert "77 volumes" in section
    assert section.count(" 88% |") == len(families) + 1


def test_baselines_stand_beside_the_model(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint, baselines: dict[str, Any]
) -> None:
    text = model_card(tiny_checkpoint, tiny_metrics, baselines)
    assert "| small network |" in text
    assert "small network: 1,234 steps, 2.5 cpu minutes." in text
    assert "| one Gaussian |" in text and "| this model |" in text


@pytest.mark.parametrize("key", ["data", "held_out"])
def test_baselines_of_other_data_are_left_out(
    key: str, tiny_metrics: Metrics, tiny_checkpoint: Checkpoint, baselines: dict[str, Any]
) -> None:
    changed = {"data": {**baselines["settings"]["data"], "seed": 99}, "held_out": ["spheres"]}
    baselines["settings"][key] = changed[key]
    text = model_card(tiny_checkpoint, tiny_metrics, baselines)
    assert "small network" not in text
    assert "| volume fraction |" in text


def test_metrics_of_another_checkpoint_are_refused(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint
) -> None:
    with pytest.raises(ValueError, match=f"expected metrics of checkpoint {tiny_checkpoint.hash}, got abc"):
        model_card(tiny_checkpoint, {**tiny_metrics, "checkpoint": "abc"})


def test_lists_of_numbers_take_one_line() -> None:
    content = {"name": "[1,\n 2]", "numbers": [1, 2.5, -3e-7], "words": ["a", "b"], "rows": [[1, 2], [3]]}
    text = compact_json(content)
    assert json.loads(text) == content
    assert '"numbers": [ 1, 2.5, -3e-07 ]' in text
    with pytest.raises(ValueError):
        compact_json({"bad": [float("nan")]})


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"benchmark": "families"}'])
def test_what_is_no_record_of_baselines(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="record of (baselines|benchmarks/baselines.py) in .*record.json"):
        read_record(path, "baselines")


def test_a_record_of_baselines_is_read(tmp_path: Path, baselines: dict[str, Any]) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(baselines))
    assert read_record(path, "baselines") == baselines
