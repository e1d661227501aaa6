"""The services of compose.yaml as processes of this machine, on the loopback and without containers.

    python deploy/loopback.py [--folder FOLDER]

Starts the commands of the file in their environment, with free ports of 127.0.0.1 in place of the names of
containers and a folder in place of the volume, and waits for the checks of health that the files state. The
proxy needs haproxy on the path. Prints the address of the dashboard; Ctrl-C ends everything. Needs PyYAML.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

DEPLOY = Path(__file__).parent
ROOT = DEPLOY.parent
SECONDS = 120.0
"""Longest time until a service is healthy [s]; the machine may be busy."""
ENDS = 3.0
"""Time that a service gets to end by itself [s]."""
LOOK = 0.2
"""Time between two looks at a service that starts [s]."""


class Containerfile:
    """What the image says: commands, environment, and the check of its health."""

    def __init__(self, path: Path = DEPLOY / "Containerfile") -> None:
        text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        self.steps = [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]

    def all_of(self, instruction: str) -> list[str]:
        """Arguments of all steps of a kind."""
        return [argument for name, argument in self.steps if name == instruction]

    def environment(self) -> dict[str, str]:
        """Variables of the image."""
        return dict(part.split("=", 1) for line in self.all_of("ENV") for part in line.split())

    def health(self) -> list[str]:
        """Command that checks the health of the dashboard."""
        (line,) = self.all_of("HEALTHCHECK")
        return json.loads(line[line.index("CMD") + 3 :])


class Loopback:
    """Processes of the services, which end with the context.

    Args:
        folder: Where sessions, results, logs and compiled kernels are kept.
        services: Names of those that are started; all of the file if left out.
    """

    def __init__(self, folder: Path, services: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.image = Containerfile()
        content = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
        self.services: dict[str, dict[str, Any]] = {
            name: service
            for name, service in content["services"].items()
            if services is None or name in services
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._secret = secrets.token_hex(16)
        places = {f"{name}:8501" for name in ("server-1", "server-2", "proxy")} | {"scheduler:8786"}
        places |= {f"{name}:8788" for name in ("worker-1", "worker-2")}
        ports = _free_ports(len(places))
        self.ports = dict(zip(sorted(places), ports, strict=True))
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "tmp").mkdir(exist_ok=True)
        configuration = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
        (folder / "haproxy.cfg").write_text(self.local(configuration, "proxy"), encoding="utf-8")

    @property
    def address(self) -> str:
        """Address of the dashboard behind the proxy."""
        return f"http://127.0.0.1:{self.ports['proxy:8501']}"

    @property
    def scheduler(self) -> str:
        """Address of the scheduler."""
        return f"tcp://127.0.0.1:{self.ports['scheduler:8786']}"

    def local(self, text: str, service: str) -> str:
        """A text of the files with what stands on this machine for what is in a container."""
        for place, port in self.ports.items():
            text = text.replace(place, f"127.0.0.1:{port}")
        for place, port in self.ports.items():
            name, number = place.split(":")
            if name == service:  # its own port
                text = re.sub(rf"\b{number}\b", str(port), text)
        text = text.replace("bind :", "bind 127.0.0.1:").replace("0.0.0.0", "127.0.0.1")
        text = text.replace("socket.gethostname()", "'127.0.0.1'")
        paths = {
            "/etc/vaereg": self.folder,
            "/app": ROOT,
            "/data": self.folder / "data",
            "/tmp/worker": self.folder / "tmp" / service,
            "/tmp": self.folder / "tmp",
        }
        pattern = rf"(?<![\w/])({'|'.join(paths)})\b"
        return re.sub(pattern, lambda found: str(paths[found[1]]), text)

    def command(self, arguments: Sequence[str], service: str) -> list[str]:
        """A command with programs of this environment."""
        program, *rest = (self.local(str(argument), service) for argument in arguments)
        modules = {"dask": ["-m", "dask"], "streamlit": ["-m", "streamlit"], "python": []}
        if program in modules:
            return [sys.executable, *modules[program], *rest]
        return [shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") or program, *rest]

    def environment(self, service: str) -> dict[str, str]:
        """Variables of the image and of a service."""
        stated = self.image.environment() | (self.services[service].get("environment") or {})
        given = {"VAEREG_COOKIE_SECRET": self._secret}
        own = {name: self.local(_filled(str(value), given), service) for name, value in stated.items()}
        return os.environ | own

    def health(self, service: str) -> list[str]:
        """Command that checks the health of a service; empty where none is stated."""
        stated = (self.services[service].get("healthcheck") or {}).get("test", [])[1:]
        if not stated and service.startswith("server"):
            stated = self.image.health()
        return self.command(stated, service) if stated else []

    def is_healthy(self, service: str) -> bool:
        """Whether a service answers; one without a check of its own counts as soon as it listens."""
        command = self.health(service)
        if command:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[f"{service}:8501"])) == 0

    def start(self, service: str) -> subprocess.Popen[bytes]:
        """Start a service, without waiting for it."""
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command(self.services[service]["command"], service),
                cwd=ROOT,
                env=self.environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes[service] = process
        return process

    def await_health(self, service: str) -> None:
        """Wait until a service is healthy.

        Raises:
            RuntimeError: It ended, or takes too long.
        """
        deadline = time.monotonic() + SECONDS
        while not self.is_healthy(service):
            if self.processes[service].poll() is not None or time.monotonic() > deadline:
                log = (self.folder / f"{service}.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"the service {service} did not become healthy: {log[-2000:]}")
            time.sleep(LOOK)

    def kill(self, service: str) -> None:
        """End a service at once."""
        self.processes[service].kill()
        self.processes[service].wait()

    def __enter__(self) -> Self:
        try:
            left = dict(self.services)
            while left:
                ready = [name for name, service in left.items() if not _needs(service) & left.keys()]
                for name in ready:
                    self.start(name)
                for name in ready:
                    self.await_health(name)
                    del left[name]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(self.processes):  # those that need others end while these are there
            self.processes[name].terminate()
            try:
                self.processes[name].wait(ENDS)
            except subprocess.TimeoutExpired:
                self.processes[name].kill()
                self.processes[name].wait()


def _needs(service: Mapping[str, Any]) -> set[str]:
    return set(service.get("depends_on") or {})


def _filled(text: str, given: Mapping[str, str]) -> str:
    """A value with the variables that it names, as compose fills them in."""
    pattern = r"\$\{(\w+)(?::([-?])([^}]*))?\}"

    def value(found: re.Match[str]) -> str:
        known = given.get(found[1], "")
        return known or (found[3] if found[2] == "-" else "")

    return re.sub(pattern, value, text)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens to, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def main() -> None:
    """Start everything and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where data and logs are kept (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with Loopback((arguments.folder or Path(temporary)).resolve()) as services:
                print(f"the dashboard: {services.address}; logs in {services.folder}", flush=True)
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
