"""Batches: a file a row, refusals on record, and a second run that does the rest."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from vaereg.errors import InputError
from vaereg.inverse.batch import RECORD, read_record, row_path, run_batch
from vaereg.targets.tables import TableRow, parse_table

ROWS = parse_table("name,E_x\nfirst one,10\nsecond,20\n,30\n")


def make(row: TableRow, *, refuse: float = 20.0, stop: float = 0.0) -> str:
    """Designs of a row; of this module, so that processes find it."""
    value = row.targets.range_of("E_x")[0]
    if value == stop:
        raise KeyboardInterrupt
    if value == refuse:
        raise InputError("out of\nreach")
    return f"designs of {value:g} by {os.getpid()}"


def writer(made: list[str]) -> Callable[[str, Path], None]:
    def write(answer: str, path: Path) -> None:
        made.append(path.name)
        path.write_text(answer)

    return write


def test_rows_become_files_and_refusals_are_on_record(tmp_path: Path) -> None:
    made: list[str] = []
    done: list[tuple[int, int]] = []
    outcomes = run_batch(
        ROWS,
        tmp_path / "out",
        make,
        writer(made),
        told=lambda answer: "far" if "of 30" in answer else "",
        on_progress=lambda *item: done.append(item),
    )
    assert [outcome.told for outcome in outcomes] == ["", "", "far"]
    assert made == ["000002-first-one.h5", "000004.h5"] and done == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [(outcome.file, outcome.error) for outcome in outcomes] == [
        ("000002-first-one.h5", ""),
        ("", "out of reach"),
        ("000004.h5", ""),
    ]
    assert read_record(tmp_path / "out") == outcomes


def test_a_second_run_does_the_rest(tmp_path: Path) -> None:
    made: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_batch(ROWS, tmp_path, partial(make, stop=30.0), writer(made))
    with (tmp_path / RECORD).open("a") as record:
        record.write('{"line": 4, "na')  # killed while it wrote
    made.clear()
    outcomes = run_batch(ROWS, tmp_path, make, writer(made))
    assert made == ["000004.h5"] and len(outcomes) == 3
    made.clear()
    row_path(tmp_path, ROWS[0]).unlink()
    assert run_batch(ROWS, tmp_path, make, writer(made)) == outcomes
    assert made == ["000002-first-one.h5"]
    made.clear()
    changed = parse_table("name,E_x\nfirst one,11\n")
    run_batch(changed, tmp_path, make, writer(made))
    assert made == ["000002-first-one.h5"]


def test_folders_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder"):
        run_batch(ROWS, tmp_path / "file", make, writer([]))
    (tmp_path / RECORD).write_text("something else\n")
    with pytest.raises(InputError, match="expected a record of rows"):
        run_batch(ROWS, tmp_path, make, writer([]))


@pytest.mark.parametrize("kind", ["processes", "executor"])
def test_rows_are_made_by_workers(kind: str, tmp_path: Path) -> None:
    """The same files and outcomes as in one process; workers write none of them."""
    alone = run_batch(ROWS, tmp_path / "alone", make, writer([]))
    made: list[str] = []
    if kind == "executor":
        with ThreadPoolExecutor(2) as executor:
            outcomes = run_batch(ROWS, tmp_path / "out", make, writer(made), workers=executor)
    else:
        outcomes = run_batch(ROWS, tmp_path / "out", make, writer(made), workers=2)
        text = (tmp_path / "out" / "000004.h5").read_text()
        assert text.startswith("designs of 30 by") and not text.endswith(f" {os.getpid()}")
    assert outcomes == alone and sorted(made) == ["000002-first-one.h5", "000004.h5"]
    assert {outcome.key for outcome in read_record(tmp_path / "out")} == {item.key for item in alone}
    assert run_batch(ROWS, tmp_path / "out", make, writer(made), workers=2) == alone and len(made) == 2
    with pytest.raises(InputError, match="at least one worker, got 0"):
        run_batch(ROWS, tmp_path / "out", make, writer(made), workers=0)
