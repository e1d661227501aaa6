"""docs/components.png: what each component of the prior makes for three targets, side by side.

Run `python benchmarks/components.py [--checkpoint FILE] [--out FILE]`. Targets are three values of C11, low,
middle and high among those of the training set; the other properties are free.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from families import DOCS, picture, save
from matplotlib.figure import Figure

from vaereg.elasticity import PROPERTIES
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.microstructure.morphology import describe
from vaereg.model.checkpoint import Checkpoint, load_checkpoint

LEADING, LEVELS = "C11", (0.15, 0.5, 0.85)
"""Property that is asked for, and the targets as quantiles of p(c) [-]."""
SHOWN, NAMED, SIZE = 3, 12, 32
"""Designs per component and target that are shown, and those that its name is derived from."""


def target_values(checkpoint: Checkpoint) -> list[float]:
    """The three targets [GPa], to whole numbers."""
    drawn = checkpoint.fitted.training_properties.values[:, PROPERTIES.index(LEADING)]
    return [float(round(value)) for value in np.quantile(drawn, LEVELS)]


def draw(rows: Sequence[Sequence[Designs]], values: Sequence[float], path: Path) -> None:
    """One row per component, a group of designs per target."""
    height = 1.25
    figure = Figure(figsize=(1.02 * SHOWN * len(values) + 0.9, height * len(rows) + 0.4), dpi=110)
    grid = figure.add_gridspec(
        len(rows),
        len(values) * SHOWN,
        left=0.08,
        right=1.0,
        bottom=0.0,
        top=1.0 - 0.4 / figure.get_figheight(),
    )
    grid.update(wspace=0.04, hspace=0.3)
    for row, groups in enumerate(rows):
        for group, (designs, value) in enumerate(zip(groups, values, strict=True)):
            axes = [figure.add_subplot(grid[row, group * SHOWN + place]) for place in range(SHOWN)]
            for item, volume in zip(axes, designs.microstructures, strict=False):
                item.imshow(picture(volume))
            for item in axes:
                item.axis("off")
            name = describe(designs.microstructures).name
            axes[SHOWN // 2].set_title(name, fontsize=7, pad=3)
            if row == 0:
                centre = 0.08 + 0.92 * (group + 0.5) / len(values)
                figure.text(centre, 0.995, f"{LEADING} = {value:g} GPa", fontsize=9, ha="center", va="top")
            if group == 0:
                weights = " / ".join(f"{100.0 * other.weights[row]:.0f}" for other in groups)
                axes[0].text(
                    -0.12,
                    0.5,
                    f"component {row}\n{weights} %",
                    transform=axes[0].transAxes,
                    fontsize=7,
                    ha="right",
                    va="center",
                )
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="trained model (default: the shipped one)")
    parser.add_argument("--size", type=int, default=SIZE, help="voxels per edge")
    parser.add_argument("--out", type=Path, default=DOCS / "components.png")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(arguments.checkpoint)
    values = target_values(checkpoint)
    rows = [
        [design(checkpoint, {LEADING: value}, NAMED, arguments.size, component=component) for value in values]
        for component in range(checkpoint.components)
    ]
    draw(rows, values, arguments.out)


if __name__ == "__main__":
    main()
