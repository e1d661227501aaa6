"""Forward models to measure the joint model against, on the same split: results/baselines.json.

Run `python benchmarks/baselines.py --data DATA.h5 [--only NAME ...] [--minutes M] [--steps N]`. Networks see
the volumes that the joint model sees, turned and shifted as in its training, for M minutes of CPU time each
or for N steps, whichever ends first; all are tested on the test split, and on the families that training
leaves out. What `--only` does not name keeps its entry, if that is of the same data.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import RESULTS, write_record
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.evaluation.figures import figures_by_family, forward_figures, held_out_families, held_out_rows
from vaereg.io.datasets import Dataset, known_indices, read_dataset
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import two_point_correlation
from vaereg.model.checkpoint import load_checkpoint
from vaereg.model.config import ModelConfig
from vaereg.model.vae import VaeReg
from vaereg.training.augmentation import augment

LAGS, DIAGONAL_LAGS = 12, 6
"""Lags of the two-point statistics along axes and along diagonals [voxel per axis]."""
TREES, BATCH, RATE, WARM_UP = 600, 32, 1.5e-3, 100
BLOCKS, DENSE = (16, 32, 64, 128, 256), (2048, 1024)
"""Channels of the five-block network after each pooling, and its dense layers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """A data set and its rows for training and for the two tests."""

    data: Dataset
    properties: NDArray[np.float64]
    """Properties of all volumes, shape (N, T) [GPa]."""
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    held_out: NDArray[np.intp]
    """Rows of families that training leaves out."""

    @property
    def measured(self) -> NDArray[np.intp]:
        return np.concatenate([self.test, self.held_out])


Predicted = tuple[NDArray[np.float64], dict[str, Any]]
"""Properties of the measured rows, shape (M, T) [GPa], and what the training took."""


def volume_fraction_only(split: Split) -> Predicted:
    """Gradient boosting on one number."""
    fraction = split.data.samples.volume_fraction[:, None]
    columns = []
    for index in range(len(PROPERTIES)):
        model = HistGradientBoostingRegressor(random_state=0)
        model.fit(fraction[split.train], np.log(split.properties[split.train, index]))
        columns.append(np.exp(model.predict(fraction[split.measured])))
    return np.stack(columns, axis=1), {"numbers": 1}


def two_point_boosting(split: Split) -> Predicted:
    """Gradient boosting on two-point statistics along axes and diagonals.

    One model for C11, C22, C33 and one for the shears: a property of another axis is the same property of a
    turned volume, so each volume gives six rows.
    """
    statistics = np.stack([_statistics(volume) for volume in split.data.volumes(slice(None))])
    columns = np.empty((len(split.measured), len(PROPERTIES)))
    for kind in (0, 3):
        model = HistGradientBoostingRegressor(
            max_iter=TREES, learning_rate=0.06, max_leaf_nodes=31, l2_regularization=1.0, random_state=0
        )
        inputs, truth = [], []
        for axis in range(3):
            for swapped in (False, True):
                inputs.append(_seen_from(statistics[split.train], axis, swapped))
                truth.append(np.log(split.properties[split.train, kind + axis]))
        model.fit(np.concatenate(inputs), np.concatenate(truth))
        for axis in range(3):
            views = [_seen_from(statistics[split.measured], axis, swapped) for swapped in (False, True)]
            columns[:, kind + axis] = np.exp(np.mean([model.predict(view) for view in views], axis=0))
    return columns, {"numbers": inputs[0].shape[1], "trees": TREES}


