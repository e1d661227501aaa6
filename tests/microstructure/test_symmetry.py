"""Symmetry: orbits of the group, exact symmetry of volumes, and of their stiffness to rounding."""

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.generators.families import gaussian_field
from vaereg.microstructure.symmetry import (
    SYMMETRIES,
    average_field,
    cut_symmetric,
    fold_field,
    group_of,
    is_symmetric,
    orbits_of,
    symmetrise_volume,
)
from vaereg.solver.homogenization import homogenize


def fold_volume(volume: np.ndarray, symmetry: str) -> np.ndarray:
    """One part of a volume, mirrored."""
    return fold_field(volume, symmetry).astype(np.uint8)


VOLUME = gaussian_field(12, (1.5, 2.0, 3.0), 0.5, generator=np.random.default_rng(0))


@pytest.mark.parametrize(("symmetry", "order"), list(zip(SYMMETRIES, (1, 8, 16, 48), strict=True)))
def test_order_of_the_group(symmetry: str, order: int) -> None:
    assert len(set(group_of(symmetry))) == order
    sizes = np.bincount(orbits_of((6, 6, 6), symmetry).ravel())
    assert sizes.sum() == 216 and sizes.max() == order and (order % sizes == 0).all()


@pytest.mark.parametrize("symmetry", SYMMETRIES[1:])
@pytest.mark.parametrize("make", [symmetrise_volume, fold_volume])
def test_the_stiffness_is_exactly_symmetric(make, symmetry: str) -> None:  # noqa: ANN001
    volume = make(VOLUME, symmetry)
    assert is_symmetric(volume, symmetry) and not is_symmetric(VOLUME, symmetry)
    if make is symmetrise_volume:
        assert abs(float(volume.mean()) - float(VOLUME.mean())) < 0.1
    c = homogenize(volume, rtol=1e-9).stiffness
    scale = c.max()
    beside = np.ones((6, 6), dtype=bool)
    beside[:3, :3] = False
    beside[range(3, 6), range(3, 6)] = False
    assert np.abs(c[beside]).max() < 1e-8 * scale
    alike = {
        "orthotropic": [],
        "tetragonal": [(c[0, 0], c[1, 1]), (c[3, 3], c[4, 4]), (c[0, 2], c[1, 2])],
        "cubic": [(c[0, 0], c[1, 1]), (c[0, 0], c[2, 2]), (c[3, 3], c[5, 5]), (c[0, 1], c[1, 2])],
    }[symmetry]
    assert all(abs(a - b) < 1e-8 * scale for a, b in alike)


def test_averages_are_exactly_alike_on_orbits(rng: np.random.Generator) -> None:
    field = rng.standard_normal((8, 8, 8))
    average = average_field(field, "cubic")
    assert is_symmetric(average, "cubic")
    assert average.mean() == pytest.approx(field.mean())
    direct = np.mean([np.flip(field.transpose(axes), flips) for axes, flips in group_of("cubic")], axis=0)
    np.testing.assert_allclose(average, direct, atol=1e-12)


def test_the_volume_fraction_is_met_to_half_an_orbit(rng: np.random.Generator) -> None:
    field = rng.standard_normal((8, 8, 8))
    for fraction in (0.1, 0.37, 0.5, 0.9):
        assert abs(float(cut_symmetric(field, fraction, "cubic").mean()) - fraction) <= 24 / 512


def test_cells_that_cannot_have_a_symmetry() -> None:
    with pytest.raises(InputError, match="equal edges"):
        orbits_of((4, 5, 5), "tetragonal")
    orbits_of((4, 4, 5), "tetragonal")
    with pytest.raises(InputError, match="expected a symmetry of none, orthotropic"):
        group_of("hexagonal")


def test_what_is_symmetric_is_left_alone() -> None:
    volume = fold_volume(VOLUME, "cubic")
    np.testing.assert_array_equal(symmetrise_volume(volume, "cubic"), volume)
