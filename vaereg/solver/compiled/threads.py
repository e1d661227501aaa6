"""Threads that share the work on one large cell; small cells, of which many are solved, take one each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

from vaereg.workers import cell_threads

__all__ = ["parts_of", "share"]

Result = TypeVar("Result")

LEAST_NUMBERS = 2**20
"""Real numbers of a packed field from which threads share it: a cell of 56³; handing work to a thread costs
some 50 µs, and such a cell takes 20 ms an iteration."""


def parts_of(numbers: int, length: int, step: int = 1) -> list[tuple[int, int]]:
    """Begin and end of the parts of one axis that threads share.

    Args:
        numbers: Real numbers of the whole field, which say whether it is worth sharing.
        length: Length of the axis.
        step: All parts but the last are multiples of it, and no part is shorter than two of it.
    """
    threads = cell_threads() if numbers >= LEAST_NUMBERS else 1
    count = max(1, min(threads, length // (2 * step)))
    edges = [length * part // count // step * step for part in range(count)] + [length]
    return list(pairwise(edges))


def share(function: Callable[[int, int], Result], parts: list[tuple[int, int]]) -> list[Result]:
    """Results of a function of begin and end for each part, in order; the function releases the GIL."""
    if len(parts) == 1:
        return [function(*parts[0])]
    futures = [_pool(os.getpid()).submit(function, *part) for part in parts[1:]]
    first = function(*parts[0])
    return [first, *(future.result() for future in futures)]


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads of this process; one that was forked has none of its parent's."""
    del process
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="cell")
