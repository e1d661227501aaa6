"""Iterations against contrast, on one Gaussian field of 32^3 voxels.

    OMP_NUM_THREADS=1 python benchmarks/solver_contrast.py

Writes results/solver_contrast.json.
"""

import numpy as np
from record import PRECISIONS, gaussian_cell, write_record

from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import homogenize

CONTRASTS = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1e3, 1e4, 1e6)
SIZE = 32


def main() -> None:
    cell = gaussian_cell(SIZE)
    figures = []
    for contrast in CONTRASTS:
        materials = TwoPhase.from_moduli(e_stiff=1.0, e_soft=1.0 / contrast)
        row: dict[str, object] = {"contrast": contrast}
        results = {}
        for name, (dtype, rtol) in PRECISIONS.items():
            results[name] = homogenize(cell, materials, rtol=rtol, dtype=dtype, max_iter=2000)
            row[f"iterations_{name}"] = results[name].iterations
        difference = results["float32"].stiffness - results["float64"].stiffness
        row["float32_against_float64"] = float(np.abs(difference).max() / results["float64"].stiffness.max())
        figures.append(row)
        print(row, flush=True)
    settings = {"size": SIZE, "rtol": {name: rtol for name, (_, rtol) in PRECISIONS.items()}}
    print(write_record("solver_contrast", settings, figures))


if __name__ == "__main__":
    main()
