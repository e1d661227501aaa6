"""Pictures and figures of the morphologies: docs/morphologies.png and docs/morphologies.md.

Run `python benchmarks/morphologies.py --measure` to sample and solve volumes of every class anew, and with
`--data LABELS.h5` to describe a data set that `python -m vaereg generate --morphologies all` made. Without
them the page and the picture are made again, from `results/morphologies.json`.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from families import DOCS, picture, save, spread
from matplotlib.figure import Figure
from numpy.typing import NDArray
from record import RESULTS, write_record
from solver_report import provenance, table

from vaereg.generators import bodies, cells, irregular, layers, periodic
from vaereg.generators.families import SPINODAL_STEPS, STD_RANGE
from vaereg.generators.morphologies import DEFAULT_SHARES, MORPHOLOGIES, REFERENCE_EDGE, sample
from vaereg.generators.shapes import SURFACES
from vaereg.io.labelled_sets import LabelledSet, read_labelled_set
from vaereg.solver.homogenization import homogenize
from vaereg.training.labelling import morphologies as labels

SEEDS, LARGE_SEEDS, REPEATS = (1, 2, 3, 4), (5,), 10
SIZES = (32, 64)
PIXELS = 300
"""Height of the picture of one cell, about three times as fine as it is shown."""
SAMPLED, TOLERANCE = 10, 2e-3
"""Volumes of each class that are solved, and the relative residual of the solver."""
QUANTILES = (0.05, 0.5, 0.95)


def doi(identifier: str) -> str:
    return f"[{identifier}](https://doi.org/{identifier})"


CELLS, TYLER = doi("10.1145/237170.237267"), doi("10.1093/biomet/74.3.579")
WEIGHTS = (
    f"directions about an axis ({bodies.ALIGNED:.0%}), about a plane ({bodies.PLANAR:.0%}) or random, the "
    f"weights of avoided ones {spread(bodies.SMALL_WEIGHT)}"
)
DRAWN = {
    "particles": (
        f"{spread(cells.PARTICLE_COUNT)} points, stretch up to {cells.PARTICLE_STRETCH:g}, spread of "
        f"the radii {spread(cells.RADIUS_SPREAD)}",
        cells.PARTICLE_FRACTION,
        "spacing, radius",
        CELLS,
    ),
    "pores": (
        f"{spread(cells.PARTICLE_COUNT)} points, stretch up to {cells.CELL_STRETCH:g}, spread of the radii "
        f"{spread(cells.RADIUS_SPREAD)}",
        cells.PORE_FRACTION,
        "spacing, radius",
        CELLS,
    ),
    "fibres": (
        f"radius {spread(bodies.FIBRE_RADIUS)}, half length {spread(bodies.FIBRE_HALF_LENGTH)}; {WEIGHTS}",
        bodies.FIBRE_FRACTION,
        "radius, half length, orientation tensor, texture, spacing",
        TYLER,
    ),
    "channels": (
        "as fibres",
        bodies.CHANNEL_FRACTION,
        "radius, half length, orientation tensor, texture, spacing",
        TYLER,
    ),
    "platelets": (
        f"half thickness {spread(bodies.PLATELET_HALF_THICKNESS)}, radius {spread(bodies.PLATELET_RADIUS)}; "
        "directions as fibres",
        bodies.PLATELET_FRACTION,
        "half thickness, radius, orientation tensor, texture, spacing",
        TYLER,
    ),
    "laminate": (
        f"{spread(layers.LAYER_PAIRS)} layers of each phase, {layers.PLANE:.0%} plane, others with waves of "
        f"{spread(layers.WAVINESS)} of the period; jitter {spread(layers.JITTER)}",
        layers.VOLUME_FRACTION,
        "normal, period, thickness, waviness",
        doi("10.1029/JZ067i011p04427"),
    ),
    "closed-foam": (
        f"{spread(cells.FOAM_COUNT)} cells, stretch up to {cells.CELL_STRETCH:g}",
        cells.FOAM_FRACTION,
        "spacing, wall thickness",
        doi("10.1016/S1359-6454(00)00314-1"),
    ),
    "grains": (
        f"{spread(cells.GRAIN_COUNT)} cells, stretch up to {cells.CELL_STRETCH:g}",
        cells.GRAIN_FRACTION,
        "spacing, wall thickness",
        doi("10.1016/S1359-6454(00)00314-1"),
    ),
    "open-foam": (
        f"{spread(cells.OPEN_FOAM_COUNT)} cells, stretch up to {cells.CELL_STRETCH:g}",
        cells.OPEN_FOAM_FRACTION,
        "spacing, strut thickness",
        doi("10.1016/S0022-5096(01)00056-4"),
    ),
    "tpms": (
        f"{', '.join(SURFACES)}; sheet or network; 1 to {max(periodic.MOST_PERIODS.values())} periods "
        f"an axis, equal in {periodic.EQUAL_PERIODS:.0%}",
        periodic.SURFACE_FRACTION,
        "variant, sheet, inverted, period",
        doi("10.1103/PhysRevE.59.5528"),
    ),
    "lattice": (
        f"{', '.join(periodic.LATTICES)}; periods as tpms; bars of equal thickness in "
        f"{periodic.EQUAL_BARS:.0%}",
        periodic.LATTICE_FRACTION,
        "variant, period, strut radius, weights",
        doi("10.1098/rsta.2005.1678"),
    ),
    "spinodal": (
        f"wavelength {spread(irregular.WAVELENGTH)}, {spread(SPINODAL_STEPS)} steps; gradients cost "
        f"{spread(irregular.MILD_STRETCH)} times more along long axes in {irregular.MILD:.0%}, "
        f"{spread(irregular.LAMELLAR_STRETCH)} in lamellae",
        irregular.SPINODAL_FRACTION,
        "wavelength, steps, stretch",
        doi("10.1103/PhysRevE.60.3564"),
    ),
    "gaussian": (
        f"filter widths {spread(STD_RANGE)}: equal, free, rods and plates, a quarter each",
        irregular.VOLUME_FRACTION_RANGE,
        "std",
        doi("10.1016/0021-9797(84)90481-8"),
    ),
}
"""Parameters that are drawn, volume fractions, further entries of the recipe, and the source."""

PAGE = """# Morphologies

