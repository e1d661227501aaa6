"""Designs as one self-contained page of HTML that prints well on A4: no script, no request, no other file.

Texts of users are escaped wherever they stand, and a policy in the page forbids scripts and requests besides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from vaereg import __version__
from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
from vaereg.errors import InputError
from vaereg.io.exporting.provenance import BundleItem, Provenance, describe_setting
from vaereg.io.exporting.reports.figures import cell_svg, directions_svg
from vaereg.io.exporting.reports.results import (
    AskedQuantity,
    asked_quantities,
    known_quantities,
    solved_properties,
)
from vaereg.io.exporting.reports.text import figure_text, pair_text, quantity_html, unit_text
from vaereg.materials import Phase, TwoPhase
from vaereg.microstructure.spec_sheet import spec_sheet
from vaereg.microstructure.volume import volume_fraction, volume_hash
from vaereg.targets import CellProperties

__all__ = ["report_html"]

_NEAR, _FAR = 0.02, 0.05
"""Deviations up to which a value counts as near its target, and from which as far from it [-]."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def report_html(
    items: Sequence[BundleItem],
    materials: TwoPhase,
    *,
    voxel_size: float = 1.0,
    length_unit: str = "",
    title: str = "",
) -> str:
    """A report on volumes: picture, target against result, phases, structure, solver and origin of each.

    Args:
        items: One or more volumes.
        materials: The two phases.
        voxel_size: Edge of a voxel, in any unit of length.
        length_unit: This unit; left out where lengths are in voxels, or the unit is not known.
        title: Heading; one of the report's own if left out.

    Raises:
        InputError: There is no volume, or the voxel size is not positive.
    """
    if not items:
        raise InputError("expected at least one volume for a report, got none")
    if not (math.isfinite(voxel_size) and voxel_size > 0.0):
        raise InputError(f"expected a positive voxel size, got {voxel_size}")
    tables = [asked_quantities(item.volume, item.provenance, materials) for item in items]
    names = [item.provenance.name or f"Design {number}" for number, item in enumerate(items, 1)]
    heading = title or (names[0] if len(items) == 1 else f"{len(items)} designs")
    setting = describe_setting(materials, voxel_size=voxel_size)
    parts = [_summary(items, names, tables)] if len(items) > 1 else []
    for name, item, rows in zip(names, items, tables, strict=True):
        parts.append(
            _design(name, item, rows, materials, setting, (voxel_size, length_unit), only=len(items) == 1)
        )
    time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = ", ".join(f"{key} {value}" for key, value in setting["versions"].items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{_style()}</style></head><body>"
        f"<header><h1>{escape(heading)}</h1>"
        f'<p class="pair">{escape(pair_text(materials))}</p>'
        f'<p class="quiet">Report of vaereg {escape(__version__)}, {time}</p></header>'
        f"<main>{_materials(materials)}{''.join(parts)}</main>"
        f"<footer>{escape(versions)}. {escape(str(setting['discretisation']))}</footer></body></html>\n"
    )


@cache
def _style() -> str:
    return files("vaereg.io.exporting.reports").joinpath("report.css").read_text(encoding="utf-8")


def _deviation_html(row: AskedQuantity) -> str:
    item = row.wanted
    if math.isnan(row.deviation):
        return "–"
    if item.goal and not item.is_bounded:
        return "as large as possible" if item.goal == "max" else "as small as possible"
    kind = "near" if row.off <= _NEAR else "far" if row.off > _FAR else ""
    percent = round(100.0 * row.deviation, 1)
    text = "in range" if row.deviation == 0.0 and not item.is_value else f"{percent:+.1f} %"
    text = "0.0 %" if percent == 0.0 and item.is_value else text
    return f'<span class="{kind}">{text.replace("-", "−")}</span>'


