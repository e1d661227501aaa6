"""Batches: a file a row, refusals on record, and a second run that does the rest."""

from pathlib import Path

import pytest

from vaereg.errors import InputError
from vaereg.inverse.batch import RECORD, read_record, row_path, run_batch
from vaereg.targets.tables import TableRow, parse_table

ROWS = parse_table("name,E_x\nfirst one,10\nsecond,20\n,30\n")


def maker(made: list[str], *, refuse: float = 20.0, stop: float = 0.0):  # noqa: ANN201
    def make(row: TableRow, path: Path) -> None:
        value = row.targets.range_of("E_x")[0]
        if value == stop:
            raise KeyboardInterrupt
        if value == refuse:
            raise InputError("out of\nreach")
        made.append(path.name)
        path.write_text("designs")

    return make


def test_rows_become_files_and_refusals_are_on_record(tmp_path: Path) -> None:
    made: list[str] = []
    done: list[tuple[int, int]] = []
    outcomes = run_batch(ROWS, tmp_path / "out", maker(made), on_progress=lambda *item: done.append(item))
    assert made == ["000002-first-one.h5", "000004.h5"] and done == [(1, 3), (2, 3), (3, 3)]
    assert [(outcome.file, outcome.error) for outcome in outcomes] == [
        ("000002-first-one.h5", ""),
        ("", "out of reach"),
        ("000004.h5", ""),
    ]
    assert read_record(tmp_path / "out") == outcomes


def test_a_second_run_does_the_rest(tmp_path: Path) -> None:
    made: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_batch(ROWS, tmp_path, maker(made, stop=30.0))
    with (tmp_path / RECORD).open("a") as record:
        record.write('{"line": 4, "na')  # killed while it wrote
    made.clear()
    outcomes = run_batch(ROWS, tmp_path, maker(made))
    assert made == ["000004.h5"] and len(outcomes) == 3
    made.clear()
    row_path(tmp_path, ROWS[0]).unlink()
    assert run_batch(ROWS, tmp_path, maker(made)) == outcomes
    assert made == ["000002-first-one.h5"]
    made.clear()
    changed = parse_table("name,E_x\nfirst one,11\n")
    run_batch(changed, tmp_path, maker(made))
    assert made == ["000002-first-one.h5"]


def test_folders_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder"):
        run_batch(ROWS, tmp_path / "file", maker([]))
    (tmp_path / RECORD).write_text("something else\n")
    with pytest.raises(InputError, match="expected a record of rows"):
        run_batch(ROWS, tmp_path, maker([]))
