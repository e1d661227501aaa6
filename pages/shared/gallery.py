"""The linked 3D gallery: two-phase volumes and their captions, drawn by assets/gallery.js."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2 import component

from vaereg.microstructure import pack_bits

__all__ = ["Caption", "Line", "Row", "selected_volume", "volume_gallery"]

_ASSETS = Path(__file__).parents[2] / "assets"

_component = component(
    "vaereg_gallery",
    css=(_ASSETS / "gallery.css").read_text(encoding="utf-8"),
    js=(_ASSETS / "gallery.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of figures under a volume."""

    label: str
    values: Sequence[str]
    """One text per column of the caption."""
    kind: str = ""
    """What the style sheet calls it: predicted, spread, solver or pending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """What is written on and under a volume."""

    title: str
    badge: str = ""
    """A short text in the corner of the panel."""
    columns: Sequence[str] = ()
    lines: Sequence[Line] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Volumes of one mixture component."""

    panels: Sequence[int]
    """Indices into the volumes."""
    color: str
    """Of the cut faces, as #rrggbb."""
    title: str = ""
    """Heading; without one the row has none."""
    weight: float = 0.0
    """Weight of the component, 0 to 1."""
    note: str = ""


def volume_gallery(
    key: str,
    volumes: NDArray[np.uint8],
    rows: Sequence[Row],
    captions: Sequence[Caption],
    *,
    selected: int | None = None,
    notice: str = "",
    unit: str = "GPa",
    on_select: Callable[[], None] = lambda: None,
) -> None:
    """Show volumes in one 3D view with linked cameras.

    Args:
        key: Name of the view; its camera outlives reruns and page changes.
        volumes: Phase per voxel, 0 or 1, shape (N, X, Y, Z).
        rows: How they are grouped.
        captions: One per volume.
        selected: The volume that is marked.
        notice: Why what is shown is not what was asked for.
        unit: Of the figures in the captions.
        on_select: Called when the user has chosen another volume, see `selected_volume`.
    """
    packed = pack_bits(volumes).tobytes()
    data: dict[str, Any] = {
        "view": key,
        "set": _set_name(packed),
        "shape": list(volumes.shape[1:]),
        "volumes": base64.b64encode(packed).decode("ascii"),
        "rows": [asdict(row) for row in rows],
        "panels": [asdict(caption) for caption in captions],
        "selected": selected,
        "notice": notice,
        "unit": unit,
    }
    _component(key=key, data=data, on_selected_change=on_select)


def selected_volume(key: str, volumes: NDArray[np.uint8]) -> int | None:
    """The one of these volumes that the user has chosen in a view; None where it was one of others."""
    chosen = (st.session_state.get(key) or {}).get("selected") or {}
    if chosen.get("set") != _set_name(pack_bits(volumes).tobytes()):
        return None
    return chosen["index"] if chosen.get("index") in range(len(volumes)) else None


def _set_name(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()[:16]
