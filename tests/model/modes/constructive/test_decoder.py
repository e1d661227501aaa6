"""Constructive decoder: gradients, lengths that keep from size to size, axes, fractions, seeds."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vaereg.microstructure.statistics import face_density, two_point_correlation
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.model.modes.constructive.construction import bodies_field, cells_field, coordinates
from vaereg.model.modes.constructive.decoder import BUILT, ConstructiveDecoder, _displacement
from vaereg.model.modes.constructive.geometry import Geometry
from vaereg.model.modes.constructive.nearest import nearest_bodies, nearest_points
from vaereg.model.networks import cut

LATENT = 6
BUILT_NAMES = [MODES[index].name for index in BUILT]
SHAPE = (16, 16, 16)


@pytest.fixture(scope="module")
def decoder() -> ConstructiveDecoder:
    """Decoder with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConstructiveDecoder(LATENT)


def generators(*seeds: int) -> list[np.random.Generator]:
    """One generator a seed."""
    return [np.random.default_rng(seed) for seed in seeds]


def mode_of(name: str) -> Tensor:
    """Index of a mode, shape (1,)."""
    return torch.tensor([MODE_NAMES.index(name)])


@pytest.mark.parametrize("name", BUILT_NAMES)
def test_gradients_reach_z(decoder: ConstructiveDecoder, name: str) -> None:
    z = torch.zeros(1, LATENT, requires_grad=True)
    soft = decoder(z, mode_of(name), SHAPE, generators=generators(1), temperature=0.3)
    weights = torch.randn(soft.shape, generator=torch.Generator().manual_seed(0))
    (soft * weights).sum().backward()
    assert z.grad is not None and (z.grad.abs() > 0).all()


@pytest.mark.parametrize("name", BUILT_NAMES)
def test_fraction_is_exact_and_realisations_follow_from_seeds(
    decoder: ConstructiveDecoder, name: str
) -> None:
    z, mode = torch.zeros(3, LATENT), mode_of(name).repeat(3)
    fraction = torch.tensor([0.3, 0.3, 0.3])
    volumes = decoder(z, mode, SHAPE, generators=generators(1, 1, 2), fraction=fraction)
    assert (volumes.sum((1, 2, 3, 4)) == round(0.3 * 16**3)).all()
    assert torch.equal(volumes[0], volumes[1])
    assert not torch.equal(volumes[0], volumes[2])


@pytest.mark.parametrize("name", ["periodic", "irregular"])
def test_other_modes_have_no_construction(decoder: ConstructiveDecoder, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        decoder(torch.zeros(1, LATENT), mode_of(name), SHAPE, generators=generators(1))


def cells(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], order: int, seed: int
) -> np.ndarray:
    """Foam or particles of a given spacing at a fraction of 0.3."""
    places = coordinates(shape, torch.tensor(0.0), torch.zeros(3, *shape))
    field = cells_field(
        torch.tensor(spacing), torch.tensor(0.05), places, order=order, generator=np.random.default_rng(seed)
    )
    return cut(-field[None, None], torch.tensor([0.3]))[0, 0].numpy()


def needles(weights: tuple[float, float, float], seed: int) -> np.ndarray:
    """Fibres of given weights of their directions at a fraction of 0.15."""
    shape = (32, 32, 32)
    places = coordinates(shape, torch.tensor(0.0), torch.zeros(3, *shape))
    field = bodies_field(
        torch.tensor([9.0, 9.0, 9.0]),
        torch.tensor(9.0),
        torch.tensor(weights),
        places,
        flat=False,
        generator=np.random.default_rng(seed),
    )
    return cut(-field[None, None], torch.tensor([0.15]))[0, 0].numpy()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_lengths_are_those_of_any_size(order: int) -> None:
    small = np.mean([face_density(cells((32, 32, 32), (9.0, 9.0, 9.0), order, seed)) for seed in range(6)])
    large = face_density(cells((64, 64, 64), (9.0, 9.0, 9.0), order, 7))
    assert large == pytest.approx(small, rel=0.05)


