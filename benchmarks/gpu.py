"""Times on one GPU: batches of small cells, large cells, conduction, a training step, designs. Needs no data.

    python benchmarks/gpu.py [--out gpu.json]            under 8 minutes on a card of a data centre
    python benchmarks/gpu.py --device cpu --tiny         checks the script, in seconds

Where muGrid is installed, it solves the same large cells on the same device, to the same tolerance; its
wheels are built without GPUs, so that it must be built from its sources, and needs CuPy.
Prints JSON, after each part to stderr. A part that fails, such as for want of memory, says so, and the others
go on. The times are medians of several calls after one that is not counted; the device is waited for.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from record import PRECISIONS, gaussian_cell, hardware, versions

from vaereg.elasticity import TwoPhase, reuss_bound, voigt_bound
from vaereg.generators.families import family_weights
from vaereg.inverse.direct import design
from vaereg.io.datasets import Dataset, DatasetPlan, LabelledBatch, split_of_seed
from vaereg.materials import Phase
from vaereg.microstructure.volume import pack_bits
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.config import preset
from vaereg.solver.on_torch.conduction import conduct_batch
from vaereg.solver.on_torch.homogenization import homogenize_batch
from vaereg.training.loop import train

AIMS = {"batch of 256 cells of 32³": 0.5, "cell of 128³, float32": 0.5, "cell of 256³, float32": 4.0}
"""Times to reach on an H100, six load cases in float32 at a residual of 1e-4 [s]."""
STATED = "muGrid states 1.99 s for 128³ and 13.2 s for 256³ on an MI300A, at a residual of 1e-6"
CONDUCTORS = TwoPhase(Phase("", 1.0, 0.3, conductivity=1.0), Phase("", 0.02, 0.3, conductivity=0.02))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes: checks that every part runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="file to write as well (JSON)")
    arguments = parser.parse_args()
    device, tiny = arguments.device, arguments.tiny
    record: dict[str, object] = {
        "benchmark": "gpu",
        "hardware": hardware(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "versions": versions(),
        "tiny": tiny,
        "aims_s": AIMS,
        "stated_elsewhere": STATED,
        "figures": {},
    }
    for name, part in parts(device, tiny=tiny).items():
        figures = measured(part, device, arguments.repeats)
        record["figures"] |= {name: figures}  # type: ignore[operator]
        print(f"{name}: {figures}", file=sys.stderr, flush=True)
    text = json.dumps(record, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def parts(device: str, *, tiny: bool) -> dict[str, Callable[[], dict[str, object]]]:
    """Calls that are timed, by name; each returns further facts."""
    small, count = (8, 4) if tiny else (32, 256)
    large = (12,) if tiny else (128, 256)
    result: dict[str, Callable[[], dict[str, object]]] = {}
    cells = np.stack([gaussian_cell(small, seed) for seed in range(count)])
    batch = torch.from_numpy(cells).to(device, torch.float32)
    result[f"batch of {count} cells of {small}³"] = lambda: solved(batch, 1e-4)
    result[f"conduction of {count} cells of {small}³"] = lambda: {
        "iterations": conduct_batch(batch, CONDUCTORS, rtol=1e-4).iterations
    }
    for size in large:
        for dtype, rtol in ((torch.float32, 1e-4), (torch.float64, 1e-6)):
            name = f"cell of {size}³, {str(dtype).removeprefix('torch.')}"
            result[name] = partial(large_cell, size, device, dtype, rtol)
            if find_spec("muGrid") is not None:
                result[f"muGrid, {name}"] = partial(mugrid_cell, size, device, name.rpartition(" ")[2])
    result["training step"] = lambda: training_step(device, tiny=tiny)
    checkpoint = load_checkpoint(None, device)
    size, designs = (16, 2) if tiny else (32, 256)
    result[f"{designs} designs of {size}³"] = lambda: {
        "designs": len(design(checkpoint, {"C11": 60.0}, designs, size).microstructures)
    }
    return result


def solved(phase: torch.Tensor, rtol: float) -> dict[str, object]:
    result = homogenize_batch(phase, rtol=rtol)
    return {"iterations": result.iterations, "rtol": rtol, "C11": float(result.stiffness[0, 0, 0])}


def large_cell(size: int, device: str, dtype: torch.dtype, rtol: float) -> dict[str, object]:
    """One Gaussian field; it is made anew for each call, which takes a small part of the solve."""
    return solved(torch.from_numpy(gaussian_cell(size)[None]).to(device, dtype), rtol)


def mugrid_cell(size: int, device: str, precision: str) -> dict[str, object]:
    """The same cell by muGrid, with its preconditioner of a homogeneous medium."""
    import muGrid
    from solver_alternatives import mugrid

    if device == "cuda" and not muGrid.is_gpu_available():
        raise RuntimeError("expected a muGrid that was built for this GPU, got one that was not")
    stiffness, iterations = mugrid(gaussian_cell(size), TwoPhase(), precision, jacobi=False, device=device)
    return {"iterations": iterations, "rtol": PRECISIONS[precision][1], "C11": float(stiffness[0, 0])}


def training_step(device: str, *, tiny: bool) -> dict[str, object]:
    """Joint training on Gaussian fields; labels are places between the bounds, which take no solve."""
    config = preset("tiny" if tiny else "default")
    settings = dataclasses.replace(config.training, forward_share=0.0, steps=40, held_out=())
    count, size = (4 * settings.batch_size, 8 if tiny else 32)
    volumes = np.stack([gaussian_cell(size, seed) for seed in range(count)])
    fraction = volumes.mean((1, 2, 3))
    seeds = np.arange(count)
    lower, upper = reuss_bound(fraction), voigt_bound(fraction)
    place = np.linspace(0.3, 0.7, count)[:, None, None]
    samples = LabelledBatch(
        microstructures=pack_bits(volumes),
        stiffness=(lower + place * (upper - lower)).astype(np.float32),
        volume_fraction=fraction,
        family=np.full(count, "gaussian-equiaxed"),
        seed=seeds,
    )
    plan = DatasetPlan(
        count=count,
        seed=0,
        size=size,
        families=family_weights(["gaussian-equiaxed"]),
        materials=TwoPhase().moduli(),
        solver_tolerance=1e-4,
        solver_dtype="float32",
        generator_version=0,
    )
    dataset = Dataset(plan=plan, samples=samples, split=np.array([split_of_seed(seed) for seed in seeds]))
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run = dataclasses.replace(config, training=settings)
        train(
            dataset,
            Path(folder),
            run,
            device=device,
            on_progress=lambda *_: ticks.append(time.perf_counter()),
        )
    return {"batch": settings.batch_size, "seconds_per_step": (ticks[-1] - ticks[0]) / 20.0}


def measured(part: Callable[[], dict[str, object]], device: str, repeats: int) -> dict[str, object]:
    """Median time [s] and largest memory [GiB] of a call, or why there is none."""
    try:
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        facts, times = part(), []
        for _ in range(repeats):
            wait(device)
            begin = time.perf_counter()
            part()
            wait(device)
            times.append(time.perf_counter() - begin)
        figures: dict[str, object] = {"seconds": statistics.median(times), **facts}
        if device == "cuda":
            figures["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
        return figures
    except (RuntimeError, ValueError, ImportError, TypeError, AttributeError) as error:
        return {"failed": (str(error).splitlines() or [type(error).__name__])[0]}


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
