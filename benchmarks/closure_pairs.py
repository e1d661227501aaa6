"""Picture of what the volumes of the modes reach with other phases: docs/closure-pairs.png.

Run `python benchmarks/closure_pairs.py [--checkpoint FILE] [--out FILE]`. The stiffness of each volume of the
library is moved from the reference pair to another one by the map of the checkpoint: nothing is solved.
"""

import argparse
from pathlib import Path

import numpy as np
from families import DOCS, save
from matplotlib.figure import Figure

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.materials import choose_materials
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from vaereg.model.modes.materials import stiffness_at

PAIRS = ("E-glass/epoxy", "silicon carbide/aluminium", "steel/void")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--out", type=Path, default=DOCS / "closure-pairs.png")
    arguments = parser.parse_args()
    modes = load_checkpoint(arguments.checkpoint).modes
    if modes is None:
        raise SystemExit("expected a checkpoint with modes, whose map leads to other phases")
    library, shares = modes.library, np.linspace(0.0, 1.0, 201)
    figure = Figure(figsize=(10.8, 4.0), dpi=110)
    for axes, name in zip(figure.subplots(1, len(PAIRS)), PAIRS, strict=True):
        pair = choose_materials(name).pairs[0]
        low, high = (
            np.array([bound(share, pair)[0, 0] for share in shares]) for bound in (reuss_bound, voigt_bound)
        )
        stiffness = stiffness_at(modes.elastic_map, library.stiffness, library.fraction, pair)
        axes.plot(low, high, "k-", lw=1.0)
        axes.plot(high, low, "k-", lw=1.0)
        axes.scatter(stiffness[:, 0, 0], stiffness[:, 1, 1], s=2.0, c=library.fraction, linewidths=0.0)
        axes.set(title=name, xlabel="C11 [GPa]", xlim=(0.0, None), ylim=(0.0, None), aspect="equal")
    figure.axes[0].set_ylabel("C22 [GPa]")
    figure.tight_layout()
    save(figure, arguments.out)


if __name__ == "__main__":
    main()
