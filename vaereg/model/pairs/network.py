"""Regressor of the full stiffness for any pair of phases: a matrix between Reuss and an upper bound.

A few iterations of the solver bound the stiffness from above, C <= U. The network learns where between the
Reuss bound R and U the stiffness lies, as a matrix T between 0 and the identity:

    C = R + S^(1/2) T S^(1/2),    S = U - R,    T = (I + exp(G - 2 I))^-1,

with a symmetric matrix G from a network, so that R < C < U in the Loewner order whatever the network says. G
is averaged over the 24 permutations and reflections of the axes, so that the answer turns with the volume.

Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaereg.elasticity import mandel_to_voigt, voigt_to_mandel
from vaereg.model.pairs.features import MATRICES, SCALARS, SYMMETRIES, PairFeatures

__all__ = [
    "ROUNDING",
    "PairRegressor",
    "StepAnswer",
    "between_bounds",
    "gaps_of",
    "near_the_bound",
    "stiffness_between",
    "symmetric",
]

_ENTRIES = 21
_PRIOR = 2.0
"""Multiple of the identity that is subtracted from G: before training T is near 0.88."""
_LARGEST = 30.0
"""Norm that G stays below, so that its exponential does not overflow; 12 costs accuracy."""
ROUNDING = 2e-7
"""What rounding of the fields in float32 leaves in the bounds and in the energies [E of the stiff phase]."""
_EQUAL = 1e-5
"""Difference of eigenvalues below which the mean of both slopes stands for a divided difference [-]."""
_OUTPUT_SCALE = 0.3
"""Factor of the initial weights of the last layer."""

_ROWS, _COLUMNS = np.triu_indices(6)
_PLACES = np.zeros((6, 6), dtype=np.int64)
_PLACES[_ROWS, _COLUMNS] = _PLACES[_COLUMNS, _ROWS] = np.arange(_ENTRIES)
# normal, shear, coupling of normals, others: what permutations and reflections map onto each other
_KINDS = np.where(_ROWS == _COLUMNS, np.where(_ROWS < 3, 0, 1), np.where(_COLUMNS < 3, 2, 3))
_SIGNED = 3
"""Kind of the entries that reflections change the sign of: their mean is zero."""


def _turns(symmetries: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Where each entry of Q M Q^T, upper triangle, comes from in that of M, and with which sign, for signed
    permutations Q of shape (24, 6, 6): shape (24, 21) each.
    """
    from_row = np.abs(symmetries).argmax(2)
    sign = np.take_along_axis(symmetries, from_row[:, :, None], 2)[:, :, 0]
    places = _PLACES[from_row[:, _ROWS], from_row[:, _COLUMNS]]
    return torch.from_numpy(places), torch.from_numpy(sign[:, _ROWS] * sign[:, _COLUMNS]).float()


_TURNS, _TURNS_BACK = _turns(SYMMETRIES), _turns(SYMMETRIES.transpose(0, 2, 1))


def symmetric(entries: Tensor) -> Tensor:
    """Symmetric matrices, shape (..., 6, 6), from their upper triangles, shape (..., 21)."""
    return entries[..., torch.from_numpy(_PLACES)]


