"""What the irregular mode decodes has the surface that its latent vector stands for."""

import numpy as np
import pytest
import torch
from modes_fixture import modes_of

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
    expected = ExpectedSurface(model.decoder.shape_noise.coefficients[0].in_features)
    expected.mean.fill_(log)
    expected.deviation.fill_(1e-9)
    return expected


def decoded(model: VaeReg, expected: ExpectedSurface, stretch: float = 1.0) -> torch.Tensor:
    z = torch.zeros(len(SEEDS), expected.location.shape[0])
    noise = torch.cat([model.noise(1, 16, generator=torch.Generator().manual_seed(seed)) for seed in SEEDS])
    with torch.no_grad():
        field = matched_field(expected, model.decoder, z, noise, stretch)
        return cut(field, model.decoder.volume_fraction(z))


def test_without_a_fit_fields_stay_as_they_are_decoded(model: VaeReg) -> None:
    networks = modes_of([("irregular", [20.0] * 6, 0.4)]).networks
    z, mode = torch.zeros(2, networks.irregular_surface.location.shape[0]), np.full(2, IRREGULAR)
    noise = torch.cat([model.noise(1, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
    with torch.no_grad():
        fields = mode_fields(model, networks, z, mode, 8, seeds=[1, 2], stretch=1.1)
        torch.testing.assert_close(fields, model.decoder.field(z, noise, 1.1))


def test_every_realisation_is_brought_to_the_surface(model: VaeReg) -> None:
    """From deviations that are larger; a step of the lengths is 0.02."""
    plain = log_surface(decoded(model, ExpectedSurface(constant(model, 0.0).location.shape[0])))
    target = float(np.median(plain))
    assert np.abs(plain - target).max() > 0.02
    matched = log_surface(decoded(model, constant(model, target)))
    assert np.abs(matched - target).max() < 0.02 < np.abs(plain - target).max()


def test_the_surface_goes_with_the_inverse_of_a_stretch(model: VaeReg) -> None:
    target = float(np.median(log_surface(decoded(model, constant(model, -1.7)))))
    longer = log_surface(decoded(model, constant(model, target), stretch=1.1))
    assert longer == pytest.approx(target - np.log(1.1), abs=0.03)


def test_the_factor_stays_within_ten_per_cent(model: VaeReg) -> None:
    """An impossible surface leaves the field of the last factor."""
    z = torch.zeros(1, constant(model, 0.0).location.shape[0])
    noise = model.noise(1, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        longest = model.decoder.field(z, noise, float(np.exp(0.1)))
        torch.testing.assert_close(matched_field(constant(model, -9.0), model.decoder, z, noise), longest)


def test_the_fit_tells_volumes_of_more_surface_from_those_of_less(model: VaeReg) -> None:
    networks = modes_of([("irregular", [20.0] * 6, 0.4)]).networks
    fit_expected_surface(model, networks, count=40, seed=1)
    assert networks.irregular_surface.is_fitted
