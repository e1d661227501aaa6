"""The modes of a released checkpoint: networks and library, as plain values in its file.

Letters: B batch, D latent size, K modes, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaereg.errors import InputError
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.library import ModeLibrary
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.regular import LEAST_LATENT

__all__ = ["Modes", "pack_modes", "unpack_modes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Modes:
    """Trained modes, ready for use. Shared between users: never changed in place."""

    networks: ModeNetworks
    """Networks in evaluation mode."""
    config: ModesConfig
    """Configuration that they were trained with."""
    library: ModeLibrary
    """Training volumes: what each mode reaches."""


def pack_modes(modes: Modes) -> dict[str, Any]:
    """Plain values and tensors, for a checkpoint."""
    library = modes.library
    return {
        "names": list(MODE_NAMES),
        "config": modes.config.to_json(),
        "weights": modes.networks.state_dict(),
        "mode": torch.from_numpy(library.mode.astype(np.int16)),
        "properties": torch.from_numpy(library.properties.astype(np.float32)),
        "fraction": torch.from_numpy(library.fraction.astype(np.float32)),
        "latent": torch.from_numpy(library.latent.astype(np.float16)),
    }


def unpack_modes(state: dict[str, Any], device: str) -> Modes:
    """Inverse of `pack_modes`.

    Raises:
        InputError: The modes are others than this program's, or the columns differ in length.
    """
    if tuple(state["names"]) != MODE_NAMES:
        raise InputError(f"expected the modes {', '.join(MODE_NAMES)}, got {state['names']}")
    config = ModesConfig.from_json(state["config"])
    networks = ModeNetworks(config.latent)
    networks.load_state_dict(state["weights"])
    columns: dict[str, Tensor] = {name: state[name] for name in ("mode", "properties", "fraction", "latent")}
    if len({len(column) for column in columns.values()}) != 1 or config.latent < LEAST_LATENT:
        raise InputError("the columns of the library of modes differ in length")
    library = ModeLibrary(
        mode=columns["mode"].numpy().astype(np.int64),
        properties=columns["properties"].numpy().astype(np.float64),
        fraction=columns["fraction"].numpy().astype(np.float64),
        latent=columns["latent"].numpy().astype(np.float32),
    )
    return Modes(networks=networks.to(device).eval().requires_grad_(False), config=config, library=library)
