"""What the irregular mode decodes has the surface that its latent vector stands for."""

import numpy as np
import pytest
import torch
from modes_fixture import modes_of
from numpy.typing import NDArray

from vaereg.generators.irregular import SpinodalParameters
from vaereg.generators.morphologies import make
from vaereg.model.batches import encode_batches
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.decoding import IRREGULAR, mode_fields
from vaereg.model.modes.constructive.surface import ExpectedSurface, log_surface, matched_field
from vaereg.model.networks import cut
from vaereg.model.vae import VaeReg
from vaereg.training.modes.surface import fit_expected_surface

SEEDS = [3, 4, 5]


@pytest.fixture(scope="module")
def model() -> VaeReg:
    """Joint model of the shipped checkpoint."""
    return load_checkpoint().model


def constant(model: VaeReg, log: float) -> ExpectedSurface:
    """The same surface for all latent vectors."""
    expected = unfitted(model)
    expected.mean.fill_(log)
    expected.deviation.fill_(1e-9)
    return expected


def unfitted(model: VaeReg) -> ExpectedSurface:
    """No surface for any latent vector."""
    return ExpectedSurface(model.config.latent)


def noise_of(model: VaeReg, size: int) -> torch.Tensor:
    """White noise of `SEEDS`."""
    return torch.cat([model.noise(1, size, generator=torch.Generator().manual_seed(seed)) for seed in SEEDS])


def surfaces(
    model: VaeReg, expected: ExpectedSurface, size: int, stretch: float = 1.0
) -> NDArray[np.float64]:
    """Logarithms of the surfaces of decodings of z = 0."""
    z = torch.zeros(len(SEEDS), model.config.latent)
    with torch.no_grad():
        fields = matched_field(expected, model.decoder, z, noise_of(model, size), stretch)
        return log_surface(cut(fields, model.decoder.volume_fraction(z)))


def test_without_a_fit_fields_stay_as_they_are_decoded(model: VaeReg) -> None:
    networks = modes_of([("irregular", [20.0] * 6, 0.4)]).networks
    networks.irregular_surface = unfitted(model)
    z, mode = torch.zeros(len(SEEDS), model.config.latent), np.full(len(SEEDS), IRREGULAR)
    with torch.no_grad():
        fields = mode_fields(model, networks, z, mode, 8, seeds=SEEDS, stretch=1.1)
        torch.testing.assert_close(fields, model.decoder.field(z, noise_of(model, 8), 1.1))


def test_every_realisation_is_brought_to_the_surface(model: VaeReg) -> None:
    plain = surfaces(model, unfitted(model), 16)
    target = float(np.median(plain))
    matched = surfaces(model, constant(model, target), 16)
    assert np.abs(matched - target).max() < 0.5 * np.abs(plain - target).max()


def test_the_surface_goes_with_the_inverse_of_a_stretch(model: VaeReg) -> None:
    target = float(np.median(surfaces(model, unfitted(model), 32)))
    longer = surfaces(model, constant(model, target), 32, stretch=1.1)
    assert longer == pytest.approx(target - np.log(1.1), abs=0.02)


def test_the_factor_stays_within_ten_per_cent(model: VaeReg) -> None:
    """A surface that is far out of reach gets the longest lengths."""
    z = torch.zeros(len(SEEDS), model.config.latent)
    with torch.no_grad():
        longest = model.decoder.field(z, noise_of(model, 16), float(np.exp(0.1)))
        matched = matched_field(constant(model, -9.0), model.decoder, z, noise_of(model, 16))
        torch.testing.assert_close(matched, longest)


def test_the_fit_tells_volumes_of_more_surface_from_those_of_less(model: VaeReg) -> None:
    networks = modes_of([("irregular", [20.0] * 6, 0.4)]).networks
    fit_expected_surface(model, networks, count=30, seed=1)
    volumes = [
        make(
            "spinodal",
            SpinodalParameters(volume_fraction=0.5, wavelength=wavelength, steps=40, stretch=(1.0, 1.0, 1.0)),
            32,
            generator=np.random.default_rng(2),
        )
        for wavelength in (7.5, 12.0)
    ]
    stack = np.stack([item.volume for item in volumes])
    z = torch.cat([encoding.latent_mean for encoding in encode_batches(model, stack)])
    fine, coarse = networks.irregular_surface(z).tolist()
    assert fine > coarse + 0.1
