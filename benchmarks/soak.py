"""Endurance of the dashboard: six sessions of random actions for 15 minutes, results/soak.json.

    OMP_NUM_THREADS=1 python benchmarks/soak.py [--minutes 15] [--sessions 6]

Each session speaks to a server of its own as a browser does, without one: it sends widget states and takes in
what the page is made of. It moves sliders, changes seed and number of designs, waits for the solver's values,
puts designs aside, refines, looks at other pages, and leaves now and then for a new session to come. Every
minute one of the solver's worker processes is killed. Recorded are the memory of the server with its workers,
every error of a page or in the log, and how many of the designs and refinements that were asked for arrived.
The memory is flat where its median over the last quarter is within 5 % of the median over the first quarter
after the warm-up, which is the first third.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard_server import Server, descendants, serving
from record import write_record
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import DoubleArray
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

WARM_UP = 1.0 / 3.0
"""Share of the time that is not judged [-]: caches fill."""
FLAT = 0.05
"""Largest relative change of the memory that counts as flat [-]."""
KILL_EVERY, SAMPLE_EVERY = 60.0, 5.0
"""Time between two killed workers, and between two looks at the memory [s]."""
LATEST = 600.0
"""Time after which what was asked for counts as lost [s]."""
PAUSE = 0.5
"""Time between two actions of a session [s]."""
VISIT = 25
"""Actions of a session before it leaves and a new one comes."""
COUNTS = (2, 3, 4)
"""Numbers of designs that are asked for."""


class LostError(RuntimeError):
    """Something that was asked for did not arrive."""


@dataclass(slots=True)
class Tally:
    """Figures of all sessions together."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    actions: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    arrived: Counter[str] = field(default_factory=Counter)
    outstanding: Counter[str] = field(default_factory=Counter)
    """What was asked for last and had not arrived when the time was over."""
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Times from a request to all values of the solver [s]."""

    def count(self, counter: Counter[str], name: str, number: int = 1) -> None:
        """Add to a counter."""
        with self.lock:
            counter[name] += number

    def complain(self, error: str) -> None:
        """Note an error."""
        with self.lock:
            self.errors.append(error[:500])


class Visitor:
    """One session, as its browser would see and steer it."""

    def __init__(self, connection: ClientConnection, tally: Tally) -> None:
        self._connection = connection
        self._tally = tally
        self._states: dict[str, WidgetState] = {}
        self._pages: dict[str, str] = {}
        self._page = ""
        self._elements: list[Element] = []

    def run(self, trigger: WidgetState | None = None, *, query: str = "") -> None:
        """Run the page, with a button that was pressed, and take in what it is made of."""
        request = BackMsg()
        request.rerun_script.query_string = query
        request.rerun_script.page_script_hash = self._page
        request.rerun_script.widget_states.widgets.extend(self._states.values())
        if trigger is not None:
            request.rerun_script.widget_states.widgets.append(trigger)
        self._connection.send(request.SerializeToString())
        self._elements = []
        finished = False
        while not finished:
            message = ForwardMsg.FromString(self._connection.recv(timeout=LATEST))
            kind = message.WhichOneof("type")
            if kind == "navigation":
                pages = message.navigation.app_pages
                self._pages = {page.page_name: page.page_script_hash for page in pages}
                self._page = message.navigation.page_script_hash
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self._elements.append(message.delta.new_element)
            # A run that another one supersedes, such as by `st.rerun`, is not the end.
            finished = kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            )
        for element in self.all_of("exception"):
            self._tally.complain(f"{element.exception.type}: {element.exception.message}")

    def all_of(self, kind: str) -> Iterator[Element]:
        """Elements of a kind on the page."""
        return (element for element in self._elements if element.WhichOneof("type") == kind)

    def labelled(self, kind: str, label: str) -> Element | None:
        """The element of a kind whose label begins so; None where there is none."""
        for element in self.all_of(kind):
            if getattr(element, kind).label.startswith(label):
                return element
        return None

    def set_slider(self, label: str, value: float) -> None:
        """Set a slider and run the page."""
        element = self.labelled("slider", label)
        if element is not None:
            name = element.slider.id
            self._states[name] = WidgetState(id=name, double_array_value=DoubleArray(data=[value]))
        self.run()

    def set_number(self, label: str, value: float) -> None:
        """Set a number and run the page."""
        element = self.labelled("number_input", label)
        if element is not None:
            name = element.number_input.id
            whole = isinstance(value, int)
            self._states[name] = (
                WidgetState(id=name, int_value=value) if whole else WidgetState(id=name, double_value=value)
            )
        self.run()

    def press(self, label: str) -> bool:
        """Press a button and run the page; return whether there is such a button."""
        element = self.labelled("button", label)
        if element is not None:
            self.run(WidgetState(id=element.button.id, trigger_value=True))
        return element is not None

    def open(self, name: str) -> None:
        """Go to a page."""
        self._page = self._pages[name]
        self.run()

    def other_pages(self) -> list[str]:
        """Names of the pages but Design."""
        return [name for name in self._pages if name != "Design"]

    def metric(self, label: str) -> str:
        """Value of a metric; empty where there is none."""
        element = self.labelled("metric", label)
        return "" if element is None else element.metric.body

    def designs(self) -> int:
        """Number of volumes in the first gallery."""
        for element in self.all_of("bidi_component"):
            data: dict[str, Any] = json.loads(element.bidi_component.json or "{}")
            if "panels" in data:
                return len(data["panels"])
        return 0


class Soak:
    """Sessions, kills and looks at the memory, side by side."""

    def __init__(self, server: Server, seconds: float, sessions: int) -> None:
        self.tally = Tally()
        self.memory: list[tuple[float, float]] = []
        self.killed = 0
        self._server = server
        self._sessions = sessions
        self._begin = time.monotonic()
        self._end = self._begin + seconds

    def run(self) -> None:
        """Run until the time is over."""
        visitors = [threading.Thread(target=self._visits, args=(number,)) for number in range(self._sessions)]
        for thread in visitors:
            thread.start()
        kill_at = self._begin + KILL_EVERY
        while any(thread.is_alive() for thread in visitors):
            time.sleep(SAMPLE_EVERY)
            now = time.monotonic()
            if now < self._end:  # afterwards sessions only end the run of their page
                self.memory.append((round(now - self._begin, 1), self._server.memory()))
            if kill_at <= now < self._end:
                self._kill_a_worker()
                kill_at += KILL_EVERY
            if self._server.process.poll() is not None:
                self.tally.complain(f"the server ended with code {self._server.process.returncode}")
                return

    def _kill_a_worker(self) -> None:
        workers = [
            process
            for process in descendants(self._server.process.pid)
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
        ]
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
            self.killed += 1

    def _visits(self, number: int) -> None:
        """One session after another."""
        choices = random.Random(number)
        address = f"{self._server.address.replace('http', 'ws', 1)}/_stcore/stream"
        while time.monotonic() < self._end and self._server.process.poll() is None:
            try:
                with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as connection:
                    self._visit(Visitor(connection, self.tally), choices)
            except LostError as error:
                self.tally.complain(str(error))
            except Exception as error:  # whatever it is, it belongs into the record
                self.tally.complain(f"session {number}: {type(error).__name__}: {error}")
                time.sleep(1.0)

    def _visit(self, visitor: Visitor, choices: random.Random) -> None:
        tally = self.tally
        tally.count(tally.actions, "sessions")
        count = choices.choice(COUNTS)
        visitor.run(query=f"count={count}&seed={choices.randrange(1000)}")
        self._await_designs(visitor, count)
        for _ in range(VISIT):
            if time.monotonic() > self._end:
                return
            action = choices.choice(("target", "target", "seed", "count", "shortlist", "refine", "page"))
            tally.count(tally.actions, action)
            if action == "target":
                visitor.set_number("C11 [GPa], typed", round(choices.uniform(45.0, 75.0), 1))
            elif action == "seed":
                visitor.set_number("Seed", choices.randrange(1000))
            elif action == "count":
                count = choices.choice(COUNTS)
                visitor.set_slider("Number of designs", float(count))
            elif action == "shortlist":
                visitor.press("Add to the shortlist") or visitor.press("Take out of the shortlist")
            elif action == "refine":
                self._refine(visitor)
            else:
                visitor.open(choices.choice(visitor.other_pages()))
                visitor.open("Design")
            if action in ("target", "seed", "count"):
                self._await_designs(visitor, count)
            time.sleep(PAUSE * choices.random() * 2.0)

    def _await_designs(self, visitor: Visitor, count: int) -> None:
        """Wait for the designs that were asked for, with the solver's value of every one."""
        tally, begin = self.tally, time.monotonic()
        tally.count(tally.asked, "designs", count)
        if visitor.designs() != count:
            raise LostError(f"{count} designs were asked for, {visitor.designs()} are on the page")
        while visitor.metric("Solver check") != f"{count}/{count}":
            if time.monotonic() > self._end:
                tally.count(tally.outstanding, "designs", count)
                return
            if time.monotonic() - begin > LATEST:
                raise LostError(f"the solver's values: {visitor.metric('Solver check')!r} of {count}")
            time.sleep(0.7)
            visitor.run()
        tally.count(tally.arrived, "designs", count)
        with tally.lock:
            tally.waits.append(time.monotonic() - begin)

    def _refine(self, visitor: Visitor) -> None:
        """Have all shown designs refined, and wait for the end."""
        tally, begin = self.tally, time.monotonic()
        count = visitor.designs()
        tally.count(tally.asked, "refinements", count)
        if not visitor.press("Refine "):
            raise LostError("there is no button to refine")
        while visitor.metric("Refinement") != "finished":
            if time.monotonic() > self._end:
                tally.count(tally.outstanding, "refinements", count)
                return
            if time.monotonic() - begin > LATEST:
                raise LostError(f"a refinement: {visitor.metric('Refinement')!r}")
            time.sleep(0.7)
            visitor.run()
        words = " ".join(element.progress.text for element in visitor.all_of("progress"))
        if "failed" in words or "cancelled" in words:
            raise LostError(f"a refinement of {count} designs: {words!r}")
        tally.count(tally.arrived, "refinements", count)


