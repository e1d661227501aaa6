"""Means over neighbours beside those of scipy.ndimage."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaereg.inverse.refining.smoothing import smoothed


@pytest.mark.parametrize("shape", [(5, 7, 9), (2, 16, 3), (1, 1, 8)])
@pytest.mark.parametrize("deviation", [0.8, 1.0])
def test_smoothing_is_the_periodic_gaussian_filter(shape: tuple[int, int, int], deviation: float) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    expected = gaussian_filter(values, deviation, mode="wrap", truncate=3.0)
    np.testing.assert_allclose(smoothed(values, deviation), expected, atol=1e-6)
