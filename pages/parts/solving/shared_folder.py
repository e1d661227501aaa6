"""What servers of one machine share in a folder: results of the solver, and what each one is at work on.

A result is named by the hash of everything that it depends on, and kept as JSON behind a checksum: a damaged
entry counts as none. Before a server begins a volume, it claims it, so that no other one solves it as well.
Each server keeps a row of its unfinished tasks, by their owners, for limits that hold over all servers.
Claims and rows lapse unless they are renewed, as those of a server that died. A folder that cannot be used
costs a warning in the log, and the server goes on by itself.

The files are those of `diskcache`, which would pickle what is no text; here it takes texts alone, and never
unpickles what it reads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from pages.parts.solving.tasks import solver_settings
from vaereg.io.shards import label_versions
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult

__all__ = ["LAPSE", "RENEW", "SharedFolder", "Unfinished", "open_shared_folder", "result_key", "short_name"]

FOLDER = "VAEREG_RESULTS"
"""Environment variable with the folder that servers share."""
LAPSE, RENEW = 60.0, 15.0
"""Time after which a claim or a row of tasks lapses, and after which it is renewed [s]."""
MOST_BYTES = 512 * 2**20
"""Size of all kept results [byte]: some 80,000 of them; the oldest are removed."""
_DIGEST = 64
"""Length of a checksum in hexadecimal, before the JSON of an entry."""

Unfinished = Mapping[str, set[str]]
"""Short names of unfinished tasks by owner."""

_log = logging.getLogger(__name__)


def result_key(volume_hash: str, materials: TwoPhase | None) -> str:
    """Hash of what the solver's result for a volume depends on.

    Args:
        volume_hash: Hash of the shape and the phases of the volume.
        materials: The two phases, of which the moduli count; the reference pair if left out.
    """
    settings = solver_settings(materials) | {"element": "auto", "voxel_size": [1.0, 1.0, 1.0]}
    settings["dtype"] = np.dtype(settings["dtype"]).name
    facts = [volume_hash, (materials or TwoPhase()).moduli(), settings, _versions()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def short_name(task: str) -> str:
    """Hash of the name of a task."""
    return hashlib.sha256(task.encode()).hexdigest()[:16]


def open_shared_folder() -> SharedFolder | None:
    """The folder that `VAEREG_RESULTS` names; None where there is none, or it cannot be used."""
    given = os.environ.get(FOLDER)
    if not given:
        return None
    try:
        return SharedFolder(Path(given))
    except ImportError:
        _log.warning("%s is set, but the package diskcache is missing: pip install 'vaereg[cluster]'", FOLDER)
    except (OSError, sqlite3.Error) as error:
        _log.warning("the folder of shared results %s cannot be used: %s", given, error)
    return None


class SharedFolder:
    """Results, claims and unfinished tasks of the servers that use a folder.

    Args:
        folder: The folder, which is made where it is missing; it belongs to the user of the servers alone.

    Raises:
        ImportError: The package diskcache is not installed.
        OSError: The folder cannot be made, or belongs to another user.
        sqlite3.Error: Its files are damaged.
    """

    def __init__(self, folder: Path) -> None:
        import diskcache

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":  # where the user's folder is private
            if folder.lstat().st_uid != os.getuid():
                raise PermissionError(f"{folder} is not a folder of this user")
            folder.chmod(0o700)
        self._server = uuid4().hex
        self._complained = False
        self._errors = (sqlite3.Error, diskcache.Timeout, OSError)
        settings = {"disk": _text_disk(), "timeout": 2.0, "disk_min_file_size": 2**20}
        self._results: Any = diskcache.Cache(str(folder / "results"), size_limit=MOST_BYTES, **settings)
        self._work: Any = diskcache.Cache(str(folder / "work"), **settings)

    def result(self, key: str) -> HomogenizationResult | ConvergenceError | None:
        """Return a kept result; None where there is none, or it is damaged."""
        entry = self._try(lambda: self._results.get(key), None)
        if entry is None:
            return None
        try:
            return _decoded(entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("a shared result is damaged and is solved again: %s", error)
            self._try(lambda: self._results.delete(key), None)
            return None

    def keep(self, key: str, outcome: HomogenizationResult | Exception) -> None:
        """Keep a result, or that the solver did not converge, and give up the claim on it."""
        if isinstance(outcome, HomogenizationResult | ConvergenceError):
            self._try(lambda: self._results.set(key, _encoded(outcome)), None)
        self.release(key)

    def claim(self, key: str) -> bool:
        """Whether this server may solve a volume: nobody else is at it."""

        def take() -> bool:
            added = self._work.add(_claim(key), self._server, expire=LAPSE)
            return bool(added) or self._work.get(_claim(key)) == self._server

        return self._try(take, True)

    def renew(self, keys: Iterable[str]) -> None:
        """Keep the claims on volumes that are being solved."""
        for key in keys:
            self._try(lambda key=key: self._work.touch(_claim(key), expire=LAPSE), None)

    def release(self, key: str) -> None:
        """Give up the claim on a volume."""
        self._try(lambda: self._work.delete(_claim(key)), None)

    def admit(self, admit: Callable[[Unfinished], Unfinished]) -> None:
        """Take in new tasks, while no other server does.

        Args:
            admit: Function of the unfinished tasks of the other servers that returns those of this one; what
                it raises takes in nothing.
        """
        admitted: list[Unfinished] = []

        def exchange() -> None:
            with self._work.transact():
                admitted.append(admit(self._elsewhere()))
                self._write(admitted[0])

        self._try(exchange, None)
        if not admitted:
            admit({})

    def publish(self, unfinished: Unfinished) -> None:
        """Say which tasks of this server are unfinished."""
        self._try(lambda: self._write(unfinished), None)

    def close(self) -> None:
        """Take back what this server said of its work."""
        self.publish({})
        self._results.close()
        self._work.close()

    def _elsewhere(self) -> dict[str, set[str]]:
        """Unfinished tasks of the other servers."""
        tasks: dict[str, set[str]] = {}
        for key in list(self._work):
            row = self._work.get(key) if key.startswith(_ROW) and key != _ROW + self._server else None
            if row is None:  # lapsed, or no row
                continue
            try:
                for owner, names in json.loads(row).items():
                    tasks.setdefault(owner, set()).update(names)
            except (ValueError, AttributeError, TypeError) as error:
                _log.warning("the tasks of another server cannot be read: %s", error)
        return tasks

    def _write(self, unfinished: Unfinished) -> None:
        key = _ROW + self._server
        row = {owner: sorted(names) for owner, names in unfinished.items() if names}
        if row:
            self._work.set(key, json.dumps(row), expire=LAPSE)
        else:
            self._work.delete(key)

    def _try(self, call: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401
        try:
            return call()
        except self._errors as error:
            if not self._complained:
                self._complained = True
                _log.warning("the folder of shared results cannot be used for now: %s", error)
            return otherwise


_ROW = "tasks "


def _claim(key: str) -> str:
    return f"claim {key}"


@cache
def _versions() -> dict[str, str]:
    return label_versions()


@cache
def _text_disk() -> type:
    """Files of `diskcache` that take texts alone and never unpickle."""
    import diskcache

    class TextDisk(diskcache.Disk):
        """Keys and values are texts."""

        def put(self, key: object) -> Any:  # noqa: ANN401
            return super().put(_text(key))

        def get(self, key: object, raw: bool) -> Any:  # noqa: ANN401
            return super().get(key, raw) if raw else "damaged"

        def store(self, value: object, read: bool, key: Any = diskcache.UNKNOWN) -> Any:  # noqa: ANN401
            return super().store(_text(value), False, key=key)

        def fetch(self, mode: int, filename: str, value: object, read: bool) -> Any:  # noqa: ANN401
            return str(value) if mode == diskcache.core.MODE_RAW else "damaged"

    return TextDisk


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"expected a text to keep, got {type(value).__name__}")
    return value


def _encoded(outcome: HomogenizationResult | ConvergenceError) -> str:
    if isinstance(outcome, ConvergenceError):
        facts: dict[str, Any] = {"failed": str(outcome)}
    else:
        facts = {
            "stiffness": outcome.stiffness.tolist(),
            "iterations": outcome.iterations,
            "residual": outcome.residual,
            "converged": outcome.converged,
            "element": outcome.element,
            "unloaded": outcome.unloaded,
            "history": None if outcome.history is None else outcome.history.tolist(),
        }
    text = json.dumps(facts)
    return hashlib.sha256(text.encode()).hexdigest() + text


def _decoded(entry: str) -> HomogenizationResult | ConvergenceError:
    digest, text = entry[:_DIGEST], entry[_DIGEST:]
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError("expected another checksum")
    facts = json.loads(text)
    if "failed" in facts:
        return ConvergenceError(facts["failed"])
    history = facts["history"]
    return HomogenizationResult(
        stiffness=np.array(facts["stiffness"], dtype=np.float64).reshape(6, 6),
        iterations=int(facts["iterations"]),
        residual=float(facts["residual"]),
        converged=bool(facts["converged"]),
        element=str(facts["element"]),
        unloaded=tuple(facts["unloaded"]),
        history=None if history is None else np.array(history, dtype=np.float64).reshape(-1, 6),
    )
