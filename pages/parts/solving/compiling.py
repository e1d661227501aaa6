"""Compiled kernels of a server: where they are missing, a process of its own compiles them, once per machine.

Compiling holds a lock of numba and Python's: in the server itself it would keep everything else waiting.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np

from vaereg.materials import Phase, TwoPhase

__all__ = ["DECODING", "EDGE", "SOLVING", "Kernels", "compile_kernels", "server_kernels", "solve_something"]

EDGE = 32
"""Edge of the cells that the pages show unasked [voxel]."""
DECODING, SOLVING = "decoding", "solving"
"""What the process says once these kernels are compiled."""
NICENESS = 10
"""Niceness of compiling what the first designs, which are made and drawn meanwhile, do not wait for: beside
these on every core a tenth of one by the weights of Linux' scheduler (110 to 1024), else all of one."""
_ROUGH = 1e-2
"""Relative residual of solves that are made for their kernels [-]."""
_log = logging.getLogger(__name__)


class Kernels:
    """Whether the kernels of a server are compiled."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._under_way: set[str] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def are_missing(self) -> bool:
        """Whether some are to be compiled before they can be used; nobody may have begun with it."""
        return _are_missing()

    def prepare(self) -> threading.Thread:
        """Compile what is missing, and load it, in a thread that is begun once."""
        with self._lock:
            if self._thread is None:
                if _are_missing():
                    self._begun, self._under_way = time.monotonic(), {DECODING, SOLVING}
                self._thread = threading.Thread(target=self._prepare, name="kernels", daemon=True)
                self._thread.start()
            return self._thread

    def are_ready(self, what: str = SOLVING) -> bool:
        """Whether nobody compiles those for decoding, or for solving."""
        return what not in self._under_way

    @property
    def words(self) -> str:
        """Sentence on the kernels that are being compiled; empty where all are."""
        if not self._under_way:
            return ""
        seconds = time.monotonic() - self._begun
        return f"Compiling the solver, once on this machine: {seconds:.0f} s"

    def _prepare(self) -> None:
        if self._under_way:
            try:
                self._compile_apart()
            except OSError as error:
                _log.warning("kernels are compiled in the server: %s", error)
            self._under_way = set()
        solve_something()

    def _compile_apart(self) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import compile_kernels as c; c()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                self._under_way = self._under_way - {line.strip()}


@cache
def server_kernels() -> Kernels:
    """The kernels of this server."""
    return Kernels()


def compile_kernels() -> None:
    """Call the kernels for decoding, then those for solving, once each, and say so line by line."""
    from vaereg.generators.morphologies import sample
    from vaereg.generators.periodic import LATTICES, lattice_field
    from vaereg.generators.points import separated_points
    from vaereg.model.modes.constructive.nearest import nearest_bodies, nearest_points
    from vaereg.solver.bounds import bound_stiffness

    numbers = np.random.default_rng(0)
    box = np.full(3, 8.0)
    points = separated_points(box, 4, distance=2.0, generator=numbers).astype(np.float32)
    places = np.stack(np.meshgrid(*[np.arange(8.0)] * 3, indexing="ij")).astype(np.float32)
    edges = box.astype(np.float32)
    nearest_points(places, points, edges, np.zeros(len(points), np.float32), 2)
    lattice_field(next(iter(LATTICES)), box, np.ones(3), 8, np.zeros(3))
    print(DECODING, flush=True)
    if sys.platform != "win32":
        os.nice(NICENESS)
    bound_stiffness(
        _laminate(), TwoPhase(), residual=_ROUGH, max_iter=4, sensitivities=True, lower_bound=True
    )
    solve_something()
    print(SOLVING, flush=True)
    solve_unlike_phases()
    nearest_bodies(places, points, np.ones_like(points), edges, np.full(len(points), 2.0, np.float32), False)
    sample("fibres", 16, generator=numbers)  # shown by the Explore page


def solve_something() -> None:
    """Solve a laminate as large as the cells of the pages, whose transforms have kernels of their own."""
    from vaereg.solver.homogenization import homogenize

    homogenize(_laminate(), rtol=_ROUGH, dtype=np.float32)


def solve_unlike_phases() -> None:
    """Solve a laminate of phases with unlike Poisson ratios, with each element, and its conduction: the
    kernels that a pair of the user's own needs besides.
    """
    from vaereg.solver.conduction import conduct
    from vaereg.solver.homogenization import homogenize

    pair = TwoPhase(Phase("", 1.0, 0.49, conductivity=1.0), Phase("", 1e-3, 0.2, conductivity=0.1))
    for element in ("hex8", "bbar"):
        homogenize(_laminate(), pair, rtol=_ROUGH, dtype=np.float32, element=element)
    conduct(_laminate(), pair, rtol=_ROUGH, dtype=np.float32)


def _laminate() -> np.ndarray:
    return (np.ones((EDGE, EDGE, EDGE)) * (np.arange(EDGE) % 2)).astype(np.uint8)


def _are_missing() -> bool:
    """Whether numba has kept no code of a kernel for decoding, of one for solving, or of one for a pair of
    unlike Poisson ratios.
    """
    from vaereg.generators.periodic import _bar_distance
    from vaereg.solver.compiled.bulk import _transform
    from vaereg.solver.compiled.kernels import _apply_to_cubes

    for kernel in (_bar_distance, _apply_to_cubes, _transform):
        kept = getattr(getattr(kernel, "_cache", None), "cache_path", None)
        line = kernel.py_func.__code__.co_firstlineno
        if kept is not None and not any(Path(kept).glob(f"*.{kernel.__name__}-{line}.*.nbi")):
            return True
    return False
