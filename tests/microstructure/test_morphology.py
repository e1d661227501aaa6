"""Names of morphologies follow from what the generators were asked for."""

from itertools import permutations

import numpy as np
import pytest

from vaereg.generators.families import gaussian_field, generate
from vaereg.generators.shapes import fibres, laminate, spheres
from vaereg.microstructure.morphology import describe, measure
from vaereg.microstructure.statistics import correlation_lengths, specific_surface

SIZE = 32


def family(name: str, count: int = 6) -> np.ndarray:
    return np.stack(
        [generate(name, SIZE, generator=np.random.default_rng(seed)).volume for seed in range(count)]
    )


@pytest.mark.parametrize("axis", "xyz")
def test_gaussian_rods_and_plates_are_named_by_their_axis(axis: str) -> None:
    rod, plate = describe(family(f"gaussian-rod-{axis}")), describe(family(f"gaussian-plate-{axis}"))
    assert rod.name.startswith(f"rod-like along {axis}, ")
    assert plate.name.startswith(f"plate-like, normal to {axis}, ")
    assert np.argmax(rod.correlation_lengths) == "xyz".index(axis)
    assert np.argmin(plate.correlation_lengths) == "xyz".index(axis)
    assert min(rod.anisotropy, plate.anisotropy) > 2.0


@pytest.mark.parametrize(
    ("widths", "name"),
    [
        ((1.2, 1.2, 1.2), "equiaxed, fine, bicontinuous"),
        ((2.4, 2.4, 2.4), "equiaxed, medium, bicontinuous"),
        ((5.0, 5.0, 5.0), "equiaxed, coarse"),
        ((1.0, 2.3, 5.5), "orthotropic, fine"),
        ((1.0, 6.0, 6.0), "plate-like, normal to x, fine"),
        ((6.0, 1.0, 1.0), "rod-like along x, fine"),
    ],
)
def test_filter_widths_give_the_name(widths: tuple[float, ...], name: str) -> None:
    cells = [gaussian_field(SIZE, widths, 0.5, generator=np.random.default_rng(seed)) for seed in range(12)]
    assert describe(np.stack(cells)).name.startswith(name)


def test_correlation_length_of_a_gaussian_field_follows_the_filter() -> None:
    """Cut at one half, (S2 - f²) / (f - f²) = 2/pi arcsin(exp(-r² / 4 s²)) (Quiblier 1984)."""
    width = 2.0
    expected = 2.0 * width * np.sqrt(-np.log(np.sin(np.pi / (2.0 * np.e))))
    cells = [gaussian_field(48, (width,) * 3, 0.5, generator=np.random.default_rng(n)) for n in range(4)]
    actual = np.mean([correlation_lengths(cell) for cell in cells], axis=0)
    np.testing.assert_allclose(actual, expected, rtol=0.05)


def test_figures_are_means_of_the_volumes_and_turn_with_them() -> None:
    volumes = family("gaussian-free", 3)
    result = describe(volumes)
    single = [describe(volume[None]) for volume in volumes]
    lengths = np.mean([item.correlation_lengths for item in single], axis=0)
    np.testing.assert_allclose(result.correlation_lengths, lengths)
    assert result.volume_fraction == pytest.approx(volumes.mean())
    assert result.anisotropy == pytest.approx(lengths.max() / lengths.min())
    for order in permutations(range(3)):
        turned = describe(volumes.transpose(0, *(1 + axis for axis in order)))
        np.testing.assert_allclose(turned.correlation_lengths, lengths[list(order)])
    assert describe(np.roll(volumes, (3, 5, 7), (1, 2, 3))).name == result.name


def test_matrix_and_inclusions() -> None:
    centres = np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])
    balls = spheres(SIZE, centres, np.ones(2), 0.1)
    assert describe(balls[None]).name.endswith(", soft matrix")
    assert describe(1 - balls[None]).name.endswith(", stiff matrix")
    # fibres percolate along one axis: neither a matrix nor bicontinuous
    rods = fibres(SIZE, centres[:, :2], np.ones(2), 0.2, axis=2)
    assert describe(rods[None]).name == "rod-like along z, medium"
    # three volumes of four are not clear enough
    mixed = np.stack([balls, balls, balls, 1 - balls])
    assert "matrix" not in describe(mixed).name
    assert describe(np.stack([balls] * 4 + [1 - balls])).name.endswith(", soft matrix")


def test_a_laminate_is_a_plate_of_half_the_cell() -> None:
    result = describe(laminate([4, 12], axis=1)[None])
    assert result.name == "plate-like, normal to y, medium"
    assert result.correlation_lengths[[0, 2]].tolist() == [8.0, 8.0]
    # S2 falls by 1/16 a voxel from f = 1/4: (S2 - f²) / (f - f²) = 1 - r/3
    assert result.correlation_lengths[1] == pytest.approx(3.0 * (1.0 - np.exp(-1.0)))


def test_statistics_of_fibres() -> None:
    """One fibre along x of square section 2 × 2 in a cell of 4 × 8 × 8: all figures are known."""
    volume = np.zeros((4, 8, 8), np.uint8)
    volume[:, 2:4, 2:4] = 1
    result = measure(volume)
    assert result.volume_fraction == 1 / 16
    assert [len(curve) for curve in result.two_point] == [3, 5, 5]
    np.testing.assert_allclose(result.two_point[0], 1 / 16, atol=1e-12)
    np.testing.assert_allclose(result.two_point[1], [1 / 16, 1 / 32, 0, 0, 0], atol=1e-12)
    stiff, soft = result.lineal_path[1], result.lineal_path[0]
    np.testing.assert_allclose(stiff[1], [1 / 16, 1 / 32, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(soft[0], 15 / 16)
    assert result.specific_surface == specific_surface(volume)  # about a fifth below the 8 / 64 of its square
    soft_phase, stiff_phase = result.connectivity
    assert stiff_phase.percolates == (True, False, False) and stiff_phase.largest == 1.0
    assert soft_phase.percolates == (True, True, True) and soft_phase.largest == 1.0


def test_rods_of_all_axes_together_are_not_equiaxed() -> None:
    together = np.concatenate([family(f"gaussian-rod-{axis}", 3) for axis in "xyz"])
    result = describe(together)
    assert result.name.startswith("mixed directions, ")
    assert result.anisotropy < 1.5


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (np.zeros((8, 8, 8)), r"\(N, X, Y, Z\), got .*\(8, 8, 8\)"),
        (np.zeros((0, 8, 8, 8)), r"\(N, X, Y, Z\), got .*\(0, 8, 8, 8\)"),
        (np.full((1, 8, 8, 8), 0.5), "phases 0 and 1 only"),
        (np.ones((1, 8, 8, 8)), "both phases, got a single one"),
    ],
)
def test_what_cannot_be_described(volumes: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(volumes)
