"""Random microstructures: reproducible, periodic, of the volume fraction, length and direction asked for."""

import hashlib

import numpy as np
import pytest

from vaereg.generators.families import (
    DEFAULT_MIX,
    FAMILIES,
    GENERATOR_VERSION,
    MIXES,
    SPINODAL_STRETCH,
    WIDE_FRACTION_RANGE,
    family_weights,
    gaussian_field,
    generate,
    mix_name,
)
from vaereg.io.datasets import DatasetPlan
from vaereg.microstructure.statistics import two_point_correlation
from vaereg.microstructure.volume import pack_bits, volume_fraction
from vaereg.training.labelling.families import volume_source

SIZE = 16
GAUSSIAN = [name for name in FAMILIES if name.startswith("gaussian-")]
SHIPPED_VOLUMES = "1b4e773593e9ca7ce11bcb82d281054b54b249c05c4c48ee5b52524024b1e8dd"
OTHERS = [name for name in FAMILIES if name not in GAUSSIAN]


def correlation_lengths(volume: np.ndarray) -> np.ndarray:
    """Integral of the normalised autocorrelation over one half period along each axis [voxel], shape (3,)."""
    fraction = volume_fraction(volume)
    correlation = (two_point_correlation(volume) - fraction**2) / (fraction - fraction**2)
    half = len(volume) // 2
    lines = correlation[:half, 0, 0], correlation[0, :half, 0], correlation[0, 0, :half]
    return np.array([line.sum() for line in lines])


