"""Tables of targets in the background: rows are tasks of the solver's queue, beside those of all sessions.

What is made lies in a folder of the table and its settings; the same table with the same settings goes on
where it was, after a restart too.
"""

import csv
import hashlib
import io
import json
import logging
import re
import shutil
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

from pages.parts.solving.queue import QueueFullError, SolverQueue
from pages.parts.solving.tasks import CallTask
from vaereg.errors import InputError
from vaereg.inverse.batch import RECORD, RowOutcome, read_record, run_batch
from vaereg.inverse.orders import Designed, DesignOrder, for_row, save_designed
from vaereg.targets import TableRow
from vaereg.targets.tables import decode_table, parse_table

__all__ = ["MAX_ROWS", "BatchRun", "QueueExecutor", "batch_folder", "read_rows", "start_batch"]

MAX_ROWS = 2000
"""Most rows of a table: hours of work on two processors."""
AT_ONCE = 4
"""Rows that are in the queue at a time: other sessions take turns with them."""
MAX_AGE = 7 * 24 * 3600.0
"""Time after which a folder that nothing was written to is removed [s]."""
LOOK = 0.2
"""Time between two looks at the queue [s]."""
_log = logging.getLogger(__name__)


def read_rows(content: bytes) -> list[TableRow]:
    """Rows of a table of targets in CSV.

    Raises:
        InputError: It is none, in one line with the line and the column, or has too many rows.
    """
    rows = parse_table(decode_table(content))
    if len(rows) > MAX_ROWS:
        raise InputError(
            f"expected at most {MAX_ROWS} rows, got {len(rows)}: the command `design --targets` takes more"
        )
    return rows


def batch_folder(folder: Path, content: bytes, order: DesignOrder) -> Path:
    """Folder of a table with its settings below the folder of all tables."""
    digest = hashlib.sha256(content + repr(order).encode())
    return folder / digest.hexdigest()[:32]


