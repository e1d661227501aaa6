"""Networks: periodic, at home in any cell size, and exact where a formula is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from vaereg.generators.families import gaussian_field
from vaereg.microstructure.correlation import autocorrelation, axis_correlation
from vaereg.model.networks import Decoder, Encoder, LatentRegressor, SpectralFilter, cut, mixed_precision

LATENT = 3
AXES = (2, 3, 4)
SIZES = (15, 16, 32, 40)


@pytest.fixture
def encoder() -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder = Encoder((6, 8))
        for name, parameter in encoder.named_parameters():
            if "second" in name:  # these begin at zero: the refining convolutions would not be seen
                nn.init.normal_(parameter, std=0.3)
    return encoder.eval().requires_grad_(False)


@pytest.fixture
def decoder() -> Decoder:
    """A decoder away from its start: every part of it acts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        decoder = Decoder(LATENT, channels=2, hidden=4)
        for parameter in decoder.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return decoder


def volumes(*shape: int) -> Tensor:
    """Two cells of one and of three tenths of stiff phase, the second finer than the first."""
    rng = np.random.default_rng(0)
    cells = []
    for std, fraction in ((2.0, 0.1), (1.0, 0.3)):
        field = gaussian_filter(rng.standard_normal(shape), [0.5 * std, std, std], mode="wrap")
        cells.append(field > np.quantile(field, 1.0 - fraction))
    return torch.from_numpy(np.stack(cells).astype(np.float32))[:, None]


def change(before: Tensor, after: Tensor) -> float:
    """Largest change of features, as a part of their difference between the two cells."""
    return float((after - before).abs().max() / (before[0] - before[1]).abs().max())


def set_gaussian(filters: SpectralFilter, stds: Sequence[Sequence[float]]) -> None:
    """Make a filter Gaussian whatever z is: standard deviations along x, y, z [voxel] for each channel."""
    last = filters.coefficients[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias.unflatten(0, (filters.channels, filters.terms))[:, :3] = torch.tensor(stds).log()


def standardised(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / field.std()


def test_the_encoder_does_not_see_where_the_cell_was_cut(encoder: Encoder) -> None:
    """Shifts by multiples of the total stride, 2 * 2 here, leave the features as they are."""
    x = volumes(16, 16, 16)
    features = encoder(x)
    assert (features[0] - features[1]).abs().max() > 0.03
    for shift in ((4, 0, 0), (0, -4, 8), (12, 8, 4)):
        assert change(features, encoder(x.roll(shift, AXES))) < 1e-4
    assert change(features, encoder(x.roll(1, 2))) < 0.2, "other shifts move the grid of the strides"


def test_a_cell_repeated_is_the_same_material(encoder: Encoder) -> None:
    x = volumes(16, 16, 16)
    for copies in ((2, 1, 1), (1, 2, 2)):
        assert change(encoder(x), encoder(x.tile(1, 1, *copies))) < 1e-4


def test_the_seam_of_an_odd_cell_is_small(encoder: Encoder) -> None:
    """The strides do not divide an odd cell, so that a shift is seen, a little."""
    x = volumes(17, 17, 17)
    assert change(encoder(x), encoder(x.roll((4, 9, 2), AXES))) < 0.25


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 9, 9), (11, 13, 10), (24, 16, 8)])
def test_the_encoder_takes_every_cell(shape: tuple[int, ...], encoder: Encoder) -> None:
    x = volumes(*shape)
    features = encoder(x)
    assert features.shape == (2, encoder.statistics)
    assert torch.isfinite(features).all()
    assert change(features, torch.cat([encoder(x[:1]), encoder(x[1:])])) < 1e-4


@pytest.mark.parametrize("size", [16, 21])
def test_a_gaussian_filter_is_that_of_scipy(size: int, generator: torch.Generator) -> None:
    stds = ((1.5, 2.0, 3.0), (2.5, 1.5, 1.7))
    filters = SpectralFilter(2, LATENT, [1.0, 1.0])
    set_gaussian(filters, stds)
    noise = torch.randn(1, 2, size, size, size, generator=generator)
    with torch.no_grad():
        modes = torch.fft.rfftn(noise, dim=AXES) * filters(torch.zeros(1, LATENT), size)
        actual = torch.fft.irfftn(modes, s=noise.shape[2:], dim=AXES).numpy()[0]
    for field, white, std in zip(actual, noise[0].numpy().astype(np.float64), stds, strict=True):
        expected = gaussian_filter(white, std, mode="wrap", truncate=8.0)
        ratio = (field * expected).sum() / (expected**2).sum()
        assert np.abs(field - ratio * expected).max() < 2e-4 * field.std()


