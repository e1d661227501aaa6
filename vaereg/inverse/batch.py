"""Designs for a table of targets: a file for each row, and what became of every row; resumable.

A row is done when its file is there, or when it was refused; a second run with the same table does the rest.
The record `targets.jsonl` has a line for each row that is done, appended as it is finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vaereg.errors import InputError
from vaereg.targets.tables import TableRow

__all__ = ["RECORD", "RowOutcome", "read_record", "row_path", "run_batch"]

RECORD = "targets.jsonl"
"""Name of the record in the folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOutcome:
    """What became of one row."""

    line: int
    """Line of the table, from 1."""
    name: str
    """Name of the row; empty where it has none."""
    key: str
    """Hash of the line, the name and the targets, by which a later run knows the row."""
    file: str
    """Name of the file of designs in the folder; empty where the row was refused."""
    error: str
    """Why it was refused; empty where it was not."""


def row_path(folder: Path, row: TableRow) -> Path:
    """File of designs of a row: its line, then its name as far as file names allow."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in row.name)[:40]
    return folder / (f"{row.line:06d}-{name}.h5" if name else f"{row.line:06d}.h5")


def run_batch(
    rows: Sequence[TableRow],
    folder: Path,
    make: Callable[[TableRow, Path], None],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[RowOutcome]:
    """Make designs for every row that is not done yet.

    Args:
        rows: The table.
        folder: Where files are written; made if it is not there.
        make: Function that makes the designs of a row and writes them to a path; an `InputError` or a
            `RuntimeError` of a failed computation refuses the row.
        on_progress: Called with the rows that are done, and with their number.

    Returns:
        One outcome a row, in the order of the table.

    Raises:
        InputError: `folder` is a file, or its record is of another kind.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder to write to, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    known = {outcome.key: outcome for outcome in read_record(folder)}
    _cut_short(folder / RECORD)
    outcomes: list[RowOutcome] = []
    for row in rows:
        key, path = _key(row), row_path(folder, row)
        outcome = known.get(key)
        if outcome is None or (outcome.file and not (folder / outcome.file).is_file()):
            outcome = _done(row, key, path, make)
            with (folder / RECORD).open("a", encoding="utf-8") as record:
                record.write(json.dumps(asdict(outcome)) + "\n")
        outcomes.append(outcome)
        if on_progress:
            on_progress(len(outcomes), len(rows))
    return outcomes


def _cut_short(record: Path) -> None:
    """Take away a last line that a former run left unfinished."""
    if record.is_file() and not (content := record.read_bytes()).endswith(b"\n"):
        record.write_bytes(content[: content.rfind(b"\n") + 1])


def _done(row: TableRow, key: str, path: Path, make: Callable[[TableRow, Path], None]) -> RowOutcome:
    name, error = path.name, ""
    try:
        make(row, path)
    except BrokenExecutor:  # of the machine, not of the row
        raise
    except (InputError, RuntimeError) as failure:
        name, error = "", " ".join(str(failure).split())
    return RowOutcome(line=row.line, name=row.name, key=key, file=name, error=error)


def _key(row: TableRow) -> str:
    content = json.dumps([row.line, row.name, row.targets.to_json()])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_record(folder: Path) -> list[RowOutcome]:
    """Outcomes of the rows that are done; a last line that was cut short is left out.

    Raises:
        InputError: The record is of another kind.
    """
    path = folder / RECORD
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    outcomes = []
    for line in lines:
        if not line.endswith("\n"):
            break
        try:
            stored: Any = json.loads(line)
            outcomes.append(RowOutcome(**stored))
        except (ValueError, TypeError) as error:
            raise InputError(f"expected a record of rows in {path}, got {line.strip()[:60]!r}") from error
    return outcomes