class PairRegressor(nn.Module):
    """Inputs of `vaereg.model.pairs.features` to the matrix G.

    Args:
        hidden: Width of the two hidden layers.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        inputs = MATRICES * _ENTRIES + SCALARS
        self.register_buffer("location", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        last = nn.Linear(hidden, _ENTRIES)
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
        )
        with torch.no_grad():
            last.weight.mul_(_OUTPUT_SCALE)

    def set_scaling(self, matrices: Tensor, scalars: Tensor) -> None:
        """Standardise over inputs (N, 5, 21) and (N, 9); entries that symmetries exchange, alike."""
        location, scale = torch.zeros(MATRICES, _ENTRIES), torch.ones(MATRICES, _ENTRIES)
        for kind in range(_SIGNED + 1):
            columns = torch.from_numpy(np.flatnonzero(_KINDS == kind))
            values = matrices[:, :, columns]
            if kind != _SIGNED:
                location[:, columns] = values.mean((0, 2))[:, None]
            scale[:, columns] = values.std((0, 2)).clamp_min(1e-3)[:, None]
        self.location.copy_(torch.cat([location.flatten(), scalars.mean(0)]))
        self.scale.copy_(torch.cat([scale.flatten(), scalars.std(0).clamp_min(1e-6)]))

    def entries(self, matrices: Tensor, scalars: Tensor) -> Tensor:
        """Upper triangle of G, shape (B, 21), of inputs (B, 5, 21) and (B, 9)."""
        inputs = torch.cat([matrices.flatten(1), scalars], 1)
        return self.layers((inputs - self.location) / self.scale)

    def forward(self, matrices: Tensor, scalars: Tensor) -> Tensor:
        """G, shape (B, 6, 6), of inputs (B, 5, 21) and (B, 9)."""
        return symmetric(self.entries(matrices, scalars))

    def turned(self, matrices: Tensor, scalars: Tensor, symmetry: Tensor) -> Tensor:
        """G from inputs turned by a symmetry each, turned back, shape (B, 6, 6).

        Args:
            matrices: Shape (B, 5, 21).
            scalars: Shape (B, 9).
            symmetry: Index of the symmetry, shape (B,).
        """
        places, signs, places_back, signs_back = (
            table.to(matrices.device)[symmetry] for table in (*_TURNS, *_TURNS_BACK)
        )
        turned = matrices.gather(2, places[:, None].expand_as(matrices)) * signs[:, None]
        return symmetric(self.entries(turned, scalars).gather(1, places_back) * signs_back)


def _averaged(networks: Sequence[PairRegressor], matrices: Tensor, scalars: Tensor) -> Tensor:
    """Mean of G over networks and all symmetries, shape (B, 6, 6)."""
    places, signs, places_back, signs_back = (table.to(matrices.device) for table in (*_TURNS, *_TURNS_BACK))
    count = len(signs)
    turned = (matrices[:, :, places] * signs).transpose(1, 2).flatten(0, 1)
    numbers = scalars.repeat_interleave(count, 0)
    answer = torch.stack([network.entries(turned, numbers) for network in networks]).mean(0)
    answer = answer.unflatten(0, (-1, count))
    return symmetric((answer.gather(2, places_back.expand_as(answer)) * signs_back).mean(1))


def between_bounds(answer: Tensor) -> Tensor:
    """T = (I + exp(G - 2 I))^-1 in float64, shape (B, 6, 6); its eigenvalues lie between 0 and 1."""
    matrix = answer.double()
    norm = matrix.square().sum((-1, -2), keepdim=True).sqrt()
    return _Logistic.apply(matrix / (1.0 + (norm / _LARGEST) ** 4) ** 0.25)


class _Logistic(torch.autograd.Function):
    """(I + exp(G - 2 I))^-1 of symmetric matrices G by their eigenvalues, which no rounding takes beyond 0
    or 1; its derivative by divided differences (Daleckii & Krein 1965), which exists where they are equal.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: Tensor) -> Tensor:
        values, axes = torch.linalg.eigh(matrix)
        share = torch.sigmoid(_PRIOR - values)
        ctx.save_for_backward(values, axes, share)
        return (axes * share.unsqueeze(-2)) @ axes.mT

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: torch.autograd.function.BackwardCFunction, gradient: Tensor
    ) -> Tensor:
        values, axes, share = ctx.saved_tensors  # pyright: ignore[reportAssignmentType]
        difference = values.unsqueeze(-1) - values.unsqueeze(-2)
        is_equal = difference.abs() < _EQUAL
        slope = share * (share - 1.0)
        mean_slope = 0.5 * (slope.unsqueeze(-1) + slope.unsqueeze(-2))
        quotient = (share.unsqueeze(-1) - share.unsqueeze(-2)) / torch.where(is_equal, 1.0, difference)
        quotient = torch.where(is_equal, mean_slope, quotient)
        turned = axes.mT @ (0.5 * (gradient + gradient.mT)) @ axes
        return axes @ (quotient * turned) @ axes.mT


