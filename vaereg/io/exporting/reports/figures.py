"""Figures of reports as SVG: the cell, its directional stiffness; no script, no request."""

from __future__ import annotations

import base64
import itertools
import math
from html import escape

import numpy as np
from numpy.typing import NDArray

from vaereg.engineering import directional_young
from vaereg.io.exporting.reports.picture import png_bytes, render

__all__ = ["cell_svg", "directions_svg"]

_WIDTH = 480
"""Width of the picture of a cell [pixel]."""
_COLOURS = ("#1f5fc4", "#c4631f", "#2c8a57")
"""Colours of the planes x-y, x-z and y-z."""
_PLANES = (("x", "y"), ("x", "z"), ("y", "z"))
_ROUND = np.linspace(0.0, 2.0 * math.pi, 121)
"""Angles at which a curve is drawn [rad]."""


def cell_svg(volume: NDArray[np.uint8], title: str) -> str:
    """Picture of a cell with its edges and axes, as SVG.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        title: What the picture is of, for those who do not see it.
    """
    picture = render(volume, _WIDTH)
    height, width, _ = picture.pixels.shape
    behind, before = [], []
    for start in itertools.product((0, 1), repeat=3):
        for axis in range(3):
            if start[axis]:
                continue
            end = tuple(1 if place == axis else value for place, value in enumerate(start))
            is_hidden = picture.hidden in (start, end)
            ends = [*picture.corners[start], *picture.corners[end]]
            x1, y1, x2, y2 = (f"{value:.1f}" for value in ends)
            (behind if is_hidden else before).append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')
    content = base64.b64encode(png_bytes(picture.pixels)).decode("ascii")
    labels = [
        f'<text x="{x:.0f}" y="{y:.0f}">{name}</text>' for name, (x, y) in _axis_places(picture.corners)
    ]
    room = 26
    return (
        f'<svg viewBox="{-room} {-room} {width + 2 * room} {height + 2 * room}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        f'<g stroke="#9aa4b2" stroke-width="1" stroke-dasharray="4 4">{"".join(behind)}</g>'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{content}"/>'
        f'<g stroke="#3c4654" stroke-width="1.2" stroke-linecap="round">{"".join(before)}</g>'
        '<g font-size="20" fill="#3c4654" text-anchor="middle" font-family="sans-serif">'
        f"{''.join(labels)}</g>"
        "</svg>"
    )


def _axis_places(corners: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    """Names of the axes beside the edges that are seen in front, and where they stand."""
    middle = corners.mean(axis=(0, 1, 2))
    edges = {"x": ((0, 0, 0), (1, 0, 0)), "y": ((1, 0, 0), (1, 1, 0)), "z": ((0, 0, 0), (0, 0, 1))}
    places = []
    for name, (first, second) in edges.items():
        place = (corners[first] + corners[second]) / 2.0
        outward = place - middle
        places.append((name, place + 16.0 * outward / np.linalg.norm(outward) + np.array([0.0, 6.0])))
    return places


def directions_svg(stiffness: NDArray[np.float64]) -> str:
    """Young's modulus along all directions of the three planes, as SVG; empty where some direction carries
    no load.

    Args:
        stiffness: Voigt order, shape (6, 6) [GPa].
    """
    values = np.linalg.eigvalsh(stiffness)
    if not np.isfinite(stiffness).all() or values[0] <= 1e-6 * values[-1]:
        return ""
    curves = []
    for plane in _PLANES:
        directions = np.zeros((len(_ROUND), 3))
        directions[:, "xyz".index(plane[0])] = np.cos(_ROUND)
        directions[:, "xyz".index(plane[1])] = np.sin(_ROUND)
        curves.append(directional_young(stiffness, directions))
    largest = max(float(curve.max()) for curve in curves)
    step = _round_step(largest)
    outer = step * math.ceil(largest / step - 1e-6)
    parts = []
    for level in np.arange(step, outer + 0.5 * step, step):
        radius = 100.0 * level / outer
        parts.append(f'<circle r="{radius:.1f}" fill="none" stroke="#d9dfe7"/>')
        parts.append(f'<text x="3" y="{-radius - 2:.1f}" font-size="8" fill="#5b6675">{level:g}</text>')
    parts.append('<path d="M-104 0H104M0 -104V104" stroke="#d9dfe7"/>')
    for place, (plane, curve, colour) in enumerate(zip(_PLANES, curves, _COLOURS, strict=True)):
        x, y = 100.0 * curve / outer * np.cos(_ROUND), -100.0 * curve / outer * np.sin(_ROUND)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        dash = ("", "6 3", "2 2")[place]
        style = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{points}" {style}/>')
        top = -104 + 14 * place
        parts.append(f'<path d="M112 {top}h18" {style}/>')
        label = f"{plane[0]}–{plane[1]}"
        parts.append(f'<text x="134" y="{top + 4}" font-size="11" fill="#1c2531">{label}</text>')
    title = "Young's modulus in GPa along the directions of the planes x–y, x–z and y–z"
    return (
        f'<svg viewBox="-112 -118 280 236" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif">{"".join(parts)}</svg>'
    )


def _round_step(largest: float) -> float:
    """Distance of circles, such as 1, 2 or 5, that gives two to five of them."""
    power = 10.0 ** math.floor(math.log10(largest / 2.0))
    return power * next(factor for factor in (1.0, 2.0, 5.0, 10.0) if largest / (factor * power) <= 5.001)
