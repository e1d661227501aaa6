"""Flags that say what is wanted of designs and what they have to meet, and what these flags mean."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from vaereg.arguments import numbers
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.inverse.constraints import Constraints
    from vaereg.targets import Targets

__all__ = [
    "add_constraint_flags",
    "add_design_flags",
    "add_target_flags",
    "constraints_of",
    "spread_limits_of",
    "targets_of",
]


def add_target_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say what is wanted."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="quantity and its value or range, as E_x=20GPa, nu_xy=0.2:0.3 or density=:1900kg/m3; a weight "
        "may follow, as @2; may be repeated",
    )
    for name, size in (("--maximize", "large"), ("--minimize", "small")):
        parser.add_argument(
            name,
            action="append",
            default=[],
            metavar="NAME",
            help=f"quantity to be as {size} as possible; may be repeated",
        )


def targets_of(arguments: argparse.Namespace) -> Targets | None:
    """Targets of the flags; None where they say nothing."""
    from vaereg.targets import parse

    if not (arguments.target or arguments.maximize or arguments.minimize):
        return None
    return parse(arguments.target, maximize=arguments.maximize, minimize=arguments.minimize)


def add_constraint_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say what designs have to meet."""
    parser.add_argument(
        "--symmetry",
        choices=("none", "orthotropic", "tetragonal", "cubic"),
        default="none",
        help="symmetry of every design",
    )
    parser.add_argument(
        "--min-feature",
        metavar="D[,D]",
        help="least diameter of features of both phases, or of the stiff and of the soft phase [voxel]",
    )
    parser.add_argument(
        "--connected",
        action="append",
        default=[],
        metavar="PHASE[:AXES]",
        help="phase, stiff or soft, of which one cluster percolates along the axes (default: xyz)",
    )
    parser.add_argument("--no-islands", action="store_true", help="the stiff phase is a single cluster")
    parser.add_argument("--no-closed-pores", action="store_true", help="the soft phase is a single cluster")


def constraints_of(arguments: argparse.Namespace) -> Constraints:
    """Constraints of the flags, which designs have to meet."""
    from vaereg.inverse.constraints import Constraints

    diameters: tuple[float, ...] = (0.0,)
    if arguments.min_feature is not None:
        diameters = numbers(arguments.min_feature, float, "--min-feature")
        if len(diameters) not in (1, 2):
            raise InputError(f"expected one or two numbers for --min-feature, got {arguments.min_feature!r}")
    connected: dict[str, str] = {}
    for text in arguments.connected:
        phase, _, axes = text.partition(":")
        if phase in connected:
            raise InputError(f"expected --connected once for the {phase} phase, got it twice")
        connected[phase] = axes or "xyz"
    return Constraints(
        min_feature_stiff=diameters[0],
        min_feature_soft=diameters[-1],
        connected=connected,
        no_islands=arguments.no_islands,
        no_closed_pores=arguments.no_closed_pores,
        symmetry=arguments.symmetry,
    )


def spread_limits_of(arguments: argparse.Namespace) -> tuple[float, float]:
    """Largest spread with the interface and over realisations by the flag [-]; infinite without one."""
    from vaereg.targets.quantities import read_number

    if arguments.max_spread is None:
        return math.inf, math.inf
    words = arguments.max_spread.split(",")
    if len(words) not in (1, 2):
        raise InputError(f"expected one or two numbers for --max-spread, got {arguments.max_spread!r}")
    limits = [read_number(word, "volume_fraction") for word in words]  # a share, as 0.1 or 10%
    if min(limits) <= 0.0:
        raise InputError(f"expected positive numbers for --max-spread, got {arguments.max_spread!r}")
    return limits[0], limits[1] if len(limits) == 2 else math.inf


def add_design_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `design` besides targets, constraints and phases."""
    parser.add_argument(
        "--targets",
        type=Path,
        metavar="FILE",
        help="table of targets (CSV), quantities with their units in the header as E_x [GPa]; --out is a "
        "folder then, and a second run goes on where the first one stopped",
    )
    parser.add_argument("--count", type=int, default=12, metavar="N", help="number of designs, at most 256")
    parser.add_argument("--size", type=int, default=32, metavar="N", help="voxels per edge: 16, 24, … 128")
    parser.add_argument(
        "--lengths",
        choices=("voxels", "relative"),
        default="voxels",
        help="whether features keep their size in voxels, or grow with the cell",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="the same seed gives the same designs"
    )
    parser.add_argument(
        "--mode",
        action="append",
        default=[],
        metavar="NAME",
        help="morphology of the designs, such as closed-foam; may be repeated (default: all that reach it)",
    )
    parser.add_argument(
        "--component", type=int, metavar="K", help="the same by its index, or that of a free mixture"
    )
    parser.add_argument(
        "--corrections",
        type=int,
        default=2,
        metavar="N",
        help="steps of correction without a solve; 0 for raw designs (default: 2)",
    )
    parser.add_argument(
        "--nearest",
        action="store_true",
        help="where what is asked for is out of reach, make designs for the nearest that a mode can have",
    )
    parser.add_argument(
        "--hold",
        action="append",
        default=[],
        metavar="NAME",
        help="quantity whose target stays as it is with --nearest; may be repeated",
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="measure how quantities change as interfaces move by half a voxel, and over ten realisations",
    )
    parser.add_argument(
        "--max-spread",
        metavar="S[,S]",
        help="largest relative change of a quantity as the interface moves by half a voxel, and largest "
        "standard deviation over ten realisations, as 10%%,5%%: designs beyond are left out",
    )
    parser.add_argument(
        "--pareto",
        type=int,
        nargs="?",
        const=500,
        metavar="N",
        help="Pareto front of two or three objectives among N candidates (500 if left out), verified by the "
        "solver; --count is not used",
    )
