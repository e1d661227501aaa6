"""The networks of the modes: encoder q(z | x, k), regressor c(z, k), prior p(z | c) and constructive decoder.

Letters: B batch, D latent size, K modes, T properties. c are the logarithms of C11 ... C66 with the reference
pair, standardised over the training set.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaereg.elasticity import PROPERTIES
from vaereg.model.modes.catalogue import MODES
from vaereg.model.modes.constructive.decoder import ConstructiveDecoder
from vaereg.model.modes.constructive.surface import ExpectedSurface
from vaereg.model.modes.encoder import ModeEncoder
from vaereg.model.modes.prior import ModePrior
from vaereg.model.networks import PropertyScaling

__all__ = ["ModeNetworks", "ModeRegressor"]


class ModeRegressor(nn.Module):
    """Latent vector and mode to the standardised logarithmic properties of what they decode to.

    Args:
        latent: Size D of z.
        modes: Number K of modes.
        properties: Number T of properties.
        hidden: Width of the network.
    """

    def __init__(self, latent: int, modes: int, properties: int, hidden: int = 128) -> None:
        super().__init__()
        self.modes = modes
        self.layers = nn.Sequential(
            nn.Linear(latent + modes, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, properties),
        )

    def forward(self, z: Tensor, mode: Tensor) -> Tensor:
        """Standardised log c, shape (B, T), of latent vectors, shape (B, D), and modes, shape (B,)."""
        return self.layers(torch.cat([z, nn.functional.one_hot(mode, self.modes).to(z)], -1))


class ModeNetworks(PropertyScaling):
    """Variational autoencoder of the built modes with its regressor and its conditional prior.

    Args:
        latent: Size D of z.
    """

    def __init__(self, latent: int) -> None:
        super().__init__(len(PROPERTIES))
        self.latent = latent
        self.encoder = ModeEncoder(latent, len(MODES))
        self.regressor = ModeRegressor(latent, len(MODES), len(PROPERTIES))
        self.prior = ModePrior(len(PROPERTIES), latent, len(MODES))
        self.decoder = ConstructiveDecoder(latent)
        self.irregular_surface = ExpectedSurface(latent)
