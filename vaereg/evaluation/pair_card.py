"""The part of the model card on any two phases, from the records of `benchmarks/materials.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaereg.evaluation.markdown import markdown_table

__all__ = ["pair_section"]

_KINDS = {
    "contrast": "contrast of Young's moduli",
    "poisson": "larger Poisson ratio",
    "size": "voxels per edge",
    "class": "class",
}
_HEAD = ("volumes", "iterations", "mean", "median", "bound, mean", "bound, median", "E", "ν", "90 %", "novel")


def pair_section(
    measured: Mapping[str, Any],
    held_out: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> str:
    """Errors by contrast, Poisson ratio, size and class, of both residuals, of classes left out, and without
    any iteration of a solver.

    Args:
        measured: Record of `benchmarks/materials.py measure`.
        held_out: Record of `benchmarks/materials.py held-out`.
        encoder: Record of `benchmarks/materials.py encoder`.
    """
    figures = measured["figures"]
    (residual, careful), *others = figures.items()
    parts = [
        _TEXT.format(
            checkpoint=measured["settings"]["checkpoint"], count=careful["all"]["volumes"], residual=residual
        ),
        _rows("", {"all": careful["all"]}),
    ]
    parts += [_rows(title, careful[kind]) for kind, title in _KINDS.items()]
    for other, groups in others:
        parts += [f"The same stopped at {other}, by contrast:", _rows(_KINDS["contrast"], groups["contrast"])]
    if held_out is not None:
        names = ", ".join(held_out["settings"]["classes"])
        count = held_out["settings"]["training labels"]
        parts += [
            f"Trained without {names} ({count} labels), on volumes of these alone:",
            _rows("", {"all": held_out["figures"]["all"]}),
            _rows(_KINDS["contrast"], held_out["figures"]["contrast"]),
        ]
    if encoder is not None:
        parts += [
            _ENCODER.format(**encoder["settings"]),
            markdown_table(
                (_KINDS["contrast"], "volumes", "mean", "median"),
                [
                    (name, row["volumes"], f"{row['mean']:.1%}", f"{row['median']:.1%}")
                    for name, row in encoder["figures"].items()
                ],
            ),
        ]
    return "\n\n".join(parts)


def _rows(title: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for name, row in groups.items():
        shares = [row[key] for key in ("mean", "median", "upper_mean", "upper_median", "young")]
        rows.append(
            (
                name,
                row["volumes"],
                f"{row['iterations']:.1f}",
                *(f"{share:.2%}" for share in shares),
                f"{row['poisson']:.4f}",
                f"{row['coverage_90']:.0%}",
                f"{row['novel']:.0%}",
            )
        )
    return markdown_table((title, *_HEAD), rows)


_TEXT = """\
## Forward: any two phases

Regressor `{checkpoint}`, by `python benchmarks/materials.py measure`: {count} volumes that it was not trained
on, of thirteen classes and sizes of 16³ to 64³, each with a pair of its own; cells that carry no load in some
direction have no relative error and are left out. The solver iterates until the relative residual and the
residual over the bound are {residual}. Errors are relative Frobenius errors of the stiffness against the
solver, beside those of the upper bound alone; E: mean relative error of E_x, E_y, E_z; ν: mean error of the
Poisson ratios; 90 %: share of C11 to C66 inside the predicted interval; novel: share that is flagged."""

_ENCODER = """\
The encoder alone, of the checkpoint `{checkpoint}`, by `python benchmarks/materials.py encoder`: what it
says of {volumes} test volumes with the reference pair, moved to a random pair by the map of the modes. No
solver iterates. Mean relative error of C11 ... C66 of each volume; the means are led by cells whose soft
walls nearly cut."""