def _wanted_text(row: AskedQuantity) -> str:
    item = row.wanted
    if item.is_value:
        text = figure_text(item.low)
    elif not item.is_bounded:
        return "maximum" if item.goal == "max" else "minimum"
    elif not math.isfinite(item.low):
        text = f"at most {figure_text(item.high)}"
    elif not math.isfinite(item.high):
        text = f"at least {figure_text(item.low)}"
    else:
        text = f"{figure_text(item.low)} to {figure_text(item.high)}"
    if item.goal:
        text += ", maximum" if item.goal == "max" else ", minimum"
    return text if item.weight == 1.0 else f"{text} (priority {figure_text(item.weight)})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; the first cell of a row is its heading."""

    def kind(place: int) -> str:
        return ' class="number"' if place in numbers else ""

    top = "".join(f'<th scope="col"{kind(place)}>{cell}</th>' for place, cell in enumerate(head))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td{kind(place)}>{cell}</td>" for place, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    head_html = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table>{head_html}<tbody>{body}</tbody></table></div>'


def _facts(facts: Mapping[str, str]) -> str:
    """A table of names and of facts that are HTML already; empty facts are left out."""
    return _table((), [(escape(name), fact) for name, fact in facts.items() if fact])


def _materials(materials: TwoPhase) -> str:
    columns: dict[str, tuple[str, str]] = {
        "young_modulus": ("Young's modulus", "GPa"),
        "poisson_ratio": ("Poisson ratio", ""),
        "density": ("Density", "g/cm³"),
        "conductivity": ("Conductivity", "W/(m·K)"),
        "thermal_expansion": ("Thermal expansion", "10⁻⁶/K"),
    }
    phases = {"Stiff phase": materials.stiff, "Soft phase": materials.soft}
    head = [
        "",
        *(f"{title}: {escape(phase.name)}" if phase.name else title for title, phase in phases.items()),
    ]
    rows = []
    for key, (label, unit) in columns.items():
        values = [_given(phase, key) for phase in phases.values()]
        if any(values):
            rows.append([f"{label} [{unit}]" if unit else label, *(value or "–" for value in values)])
    return f"<h3>Materials</h3>{_table(head, rows, (1, 2))}"


def _given(phase: Phase, key: str) -> str:
    value = getattr(phase, key)
    if value is None or (phase.is_void and key in ("poisson_ratio", "thermal_expansion")):
        return ""
    return figure_text(value)


def _summary(
    items: Sequence[BundleItem], names: Sequence[str], tables: Sequence[Sequence[AskedQuantity]]
) -> str:
    """Designs from the one that is nearest to its target on."""
    worst = [max((row.off for row in rows), default=math.inf) for rows in tables]
    order = sorted(range(len(items)), key=lambda place: worst[place] if worst[place] >= 0.0 else math.inf)
    rows = []
    for rank, place in enumerate(order, 1):
        item, first = items[place], (tables[place] or [None])[0]
        largest = "–" if first is None else f"{_deviation_html(first)} ({quantity_html(first.wanted.name)})"
        rows.append(
            [
                f'{rank}. <a href="#design-{volume_hash(item.volume)[:12]}">{escape(names[place])}</a>',
                escape(item.provenance.mode.replace("-", " ")) or "–",
                figure_text(volume_fraction(item.volume), 3),
                largest,
                "solver" if item.provenance.stiffness is not None else "prediction",
            ]
        )
    head = ("Design", "Mode", "Volume fraction", "Largest deviation", "By")
    return f"<h3>Ranking</h3>{_table(head, rows, (2,))}"


