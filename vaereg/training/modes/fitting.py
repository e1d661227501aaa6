"""What is fitted to trained modes: the prior in closed form, the library, the maps to other phases."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.elasticity import AXIS_ORDERS
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.constructive.regular import periodic_latent
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.materials import PairMap, fit_pair_map
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.release import Modes
from vaereg.training.labelling.morphologies import pair_of
from vaereg.training.modes.data import ORDERS, read_mode_data

__all__ = ["fit_modes"]


def fit_modes(networks: ModeNetworks, dataset: LabelledSet, config: ModesConfig) -> Modes:
    """Fit prior, library and maps to the training split of a labelled data set.

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
    samples = dataset.samples
    library = ModeLibrary(
        mode=data.mode.numpy(),
        stiffness=samples.stiffness[data.rows, 0].astype(np.float64),
        conductivity=samples.conductivity[data.rows, 0].astype(np.float64),
        fraction=data.fraction.numpy().astype(np.float64),
        latent=latent,
    )
    return Modes(
        networks=networks.requires_grad_(False),
        config=config,
        library=library,
        elastic_map=_fit_map(dataset, data.rows, samples.stiffness),
        thermal_map=_fit_map(dataset, data.rows, samples.conductivity),
    )


def _fit_map(dataset: LabelledSet, rows: NDArray[np.intp], labels: NDArray[np.float32]) -> PairMap:
    """Map from the reference pair to the other pairs of the data set, of labels (N, P, n, n)."""
    samples = dataset.samples
    reference, fraction, pairs, truth = [], [], [], []
    for place in range(1, labels.shape[1]):
        labelled_rows = rows[np.isfinite(labels[rows, place]).all((1, 2))]
        reference.append(labels[labelled_rows, 0])
        fraction.append(samples.volume_fraction[labelled_rows])
        pairs += [pair_of(samples.phases[row, place]) for row in labelled_rows]
        truth.append(labels[labelled_rows, place])
    if not pairs:  # nothing to learn from: the place between the bounds stays
        return PairMap().double().eval().requires_grad_(False)
    return fit_pair_map(
        np.concatenate(reference).astype(np.float64),
        np.concatenate(fraction),
        pairs,
        np.concatenate(truth).astype(np.float64),
    )
