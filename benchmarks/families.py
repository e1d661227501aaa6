"""Pictures and figures of the families of microstructures: docs/families.png, docs/closure.png, docs/data.md.

Run `python benchmarks/families.py --data DATA.h5 --log LOG` with a labelled data set and what `python -m
vaereg generate` wrote on stderr while it made all of it. Without `--data` the page and the picture of the
families are made again, from `results/families.json`.
"""

import argparse
import hashlib
import io
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from record import RESULTS, write_record
from solver_report import provenance, table

from vaereg.elasticity import PROPERTIES, diagonal_properties, reuss_bound, voigt_bound, voigt_reuss_ratio
from vaereg.generators import families
from vaereg.generators.families import DEFAULT_MIX, FAMILIES, MIXES, generate, mix_name
from vaereg.io.datasets import Dataset, read_dataset
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import two_point_correlation
from vaereg.microstructure.volume import volume_fraction

DOCS = Path(__file__).parents[1] / "docs"
SIZE, SEEDS, REPEATS = 32, (1, 2, 3), 20
PIXELS = 336
"""Height of the picture of one cell, about three times as fine as it is shown."""
STIFF, SOFT = np.array([0.12, 0.30, 0.48]), np.array([0.93, 0.91, 0.86])
SHADES = {"top": 1.0, "x": 0.72, "y": 0.86}


