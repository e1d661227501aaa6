"""The report on volumes of the shortlist, as one page to read and to print."""

import math
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import streamlit as st

from pages.parts.common import background
from pages.parts.common.requests.constraints import constraint_words
from pages.parts.common.requests.request import SIZES, Request, VoxelLength
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.compare.export_panel import item_provenance
from pages.parts.solving.tasks import MeshTask
from vaereg.inverse.constraints import ConstraintResult, check
from vaereg.io.exporting.provenance import BundleItem
from vaereg.io.exporting.reports.report import report_html
from vaereg.solver.grid_check import MeshCheck
from vaereg.targets import Targets

__all__ = ["item_link", "report_bytes", "server_address"]


def server_address() -> str:
    """Address of the Design page as the browser knows it; empty where it is not known."""
    parts = urlsplit(st.context.url or "")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"{parts.scheme}://{parts.netloc}/{base}" if parts.netloc else ""


def item_link(item: ShortlistItem, address: str) -> str:
    """Address that asks for what the item was designed for; empty of one that was not designed."""
    if item.wanted is None or not address:
        return ""
    edge = item.volume.shape[0]
    request = Request(
        pair=item.materials,
        wanted=item.wanted.wanted,
        constraints=item.constraints,
        modes=(item.mode,) if item.mode else (),
        seed=item.seed or 0,
        size=edge if edge in SIZES else Request().size,
    )
    return f"{address}?{request.text()}"


def report_bytes(items: Sequence[ShortlistItem], voxel: VoxelLength | None, address: str) -> bytes:
    """The report on items of one pair of phases.

    Args:
        items: One or more items.
        voxel: Edge of a voxel, where it is known.
        address: Address of the Design page, for links.
    """
    volumes = []
    for item in items:
        provenance = item_provenance(item)
        wanted: Targets | None = item.wanted
        predicted = {}
        if wanted is not None:
            values = item.predicted_cells.values(wanted.names)[0]
            predicted = {
                name: float(value)
                for name, value in zip(wanted.names, values, strict=True)
                if math.isfinite(value)
            }
        progress = background.solver().progress(MeshTask(volume=item.volume, materials=item.materials))
        mesh = progress.result if progress is not None else None
        results = check(item.volume, item.constraints).results if item.constraints else ()
        provenance = replace(
            provenance,
            quantities=predicted,
            conductivity=item.conductivity,
            mesh_change=mesh.change if isinstance(mesh, MeshCheck) else None,
            constraints={_constraint_text(result, item): result.met for result in results},
            link=item_link(item, address),
        )
        volumes.append(BundleItem(volume=item.volume, provenance=provenance))
    size, unit = (voxel.value, voxel.unit) if voxel is not None else (1.0, "")
    title = "" if len(items) == 1 else f"Shortlist of {len(items)} designs"
    page = report_html(volumes, items[0].materials, voxel_size=size, length_unit=unit, title=title)
    return page.encode()


def _constraint_text(result: ConstraintResult, item: ShortlistItem) -> str:
    """A constraint as cards name it, and how it is missed where it is not met."""
    words = constraint_words(result.name, Request(constraints=item.constraints))
    return words if result.met else f"{words}: {result.words}"
