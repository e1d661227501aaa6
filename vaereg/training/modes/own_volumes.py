"""Volumes of a user's own beside those of the library of the modes.

Scans have no recipe and no labels: the solver labels them, the classifier of descriptors says their mode. The
networks stay; what grows is the library, which says what each mode reaches and at which properties its prior
is asked.

Letters: N volumes, D latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.decoder import BUILT
from vaereg.model.modes.encoder import geometric_statistics
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.materials import REFERENCE_PAIR
from vaereg.model.modes.release import Modes
from vaereg.model.recognition import load_classifier
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize

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
    probability: float
    """Share of the classifier's trees that vote for it [-]; 1 where the user named it."""
    stiffness: NDArray[np.float64]
    """Stiffness with the reference pair, shape (6, 6) [GPa]."""


def add_volumes(
    modes: Modes,
    volumes: Sequence[NDArray[np.uint8]],
    *,
    mode: str | None = None,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Modes, list[AddedVolume]]:
    """Modes whose library holds the volumes, too, and what each of these was taken for.

    Args:
        modes: Trained modes.
        volumes: Phases 0 and 1, cubes of any size.
        mode: Name of the mode of all of them; the classifier says that of each if left out.
        workers: Processes, or an executor, that solve.
        on_progress: Called with the volumes that are solved and their number.

    Raises:
        InputError: There is no volume, one is no cube of two phases, or the mode is unknown.
    """
    if not volumes:
        raise InputError("expected at least one volume, got none")
    for place, volume in enumerate(volumes):
        if len(set(volume.shape)) != 1 or volume.shape[0] < _LEAST_EDGE or len(np.unique(volume)) != 2:
            raise InputError(
                f"expected cubes of two phases of at least {_LEAST_EDGE} voxels per edge, got volume {place} "
                f"of shape {volume.shape} and values {np.unique(volume)[:4].tolist()}"
            )
    if mode is not None and mode not in MODE_NAMES:
        raise InputError(f"unknown mode {mode!r}, expected one of {', '.join(MODE_NAMES)}")
    labels = []
    for label in map_tasks(_label, list(volumes), workers):
        labels.append(label)
        if on_progress:
            on_progress(len(labels), len(volumes))
    stiffness, conductivity = (np.stack(column) for column in zip(*labels, strict=True))
    if mode is None:
        classifier = load_classifier()
        votes = classifier.mode_proba(classifier.predict_proba(volumes))
    else:
        votes = np.eye(len(MODE_NAMES))[[MODE_NAMES.index(mode)] * len(volumes)]
    index = votes.argmax(1)
    library = modes.library
    fraction = np.array([volume.mean() for volume in volumes])
    rows = ModeLibrary(
        mode=index,
        stiffness=stiffness,
        conductivity=conductivity,
        fraction=fraction,
        latent=np.stack(
            [
                _latent(modes, volume, int(own), matrix)
                for volume, own, matrix in zip(volumes, index, stiffness, strict=True)
            ]
        ),
    )
    joined = ModeLibrary(
        **{
            name: np.concatenate([getattr(library, name), getattr(rows, name)])
            for name in ("mode", "stiffness", "conductivity", "fraction", "latent")
        }
    )
    added = [
        AddedVolume(mode=MODE_NAMES[own], probability=float(votes[place, own]), stiffness=stiffness[place])
        for place, own in enumerate(index.tolist())
    ]
    return replace(modes, library=joined), added


def _label(volume: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stiffness [GPa] and conductivity with the reference pair."""
    elastic = homogenize(volume, REFERENCE_PAIR, rtol=_RTOL, dtype=np.float32, max_iter=_MAX_ITER)
    thermal = conduct(volume, REFERENCE_PAIR, rtol=_RTOL, dtype=np.float32, max_iter=_MAX_ITER)
    return np.asarray(elastic.stiffness, np.float64), np.asarray(thermal.conductivity, np.float64)


def _latent(
    modes: Modes, volume: NDArray[np.uint8], mode: int, stiffness: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Latent vector of a volume, shape (D,); a periodic one has that of the most similar row."""
    latent = modes.library.latent.shape[1]
    if mode in BUILT:
        field = torch.from_numpy(volume.astype(np.float32))[None, None]
        with torch.inference_mode():
            posterior = modes.networks.encoder(geometric_statistics(field), torch.tensor([mode]))
        return posterior.mean[0].cpu().numpy()
    own = np.flatnonzero(modes.library.mode == mode)
    if MODE_NAMES[mode] != "periodic" or not len(own):
        return np.zeros(latent, dtype=np.float32)
    apart = np.linalg.norm(modes.library.stiffness[own] - stiffness, axis=(1, 2))
    return modes.library.latent[own[np.argmin(apart)]]
