"""The part of the model card on named modes, from the figures of `vaereg.evaluation.modes.figures`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaereg.evaluation.markdown import markdown_table
from vaereg.model.modes.catalogue import MODE_NAMES

__all__ = ["mode_section"]

_KINDS = {
    "isotropic": "nearly isotropic",
    "any": "any",
    "pairs": "any, random pairs",
}
_VOLUMES = {
    "real": "real",
    "decoded": "decoded",
    "designs": "designs, raw",
    "corrected": "designs, corrected",
}
_JUDGES = {"generators": "own", "independent": "independent"}
_STATISTICS = {
    "two_point": "two-point correlation",
    "lineal_path": "lineal path",
    "specific_surface": "specific surface",
}


def mode_section(figures: Mapping[str, Any]) -> str:
    """Recognition, modes per target, errors, diversity, and decoded beside real volumes.

    Args:
        figures: What `mode_figures.mode_figures` returned.
    """
    coverage, vendi = figures["coverage"], figures["vendi"]
    score = "none" if vendi["score"] is None else f"{vendi['score']:.1f}"
    number = "none" if vendi["designs"] is None else f"{vendi['designs']:.1f}"
    return "\n\n".join(
        [
            _HEAD.format(**figures),
            _recognition(figures["recognition"]),
            _DESIGNS.format(**figures),
            _targets(figures),
            _by_mode(figures),
            _DIVERSITY.format(
                **{name: coverage[name] for name in ("recognised", "volumes")}, score=score, number=number
            ),
            _DECODED.format(**figures),
            _decoded(figures["decoded"]),
        ]
    )


def _recognition(figures: Mapping[str, Any]) -> str:
    columns = [(judge, kind) for judge in _JUDGES for kind in _VOLUMES if kind in figures[judge]]
    rows = []
    for name in MODE_NAMES:
        cells = []
        for judge, kind in columns:
            rates = figures[judge][kind]["by_mode"].get(name)
            cells.append("" if rates is None else f"{rates['recognised']} of {rates['volumes']}")
        rows.append((name, *cells))
    shares = [figures[judge][kind] for judge, kind in columns]
    rows.append(
        (
            "**all**",
            *(f"**{100 * item['share']:.0f} ± {100 * item['standard_error']:.0f} %**" for item in shares),
        )
    )
    return markdown_table(("mode", *(f"{_VOLUMES[kind]}, {_JUDGES[judge]}" for judge, kind in columns)), rows)


def _targets(figures: Mapping[str, Any]) -> str:
    kinds = [kind for kind in _KINDS if "raw" in figures[kind]]
    rows: list[tuple[object, ...]] = [
        ("targets", *(figures[kind]["targets"] for kind in kinds)),
        ("of these refused", *(figures[kind]["refused"] for kind in kinds)),
        ("modes tried per target", *(f"{figures[kind]['modes_tried']:.1f}" for kind in kinds)),
    ]
    for key, label, format_spec in (
        ("modes_near", "modes with a design within 5 %", ".1f"),
        ("share_with_several", "targets with at least three such modes", ".0%"),
        ("largest_all", "largest deviation, all designs", ".1%"),
        ("largest_best", "largest deviation, best by prediction", ".1%"),
        ("mean_all", "mean deviation, all designs", ".1%"),
        ("mean_best", "mean deviation, best by prediction", ".1%"),
    ):
        values = (
            [f"{figures[kind][state][key]:{format_spec}}" for state in ("raw", "corrected")] for kind in kinds
        )
        rows.append((label, *(" / ".join(pair) for pair in values)))
    distances = []
    for kind in kinds:
        within, across = figures[kind]["two_point_within"], figures[kind]["two_point_across"]
        distances.append("" if not within or across is None else f"{across / within:.1f}")
    rows.append(("two-point distance, across over within modes", *distances))
    return markdown_table(("targets: raw / corrected", *(_KINDS[kind] for kind in kinds)), rows)


def _by_mode(figures: Mapping[str, Any]) -> str:
    kinds = [kind for kind in _KINDS if "raw" in figures[kind]]
    rows = []
    for name in MODE_NAMES:
        cells = []
        for kind in kinds:
            raw = figures[kind]["raw"]["by_mode"].get(name)
            corrected = figures[kind]["corrected"]["by_mode"].get(name)
            if raw is None or corrected is None:
                cells += ["0", "", ""]
                continue
            cells += [
                str(raw["targets"]),
                f"{raw['near']} / {corrected['near']}",
                f"{raw['largest']:.1%} / {corrected['largest']:.1%}",
            ]
        rows.append((name, *cells))
    head = [
        column
        for kind in kinds
        for column in (f"{_KINDS[kind]}: targets tried", "met within 5 %", "median of the largest deviation")
    ]
    return markdown_table(("mode: raw / corrected", *head), rows)


def _decoded(figures: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            item["volumes"],
            f"{item['decoded']['volume_fraction']:.3f}",
            *(
                f"{item['decoded'][key]:.3f} / {item['real'][key]:.3f}"
                + ("" if item["ratio"][key] is None else f" = {item['ratio'][key]:.1f}")
                for key in _STATISTICS
            ),
        )
        for name, item in figures.items()
    ]
    return markdown_table(("class", "volumes", "volume fraction", *_STATISTICS.values()), rows)


_HEAD = """\
## Modes: recognition

Volumes of {size}³ voxels. Real: unseen volumes of the {split} split, every class alike; decoded: from the
encoding of each; designs: for C11, C22 and C33 of unseen volumes with the reference pair. Recognised: by a
classifier that was trained on volumes of the generators (own), and by one that was trained on quite other
generators of the same classes (independent), see [recognition.md](recognition.md). The built modes place
their points, layers and bodies as the generators do, so recognition by the own classifier is partly by
construction; the independent one is to be read against what it names of real volumes. ± is a binomial
standard error."""

_DESIGNS = """\
## Modes: designs

Asked for are C11, C22 and C33 of unseen volumes; each mode that reaches a target makes some of its designs.
Raw: as the modes make them; corrected: after {corrections} corrections without a solve. Deviations are the
solver's, relative to the target, of the property that is worst (largest) or over the three (mean); medians
over designs, or over targets of the design that the regressor holds for best. Random pairs have contrasts
of 1 to 10,000, or a void."""

_DIVERSITY = """\
Coverage: of {volumes} unseen volumes, the designs for the properties of {recognised} include one that is
recognised as of the volume's own mode. Vendi score of the corrected designs within 2 % of a target, in the
mean over targets: {score}, of {number} designs."""

_DECODED = """\
## Modes: decoded beside real volumes

Distance of an unseen volume from those decoded from its encoding / from other real ones of the same
parameters = their ratio, left out where the parameters leave nothing open. Medians over {realisations} of
each a volume; root mean square differences of the two-point correlation and of the lineal path of both
phases, relative ones of the specific surface. The periodic classes (tpms, lattice) decode the parameters of
the recipe, since their mode has no encoder."""
