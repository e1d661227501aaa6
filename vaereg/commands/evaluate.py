"""The command `evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vaereg.arguments import load_model, load_pairs, pairs_of, phases_given
from vaereg.commands.reporting import progress, write_json, write_text
from vaereg.errors import InputError

if TYPE_CHECKING:
    from vaereg.model.checkpoint import Checkpoint

__all__ = ["run_evaluate"]


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Measure a checkpoint on its test split, or the regressor for any pair of phases on volumes of it."""
    if phases_given(arguments):
        _evaluate_pairs(arguments)
        return
    from vaereg.evaluation.model_card import compact_json, model_card
    from vaereg.evaluation.records import read_record
    from vaereg.io.files import check_output
    from vaereg.io.labelled_sets import LABELLED_SET_VERSION, format_of

    of_modes = format_of(arguments.data) == LABELLED_SET_VERSION
    check_output(arguments.out, arguments.data)
    if arguments.card is not None:
        check_output(arguments.card)
        if arguments.split != "test":
            raise InputError(f"expected the test split for a model card, got {arguments.split}")
    baselines = None if arguments.baselines is None else read_record(arguments.baselines, "baselines")
    checkpoint = load_model(arguments)
    metrics = (_measure_modes if of_modes else _measure_families)(arguments, checkpoint)
    write_text(arguments.out, compact_json(metrics) + "\n")
    if arguments.card is not None:
        write_text(arguments.card, model_card(checkpoint, metrics, baselines))
    if of_modes:
        _tell_modes(metrics["modes"])
    else:
        _tell_families(arguments, metrics)


def _measure_families(arguments: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    """Figures of a checkpoint on a data set of families."""
    from vaereg.cluster import workers_of
    from vaereg.evaluation.figures import evaluate
    from vaereg.io.datasets import read_dataset

    dataset = read_dataset(arguments.data)
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        return evaluate(
            checkpoint,
            dataset,
            split=arguments.split,
            targets=arguments.targets,
            count=arguments.count,
            workers=workers,
            on_progress=progress("evaluate", "designs solved"),
        )


def _tell_families(arguments: argparse.Namespace, metrics: Mapping[str, Any]) -> None:
    forward, inverse = metrics["forward"], metrics["inverse"]
    for tier in ("guided", "encoder"):
        error = forward[tier]["mape_axial"]
        print(f"forward, {tier}, {arguments.split} split, error over C11, C22, C33: {error:.2%}")
    print(f"direct designs, by the solver, median error: {inverse['median_error']:.1%}")
    print(
        f"best of {arguments.count} by prediction, by the solver, median error: "
        f"{inverse['median_error_of_best_by_prediction']:.1%}"
    )


def _measure_modes(arguments: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, Any]:
    """Figures of the modes of a checkpoint on a data set of morphologies; other figures of it are kept."""
    from vaereg.cluster import workers_of
    from vaereg.evaluation.modes.figures import mode_figures
    from vaereg.evaluation.records import read_figures
    from vaereg.io.labelled_sets import read_labelled_set

    if min(arguments.targets, arguments.count) < 1:
        raise InputError(
            f"expected at least one target and one design, got {arguments.targets} and {arguments.count}"
        )
    metrics = read_figures(arguments.out, checkpoint.hash)
    if arguments.card is not None and "forward" not in metrics:
        raise InputError(
            f"expected figures of {checkpoint.hash} in {arguments.out} for a card: evaluate it on a data "
            "set of families first"
        )
    dataset = read_labelled_set(arguments.data)
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        metrics["modes"] = mode_figures(
            checkpoint,
            dataset,
            split=arguments.split,
            targets=arguments.targets,
            count=arguments.count,
            workers=workers,
            on_progress=progress("evaluate", "targets solved"),
        )
    return metrics


def _tell_modes(figures: Mapping[str, Any]) -> None:
    for judge, kinds in figures["recognition"].items():
        shares = ", ".join(f"{kind} {item['share']:.0%}" for kind, item in kinds.items())
        print(f"recognised by the classifier of {judge}: {shares}")
    for kind in ("isotropic", "any", "pairs"):
        if "raw" in figures[kind]:
            raw, corrected = figures[kind]["raw"], figures[kind]["corrected"]
            print(
                f"targets {kind}: {figures[kind]['modes_tried']:.1f} modes tried, within 5 % "
                f"{raw['modes_near']:.1f}, corrected {corrected['modes_near']:.1f}; largest deviation of all "
                f"{raw['largest_all']:.1%}, corrected {corrected['largest_all']:.1%}"
            )


def _evaluate_pairs(arguments: argparse.Namespace) -> None:
    """Errors of the prediction for phases of the user, on `--targets` volumes, each solved."""
    from vaereg.cluster import workers_of
    from vaereg.evaluation.any_pair import evaluate_pairs, read_volumes_of
    from vaereg.io.exporting.provenance import describe_run
    from vaereg.io.files import check_output

    if arguments.card is not None or arguments.baselines is not None:
        raise InputError("expected --card and --baselines without phases, got both")
    if arguments.targets < 1:
        raise InputError(f"expected at least one target, got {arguments.targets}")
    check_output(arguments.out, arguments.data)
    model = load_pairs(arguments)
    volumes = read_volumes_of(arguments.data, arguments.split, arguments.targets)
    pairs = pairs_of(arguments, len(volumes))
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        report = progress("evaluate", "volumes solved")
        figures = evaluate_pairs(model, volumes, pairs, workers=workers, on_progress=report)
    write_json(arguments.out, {**describe_run(pairs, checkpoint=model.hash), "forward": figures})
    if "mean" in figures:
        print(
            f"forward, {figures['volumes']} volumes of the {arguments.split} split, relative Frobenius "
            f"error: {figures['mean']:.2%} (median {figures['median']:.2%}; upper bound alone "
            f"{figures['upper_mean']:.2%}), E: {figures['young']:.2%}"
        )
    print(f"between the guaranteed bounds: {figures['bounded']:.0%}")