Made by `python benchmarks/morphologies.py`. Thirteen classes of periodic two-phase volumes;
`vaereg.generators.morphologies` has `draw` (random parameters) and `make` (a volume of given parameters),
both pure functions of their arguments and of a seeded generator. With each volume comes its recipe: the
parameters as they were made, lengths in voxels, and what followed from them.

![Four cells of {small}³ and one of {large}³ voxels of every class](morphologies.png)

Stiff is dark; x points to the lower left, y to the lower right, z up. On the left cells of {small}³ voxels,
on the right one of {large}³ with lengths in voxels: more cells, bodies and periods of the same size.

## What is drawn

Lengths are in voxels, numbers of points and periods those of a cell of {edge}³ voxels. Cells of other sizes
have the same lengths in voxels or, if asked, lengths that scale with the cell. Volume fractions are
uniform, and exact to the voxel (plane laminates: to the layer of voxels).

{drawn}

Stretches are along the axes: none in a quarter of the volumes, of one axis in a half, of two in a quarter.
The orientation tensor is the mean of u u over the directions u of the bodies of this volume, and the
texture the root of its diagonal over the largest. In a recipe three numbers are values along x, y, z and
three by three are a tensor, so that it can be permuted with the axes
(`vaereg.generators.recipe.permute_recipe`).

## Coverage

Of {sampled} volumes of {small}³ voxels of every class, solved at the reference pair to a relative residual
of {tolerance}: the 5 % quantile, the median and the 95 % quantile. The anisotropy is the largest over the
smallest of C11, C22 and C33.

{coverage}

## Labels

`python -m vaereg generate --morphologies all` labels every volume for {pairs} pairs of phases: the
first is the reference pair (120 and 2.4 GPa, 0.3), whose stiffness the modes are conditioned on; the other
has a ratio of Young's moduli of {contrast}, log-uniform, or a void as soft phase ({void:.0%}), Poisson
ratios of {poisson}, and a ratio of conductivities of {conductivity}. Labels are solved to a relative
residual of {rule}. `physics` in the file says which were solved.

{labelled}

