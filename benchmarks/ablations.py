"""What each claim of the model is worth: presets that take one away, trained alike: results/baselines.json.

Run `python benchmarks/ablations.py --data DATA.h5 [--only PRESET ...] [--steps N]`. The shipped checkpoint
lends its encoder and regressor to all of them, which stay as they are, so that designs are judged by the same
model; the prior, the latent head and the decoder are trained anew, for the same number of steps each and with
the checkpoint's own learning rate and warm-up. Designs for properties of the test split are checked by the
solver, and decoded volumes are compared with real ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypeVar

import torch
from baselines import add
from record import RESULTS

from vaereg.elasticity import diagonal_properties
from vaereg.evaluation.generative import component_figures, decoder_figures
from vaereg.evaluation.records import typical_ratios
from vaereg.evaluation.solved_designs import inverse_figures
from vaereg.io.datasets import Dataset, known_indices, read_dataset
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.config import PRESETS, ModelConfig, RunConfig, TrainingConfig
from vaereg.training.fitting import fit_latent_regressor
from vaereg.training.loop import train

_Config = TypeVar("_Config", ModelConfig, TrainingConfig)
VARIANTS = ("default", "single-gaussian", "no-style", "paper", "pixel")


def variant(
    checkpoint: Checkpoint, data: Dataset, preset: str, steps: int, folder: Path
) -> tuple[Checkpoint, dict[str, Any]]:
    """A preset trained on the checkpoint's encoder and regressor, and what that took."""
    config = RunConfig(
        model=_altered(checkpoint.config.model, PRESETS[preset].model, PRESETS["default"].model),
        training=_altered(
            dataclasses.replace(checkpoint.config.training, steps=steps),
            PRESETS[preset].training,
            PRESETS["default"].training,
        ),
    )
    begin = time.process_time()
    result = train(
        data,
        folder,
        config,
        regressor=checkpoint.model,
        resume=(folder / "state.pt").exists(),
        on_progress=lambda step, steps, terms: print(f"{preset}: step {step}/{steps}", file=sys.stderr),
    )
    model = result.model.eval().requires_grad_(False)
    rows = known_indices(data, "train", config.training.held_out)
    properties = diagonal_properties(data.samples.stiffness[rows])
    latent_regressor = fit_latent_regressor(model, data.plan.size, properties)
    fitted = dataclasses.replace(checkpoint.fitted, latent_regressor=latent_regressor)
    settings = {
        "steps": result.steps,
        "learning_rate": config.training.learning_rate,
        "warmup": config.training.warmup,
        "training_volumes": len(rows),
        "cpu_minutes": round((time.process_time() - begin) / 60.0, 1),
        "encoder_of": checkpoint.hash,
    }
    return dataclasses.replace(checkpoint, model=model, config=config, fitted=fitted), settings


def _altered(own: _Config, preset: _Config, default: _Config) -> _Config:
    """Settings with what a preset changes of the default ones."""
    names = [field.name for field in dataclasses.fields(preset)]
    changes = {
        name: getattr(preset, name) for name in names if getattr(preset, name) != getattr(default, name)
    }
    return dataclasses.replace(own, **changes)


def measure(checkpoint: Checkpoint, data: Dataset, targets: int, count: int, workers: int) -> dict[str, Any]:
    """Designs and decoded volumes of one variant."""
    left_out = checkpoint.config.training.held_out
    test, training = (known_indices(data, split, left_out) for split in ("test", "train"))
    inverse = inverse_figures(checkpoint, data, training, test[:targets], count, workers=workers)
    components = component_figures(checkpoint, data, test)
    return {
        **inverse,
        "components_used": components["used"],
        "components_effective": components["effective"],
        "decoded_against_real": typical_ratios(decoder_figures(checkpoint, data, test)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled data set")
    parser.add_argument("--checkpoint", type=Path, help="whose encoder (default: the shipped one)")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="what to train")
    parser.add_argument("--steps", type=int, default=1200, help="of each")
    parser.add_argument("--targets", type=int, default=30, help="of designs")
    parser.add_argument("--count", type=int, default=12, help="designs per target")
    parser.add_argument("--workers", type=int, default=1, help="processes that solve")
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs, to go on with (default: none)")
    parser.add_argument("--out", type=Path, default=RESULTS / "baselines.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint, data = load_checkpoint(arguments.checkpoint), read_dataset(arguments.data)
    runs = arguments.runs or Path(tempfile.mkdtemp())
    try:
        for preset in arguments.only:
            trained, settings = variant(checkpoint, data, preset, arguments.steps, runs / preset)
            result = measure(trained, data, arguments.targets, arguments.count, arguments.workers)
            add(arguments.out, "runs", preset, {"settings": settings, **result})
            print(f"{arguments.out}: {preset}", flush=True)
    finally:
        if arguments.runs is None:
            shutil.rmtree(runs)


if __name__ == "__main__":
    main()
