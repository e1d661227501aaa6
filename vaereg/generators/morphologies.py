"""The thirteen morphologies by name: their parameters, their volumes, their recipes, their mix.

`draw` gives random parameters, `make` a volume of given parameters: both are pure functions of their
arguments and of the seeded generator. Lengths are in voxels, drawn for a cell of `REFERENCE_EDGE` voxels;
`sample` scales them with the cell if asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.random import Generator

from vaereg.errors import InputError
from vaereg.generators import bodies, cells, irregular, layers, periodic
from vaereg.generators.recipe import Microstructure, Parameters, plain

__all__ = [
    "COMPONENTS",
    "DEFAULT_SHARES",
    "MORPHOLOGIES",
    "MORPHOLOGY_VERSION",
    "REFERENCE_EDGE",
    "SIZE_RANGE",
    "Morphology",
    "component_of",
    "draw",
    "make",
    "morphology_weights",
    "sample",
]

MORPHOLOGY_VERSION = 1
"""Raised whenever the same morphology, size and seed would give another volume."""
REFERENCE_EDGE = 32
"""Edge of the cell that lengths are drawn for [voxel]."""
SIZE_RANGE = (8, 128)
"""Least and largest number of voxels per edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Morphology:
    """One class of microstructures."""

    draw: Callable[[Generator], Parameters]
    """Function that draws random parameters."""
    make: Callable[[Any, int, Generator], Microstructure]
    """Function that makes a volume of given parameters and size."""
    component: str
    """Component of the inverse model that the class belongs to, one of `COMPONENTS`."""
    description: str
    """Look of the class, in one phrase."""


MORPHOLOGIES: Mapping[str, Morphology] = MappingProxyType(
    {
        "particles": Morphology(
            draw=cells.draw_particles,
            make=cells.make_particles,
            component="particles",
            description="separate stiff ellipsoids in a soft matrix",
        ),
        "pores": Morphology(
            draw=cells.draw_pores,
            make=cells.make_pores,
            component="pores",
            description="separate soft ellipsoids in a stiff matrix",
        ),
        "fibres": Morphology(
            draw=bodies.draw_fibres,
            make=bodies.make_fibres,
            component="fibres",
            description="short stiff fibres, from aligned to random",
        ),
        "channels": Morphology(
            draw=bodies.draw_channels,
            make=bodies.make_channels,
            component="channels",
            description="soft channels in a stiff matrix, from aligned to random",
        ),
        "platelets": Morphology(
            draw=bodies.draw_platelets,
            make=bodies.make_platelets,
            component="platelets",
            description="stiff discs, from aligned to random",
        ),
        "laminate": Morphology(
            draw=layers.draw_laminate,
            make=layers.make_laminate,
            component="layers",
            description="layers, from plane to wavy",
        ),
        "closed-foam": Morphology(
            draw=cells.draw_closed_foam,
            make=cells.make_closed_foam,
            component="closed-foam",
            description="stiff walls between cells",
        ),
        "grains": Morphology(
            draw=cells.draw_grains,
            make=cells.make_grains,
            component="grains",
            description="stiff grains with soft boundaries",
        ),
        "open-foam": Morphology(
            draw=cells.draw_open_foam,
            make=cells.make_open_foam,
            component="open-foam",
            description="stiff struts where three cells meet",
        ),
        "tpms": Morphology(
            draw=periodic.draw_tpms,
            make=periodic.make_tpms,
            component="periodic",
            description="triply periodic minimal surfaces, sheets and networks",
        ),
        "lattice": Morphology(
            draw=periodic.draw_lattice,
            make=periodic.make_lattice,
            component="periodic",
            description="bars of cubic, body-centred, face-centred and octet lattices",
        ),
        "spinodal": Morphology(
            draw=irregular.draw_spinodal,
            make=irregular.make_spinodal,
            component="irregular",
            description="spinodal decomposition, equiaxed to lamellar",
        ),
        "gaussian": Morphology(
            draw=irregular.draw_gaussian,
            make=irregular.make_gaussian,
            component="irregular",
            description="thresholded Gaussian random fields",
        ),
    }
)
"""Every morphology by name."""