@pytest.mark.parametrize("name", ["closed-foam", "open-foam", "particles", "fibres", "platelets"])
def test_the_last_point_or_body_counts_by_its_share(decoder: ConstructiveDecoder, name: str) -> None:
    """Surface of 8, 8.5 and 9 points or bodies in a cell, from the same random numbers."""
    seeds = range(12)
    numbers = decoder.geometry(torch.zeros(1, LATENT), mode_of(name)).numbers.detach()
    faces = []
    for count in (8.0, 8.5, 9.0):
        numbers[:, :3], numbers[:, 4], numbers[:, 8] = 24.0 / count ** (1.0 / 3.0), 8.0, 0.02
        cells = decoder.build(
            Geometry(numbers=numbers.repeat(len(seeds), 1)),
            mode_of(name).repeat(len(seeds)),
            torch.full((len(seeds),), 0.3),
            (24, 24, 24),
            generators=generators(*seeds),
        )
        volumes = cut(cells, torch.full((len(seeds),), 0.3))
        faces.append(np.mean([face_density(volume.numpy()) for volume in volumes[:, 0]]))
    assert faces[0] < faces[1] < faces[2]
    assert faces[2] < 1.1 * faces[0]


def test_layers_without_waves_are_whole_planes(decoder: ConstructiveDecoder) -> None:
    """Four layers normal to y, of unequal thickness, whose fraction is that of whole planes of voxels."""
    numbers = torch.tensor([[150.0, 4.0, 150.0, 0.05, 11.0, 0.5, 0.5, 0.5, 0.05]])
    fraction = torch.tensor([7.0 / 16.0])
    fields = decoder.build(
        Geometry(numbers=numbers), mode_of("layers"), fraction, SHAPE, generators=generators(1)
    )
    volume = cut(fields, fraction)[0, 0]
    assert torch.equal(volume, volume[:1, :, :1].expand(SHAPE))
    assert int(volume[0, :, 0].sum()) == 7


def test_permuted_spacing_permutes_the_statistics() -> None:
    def along(spacing: tuple[float, float, float], axis: int) -> float:
        lag = [0, 0, 0]
        lag[axis] = 3
        return float(
            np.mean([two_point_correlation(cells((32, 32, 32), spacing, 2, s))[tuple(lag)] for s in range(4)])
        )

    long_x, long_z = (14.0, 7.0, 7.0), (7.0, 7.0, 14.0)
    assert along(long_x, 0) == pytest.approx(along(long_z, 2), rel=0.08)
    assert along(long_x, 0) > 1.3 * along(long_x, 1)


def test_needles_lie_along_the_axis_of_the_largest_weight() -> None:
    volume = needles((0.05, 0.05, 1.0), 3)
    correlation = two_point_correlation(volume)
    assert correlation[0, 0, 5] > 2.0 * max(correlation[5, 0, 0], correlation[0, 5, 0])


def test_volumes_are_periodic() -> None:
    volume = cells((24, 24, 24), (8.0, 8.0, 8.0), 2, 1)
    inside = np.abs(np.diff(volume, axis=0)).mean()
    across = np.abs(volume[0] - volume[-1]).mean()
    assert across < 2.0 * inside


def test_the_warp_displaces_the_voxels_by_its_length() -> None:
    displacement = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    still = coordinates(SHAPE, torch.tensor(0.0), displacement)
    moved = coordinates(SHAPE, torch.tensor(1.5), displacement)
    assert float((moved - still).square().mean().sqrt()) == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("name", ["closed-foam", "layers"])
