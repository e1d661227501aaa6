"""Volumes of a user's own beside those of the library of the modes.

Scans have no recipe and no labels: the solver labels them, the classifier of descriptors says their mode. The
networks stay; what grows is the library, which says what each mode reaches and at which properties its prior
is asked. Volumes that get a name of their own become a mode of their own (`vaereg.model.modes.own`), decoded
as by the mode that the classifier takes most of them for.

Letters: N volumes, O = 6 orders of the axes, D latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.model.batches import device_of
from vaereg.model.decoding import IRREGULAR, PERIODIC
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.constructive.regular import permute_latent
from vaereg.model.modes.encoder import geometric_statistics
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.materials import REFERENCE_PAIR
from vaereg.model.modes.own import OwnMode, check_own_name
from vaereg.model.modes.release import Modes
from vaereg.model.recognition import load_classifier
from vaereg.model.vae import VaeReg
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.training.modes.data import ORDERS

__all__ = ["AddedVolume", "add_volumes"]

_RTOL = 1e-3
"""Relative residual of the labels [-]."""
_MAX_ITER = 2000
_LEAST_EDGE = 8
"""Least number of voxels per edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedVolume:
    """One volume that was added."""

    mode: str
    """Name of its mode."""
    base: str
    """Name of the mode that decodes it: the same, but for a mode of the user's own."""
    probability: float
    """Share of the classifier's trees that vote for the base [-]; 1 where the user named it."""
    stiffness: NDArray[np.float64]
    """Stiffness with the reference pair, shape (6, 6) [GPa]."""


def add_volumes(
    modes: Modes,
    model: VaeReg,
    volumes: Sequence[NDArray[np.uint8]],
    *,
    mode: str | None = None,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Modes, list[AddedVolume]]:
    """Modes whose library holds the volumes, too, and what each of these was taken for.

    Args:
        modes: Trained modes.
        model: Joint model that they belong to, which encodes irregular volumes.
        volumes: Phases 0 and 1, cubes of any size.
        mode: Name of the mode of all of them: one that is there, or a new one, which becomes a mode of the
            user's own; the classifier says that of each if left out.
        workers: Processes, or an executor, that solve.
        on_progress: Called with the volumes that are solved and their number.

    Raises:
        InputError: There is no volume, one is no cube of two phases, or the mode can have no such name.
    """
    if not volumes:
        raise InputError("expected at least one volume, got none")
    for place, volume in enumerate(volumes):
        if len(set(volume.shape)) != 1 or volume.shape[0] < _LEAST_EDGE or len(np.unique(volume)) != 2:
            raise InputError(
                f"expected cubes of two phases of at least {_LEAST_EDGE} voxels per edge, got volume {place} "
                f"of shape {volume.shape} and values {np.unique(volume)[:4].tolist()}"
            )
    if mode is not None and mode not in modes.names:
        check_own_name(mode)
    labels = []
    for label in map_tasks(_label, list(volumes), workers):
        labels.append(label)
        if on_progress:
            on_progress(len(labels), len(volumes))
    stiffness, conductivity = (np.stack(column) for column in zip(*labels, strict=True))
    named = mode is not None and mode in MODE_NAMES
    if named:
        votes = np.eye(len(MODE_NAMES))[[MODE_NAMES.index(mode)] * len(volumes)]
    else:
        classifier = load_classifier()
        votes = classifier.mode_proba(classifier.predict_proba(volumes))
    base, own_modes = votes.argmax(1), modes.own_modes
    if mode is not None and not named:
        former = next((item for item in own_modes if item.name == mode), None)
        base = np.full(len(volumes), votes.sum(0).argmax() if former is None else former.base)
    latent, std = zip(
        *(
            _encoded(modes, model, volume, kind, matrix)
            for volume, kind, matrix in zip(volumes, base.tolist(), stiffness, strict=True)
        ),
        strict=True,
    )
    index = base
    if mode is not None and not named:
        own_modes = _with(own_modes, mode, int(base[0]), np.stack(latent), np.mean(std, axis=0))
        index = np.full(len(volumes), len(MODE_NAMES) + [item.name for item in own_modes].index(mode))
    rows = ModeLibrary(
        mode=index,
        stiffness=stiffness,
        conductivity=conductivity,
        fraction=np.array([volume.mean() for volume in volumes]),
        latent=np.stack([every[0] for every in latent]),
    )
    joined = ModeLibrary(
        **{
            name: np.concatenate([getattr(modes.library, name), getattr(rows, name)])
            for name in ("mode", "stiffness", "conductivity", "fraction", "latent")
        }
    )
    grown = replace(modes, library=joined, own_modes=own_modes)
    added = [
        AddedVolume(
            mode=grown.names[index[place]],
            base=MODE_NAMES[kind],
            probability=float(votes[place, kind]),
            stiffness=stiffness[place],
        )
        for place, kind in enumerate(base.tolist())
    ]
    return grown, added


def _with(
    own_modes: tuple[OwnMode, ...],
    name: str,
    base: int,
    latent: NDArray[np.float32],
    std: NDArray[np.float32],
) -> tuple[OwnMode, ...]:
    """Modes of the user's own, one of them new or with more volumes, of encodings (N, O, D)."""
    if name not in [item.name for item in own_modes]:
        return (*own_modes, OwnMode(name=name, base=base, latent=latent, std=std))
    return tuple(
        replace(item, latent=np.concatenate([item.latent, latent])) if item.name == name else item
        for item in own_modes
    )


def _label(volume: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stiffness [GPa] and conductivity with the reference pair."""
    elastic = homogenize(volume, REFERENCE_PAIR, rtol=_RTOL, dtype=np.float32, max_iter=_MAX_ITER)
    thermal = conduct(volume, REFERENCE_PAIR, rtol=_RTOL, dtype=np.float32, max_iter=_MAX_ITER)
    return np.asarray(elastic.stiffness, np.float64), np.asarray(thermal.conductivity, np.float64)


def _encoded(
    modes: Modes, model: VaeReg, volume: NDArray[np.uint8], mode: int, stiffness: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Encodings of a volume with its axes in each order, shape (O, D), and their standard deviation, (D,).

    A volume of the periodic mode, which has no encoder, has the latent vector of the most similar row.
    """
    if mode == PERIODIC:
        members = np.flatnonzero(modes.library.mode == mode)
        if not len(members):
            raise InputError("expected a library with volumes of the mode periodic, got one without")
        apart = np.linalg.norm(modes.library.stiffness[members] - stiffness, axis=(1, 2))
        nearest = modes.library.latent[[members[np.argmin(apart)]]]
        every = np.concatenate([permute_latent(nearest, axes) for axes in ORDERS])
        return every, np.zeros(every.shape[1], dtype=np.float32)
    turned = torch.from_numpy(np.stack([volume.transpose(axes) for axes in ORDERS]).astype(np.float32))
    with torch.inference_mode():
        if mode == IRREGULAR:
            encoding = model.encode(turned[:, None].to(device_of(model)))
            mean, std = encoding.latent_mean, encoding.latent_std
        else:
            statistics = torch.cat([geometric_statistics(field[None, None]) for field in turned])
            kinds = torch.full((len(ORDERS),), mode, device=device_of(model))
            posterior = modes.networks.encoder(statistics.to(kinds.device), kinds)
            mean, std = posterior.mean, posterior.std
    return mean.cpu().numpy(), std.mean(0).cpu().numpy()
