"""Tables of targets in the background: rows, refusals, what is resumed, and files."""

import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.batch.panel import RUN
from pages.parts.solving import batches
from pages.parts.solving.batches import BatchRun, read_rows, start_batch
from pages.parts.solving.queue import SolverQueue
from vaereg.errors import InputError
from vaereg.inverse.batch import RECORD, RowOutcome
from vaereg.inverse.direct import design
from vaereg.inverse.orders import Designed, DesignOrder
from vaereg.io.designs import read_designs
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import TableRow, parse

TABLE = b"name,C11 [GPa]\n=one,%d\ntwo,%d\nfar,1000\n"


@pytest.fixture
def queue() -> SolverQueue:
    """A queue whose workers are threads of this process."""
    return SolverQueue(start=ThreadPoolExecutor)


def finished(run: BatchRun) -> BatchRun:
    """A table, once it has ended."""
    deadline = time.monotonic() + 300
    while run.is_running:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return run


def test_rows_are_made_refused_and_kept(
    queue: SolverQueue, tiny_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LOOK", 0.01)
    low, high = tiny_checkpoint.property_ranges["C11"]
    content = TABLE % (round(0.5 * (low + high)), round(0.4 * low + 0.6 * high))
    asked: list[str] = []

    def make(order: DesignOrder, row: TableRow) -> Designed:
        asked.append(row.name)
        designs = design(tiny_checkpoint, row.targets, order.count, order.size, seed=order.seed)
        return Designed(designs=designs, recipes=[{}] * order.count, spread=None)

    order = DesignOrder(count=2, size=16, materials=None)
    run = finished(start_batch(queue, content, order, tmp_path, make=make))
    assert not run.error and run.done == 3
    outcomes = run.outcomes()
    assert [bool(outcomes[line].file) for line in (2, 3, 4)] == [True, True, False]
    assert "C11" in outcomes[4].error and run.best(outcomes[2]) is not None
    with zipfile.ZipFile(BytesIO(run.archive())) as archive:
        names = archive.namelist()
        assert len([name for name in names if name.endswith(".h5")]) == 2
        (tmp_path / "a.h5").write_bytes(archive.read(outcomes[2].file))
    assert read_designs(tmp_path / "a.h5").microstructures.shape == (2, 16, 16, 16)
    lines = run.table().splitlines()
    assert lines[1].startswith("2,'=one,C11=") and ",refused," in lines[3]  # no formula for a spreadsheet

    # the same table again has nothing to do, but for a file that is gone
    (run.folder / outcomes[3].file).unlink()
    asked.clear()
    again = finished(start_batch(queue, content, order, tmp_path, make=make))
    assert asked == ["two"] and again.done == 3
    former = read_designs(tmp_path / "a.h5").microstructures
    np.testing.assert_array_equal(read_designs(run.folder / outcomes[2].file).microstructures, former)
    queue.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header of quantities"),
        (b"name\na\n", "at least one quantity"),
        (b"E_q [GPa]\n1\n", "column 1"),
        (b"E_x [kg]\n1\n", "unit of E_x"),
        (b"E_x [GPa]\nabc\n", "line 2"),
        (b"\xff\xfe\x00", "spreadsheet"),
        (b"E_x\n" + b"1\n" * 10_000, "at most 2000 rows, got 10000"),
    ],
)
def test_tables_that_make_no_sense_have_one_line(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_rows(content)
    assert "\n" not in str(caught.value)


def test_the_page_opens_and_says_what_to_do(app_of_modes: AppTest) -> None:
    app_of_modes.run()
    app_of_modes.switch_page("pages/batch.py").run()
    assert not app_of_modes.exception
    assert "Choose a table" in app_of_modes.info[0].value


def test_the_best_design_of_a_row_has_its_figure(app_of_modes: AppTest, tmp_path: Path) -> None:
    near = RowOutcome(line=2, name="a", key="", file="a.h5", error="")
    far = RowOutcome(line=3, name="", key="", file="", error="no")
    (tmp_path / RECORD).write_text("".join(f"{json.dumps(asdict(row))}\n" for row in (near, far)), "utf-8")
    (tmp_path / "a.json").write_text('{"best": 0.0034}', encoding="utf-8")
    rows = [TableRow(line=line, name="", targets=parse(["E_x=20"])) for line in (2, 3, 4)]
    app_of_modes.session_state[RUN] = BatchRun(rows=rows, folder=tmp_path, done=2, is_running=False)
    app_of_modes.run()
    app_of_modes.switch_page("pages/batch.py").run()
    assert not app_of_modes.exception
    best = app_of_modes.dataframe[0].value["Best design, off target [%]"]
    np.testing.assert_allclose(best, [0.34, np.nan, np.nan])
