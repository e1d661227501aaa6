"""Spinodal and Gaussian morphologies: lengths of the recipe against correlation lengths."""

import numpy as np
import pytest

from vaereg.generators.fields import gaussian_field
from vaereg.generators.irregular import GaussianParameters, SpinodalParameters, draw_gaussian
from vaereg.generators.morphologies import make
from vaereg.microstructure.statistics import correlation_lengths


def test_gaussian_volumes_are_those_of_the_field() -> None:
    parameters = GaussianParameters(volume_fraction=0.4, std=(2.0, 3.0, 1.5))
    made = make("gaussian", parameters, 24, generator=np.random.default_rng(1))
    expected = gaussian_field(24, (2.0, 3.0, 1.5), 0.4, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(made.volume, expected)


def test_gaussian_parameters_cover_equiaxed_rods_and_plates() -> None:
    drawn = [draw_gaussian(np.random.default_rng(seed)) for seed in range(300)]
    std = np.array([parameters.std for parameters in drawn])
    low, middle, high = np.sort(std, axis=1).T
    equiaxed = np.isclose(low, high)
    assert 0.15 < equiaxed.mean() < 0.35
    assert (np.isclose(low, middle) & ~equiaxed).mean() > 0.15
    assert ((middle > 2.4 * low) & (high > 4.0)).mean() > 0.15


def test_wavelength_sets_the_length() -> None:
    lengths = []
    for wavelength in (7.0, 14.0):
        parameters = SpinodalParameters(
            volume_fraction=0.5, wavelength=wavelength, steps=40, stretch=(1.0, 1.0, 1.0)
        )
        volume = make("spinodal", parameters, 56, generator=np.random.default_rng(0)).volume
        lengths.append(correlation_lengths(volume).mean())
    assert lengths[1] / lengths[0] == pytest.approx(2.0, rel=0.15)


def test_lamellae_are_long_along_two_axes() -> None:
    parameters = SpinodalParameters(volume_fraction=0.5, wavelength=8.0, steps=40, stretch=(1.0, 9.0, 9.0))
    volume = make("spinodal", parameters, 32, generator=np.random.default_rng(0)).volume
    short, *long = correlation_lengths(volume)
    assert min(long) > 2.0 * short
