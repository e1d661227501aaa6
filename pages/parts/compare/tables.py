"""Volumes of the shortlist beside each other, as tables; free of any user interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from string import ascii_uppercase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pages.parts.common.requests.constraints import constraint_title
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.modes import mode_title
from pages.parts.common.requests.quantities import (
    axis_title,
    figure_text,
    missing_property,
    signed_deviations,
    wanted_text,
)
from pages.parts.common.sessions.shortlist import MAX_ITEMS, ShortlistItem
from pages.parts.common.views.cards import deviation_text
from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
from vaereg.engineering import engineering_constants, universal_anisotropy
from vaereg.inverse.constraints import check
from vaereg.microstructure.morphology import Statistics
from vaereg.targets import CellProperties, Targets

__all__ = [
    "FROM_FILE",
    "Compared",
    "asked_quantities",
    "common_target",
    "compare",
    "constants_table",
    "matrices_html",
    "predicted_table",
    "property_axes",
    "solver_table",
    "statistics_table",
    "target_table",
]

AXES, PLANES = ("x", "y", "z"), ("yz", "xz", "xy")
FROM_FILE = "from file"
"""Mark of a stiffness that was read from a session file and not computed here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One volume of the shortlist, under a letter that stands for it in every figure."""

    letter: str
    item: ShortlistItem
    statistics: Statistics
    short: str
    """Name without what all names of the shortlist end with, such as their target."""

    @property
    def label(self) -> str:
        """Letter and short name."""
        return f"{self.letter} · {self.short}"

    @property
    def properties(self) -> NDArray[np.float64]:
        """C11 to C66 [GPa], shape (6,): computed or read from a file, else predicted, else not numbers."""
        if self.item.stiffness is not None:
            return np.diag(self.item.stiffness)
        return np.full(len(PROPERTIES), np.nan) if self.item.mean is None else self.item.mean

    @property
    def cells(self) -> CellProperties:
        """Properties by the solver or from a file where they are known, else by prediction, as one cell."""
        item = self.item
        return item.predicted_cells if item.stiffness is None else item.solved_cells

    @property
    def largest_deviation(self) -> float:
        """Largest deviation from its target [-]; NaN where it has none, or is not known."""
        wanted = self.item.wanted
        return np.nan if wanted is None else float(wanted.largest_deviation(self.cells)[0])

    @property
    def source(self) -> str:
        """Source of these properties: solver, file, predicted or unknown."""
        if self.item.stiffness is not None:
            return "solver" if self.item.verified else "file"
        return "unknown" if self.item.mean is None else "predicted"


def compare(
    items: Sequence[ShortlistItem], measured: Callable[[ShortlistItem], Statistics]
) -> list[Compared]:
    """Give each item its letter and its statistics."""
    letters = ascii_uppercase[:MAX_ITEMS]
    return [
        Compared(letter=letter, item=item, statistics=measured(item), short=short)
        for letter, item, short in zip(letters, items, _short_names(items), strict=False)
    ]


def solver_table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Table of C11 to C66 by the solver, or from a session file, with a row per volume."""
    missing = np.full(len(PROPERTIES), np.nan)
    rows = [missing if (c := entry.item.stiffness) is None else np.diag(c) for entry in compared]
    table = _table(
        compared, {f"{name} solver [GPa]": [row[i] for row in rows] for i, name in enumerate(PROPERTIES)}
    )
    if any(entry.source == "file" for entry in compared):
        table["Source"] = [FROM_FILE if entry.source == "file" else "" for entry in compared]
    return table


def predicted_table(compared: Sequence[Compared]) -> pd.DataFrame:
    """The predicted stiffness and its standard deviation, a line for each volume."""
    columns: dict[str, list[float]] = {}
    for i, name in enumerate(PROPERTIES):
        for title, values in ((" predicted", "mean"), (" ± std", "std")):
            rows = [getattr(entry.item, values) for entry in compared]
            columns[f"{name}{title} [GPa]"] = [np.nan if row is None else row[i] for row in rows]
    return _table(compared, columns)


