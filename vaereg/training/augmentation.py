"""Symmetries that multiply the data: of the cube, and periodic shifts."""

import torch
from torch import Tensor

__all__ = ["augment"]


def augment(volumes: Tensor, properties: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random symmetry of the cube and periodic shift per volume; the properties follow the axes.

    Reflections and shifts change no diagonal stiffness component. A permutation of the axes permutes C11,
    C22, C33, and likewise C44, C55, C66, which are named by the axis normal to their plane.

    Args:
        volumes: Phase, shape (B, N, N, N).
        properties: In the order of `PROPERTIES`, shape (B, 6) [GPa].
        generator: Source of randomness, on the CPU.
    """
    turned, permuted = [], []
    size = volumes.shape[-1]
    for volume, values in zip(volumes, properties, strict=True):
        order = torch.randperm(3, generator=generator)
        flips = torch.nonzero(torch.randint(2, (3,), generator=generator)).flatten().tolist()
        shifts = torch.randint(size, (3,), generator=generator).tolist()
        volume = volume.permute(*order.tolist())
        if flips:
            volume = volume.flip(flips)
        turned.append(volume.roll(shifts, (0, 1, 2)))
        permuted.append(torch.cat([values[:3][order], values[3:][order]]))
    return torch.stack(turned), torch.stack(permuted)
