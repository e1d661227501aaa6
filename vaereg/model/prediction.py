"""Properties of given microstructures, with uncertainty and novelty.

Two tiers: the encoder's regressor alone, and the physics-guided regressor, which corrects the first
iterations of the solver (`vaereg.model.guided`) at some hundredths of a second per volume.

A volume is novel where the encoder's statistics lie far from those of the training set, or where the two
tiers disagree by more than the encoder's uncertainty allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.microstructure.volume import as_two_phase
from vaereg.model.batches import encode_averaged
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.guided import guide, upper_bounds

__all__ = ["MIN_EDGE", "Prediction", "log_interval", "predict", "tier_disagreement"]

MIN_EDGE = 8
"""Edge of the smallest volume that the model takes [voxel]."""

_WIDER_GUIDED, _WIDER_ENCODER = 0.9, 1.7
"""Relative widening of the intervals at half or twice the edge of the training set's cells [-], of models
that were trained on one size; in between it grows with the square of the logarithm of the edge. From
`benchmarks/cell_sizes.py`, its seed 7."""
_VOXELS_AT_ONCE = 64 * 32**3
"""Largest batch [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Predicted properties of N volumes."""

    mean: NDArray[np.float64]
    """C11 ... C66, shape (N, T) [GPa]."""
    std: NDArray[np.float64]
    """Calibrated standard deviation, shape (N, T) [GPa]; wider for cells of another size than it knows."""
    volume_fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    latent: NDArray[np.float32]
    """Mean of q(z | x), shape (N, D)."""
    novelty: NDArray[np.float64]
    """Distance from the training set, shape (N,) [-]; 99 % of the validation volumes are below 1."""
    in_distribution: NDArray[np.bool_]
    """True where the novelty is at most 1, shape (N,)."""


def predict(
    checkpoint: Checkpoint,
    volumes: ArrayLike | Sequence[ArrayLike],
    *,
    guided: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Properties of two-phase volumes.

    Args:
        checkpoint: Trained model.
        volumes: One volume (X, Y, Z), several (N, X, Y, Z), or a list of volumes of different sizes; values
            0 and 1, at least `MIN_EDGE` voxels per edge.
        guided: By the physics-guided regressor; with False by the encoder's alone.
        on_progress: Called with the number of two-phase volumes that this regressor has predicted, and the
            number of all of them; an exception that it raises ends the prediction.

    Raises:
        InputError: A volume is not two-phase, not three-dimensional or too small.
    """
    fields = [_checked(volume) for volume in _as_list(volumes)]
    if not fields:
        raise InputError("expected at least one volume, got none")
    parts: list[tuple[NDArray, ...]] = []
    begin = 0
    while begin < len(fields):
        shape = fields[begin].shape
        end = begin + 1
        while (
            end < len(fields)
            and fields[end].shape == shape
            and (end - begin + 1) * fields[begin].size <= _VOXELS_AT_ONCE
        ):
            end += 1
        parts.append(encode_batch(checkpoint, np.stack(fields[begin:end]), averaged=True))
        begin = end
    mean, std, latent, novelty = (np.concatenate(column) for column in zip(*parts, strict=True))
    fraction = np.array([float(field.mean()) for field in fields])
    two_phase = (fraction > 0.0) & (fraction < 1.0)
    std[~two_phase] = 0.0  # of one phase: the bounds coincide, the mean is exact
    wider = _wider(checkpoint, fields, guided=False)[:, None]
    if guided:
        better, own_std = _guided(checkpoint, fields, fraction, mean, std, two_phase, on_progress)
        disagreement = tier_disagreement(mean[two_phase], (std * wider)[two_phase], better)
        novelty[two_phase] = np.maximum(
            novelty[two_phase], disagreement / checkpoint.fitted.disagreement_limit
        )
        mean[two_phase], std[two_phase] = better, own_std
        wider = _wider(checkpoint, fields, guided=True)[:, None]
    return Prediction(
        mean=mean,
        std=std * wider,
        volume_fraction=fraction,
        latent=latent,
        novelty=novelty,
        in_distribution=novelty <= 1.0,
    )


def log_interval(
    mean: ArrayLike, std: ArrayLike, probability: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central interval of a property whose logarithm is normal, mean exp(±z std / mean).

    The spread of a prediction is calibrated on errors of log C: an interval is symmetric in log C, not in C.

    Args:
        mean: Predicted properties [GPa], any shape.
        std: Their standard deviation [GPa], same shape.
        probability: Share of the truths that the interval covers, above 0 and below 1 [-].

    Returns:
        Lower and upper ends [GPa], same shape.

    Raises:
        ValueError: `probability` is not between 0 and 1.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"expected a probability between 0 and 1, got {probability:g}")
    middle = np.asarray(mean, dtype=np.float64)
    spread = NormalDist().inv_cdf(0.5 + 0.5 * probability) * np.asarray(std, dtype=np.float64) / middle
    return middle * np.exp(-spread), middle * np.exp(spread)


def tier_disagreement(
    mean: NDArray[np.float64], std: NDArray[np.float64], guided: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Root mean square, over the properties, of log(encoder / guided) in units of the encoder's uncertainty.

    Args:
        mean: Properties by the encoder's regressor, shape (N, T) [GPa].
        std: Their calibrated standard deviation, shape (N, T) [GPa].
        guided: Properties by the physics-guided regressor, shape (N, T) [GPa].

    Returns:
        Shape (N,) [-]; about 1 where the uncertainty is right.
    """
    return np.sqrt(np.square(np.log(mean / guided) * mean / std).mean(1))


def encode_batch(
    checkpoint: Checkpoint, volumes: NDArray[np.uint8] | torch.Tensor, *, averaged: bool = False
) -> tuple[NDArray, ...]:
    """Mean and std [GPa], latent mean and novelty of volumes of one shape (N, X, Y, Z), unchecked.

    Averaged over the cyclic orders of the axes (`encode_averaged`) for an answer; once where many are ranked.
    """
    fitted = checkpoint.fitted
    batch = torch.as_tensor(volumes).to(fitted.novelty_mean.device, torch.float32)[:, None]
    with torch.inference_mode():
        encoding = encode_averaged(checkpoint.model, batch) if averaged else checkpoint.model.encode(batch)
        whitened = (encoding.statistics - fitted.novelty_mean) @ fitted.novelty_whitening
        novelty = whitened.square().mean(1).sqrt()
        if fitted.cell_sizes is not None:
            edge = float(np.prod(volumes.shape[1:])) ** (1.0 / 3.0)
            novelty = novelty / float(fitted.cell_sizes.at("novelty", edge))
    mean = encoding.property_mean.cpu().numpy().astype(np.float64)
    std = mean * encoding.property_spread.cpu().numpy() * fitted.spread_factor
    return mean, std, encoding.latent_mean.cpu().numpy(), novelty.cpu().numpy().astype(np.float64)


def _guided(
    checkpoint: Checkpoint,
    fields: list[NDArray[np.uint8]],
    fraction: NDArray[np.float64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    rows: NDArray[np.bool_],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and std [GPa] of the volumes in `rows` by the physics-guided regressor, from the encoder's."""
    if not rows.any():
        return mean[rows], std[rows]
    fitted, materials = checkpoint.fitted, checkpoint.model.materials
    row_fields = [field for field, in_rows in zip(fields, rows, strict=True) if in_rows]
    bounds = upper_bounds(row_fields, materials, on_progress=on_progress)
    spread = std[rows] / mean[rows] / fitted.spread_factor
    better, own_spread = guide(fitted.guided, bounds, fraction[rows], mean[rows], spread, materials)
    return better, better * own_spread * fitted.guided_spread_factor


def _wider(checkpoint: Checkpoint, fields: list[NDArray[np.uint8]], *, guided: bool) -> NDArray[np.float64]:
    """Factor of the standard deviation of volumes by their size, shape (N,)."""
    edges = np.cbrt([field.size for field in fields])
    if checkpoint.fitted.cell_sizes is not None:
        return checkpoint.fitted.cell_sizes.at("guided" if guided else "encoder", edges)
    if checkpoint.training_edge is None:
        return np.ones(len(fields))
    share = _WIDER_GUIDED if guided else _WIDER_ENCODER
    return 1.0 + share * np.square(np.log2(edges / checkpoint.training_edge))


def _as_list(volumes: ArrayLike | Sequence[ArrayLike]) -> list:
    if isinstance(volumes, np.ndarray):
        if volumes.ndim not in (3, 4):
            raise InputError(
                f"expected volumes of shape (X, Y, Z) or (N, X, Y, Z), got an array of shape {volumes.shape}"
            )
        return [volumes] if volumes.ndim == 3 else list(volumes)
    return list(volumes)  # type: ignore[arg-type]


def _checked(volume: ArrayLike) -> NDArray[np.uint8]:
    field = as_two_phase(volume)
    if min(field.shape) < MIN_EDGE:
        raise InputError(f"expected at least {MIN_EDGE} voxels per edge, got a volume of shape {field.shape}")
    return field