def flatness(memory: list[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Medians of the memory [MB] over the first and last quarter after the warm-up, and their change [-]."""
    begin = WARM_UP * seconds
    quarter = 0.25 * (seconds - begin)
    early = [size for when, size in memory if begin <= when < begin + quarter]
    late = [size for when, size in memory if when >= seconds - quarter]
    first, last = statistics.median(early), statistics.median(late)
    return {"first_quarter_mb": first, "last_quarter_mb": last, "change": round(last / first - 1.0, 4)}


def main() -> None:
    """Run the sessions and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--out", type=Path, help="record to write (default: results/soak.json)")
    arguments = parser.parse_args()
    seconds = 60.0 * arguments.minutes
    before = [round(load, 2) for load in os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with serving(Path(folder), log) as server:
            soak = Soak(server, seconds, arguments.sessions)
            soak.run()
        said = log.read_text(encoding="utf-8", errors="replace")
    tally = soak.tally
    flat = flatness(soak.memory, seconds)
    errors = tally.errors + ["the log has a traceback: " + said[-2000:]] * ("Traceback" in said)
    figures = {
        "memory_mb": flat,
        "memory_is_flat": abs(flat["change"]) <= FLAT,
        "errors": errors,
        "asked": dict(tally.asked),
        "arrived": dict(tally.arrived),
        "outstanding_at_the_end": dict(tally.outstanding),
        "actions": dict(tally.actions),
        "workers_killed": soak.killed,
        "wait_for_solver_s": {
            "median": round(statistics.median(tally.waits), 2) if tally.waits else None,
            "worst": round(max(tally.waits), 2) if tally.waits else None,
        },
        "memory_over_time": soak.memory,
    }
    settings: dict[str, object] = {
        "minutes": arguments.minutes,
        "sessions": arguments.sessions,
        "warm_up": WARM_UP,
        "flat": FLAT,
        "kill_every_s": KILL_EVERY,
        "load_average_before": before,
    }
    path = write_record("soak", settings, figures, arguments.out)
    shown = {name: value for name, value in figures.items() if name != "memory_over_time"}
    print(f"{path}: {json.dumps(shown, indent=1)}", file=sys.stderr)


if __name__ == "__main__":
    main()