def spread(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


GAUSSIAN = "[10.1016/0021-9797(84)90481-8](https://doi.org/10.1016/0021-9797(84)90481-8)"
SPINODAL = (
    "[10.1016/0001-6160(61)90182-1](https://doi.org/10.1016/0001-6160(61)90182-1), "
    "[10.1103/PhysRevE.60.3564](https://doi.org/10.1103/PhysRevE.60.3564)"
)
WIDTHS = f"short: {spread(families.SHORT_STD_RANGE)}; long: at least {families.LONG_STD_MIN:g} and "
WIDTHS += f"{families.ELONGATION:g} times the short one, at most {families.STD_RANGE[1]:g}"
WAVES = f"wavelength {spread(families.WAVELENGTH_RANGE)} voxels, {spread(families.SPINODAL_STEPS)} time steps"
COST = f"gradients cost {spread(families.SPINODAL_STRETCH)} times more along"
RADII = f"logarithm of the radii spread by {spread(families.RADIUS_SPREAD)}"
KINDS = [
    (
        "gaussian-equiaxed",
        "white noise, Gaussian filter, cut",
        f"filter width {spread(families.STD_RANGE)} voxels, the same along all axes",
        GAUSSIAN,
    ),
    (
        "gaussian-free",
        "the same",
        f"filter width {spread(families.STD_RANGE)} voxels, each axis on its own",
        GAUSSIAN,
    ),
    ("gaussian-rod-x, -y, -z", "the same, long along the axis", f"filter widths [voxel], {WIDTHS}", GAUSSIAN),
    (
        "gaussian-plate-x, -y, -z",
        "the same, thin along the axis",
        f"filter widths [voxel], {WIDTHS}",
        GAUSSIAN,
    ),
    ("spinodal", "Cahn-Hilliard equation from white noise, cut", WAVES, SPINODAL),
    ("spinodal-columns", "the same, anisotropic", f"{WAVES}; {COST} one axis", SPINODAL),
    ("spinodal-lamellae", "the same, anisotropic", f"{WAVES}; {COST} two axes", SPINODAL),
    (
        "spheres",
        "overlapping spheres, stiff or soft",
        f"{spread(families.SPHERE_COUNT)} spheres, {RADII}",
        "[10.1007/978-1-4757-6355-3](https://doi.org/10.1007/978-1-4757-6355-3)",
    ),
    (
        "fibres",
        "parallel cylinders that may overlap, stiff or soft",
        f"{spread(families.FIBRE_COUNT)} fibres along x, y or z, {RADII}",
        "[10.1016/0022-5096(64)90019-5](https://doi.org/10.1016/0022-5096(64)90019-5)",
    ),
    (
        "laminate",
        "plane layers, stiff and soft in turn",
        f"{spread(families.LAYER_PAIRS)} of each, normal to x, y or z, random thickness",
        "[10.1029/JZ067i011p04427](https://doi.org/10.1029/JZ067i011p04427)",
    ),
    (
        "minimal-surface",
        "level set of " + ", ".join(families.SURFACES),
        f"sheet or skeleton, {spread(families.SURFACE_PERIODS)} periods per axis (half of them equal), "
        "random shift",
        "[10.1103/PhysRevE.59.5528](https://doi.org/10.1103/PhysRevE.59.5528)",
    ),
    (
        "voronoi",
        "walls of Voronoi cells; stiff walls or stiff cells",
        f"{spread(families.SEED_COUNT)} cells",
        "[10.1016/S1359-6454(00)00314-1](https://doi.org/10.1016/S1359-6454(00)00314-1)",
    ),
]
"""Family or families, construction, what is drawn, source."""


PAGE = """# The data

Made by `python benchmarks/families.py`. Every microstructure is a periodic cube, a pure function of its
family, its size and a seed. `vaereg/generators/families.py` draws the parameters, `fields.py` and `shapes.py`
beside it make the volumes.

These are the families of version 0.1, on which the shipped model was trained; `generate --families` makes
them. The thirteen classes that `generate --morphologies` makes are on [a page of their own](morphologies.md).

## Families

![Three seeds of every family](families.png)

Stiff is dark; x points to the lower left, y to the lower right, z up. Volume fractions of the stiff phase
are uniform, {gaussian_range} for Gaussian fields and {wide_range} for all others, and exact to the voxel
(fibres: to the voxel of a section; laminates: to the layer of voxels). Numbers of inclusions and cells,
filter widths (not the long ones), wavelengths and costs are drawn uniformly in their logarithm, all else
uniformly.

{kinds}

## Mixes

`generate --families default` and `--families gaussian` take these shares. The last column is the cost of
one volume of 32³ without its label, one thread.

{shares}

## Coverage

Of `{command}`:
{splits}. The last line that the command wrote: `{last_line}`,
{minutes:.0f} minutes in all.

SHA-256 of the file: `{sha256}`;
of `/microstructures` alone: `{volumes_sha256}`.
A processor that rounds otherwise may change the last digits of the labels.

Each cell has the 5 % quantile, the median and the 95 % quantile. The length is the integral of the normalised
two-point correlation up to its first zero, the mean over the axes (half the cell along an axis where nothing
changes). The last column is 0 at the Reuss and 1 at the Voigt bound of the same volume fraction. Laminates
have one stiffness for each axis and volume fraction; the C11 of those normal to x is the Reuss bound itself.

{coverage}

![C11 against C22 of all volumes](closure.png)

Solid: one of the two at its Reuss and the other at its Voigt bound, over all volume fractions. Dotted:
the bounds of both at volume fractions of 0.25, 0.5 and 0.75.

With other phases, the volumes of the modes in the order of axes that they were made in, moved by the map of
the model (`python benchmarks/closure_pairs.py`); brighter: more of the stiff phase:

![C11 against C22 with three other pairs of phases](closure-pairs.png)

{provenance}
"""


def picture(volume: NDArray[np.uint8], pixels: int = PIXELS) -> NDArray[np.float64]:
    """Isometric picture of a cube from (1, 1, 1): x to the lower left, y to the lower right, z up."""
    half = np.sqrt(3.0) / 2.0
    up = np.linspace(1.0, -1.0, pixels)[:, None]
    right = np.linspace(-half, half, round(pixels * half))[None, :] / half
    image = np.ones((pixels, right.size, 4))
    image[..., 3] = 0.0
    faces = {
        "top": ((2.0 * (1.0 - up) - right) / 2.0, (2.0 * (1.0 - up) + right) / 2.0, np.ones_like(up + right)),
        "x": (np.ones_like(up + right), 1.0 + right + 0.0 * up, up + (2.0 + right) / 2.0),
        "y": (1.0 - right + 0.0 * up, np.ones_like(up + right), up + (2.0 - right) / 2.0),
    }
    for name, corners in faces.items():
        places = np.stack(corners)
        seen = ((places >= 0.0) & (places <= 1.0)).all(axis=0)
        index = np.minimum((places[:, seen] * len(volume)).astype(int), len(volume) - 1)
        stiff = volume[tuple(index)][:, None]
        image[seen, :3] = SHADES[name] * np.where(stiff, STIFF, SOFT)
        image[seen, 3] = 1.0
    return image


def draw_families(path: Path) -> None:
    """One row per family and three seeds; Gaussian fields on the left."""
    columns = [[name for name in FAMILIES if name.startswith("gaussian") is kind] for kind in (True, False)]
    rows, width = max(map(len, columns)), len(SEEDS) + 1
    figure = Figure(figsize=(8.4, 1.06 * rows), dpi=110)
    axes = figure.subplots(rows, 2 * width, squeeze=False)
    for item in axes.ravel():
        item.axis("off")
    for side, names in enumerate(columns):
        for row, name in enumerate(names):
            axes[row, side * width].text(
                1.0, 0.5, name.replace("-", "-\n", 1), ha="right", va="center", fontsize=8
            )
            for place, seed in enumerate(SEEDS, start=1):
                volume = generate(name, SIZE, generator=np.random.default_rng(seed)).volume
                axes[row, side * width + place].imshow(picture(volume))
    figure.subplots_adjust(0.0, 0.0, 1.0, 1.0, 0.04, 0.04)
    save(figure, path)


def group(family: str) -> str:
    """Kind of a family: those that differ in their axis alone are one."""
    return family.removesuffix(family[-2:]) if family[-2:] in ("-x", "-y", "-z") else family


def draw_closure(data: Dataset, path: Path) -> None:
    """C11 against C22 of a data set, and the bounds."""
    materials = TwoPhase.from_dict(data.plan.materials)
    figure = Figure(figsize=(7.2, 5.4), dpi=110)
    axes = figure.subplots()
    fraction = np.linspace(0.0, 1.0, 201)
    low, high = (bound(fraction, materials)[:, 0, 0] for bound in (reuss_bound, voigt_bound))
    axes.plot(low, high, "k-", lw=1.2, label="Reuss and Voigt, one each")
    axes.plot(high, low, "k-", lw=1.2)
    for value in (0.25, 0.5, 0.75):
        a, b = np.interp(value, fraction, low), np.interp(value, fraction, high)
        axes.plot([a, b, b, a, a], [a, a, b, b, a], "k:", lw=0.8)
        axes.annotate(f"{value:g}", (b, b), fontsize=8, ha="left", va="bottom")
    kinds = np.array([group(name) for name in data.samples.family])
    colours, points = mpl.colormaps["tab20"], np.empty((len(kinds), 4))
    for number, kind in enumerate(dict.fromkeys(map(group, FAMILIES))):
        if (kinds == kind).any():
            axes.plot([], [], ".", ms=3.5, color=colours(number), label=kind)
            points[kinds == kind] = colours(number)
    order = np.random.default_rng(0).permutation(len(kinds))  # none of the families covers the others
    result = data.samples.stiffness[order]
    axes.scatter(result[:, 0, 0], result[:, 1, 1], s=2.0, c=points[order], linewidths=0.0)
    axes.set(xlabel="C11 [GPa]", ylabel="C22 [GPa]", xlim=(0.0, None), ylim=(0.0, None), aspect="equal")
    axes.legend(fontsize=7, markerscale=2.5, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    figure.tight_layout()
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """PNG of few colours, which is a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer)
    Image.open(buffer).convert("RGB").quantize(64).save(path, optimize=True)
    print(path)


def correlation_length(volume: NDArray[np.uint8]) -> float:
    """Sum of the normalised two-point correlation up to its first zero, mean over the axes [voxel]."""
    fraction = volume_fraction(volume)
    correlation = (two_point_correlation(volume) - fraction**2) / (fraction - fraction**2)
    lines = [np.moveaxis(correlation, axis, 0)[: len(volume) // 2, 0, 0] for axis in range(3)]
    return float(np.mean([(line * (np.minimum.accumulate(line) > 0.0)).sum() for line in lines]))


def measure(data: Dataset) -> dict[str, Any]:
    """Coverage per family, and the cost of one volume without its label."""
    lengths = np.array([correlation_length(volume) for volume in data.volumes(slice(None))])
    samples = data.samples
    stiffness = diagonal_properties(samples.stiffness)
    places = voigt_reuss_ratio(stiffness, samples.volume_fraction, TwoPhase.from_dict(data.plan.materials))
    coverage = {}
    for family in FAMILIES:
        rows = np.flatnonzero(samples.family == family)
        if len(rows):
            columns = {"volume_fraction": samples.volume_fraction[rows], "correlation_length": lengths[rows]}
            columns |= {name: stiffness[rows, place] for place, name in enumerate(PROPERTIES[:4])}
            columns["between_bounds"] = places[rows, 0]
            ranges = {
                name: (np.quantile(item, [0.05, 0.5, 0.95]).round(4) + 0.0).tolist()
                for name, item in columns.items()
            }
            coverage[family] = {"volumes": len(rows), **ranges}
    return {"coverage": coverage, "generation_ms": {family: generation_ms(family) for family in FAMILIES}}


def generation_ms(family: str) -> float:
    begin = time.process_time()
    for seed in range(REPEATS):
        generate(family, SIZE, generator=np.random.default_rng(seed))
    return round(1e3 * (time.process_time() - begin) / REPEATS, 2)


def settings(data: Dataset, path: Path, log: Path) -> dict[str, object]:
    plan = data.plan
    last_line = log.read_text(encoding="utf-8").splitlines()[-1]
    rate = re.fullmatch(rf"generate: {plan.count}/{plan.count} volumes, ([0-9.]+)/s, 0.0 min left", last_line)
    if rate is None:
        raise ValueError(
            f"expected the log of a whole run of {plan.count} volumes, got {last_line!r} at its end"
        )
    command = f"python -m vaereg generate --count {plan.count} --seed {plan.seed} --size {plan.size}"
    return {
        "command": f"{command} --families {mix_name(plan.families)} --out {path.name}",
        "last_line": last_line,
        "minutes": plan.count / float(rate[1]) / 60.0,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "volumes_sha256": hashlib.sha256(data.samples.microstructures.tobytes()).hexdigest(),
        "generator_version": plan.generator_version,
        "splits": {
            str(name): int(count)
            for name, count in zip(*np.unique(data.split, return_counts=True), strict=True)
        },
    }


def page(record: dict[str, Any]) -> str:
    """docs/data.md."""
    figures, made = record["figures"], record["settings"]
    kinds = [[f"`{name}`", what, drawn, source] for name, what, drawn, source in KINDS]
    shares = [
        [
            f"`{name}`",
            f"{100 * DEFAULT_MIX[name]:.1f} %",
            f"{100 * MIXES['gaussian'].get(name, 0.0):.1f} %",
            f"{figures['generation_ms'][name]:.1f}",
        ]
        for name in FAMILIES
    ]
    columns = ["volume_fraction", "correlation_length", "C11", "C22", "C33", "C44", "between_bounds"]
    coverage = [
        [f"`{name}`", str(row["volumes"])]
        + [" / ".join(f"{value:.3g}" for value in row[column]) for column in columns]
        for name, row in figures["coverage"].items()
    ]
    titles = ["family", "volumes", "volume fraction", "length [voxel]"]
    titles += [f"{name} [GPa]" for name in PROPERTIES[:4]] + ["C11 between the bounds"]
    splits = ", ".join(f"{count:,} {name}" for name, count in made["splits"].items())
    return PAGE.format(
        gaussian_range=spread(families.VOLUME_FRACTION_RANGE),
        wide_range=spread(families.WIDE_FRACTION_RANGE),
        kinds=table(["family", "construction", "drawn", "source (DOI)"], kinds).replace("---:", "---"),
        shares=table(["family", "default", "gaussian", "cost [ms]"], shares),
        command=made["command"],
        splits=splits,
        last_line=made["last_line"],
        minutes=made["minutes"],
        sha256=made["sha256"],
        volumes_sha256=made["volumes_sha256"],
        coverage=table(titles, coverage),
        provenance=provenance(record),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="labelled data set to measure")
    parser.add_argument("--log", type=Path, help="what `generate` wrote on stderr; needed with --data")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the page and its pictures")
    arguments = parser.parse_args()
    if arguments.data is not None and arguments.log is None:
        parser.error("--data needs --log")
    arguments.out.mkdir(exist_ok=True)
    if arguments.data is not None:
        data = read_dataset(arguments.data)
        draw_closure(data, arguments.out / "closure.png")
        made = settings(data, arguments.data, arguments.log)
        write_record("families", made, measure(data))
    draw_families(arguments.out / "families.png")
    record = json.loads((RESULTS / "families.json").read_text(encoding="utf-8"))
    target = arguments.out / "data.md"
    target.write_text(page(record), encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
