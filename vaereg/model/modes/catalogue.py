"""The eleven modes: their names, what they look like, and how their fields are built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vaereg.generators.morphologies import MORPHOLOGIES

__all__ = ["CLASS_MODES", "MODES", "MODE_NAMES", "Construction", "Mode"]

Construction = Literal["cells", "layers", "bodies", "periodic", "irregular"]
"""How the field of a mode is built: distances to points, to layers, to oriented bodies, a level set of whole
periods in the cell, or filtered noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """A morphology that one component of the prior p(z | c) makes."""

    name: str
    """Name on the command line, in files and on every page."""
    sentence: str
    """Description for an engineer, one sentence."""
    construction: Construction
    """Kind of field that is cut at the volume fraction."""


MODES = (
    Mode(
        name="particles",
        sentence="Separate stiff grains in a soft matrix.",
        construction="cells",
    ),
    Mode(
        name="pores",
        sentence="Separate soft pores in a stiff matrix.",
        construction="cells",
    ),
    Mode(
        name="fibres",
        sentence="Short stiff fibres in a soft matrix, aligned to random.",
        construction="bodies",
    ),
    Mode(
        name="channels",
        sentence="Elongated soft channels in a stiff matrix.",
        construction="bodies",
    ),
    Mode(
        name="platelets",
        sentence="Stiff discs in a soft matrix.",
        construction="bodies",
    ),
    Mode(
        name="layers",
        sentence="Stiff and soft layers in turn, plane to wavy.",
        construction="layers",
    ),
    Mode(
        name="closed-foam",
        sentence="Stiff walls around soft cells.",
        construction="cells",
    ),
    Mode(
        name="grains",
        sentence="Stiff grains apart by soft walls.",
        construction="cells",
    ),
    Mode(
        name="open-foam",
        sentence="Stiff struts where soft cells meet.",
        construction="cells",
    ),
    Mode(
        name="periodic",
        sentence="Minimal surfaces and lattices of bars, in whole periods.",
        construction="periodic",
    ),
    Mode(
        name="irregular",
        sentence="Bicontinuous phases without order, as from spinodal decomposition.",
        construction="irregular",
    ),
)
"""Modes by the index of their component."""

MODE_NAMES = tuple(mode.name for mode in MODES)
"""Names of the modes by index."""

CLASS_MODES = {name: MODE_NAMES.index(morphology.component) for name, morphology in MORPHOLOGIES.items()}
"""Index of the mode of each class of the generators; lamellae are layers, see `morphologies.component_of`."""
