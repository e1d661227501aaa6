"""Tables of targets in CSV: one target a row, quantities with their units in the header.

    name,   E_x [GPa], density [kg/m3], nu_xy,     E_z
    plate,  20,        1900,            0.2:0.3,
    beam,   15:20,     :1800,           ,          max

An empty cell leaves a quantity free; empty rows are left out. Cells are read as the command line reads
targets. Where semicolons or tabs separate the cells, as spreadsheets of many countries write them, a comma
within a number is its decimal point.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from vaereg.errors import InputError
from vaereg.targets.quantities import canonical_name, unit_factor
from vaereg.targets.reading import read_wanted
from vaereg.targets.wanted import Targets

__all__ = ["TableRow", "decode_table", "parse_table", "read_table"]

MAX_ROWS = 100_000
"""Most rows of a table."""
_HEADER = re.compile(r"\s*([^\[\]]+?)\s*(?:\[([^\[\]]*)\])?\s*")
_NAMES = ("name", "id")
_DECIMAL_COMMA = re.compile(r"(\d),(\d)")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """One target of a table."""

    line: int
    """Line of the file, from 1."""
    name: str
    """Name of the row; empty where it has none."""
    targets: Targets
    """Targets of the row."""


def read_table(path: Path) -> list[TableRow]:
    """Targets of a CSV file; see the module.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no such table; the message has the line and the column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a table of targets, got no file at {path}")
    try:
        return parse_table(decode_table(path.read_bytes()))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode_table(content: bytes) -> str:
    """Text of a table in UTF-8, or in Windows-1252 as spreadsheets write it.

    Raises:
        InputError: The bytes are no text, such as those of a spreadsheet.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise InputError("expected a table in CSV as text in UTF-8, got a spreadsheet or other bytes")
    return text


def parse_table(text: str) -> list[TableRow]:
    """Targets of the text of a table, whose cells are separated by commas, semicolons or tabs.

    Raises:
        InputError: A column is unknown or twice there, a row has too many cells, or a cell cannot be read.
    """
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"expected a table in CSV: {error}") from error
    table: list[TableRow] = []
    columns: list[tuple[str, str]] | None = None
    for line, cells in enumerate(rows, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(cells, line)
            continue
        if separator != ",":
            names = [name for name, _ in columns]
            cells = [
                cell if place < len(names) and names[place] == "name" else _DECIMAL_COMMA.sub(r"\1.\2", cell)
                for place, cell in enumerate(cells)
            ]
        if len(table) == MAX_ROWS:
            raise InputError(f"expected at most {MAX_ROWS} rows, got more")
        table.append(_row(cells, columns, line))
    if columns is None:
        raise InputError("expected a header of quantities, such as name, E_x [GPa], got an empty table")
    if not table:
        raise InputError("expected at least one row below the header, got none")
    return table


def _columns(cells: list[str], line: int) -> list[tuple[str, str]]:
    """Quantity and unit of each column; the name of a row is a column too."""
    columns: list[tuple[str, str]] = []
    for number, cell in enumerate(cells, 1):
        match = _HEADER.fullmatch(cell)
        if match is None:
            raise InputError(f"line {line}, column {number}: expected NAME [unit], got {cell.strip()[:40]!r}")
        name, unit = match.group(1), (match.group(2) or "").strip()
        if name.lower() in _NAMES:
            name = "name"
        else:
            try:
                name = canonical_name(name)
                unit_factor(unit, name)
            except InputError as error:
                raise InputError(f"line {line}, column {number}: {error}") from error
        if name in [column for column, _ in columns]:
            raise InputError(f"line {line}, column {number}: expected one column of {name}, got two")
        columns.append((name, unit))
    if all(name == "name" for name, _ in columns):
        raise InputError(f"line {line}: expected at least one quantity, such as E_x [GPa], got none")
    return columns


def _row(cells: list[str], columns: list[tuple[str, str]], line: int) -> TableRow:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise InputError(f"line {line}: expected {len(columns)} cells, got {len(cells)}")
    items, label = [], ""
    for (name, unit), cell in zip(columns, cells, strict=False):
        if not cell.strip():
            continue
        if name == "name":
            label = cell.strip()
            continue
        try:
            items.append(read_wanted(cell, name, unit=unit))
        except InputError as error:
            raise InputError(f"line {line}, column {name}: {error}") from error
    try:
        return TableRow(line=line, name=label, targets=Targets(tuple(items)))
    except InputError as error:
        raise InputError(f"line {line}: {error}") from error