def test_stretched_lengths_are_those_of_a_smaller_cell(decoder: ConstructiveDecoder, name: str) -> None:
    z, mode, fraction = torch.zeros(4, LATENT), mode_of(name).repeat(4), torch.full((4,), 0.4)
    small = cut(decoder.field(z, mode, SHAPE, generators=generators(1, 2, 3, 4)), fraction)
    large = cut(
        decoder.field(z, mode, (32, 32, 32), generators=generators(1, 2, 3, 4), stretch=2.0), fraction
    )
    faces = [np.mean([face_density(cell.numpy()) for cell in cells[:, 0]]) for cells in (small, large)]
    assert faces[1] == pytest.approx(0.5 * faces[0], rel=0.15)


@pytest.mark.parametrize("shape", [(20, 20, 20), (40, 24, 32)])
def test_blocks_leave_out_no_nearest_point(shape: tuple[int, int, int]) -> None:
    generator, lengths = np.random.default_rng(3), np.array(shape, dtype=np.float64)
    places = generator.random((3, *shape)).astype(np.float32) * 3.0
    places += np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    points = (generator.random((60, 3)) * lengths).astype(np.float32)
    added = generator.standard_normal(60).astype(np.float32)
    offset = places.reshape(3, -1, 1) - points.T[:, None]
    offset -= lengths[:, None, None] * np.round(offset / lengths[:, None, None])
    cells = np.sort(np.sqrt(np.square(offset).sum(0)) + added)[:, :3]
    box, distance = lengths.astype(np.float32), np.sqrt(np.square(offset).sum(0)) + added
    for order in (1, 2, 3):
        found, told = (part.reshape(order, -1) for part in nearest_points(places, points, box, added, order))
        rows = np.arange(found.shape[1])
        np.testing.assert_allclose(distance[rows, found].T, cells[:, :order], atol=1e-4)
        np.testing.assert_allclose(told.T, cells[:, :order], atol=0.01)  # with rounding at the points
    for flat in (False, True):
        directions = generator.standard_normal((60, 3))
        directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
        along = np.einsum("apn,na->pn", offset, directions)
        across = np.sqrt(np.maximum(np.square(offset).sum(0) - along**2, 0.0))
        long, thin = (across, along) if flat else (along, across)
        extent = generator.uniform(2.0, 7.0, 60).astype(np.float32)
        square = thin**2 + np.maximum(np.abs(long) - extent, 0.0) ** 2
        body, told = (part.ravel() for part in nearest_bodies(places, points, directions, box, extent, flat))
        np.testing.assert_allclose(square[rows, body], square.min(1), atol=1e-3)
        np.testing.assert_allclose(told, np.sqrt(square.min(1) + 1e-4), atol=1e-3)


@pytest.mark.parametrize("name", BUILT_NAMES)
def test_fields_without_a_gradient_are_those_with_one(decoder: ConstructiveDecoder, name: str) -> None:
    z, mode = torch.zeros(1, LATENT), mode_of(name)
    with_gradient = decoder.field(z.requires_grad_(), mode, SHAPE, generators=generators(1)).detach()
    with torch.inference_mode():
        without = decoder.field(z, mode, SHAPE, generators=generators(1))
    torch.testing.assert_close(without, with_gradient, rtol=0.0, atol=2e-3)


def test_the_warp_keeps_the_waves_that_its_filter_lets_pass() -> None:
    drawn = np.random.default_rng(0)
    fields = np.concatenate([_displacement((24, 16, 20), drawn).numpy() for _ in range(40)])
    power = np.square(np.abs(np.fft.fftn(fields, axes=(1, 2, 3)))).mean(0)
    assert power[0, 0, 0] < 1e-6 * power.max()
    waves = np.meshgrid(*[np.fft.fftfreq(count) for count in (24, 16, 20)], indexing="ij")
    expected = np.exp(-4.0 * (np.pi * 6.0) ** 2 * sum(wave**2 for wave in waves))
    expected[0, 0, 0] = 0.0
    likely = expected > 0.1 * expected.max()
    np.testing.assert_allclose(power[likely] / power.sum(), expected[likely] / expected.sum(), rtol=0.35)
    assert power[expected < 1e-6 * expected.max()].max() < 1e-4 * power.max()
