"""Processes of one training run, by the variables that torchrun sets."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 240
"""Longest time that a run may take [s]; the machine may be busy."""


def run_replicas(code: str, *arguments: object, count: int = 2) -> None:
    """Run Python code that calls `fork_replicas` after its imports, until all processes end well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, errors
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all have ended
        process.communicate()  # closes what it wrote to


def fork_replicas() -> None:
    """Become the processes of a run, with what is imported by now; this process waits for them.

    Imports of PyTorch take seconds in each process that begins anew.
    """
    children: list[int] = []
    for rank in range(int(os.environ["WORLD_SIZE"])):
        child = os.fork()
        if child == 0:
            os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
            return
        children.append(child)
    results = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(results))
