"""Forty targets through two dashboards and two workers, of which one is killed: results/two_servers.json.

    OMP_NUM_THREADS=1 python benchmarks/two_servers.py [--targets 40] [--designs 2]

Starts the services of deploy/compose.yaml as processes on the loopback (`deploy/loopback.py`), with a fresh
folder. Each server is visited for half of the targets, one session after the other, by a link; a session
waits for its designs and for the solver's value of every one. At last each server is asked for a target of
the other one, whose volumes it takes from the shared results. After a third of the targets one of the two
workers is killed in the middle of a solve; after two thirds it is started again. Recorded is what was asked
for and what arrived, and how many solves the scheduler saw to their end: as many as there are volumes, where
nothing is lost and nothing is done twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from record import write_record
from soak import LostError, Tally, Visitor
from websockets.sync.client import connect
from websockets.typing import Subprotocol

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "deploy"))
from loopback import Loopback  # noqa: E402

LATEST = 900.0
"""Time after which what was asked for counts as lost [s]."""
LOOK = 2.0
"""Time between two looks at a page that is not finished [s]."""


class Batch:
    """Targets of both sessions, the kills, and what came of them."""

    def __init__(self, services: Loopback, targets: int, designs: int) -> None:
        self.services = services
        self.tally = Tally()
        self.designs = designs
        self.targets = targets
        self.done = 0
        self.killed_at: int | None = None

    def run(self) -> None:
        """Both servers at once; at last each one is asked for the first target of the other."""
        halves = [[*range(self.targets)[part::2], 1 - part] for part in range(2)]
        threads = [
            threading.Thread(target=self._session, args=(name, halves[place]))
            for place, name in enumerate(("server-1", "server-2"))
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            if self.killed_at is None and self.done >= self.targets // 3 and self._busy("worker-1"):
                self.services.kill("worker-1")
                self.killed_at = self.done
                print(f"worker-1 is killed after {self.done} targets", file=sys.stderr, flush=True)
            if self.killed_at is not None and self.done >= 2 * self.targets // 3:
                if self.services.processes["worker-1"].poll() is not None:
                    self.services.start("worker-1")

    def _busy(self, worker: str) -> bool:
        """Whether a worker is at a task."""
        port = self.services.ports[f"{worker}:8788"]
        found = on_scheduler(self.services.scheduler, processing)
        return any(address.endswith(f":{port}") and count for address, count in found.items())

    def _session(self, server: str, numbers: list[int]) -> None:
        address = f"ws://127.0.0.1:{self.services.ports[f'{server}:8501']}/_stcore/stream"
        try:
            for number in numbers:  # a link begins a session of its own
                with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as connection:
                    visitor = Visitor(connection, self.tally)
                    visitor.run(query=f"count={self.designs}&seed=0&C11={45.0 + 0.5 * number:g}")
                    self._await_values(visitor)
                    self.done += 1
        except Exception as error:  # whatever it is, it belongs into the record
            self.tally.complain(f"{server}: {type(error).__name__}: {error}")

    def _await_values(self, visitor: Visitor) -> None:
        """Wait for the solver's value of every design."""
        tally, begin = self.tally, time.monotonic()
        tally.count(tally.asked, "designs", self.designs)
        while visitor.metric("Solver check") != f"{self.designs}/{self.designs}":
            if time.monotonic() - begin > LATEST:
                raise LostError(f"the solver's values: {visitor.metric('Solver check')!r}")
            time.sleep(LOOK)
            visitor.run()
        tally.count(tally.arrived, "designs", self.designs)
        tally.count(tally.arrived, "targets")


def processing(dask_scheduler: Any) -> dict[str, int]:  # noqa: ANN401
    """Number of tasks that each worker is at, by its address."""
    return {address: len(worker.processing) for address, worker in dask_scheduler.workers.items()}


def finished(dask_scheduler: Any) -> dict[str, int]:  # noqa: ANN401
    """Number of times that each task was done."""
    counts: dict[str, int] = {}
    for key, _, state, *_ in dask_scheduler.transition_log:
        if state == "memory":
            counts[str(key)] = counts.get(str(key), 0) + 1
    return counts


def on_scheduler(address: str, function: Any) -> dict[str, int]:  # noqa: ANN401
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return client.run_on_scheduler(function)


def kept_results(folder: Path) -> int:
    """Number of volumes whose result the servers share."""
    import sqlite3

    with sqlite3.connect(folder / "data" / "results" / "results" / "cache.db") as connection:
        return int(connection.execute("SELECT COUNT(*) FROM Cache").fetchone()[0])


def main() -> None:
    """Run the batch and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--designs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="record to write (default: results/two_servers.json)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        begin = time.perf_counter()
        with Loopback(folder) as services:
            started = time.perf_counter() - begin
            batch = Batch(services, arguments.targets, arguments.designs)
            batch.run()
            tasks = on_scheduler(services.scheduler, finished)
            kept = kept_results(folder)
        said = "".join(
            path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("server-*.log"))
        )
    tally = batch.tally
    figures = {
        "asked": dict(tally.asked),
        "arrived": dict(tally.arrived),
        "errors": tally.errors + ["a log has a traceback: " + said[-2000:]] * ("Traceback" in said),
        "worker_killed_after_targets": batch.killed_at,
        "volumes": (arguments.targets * arguments.designs),
        "results_kept": kept,
        "solves": sum(tasks.values()),
        "start_s": round(started, 1),
        "wall_s": round(time.perf_counter() - begin, 1),
    }
    print(json.dumps(figures, indent=1))
    print(
        write_record(
            "two_servers",
            {"targets": arguments.targets, "designs": arguments.designs},
            figures,
            arguments.out,
        )
    )


if __name__ == "__main__":
    main()
