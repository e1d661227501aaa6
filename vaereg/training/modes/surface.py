"""Surface of what the irregular mode decodes, beside that of what was encoded."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.io.labelled_sets import LabelledSet
from vaereg.microstructure.statistics import specific_surface
from vaereg.model.batches import encode_batches
from vaereg.model.decoding import IRREGULAR, mode_fields, mode_fraction
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.constructive.stretch import quadratic_terms
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.networks import cut
from vaereg.model.vae import VaeReg
from vaereg.training.modes.data import read_mode_data

__all__ = ["fit_surface_stretch"]

_REALISATIONS = 4
"""Decodings of each volume whose mean surface is compared with that of the volume."""
_RIDGE = np.logspace(-1.0, 5.0, 13)
"""Penalties of the fit that are tried [-]."""
_FEWEST = 100
"""Least number of volumes that the factor is fitted to."""


def fit_surface_stretch(model: VaeReg, networks: ModeNetworks, dataset: LabelledSet) -> None:
    """Fit `networks.irregular_stretch` to the irregular volumes of the training split.

    Those of `REFERENCE_EDGE` voxels per edge are taken; too few of them leave it at one.

    Args:
        model: Joint model, whose encoder and decoder the irregular mode has.
        networks: Networks of the modes.
        dataset: Labelled volumes.
    """
    rows = dataset.indices("train", size=REFERENCE_EDGE)
    classes = [name for name, mode in CLASS_MODES.items() if mode == IRREGULAR]
    data = read_mode_data(dataset, rows[np.isin(dataset.samples.morphology[rows], classes)])
    volumes = dataset.volumes(data.rows[data.mode.numpy() == IRREGULAR])
    if len(volumes) < _FEWEST:
        return
    z = torch.cat([encoding.latent_mean for encoding in encode_batches(model, volumes)])
    excess = np.zeros(len(z))
    component = np.full(1, IRREGULAR)
    with torch.inference_mode():
        for place, volume in enumerate(volumes):
            latent = z[place : place + 1]
            fraction = mode_fraction(model, networks, latent, component)
            decoded = [
                cut(mode_fields(model, networks, latent, component, len(volume), seeds=[seed]), fraction)[
                    0, 0
                ]
                for seed in range(_REALISATIONS)
            ]
            surfaces = [specific_surface(cell.cpu().numpy()) for cell in decoded]
            excess[place] = np.log(surfaces).mean() - np.log(specific_surface(volume))
    stretch = networks.irregular_stretch
    stretch.location.copy_(z.mean(0))
    stretch.spread.copy_(z.std(0) + 1e-6)
    terms = quadratic_terms((z.to(stretch.spread) - stretch.location) / stretch.spread)[:, 1:]
    inputs = terms.double().cpu().numpy()
    mean, std = inputs.mean(0), inputs.std(0)
    ridge = RidgeCV(_RIDGE).fit((inputs - mean) / std, excess)
    slopes = ridge.coef_ / std
    stretch.weights.copy_(torch.from_numpy(np.append(ridge.intercept_ - slopes @ mean, slopes)))
