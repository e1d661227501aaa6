"""Facts of a training run for the model card."""

from __future__ import annotations

import time

import torch

from vaereg import __version__
from vaereg.io.datasets import Dataset
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.config import RunConfig
from vaereg.training.features import load_features
from vaereg.training.loop import TrainingResult
from vaereg.training.training_set import TrainingSet

__all__ = ["training_card"]


def training_card(
    dataset: Dataset | LabelledSet | TrainingSet,
    config: RunConfig,
    result: TrainingResult,
    device: str,
    former: Checkpoint | None = None,
) -> dict[str, str | int | float]:
    """Plain facts of a run for the model card: data, settings, hardware, time, and of the model before it."""
    data, settings = TrainingSet.of(dataset), config.training
    threads = torch.get_num_threads()
    processor = f"CPU, {threads} thread{'s' * (threads != 1)}"
    hardware = torch.cuda.get_device_name() if device == "cuda" else processor
    origin, style = {}, {}
    if former is not None:
        names = ("steps", "training time", "trained on", "date")
        facts = ", ".join(f"{name} {former.card[name]}" for name in names if name in former.card)
        former_parts = "prior and decoder" if settings.forward_share == 1.0 else "encoder and regressor"
        origin = {"continued from": f"checkpoint {former.hash} ({facts}); {former_parts} are its"}
    if settings.forward_share < 1.0:
        features = load_features(settings.features)
        style = {"style features": f"{features.name}, SHA-256 {features.sha256}"}
    elif former is not None and "style features" in former.card:
        style = {"style features": former.card["style features"]}
    moduli = data.materials.moduli()
    return {
        "training volumes": len(data.labelled_rows("train", settings.held_out)),
        "validation volumes": len(data.labelled_rows("validation", settings.held_out)),
        "families left out": ", ".join(settings.held_out) or "none",
        **data.facts,
        "stiff phase": f"{moduli['e_stiff']:g} GPa, Poisson ratio {moduli['nu_stiff']:g}",
        "soft phase": f"{moduli['e_soft']:g} GPa, Poisson ratio {moduli['nu_soft']:g}",
        **style,
        "seed": settings.seed,
        **origin,
        "steps": result.steps,
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "trained on": hardware,
        "training time": f"{result.seconds / 60.0:.0f} min",
        "date": time.strftime("%Y-%m-%d"),
        "versions": f"vaereg {__version__}, torch {torch.__version__}",
    }
