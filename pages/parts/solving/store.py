"""A store of shared results that forgets the least recently used ones beyond a number and a size.

The store is safe to use from several threads; what it holds is shared and must not be changed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["BoundedStore"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedStore(Generic[Key, Value]):
    """Results by key, at most `max_count` of them and at most `max_bytes` together.

    The last result that was put stays, however large it is.

    Args:
        max_count: Largest number of results.
        max_bytes: Largest sum of their sizes [byte].
        size: Size of a result [byte].
    """

    def __init__(self, *, max_count: int, max_bytes: int, size: Callable[[Value], int]) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key) -> Value | None:
        """Return a result and mark it as used; None where it was never put, removed or forgotten."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Key, value: Value) -> list[Key]:
        """Keep a result, in place of a former one of this key, and return the keys that were forgotten."""
        size = self._size(value)
        forgotten = []
        with self._lock:
            self._discard(key)
            self._values[key] = (value, size)
            self._bytes += size
            while len(self._values) > 1 and (
                len(self._values) > self._max_count or self._bytes > self._max_bytes
            ):
                oldest = next(iter(self._values))
                self._discard(oldest)
                forgotten.append(oldest)
        return forgotten

    def remove(self, key: Key) -> None:
        """Forget a result."""
        with self._lock:
            self._discard(key)

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._values

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)

    @property
    def nbytes(self) -> int:
        """Sum of the sizes of all results [byte]."""
        with self._lock:
            return self._bytes

    def _discard(self, key: Key) -> None:
        if key in self._values:
            self._bytes -= self._values.pop(key)[1]
