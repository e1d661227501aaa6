"""A Dask cluster of real processes on the loopback: a scheduler and workers of one thread each."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
"""Time in which a process of the cluster must be there [s]; the machine may be busy."""


class DaskProcesses:
    """A scheduler and its workers, which end with the context."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        file = folder / "scheduler.json"
        self.scheduler = self.start(
            "scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)
        )
        deadline = time.monotonic() + START_SECONDS
        while not (file.exists() and file.read_text().rstrip().endswith("}")):
            assert self.scheduler.poll() is None and time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)
        self.address: str = json.loads(file.read_text())["address"]
        flags = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        self.workers = [self.start("worker", self.address, *flags) for _ in range(workers)]

    def start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{kind}"
        command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--no-dashboard", *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