@pytest.mark.parametrize("size", [8, 9])
def test_filters_are_real_even_and_keep_unit_variance(
    size: int, decoder: Decoder, generator: torch.Generator
) -> None:
    """Its squares, without its mean, sum to one: the variance that white noise keeps (Parseval)."""
    transfer = decoder.shape_noise(torch.randn(3, LATENT, generator=generator), size)
    assert transfer.shape == (3, 2, size, size, size // 2 + 1)
    kernel = torch.fft.irfftn(transfer, s=(size,) * 3, dim=AXES)
    centred = kernel - kernel.mean(AXES, keepdim=True)
    torch.testing.assert_close(centred.square().sum(AXES), torch.ones(3, 2))
    for axis in AXES:
        torch.testing.assert_close(kernel.flip(axis).roll(1, axis), kernel, rtol=1e-4, atol=1e-6)
    assert (kernel[0] - kernel[1]).abs().max() > 1e-3, "kernels depend on z"


@pytest.mark.parametrize("size", SIZES)
def test_the_decoder_hits_its_volume_fraction(
    size: int, decoder: Decoder, generator: torch.Generator
) -> None:
    z = torch.randn(2, LATENT, generator=generator)
    with torch.no_grad():
        x = decoder(z, torch.randn(2, 2, size, size, size, generator=generator))
        fraction = decoder.volume_fraction(z)
    assert x.shape == (2, 1, size, size, size)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert x.sum((1, 2, 3, 4)).tolist() == [round(float(f) * size**3) for f in fraction]
    assert fraction[0] != fraction[1]


def test_the_field_is_standardised(decoder: Decoder, generator: torch.Generator) -> None:
    z = torch.randn(3, LATENT, generator=generator)
    field = decoder.field(z, torch.randn(3, 2, 16, 16, 16, generator=generator))
    torch.testing.assert_close(field.mean(AXES), torch.zeros(3, 1), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(field.std(AXES, unbiased=False), torch.ones(3, 1))


def test_realisations_are_periodic(decoder: Decoder, generator: torch.Generator) -> None:
    """Shifted noise gives the shifted volume, by any number of voxels, but for ties in rounding."""
    z, noise = torch.randn(2, LATENT, generator=generator), torch.randn(2, 2, 16, 16, 16, generator=generator)
    with torch.no_grad():
        field, x = decoder.field(z, noise), decoder(z, noise)
        for shift in ((1, 0, 0), (5, -3, 7)):
            moved = noise.roll(shift, AXES)
            torch.testing.assert_close(decoder.field(z, moved), field.roll(shift, AXES), rtol=1e-4, atol=1e-4)
            assert (decoder(z, moved) != x.roll(shift, AXES)).sum() <= 4


def test_noise_makes_the_realisation(decoder: Decoder, generator: torch.Generator) -> None:
    z = torch.randn(1, LATENT, generator=generator).expand(3, -1)
    noise = torch.randn(3, 2, 32, 32, 32, generator=generator)
    noise[1] = noise[0]
    with torch.no_grad():
        first, same, other = decoder(z, noise).bool()
        again = decoder(z, noise)[0].bool()
    assert torch.equal(first, same)
    assert torch.equal(first, again)
    assert 0.05 < (first != other).float().mean() < 0.95
    item, two = axis_correlation(autocorrelation(torch.stack([first, other]).float()), (1, 2, 3))
    assert (item - two).abs().max() < 0.1, "realisations of one z are one material"


def test_a_batch_is_decoded_row_by_row(decoder: Decoder, generator: torch.Generator) -> None:
    z, noise = torch.randn(3, LATENT, generator=generator), torch.randn(3, 2, 16, 16, 16, generator=generator)
    alone = torch.cat([decoder.field(z[i : i + 1], noise[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(decoder.field(z, noise), alone, rtol=1e-4, atol=1e-4)


def test_the_decoder_contains_thresholded_gaussian_fields(generator: torch.Generator) -> None:
    """With Gaussian kernels and no mixing it is the generator of the data, to within rounding."""
    decoder = Decoder(LATENT, channels=2, hidden=4)
    first, second = ([1.5, 2.0, 3.0], [4.0] * 3), ([1.0, 1.0, 1.5], [1.0] * 3)
    set_gaussian(decoder.shape_noise, first)
    set_gaussian(decoder.shape_field, second)
    for part in (decoder.modulation, decoder.mix_out):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)
    noise = torch.randn(1, 2, 24, 24, 24, generator=generator)
    with torch.no_grad():
        z = torch.zeros(1, LATENT)
        actual, fraction = decoder(z, noise).numpy()[0, 0], float(decoder.volume_fraction(z))

    class White(np.random.Generator):
        def standard_normal(self, *_: object) -> np.ndarray:  # type: ignore[override]
            return noise[0, 0].numpy().astype(np.float64)

    std = np.hypot(first[0], second[0])  # two Gaussian filters in a row are one
    expected = gaussian_field(24, std.tolist(), fraction, generator=White(np.random.PCG64()))
    assert (actual != expected).sum() <= 4


@pytest.mark.parametrize("fraction", [0.0, 1e-5, 0.25, 0.5, 1.0])
def test_the_cut_takes_the_highest_values(fraction: float, generator: torch.Generator) -> None:
    """At least one voxel of each phase is left: no volume is of one phase."""
    field = torch.randn(2, 1, 6, 7, 8, generator=generator)
    x = cut(field, torch.full((2,), fraction))
    expected = min(max(round(fraction * 336), 1), 335)
    assert x.sum((1, 2, 3, 4)).tolist() == [expected] * 2
    for values, phase in zip(field, x.bool(), strict=True):
        assert values[phase].min() > values[~phase].max()


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_equal_values_are_cut_to_the_voxel(temperature: float | None, generator: torch.Generator) -> None:
    """Rounding makes values equal, in one of some hundred fields of 32 voxels per edge at the very level."""
    field = torch.randn(2, 1, 8, 8, 8, generator=generator).mul(2.0).round()
    x = cut(field, torch.tensor([0.3, 0.61]), temperature).round()
    assert x.sum((1, 2, 3, 4)).tolist() == [round(0.3 * 512), round(0.61 * 512)]
    for values, phase in zip(field, x.bool(), strict=True):
        assert values[phase].min() >= values[~phase].max()
    assert cut(torch.zeros(1, 1, 4, 4, 4), torch.tensor([0.25])).sum() == 16


def test_the_cut_passes_the_slope_of_a_sigmoid(generator: torch.Generator) -> None:
    """Straight through: binary forwards, the sigmoid at the level of the cut backwards."""
    field = torch.randn(1, 1, 6, 6, 6, generator=generator, requires_grad=True)
    fraction = torch.tensor([0.3])
    x = cut(field, fraction, 0.5)
    torch.testing.assert_close(x, cut(field, fraction), rtol=0.0, atol=1e-6)
    (slope,) = torch.autograd.grad(x.sum(), field)
    level = field.detach().flatten().sort().values[216 - 65 - 1]
    s = torch.sigmoid((field.detach() - level) / 0.5)
    torch.testing.assert_close(slope, s * (1 - s) / 0.5)
    assert not cut(field, fraction).requires_grad


def test_gradients_reach_every_parameter_of_the_decoder(decoder: Decoder, generator: torch.Generator) -> None:
    """All but the bias of `mix_out`: it moves the mean of the field, and the mean is taken out again."""
    z, noise = torch.randn(4, LATENT, generator=generator), torch.randn(4, 2, 12, 12, 12, generator=generator)
    z.requires_grad_(True)
    weights = torch.randn(4, 1, 12, 12, 12, generator=generator)
    loss = (decoder(z, noise, 0.3) * weights).mean() + decoder.volume_fraction(z).square().mean()
    loss.backward()
    sizes = {name: float(p.grad.abs().max()) for name, p in decoder.named_parameters() if p.grad is not None}
    assert set(sizes) == {name for name, _ in decoder.named_parameters()}
    idle = {name for name, size in sizes.items() if size < 1e-8}
    assert idle == {"mix_out.bias"}
    assert z.grad is not None
    assert (z.grad.abs().max(0).values > 1e-8).all()


def test_the_gradient_of_the_field_is_its_derivative(decoder: Decoder, generator: torch.Generator) -> None:
    z = torch.randn(1, LATENT, generator=generator, requires_grad=True)
    noise = torch.randn(1, 2, 6, 6, 6, generator=generator)
    weights = torch.randn(1, 1, 6, 6, 6, generator=generator)

    def value(z: Tensor) -> Tensor:
        return (decoder.field(z, noise) * weights).sum()

    (slope,) = torch.autograd.grad(value(z), z)
    with torch.no_grad():
        difference = torch.stack(
            [(value(z + step) - value(z - step)) / 0.02 for step in 0.01 * torch.eye(LATENT)]
        )
    assert difference.abs().max() > 0.1
    torch.testing.assert_close(slope[0], difference, rtol=5e-3, atol=5e-3)


def test_training_after_inference_of_the_same_size(decoder: Decoder, generator: torch.Generator) -> None:
    """What is kept between calls must serve gradients too, whichever call came first."""
    size = 10
    noise = torch.randn(1, 2, size, size, size, generator=generator)
    with torch.inference_mode():
        decoder(torch.zeros(1, LATENT), noise)
    decoder.field(torch.ones(1, LATENT), noise).square().sum().backward()


def test_the_latent_regressor_learns_a_function(generator: torch.Generator) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LatentRegressor(LATENT, 2, hidden=32)
    z = torch.randn(256, LATENT, generator=generator)
    wanted = torch.stack([z.sum(1), z[:, 0] * z[:, 1]], 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(100):
        loss = (network(z) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_half_precision_keeps_the_statistics() -> None:
    """Where a network is trained, if asked on a processor; never where it predicts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Encoder((8, 16))
    volumes = (torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    exact = encoder(volumes)
    encoder.bfloat16_on_cpu = True
    half = encoder(volumes)
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.01)
    assert not torch.is_autocast_enabled("cpu")
    with torch.no_grad():
        torch.testing.assert_close(encoder(volumes), exact, rtol=1e-6, atol=1e-7)


def test_precision_is_full_without_a_gpu() -> None:
    with mixed_precision(torch.zeros(1)):
        assert torch.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 3)).dtype == torch.float32