class QueueExecutor(Executor):
    """Calls as tasks of the solver's queue, a few at a time.

    Args:
        queue: The queue of all sessions.
        session: Name under which the tasks take their turn.
    """

    def __init__(self, queue: SolverQueue, session: str) -> None:
        self._queue, self._session = queue, session
        self._waiting: deque[tuple[CallTask, Future[Any]]] = deque()
        self._begun: list[tuple[CallTask, Future[Any]]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batch", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Queue a call."""
        task = CallTask(call=partial(fn, *args, **kwargs), label=uuid4().hex)
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((task, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all calls that are not done."""
        self._ended.set()
        self._queue.cancel(self._session, [task for task, _ in self._begun])

    def _work(self) -> None:
        while not self._ended.wait(LOOK):
            try:
                self._look()
            except Exception:  # the next look may do better
                _log.exception("the queue could not be looked at")

    def _look(self) -> None:
        open_: list[tuple[CallTask, Future[Any]]] = []
        for task, future in self._begun:
            progress = self._queue.progress(task)
            if progress is not None and progress.status in ("waiting", "running"):
                open_.append((task, future))
            elif progress is not None and progress.status == "done":
                future.set_result(progress.result)
            else:
                error = None if progress is None else progress.error
                future.set_exception(error or RuntimeError("the task was given up"))
        self._begun = open_
        while len(self._begun) < AT_ONCE:
            with self._lock:
                if not self._waiting:
                    return
                task, future = self._waiting.popleft()
            if future.cancelled():
                continue
            try:
                self._queue.start(self._session, [task])
            except QueueFullError:
                with self._lock:  # others have much to do: later
                    self._waiting.appendleft((task, future))
                return
            if future.set_running_or_notify_cancel():
                self._begun.append((task, future))
            else:
                self._queue.cancel(self._session, [task])


class _Stopped(Exception):
    """The user has stopped a table."""


@dataclass(slots=True, eq=False)
class BatchRun:
    """A table under way."""

    rows: Sequence[TableRow]
    folder: Path
    done: int = 0
    """Rows that are done."""
    error: str = ""
    """Why it ended early; empty where it did not."""
    is_running: bool = True
    _stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End it after what is under way; the same table goes on from there."""
        self._stopped.set()

    def report(self, done: int, total: int) -> None:
        """Note how many rows are done."""
        self.done = done
        if self._stopped.is_set():
            raise _Stopped

    def outcomes(self) -> dict[int, RowOutcome]:
        """What became of the rows that are done, by the line of each."""
        return {outcome.line: outcome for outcome in read_record(self.folder)}

    def archive(self) -> bytes:
        """All files of designs and the table of outcomes as a zip archive."""
        buffer = io.BytesIO()
        outcomes = self.outcomes()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for _, outcome in sorted(outcomes.items()):
                if outcome.file and (self.folder / outcome.file).is_file():
                    archive.write(self.folder / outcome.file, outcome.file)
            if (self.folder / RECORD).is_file():
                archive.write(self.folder / RECORD, RECORD)
            archive.writestr("outcomes.csv", self.table())
        return buffer.getvalue()

    def table(self) -> str:
        """Line, name, target, file, best deviation and refusal of every row as CSV."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(
            ["line", "name", "target", "status", "file", "largest deviation of the best [-]", "error"]
        )
        outcomes = self.outcomes()
        for row in self.rows:
            outcome = outcomes.get(row.line)
            name = re.sub(r"^([=+\-@\t\r])", r"'\1", row.name)  # a spreadsheet would run it
            target = "; ".join(item.text() for item in row.targets)
            best = self.best(outcome)
            writer.writerow(
                [row.line, name, target, status_of(outcome)]
                + (
                    [outcome.file, "" if best is None else f"{best:.6g}", outcome.error]
                    if outcome
                    else ["", "", ""]
                )
            )
        return buffer.getvalue()

    def best(self, outcome: RowOutcome | None) -> float | None:
        """Largest deviation of the best design of a row [-]; None where there are no designs."""
        if outcome is None or not outcome.file:
            return None
        try:
            note = json.loads((self.folder / outcome.file).with_suffix(".json").read_text(encoding="utf-8"))
            return float(note["best"])
        except (OSError, ValueError, KeyError):
            return None


def status_of(outcome: RowOutcome | None) -> str:
    """Word for what became of a row."""
    return "waiting" if outcome is None else "done" if outcome.file else "refused"


_runs: dict[Path, BatchRun] = {}
_lock = threading.Lock()


def start_batch(
    queue: SolverQueue,
    content: bytes,
    order: DesignOrder,
    folder: Path,
    *,
    make: Callable[[DesignOrder, TableRow], Designed] = for_row,
) -> BatchRun:
    """Begin a table, or go on with it; one that is under way is given back.

    Args:
        queue: The queue of all sessions.
        content: The table in CSV.
        order: Settings of every row.
        folder: Folder of all tables.
        make: Function of a module that makes the designs of a row.

    Raises:
        InputError: The table is none.
    """
    rows = read_rows(content)
    own = batch_folder(folder, content, order)
    with _lock:
        if (run := _runs.get(own)) is not None and run.is_running:
            return run
        run = _runs[own] = BatchRun(rows=rows, folder=own)
    _remove_old(folder, own)
    thread = threading.Thread(target=_carry_out, args=(run, queue, partial(make, order)), daemon=True)
    thread.start()
    return run


def _carry_out(run: BatchRun, queue: SolverQueue, make: Callable[[TableRow], Designed]) -> None:
    executor = QueueExecutor(queue, f"batch {run.folder.name}")
    try:
        run_batch(
            run.rows,
            run.folder,
            make,
            _write,
            told=attrgetter("far"),
            workers=executor,
            on_progress=run.report,
        )
    except _Stopped:
        run.error = "stopped"
    except Exception as error:
        _log.warning("a table of targets ended early: %s", error)
        run.error = " ".join(str(error).split()) or type(error).__name__
    finally:
        executor.shutdown()
        run.is_running = False


def _write(designed: Designed, path: Path) -> None:
    best = float(designed.designs.largest_deviation.min())
    path.with_suffix(".json").write_text(json.dumps({"best": best}), encoding="utf-8")
    save_designed(designed, path)


def _remove_old(folder: Path, keep: Path) -> None:
    """Remove folders of tables that nothing was written to for long."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path != keep and path.is_dir() and time.time() - path.stat().st_mtime > MAX_AGE:
            shutil.rmtree(path, ignore_errors=True)
