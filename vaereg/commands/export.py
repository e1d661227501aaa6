"""The command `export`."""

from __future__ import annotations

import argparse
from functools import partial

from vaereg.arguments import materials_of, phases_given
from vaereg.console import tell
from vaereg.errors import InputError

__all__ = ["run_export"]

_BARE = ("npy", "stl", "fans", "csv")
"""Formats whose files have no room for a recipe and a specification of the geometry."""


def run_export(arguments: argparse.Namespace) -> None:
    """Write designs in the format of another program, of the phases that are asked for or else of those of
    their file.
    """
    from vaereg.io.designs import read_designs
    from vaereg.io.exporting.export import bundle, describe_surface, export, write_report
    from vaereg.io.exporting.stored_items import stored_items
    from vaereg.io.files import check_output
    from vaereg.materials import TwoPhase

    flag_materials = materials_of(arguments)
    check_output(arguments.out, arguments.designs)
    designs = read_designs(arguments.designs)
    stored_materials = designs.materials or TwoPhase()
    materials = flag_materials if phases_given(arguments) else stored_materials
    if arguments.index is not None and not 0 <= arguments.index < len(designs):
        raise InputError(f"expected an index from 0 to {len(designs) - 1}, got {arguments.index}")
    if arguments.index is None and arguments.format not in ("zip", "html"):
        raise InputError("expected --index for one design, or --format zip or html for all of them")
    indices = range(len(designs)) if arguments.index is None else [arguments.index]
    own_pair = materials.moduli() == stored_materials.moduli()
    items = stored_items(designs, indices, arguments.designs.name, figures=own_pair)
    if not own_pair:
        tell("export: predicted and solved figures are left out: they are of other phases")
    size = arguments.voxel_size
    if arguments.format == "zip":
        bundle(arguments.out, items, materials, voxel_size=size, length_unit=arguments.length_unit)
        paths = [arguments.out]
    elif arguments.format == "html":
        write_report(arguments.out, items, materials, voxel_size=size, length_unit=arguments.length_unit)
        paths = [arguments.out]
    else:
        write = partial(
            export,
            items[0].volume,
            materials,
            provenance=items[0].provenance,
            voxel_size=size,
            length_unit=arguments.length_unit,
        )
        paths = write(format=arguments.format, path=arguments.out)
        if arguments.format in _BARE:
            beside = arguments.out.with_name(arguments.out.stem + "-sheet.json")
            paths += write(format="json", path=beside)
        if arguments.format == "stl":
            tell(f"export: {describe_surface(items[0].volume)}")
    tell(f"export: wrote {', '.join(map(str, paths))}")
