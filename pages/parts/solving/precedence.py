"""Who computes first on a server: previews, then first looks at designs, then designs, then the solver.

Work in threads of the server says what it is (`at_work`), and waits between its cells for what is more urgent
(`give_way`). The solver's processes begin nothing while the server is at work (`is_quiet`). Nobody waits for
ever: all of these end after a while.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache

__all__ = ["Precedence", "Rank", "server_precedence"]

MOST_WAIT = 1.0
"""Longest time that one cell waits for what is more urgent [s]."""
MOST_HOLD = 4.0
"""Longest time for which a busy server keeps the solver from beginning something [s]."""
CALM = 0.5
"""Time after the last work at which a server counts as quiet [s]: the next preview may be on its way, and the
browser that draws may be on the same machine."""


class Rank(IntEnum):
    """Work of a server, the most urgent first."""

    PREVIEW = 0
    FIRST_LOOK = 1
    DESIGN = 2


class Precedence:
    """What a server is at, by rank.

    Args:
        calm: Time after the last work at which the server counts as quiet [s].
        clock: Time [s].
    """

    def __init__(self, calm: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._calm, self._clock = calm, clock
        self._ended = -calm
        self._changed = threading.Condition()
        self._under_way: Counter[Rank] = Counter()
        self._busy_since = 0.0
        self._on_quiet: list[Callable[[], None]] = []

    @contextmanager
    def at_work(self, rank: Rank) -> Iterator[None]:
        """Say that work of this rank is under way."""
        with self._changed:
            if not self._under_way.total() and self._clock() - self._ended >= self._calm:
                self._busy_since = self._clock()
            self._under_way[rank] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[rank] -= 1
                self._ended, last = self._clock(), not self._under_way.total()
                self._changed.notify_all()
            if last and self._calm:
                timer = threading.Timer(self._calm, self._tell)
                timer.daemon = True
                timer.start()
            elif last:
                self._tell()

    def give_way(self, rank: Rank, most: float = MOST_WAIT) -> None:
        """Wait while more urgent work is under way, at most so long [s]."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_preceded(rank), most)

    def is_quiet(self) -> bool:
        """Whether nothing is under way, or so much that the solver would never have its turn."""
        with self._changed:
            now = self._clock()
            calm = not self._under_way.total() and now - self._ended >= self._calm
            return calm or now - self._busy_since > MOST_HOLD

    def on_quiet(self, call: Callable[[], None]) -> None:
        """Call something whenever the server is quiet after work."""
        self._on_quiet.append(call)

    def _tell(self) -> None:
        if self.is_quiet():
            for call in self._on_quiet:
                call()

    def _is_preceded(self, rank: Rank) -> bool:
        return any(count and other < rank for other, count in self._under_way.items())


@cache
def server_precedence() -> Precedence:
    """The precedence that all parts of this server share."""
    return Precedence(CALM)