def _statistics(volume: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Per axis: volume fraction, S2 along it, along the diagonals normal to it and along those of space."""
    correlation = two_point_correlation(volume)
    steps = np.arange(1, DIAGONAL_LAGS + 1)
    space = np.mean(
        [correlation[steps, first * steps, two * steps] for first in (1, -1) for two in (1, -1)], axis=0
    )
    rows = []
    for axis in range(3):
        moved = np.moveaxis(correlation, axis, 0)
        plane = 0.5 * (moved[0, steps, steps] + moved[0, steps, -steps])
        rows.append(np.concatenate([moved[: LAGS + 1, 0, 0], plane, space]))
    return np.stack(rows)


def _seen_from(statistics: NDArray[np.float64], axis: int, swapped: bool) -> NDArray[np.float64]:
    """What there is of the axis itself, then of the two others, shape (N, 3 L)."""
    rest = [other for other in range(3) if other != axis]
    order = [axis, *(reversed(rest) if swapped else rest)]
    return statistics[:, order].reshape(len(statistics), -1)


class FiveBlocks(nn.Module):
    """The published network: blocks of convolution and pooling, two dense layers; one size of cells only.

    Five blocks need 32³ voxels; smaller cells have fewer.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        blocks = BLOCKS[: int(math.log2(size))]
        layers: list[nn.Module] = []
        for before, after in zip((1, *blocks[:-1]), blocks, strict=True):
            layers += [nn.Conv3d(before, after, 3, padding=1, padding_mode="circular"), nn.ReLU()]
            layers.append(nn.MaxPool3d(2))
        width = blocks[-1] * (size // 2 ** len(blocks)) ** 3
        layers.append(nn.Flatten())
        for before, after in zip((width, *DENSE[:-1]), DENSE, strict=True):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(DENSE[-1], len(PROPERTIES)))

    def forward(self, volumes: Tensor) -> Tensor:
        return self.layers(2.0 * volumes - 1.0)


class EncoderOnly(nn.Module):
    """The joint model's encoder and regressor: standardised log c."""

    def __init__(self, config: ModelConfig, materials: TwoPhase, properties: Tensor) -> None:
        super().__init__()
        model = VaeReg(config, materials)
        model.set_scaling(properties)
        for unused in (model.decoder, model.prior_network, model.latent_head):
            unused.requires_grad_(False)
        self.model = model

    def forward(self, volumes: Tensor) -> Tensor:
        return self.model.standardise(self.model.encode(volumes).property_mean)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What the training of a network may take; it ends with the first that is spent."""

    minutes: float
    """CPU time [min]."""
    steps: float = math.inf

    def spent(self, seconds: float, step: int) -> float:
        """Part that is spent, from 0 to 1."""
        return max(seconds / (60.0 * self.minutes), step / self.steps)


def _train(network: nn.Module, split: Split, budget: Budget) -> Predicted:
    """Mean absolute error of log c; AdamW, cosine schedule over the budget, running mean of the weights."""
    generator = torch.Generator().manual_seed(0)
    properties = torch.from_numpy(split.properties).float()
    logs = properties[split.train].log()
    location, scale = logs.mean(0), logs.std(0)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=1e-4)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    begin, step, seconds = time.process_time(), 0, 0.0
    while (progress := budget.spent(seconds, step)) < 1.0:
        rate = RATE * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.495 * (1.0 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows = split.train[torch.randint(len(split.train), (BATCH,), generator=generator).numpy()]
        volumes = torch.from_numpy(split.data.volumes(rows)).float()
        volumes, truth = augment(volumes, properties[rows], generator=generator)
        error = scale * network(volumes[:, None]) + location - truth.log()
        loss = error.abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        average.update_parameters(network)
        step += 1
        seconds = time.process_time() - begin
        if step % 100 == 0:
            print(f"step {step}, {seconds / 60.0:.1f} min, error of log c {loss:.4f}", file=sys.stderr)
    average.eval()
    result = []
    with torch.inference_mode():
        for rows in np.array_split(split.measured, -(-len(split.measured) // 64)):
            result.append(scale * average(torch.from_numpy(split.data.volumes(rows)).float()[:, None]))
    settings = {
        "parameters": sum(parameter.numel() for parameter in trained),
        "steps": step,
        "batch": BATCH,
        "cpu_minutes": round(seconds / 60.0, 1),
    }
    return np.exp((torch.cat(result) + location).numpy().astype(np.float64)), settings


METHODS = ("volume fraction", "two-point statistics", "five-block CNN", "forward-only encoder")
"""What can be trained."""


def predicted(split: Split, name: str, budget: Budget, config: ModelConfig) -> Predicted:
    """Train one of `METHODS`."""
    if name == "volume fraction":
        return volume_fraction_only(split)
    if name == "two-point statistics":
        return two_point_boosting(split)
    torch.manual_seed(0)
    if name == "five-block CNN":
        return _train(FiveBlocks(split.data.plan.size), split, budget)
    properties = torch.from_numpy(split.properties[split.train]).float()
    return _train(
        EncoderOnly(config, TwoPhase.from_dict(split.data.plan.materials), properties), split, budget
    )


def measure(split: Split, name: str, budget: Budget, config: ModelConfig) -> dict[str, Any]:
    """Train one of `METHODS` and test it."""
    begin = time.process_time()
    mean, settings = predicted(split, name, budget, config)
    figures: dict[str, Any] = {
        "settings": settings | {"cpu_minutes": round((time.process_time() - begin) / 60.0, 1)}
    }
    tested = len(split.test)
    for part, rows, own in (
        ("test", split.test, mean[:tested]),
        ("held_out", split.held_out, mean[tested:]),
    ):
        if len(rows):
            by_family = figures_by_family(own, split.properties[rows], split.data.samples.family[rows])
            figures[part] = forward_figures(own, split.properties[rows])
            figures[part]["mape_axial_by_family"] = {
                family: item["mape_axial"] for family, item in by_family.items()
            }
    return figures


def split_of(data: Dataset, held_out: tuple[str, ...]) -> Split:
    """Rows as the joint model has them."""
    return Split(
        data=data,
        properties=diagonal_properties(data.samples.stiffness),
        train=known_indices(data, "train", held_out),
        test=known_indices(data, "test", held_out),
        held_out=held_out_rows(data, held_out),
    )


def describe(split: Split) -> dict[str, Any]:
    """What the figures are of, as plain values."""
    families = split.data.samples.family
    return {
        "data": dataclasses.asdict(split.data.plan),
        "training_volumes": len(split.train),
        "test_volumes": len(split.test),
        "held_out": sorted(set(families[split.held_out].tolist())),
        "held_out_volumes": len(split.held_out),
    }


def add(
    out: Path, kind: str, name: str, entry: dict[str, Any], settings: dict[str, Any] | None = None
) -> None:
    """Put one entry into the record; baselines of other data are dropped from it."""
    figures: dict[str, dict[str, Any]] = {"baselines": {}, "runs": {}}
    former = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"settings": {}}
    if "figures" in former:
        figures = former["figures"]
    if settings is not None and settings != former["settings"]:
        figures["baselines"] = {}
    figures[kind][name] = entry
    write_record("baselines", former["settings"] if settings is None else settings, figures, out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled data set")
    parser.add_argument("--checkpoint", type=Path, help="joint model (default: the shipped one)")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), help="what to train")
    parser.add_argument(
        "--held-out", nargs="*", metavar="FAMILY", help="families left out of training (default: the model's)"
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="CPU time of each network")
    parser.add_argument("--steps", type=int, default=math.inf, help="most steps of each network")
    parser.add_argument("--out", type=Path, default=RESULTS / "baselines.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    checkpoint = load_checkpoint(arguments.checkpoint)
    chosen = arguments.held_out
    held_out = held_out_families(checkpoint) if chosen is None else tuple(chosen)
    split = split_of(read_dataset(arguments.data), held_out)
    budget = Budget(minutes=arguments.minutes, steps=arguments.steps)
    for name in arguments.only:
        print(name, file=sys.stderr)
        result = measure(split, name, budget, checkpoint.config.model)
        add(arguments.out, "baselines", name, result, describe(split))
    print(arguments.out)


if __name__ == "__main__":
    main()
