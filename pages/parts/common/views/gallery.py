"""The linked 3D gallery: two-phase volumes and their captions, drawn by assets/gallery."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2 import component

from pages.parts.common.views.assets import VOLUME_PROGRAMS, joined

__all__ = ["Caption", "Line", "Mark", "Row", "pinned_volume", "selected_volume", "volume_gallery"]

Volumes = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]

_component = component(
    "vaereg_gallery",
    css=joined("gallery/toolbar.css", "gallery/gallery.css", "gallery/figures.css"),
    js=joined(
        *VOLUME_PROGRAMS,
        *("gallery/drawing.js", "gallery/toolbar.js", "gallery/caption.js", "gallery/gallery.js"),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of figures under a volume."""

    label: str
    values: Sequence[str]
    """One text per column of the caption."""
    kind: str = ""
    """Name of its style: predicted, spread, solver or pending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Something that a volume meets, or does not."""

    text: str
    met: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """Text on and under a volume."""

    title: str
    badge: str = ""
    """A short text in the corner of the panel."""
    columns: Sequence[str] = ()
    kinds: Sequence[str] = ()
    """Name of the style of each column; none for columns that are alike."""
    head: str = ""
    """Text above the labels of the lines; the unit of the gallery where there are no kinds."""
    lines: Sequence[Line] = ()
    pending: bool = False
    """Whether figures are still to come."""
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Volumes of one mixture component."""

    panels: Sequence[int]
    """Indices into the volumes."""
    color: str
    """Colour of the cut faces, as #rrggbb."""
    title: str = ""
    """Heading; without one the row has none."""
    weight: float | None = None
    """Weight of the component, 0 to 1, drawn as a bar."""
    note: str = ""
    character: str = ""
    """Description of the look of the volumes."""
    picture: str = ""
    """Small picture of their kind, as the address of an image in itself."""


def volume_gallery(
    key: str,
    volumes: Volumes,
    rows: Sequence[Row],
    captions: Sequence[Caption],
    *,
    selected: int | None = None,
    pinned: Sequence[int] | None = None,
    marked: Volumes | None = None,
    notice: str = "",
    unit: str = "GPa",
    stage: str = "",
    on_select: Callable[[], None] = lambda: None,
    on_pin: Callable[[], None] = lambda: None,
) -> None:
    """Show volumes in one 3D view with linked cameras.

    Args:
        key: Name of the view; its camera outlives reruns and page changes.
        volumes: Phase per voxel, 0 or 1, N of shape (X, Y, Z), which may differ.
        rows: How they are grouped.
        captions: One per volume.
        selected: The volume that is chosen.
        pinned: The volumes that are in the shortlist; None where none can be put there.
        marked: Voxels that are drawn in another colour, 0 or 1, shaped as the volumes.
        notice: Why what is shown is not what was asked for.
        unit: Of the figures in the captions.
        stage: What the volumes are before those that take their place; empty where they stay. They are drawn
            without the last smoothing of their edges.
        on_select: Called when the user has chosen another volume, see `selected_volume`.
        on_pin: Called when the user has put a volume into the shortlist or taken it out, see `pinned_volume`.
    """
    packed = _pack(volumes)
    data: dict[str, Any] = {
        "view": key,
        "set": _set_name(packed),
        "shapes": [list(volume.shape) for volume in volumes],
        "volumes": base64.b64encode(packed).decode("ascii"),
        "marks": None if marked is None else base64.b64encode(_pack(marked)).decode("ascii"),
        "rows": [asdict(row) for row in rows],
        "panels": [asdict(caption) for caption in captions],
        "selected": selected,
        "pinned": None if pinned is None else list(pinned),
        "notice": notice,
        "unit": unit,
        "stage": stage,
    }
    _component(key=key, data=data, on_selected_change=on_select, on_pin_change=on_pin)


def selected_volume(key: str, volumes: Volumes) -> int | None:
    """The one of these volumes that the user has chosen in a view; None where it was one of others."""
    return _event(key, "selected", volumes)


def pinned_volume(key: str, volumes: Volumes) -> int | None:
    """The one of these volumes that the user has just put into the shortlist, or taken out of it."""
    return _event(key, "pin", volumes)


def _event(key: str, name: str, volumes: Volumes) -> int | None:
    event = (st.session_state.get(key) or {}).get(name) or {}
    if event.get("set") != _set_name(_pack(volumes)):
        return None
    return event["index"] if event.get("index") in range(len(volumes)) else None


def _pack(volumes: Volumes) -> bytes:
    return b"".join(np.packbits(np.asarray(volume, dtype=bool)).tobytes() for volume in volumes)


def _set_name(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()[:16]
