"""The command `evaluate`."""

from __future__ import annotations

import argparse

from vaereg.arguments import load_model
from vaereg.commands.reporting import progress, write_text
from vaereg.errors import InputError

__all__ = ["run_evaluate"]


def run_evaluate(arguments: argparse.Namespace) -> None:
    """Measure a checkpoint on its test split."""
    from vaereg.cluster import workers_of
    from vaereg.evaluation.figures import evaluate
    from vaereg.evaluation.model_card import compact_json, model_card
    from vaereg.evaluation.records import read_record
    from vaereg.io.datasets import read_dataset
    from vaereg.io.files import check_output

    check_output(arguments.out, arguments.data)
    if arguments.card is not None:
        check_output(arguments.card)
        if arguments.split != "test":
            raise InputError(f"expected the test split for a model card, got {arguments.split}")
    baselines = None if arguments.baselines is None else read_record(arguments.baselines, "baselines")
    checkpoint = load_model(arguments)
    dataset = read_dataset(arguments.data)
    with workers_of(arguments.workers, arguments.scheduler) as workers:
        metrics = evaluate(
            checkpoint,
            dataset,
            split=arguments.split,
            targets=arguments.targets,
            count=arguments.count,
            workers=workers,
            on_progress=progress("evaluate", "designs solved"),
        )
    write_text(arguments.out, compact_json(metrics) + "\n")
    if arguments.card is not None:
        write_text(arguments.card, model_card(checkpoint, metrics, baselines))
    forward, inverse = metrics["forward"], metrics["inverse"]
    for tier in ("guided", "encoder"):
        error = forward[tier]["mape_axial"]
        print(f"forward, {tier}, {arguments.split} split, error over C11, C22, C33: {error:.2%}")
    print(f"direct designs, by the solver, median error: {inverse['median_error']:.1%}")
    print(
        f"best of {arguments.count} by prediction, by the solver, median error: "
        f"{inverse['median_error_of_best_by_prediction']:.1%}"
    )
