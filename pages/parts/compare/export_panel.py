"""Files of the shortlist for other programs: one volume or all, made when they are asked for."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.request import VoxelLength
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.text import plain
from pages.parts.compare.tables import FROM_FILE, Compared
from pages.parts.solving.tasks import RTOL
from vaereg.inverse.refining.refinement import VERIFICATION_RTOL
from vaereg.io.exporting.export import FORMATS, BundleItem, Provenance, bundle, export
from vaereg.materials import TwoPhase

__all__ = ["export_choices", "export_file", "export_inputs", "item_provenance"]

_START = ("npy", "vti", "stl", "json")
"""Formats that are chosen at first."""
_PRECISIONS: dict[float | None, str] = {RTOL: "float32", VERIFICATION_RTOL: "float64"}
"""Floating point type of the solves of this program, by their tolerance."""
_BOTH_PHASES = ("stl", "fans")
_SEVERAL = ("fans", "damask")
"""Formats of several files."""
"""Formats that need both phases."""


def export_inputs(
    compared: Sequence[Compared],
    voxel: VoxelLength | None,
    report: Callable[[Sequence[ShortlistItem]], bytes],
) -> None:
    """Show the choice of volumes and formats, and the buttons that make the file and the report.

    Args:
        compared: The shortlist.
        voxel: Edge of a voxel, where it is known.
        report: Function that makes the report on some items.
    """
    choices = export_choices(compared)
    first, second = st.columns([3, 1], gap="medium")
    what = first.selectbox(
        "What",
        list(choices),
        key="export-what",
        help="Designs of different phases have files of their own.",
    )
    items = choices[what]
    materials = items[0].materials
    single = [item.name for item in items if item.volume.min() == item.volume.max()]
    offered = [name for name in FORMATS if not single or name not in _BOTH_PHASES]
    size = second.number_input(
        f"Voxel size [{voxel.unit if voxel else 'any unit'}]",
        min_value=1e-12,
        value=voxel.value if voxel else 1.0,
        format="%g",
        key=f"export-voxel-size-{voxel.unit if voxel else ''}",
        help="Edge of a voxel. Meshes and grids are written in this unit of length.",
    )
    formats = st.pills(
        "Formats",
        offered,
        selection_mode="multi",
        default=[name for name in _START if name in offered],
        format_func=lambda name: f"{FORMATS[name].title} {FORMATS[name].suffix}",
        key="export-formats",
        help="  \n".join(f"{FORMATS[name].suffix}: {FORMATS[name].label}" for name in offered),
    )
    if single:
        st.caption("STL and FANS are left out: they need both phases, and a chosen volume has one only.")
    st.download_button(
        "Download the report (HTML)",
        data=partial(report, items),
        file_name="vaereg-report.html",
        mime="text/html",
        on_click="ignore",
        help="One page to read and to print: picture, target against result, structure, solver, origin.",
    )
    if not formats:
        st.info("Choose at least one format.")
        return
    label, name, mime, write = export_file(items, formats, materials, size)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(label, data=write, file_name=name, mime=mime, on_click="ignore", type="primary")
        st.caption(
            "Every zip has a manifest (target, seed, model, versions, units, solver tolerance, time) and a "
            f"table of properties. {plain(pair_line(materials))}."
        )


def export_choices(compared: Sequence[Compared]) -> dict[str, list[ShortlistItem]]:
    """Items that can be exported together, by their name: all of a pair of phases, or one."""
    pairs = list(dict.fromkeys(entry.item.materials for entry in compared))
    choices: dict[str, list[ShortlistItem]] = {}
    for pair in pairs:
        items = [entry.item for entry in compared if entry.item.materials == pair]
        if len(items) > 1:
            whose = f" of {pair_line(pair)}" if len(pairs) > 1 else ""
            choices[f"All {len(items)} designs{whose}"] = items
    return choices | {entry.label: [entry.item] for entry in compared}


def export_file(
    items: Sequence[ShortlistItem], formats: Sequence[str], materials: TwoPhase, voxel_size: float
) -> tuple[str, str, str, Callable[[], bytes]]:
    """Label of the button, name and type of the file, and what makes it: a zip, or the only file."""
    if len(items) == 1 and len(formats) == 1 and formats[0] not in _SEVERAL:
        suffix = FORMATS[formats[0]].suffix
        write = partial(_single, items[0], formats[0], materials, voxel_size)
        return f"Download as {suffix}", f"vaereg-design{suffix}", "application/octet-stream", write
    count = f"{len(items)} designs" if len(items) > 1 else "the design"
    write = partial(_archive, list(items), list(formats), materials, voxel_size)
    return f"Download {count} as a zip", "vaereg-designs.zip", "application/zip", write


def item_provenance(item: ShortlistItem) -> Provenance:
    """Return the provenance of an item for exported files; a stiffness from a file is told as such."""
    verified = item.verified
    return Provenance(
        name=item.name,
        origin=item.origin + (f"; stiffness {FROM_FILE}, not verified" if item.from_file else ""),
        target=item.wanted or {},
        seed=item.seed,
        component=item.component,
        mode=item.mode,
        latent=None if item.latent is None else item.latent.astype(np.float32),
        made_by=item.checkpoint,
        judged_by=item.checkpoint,
        mean=item.mean,
        std=item.std,
        stiffness=item.stiffness,
        solver_tolerance=item.tolerance if verified else None,
        solver_dtype=_PRECISIONS.get(item.tolerance, "") if verified else "",
        solves=item.solves if verified else None,
    )


def _single(item: ShortlistItem, format: str, materials: TwoPhase, voxel_size: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"vaereg-design{FORMATS[format].suffix}"
        provenance = item_provenance(item)
        export(item.volume, materials, format, path, provenance=provenance, voxel_size=voxel_size)
        return path.read_bytes()


def _archive(
    items: Sequence[ShortlistItem], formats: Sequence[str], materials: TwoPhase, voxel_size: float
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "designs.zip"
        volumes = [BundleItem(volume=item.volume, provenance=item_provenance(item)) for item in items]
        bundle(path, volumes, materials, formats=formats, voxel_size=voxel_size)
        return path.read_bytes()
