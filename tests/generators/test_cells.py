"""Particles, pores, foams and grains: what their recipes say is measured in the volumes."""

import numpy as np
import pytest
from scipy import ndimage

from vaereg.generators.cells import CellParameters, ParticleParameters
from vaereg.generators.morphologies import make
from vaereg.microstructure.statistics import connectivity, lineal_path, specific_surface


def particles(spacing: tuple[float, float, float], fraction: float) -> ParticleParameters:
    return ParticleParameters(volume_fraction=fraction, spacing=spacing, radius_spread=0.0)


def clusters(phase: np.ndarray) -> int:
    """Number of clusters of a periodic phase, by labels of the cell in which seams are joined."""
    labelled: tuple[np.ndarray, int] = ndimage.label(phase)  # pyright: ignore[reportAssignmentType]
    labels, count = labelled
    parent = list(range(count + 1))

    def root(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    for axis in range(3):
        for low, high in zip(labels.take(0, axis).ravel(), labels.take(-1, axis).ravel(), strict=True):
            if low and high:
                parent[root(int(low))] = root(int(high))
    return sum(root(label) == label for label in range(1, count + 1))


def mean_chords(volume: np.ndarray, phase: int) -> np.ndarray:
    """Mean length of the segments that lines along x, y, z have in a phase [voxel]."""
    path = lineal_path(volume, phase)
    ends = path[:, 0] - path[:, 1]
    return path[:, 0] / ends


@pytest.mark.parametrize(("name", "phase"), [("particles", 1), ("pores", 0)])
def test_particles_are_separate_and_counted(name: str, phase: int) -> None:
    fraction = 0.2 if phase else 0.8
    made = make(name, particles((12.0, 12.0, 12.0), fraction), 32, generator=np.random.default_rng(0))
    assert made.recipe["count"] == round(32**3 / 12**3) == clusters(made.volume == phase)
    assert connectivity(made.volume, 1 - phase).largest == 1.0


def test_radius_of_particles() -> None:
    """Spheres: radius 3 f / S; volume of all is that of the fraction."""
    made = make("particles", particles((16.0, 16.0, 16.0), 0.2), 48, generator=np.random.default_rng(1))
    (radius,) = set(np.round(made.recipe["radius"], 9))
    assert radius == pytest.approx(3.0 * 0.2 / specific_surface(made.volume), rel=0.04)
    assert made.recipe["count"] * 4.0 / 3.0 * np.pi * radius**3 == pytest.approx(0.2 * 48**3, rel=0.04)


@pytest.mark.parametrize(
    ("name", "phase", "fraction"), [("particles", 1, 0.2), ("pores", 0, 0.8), ("grains", 1, 0.7)]
)
def test_chords_follow_the_stretch(name: str, phase: int, fraction: float) -> None:
    """An affine stretch by s makes the chords of ellipsoids and of cells s times as long."""
    spacing, ratios = (24.0, 8.0, 12.0), []
    for seed in range(4):
        parameters = (
            CellParameters(volume_fraction=fraction, spacing=spacing)
            if name == "grains"
            else particles(spacing, fraction)
        )
        volume = make(name, parameters, 48, generator=np.random.default_rng(seed)).volume
        chords = mean_chords(volume, phase)
        ratios.append(chords / chords.prod() ** (1 / 3))
    expected = np.array(spacing) / np.prod(spacing) ** (1 / 3)
    np.testing.assert_allclose(np.mean(ratios, axis=0), expected, rtol=0.12)


@pytest.mark.parametrize(("name", "phase"), [("closed-foam", 1), ("grains", 0)])
def test_thickness_of_walls(name: str, phase: int) -> None:
    """Walls: thickness 2 f / S, about."""
    for fraction in (0.2, 0.3):
        parameters = CellParameters(
            volume_fraction=fraction if phase else 1 - fraction, spacing=(18.0, 18.0, 18.0)
        )
        made = make(name, parameters, 48, generator=np.random.default_rng(2))
        thickness = 2.0 * fraction / specific_surface(made.volume)
        assert made.recipe["wall_thickness"][0] == pytest.approx(thickness, rel=0.2)


def test_walls_close_the_cells() -> None:
    """Every cell of a closed foam is a cluster of its own; the walls are one."""
    parameters = CellParameters(volume_fraction=0.35, spacing=(16.0, 16.0, 16.0))
    made = make("closed-foam", parameters, 48, generator=np.random.default_rng(3))
    assert clusters(made.volume == 0) == made.recipe["count"] == 27
    assert connectivity(made.volume).percolates == (True, True, True)


def test_thickness_of_struts() -> None:
    """Struts: diameter 4 f / S, about."""
    parameters = CellParameters(volume_fraction=0.15, spacing=(18.0, 18.0, 18.0))
    made = make("open-foam", parameters, 48, generator=np.random.default_rng(2))
    diameter = 4.0 * 0.15 / specific_surface(made.volume)
    assert made.recipe["strut_thickness"][0] == pytest.approx(diameter, rel=0.3)


def test_struts_leave_the_cells_open() -> None:
    parameters = CellParameters(volume_fraction=0.15, spacing=(16.0, 16.0, 16.0))
    for seed in range(3):
        made = make("open-foam", parameters, 48, generator=np.random.default_rng(seed))
        for phase in (0, 1):
            assert connectivity(made.volume, phase).largest > 0.99
            assert connectivity(made.volume, phase).percolates == (True, True, True)


def test_radii_spread() -> None:
    """Particles of unequal radii: their volumes differ, as long as they are apart."""

    def spread(radius_spread: float) -> float:
        parameters = ParticleParameters(
            volume_fraction=0.12, spacing=(12.0, 12.0, 12.0), radius_spread=radius_spread
        )
        volume = make("particles", parameters, 36, generator=np.random.default_rng(5)).volume
        volume = np.roll(volume, (3, 5, 7), (0, 1, 2))
        labelled: tuple[np.ndarray, int] = ndimage.label(volume)  # pyright: ignore[reportAssignmentType]
        labels = labelled[0]
        touching = {label for axis in range(3) for end in (0, -1) for label in labels.take(end, axis).ravel()}
        sizes = [size for label, size in enumerate(np.bincount(labels.ravel())) if label not in touching]
        return float(np.std(np.cbrt(sizes)) / np.mean(np.cbrt(sizes)))

    assert spread(0.0) < 0.03 < 0.08 < spread(0.2)
