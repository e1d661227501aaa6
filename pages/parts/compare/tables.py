"""Volumes of the shortlist beside each other, as tables; free of any user interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from string import ascii_uppercase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pages.parts.common.modes import mode_title
from pages.parts.common.shortlist import MAX_ITEMS, ShortlistItem
from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
from vaereg.engineering import engineering_constants, universal_anisotropy
from vaereg.microstructure.morphology import Statistics

__all__ = [
    "FROM_FILE",
    "Compared",
    "compare",
    "constants_table",
    "matrices_html",
    "predicted_table",
    "property_axes",
    "solver_table",
    "statistics_table",
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

    @property
    def label(self) -> str:
        """Letter and name."""
        return f"{self.letter} · {self.item.name}"

    @property
    def properties(self) -> NDArray[np.float64]:
        """C11 to C66 [GPa], shape (6,): computed or read from a file, else predicted, else not numbers."""
        if self.item.stiffness is not None:
            return np.diag(self.item.stiffness)
        return np.full(len(PROPERTIES), np.nan) if self.item.mean is None else self.item.mean

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
        Compared(letter=letter, item=item, statistics=measured(item))
        for letter, item in zip(letters, items, strict=False)
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
    columns = {f"E_{axis} [GPa]": constants.young[:, i] for i, axis in enumerate(AXES)}
    columns |= {f"G_{plane} [GPa]": constants.shear[:, i] for i, plane in enumerate(PLANES)}
    columns |= {
        f"ν_{a}{b} [-]": constants.poisson[:, i, j]
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


def property_axes(compared: Sequence[Compared]) -> dict[str, NDArray[np.float64]]:
    """Figures of the volumes of which something is known, by the name and unit of the axis, shape (N,)."""
    axes = {
        f"{name} [GPa]": np.array([entry.properties[i] for entry in compared])
        for i, name in enumerate(PROPERTIES)
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
    return f"<td{kind}>{value:.2f}</td>"


def _table(compared: Sequence[Compared], columns: dict) -> pd.DataFrame:
    names: dict[str, list[str]] = {"Design": [entry.label for entry in compared]}
    if any(entry.item.mode for entry in compared):
        names["Mode"] = [mode_title(entry.item.mode) if entry.item.mode else "–" for entry in compared]
    return pd.DataFrame({**names, **columns})
