"""Surface that latent vectors of the irregular mode stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaereg.generators.morphologies import MORPHOLOGIES, REFERENCE_EDGE, component_of, draw, make
from vaereg.model.batches import encode_batches
from vaereg.model.decoding import IRREGULAR
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.constructive.surface import ExpectedSurface, log_surface
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.vae import VaeReg

__all__ = ["fit_expected_surface"]

_STEPS, _STEPS_PER_VOLUME, _BATCH = 3_000, 10, 256
"""Most steps of the fit, and most for each volume; volumes a step."""
_LEARNING_RATE = 3e-3
"""Peak of the cosine schedule of AdamW."""
_FAR = 0.05
"""Residual from which it counts less than its square, in standard deviations of the logarithms [-]."""


def fit_expected_surface(
    model: VaeReg,
    networks: ModeNetworks,
    *,
    count: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fit `networks.irregular_surface` to volumes of the generators, which need no label.

    Args:
        model: Joint model, whose encoder the irregular mode has.
        networks: Networks of the modes.
        count: Volumes of `REFERENCE_EDGE` voxels per edge; without any, surfaces stay as they are decoded.
        seed: Seed of the volumes and of the fit.
        on_progress: Called with the volumes that are drawn, and with their number.
    """
    if not count:
        return
    volumes = []
    for place in range(count):
        volumes.append(_irregular_volume(np.random.default_rng([seed, IRREGULAR, place])))
        if on_progress:
            on_progress(place + 1, count)
    stack = np.stack(volumes)
    with torch.no_grad():
        z = torch.cat([encoding.latent_mean for encoding in encode_batches(model, stack)])
    target = torch.from_numpy(log_surface(torch.from_numpy(stack)[:, None])).float()
    networks.irregular_surface = _fit(z.cpu(), target, seed).to(z.device)


def _irregular_volume(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Volume of one of the classes of the irregular mode, as likely each, shape (n, n, n)."""
    name = MODE_NAMES[IRREGULAR]
    classes = [key for key, morphology in MORPHOLOGIES.items() if morphology.component == name]
    while True:
        drawn = classes[int(generator.integers(len(classes)))]
        parameters = draw(drawn, generator=generator)
        if component_of(drawn, dataclasses.asdict(parameters)) == name:  # no lamellae, which are layers
            return make(drawn, parameters, REFERENCE_EDGE, generator=generator).volume


def _fit(z: Tensor, target: Tensor, seed: int) -> ExpectedSurface:
    """Fit to logarithms of surfaces, shape (N,), of latent vectors, shape (N, D)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = ExpectedSurface(z.shape[1])
    expected.set_scaling(z, target)
    optimiser = torch.optim.AdamW(expected.parameters(), lr=_LEARNING_RATE)
    steps = min(_STEPS, _STEPS_PER_VOLUME * len(z))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(z), (_BATCH,), generator=generator)
        residual = (expected(z[rows]) - target[rows]) / expected.deviation
        loss = nn.functional.huber_loss(residual, torch.zeros_like(residual), delta=_FAR)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return expected.requires_grad_(False)