def _design(
    name: str,
    item: BundleItem,
    quantities: Sequence[AskedQuantity],
    materials: TwoPhase,
    setting: Mapping[str, Any],
    lengths: tuple[float, str],
    *,
    only: bool,
) -> str:
    volume, provenance = item.volume, item.provenance
    solver = solved_properties(volume, provenance, materials)
    picture = cell_svg(volume, f"Stiff phase of {name}")
    mode = f"{provenance.mode.replace('-', ' ')}, " if provenance.mode else ""
    size = " × ".join(map(str, volume.shape))
    caption = (
        f"{escape(mode)}{size} voxels, periodic. Orange: where the faces of the cell cut the stiff phase."
    )
    directions = "" if provenance.stiffness is None else directions_svg(np.asarray(provenance.stiffness))
    if directions:
        directions = (
            f"<h3>Young's modulus by direction</h3><figure>{directions}"
            "<figcaption>E(n) in GPa under tension along n, by the solver.</figcaption></figure>"
        )
    heading = "" if only else f"<h2>{escape(name)}</h2>"
    return (
        f'<section id="design-{volume_hash(volume)[:12]}"{" class=only" if only else ""}>{heading}'
        f'<div class="sides"><figure>{picture}<figcaption>{caption}</figcaption></figure>'
        f"<div>{_asked_table(quantities, provenance)}{_constraints(provenance)}</div></div>"
        f'<div class="halves"><div>{_constants(solver, provenance)}</div><div>{directions}</div></div>'
        f"{_stiffness(provenance)}"
        f'<div class="halves"><div>{_structure(volume, provenance, lengths)}</div>'
        f"<div>{_solver(provenance, setting)}{_origin(volume, provenance)}</div></div></section>"
    )


def _asked_table(quantities: Sequence[AskedQuantity], provenance: Provenance) -> str:
    if not quantities:
        return '<h3>Target</h3><p class="quiet">Nothing was asked of this volume.</p>'
    verified = "verified by the solver" if provenance.stiffness is not None else "predicted, not verified"
    predicts = any(math.isfinite(row.predicted) for row in quantities)
    head = ["Quantity", "Target", "Result", "Off target", *(["Predicted"] if predicts else [])]
    rows = []
    for row in quantities:
        unit = unit_text(row.wanted.name)
        value = figure_text(row.value) + ("" if row.is_solved or math.isnan(row.value) else "*")
        cells = [
            quantity_html(row.wanted.name) + (f" [{unit}]" if unit else ""),
            _wanted_text(row),
            value,
            _deviation_html(row),
            *([figure_text(row.predicted)] if predicts else []),
        ]
        rows.append(cells)
    mark = any(not row.is_solved and math.isfinite(row.value) for row in quantities)
    note = '<p class="quiet">* predicted: the solver has not computed it.</p>' if mark else ""
    return f"<h3>Target and result, {verified}</h3>{_table(head, rows, (1, 2, 3, 4))}{note}"


def _constraints(provenance: Provenance) -> str:
    if not provenance.constraints:
        return ""
    rows = [
        (escape(words), '<span class="near">met</span>' if met else '<span class="far">not met</span>')
        for words, met in provenance.constraints.items()
    ]
    return f"<h3>Constraints</h3>{_table((), rows)}"


def _constants(solver: CellProperties, provenance: Provenance) -> str:
    values = known_quantities(solver)
    rows = [
        (quantity_html(name) + (f" [{unit}]" if (unit := unit_text(name)) else ""), figure_text(value))
        for name, value in values.items()
        if not name.startswith("specific_") and not (name.startswith("k_") and len(name) == 4)
    ]
    source = "by the solver" if provenance.stiffness is not None else "of the voxels"
    return f"<h3>Properties, {source}</h3>{_table((), rows, (1,))}"


def _stiffness(provenance: Provenance) -> str:
    if provenance.stiffness is None:
        if provenance.mean is None:
            return ""
        std = provenance.std
        rows = [
            (quantity_html(name), figure_text(float(provenance.mean[place])))
            + ((f"± {figure_text(float(std[place]), 2)}",) if std is not None else ())
            for place, name in enumerate(PROPERTIES)
        ]
        return f"<h3>Predicted stiffness [GPa]</h3>{_table((), rows, (1, 2))}"
    matrix = np.asarray(provenance.stiffness, dtype=np.float64)
    small = 1e-3 * float(np.abs(matrix).max())
    rows = [
        (name, *("0" if abs(value) < small else figure_text(float(value)) for value in line))
        for name, line in zip(VOIGT_ORDER, matrix, strict=True)
    ]
    caption = (
        '<p class="quiet">Voigt order with engineering shear; 0 is below a thousandth of the largest.</p>'
    )
    table = _table(("", *VOIGT_ORDER), rows, range(1, 7))
    return f"<h3>Stiffness matrix, by the solver [GPa]</h3>{table}{caption}"


