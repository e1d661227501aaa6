"""What sensitivities, warm starts and the mesh check cost and save at 32^3 voxels; two FFTs compared.

    OMP_NUM_THREADS=1 python benchmarks/solver_features.py

Writes results/solver_features.json. Times are compared within one run, call by call in turn.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from record import PRECISIONS, gaussian_cell, seconds, write_record
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import unpack_symmetric
from vaereg.solver.cell import Cell
from vaereg.solver.compiled import kernels
from vaereg.solver.grid_check import mesh_check
from vaereg.solver.homogenization import HomogenizationResult, homogenize

SIZE = 32
REPEATS = 10


def in_turn(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least CPU seconds of each, called alternately."""
    for function in functions.values():
        function()
    rounds = [
        {name: seconds(function, warm_up=False)["cpu_s"] for name, function in functions.items()}
        for _ in range(REPEATS)
    ]
    return {name: min(item[name] for item in rounds) for name in functions}


def sensitivities() -> list[dict[str, object]]:
    """Share of the sensitivities in the time of a solve, and their error against a tight solve."""
    cell = gaussian_cell(SIZE)
    exact = homogenize(cell, rtol=1e-9, sensitivities=True).sensitivity
    rows = []
    for name, (dtype, rtol) in PRECISIONS.items():

        def solve(with_them: bool, dtype: type = dtype, rtol: float = rtol) -> HomogenizationResult:
            return homogenize(cell, rtol=rtol, dtype=dtype, sensitivities=with_them)

        time = in_turn({"without_s": lambda: solve(False), "with_s": lambda: solve(True)})
        error = np.linalg.norm(solve(True).sensitivity - exact) / np.linalg.norm(exact)
        rows.append(
            {
                "precision": name,
                **time,
                "added": time["with_s"] / time["without_s"] - 1.0,
                "relative_error": float(error),
            }
        )
    return rows


def finite_differences() -> float:
    """Largest relative difference of dC / d phase from central differences, 12 voxels of a graded cell."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0.1, 0.9, (8, 8, 8))
    actual = unpack_symmetric(homogenize(phase, rtol=1e-10, sensitivities=True).sensitivity)
    worst, step = 0.0, 1e-3
    for index in rng.integers(0, 8, (12, 3)):
        change = np.zeros(phase.shape)
        change[tuple(index)] = step
        above, below = (homogenize(phase + sign * change, rtol=1e-10).stiffness for sign in (1.0, -1.0))
        expected = (above - below) / (2.0 * step)
        difference = np.abs(actual[(..., *index)] - expected).max() / np.abs(expected).max()
        worst = max(worst, float(difference))
    return worst


def warm_starts() -> list[dict[str, object]]:
    """Iterations from zero and from the solution of a similar cell."""
    rng = np.random.default_rng(0)

    def smooth() -> NDArray[np.float64]:
        noise = gaussian_filter(rng.standard_normal((SIZE,) * 3), 2.0, mode="wrap")
        return (noise - noise.min()) / np.ptp(noise)

    first, second = smooth(), smooth()
    rows = []
    for kind in ("graded", "binary"):
        for change in (0.03, 0.01, 0.003, 0.001):
            before, after = first, np.clip(first + change * (second - 0.5), 0.0, 1.0)
            if kind == "binary":
                before, after = (before > 0.5).astype(float), (after > 0.5).astype(float)
            row = {"kind": kind, "change": change, "mean_phase_change": float(np.abs(after - before).mean())}
            for name, (dtype, rtol) in PRECISIONS.items():
                start = homogenize(before, rtol=rtol, dtype=dtype, keep_displacement=True).displacement
                row[f"cold_{name}"] = homogenize(after, rtol=rtol, dtype=dtype).iterations
                row[f"warm_{name}"] = homogenize(after, rtol=rtol, dtype=dtype, initial=start).iterations
            rows.append(row)
    return rows


def torch_fft(self: Cell, residual: NDArray[np.float32]) -> NDArray[np.float32]:
    """The preconditioner with torch's FFT (MKL)."""
    single = torch.from_numpy(residual).view(torch.complex64)
    modes = torch.fft.fftn(single, dim=(1, 2, 3))
    kernels.apply_green(self.green, modes.view(-1).numpy().view(np.float32).reshape(3, -1))
    return torch.fft.ifftn(modes, dim=(1, 2, 3)).numpy().view(np.float32)


def fourier_transforms() -> list[dict[str, object]]:
    """Whole solves with SciPy's and with torch's FFT."""
    cell = gaussian_cell(SIZE)
    scipy_fft = Cell.invert
    rows = []
    for name, (dtype, rtol) in PRECISIONS.items():

        def solve(fft: Callable, dtype: type = dtype, rtol: float = rtol) -> None:
            Cell.invert = fft
            homogenize(cell, rtol=rtol, dtype=dtype)

        time = in_turn({"scipy_s": lambda: solve(scipy_fft), "torch_s": lambda: solve(torch_fft)})
        rows.append({"precision": name, **time, "ratio": time["scipy_s"] / time["torch_s"]})
    Cell.invert = scipy_fft
    return rows


def grid_dependence() -> dict[str, object]:
    """Change of the stiffness on the grid refined by two."""
    check = mesh_check(gaussian_cell(SIZE), rtol=1e-4, dtype=np.float32)
    return {
        "change": check.change.tolist(),
        "iterations": [check.coarse.iterations, check.fine.iterations],
    }


def main() -> None:
    torch.set_num_threads(1)
    figures = {
        "sensitivities": sensitivities(),
        "sensitivities_against_central_differences": finite_differences(),
        "warm_starts": warm_starts(),
        "fourier_transforms": fourier_transforms(),
        "mesh_check": grid_dependence(),
    }
    print(figures)
    settings = {"size": SIZE, "contrast": 50, "repeats": REPEATS}
    print(write_record("solver_features", settings, figures))


if __name__ == "__main__":
    main()
