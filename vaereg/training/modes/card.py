"""Facts of the training of the modes for the model card."""

from __future__ import annotations

import time

import torch

from vaereg import __version__
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.modes.release import Modes
from vaereg.training.modes.loop import ModesResult

__all__ = ["modes_card"]


def modes_card(
    modes: Modes, dataset: LabelledSet, result: ModesResult, device: str
) -> dict[str, str | int | float]:
    """Plain facts: data, settings, steps, time and hardware."""
    plan = dataset.plan
    threads = torch.get_num_threads()
    processor = f"CPU, {threads} thread{'s' * (threads != 1)}"
    hardware = torch.cuda.get_device_name() if device == "cuda" else processor
    sizes = ", ".join(f"{size}³ ({100 * share:.0f} %)" for size, share in plan.sizes.items())
    gate = {} if result.recognised is None else {"recognised at the gate": f"{result.recognised:.0%}"}
    return {
        "data": f"python -m vaereg generate --morphologies all --count {plan.count} --seed {plan.seed}",
        "labels": f"{plan.pairs} pairs of phases a volume, the first the reference pair",
        "volumes of the library": len(modes.library),
        "cells": sizes,
        "steps": result.steps,
        "parameters": sum(parameter.numel() for parameter in modes.networks.parameters()),
        "seed": modes.config.seed,
        "trained on": hardware,
        "processor time": f"{result.seconds / 60.0:.0f} min",
        **gate,
        "date": time.strftime("%Y-%m-%d"),
        "versions": f"vaereg {__version__}, torch {torch.__version__}",
    }
