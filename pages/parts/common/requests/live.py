"""Sliders that show previews of the target while they move, drawn by assets/live."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.components.v2 import component

from pages.parts.common.views.assets import VOLUME_PROGRAMS, joined

__all__ = ["LiveSlider", "live_slider"]

_component = component(
    "vaereg_live",
    css=joined("live/live.css"),
    js=joined(*VOLUME_PROGRAMS, "live/plane.js", "live/preview.js", "live/socket.js", "live/slider.js"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveSlider:
    """What a slider moves."""

    name: str
    """Name of the quantity."""
    label: str
    """What it is called on the page, with its unit."""
    low: float
    """Lowest value."""
    high: float
    """Highest value."""
    step: float
    values: tuple[float, ...]
    """Position of its handle, or of both."""
    ends: tuple[bool, bool] = (True, True)
    """Whether the value is the least and the largest that is wanted; both of a single value."""

    @property
    def digits(self) -> int:
        """Decimal places of a value."""
        return max(0, -math.floor(math.log10(self.step) + 1e-9))


def live_slider(
    slider: LiveSlider,
    *,
    key: str,
    link: str,
    labels: Mapping[str, str],
    units: Mapping[str, str],
    wanted: Mapping[str, tuple[float, float]],
    axes: Sequence[str],
    on_change: Callable[[tuple[float, ...]], None],
) -> None:
    """Show a slider; while it moves, previews of the target are drawn over the page.

    Args:
        slider: What it moves.
        key: Of the widget.
        link: The request as the address has it.
        labels: What every quantity of the request is called.
        units: Their units.
        wanted: Least and largest value of each quantity that is asked for.
        axes: Quantities across and up of the figure of what is reachable, or none.
        on_change: Called with the positions of the handles when they are let go.
    """
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    data = {
        "name": slider.name,
        "label": slider.label,
        "unit": units.get(slider.name, ""),
        "low": slider.low,
        "high": slider.high,
        "step": slider.step,
        "digits": slider.digits,
        "values": [min(max(value, slider.low), slider.high) for value in slider.values],
        "ends": [True if end else None for end in slider.ends],
        "link": link,
        "path": f"/{base}/live" if base else "/live",
        "labels": dict(labels),
        "units": dict(units),
        "wanted": {
            name: [end if math.isfinite(end) else None for end in ends] for name, ends in wanted.items()
        },
        "axes": list(axes),
    }

    def take() -> None:
        moved = (st.session_state.get(key) or {}).get("moved") or {}
        values = moved.get("values")
        if isinstance(values, list) and len(values) == len(slider.values):
            ends = [
                min(max(float(value), slider.low), slider.high)
                for value in values
                if isinstance(value, int | float)
            ]
            if len(ends) == len(values):
                on_change(tuple(sorted(ends)))

    _component(key=key, data={"slider": json.dumps(data)}, on_moved_change=take)