def stiffness_between(networks: Sequence[PairRegressor], features: PairFeatures) -> np.ndarray:
    """Stiffness by the mean G of networks, Mandel basis, shape (N, 6, 6) [E of the stiff phase]."""
    inputs = torch.from_numpy(features.matrices).float(), torch.from_numpy(features.scalars).float()
    with torch.inference_mode():
        share = between_bounds(_averaged(networks, *inputs)).numpy()
    stiffness = features.lower + features.gap @ share @ features.gap
    return 0.5 * (stiffness + stiffness.swapaxes(-1, -2))


def near_the_bound(
    stiffness: NDArray[np.float64],
    upper: NDArray[np.float64],
    energy: NDArray[np.float64],
    largest: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Stiffness no lower than U - s R in the Loewner order, with the largest gap s, Mandel basis.

    The work of the error is U - C = r.K^-1 r / N, that of the preconditioned residual R = r.K0^-1 r / N: the
    first is at most the second over the least eigenvalue of the preconditioned operator that r contains.
    Layers are solved so suddenly that the regressor, which sees one more iteration, would take a gap of
    hundreds.

    Args:
        stiffness: Answers below `upper`, shape (N, 6, 6) [E of the stiff phase].
        upper: Upper bounds U, like them.
        energy: R, like them.
        largest: s of each volume, shape (N,) [-].
    """
    root, inverse = _roots(energy)
    gaps, directions = np.linalg.eigh(inverse @ (upper - stiffness) @ inverse)
    gaps = np.minimum(gaps, largest[:, None])
    near = upper - root @ np.einsum("nij,nj,nkj->nik", directions, gaps, directions) @ root
    return 0.5 * (near + near.swapaxes(-1, -2))


def gaps_of(
    stiffness: NDArray[np.float64], upper: NDArray[np.float64], energy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Largest eigenvalue of U - C relative to the energy of the residual, shape (N,) [-]; arguments as in
    `near_the_bound`.
    """
    _, inverse = _roots(energy)
    return np.asarray(np.linalg.eigvalsh(inverse @ (upper - stiffness) @ inverse)[:, -1], dtype=np.float64)


def _roots(energy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Symmetric root of energies, and the inverse of that with their rounding, shape (N, 6, 6)."""
    values, axes = np.linalg.eigh(energy)
    values = np.maximum(values, 0.0)
    roots = np.sqrt(values), 1.0 / np.sqrt(values + ROUNDING)
    root, inverse = (np.einsum("nij,nj,nkj->nik", axes, value, axes) for value in roots)
    return root, inverse


@dataclass(frozen=True, kw_only=True, slots=True)
class StepAnswer:
    """Predicted stiffness of one volume after a number of iterations, with the matrices that say how far it
    may be off.
    """

    mean: NDArray[np.float64]
    """Stiffness, Voigt order, shape (6, 6) [GPa]."""
    upper: NDArray[np.float64]
    """Guaranteed upper bound, like it."""
    residual_energy: NDArray[np.float64]
    """Energy of the preconditioned residual, like it."""

    def with_gap_of(self, other: StepAnswer, stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stiffness whose gap below the upper bound is, relative to the energy of the residual, that of a
        volume much like this one after as many iterations, shape (6, 6) [GPa].

        Args:
            other: Answer for the other volume.
            stiffness: What its stiffness is, Voigt order, shape (6, 6) [GPa].
        """
        unit = np.trace(other.upper) / 6.0
        upper, energy, known, known_upper, known_energy = (
            voigt_to_mandel(matrix)[None] / unit
            for matrix in (self.upper, self.residual_energy, stiffness, other.upper, other.residual_energy)
        )
        root, _ = _roots(energy)
        _, inverse = _roots(known_energy)
        gaps, axes = np.linalg.eigh(inverse @ (known_upper - known) @ inverse)
        gap = np.einsum("nij,nj,nkj->nik", axes, np.maximum(gaps, 0.0), axes)
        return unit * mandel_to_voigt(upper - root @ gap @ root)[0]
