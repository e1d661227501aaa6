"""All morphologies: fractions, periodicity, seeds, sizes, permutations, registry."""

import json

import numpy as np
import pytest

from vaereg.generators.morphologies import (
    COMPONENTS,
    DEFAULT_SHARES,
    MORPHOLOGIES,
    component_of,
    draw,
    make,
    morphology_weights,
    sample,
)
from vaereg.generators.recipe import permute_recipe
from vaereg.microstructure.segmentation import face_mismatch
from vaereg.microstructure.statistics import correlation_lengths, face_density

EACH_MORPHOLOGY = pytest.mark.parametrize("name", MORPHOLOGIES)


@EACH_MORPHOLOGY
@pytest.mark.parametrize("size", [16, 20, 33])
def test_volumes_have_the_fraction_of_their_recipe(name: str, size: int) -> None:
    for seed in range(4):
        made = sample(name, size, relative=bool(seed % 2), generator=np.random.default_rng(seed))
        assert made.volume.shape == (size, size, size)
        assert made.volume.dtype == np.uint8
        assert set(np.unique(made.volume)) == {0, 1}
        assert made.volume.mean() == pytest.approx(made.recipe["volume_fraction"], abs=0.51 / size**3)


@EACH_MORPHOLOGY
def test_a_volume_is_a_function_of_its_seed(name: str) -> None:
    first, again, other = (sample(name, 16, generator=np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.volume, again.volume)
    assert first.recipe == again.recipe
    assert not np.array_equal(first.volume, other.volume)


@EACH_MORPHOLOGY
def test_volumes_are_periodic(name: str) -> None:
    """The seam between opposite faces has no more interface than the planes inside the cell."""
    parts = []
    for seed in range(12):
        volume = sample(name, 24, generator=np.random.default_rng(seed)).volume
        assert face_mismatch(volume).periodic
        parts.append(face_mismatch(volume[:17]).periodic)
    if name not in ("laminate", "tpms", "lattice"):  # which may repeat within the part
        assert sum(parts) <= 9, "parts of the cell are not periodic"


@EACH_MORPHOLOGY
def test_parameters_and_positions_have_random_numbers_of_their_own(name: str) -> None:
    """The same parameters with other random numbers give another volume of the same kind."""
    parameters = draw(name, generator=np.random.default_rng(3))
    first, second = (make(name, parameters, 32, generator=np.random.default_rng(seed)) for seed in (1, 2))
    assert first.recipe["volume_fraction"] == second.recipe["volume_fraction"]
    assert not np.array_equal(first.volume, second.volume)
    assert face_density(first.volume) == pytest.approx(face_density(second.volume), rel=0.5)


@EACH_MORPHOLOGY
def test_recipes_are_json(name: str) -> None:
    recipe = sample(name, 16, generator=np.random.default_rng(0)).recipe
    assert json.loads(json.dumps(recipe)) == recipe


@EACH_MORPHOLOGY
def test_permuted_parameters_give_permuted_volumes(name: str) -> None:
    """Correlation lengths along the axes, mean of several volumes, follow the permutation."""
    axes, lengths, expected = (2, 0, 1), [], []
    for seed in range(12):
        parameters = draw(name, generator=np.random.default_rng(seed))
        volume = make(name, parameters, 24, generator=np.random.default_rng(seed)).volume
        permuted = make(
            name, parameters.permuted(axes), 24, generator=np.random.default_rng(seed + 50)
        ).volume
        expected.append(np.log(correlation_lengths(np.transpose(volume, axes))))
        lengths.append(np.log(correlation_lengths(permuted)))
    difference, wrong = (
        np.median(np.abs(np.array(lengths) - np.array(other)))
        for other in (expected, np.roll(expected, 1, axis=1))
    )
    assert difference < 0.2
    assert difference < 0.8 * wrong


@EACH_MORPHOLOGY
def test_relative_lengths_scale_with_the_cell(name: str) -> None:
    """The same parameters, scaled: the surface per volume, times the edge, hardly changes."""
    ratios = []
    for seed in range(6):
        parameters = draw(name, generator=np.random.default_rng(seed))
        small, large = (
            make(name, parameters.scaled(size / 32), size, generator=np.random.default_rng(9)).volume
            for size in (32, 48)
        )
        ratios.append(48 * face_density(large) / (32 * face_density(small)))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("name", sorted(set(MORPHOLOGIES) - {"laminate", "tpms", "lattice"}))
def test_lengths_in_voxels_do_not_depend_on_the_cell(name: str) -> None:
    """Without scaling, the surface per volume is the same whatever the size."""
    ratios = []
    for seed in range(6):
        parameters = draw(name, generator=np.random.default_rng(seed))
        small, large = (
            make(name, parameters, size, generator=np.random.default_rng(9)).volume for size in (32, 48)
        )
        ratios.append(face_density(large) / face_density(small))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.2)


def test_classes_spread_over_fractions_and_directions() -> None:
    for name in MORPHOLOGIES:
        drawn = [draw(name, generator=np.random.default_rng(seed)).volume_fraction for seed in range(200)]
        assert max(drawn) - min(drawn) > 0.25


def test_every_class_belongs_to_one_of_eleven_components() -> None:
    assert len(COMPONENTS) == 11
    stretches = {"layers": [1.0, 8.0, 8.0], "irregular": [1.0, 2.0, 2.0]}
    for component, stretch in stretches.items():
        assert component_of("spinodal", {"stretch": stretch}) == component
    assert component_of("spinodal", {"stretch": [1.0, 8.0, 1.0]}) == "irregular"
    assert component_of("tpms", {}) == component_of("lattice", {}) == "periodic"
    assert component_of("laminate", {}) == "layers"
    with pytest.raises(ValueError, match="unknown morphology 'foam'"):
        component_of("foam", {})


def test_permuting_recipes() -> None:
    recipe = {
        "count": 3,
        "variant": "octet",
        "spacing": [1.0, 2.0, 3.0],
        "orientation": [[1.0, 4.0, 5.0], [4.0, 2.0, 6.0], [5.0, 6.0, 3.0]],
    }
    axes = (1, 2, 0)
    permuted = permute_recipe(recipe, axes)
    assert permuted["spacing"] == [2.0, 3.0, 1.0]
    tensor = np.array(recipe["orientation"])[np.ix_(axes, axes)]
    assert permuted["orientation"] == tensor.tolist()
    assert (permuted["count"], permuted["variant"]) == (3, "octet")
    with pytest.raises(ValueError, match=r"permutation of the axes 0, 1, 2, got \(0, 0, 1\)"):
        permute_recipe(recipe, (0, 0, 1))


def test_shares_of_morphologies() -> None:
    assert morphology_weights() == morphology_weights(["all"]) == pytest.approx(dict(DEFAULT_SHARES))
    assert morphology_weights(["tpms", "particles"]) == {"particles": 0.5, "tpms": 0.5}
    assert list(morphology_weights({"tpms": 3.0, "particles": 1.0}).items()) == [
        ("particles", 0.25),
        ("tpms", 0.75),
    ]
    for wrong, message in (
        ([], "at least one morphology"),
        (["foam"], "unknown morphology 'foam'"),
        ({"tpms": 0.0}, "positive weight for morphology tpms, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            morphology_weights(wrong)


@pytest.mark.parametrize("size", [7, 129])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"8 to 128 voxels per edge, got {size}"):
        sample("particles", size, generator=np.random.default_rng(0))