def mean_lengths(name: str, count: int = 12, size: int = 32) -> np.ndarray:
    samples = [generate(name, size, generator=np.random.default_rng(seed)) for seed in range(count)]
    return np.mean([correlation_lengths(sample.volume) for sample in samples], axis=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_volume_is_a_function_of_family_size_and_seed(name: str) -> None:
    first, again, other = (generate(name, SIZE, generator=np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first.volume.tobytes() == again.volume.tobytes()
    assert first.parameters == again.parameters
    assert not np.array_equal(first.volume, other.volume)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [2, 4, 9, 15, 24])
def test_every_size_has_both_phases(name: str, size: int) -> None:
    volume = generate(name, size, generator=np.random.default_rng(size)).volume
    assert volume.shape == (size, size, size)
    assert volume.dtype == np.uint8
    assert set(np.unique(volume)) == {0, 1}


@pytest.mark.parametrize("name", OTHERS)
def test_other_families_have_the_volume_fraction_that_they_state(name: str) -> None:
    result = []
    for seed in range(40):
        sample = generate(name, 12, generator=np.random.default_rng(seed))
        fraction = sample.parameters["volume_fraction"]
        voxels, repeats = (12**2, 12) if name == "fibres" else (12**3, 1)
        assert sample.volume.sum() == repeats * round(fraction * voxels)
        result.append(fraction)
    rounding = 0.5 / 12 if name == "laminate" else 0.0
    assert WIDE_FRACTION_RANGE[0] - rounding <= min(result) < 0.3
    assert WIDE_FRACTION_RANGE[1] + rounding >= max(result) > 0.7


@pytest.mark.parametrize("name", OTHERS)
def test_other_families_are_periodic(name: str) -> None:
    """Along every axis neighbours differ as often across the boundary as inside."""
    volumes = [generate(name, SIZE, generator=np.random.default_rng(seed)).volume for seed in range(60)]
    for axis in range(3):
        turned = np.moveaxis(np.stack(volumes), axis + 1, 1)
        changes = (turned != np.roll(turned, 1, axis=1)).mean(axis=(0, 2, 3))
        assert abs(changes[0] - changes[1:].mean()) < max(4.0 * changes[1:].std(), 0.02)
        assert changes[0] < 0.25, "unrelated neighbours would differ in two voxels of five"


@pytest.mark.parametrize("name", GAUSSIAN)
def test_samples_are_binary_with_the_volume_fraction_that_they_state(name: str) -> None:
    for seed in range(10):
        sample = generate(name, SIZE, generator=np.random.default_rng(seed))
        assert sample.volume.shape == (SIZE, SIZE, SIZE)
        assert sample.volume.dtype == np.uint8
        assert set(np.unique(sample.volume)) == {0, 1}
        assert 0.25 <= sample.parameters["volume_fraction"] <= 0.75
        assert sample.volume.sum() == round(sample.parameters["volume_fraction"] * SIZE**3)
        assert all(1.0 <= sample.parameters[f"std_{axis}"] <= 8.0 for axis in "xyz")


@pytest.mark.parametrize(("size", "fraction"), [(8, 0.3), (9, 0.5), (15, 0.25), (8, 0.0), (8, 1.0)])
def test_the_number_of_stiff_voxels_is_exact(size: int, fraction: float, rng: np.random.Generator) -> None:
    volume = gaussian_field(size, (1.0, 2.0, 8.0), fraction, generator=rng)
    assert volume.sum() == round(fraction * size**3)


def test_a_field_much_longer_than_the_cell_is_still_random() -> None:
    """Its modes are tiny beside the mean, and must not be lost to rounding."""
    volume = gaussian_field(8, (8.0, 8.0, 8.0), 0.5, generator=np.random.default_rng(0))
    assert correlation_lengths(volume).min() > 1.0
    lag_one = two_point_correlation(volume)[1, 0, 0]
    assert lag_one > 0.35, "neighbours of a smooth field are mostly alike"


def test_the_correlation_length_grows_with_the_standard_deviation() -> None:
    lengths = [
        np.mean(
            [
                correlation_lengths(gaussian_field(32, [std] * 3, 0.5, generator=np.random.default_rng(seed)))
                for seed in range(6)
            ]
        )
        for std in (0.0, 1.0, 2.0, 3.0)
    ]
    assert np.all(np.diff(lengths) > 0.5)
    assert lengths[0] == pytest.approx(1.0, abs=0.1), "white noise is correlated with itself alone"


def test_the_correlation_is_that_of_a_gaussian_filter() -> None:
    """A field cut at its median has S2 = 1/4 + asin(ρ)/(2π) with ρ(r) = exp(-r²/(4σ²)), on average."""
    std, size = 1.5, 32
    fields = [
        gaussian_field(size, [std] * 3, 0.5, generator=np.random.default_rng(seed)) for seed in range(24)
    ]
    result = np.mean([two_point_correlation(field)[:6, 0, 0] for field in fields], axis=0)
    correlation = np.exp(-(np.arange(6) ** 2) / (4 * std**2))
    np.testing.assert_allclose(result, 0.25 + np.arcsin(correlation) / (2 * np.pi), atol=0.01)


def test_fields_are_periodic() -> None:
    """Across the boundary neighbours differ no more often than inside."""
    fields = [
        gaussian_field(SIZE, [2.0] * 3, 0.5, generator=np.random.default_rng(seed)) for seed in range(20)
    ]
    changes = np.mean([field != np.roll(field, 1, axis=0) for field in fields], axis=(0, 2, 3))
    assert changes[0] == pytest.approx(changes[1:].mean(), abs=0.05)


@pytest.mark.parametrize("axis", range(3))
def test_rods_are_long_along_their_axis(axis: int) -> None:
    lengths = mean_lengths(f"gaussian-rod-{'xyz'[axis]}")
    assert lengths[axis] > 1.4 * np.delete(lengths, axis).max()


@pytest.mark.parametrize("axis", range(3))
def test_plates_are_thin_along_their_normal(axis: int) -> None:
    lengths = mean_lengths(f"gaussian-plate-{'xyz'[axis]}")
    assert 1.4 * lengths[axis] < np.delete(lengths, axis).min()


def test_equiaxed_fields_prefer_no_axis() -> None:
    sample = generate("gaussian-equiaxed", SIZE, generator=np.random.default_rng(0))
    assert len({sample.parameters[f"std_{axis}"] for axis in "xyz"}) == 1


@pytest.mark.parametrize("name", [name for name in GAUSSIAN if "rod" in name or "plate" in name])
def test_rods_and_plates_are_drawn_within_their_ranges(name: str) -> None:
    axis = name[-1]
    for seed in range(30):
        parameters = generate(name, 4, generator=np.random.default_rng(seed)).parameters
        own = parameters[f"std_{axis}"]
        rest = [parameters[f"std_{other}"] for other in "xyz".replace(axis, "")]
        short, long = (rest, [own]) if "rod" in name else ([own], rest)
        assert len(set(short)) == 1
        assert 1.0 <= short[0] <= 3.0
        assert all(max(2.5 * short[0], 4.0) <= value <= 8.0 for value in long)


@pytest.mark.parametrize(
    ("name", "long_axes"), [("spinodal", 0), ("spinodal-columns", 1), ("spinodal-lamellae", 2)]
)
def test_spinodal_families_are_long_along_the_axes_drawn(name: str, long_axes: int) -> None:
    for seed in range(10):
        parameters = generate(name, 8, generator=np.random.default_rng(seed)).parameters
        stretch = np.array([parameters[f"stretch_{axis}"] for axis in "xyz"])
        assert (stretch > 1.0).sum() == long_axes
        assert all(SPINODAL_STRETCH[0] <= value <= SPINODAL_STRETCH[1] for value in stretch[stretch > 1.0])


def test_fibres_run_along_the_axis_drawn() -> None:
    for seed in range(12):
        sample = generate("fibres", SIZE, generator=np.random.default_rng(seed))
        axis = int(sample.parameters["axis"])
        assert (sample.volume == sample.volume.take([0], axis=axis)).all()


def test_laminates_have_the_layers_drawn() -> None:
    for seed in range(12):
        sample = generate("laminate", SIZE, generator=np.random.default_rng(seed))
        axis = int(sample.parameters["axis"])
        line = np.moveaxis(sample.volume, axis, 0)[:, 0, 0]
        assert (np.moveaxis(sample.volume, axis, 0) == line[:, None, None]).all()
        assert (line != np.roll(line, 1)).sum() == sample.parameters["layers"]


def test_the_default_mix() -> None:
    assert set(DEFAULT_MIX) == set(FAMILIES)
    assert sum(DEFAULT_MIX.values()) == pytest.approx(1.0)
    assert sum(DEFAULT_MIX[name] for name in GAUSSIAN) >= 0.5, "the kind of the published benchmark"
    assert family_weights() == family_weights("default") == family_weights(["default"])


def test_the_gaussian_mix() -> None:
    weights = family_weights("gaussian")
    assert list(weights) == GAUSSIAN
    assert weights["gaussian-equiaxed"] == weights["gaussian-free"] == 0.25
    assert weights["gaussian-rod-y"] == weights["gaussian-plate-z"] == 1 / 12


def test_the_data_of_the_shipped_model_can_be_made_again() -> None:
    """The first volumes of `generate --count 6000 --seed 2024 --families gaussian`, to the byte."""
    plan = DatasetPlan(
        count=6000,
        seed=2024,
        size=32,
        families=family_weights("gaussian"),
        materials={"e_stiff": 120.0, "e_soft": 2.4, "nu_stiff": 0.3, "nu_soft": 0.3},
        solver_tolerance=1e-4,
        solver_dtype="float32",
        generator_version=GENERATOR_VERSION,
    )
    sources = [volume_source(plan, index) for index in range(8)]
    volumes = [generate(name, 32, generator=np.random.default_rng(seed)).volume for name, seed in sources]
    assert hashlib.sha256(pack_bits(np.stack(volumes)).tobytes()).hexdigest() == SHIPPED_VOLUMES


def test_shares_have_the_name_that_gives_them() -> None:
    for name in MIXES:
        assert mix_name(family_weights(name)) == name
    assert mix_name(family_weights(["voronoi", "spheres"])) == "spheres,voronoi"
    assert mix_name({"voronoi": 0.3, "spheres": 0.7}) is None
    assert mix_name({"of another version": 1.0}) is None


def test_families_by_name_share_equally_in_a_fixed_order() -> None:
    expected = {"gaussian-rod-x": 0.5, "gaussian-free": 0.5}
    for names in (["gaussian-rod-x", "gaussian-free"], ["gaussian-free", "gaussian-rod-x"]):
        weights = family_weights(names)
        assert weights == expected
        assert list(weights) == list(expected)


def test_bad_arguments_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="unknown family 'foam', expected one of gaussian-equiaxed"):
        generate("foam", SIZE, generator=rng)
    with pytest.raises(ValueError, match="at least 2 voxels per edge, got 1"):
        generate("laminate", 1, generator=rng)
    with pytest.raises(ValueError, match="unknown family 'foam'"):
        family_weights(["foam"])
    with pytest.raises(ValueError, match="at least one family"):
        family_weights([])
    with pytest.raises(ValueError, match="positive weight for family gaussian-free, got -1"):
        family_weights({"gaussian-free": -1.0})
    with pytest.raises(ValueError, match="at least 2 voxels per edge, got 1"):
        gaussian_field(1, (1.0, 1.0, 1.0), 0.5, generator=rng)
    with pytest.raises(ValueError, match="volume fraction from 0 to 1, got 1.5"):
        gaussian_field(4, (1.0, 1.0, 1.0), 1.5, generator=rng)
    with pytest.raises(ValueError, match="three standard deviations"):
        gaussian_field(4, (1.0, -1.0, 1.0), 0.5, generator=rng)
