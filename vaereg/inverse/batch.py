"""Designs for a table of targets: a file for each row, and what became of every row; resumable.

A row is done when its file is there, or when it was refused; a second run with the same table does the rest.
The record `targets.jsonl` has a line for each row that is done, appended as it is finished. Rows are made by
worker processes or by any executor, a row a task; files and record are written by the calling process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vaereg.errors import InputError
from vaereg.executors import Workers, check_workers, run_tasks
from vaereg.targets.tables import TableRow

__all__ = ["RECORD", "RowOutcome", "read_record", "row_path", "run_batch"]

_Answer = TypeVar("_Answer")

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
    told: str = ""
    """Words on its designs, such as that no mode reaches the target; empty where there are none."""


def row_path(folder: Path, row: TableRow) -> Path:
    """File of designs of a row: its line, then its name as far as file names allow."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in row.name)[:40]
    return folder / (f"{row.line:06d}-{name}.h5" if name else f"{row.line:06d}.h5")


def run_batch(
    rows: Sequence[TableRow],
    folder: Path,
    make: Callable[[TableRow], _Answer],
    write: Callable[[_Answer, Path], None],
    *,
    told: Callable[[_Answer], str] | None = None,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[RowOutcome]:
    """Make designs for every row that is not done yet.

    Args:
        rows: The table.
        folder: Where files are written; made if it is not there.
        make: Function that makes the designs of a row, of a module where there are several workers; an
            `InputError` or a `RuntimeError` of a failed computation refuses the row.
        write: Function that writes what was made to a path, in this process.
        told: Function that says what is to be told of what was made of a row; nothing if left out.
        workers: Number of processes of one thread each, or an executor; with one, all is made in this
            process. Where an executor is lost, two processes go on.
        on_progress: Called with the rows that are done, and with their number.

    Returns:
        One outcome a row, in the order of the table.

    Raises:
        InputError: `folder` is a file, or its record is of another kind.
    """
    check_workers(workers)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder to write to, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    former = {outcome.key: outcome for outcome in read_record(folder)}
    _cut_short(folder / RECORD)
    keys = [_key(row) for row in rows]
    done: dict[int, RowOutcome] = {}
    for number, key in enumerate(keys):
        outcome = former.get(key)
        if outcome is not None and (not outcome.file or (folder / outcome.file).is_file()):
            done[number] = outcome
    remaining = [number for number in range(len(rows)) if number not in done]
    if on_progress:
        on_progress(len(done), len(rows))
    with closing(_made(make, [rows[number] for number in remaining], workers)) as made:
        for place, (answer, error) in made:
            number = remaining[place]
            row, path = rows[number], row_path(folder, rows[number])
            if answer is not None:
                write(answer, path)
            outcome = RowOutcome(
                line=row.line,
                name=row.name,
                key=keys[number],
                file=path.name if answer is not None else "",
                error=error,
                told=told(answer) if told and answer is not None else "",
            )
            with (folder / RECORD).open("a", encoding="utf-8") as record:
                record.write(json.dumps(asdict(outcome)) + "\n")
            done[number] = outcome
            if on_progress:
                on_progress(len(done), len(rows))
    return [done[number] for number in range(len(rows))]


def _made(
    make: Callable[[TableRow], _Answer], rows: Sequence[TableRow], workers: Workers
) -> Generator[tuple[int, tuple[_Answer | None, str]], None, None]:
    """Place of each row, and what was made of it or why it is refused, as they are finished."""
    attempt = partial(_attempted, make)
    if not isinstance(workers, Executor) and (workers == 1 or len(rows) < 2):
        for place, row in enumerate(rows):
            yield place, attempt(row)
        return
    yield from run_tasks(attempt, rows, workers, stand_in=2)


def _cut_short(record: Path) -> None:
    """Take away a last line that a former run left unfinished."""
    if record.is_file() and not (content := record.read_bytes()).endswith(b"\n"):
        record.write_bytes(content[: content.rfind(b"\n") + 1])


def _attempted(make: Callable[[TableRow], _Answer], row: TableRow) -> tuple[_Answer | None, str]:
    """What is made of a row, or why it is refused."""
    try:
        return make(row), ""
    except BrokenExecutor:  # of the machine, not of the row
        raise
    except (InputError, RuntimeError) as failure:
        return None, " ".join(str(failure).split()) or type(failure).__name__


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
