"""Part of one server in what several share: which volumes it has claimed, whether it may take tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from pages.parts.solving.shared_folder import RENEW, SharedFolder, Unfinished, result_key, short_name
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult

__all__ = ["ALL_TASKS", "SESSION_TASKS", "QueueFullError", "Sharing", "check_limits"]

SESSION_TASKS, ALL_TASKS = 48, 144
"""Largest number of unfinished tasks of one owner, and of all, on all servers that share a folder."""


class QueueFullError(RuntimeError):
    """There are too many unfinished tasks."""


def check_limits(
    owner: str,
    fresh: Iterable[str],
    here: Callable[[], Unfinished],
    elsewhere: Unfinished,
    *,
    make_room: Callable[[], None],
) -> Unfinished:
    """Unfinished tasks of this server, with new ones.

    Args:
        owner: Who the new tasks count for.
        fresh: Names of the new tasks.
        here: Says the unfinished tasks of this server.
        elsewhere: Unfinished tasks of the other servers.
        make_room: Called where all together are too many, to end some of this server.

    Raises:
        QueueFullError: The owner, or all together, would have too many.
    """
    new = set(map(short_name, fresh))

    def count() -> tuple[dict[str, set[str]], set[str], set[str]]:
        own = dict(here())
        own[owner] = own.get(owner, set()) | new
        of_owner = own[owner] | elsewhere.get(owner, set())
        return own, of_owner, of_owner.union(*own.values(), *elsewhere.values())

    after, of_owner, of_all = count()
    if len(of_all) > ALL_TASKS:
        make_room()
        after, of_owner, of_all = count()
    if len(of_owner) > SESSION_TASKS or len(of_all) > ALL_TASKS:
        raise QueueFullError(
            f"expected at most {SESSION_TASKS} unfinished tasks in a session and {ALL_TASKS} in all, "
            f"got {len(of_owner)} and {len(of_all)}"
        )
    return after


class Sharing:
    """Claims and tasks of one server in a shared folder; without a folder, everything is its own.

    Args:
        folder: The folder.
        clock: Time [s].
    """

    def __init__(self, folder: SharedFolder | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._renewed = clock()
        self._claimed: dict[str, str] = {}

    def find(
        self, volumes: Mapping[str, TwoPhase | None]
    ) -> dict[str, HomogenizationResult | ConvergenceError]:
        """Kept results, as far as there are any.

        Args:
            volumes: The two phases by the name of the volume, which begins with its hash.
        """
        folder = self._folder
        if folder is None:
            return {}
        found = {name: folder.result(_key(name, materials)) for name, materials in volumes.items()}
        return {name: result for name, result in found.items() if result is not None}

    def claim(self, name: str, materials: TwoPhase | None) -> bool:
        """Whether this server may solve a volume: nobody else is at it, or has solved it."""
        if self._folder is None:
            return True
        key = _key(name, materials)
        if not self._folder.claim(key):
            return False
        if self._folder.result(key) is not None:  # kept before the claim, after it was looked up
            self._folder.release(key)
            return False
        self._claimed[name] = key
        return True

    def keep(self, name: str, result: HomogenizationResult | Exception) -> None:
        """Let the other servers have the result of a volume."""
        if self._folder is not None and name in self._claimed:
            self._folder.keep(self._claimed.pop(name), result)

    def give_back(self, name: str) -> None:
        """Leave a volume to others."""
        if self._folder is not None and name in self._claimed:
            self._folder.release(self._claimed.pop(name))

    def admit(self, check: Callable[[Unfinished], Unfinished]) -> None:
        """`SharedFolder.admit`, where there is a folder."""
        if self._folder is None:
            check({})
        else:
            self._folder.admit(check)

    def publish(self, unfinished: Unfinished) -> None:
        """`SharedFolder.publish`, where there is a folder."""
        if self._folder is not None:
            self._folder.publish(unfinished)

    def renew(self, unfinished: Callable[[], Unfinished]) -> None:
        """Say now and then that this server is still at its work."""
        if self._folder is not None and self._clock() - self._renewed >= RENEW:
            self._renewed = self._clock()
            self._folder.renew(self._claimed.values())
            self._folder.publish(unfinished())

    def close(self) -> None:
        """Leave everything to others."""
        folder, self._folder = self._folder, None
        if folder is not None:
            for key in self._claimed.values():
                folder.release(key)
            folder.close()


def _key(name: str, materials: TwoPhase | None) -> str:
    return result_key(name.split(maxsplit=1)[0], materials)
