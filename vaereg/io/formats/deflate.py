"""Bounds of deflated data, checked before a library inflates it."""

from __future__ import annotations

import zlib

from vaereg.errors import InputError

__all__ = ["DEFLATE_RATIO", "check_inflated", "first_line", "may_burst"]

DEFLATE_RATIO = 1032
"""Largest ratio of inflated to deflated bytes (zlib's technical details, "Maximum Compression Factor")
[-]."""
_SLACK = 2**20
"""Bytes that data may take beyond what it declares."""
_STEP = 2**20
"""Bytes that are inflated at a time."""


def may_burst(stored_bytes: int, nominal: int, ratio: int = DEFLATE_RATIO) -> bool:
    """Whether compressed data of `stored` bytes could become clearly more than `nominal` bytes."""
    return stored_bytes * ratio > 4 * nominal + _SLACK


def check_inflated(raw: bytes, expected: int, where: str) -> None:
    """Refuse deflated data that inflates to more than `expected` bytes, at the cost of that many."""
    engine = zlib.decompressobj()
    length = 0
    try:
        while raw and length <= expected:
            length += len(engine.decompress(raw, min(expected + 1, _STEP)))
            raw = engine.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{where}: expected zlib-compressed data, got damaged data") from error
    if length > expected:
        raise InputError(f"{where}: expected {expected} bytes of data, got more when inflated")


def first_line(error: Exception) -> str:
    """First line of the message of a library."""
    lines = str(error).strip("'\"").splitlines() or [type(error).__name__]
    return lines[0][:200]
