"""What a file of another program says of the volume that it holds, on a few lines of ASCII."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg import __version__
from vaereg.io.exporting.provenance import Provenance
from vaereg.io.exporting.solver_inputs import describe_phase
from vaereg.materials import TwoPhase
from vaereg.microstructure.spec_sheet import spec_sheet

__all__ = ["comments_of"]


def comments_of(volume: NDArray[np.uint8], pair: TwoPhase, provenance: Provenance) -> str:
    """Comments that every file should hold: phases, origin, specification of the geometry, recipe.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        pair: The two phases.
        provenance: What is known of the volume.
    """
    lines = [f"vaereg {__version__}: periodic two-phase cell {' x '.join(map(str, volume.shape))}"]
    lines += [
        f"{key}: {describe_phase(phase)}" for key, phase in (("stiff, 1", pair.stiff), ("soft, 0", pair.soft))
    ]
    for title, value in (
        ("name", provenance.name),
        ("made by checkpoint", provenance.made_by),
        ("seed", provenance.seed),
    ):
        if value not in ("", None):
            lines.append(f"{title} {_one_line(str(value))}")
    lines += _sheet_lines(volume, provenance)
    return "\n".join(lines)


def _sheet_lines(volume: NDArray[np.uint8], provenance: Provenance) -> list[str]:
    """The specification of the geometry on a few lines of ASCII; lengths in voxels."""
    sheet = spec_sheet(volume, morphology=provenance.mode)
    lines = [f"class {sheet['class'] or 'unknown'}, volume fraction {sheet['volume_fraction']:.4f}"]
    for name, facts in sheet["phases"].items():
        words = [f"{facts['clusters']} clusters", f"percolates along {facts['percolates'] or 'no axis'}"]
        if "mean_thickness" in facts:
            mean, least = (facts[key]["voxel"] for key in ("mean_thickness", "least_thickness"))
            words.append(f"thickness {mean:.2f} in the mean, {least:.2f} at least [voxel]")
        lines.append(f"{name}: {', '.join(words)}")
    lines.append(f"interface {sheet['area']['voxel²']:.0f} square voxels")
    if "orientation_tensor" in sheet:
        tensor = " ".join(f"{value:.3f}" for row in sheet["orientation_tensor"] for value in row)
        lines.append(f"orientation tensor of its normals {tensor}")
    if provenance.recipe:
        text = json.dumps({key: _rounded(value) for key, value in provenance.recipe.items()})
        lines += [f"recipe {part}" for part in textwrap.wrap(text, 70)]
    return lines


def _rounded(value: Any) -> Any:  # noqa: ANN401
    """Numbers of a recipe to four digits."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _one_line(text: str) -> str:
    return " ".join(text.split())[:80]
