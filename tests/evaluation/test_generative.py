"""What the model makes, beside the data."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from vaereg.evaluation.generative import STATISTICS, decoder_figures, redraw, sample_distances
from vaereg.generators.families import FAMILIES, generate
from vaereg.generators.shapes import laminate
from vaereg.io.datasets import Dataset
from vaereg.model.checkpoint import Checkpoint

Metrics = dict[str, Any]


def test_components_have_shares_and_weights_that_add_up(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint
) -> None:
    result = tiny_metrics["components"]
    components = result["by_component"]
    assert list(components) == [str(k) for k in range(tiny_checkpoint.components)]
    assert sum(item["share"] for item in components.values()) == pytest.approx(1.0)
    np.testing.assert_allclose(
        np.sum([item["weight"] for item in components.values()], axis=0), 1.0, rtol=1e-5
    )
    assert 1 <= result["used"] <= tiny_checkpoint.components
    assert 1.0 <= result["effective"] <= tiny_checkpoint.components + 1e-6
    low, high = tiny_checkpoint.property_ranges["C11"]
    assert result["values"][0] == pytest.approx(low) and result["values"][-1] == pytest.approx(high)
    for item in components.values():
        assert len(item["names"]) == len(result["named_at"]) == 3
        assert item["anisotropy"] == pytest.approx(
            max(item["correlation_lengths"]) / min(item["correlation_lengths"])
        )
        assert 0.0 < item["volume_fraction"] < 1.0


def test_samples_are_compared_family_by_family(tiny_metrics: Metrics, tiny_dataset: Dataset) -> None:
    result = tiny_metrics["decoder"]
    rows = tiny_dataset.indices("test")
    families, counts = np.unique(tiny_dataset.samples.family[rows], return_counts=True)
    assert {name: entry["volumes"] for name, entry in result.items()} == dict(
        zip(families.tolist(), counts.tolist(), strict=True)
    )
    for item in result.values():
        assert item["real"]["volume_fraction"] == 0.0  # the generators are exact to the voxel
        assert item["ratio"]["volume_fraction"] is None
        for name in STATISTICS[1:]:
            ours, theirs = item["decoded"][name], item["real"][name]
            assert item["ratio"][name] == (pytest.approx(ours / theirs) if theirs > 0.005 else None)
    assert sum(entry["ratio"]["two_point"] is not None for entry in result.values()) > len(result) // 2


@pytest.mark.parametrize("family", FAMILIES)
def test_redrawn_volumes_have_the_same_parameters(family: str) -> None:
    sample = generate(family, 16, generator=np.random.default_rng(5))
    other = redraw(family, 16, 5, noise=6)
    assert other.parameters == sample.parameters
    np.testing.assert_array_equal(redraw(family, 16, 5, noise=6).volume, other.volume)
    assert np.array_equal(other.volume, sample.volume) == (family == "laminate")


def test_distances_of_known_volumes() -> None:
    """Two layers of 4 in 16 against one of 8: the same volume fraction, twice the surface."""
    first, two = laminate([8, 8], axis=0), laminate([4, 4, 4, 4], axis=0)
    fraction, correlation, path, surface = sample_distances(first, two)
    assert (fraction, surface) == (0.0, 1.0)
    assert correlation > 0.0 and path > 0.0
    assert sample_distances(first, np.roll(first, 3, 0)) == pytest.approx([0.0] * 4, abs=1e-9)
    assert sample_distances(first, laminate([12, 4], axis=0))[0] == 0.25


def test_data_of_another_version_cannot_be_drawn_again(
    tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    plan = dataclasses.replace(tiny_dataset.plan, generator_version=99)
    with pytest.raises(ValueError, match="expected data of generator version .*, got 99"):
        decoder_figures(tiny_checkpoint, dataclasses.replace(tiny_dataset, plan=plan), np.arange(3))
