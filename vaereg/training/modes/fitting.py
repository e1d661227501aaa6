"""What is fitted to trained modes: the prior in closed form, and the library of what each mode reaches."""

from __future__ import annotations

import numpy as np
import torch

from vaereg.elasticity import AXIS_ORDERS
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.decoder import BUILT
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.regular import periodic_latent
from vaereg.model.modes.release import Modes
from vaereg.training.modes.data import ORDERS, read_mode_data

__all__ = ["fit_modes"]


def fit_modes(networks: ModeNetworks, dataset: LabelledSet, config: ModesConfig) -> Modes:
    """Fit prior and library to the training split of a labelled data set.

    Args:
        networks: Trained networks, whose prior is replaced.
        dataset: Volumes whose first pair is the reference pair.
        config: Configuration of the training.
    """
    data = read_mode_data(dataset, dataset.indices("train"))
    networks = networks.cpu().eval()
    rows = torch.arange(len(data.rows))
    means, stds, properties = [], [], []
    with torch.no_grad():
        for order in range(len(ORDERS)):
            statistics, _, _, turned = data.permuted(rows, torch.full_like(rows, order))
            posterior = networks.encoder(statistics, data.mode)
            means.append(posterior.mean)
            stds.append(posterior.std)
            properties.append(networks.standardise(turned))
    networks.prior.fit(
        torch.cat(properties), torch.cat(means), torch.cat(stds), data.mode.repeat(len(AXIS_ORDERS))
    )
    latent = means[0].numpy().copy()
    for place in np.flatnonzero(data.mode.numpy() == MODE_NAMES.index("periodic")):
        row = int(data.rows[place])
        latent[place] = periodic_latent(
            str(dataset.samples.recipe[row]), int(data.size[place]), config.latent
        )
    latent[~np.isin(data.mode.numpy(), [*BUILT, MODE_NAMES.index("periodic")])] = 0.0
    library = ModeLibrary(
        mode=data.mode.numpy(),
        properties=data.properties.numpy().astype(np.float64),
        fraction=data.fraction.numpy().astype(np.float64),
        latent=latent,
    )
    return Modes(networks=networks.requires_grad_(False), config=config, library=library)
