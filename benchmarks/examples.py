"""Four examples of inverse design by the commands `design`, `refine` and `export`: results/examples.json.

    python benchmarks/examples.py [--size 32] [--count 6] [--examples NAME ...] [--folder FOLDER]

Every example is designed, refined with the solver, and its best design exported; the record has, for every
design, its mode, what was asked for by prediction and by the solver, whether it is within the tolerance, and
the solves that it took. `docs/inverse.md` shows the same commands; the tests run them on cells of 16³.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, write_record

from vaereg.cli import main as vaereg
from vaereg.inverse.constraints import Constraints, satisfied
from vaereg.io.designs import read_designs
from vaereg.targets import CellProperties

EXAMPLES: dict[str, list[str]] = {
    "stiff along one axis": [
        *["--materials", "E-glass/epoxy"],
        *["--target", "E_x=20GPa", "--target", "E_y=8GPa", "--target", "E_z=8GPa"],
    ],
    "light cubic titanium": [
        *["--materials", "titanium/void", "--symmetry", "cubic"],
        *["--target", "density=:1.5g/cm3", "--maximize", "E_x"],
    ],
    "conducting, low expansion": [
        *["--materials", "silicon carbide/aluminium"],
        *["--target", "alpha=:12e-6/K", "--maximize", "k_z"],
    ],
    "foam of low Poisson ratio": [
        *["--materials", "aluminium/void"],
        *["--target", "nu=:0.2", "--target", "anisotropy=:0.1", "--target", "E=5GPa:"],
        *["--target", "density=:1.6g/cm3"],
    ],
}
"""Flags of `design` for each example."""
TOLERANCE = 0.01
MAX_SOLVES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--count", type=int, default=6, help="designs of each example")
    parser.add_argument("--max-solves", type=int, default=MAX_SOLVES, help="solves of each design")
    parser.add_argument("--workers", type=int, default=2, help="processes of refinement")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", nargs="+", default=list(EXAMPLES), choices=list(EXAMPLES))
    parser.add_argument("--checkpoint", type=Path, help="trained model (default: the shipped one)")
    parser.add_argument("--folder", type=Path, help="where the files stay (default: nowhere)")
    parser.add_argument("--out", type=Path, help="record to write (default: results/examples.json)")
    arguments = parser.parse_args()
    path = arguments.out or RESULTS / "examples.json"
    figures: dict[str, Any] = json.loads(path.read_text())["figures"] if path.is_file() else {}
    settings: dict[str, object] = {"tolerance": TOLERANCE, "seed": arguments.seed}
    for name in arguments.examples:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            figures[name] = run_example(name, folder, arguments)
        print(name, json.dumps(figures[name]["designs"]))
        write_record("examples", settings, figures, path)


def run_example(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One example by the commands, and what the solver says of its designs."""
    stem = name.replace(",", "").replace(" ", "-")
    made, refined, exported = (folder / f"{stem}{end}" for end in (".h5", "-refined.h5", ".json"))
    model = [] if arguments.checkpoint is None else ["--checkpoint", str(arguments.checkpoint)]
    flags = [*EXAMPLES[name], "--size", str(arguments.size), "--count", str(arguments.count)]
    run("design", *flags, "--seed", str(arguments.seed), "--out", str(made), *model)
    limits = ["--tolerance", str(TOLERANCE), "--max-solves", str(arguments.max_solves)]
    run("refine", str(made), "--out", str(refined), *limits, "--workers", str(arguments.workers), *model)
    stored, before = read_designs(refined), read_designs(made)
    if stored.wanted is None or stored.materials is None or stored.stiffness is None or stored.solves is None:
        raise RuntimeError(f"{refined} lacks what the solver found")
    cells = CellProperties(
        stiffness=stored.stiffness,
        fraction=stored.microstructures.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=stored.materials,
        conductivity=stored.conductivity,
    )
    order = stored.wanted.order(cells, tolerance=TOLERANCE)
    run("export", str(refined), "--index", str(order[0]), "--format", "json", "--out", str(exported))
    if not json.loads(exported.read_text(encoding="utf-8"))["spec_sheet"]["phases"]:
        raise RuntimeError(f"{exported} lacks the specification of the geometry")
    deviation, constraints = (
        stored.wanted.largest_deviation(cells),
        Constraints.from_json(stored.constraints),
    )
    values = cells.values(stored.wanted.names)
    designs = [
        {
            "mode": stored.mode(int(row)),
            "solved": dict(zip(stored.wanted.names, map(rounded, values[row].tolist()), strict=True)),
            "predicted_before": {
                key: rounded(float(column[row]))
                for key, column in before.quantities.items()
                if key in stored.wanted.names
            },
            "largest_deviation": rounded(float(deviation[row])),
            "met": bool(satisfied(stored.microstructures[row], constraints)),
            "solves": int(stored.solves[row]),
        }
        for row in order
    ]
    return {
        "command": flags,
        "size": arguments.size,
        "max_solves": arguments.max_solves,
        "designs": designs,
        "reached": int((deviation <= TOLERANCE).sum()),
        "modes_reached": sorted({stored.mode(int(row)) for row in np.flatnonzero(deviation <= TOLERANCE)}),
    }


def rounded(value: float) -> float | None:
    """Five digits after the point; None where there is no value."""
    return round(float(value), 5) if np.isfinite(value) else None


def run(*arguments: str) -> None:
    """Run a command, which must not fail."""
    if code := vaereg(list(arguments)):
        raise RuntimeError(f"vaereg {' '.join(arguments)} ended with {code}")


if __name__ == "__main__":
    main()
