"""The modes of a released checkpoint: networks and library, as plain values in its file.

Letters: B cells, D latent size, K modes, T properties.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS, diagonal_properties
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.model.modes.catalogue import MODE_NAMES, MODES, Mode
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.constructive.regular import LEAST_LATENT
from vaereg.model.modes.library import ModeLibrary, Rows
from vaereg.model.modes.materials import PairMap, conductivity_at, stiffness_at
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.modes.own import OwnMode, check_own_name
from vaereg.targets import CellProperties

__all__ = ["Modes", "pack_modes", "unpack_modes"]


_UPPER = np.triu_indices(6)
_COLUMNS = ("mode", "stiffness", "conductivity", "fraction", "latent")


@dataclass(frozen=True, kw_only=True, slots=True)
class Modes:
    """Trained modes, ready for use. Shared between users: never changed in place."""

    networks: ModeNetworks
    """Networks in evaluation mode."""
    config: ModesConfig
    """Configuration that they were trained with."""
    library: ModeLibrary
    """Training volumes: what each mode reaches."""
    elastic_map: PairMap
    """Stiffness of known volumes with other pairs of phases."""
    thermal_map: PairMap
    """Their conductivity."""
    card: dict[str, Any] = field(default_factory=dict)
    """Plain facts on data, training and hardware."""
    own_modes: tuple[OwnMode, ...] = ()
    """Modes of a user's own volumes; their indices follow those of `MODES`."""

    @property
    def catalogue(self) -> tuple[Mode, ...]:
        """All modes by the index of their component, K of them."""
        return (*MODES, *(item.mode for item in self.own_modes))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all modes by index."""
        return (*MODE_NAMES, *(item.name for item in self.own_modes))

    def base(self, component: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index into `MODES` of what decodes each component, shape (B,): a mode itself, or its base."""
        return np.array([*range(len(MODES)), *(item.base for item in self.own_modes)], dtype=np.int64)[
            component
        ]

    def can_have(self, component: int, symmetry: str) -> bool:
        """Whether there are volumes of a mode with a symmetry: layers have a normal, and cubic cells no such
        direction.
        """
        mode = MODES[int(self.base(np.array([component]))[0])]
        return not (symmetry == "cubic" and mode.construction == "layers")

    def cells(
        self,
        rows: Rows,
        pair: TwoPhase,
        *,
        diagonal: NDArray[np.float64] | None = None,
        fraction: NDArray[np.float64] | None = None,
        with_conductivity: bool = True,
    ) -> CellProperties:
        """Expected properties of cells like those of the library, with any pair of phases.

        Args:
            rows: Volumes of the library that the B cells are like.
            pair: Phases of the cells.
            diagonal: C11 ... C66 of the cells with the reference pair, shape (B, T) [GPa]; those of the rows
                if left out. The other entries of a row are scaled with the roots of the two diagonal ones.
            fraction: Volume fractions of the cells, shape (B,) [-]; those of the rows if left out.
            with_conductivity: Tell the conductivity, too, which takes as long as the stiffness.
        """
        stiffness = self.library.stiffness_of(rows)
        share = self.library.fraction[rows.row] if fraction is None else np.asarray(fraction, np.float64)
        root = np.ones((1, 6)) if diagonal is None else np.sqrt(diagonal / diagonal_properties(stiffness))
        stiffness = stiffness * root[:, :, None] * root[:, None, :]
        conductivity = None
        if with_conductivity:
            conductivity = self.library.conductivity_of(rows) * root[:, :3, None] * root[:, None, :3]
            conductivity = conductivity_at(self.thermal_map, conductivity, share, pair)
        return CellProperties(
            stiffness=stiffness_at(self.elastic_map, stiffness, share, pair),
            fraction=share,
            materials=pair,
            conductivity=conductivity,
        )


def pack_modes(modes: Modes) -> dict[str, Any]:
    """Plain values and tensors, for a checkpoint."""
    library = modes.library
    return {
        "names": list(MODE_NAMES),
        "config": modes.config.to_json(),
        "card": json.dumps(modes.card),
        "weights": modes.networks.state_dict(),
        "mode": torch.from_numpy(library.mode.astype(np.int16)),
        "stiffness": torch.from_numpy(library.stiffness[:, _UPPER[0], _UPPER[1]].astype(np.float32)),
        "conductivity": torch.from_numpy(library.conductivity.astype(np.float32)),
        "fraction": torch.from_numpy(library.fraction.astype(np.float32)),
        "latent": torch.from_numpy(library.latent.astype(np.float16)),
        "elastic_map": modes.elastic_map.state_dict(),
        "thermal_map": modes.thermal_map.state_dict(),
        "own": [
            {
                "name": item.name,
                "base": item.base,
                "latent": torch.from_numpy(item.latent.astype(np.float16)),
                "std": torch.from_numpy(item.std),
            }
            for item in modes.own_modes
        ],
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
    columns: dict[str, Tensor] = {name: state[name] for name in _COLUMNS}
    if len({len(column) for column in columns.values()}) != 1 or config.latent < LEAST_LATENT:
        raise InputError("the columns of the library of modes differ in length")
    stiffness = np.empty((len(columns["stiffness"]), 6, 6))
    stiffness[:, _UPPER[0], _UPPER[1]] = columns["stiffness"].numpy()
    stiffness[:, _UPPER[1], _UPPER[0]] = columns["stiffness"].numpy()
    elastic_map, thermal_map = PairMap(), PairMap()
    elastic_map.load_state_dict(state["elastic_map"])
    thermal_map.load_state_dict(state["thermal_map"])
    library = ModeLibrary(
        mode=columns["mode"].numpy().astype(np.int64),
        stiffness=stiffness,
        conductivity=columns["conductivity"].numpy().astype(np.float64),
        fraction=columns["fraction"].numpy().astype(np.float64),
        latent=columns["latent"].numpy().astype(np.float32),
    )
    own_modes = tuple(_unpack_own(item, config.latent) for item in state.get("own", []))
    if not np.isin(library.mode, np.arange(len(MODES) + len(own_modes))).all():
        raise InputError("the library of modes has volumes of a mode that is not there")
    return Modes(
        networks=networks.to(device).eval().requires_grad_(False),
        config=config,
        library=library,
        elastic_map=elastic_map.double().eval().requires_grad_(False),
        thermal_map=thermal_map.double().eval().requires_grad_(False),
        card=json.loads(state["card"]),
        own_modes=own_modes,
    )


def _unpack_own(state: dict[str, Any], latent: int) -> OwnMode:
    """Mode of a user's own volumes; what is not as `pack_modes` writes it is refused."""
    check_own_name(str(state["name"]))
    own_mode = OwnMode(
        name=str(state["name"]),
        base=int(state["base"]),
        latent=state["latent"].numpy().astype(np.float32),
        std=state["std"].numpy().astype(np.float32),
    )
    if not 0 <= own_mode.base < len(MODES) or own_mode.latent.shape[1:] != (len(AXIS_ORDERS), latent):
        raise InputError(f"the mode {own_mode.name} is not one of {latent} latent numbers")
    return own_mode
