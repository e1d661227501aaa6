"""Modes of users' own volumes: a name, the encodings of the volumes, and the mode that decodes them.

p(z | c, own) is a mixture of narrow Gaussians at the encodings of those volumes that come near c: a handful
of scans tells no more. Construction, latent regressor and volume fraction are those of the mode that the
volumes are most like, the base.

Letters: N volumes, O = 6 orders of the axes, B chosen volumes, D latent size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.errors import InputError
from vaereg.model.modes.catalogue import MODE_NAMES, MODES, Mode
from vaereg.model.modes.library import Rows

__all__ = ["OwnMode", "check_own_name"]

_NAME = re.compile(r"[a-z][a-z0-9-]{1,31}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnMode:
    """One mode of a user's own volumes."""

    name: str
    """Name on the command line, in files and on every page."""
    base: int
    """Index of the mode whose networks decode it."""
    latent: NDArray[np.float32]
    """Means of the encodings of the volumes, with their axes in each order, shape (N, O, D)."""
    std: NDArray[np.float32]
    """Standard deviation of the encodings along each latent direction, shape (D,) [-]."""

    @property
    def mode(self) -> Mode:
        """What is said of it."""
        count, base = len(self.latent), MODES[self.base]
        volumes = "volume" if count == 1 else "volumes"
        return Mode(
            name=self.name,
            sentence=f"Like {count} {volumes} of your own, built as {base.name}.",
            construction=base.construction,
        )

    def sample(self, places: NDArray[np.intp], rows: Rows, *, generator: torch.Generator) -> Tensor:
        """Latent vectors near the encodings of some volumes, shape (B, D).

        Args:
            places: Which of the N volumes, shape (B,).
            rows: The same volumes in the library, of whose axes the order is taken.
            generator: Source of the offsets.
        """
        mean = torch.from_numpy(self.latent[places, rows.order])
        return mean + torch.from_numpy(self.std) * torch.randn(mean.shape, generator=generator)


def check_own_name(name: str) -> None:
    """Refuse a name that no mode can have.

    Raises:
        InputError: The name is no word of 2 to 32 lower-case letters, digits and hyphens.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"expected one of the modes {', '.join(MODE_NAMES)}, or a new name of 2 to 32 lower-case "
            f"letters, digits and hyphens, got {name!r}"
        )