{provenance}
"""

LABELLED = """`{command}`: the first {count:,} volumes, of {splits}; {pairs:,} pairs, {void:,} with void;
sizes {sizes}; labels {physics}. SHA-256 of the file: `{sha256}`."""


def draw_morphologies(path: Path) -> None:
    """Two columns of classes; small cells and one large cell of each."""
    names = list(MORPHOLOGIES)
    rows, width = -(-len(names) // 2), len(SEEDS) + len(LARGE_SEEDS) + 1
    figure = Figure(figsize=(10.4, 1.06 * rows), dpi=110)
    axes = figure.subplots(rows, 2 * width, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for number, name in enumerate(names):
        row, begin = number % rows, number // rows * width
        axes[row, begin].text(1.0, 0.5, name.replace("-", "-\n"), ha="right", va="center", fontsize=8)
        cells_shown = [(SIZES[0], seed) for seed in SEEDS] + [(SIZES[1], seed) for seed in LARGE_SEEDS]
        for place, (size, seed) in enumerate(cells_shown, start=1):
            volume = sample(name, size, generator=np.random.default_rng([number, seed])).volume
            axes[row, begin + place].imshow(picture(volume, PIXELS))
    figure.subplots_adjust(0.0, 0.0, 1.0, 1.0, 0.04, 0.04)
    save(figure, path)


def quantiles(values: NDArray[np.float64]) -> list[float]:
    return np.quantile(values, QUANTILES).round(4).tolist()


def measure() -> dict[str, Any]:
    """Fraction and stiffness of sampled volumes of each class, and the cost of a volume without labels."""
    coverage = {}
    for name in MORPHOLOGIES:
        fractions, moduli = [], []
        for seed in range(SAMPLED):
            volume = sample(name, SIZES[0], generator=np.random.default_rng(seed)).volume
            result = homogenize(volume, rtol=TOLERANCE, dtype=np.float32)
            fractions.append(float(volume.mean()))
            moduli.append(np.diag(result.stiffness)[:3])
        axial = np.array(moduli)
        coverage[name] = {
            "volume_fraction": quantiles(np.array(fractions)),
            "C11": quantiles(axial[:, 0]),
            "anisotropy": quantiles(axial.max(axis=1) / axial.min(axis=1)),
        }
    return {"coverage": coverage, "generation_ms": {name: generation_ms(name) for name in MORPHOLOGIES}}


def describe(data: LabelledSet, path: Path, count: int | None) -> dict[str, Any]:
    """What a data set holds."""
    plan, samples = data.plan, data.samples
    present = np.isfinite(samples.stiffness).all(axis=(2, 3))
    command = f"python -m vaereg generate --morphologies all --count {count or plan.count} --seed {plan.seed}"
    return {
        "command": f"{command} --out {path.name}",
        "count": plan.count,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "physics": plan.physics,
        "pairs": int(present.sum()),
        "void": int((samples.phases[present][:, 1] == 0.0).sum()),
        "splits": counts(data.split),
        "sizes": counts(samples.size),
    }


def counts(values: NDArray[Any]) -> dict[str, int]:
    names, numbers = np.unique(values, return_counts=True)
    return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def generation_ms(name: str) -> float:
    sample(name, SIZES[0], generator=np.random.default_rng(0))
    begin = time.process_time()
    for seed in range(REPEATS):
        sample(name, SIZES[0], generator=np.random.default_rng(seed))
    return round(1e3 * (time.process_time() - begin) / REPEATS, 1)


def cell(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values)


def page(record: dict[str, Any]) -> str:
    """docs/morphologies.md."""
    figures, made = record["figures"], record["settings"]
    drawn = [
        [
            *(f"`{name}`", MORPHOLOGIES[name].description, what, spread(fractions), recipe, source),
            *(f"{DEFAULT_SHARES[name]:.0%}", f"{figures['generation_ms'][name]:.0f}"),
        ]
        for name, (what, fractions, recipe, source) in DRAWN.items()
    ]
    titles = [
        "class",
        "what it is",
        "drawn",
        "stiff fraction",
        "recipe",
        "source (DOI)",
        "share",
        "cost [ms]",
    ]
    rows = [
        [f"`{name}`", *(cell(row[key]) for key in ("volume_fraction", "C11", "anisotropy"))]
        for name, row in figures["coverage"].items()
    ]
    labelled = figures.get("labelled")
    if labelled:
        labelled = {
            **labelled,
            "splits": ", ".join(f"{count:,} {name}" for name, count in labelled["splits"].items()),
            "sizes": ", ".join(f"{size}³ ({count:,})" for size, count in labelled["sizes"].items()),
        }
    return PAGE.format(
        small=SIZES[0],
        large=SIZES[1],
        edge=REFERENCE_EDGE,
        drawn=table(titles, drawn).replace("---:", "---"),
        pairs=labels.PAIRS,
        void=labels.VOID,
        contrast=spread(labels.CONTRAST),
        poisson=spread(labels.POISSON),
        conductivity=spread(labels.CONDUCTIVITY_RATIO),
        rule=labels.TOLERANCE_RULE,
        sampled=made["sampled"],
        tolerance=f"{made['tolerance']:g}",
        coverage=table(["class", "stiff fraction", "C11 [GPa]", "anisotropy [-]"], rows),
        labelled=LABELLED.format(**labelled) if labelled else "",
        provenance=provenance(record),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="sample and solve volumes of every class")
    parser.add_argument("--data", type=Path, help="labelled data set to describe")
    parser.add_argument("--count", type=int, help="volumes asked for, where DATA holds the first of them")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the page and its picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    source = RESULTS / "morphologies.json"
    if arguments.measure:
        write_record("morphologies", {"sampled": SAMPLED, "tolerance": TOLERANCE}, measure())
    record = json.loads(source.read_text(encoding="utf-8"))
    if arguments.data is not None:
        data = read_labelled_set(arguments.data)
        record["figures"]["labelled"] = describe(data, arguments.data, arguments.count)
        source.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draw_morphologies(arguments.out / "morphologies.png")
    target = arguments.out / "morphologies.md"
    target.write_text(page(record), encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