def _structure(volume: NDArray[np.uint8], provenance: Provenance, lengths: tuple[float, str]) -> str:
    voxel_size, unit = lengths
    sheet = spec_sheet(
        volume,
        voxel_size=voxel_size,
        length_unit=unit or "voxel",
        morphology=provenance.mode,
        recipe=provenance.recipe or None,
    )

    def length(value: Mapping[str, float]) -> str:
        voxels = f"{figure_text(value['voxel'], 3)} voxels"
        others = [
            figure_text(number, 3) + ("" if key == "as given" else f" {escape(key)}")
            for key, number in value.items()
            if key != "voxel"
        ]
        return f"{others[0]} ({voxels})" if others else voxels

    surface = sheet["specific_surface"]
    facts = {
        "Mode": escape(provenance.mode.replace("-", " ")),
        "Volume fraction": figure_text(sheet["volume_fraction"], 4),
        "Cell": " × ".join(dict.fromkeys(map(length, sheet["cell"]))),
        "Specific surface": f"{figure_text(surface['1/voxel'], 3)} / voxel",
    }
    for phase, figures in sheet["phases"].items():
        title = phase.capitalize()
        facts[f"{title} phase percolates"] = (
            f"along {', '.join(figures['percolates'])}" if figures["percolates"] else "no"
        )
        facts[f"{title} clusters"] = (
            f"{figures['clusters']}, the largest {100.0 * figures['largest_cluster']:.3g} %"
        )
        if "mean_thickness" in figures:
            facts[f"{title} thickness, mean"] = length(figures["mean_thickness"])
            facts[f"{title} thickness, least"] = length(figures["least_thickness"])
    for name, value in sheet.get("recipe", {}).items():
        facts[f"Recipe: {name.replace('_', ' ')}"] = escape(_plain(value))
    return f"<h3>Structure and recipe</h3>{_facts(facts)}"


def _solver(provenance: Provenance, setting: Mapping[str, Any]) -> str:
    if provenance.stiffness is None:
        return '<h3>Solver</h3><p class="quiet">The solver has not computed this volume.</p>'
    tolerance = provenance.solver_tolerance
    element = "B-bar hexahedra" if setting["element"] == "bbar" else "trilinear hexahedra"
    facts = {
        "Discretisation": f"{element}, one a voxel",
        "Relative residual": "" if tolerance is None else escape(f"{tolerance:g}"),
        "Precision": escape(provenance.solver_dtype),
        "Solves of refinement": "" if provenance.solves is None else str(provenance.solves),
        "Mesh check": "not done: how much the grid matters is told below",
    }
    if provenance.mesh_change is not None:
        change = np.asarray(provenance.mesh_change, dtype=np.float64)
        listed = ", ".join(
            f"{quantity_html(name)} {100.0 * value:+.1f} %".replace("-", "−")
            for name, value in zip(PROPERTIES, change.tolist(), strict=True)
        )
        facts["Mesh check"] = f"voxels split 2 × 2 × 2: {listed}"
    return f"<h3>Solver</h3>{_facts(facts)}"


def _origin(volume: NDArray[np.uint8], provenance: Provenance) -> str:
    facts = {
        "Origin": escape(provenance.origin),
        "Seed": "" if provenance.seed is None else str(provenance.seed),
        "Made by checkpoint": f"<code>{escape(provenance.made_by)}</code>" if provenance.made_by else "",
        "Judged by checkpoint": f"<code>{escape(provenance.judged_by)}</code>"
        if provenance.judged_by
        else "",
        "SHA-256 of the volume": f"<code>{volume_hash(volume)}</code>",
    }
    if provenance.link:
        text = escape(provenance.link)
        is_web = urlsplit(provenance.link).scheme in ("http", "https")
        facts["Link"] = f'<a href="{text}" rel="noreferrer">{text}</a>' if is_web else text
    if provenance.command:
        facts["Made again by"] = f"<code>{escape(provenance.command)}</code>"
    return f"<h3>Provenance</h3>{_facts(facts)}"


def _plain(value: object) -> str:
    """A value of a recipe on one line."""
    if isinstance(value, float):
        return figure_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    return str(value)
