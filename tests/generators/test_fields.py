"""Random fields: exact cuts, and the pattern that spinodal decomposition chooses."""

import numpy as np
import pytest

from vaereg.generators.fields import cut_at_quantile, spinodal_field


def structure_factor(field: np.ndarray) -> np.ndarray:
    """Power of the fluctuations, averaged over shells of one wave number each, without the mean."""
    size = len(field)
    power = np.abs(np.fft.fftn(field - field.mean())) ** 2
    waves = np.stack(np.meshgrid(*[np.fft.fftfreq(size, 1.0 / size)] * 3, indexing="ij"))
    shells = np.round(np.sqrt((waves**2).sum(axis=0))).astype(int).ravel()
    return np.bincount(shells, power.ravel()) / np.bincount(shells)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_the_cut_is_exact_and_takes_the_highest(fraction: float, rng: np.random.Generator) -> None:
    field = rng.standard_normal((5, 6, 7))
    volume = cut_at_quantile(field, fraction)
    assert volume.sum() == round(fraction * field.size)
    assert np.min(field[volume == 1], initial=np.inf) > np.max(field[volume == 0], initial=-np.inf)


def test_equal_values_are_cut_in_their_order() -> None:
    np.testing.assert_array_equal(cut_at_quantile(np.zeros(5), 0.4), [1, 1, 0, 0, 0])
    np.testing.assert_array_equal(cut_at_quantile(np.array([1.0, 3.0, 1.0, 2.0, 1.0]), 0.6), [1, 1, 0, 1, 0])


def test_spinodal_decomposition_separates_the_phases() -> None:
    """Concentrations end near ±1, and their mean is conserved."""
    field = spinodal_field(24, 8.0, 50, mean=0.1, generator=np.random.default_rng(0))
    assert field.mean() == pytest.approx(0.1, abs=1e-12)
    assert 0.8 < np.abs(field).max() < 1.15
    assert np.median(np.abs(field)) > 0.6


@pytest.mark.parametrize("wavelength", [6.0, 9.0])
def test_spinodal_decomposition_prefers_a_wavelength(wavelength: float) -> None:
    """The structure factor peaks away from zero, near the fastest wave or at what has coarsened from it."""
    size = 36
    factors = [
        structure_factor(spinodal_field(size, wavelength, 30, generator=np.random.default_rng(seed)))
        for seed in range(6)
    ]
    factor = np.mean(factors, axis=0)
    peak = int(factor.argmax())
    assert 0.8 * wavelength < size / peak < 1.6 * wavelength
    assert factor[1] < 0.5 * factor[peak]
    assert factor[2 * peak + 1] < 0.2 * factor[peak]


def test_domains_coarsen_with_time() -> None:
    mean_wave = []
    for steps in (25, 120):
        factor = np.mean(
            [
                structure_factor(spinodal_field(24, 6.0, steps, generator=np.random.default_rng(seed)))
                for seed in range(4)
            ],
            axis=0,
        )
        shells = np.arange(len(factor))
        mean_wave.append((shells**3 * factor).sum() / (shells**2 * factor).sum())
    assert mean_wave[1] < 0.92 * mean_wave[0]


@pytest.mark.parametrize("stretch", [(8.0, 1.0, 1.0), (1.0, 8.0, 1.0), (8.0, 1.0, 8.0)])
def test_domains_are_long_where_gradients_cost_more(stretch: tuple[float, float, float]) -> None:
    jumps = np.zeros(3)
    for seed in range(4):
        field = spinodal_field(24, 7.0, 40, stretch=stretch, generator=np.random.default_rng(seed))
        jumps += [np.abs(field - np.roll(field, 1, axis)).mean() for axis in range(3)]
    long = np.array(stretch) > 1.0
    assert 1.5 * jumps[long].max() < jumps[~long].min()
