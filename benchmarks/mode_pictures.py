"""Small pictures of the modes, as lists of them show: assets/modes/NAME.png.

    python benchmarks/mode_pictures.py

Each is a cell of one of the mode's own classes, seen along its diagonal: three faces, the stiff phase in the
colour of the mode.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pages.parts.common.requests.modes import component_color
from vaereg.generators import sample
from vaereg.model.modes.catalogue import CLASS_MODES, MODES

EDGE, OVERSAMPLING = 48, 5
"""Edge of a picture [pixel], and samples of a pixel along each axis."""
SHADES = (1.0, 0.82, 0.64)
"""Brightness of the faces normal to z, y and x [-]."""
SIZE = 32


def picture(volume: NDArray[np.uint8], color: str) -> Image.Image:
    """Three faces of a cell of shape (X, Y, Z), on a transparent ground."""
    edge = EDGE * OVERSAMPLING
    size = volume.shape[0]
    tint = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)
    y, x = np.mgrid[:edge, :edge] / edge
    x, y = (x - 0.5) * 2.0 / np.sqrt(3.0), 0.5 - y  # edges of the cell have the length 1/2
    pixels = np.zeros((edge, edge, 4))
    # (u, v) along the two edges of each face, from the corner that is nearest to the eye
    faces = (
        (2.0 * y + x, 2.0 * y - x, volume[::-1, :, -1].T),
        (-2.0 * x, -2.0 * y - x, volume[::-1, 0, ::-1]),
        (2.0 * x, -2.0 * y + x, volume[-1, :, ::-1]),
    )
    for (first, second, face), shade in zip(faces, SHADES, strict=True):
        inside = (first >= 0) & (first < 1) & (second >= 0) & (second < 1)
        stiff = face[(first[inside] * size).astype(int), (second[inside] * size).astype(int)] > 0
        colors = np.where(stiff[:, None], shade * tint, 128 + 90 * shade)
        pixels[inside] = np.column_stack([colors, np.where(stiff, 255, 70)])
    whole = pixels.reshape(EDGE, OVERSAMPLING, EDGE, OVERSAMPLING, 4).mean(axis=(1, 3))
    return Image.fromarray(whole.round().astype(np.uint8), "RGBA").quantize(40)


def main() -> None:
    """Draw every mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).parents[1]
    parser.add_argument("--out", type=Path, default=root / "assets" / "modes", help="folder of the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for index, mode in enumerate(MODES):
        *_, name = (name for name, number in CLASS_MODES.items() if number == index)
        volume = sample(name, SIZE, generator=np.random.default_rng(4)).volume
        path = arguments.out / f"{mode.name}.png"
        picture(volume, component_color(index)).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
