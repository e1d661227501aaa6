"""What the Design page says of a request in words."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.modes import lowered, mode_title
from pages.parts.common.requests.quantities import (
    missing_property,
    rounded_number,
    symbol,
    target_text,
    with_symbols,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.text import plain, sentence
from vaereg.inverse.designs import Designs
from vaereg.inverse.idle import Idle
from vaereg.targets import QUANTITIES, Wanted

__all__ = ["former_text", "idle_text", "nearest_text", "unknown_property"]


def unknown_property(request: Request) -> str:
    """Reason why a quantity has no values with these phases; empty where there is none."""
    for item in request.wanted:
        if missing := missing_property(item.name, request.pair):
            return f"{symbol(item.name)} needs {plain(missing)}, which is not known."
    return ""


def former_text(designs: Designs, request: Request) -> str:
    """What designs belong to that were made for another request, in words."""
    if designs.wanted != request.targets:
        return f"target: {target_text(designs.wanted)}"
    if designs.materials != request.pair:
        return f"phases: {pair_line(designs.materials)}"
    return f"settings: cells of {designs.size}³ voxels, seed {designs.seed}"


def idle_text(idle: Idle) -> str:
    """Which designs carry nothing of what is asked for, and whether they are shown, as Markdown."""
    counts = {lowered(mode_title(name)): count for name, count in idle.counts.items()}
    return sentence(with_symbols(replace(idle, counts=counts).words()))


def nearest_text(nearest: Mapping[str, float]) -> str:
    """The nearest that can be had, in words."""
    known = {name: value for name, value in nearest.items() if np.isfinite(value)}
    return target_text(
        Wanted(name=name, low=rounded_number(value), high=rounded_number(value))
        for name, value in known.items()
        if value > 0.0 or not QUANTITIES[name].positive
    )
