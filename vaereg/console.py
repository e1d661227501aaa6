"""Standard error and signals of a command: neither a reader that is gone nor a termination does harm."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

__all__ = ["Terminated", "begin_console", "tell"]


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


def begin_console() -> None:
    """Prepare the streams and signals of a command.

    A closed standard error becomes the null device, before another file could take its number. SIGTERM raises
    `Terminated`, so that worker processes, temporary files and semaphores are given back.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def tell(text: str) -> None:
    """Write a line to standard error; where its reader is gone, the work goes on without."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