COMPONENTS = tuple(dict.fromkeys(morphology.component for morphology in MORPHOLOGIES.values()))
"""Names of the components of the inverse model that the morphologies belong to."""

DEFAULT_SHARES: Mapping[str, float] = MappingProxyType(
    {name: (0.16 if name == "gaussian" else 0.07) for name in MORPHOLOGIES}
)
"""Share of each morphology in a data set [-], unless others are asked for."""


def draw(name: str, *, generator: Generator) -> Parameters:
    """Random parameters of a morphology, for a cell of `REFERENCE_EDGE` voxels.

    Raises:
        InputError: The morphology is unknown.
    """
    return MORPHOLOGIES[_checked(name)].draw(generator)


def make(name: str, parameters: Parameters, size: int, *, generator: Generator) -> Microstructure:
    """Volume of given parameters, lengths in voxels.

    Args:
        name: Name of the morphology.
        parameters: Parameters of this morphology, from `draw` or made by hand.
        size: Voxels per edge, n.
        generator: Source of positions, directions and noise.

    Raises:
        InputError: The morphology is unknown, or the size is outside `SIZE_RANGE`.
    """
    if not SIZE_RANGE[0] <= size <= SIZE_RANGE[1]:
        raise InputError(f"expected {SIZE_RANGE[0]} to {SIZE_RANGE[1]} voxels per edge, got {size}")
    cell = MORPHOLOGIES[_checked(name)].make(parameters, size, generator)
    return Microstructure(volume=cell.volume, recipe=plain(cell.recipe))


def sample(name: str, size: int, *, relative: bool = False, generator: Generator) -> Microstructure:
    """Volume of random parameters.

    Args:
        name: Name of the morphology.
        size: Voxels per edge, n.
        relative: Whether lengths scale with the cell; otherwise they are in voxels whatever the size.
        generator: Source of random numbers.

    Raises:
        InputError: The morphology is unknown, or the size is outside `SIZE_RANGE`.
    """
    parameters = draw(name, generator=generator)
    scaled = parameters.scaled(size / REFERENCE_EDGE) if relative else parameters
    return make(name, scaled, size, generator=generator)


def component_of(name: str, recipe: Mapping[str, Any]) -> str:
    """Component of the inverse model that a volume belongs to: that of its class, lamellae being layers.

    Args:
        name: Name of the morphology.
        recipe: Recipe of the volume.

    Raises:
        InputError: The morphology is unknown.
    """
    component = MORPHOLOGIES[_checked(name)].component
    if name == "spinodal" and sorted(recipe["stretch"])[1] >= irregular.LAMELLAR_STRETCH[0]:
        return "layers"
    return component


def morphology_weights(morphologies: Mapping[str, float] | Sequence[str] | None = None) -> dict[str, float]:
    """Share of each morphology [-] in a data set, summing to one, in the order of `MORPHOLOGIES`.

    Args:
        morphologies: Weights by name, names that share equally, or None or ["all"] for `DEFAULT_SHARES`.

    Raises:
        InputError: A morphology is unknown, none is given, or a weight is not positive.
    """
    if morphologies is None or list(morphologies) == ["all"]:
        morphologies = DEFAULT_SHARES
    weights = morphologies if isinstance(morphologies, Mapping) else dict.fromkeys(morphologies, 1.0)
    if not weights:
        raise InputError(f"expected at least one morphology of {', '.join(MORPHOLOGIES)}")
    for name, weight in weights.items():
        if not 0.0 < weight < float("inf"):
            raise InputError(f"expected a positive weight for morphology {_checked(name)}, got {weight}")
        _checked(name)
    total = sum(weights.values())
    return {name: weights[name] / total for name in MORPHOLOGIES if name in weights}


def _checked(name: str) -> str:
    if name not in MORPHOLOGIES:
        raise InputError(f"unknown morphology {name!r}, expected one of {', '.join(MORPHOLOGIES)}")
    return name
