"""Minimal surfaces and lattices repeat exactly; bars have the thickness of their recipes."""

import numpy as np
import pytest

from vaereg.generators.morphologies import make
from vaereg.generators.periodic import LATTICES, LatticeParameters, SurfaceParameters
from vaereg.generators.shapes import SURFACES
from vaereg.microstructure.statistics import connectivity


def lattice(
    variant: str,
    period: tuple[float, float, float],
    fraction: float,
    weights: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> LatticeParameters:
    x, y, z = weights
    return LatticeParameters(volume_fraction=fraction, variant=variant, period=period, weights=(x, y, z))


@pytest.mark.parametrize("variant", LATTICES)
@pytest.mark.parametrize("period", [(16.0, 16.0, 16.0), (8.0, 16.0, 32.0)])
def test_lattices_repeat(variant: str, period: tuple[float, float, float]) -> None:
    made = make("lattice", lattice(variant, period, 0.25), 32, generator=np.random.default_rng(1))
    assert made.recipe["periods"] == [32 / length for length in period]
    for axis, length in enumerate(period):
        again = np.roll(made.volume, int(length), axis)
        assert (again != made.volume).mean() < 2e-3  # equal distances at the cut
    assert connectivity(made.volume).largest == 1.0
    assert connectivity(made.volume).percolates == (True, True, True)


@pytest.mark.parametrize("variant", SURFACES)
@pytest.mark.parametrize("sheet", [False, True])
def test_surfaces_repeat(variant: str, sheet: bool) -> None:
    parameters = SurfaceParameters(
        volume_fraction=0.4, variant=variant, sheet=sheet, inverted=False, period=(16.0, 32.0, 16.0)
    )
    made = make("tpms", parameters, 32, generator=np.random.default_rng(1))
    assert made.recipe["periods"] == [2, 1, 2]
    for axis, length in enumerate((16, 32, 16)):
        assert (np.roll(made.volume, length, axis) != made.volume).mean() < 2e-3
    inverse = SurfaceParameters(
        volume_fraction=0.6, variant=variant, sheet=sheet, inverted=True, period=(16.0, 32.0, 16.0)
    )
    turned = make("tpms", inverse, 32, generator=np.random.default_rng(1)).volume
    assert (turned == made.volume).mean() < 2e-3


def test_thickness_of_cubic_bars() -> None:
    """The fraction of three crossing cylinders of radius r in a cubic cell: 3 π r² - 8 √2 r³."""
    made = make("lattice", lattice("cubic", (24.0, 24.0, 24.0), 0.2), 48, generator=np.random.default_rng(0))
    radius = made.recipe["strut_radius"] / 24.0
    assert 3.0 * np.pi * radius**2 - 8.0 * np.sqrt(2.0) * radius**3 == pytest.approx(0.2, abs=0.01)


def test_bars_of_unequal_thickness() -> None:
    """Sections half-way between the crossings show one bar: its radius is proportional to its weight."""
    weights = (1.0, 0.5, 0.75)
    made = make(
        "lattice", lattice("cubic", (48.0, 48.0, 48.0), 0.12, weights), 48, generator=np.random.default_rng(3)
    )
    areas = [np.moveaxis(made.volume, axis, 0).sum(axis=(1, 2)).min() for axis in range(3)]
    radii = np.sqrt(np.array(areas) / np.pi)
    np.testing.assert_allclose(radii, made.recipe["strut_radius"] * np.array(weights), rtol=0.06)


def test_periods_fit_the_cell() -> None:
    """Periods become whole numbers in the cell, none shorter than six voxels."""
    parameters = lattice("octet", (8.0, 24.0, 64.0), 0.3)
    made = make("lattice", parameters, 40, generator=np.random.default_rng(0))
    assert made.recipe["periods"] == [5, 2, 1]
    assert made.recipe["period"] == [8.0, 20.0, 40.0]
    tight = make("lattice", parameters.scaled(0.25), 16, generator=np.random.default_rng(0))
    assert tight.recipe["periods"] == [2, 2, 1]
