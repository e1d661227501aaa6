"""The model card: what a checkpoint is, and the figures of `vaereg.evaluation.figures`, in Markdown."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.evaluation.markdown import markdown_table
from vaereg.evaluation.modes.card import mode_section
from vaereg.evaluation.records import comparable_baselines, comparable_runs, least_r2, typical_ratios
from vaereg.model.checkpoint import Checkpoint

__all__ = ["compact_json", "model_card"]

_TIERS = {
    "pairs": "regressor for any pair (`predict`)",
    "guided": "physics-guided regressor",
    "encoder": "encoder's regressor",
}
_TRIALS = {"inverse_one": "C11", "inverse": "C11, C22, C33", "inverse_six": "all six"}
_STATISTICS = {
    "two_point": "two-point correlation",
    "lineal_path": "lineal path",
    "specific_surface": "specific surface",
}


def model_card(
    checkpoint: Checkpoint,
    metrics: Mapping[str, Any],
    baselines: Mapping[str, Any] | None = None,
    *,
    pairs: str = "",
) -> str:
    """Model card in Markdown.

    Args:
        checkpoint: The model.
        metrics: What `vaereg.evaluation.figures.evaluate` returned for it.
        baselines: Record of `benchmarks/baselines.py`: other models, trained and tested on the same data.
        pairs: The part on any two phases, if there is one (`vaereg.evaluation.pair_card`).

    Raises:
        InputError: The metrics are of another checkpoint.
    """
    if metrics["checkpoint"] != checkpoint.hash:
        raise InputError(f"expected metrics of checkpoint {checkpoint.hash}, got {metrics['checkpoint']}")
    comparable = comparable_baselines(metrics, baselines)
    return "\n\n".join(
        [
            _HEAD.format(checkpoint=checkpoint.hash, facts=markdown_table(("", ""), checkpoint.card.items())),
            *_forward(metrics, comparable, {} if baselines is None else baselines["settings"]),
            *_held_out(metrics, comparable),
            *([pairs] if pairs else []),
            *_calibration(metrics),
            *_components(metrics["components"]),
            *_decoder(metrics["decoder"]),
            *_inverse(metrics, comparable_runs(checkpoint.hash, checkpoint.card, baselines)),
            *([mode_section(metrics["modes"])] if "modes" in metrics else []),
            *_times(metrics),
            _limits(checkpoint),
            f"## Configuration\n\n```json\n{compact_json(dataclasses.asdict(checkpoint.config))}\n```\n",
        ]
    )


def compact_json(content: object) -> str:
    """JSON with one line per entry, lists of numbers on one line.

    Raises:
        InputError: A number is not finite.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    return re.sub(r"\[[\s\d.,eE+-]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text)


def _forward(metrics: Mapping[str, Any], others: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    forward, data = metrics["forward"], metrics["data"]
    rows = {label: forward[tier] for tier, label in _TIERS.items()}
    rows |= {name: item["test"] for name, item in others.items()}
    if "volume fraction" not in rows:
        rows["volume fraction"] = forward["volume_fraction_only"]
    by_property = [
        (
            label,
            *(f"{figures['mape'][name]:.2%}" for name in PROPERTIES),
            f"**{figures['mape_axial']:.2%}**",
            least_r2(figures) or "",
            _span(figures.get("coverage_90", {}).values()),
        )
        for label, figures in rows.items()
    ]
    families = {
        label: figures["mape_axial_by_family"]
        for label, figures in rows.items()
        if "mape_axial_by_family" in figures
    }
    parts = [
        _FORWARD.format(**data),
        markdown_table(("", *PROPERTIES, "C11, C22, C33", "least R²", "90 % interval"), by_property),
        "Error over C11, C22, C33 by family:",
        _by_family(families),
    ]
    budgets = [f"{name}: {_settings(item['settings'])}" for name, item in others.items()]
    if budgets:
        text = "Baselines, by `python benchmarks/baselines.py`. " + "; ".join(budgets) + "."
        if (tested := settings.get("test_volumes", data["volumes"])) != data["volumes"]:
            text += f" They were tested on {tested} volumes of the same data set, taken to another length."
        parts.append(textwrap.fill(text, 110, break_on_hyphens=False))
    return parts


def _held_out(metrics: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    if "held_out" not in metrics:
        return []
    result = metrics["held_out"]
    columns = {label: result[tier]["mape_axial_by_family"] for tier, label in _TIERS.items()}
    columns |= {
        name: item["held_out"]["mape_axial_by_family"] for name, item in others.items() if "held_out" in item
    }
    return [
        "## Families that training never saw",
        f"{result['volumes']} volumes. Error over C11, C22, C33; flagged: share that counts as novel.",
        _by_family(columns, {"flagged": metrics["novelty"]["held_out"]}),
    ]


def _by_family(
    columns: Mapping[str, Mapping[str, float]], shares: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """Table of errors by family, with their mean over the families where there are several."""
    shares = shares or {}
    names = list(next(iter(columns.values())))
    rows = [
        (
            name,
            *(f"{errors[name]:.2%}" for errors in columns.values()),
            *(f"{flagged[name]:.0%}" for flagged in shares.values()),
        )
        for name in names
    ]
    if len(names) > 1:
        means = [f"{np.mean([errors[name] for name in names]):.2%}" for errors in columns.values()]
        means += [f"{np.mean([flagged[name] for name in names]):.0%}" for flagged in shares.values()]
        rows.append(("mean of the families", *means))
    return markdown_table(("family", *columns, *shares), rows)


def _calibration(metrics: Mapping[str, Any]) -> list[str]:
    reliability, novelty = metrics["forward"]["reliability"], metrics["novelty"]
    rows = [
        (f"{level:.0%}", *(_span([values[i] for values in reliability[tier].values()]) for tier in _TIERS))
        for i, level in enumerate(reliability["nominal"])
    ]
    flagged = [f"{novelty['split']:.1%} of the volumes of the {metrics['data']['split']} split"]
    flagged += [f"{share:.0%} of {kind}" for kind, share in novelty["strange"].items()]
    text = "Flagged as unlike the training set: " + ", ".join(flagged) + "."
    return [
        "## Calibration and novelty",
        "Share of volumes inside the predicted interval, least and largest over the properties:",
        markdown_table(("interval", *_TIERS.values()), rows),
        textwrap.fill(text, 110),
    ]


def _components(figures: Mapping[str, Any]) -> list[str]:
    named = " / ".join(f"{value:.0f}" for value in figures["named_at"])
    rows = [
        (
            k,
            item["name"],
            "; ".join(item["names"]),
            f"{item['share']:.0%}",
            f"{min(item['weight']):.0%} to {max(item['weight']):.0%}",
            " / ".join(f"{length:.1f}" for length in item["correlation_lengths"]),
            f"{item['mean_anisotropy']:.1f}",
            f"{item['volume_fraction']:.2f}",
        )
        for k, item in figures["by_component"].items()
    ]
    name = figures["property"]
    head = ("component", "name", f"at {name} = {named} GPa", "share", f"weight along {name}")
    head += ("lengths x / y / z [voxel]", "anisotropy", "volume fraction")
    return [
        "## Components of the prior",
        _COMPONENTS.format(used=figures["used"], all=len(rows), effective=figures["effective"]),
        markdown_table(head, rows),
    ]


def _decoder(figures: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            family,
            f"{item['decoded']['volume_fraction']:.4f}",
            *(
                f"{item['decoded'][key]:.3f} / {item['real'][key]:.3f}"
                + ("" if item["ratio"][key] is None else f" = {item['ratio'][key]:.1f}")
                for key in _STATISTICS
            ),
        )
        for family, item in figures.items()
    ]
    return [
        "## Samples of the decoder beside the data",
        _DECODER,
        markdown_table(("family", "volume fraction", *_STATISTICS.values()), rows),
    ]


def _inverse(metrics: Mapping[str, Any], runs: Mapping[str, Any]) -> list[str]:
    three = metrics["inverse"]
    count = three["designs_per_target"]
    labels = {
        "median_error": "all designs",
        "median_error_of_best_by_prediction": f"best of {count} by prediction",
        "median_error_of_best_by_solver": f"best of {count} by the solver",
        "nearest_training_volume": "nearest training volume",
        "prediction_against_solver": "prediction off the solver (mean)",
        "two_point_distance_within_component": "two-point distance within a component",
        "two_point_distance_between_components": "two-point distance across components",
    }
    rows = [(text, *(_figure(key, metrics[trial][key]) for trial in _TRIALS)) for key, text in labels.items()]
    for k in three["median_error_by_component"]:
        errors = [metrics[trial]["median_error_by_component"].get(k) for trial in _TRIALS]
        rows.append((f"all designs of component {k}", *(_figure("error", error) for error in errors)))
    copies = three["copies"]
    parts = [
        _INVERSE.format(targets=three["targets"], count=count),
        markdown_table(("median error", *_TRIALS.values()), rows),
        _COPIES.format(
            **{f"{source}_{key}": _share(value) for source in copies for key, value in copies[source].items()}
        ),
    ]
    if runs:
        parts += [_ABLATIONS, _ablations({"this model": _as_run(metrics), **runs})]
    return parts


def _as_run(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The model itself, as `benchmarks/ablations.py` measures its presets."""
    return {
        **{trial: metrics[trial] for trial in _TRIALS},
        "components_used": metrics["components"]["used"],
        "components_effective": metrics["components"]["effective"],
        "decoded_against_real": typical_ratios(metrics["decoder"]),
    }


def _ablations(runs: Mapping[str, Any]) -> str:
    """Table of presets that were trained alike."""
    rows = [
        (
            name,
            f"{run['settings']['steps']:,}" if "settings" in run else "",
            *(f"{run[trial]['median_error']:.1%}" for trial in _TRIALS),
            f"{run['inverse']['median_error_of_best_by_prediction']:.1%}",
            _figure("two_point", run["inverse"]["two_point_distance_within_component"]),
            _figure("two_point", run["inverse"]["two_point_distance_between_components"]),
            f"{run['components_used']} ({run['components_effective']:.1f})",
            *("" if ratio is None else f"{ratio:.1f}" for ratio in run["decoded_against_real"].values()),
        )
        for name, run in runs.items()
    ]
    head = (
        "preset",
        "steps",
        *(f"all designs, {name}" for name in _TRIALS.values()),
        "best by prediction, C11, C22, C33",
        "two-point distance within a component",
        "across components",
        "components used (as many equal ones)",
        *_STATISTICS.values(),
    )
    return markdown_table(head, rows)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}" if isinstance(value, float) else str(value)


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if key.startswith("two_point") else f"{value:.1%}"


def _times(metrics: Mapping[str, Any]) -> list[str]:
    timings, machine, edge = metrics["timings"], metrics["hardware"], metrics["data"]["size"]
    rows = [
        (f"prediction, {edge}³", timings["predict_one"]),
        (f"encoder alone, {edge}³", timings["encode_one"]),
        (f"prediction, {4 * edge}³", timings["predict_fourfold"]),
        (f"encoder alone, {4 * edge}³", timings["encode_fourfold"]),
        (f"twelve designs, {edge}³", timings["design_twelve"]),
        (f"solver (float32, residual 1e-3), {edge}³", timings["solve_one_float32_1e-3"]),
    ]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    return [
        "## Times",
        f"Wall times on {threads}, load average {machine['load_average']:g} on "
        f"{machine['cores']} cores, warm.",
        markdown_table(("", "time [s]"), [(label, f"{seconds:.3f}") for label, seconds in rows]),
    ]


def _limits(checkpoint: Checkpoint) -> str:
    is_random = not checkpoint.config.training.features.endswith("imagenet")
    left_out = checkpoint.config.training.held_out
    names = checkpoint.card.get("families", checkpoint.card.get("classes", ""))
    trained = [name for name in names.split(", ") if name not in left_out]
    points = [
        f"Trained on these families: {', '.join(trained)}. Other volumes are flagged by the novelty score at "
        "best; the shares above say how often.",
        _SIZES if checkpoint.fitted.cell_sizes is not None else _ONE_SIZE,
        _DISCRETE,
        _OWN_FEATURES if is_random else _IMAGENET,
    ]
    listed = [
        textwrap.fill(point, 110, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for point in points
    ]
    return "## Limits\n\n" + "\n".join(listed)


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in settings.items())


def _span(shares: Iterable[float]) -> str:
    listed = list(shares)
    return f"{min(listed):.0%} to {max(listed):.0%}" if listed else ""


_HEAD = """\
# Model card

Checkpoint `{checkpoint}`, made by `python -m vaereg train`; this page is written by `python -m vaereg
evaluate --card`. All figures are of volumes that training never saw.

{facts}"""

_FORWARD = """\
## Forward: properties of a given volume

{volumes} volumes, the {split} split of {count:,} but for families that training left out. Error: mean
absolute percentage error against the solver, per property and over C11, C22, C33; 90 % interval: share of
volumes inside the predicted one, over the properties.
`predict` answers with the regressor for any pair; `design` picks with the encoder's and, for C11 ... C66 of
these phases, ranks what it shows with the physics-guided one."""

_COMPONENTS = """\
{used} of {all} components are used; the entropy of their shares is that of {effective:.1f} equal ones. Names
follow from correlation lengths and percolation by the rule in `vaereg/microstructure/morphology.py`: of
volumes decoded for properties of the data, and for three values of one property with the others free. The
share is that of unseen volumes that a component explains, the weight that of p(z | c)."""

_DECODER = """\
Distance of a volume from one decoded from z ~ q(z | x) / from another real sample of the same parameters =
their ratio, left out where the parameters leave nothing open. Medians; root mean square differences of the
two-point correlation and of the lineal path of both phases, relative ones of the specific surface."""

_INVERSE = """\
## Inverse: designs for given properties

Asked for: properties of {targets} unseen volumes, {count} designs each, every one checked by the solver.
Error: mean relative distance of the solver's values from the target."""

_ABLATIONS = """\
What the parts are worth, by `python benchmarks/ablations.py`: presets trained on the encoder of this model,
for fewer steps than its own. The last columns are medians over the families of the ratio decoded to real of
the section above."""

_COPIES = """\
Designs (C11, C22, C33) share {designs_median} of their voxels with the nearest training volume in the median
and {designs_largest} at most, over all shifts, turns and reflections; unseen volumes of the data
{unseen_median} and {unseen_largest}. Copies: {designs_copies}. Not compared are {designs_layered} designs
that are layers: of few layers there are so few kinds that all are met again."""

_DISCRETE = (
    "Valid for its material pair (above). The solver's numbers are those of trilinear hexahedra, one per "
    "voxel, which at contrast 50 are a few per cent stiffer than the continuum."
)
_IMAGENET = (
    "The style loss reads features of a network trained on ImageNet, whose terms are non-commercial "
    "research. Its weights are not part of the checkpoint."
)
_ONE_SIZE = """Trained on cells of one size. Others are predicted less well, with wider intervals, \
and are often flagged: [cell-sizes.md](cell-sizes.md)."""
_SIZES = "Trained on cells of several sizes: [cell-sizes.md](cell-sizes.md) has the errors by size and class."
_OWN_FEATURES = "The style loss reads features of random weights: no data of others went into the checkpoint."