def constants_table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Engineering constants of the solver's stiffness, a line for each volume that it has seen."""
    solved = [entry for entry in compared if entry.item.stiffness is not None]
    if not solved:
        return pd.DataFrame({"Design": []})
    stiffness = np.stack([np.asarray(entry.item.stiffness) for entry in solved])
    constants = engineering_constants(stiffness)
    columns = {f"E{axis} [GPa]": constants.young[:, i] for i, axis in enumerate(AXES)}
    columns |= {f"G{plane} [GPa]": constants.shear[:, i] for i, plane in enumerate(PLANES)}
    columns |= {
        f"ν{a}{b} [-]": constants.poisson[:, i, j]
        for i, a in enumerate(AXES)
        for j, b in enumerate(AXES)
        if i < j
    }
    columns["Universal anisotropy [-]"] = universal_anisotropy(stiffness)
    columns["Volume fraction [-]"] = np.array([entry.statistics.volume_fraction for entry in solved])
    return _table(solved, columns)


def statistics_table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Statistics that are one figure or word, a line for each volume."""
    columns: dict[str, list[object]] = {
        "Volume fraction [-]": [entry.statistics.volume_fraction for entry in compared],
        "Specific surface [1/voxel]": [entry.statistics.specific_surface for entry in compared],
    }
    for phase, name in ((1, "stiff"), (0, "soft")):
        clusters = [entry.statistics.connectivity[phase] for entry in compared]
        columns[f"Largest {name} cluster [% of it]"] = [100.0 * cluster.largest for cluster in clusters]
        columns[f"{name.capitalize()} percolates along"] = [
            ", ".join(axis for axis, through in zip(AXES, cluster.percolates, strict=True) if through)
            or "none"
            for cluster in clusters
        ]
    return _table(compared, columns)


def asked_quantities(compared: Sequence[Compared]) -> list[str]:
    """Every quantity that one of the designs was asked for, in the order in which they were."""
    return list(
        dict.fromkeys(name for entry in compared if entry.item.wanted for name in entry.item.wanted.names)
    )


def common_target(compared: Sequence[Compared]) -> Targets | None:
    """Target of all designs, where it is the same."""
    targets = [entry.item.wanted for entry in compared]
    return targets[0] if targets and all(wanted == targets[0] for wanted in targets) else None


def _short_names(items: Sequence[ShortlistItem]) -> list[str]:
    """Names of the designs without what all of them end with, such as their target."""
    parts = [item.name.split(", ") for item in items]
    while len(parts) > 1 and all(len(own) > 1 and own[-1] == parts[0][-1] for own in parts):
        parts = [own[:-1] for own in parts]
    return [", ".join(own) for own in parts]


def target_table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Table of the designs against their targets, the best first, with a row of each target above."""
    names = asked_quantities(compared)
    constraints = list(dict.fromkeys(name for entry in compared for name in entry.item.constraints.names))
    targets: dict[Targets, list[str]] = {}
    for entry in compared:
        if entry.item.wanted is not None:
            targets.setdefault(entry.item.wanted, []).append(entry.letter)
    rows = [_target_row(wanted, letters, len(targets), names) for wanted, letters in targets.items()]
    order = sorted(compared, key=lambda entry: np.nan_to_num(entry.largest_deviation, nan=np.inf))
    for rank, entry in enumerate(order, start=1):
        item = entry.item
        known = not np.isnan(entry.largest_deviation)
        row = {
            "Rank": str(rank) if known else "",
            "Design": entry.label,
            "Mode": mode_title(item.mode) if item.mode else "–",
            "Largest deviation": f"{100 * entry.largest_deviation:.1f} %" if known else "–",
            "By": entry.source,
        }
        signed = (
            {}
            if item.wanted is None
            else dict(
                zip(item.wanted.names, signed_deviations(item.wanted, entry.cells)[0].tolist(), strict=True)
            )
        )
        for name in names:
            missing = missing_property(name, item.materials)
            value = np.nan if missing else float(entry.cells.values([name])[0, 0])
            off = deviation_text(signed.get(name, np.nan))
            row[axis_title(name)] = figure_text(value) + (f" ({off})" if off else "")
        met = {result.name: result.met for result in check(item.volume, item.constraints).results}
        for name in constraints:
            row[constraint_title(name)] = "–" if name not in met else "met" if met[name] else "not met"
        row |= {"Materials": pair_line(item.materials), "Recipe": item.origin}
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def _target_row(wanted: Targets, letters: Sequence[str], count: int, names: Sequence[str]) -> dict[str, str]:
    """Row of a target: what is wanted of each quantity."""
    items = {item.name: item for item in wanted}
    row = {"Rank": "", "Design": "target" if count == 1 else f"target of {', '.join(letters)}"}
    for name in names:
        row[axis_title(name)] = wanted_text(items[name], unit=False) if name in items else "free"
    return row


