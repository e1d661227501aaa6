"""What several commands tell and write: progress, how a file was read, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vaereg.console import tell

if TYPE_CHECKING:
    from vaereg.io.importing import ImportedVolume
    from vaereg.targets import CellProperties, Targets

__all__ = [
    "deviation_words",
    "iteration_progress",
    "progress",
    "tell_reading",
    "tell_seams",
    "write_json",
    "write_text",
]

_NEAR = 0.02
"""Largest deviation at which the objectives of a design are told, unless none is as near [-]."""
_SETTLED = 0.25
"""Time since something was done for the first time, over the time before, from which a rate is known [-]."""
_SECONDS = 5.0
"""Time between two reports of one solve [s]."""


def progress(command: str, unit: str) -> Callable[[int, int], None]:
    """Report progress on stderr, at most twice a second: what is done, the rate and the time left.

    The rate is that since something was done for the first time: before, processes start and code is
    compiled. Until a quarter of that time has passed once more, the rate with it is a lower limit.
    """
    start: tuple[int, float] | None = None
    begun: tuple[int, float] | None = None
    last = -1.0

    def report(done: int, total: int) -> None:
        nonlocal start, begun, last
        now = time.monotonic()
        if start and done < total and now - last < 0.5:
            return
        start, last = start or (done, now), now
        if begun is None and done > start[0]:
            begun = done, now
        is_known = begun is not None and now - begun[1] >= _SETTLED * (begun[1] - start[1])
        number, moment = begun if begun and is_known and done < total else start
        rate = (done - number) / (now - moment) if now > moment else 0.0
        tell(f"{command}: {done}/{total} {unit}{_pace(rate, total - done, is_known=is_known)}")

    return report


def _pace(rate: float, left: int, *, is_known: bool) -> str:
    """Rate [1/s] and the time that is left, in words; empty where nothing is done yet."""
    if rate <= 0.0:
        return ""
    pace = f"{rate:.1f}/s" if rate >= 1.0 else f"{1.0 / rate:.1f} s each"
    if not left:
        return f", {pace}"
    seconds = left / rate
    words = f"{seconds:.0f} s" if seconds < 60.0 else f"{seconds / 60.0:.1f} min"
    return f", {pace}, {words} left" if is_known else f", at most {words} left"


def deviation_words(targets: Targets, cells: CellProperties) -> str:
    """How near designs come to what is asked for, in words: the best and the median deviation, and how far
    objectives get in the designs that are near in all else.
    """
    import numpy as np

    from vaereg.inverse.idle import carries
    from vaereg.targets import QUANTITIES, percent_off

    off = targets.largest_deviation(cells)
    usable = carries(targets, cells) & np.isfinite(off)
    if not usable.any():
        return "none has all that is asked for"
    words = []
    if any(item.is_bounded for item in targets):
        best, middle = float(off[usable].min()), float(np.median(off[usable]))
        words.append(f"the best is {percent_off(best)}, the median {percent_off(middle)}")
    near = usable & (off <= max(_NEAR, float(off[usable].min())))
    for item in targets.objectives:
        values = cells.values([item.name])[near, 0]
        best = values.max() if item.goal == "max" else values.min()
        direction = "up to" if item.goal == "max" else "down to"
        unit = QUANTITIES[item.name].unit_after
        words.append(f"{item.name} {direction} {best:.4g}{unit}, median {np.median(values):.4g}{unit}")
    return "; ".join(words)


def iteration_progress(command: str) -> Callable[[int, float], None]:
    """Report a solve that takes long on stderr, every five seconds: load cases that are done, residual."""
    last = time.monotonic()

    def report(solved: int, residual: float) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS:
            last = time.monotonic()
            tell(f"{command}: {solved} of 6 load cases solved, residual {residual:.1e}")

    return report


def tell_reading(command: str, path: Path, imported: ImportedVolume) -> None:
    """Tell on stderr how a file was taken, once nothing more can be wrong with it."""
    tell(f"{command}: {path} read as {imported.read_as.sentence()}")


def tell_seams(command: str, imported: ImportedVolume) -> None:
    """Tell on stderr of volumes whose opposite faces do not fit together: a solver sees a jump there."""
    from vaereg.microstructure.segmentation import face_mismatch

    for number, volume in enumerate(imported.volumes):
        mismatch = face_mismatch(volume)
        if not mismatch.periodic:
            tell(
                f"{command}: volume {number} is not periodic: {mismatch.words()}; --mirror "
                f"solves it without a jump "
                "and says how much that matters"
            )


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, as a whole or not at all."""
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except ValueError as error:
        raise RuntimeError("a result is not a finite number") from error
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, as a whole or not at all."""
    from vaereg.io.files import replace_file

    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
