"""The dashboard as its benchmarks start it, its memory, and who spends time of the processors."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "pages"))
from browser import answers  # noqa: E402

LOOK = 0.02
"""Between two looks at a server that starts [s]."""
SERVER, WORKERS = "server", "workers"
_CHROMIUM = {"gpu-process": "drawing", "renderer": "page", "browser": "browser", "utility": "browser"}
"""What Chromium calls its processes, and what they do: the first one draws volumes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running dashboard."""

    address: str
    process: subprocess.Popen[bytes]
    begun: float
    """When it was started, by `time.perf_counter` [s]."""

    def processor(self) -> float:
        """Processor time of the server so far, without its workers [s]."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Proportional set size of the server and its children [MB]."""
        result = 0
        for process in [self.process.pid, *descendants(self.process.pid)]:
            try:
                text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
            except OSError:  # it has just ended
                continue
            result += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return round(result / 1024, 1)


def descendants(process: int) -> list[int]:
    """Children of a process, and theirs."""
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        text = " ".join((thread / "children").read_text(encoding="ascii") for thread in threads)
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return children + [item for child in children for item in descendants(child)]


@contextmanager
def serving(cache: Path, log: Path | None = None) -> Iterator[Server]:
    """The dashboard as a user starts it, with a folder for compiled kernels and a file for its output."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": str(ROOT),
        "VAEREG_SESSIONS": str(cache / "sessions"),
    }
    begun = time.perf_counter()
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        address = f"http://localhost:{port}"
        while not answers(f"{address}/_stcore/health"):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with code {process.returncode}")
            time.sleep(LOOK)
        yield Server(address=address, process=process, begun=begun)
    finally:
        process.terminate()
        process.wait(30)


def processor_times(server: Server) -> dict[str, float]:
    """Time of the processors so far [s]: the server, its workers, and the browser by what it does."""
    workers = descendants(server.process.pid)
    result = dict.fromkeys((SERVER, WORKERS, *_CHROMIUM.values()), 0.0)
    for process in descendants(os.getpid()):
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        except OSError:  # it has just ended
            continue
        if process == server.process.pid:
            name = SERVER
        elif process in workers:
            name = WORKERS
        elif "chrom" in command.partition(" ")[0]:
            kind = re.search(r"--type=(\S+)", command)
            name = _CHROMIUM.get(kind.group(1) if kind else "browser", "browser")
        else:
            continue
        result[name] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return result


def spent(before: dict[str, float], after: dict[str, float], count: int = 1) -> dict[str, float]:
    """Time of the processors between two `processor_times`, for each of so many things [s]."""
    return {name: round((after[name] - before[name]) / count, 3) for name in after}
