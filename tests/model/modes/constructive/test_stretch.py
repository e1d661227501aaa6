"""Lengths of the irregular mode follow a factor that is read from the latent vector."""

import numpy as np
import pytest
import torch
from modes_fixture import modes_of

from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.decoding import IRREGULAR, mode_fields
from vaereg.model.modes.constructive.stretch import SurfaceStretch, quadratic_terms
from vaereg.model.modes.release import pack_modes, unpack_modes


def test_lengths_stay_until_a_factor_is_fitted() -> None:
    assert SurfaceStretch(4)(torch.randn(5, 4)).tolist() == [1.0] * 5


def test_the_factor_follows_the_latent_vector_within_ten_per_cent() -> None:
    stretch = SurfaceStretch(2)
    stretch.weights[1] = 0.05
    factors = stretch(torch.tensor([[0.0, 9.0], [1.2, 0.0], [-1.2, 0.0], [3.0, 0.0]]))
    assert factors.log().tolist() == pytest.approx([0.0, 0.06, -0.06, 0.1], abs=1e-6)


def test_terms_are_one_the_components_and_their_products() -> None:
    assert quadratic_terms(torch.tensor([[2.0, -5.0]])).tolist() == [[1.0, 2.0, -3.0, 4.0, -6.0, 9.0]]


def test_fields_of_the_irregular_mode_are_stretched() -> None:
    """A constant factor and the same factor asked for by the caller give the same fields."""
    checkpoint = load_checkpoint()
    networks = modes_of([("irregular", [20.0] * 6, 0.4)]).networks
    z, mode = torch.zeros(2, checkpoint.config.model.latent), np.full(2, IRREGULAR)
    networks.irregular_stretch = SurfaceStretch(z.shape[1])
    asked = mode_fields(checkpoint.model, networks, z, mode, 8, seeds=[1, 2], stretch=float(np.exp(0.04)))
    networks.irregular_stretch.weights[0] = 0.04
    torch.testing.assert_close(mode_fields(checkpoint.model, networks, z, mode, 8, seeds=[1, 2]), asked)


def test_modes_without_the_factor_still_open() -> None:
    state = pack_modes(modes_of([("grains", [20.0] * 6, 0.4)]))
    assert state["weights"].pop("irregular_stretch.weights") is not None
    assert unpack_modes(state, "cpu").networks.irregular_stretch(torch.ones(1, 10)).tolist() == [1.0]
