"""Settings: checked when they are made, and the same after a trip through JSON."""

import dataclasses
import json
from typing import Any

import pytest

from vaereg.model.config import PRESETS, ModelConfig, RunConfig, TrainingConfig
from vaereg.training.features import load_features


@pytest.mark.parametrize("name", PRESETS)
def test_json_keeps_every_setting(name: str) -> None:
    config = PRESETS[name]
    text = config.to_json()
    assert set(json.loads(text)) == {"model", "training"}
    assert RunConfig.from_json(text) == config


def test_the_default_preset_is_the_default() -> None:
    assert PRESETS["default"] == RunConfig() == RunConfig.from_json("{}")


def test_settings_that_are_left_out_keep_their_defaults() -> None:
    config = RunConfig.from_json('{"model": {"widths": [4, 8], "latent": 3}, "training": {"average": 0}}')
    assert config.model == ModelConfig(widths=(4, 8), latent=3)
    assert config.training == TrainingConfig(average=0.0)
    assert hash(config) == hash(RunConfig.from_json(config.to_json()))


def test_the_tiny_preset_needs_no_download() -> None:
    settings = PRESETS["tiny"].training
    assert settings.features == "random-multiscale"
    maps = load_features(settings.features, layers=settings.feature_layers)
    assert 16 % maps.reduction == 0, "16-voxel cells must do"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["default"].training.steps = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"components": -1}, "components must be at least 1, got -1"),
        ({"widths": ()}, "widths must be positive channel counts"),
        ({"widths": (8, 0)}, "widths must be positive channel counts"),
    ],
)
def test_impossible_models(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, r"at least 1 step and a batch of 2, got 0 and \d+"),
        ({"batch_size": 1}, r"at least 1 step and a batch of 2, got \d+ and 1"),
        ({"decoded": 999}, "decoded must be between 1 and batch_size, got 999"),
        ({"style_volumes": 99}, "style_volumes must be between 1 and decoded, got 99"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"average": 1.0}, "average between 0 and 1"),
        ({"warmup": 0}, "warmup and style_every must be at least 1, got 0 and"),
        ({"style_every": 0}, r"warmup and style_every must be at least 1, got \d+ and 0"),
    ],
)
def test_impossible_training(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a JSON object of settings"),
        ("{'model': {}}", "expected a JSON object of settings"),
        ("[]", 'with the keys "model" and "training"'),
        ('{"modell": {}}', 'with the keys "model" and "training"'),
        ('{"model": null}', "expected settings of ModelConfig"),
        ('{"model": {"latents": 3}}', "expected settings of ModelConfig .*components.*got {'latents': 3}"),
        ('{"model": {"latent": 0}}', "latent must be at least 1"),
        ('{"model": {"latent": 4.5}}', "expected latent of type int, got 4.5"),
        ('{"model": {"latent": true}}', "expected latent of type int, got True"),
        ('{"model": {"widths": 5}}', "expected widths of type tuple, got 5"),
        ('{"model": {"widths": [8, "a"]}}', "expected widths of type tuple"),
        ('{"training": {"steps": "many"}}', "expected steps of type int, got 'many'"),
        ('{"training": {"learning_rate": "high"}}', "expected learning_rate of type float"),
        ('{"training": {"features": 3}}', "expected features of type str, got 3"),
    ],
)
def test_json_that_holds_no_settings(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunConfig.from_json(text)
