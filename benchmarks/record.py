"""What the benchmarks share: cells, timing, and a record of machine, versions and settings."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaereg.generators.families import gaussian_field

RESULTS = Path(__file__).parent / "results"
PRECISIONS = {"float32": (np.float32, 1e-4), "float64": (np.float64, 1e-6)}
"""Precision of the fields and the tolerance that goes with it: labels, verification."""

_PACKAGES = ("vaereg", "numpy", "scipy", "numba", "torch", "muGrid", "scikit-fem", "pyamg")


def gaussian_cell(size: int, seed: int = 0) -> NDArray[np.uint8]:
    """A Gaussian field as in the data set: half stiff, equiaxed, filter width a sixteenth of the cell."""
    width = size / 16.0
    return gaussian_field(size, (width, width, width), 0.5, generator=np.random.default_rng(seed))


def seconds(function: Callable[[], object], repeats: int = 1, *, warm_up: bool = True) -> dict[str, float]:
    """CPU and wall time of one call [s], the least of `repeats`; compiled and loaded before, if `warm_up`."""
    if warm_up:
        function()
    cpu, wall = [], []
    for _ in range(repeats):
        begin = time.process_time(), time.perf_counter()
        function()
        cpu.append(time.process_time() - begin[0])
        wall.append(time.perf_counter() - begin[1])
    return {"cpu_s": min(cpu), "wall_s": min(wall)}


def write_record(name: str, settings: dict[str, object], figures: object, path: Path | None = None) -> Path:
    """Write `results/<name>.json`, or another file."""
    RESULTS.mkdir(exist_ok=True)
    path = path or RESULTS / f"{name}.json"
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(),
        "settings": settings,
        "figures": figures,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def hardware() -> dict[str, object]:
    """Processor, cores, memory, and how busy the machine is."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": " / ".join(sorted(names)) or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(),
        "load_average": [round(item, 2) for item in os.getloadavg()],
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "real_time": hasattr(os, "SCHED_FIFO") and os.sched_getscheduler(0) == os.SCHED_FIFO,  # chrt -f
    }


def versions() -> dict[str, str]:
    """Python and the packages that are installed."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package] = version(package)
        except PackageNotFoundError:
            continue
    return result