def property_axes(compared: Sequence[Compared]) -> dict[str, NDArray[np.float64]]:
    """Figures of the volumes of which something is known, by the name and unit of the axis, shape (N,).

    What the designs were asked for comes first, then the diagonal of the stiffness.
    """
    axes = {}
    for name in asked_quantities(compared):
        if not any(missing_property(name, entry.item.materials) for entry in compared):
            values = np.array([entry.cells.values([name])[0, 0] for entry in compared])
            if np.isfinite(values).all() and name != "volume_fraction":
                axes[axis_title(name)] = values
    axes |= {
        f"{name} [GPa]": np.array([entry.properties[i] for entry in compared])
        for i, name in enumerate(PROPERTIES)
        if f"{name} [GPa]" not in axes
    }
    axes["fraction [-]"] = np.array([entry.statistics.volume_fraction for entry in compared])
    axes["surface [1/voxel]"] = np.array([entry.statistics.specific_surface for entry in compared])
    for phase, name in ((1, "stiff"), (0, "soft")):
        largest = [100.0 * entry.statistics.connectivity[phase].largest for entry in compared]
        axes[f"{name} cluster [%]"] = np.array(largest)
    return axes


def matrices_html(compared: Sequence[Compared]) -> str:
    """The solver's whole matrices, a small table for each volume, as HTML."""
    head = "<tr><th></th>" + "".join(f"<th>{name}</th>" for name in VOIGT_ORDER) + "</tr>"
    parts = []
    for entry in compared:
        stiffness = entry.item.stiffness
        if stiffness is None:
            body = "<p>No solver values yet.</p>"
        else:
            small = 0.01 * float(np.abs(stiffness).max())
            rows = "".join(
                f"<tr><th>{name}</th>" + "".join(_entry(value, small) for value in row) + "</tr>"
                for name, row in zip(VOIGT_ORDER, stiffness, strict=True)
            )
            body = f"<table>{head}{rows}</table>"
        mark = f", {FROM_FILE}" if entry.source == "file" else ""
        parts.append(f"<figure><figcaption>{escape(entry.label)}{mark}</figcaption>{body}</figure>")
    return f'<div class="matrices">{"".join(parts)}</div>'


def _entry(value: float, small: float) -> str:
    kind = ' class="small"' if abs(value) < small else ""
    return f"<td{kind}>{value:z.2f}</td>"


def _table(compared: Sequence[Compared], columns: dict) -> pd.DataFrame:
    names: dict[str, list[str]] = {"Design": [entry.label for entry in compared]}
    if any(entry.item.mode for entry in compared):
        names["Mode"] = [mode_title(entry.item.mode) if entry.item.mode else "–" for entry in compared]
    return pd.DataFrame({**names, **columns})
