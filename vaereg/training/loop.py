"""Joint training of the model: the loop, its log and its resumable state."""

from __future__ import annotations

import csv
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vaereg.errors import InputError
from vaereg.io.datasets import Dataset
from vaereg.io.labelled_sets import LabelledSet
from vaereg.microstructure.correlation import autocorrelation, axis_correlation
from vaereg.model.checkpoint import save_state
from vaereg.model.config import RunConfig
from vaereg.model.vae import VaeReg
from vaereg.training.augmentation import augment
from vaereg.training.clusters import MorphologyClusters
from vaereg.training.features import FeatureMaps, load_features
from vaereg.training.fitting import MOST_FITTED, encode_set, evenly, fit_latent_head
from vaereg.training.folder import CONFIG_FILE, LOG_FILE, STATE_FILE, check_folder, truncate_log
from vaereg.training.losses import TERMS, loss_terms, regression_terms, term_weights
from vaereg.training.replicas import Replicas
from vaereg.training.training_set import TrainingSet

__all__ = ["TrainingResult", "train"]

_COLUMNS = (*TERMS, "validation_mape")
_CLUSTERED = 4000
"""Training volumes that the clusters of morphology are found in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """A trained model: the running mean of the weights, with what it took."""

    model: VaeReg
    steps: int
    seconds: float
    """Wall time of all sittings [s]."""


def train(
    dataset: Dataset | LabelledSet | TrainingSet,
    out: Path,
    config: RunConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    regressor: VaeReg | None = None,
    whole: bool = False,
    on_progress: Callable[[int, int, dict[str, float]], None] | None = None,
    max_minutes: float | None = None,
    replicas: Replicas | None = None,
) -> TrainingResult:
    """Train on the training split; the validation split is only measured.

    Writes `log.csv` (every loss term), `config.json` and `state.pt` (all that is needed to go on) into `out`.

    Args:
        dataset: Labelled volumes, of one size or several; a step sees volumes of one size.
        out: Folder of the run.
        config: Sizes, weights and schedule.
        device: "cpu" or "cuda".
        resume: Go on from the state in `out`; its configuration and its regressor must be the same.
        regressor: Trained model whose encoder and regressor are taken over and stay as they are: only the
            prior, the latent head and the decoder are trained. Where the configuration trains the regressor
            alone to the end (`forward_share` 1), the whole model is taken over, its encoder and regressor
            are trained, its prior and decoder stay as they are, and its latent head is fitted to give the
            same latent vectors as before.
        whole: Begin with the other parts of that model, too, in place of new ones.
        on_progress: Called with step, steps and the smoothed terms.
        max_minutes: Wall time after which the schedule is cut short: the learning rate follows the larger of
            the parts of steps and of time that are spent.
        replicas: Processes that share the work (`vaereg.training.replicas`); the first one writes the files.

    Raises:
        InputError: The data set has no training or validation volumes, the run to resume is another one, or
            the regressor is of another shape.
    """
    check_folder(out, resume=resume)
    replicas = replicas or Replicas()
    replicas.wait()  # the folder is looked at before anything is written
    loop = _Loop(dataset, out, config, torch.device(device), max_minutes, replicas)
    if regressor is not None:
        loop.take_over(regressor, whole=whole)
    if resume:
        loop.restore()
    elif replicas.is_first:
        truncate_log(out / LOG_FILE, 0)  # of a run that ended before its first saved state
    loop.run(on_progress)
    if regressor is not None and loop.forward_alone and replicas.is_first:
        fit_latent_head(loop.average, regressor, loop.data, evenly(loop.train_indices, MOST_FITTED))
    return TrainingResult(model=loop.average, steps=loop.step, seconds=loop.seconds)


class _Loop:
    """State of a run: model, running mean, optimiser, random generators and the log."""

    def __init__(
        self,
        dataset: Dataset | LabelledSet | TrainingSet,
        out: Path,
        config: RunConfig,
        device: torch.device,
        max_minutes: float | None,
        replicas: Replicas | None = None,
    ) -> None:
        self.replicas = replicas or Replicas()
        self.config, self.settings, self.out, self.device = config, config.training, out, device
        self.max_seconds = math.inf if max_minutes is None else 60.0 * max_minutes
        self.data = data = TrainingSet.of(dataset)
        self.forward_alone = self.settings.forward_share == 1.0
        self.train_indices = data.labelled_rows("train", self.settings.held_out)
        self.validation_indices = data.labelled_rows("validation", self.settings.held_out)
        if len(self.train_indices) < self.settings.batch_size or len(self.validation_indices) == 0:
            raise InputError(
                f"expected at least {self.settings.batch_size} training volumes and one for validation, "
                f"got {len(self.train_indices)} and {len(self.validation_indices)}"
            )
        self.properties = torch.from_numpy(data.properties).float()
        self.size_groups = _size_groups(data, self.train_indices, self.settings.batch_size)
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self.model = VaeReg(config.model, data.materials).to(device)
        self.model.set_scaling(self.properties[self.train_indices].to(device))
        self.running_mean = AveragedModel(self.model, avg_fn=self._average)
        self.running_mean.n_averaged.fill_(1)  # the initial weights count: the first update averages, too
        self.model.encoder.bfloat16_on_cpu = self.settings.bfloat16_on_cpu
        forward = [*self.model.encoder.parameters(), *self.model.property_head.parameters()]
        forward_ids = {id(parameter) for parameter in forward}
        other_parameters = [
            parameter for parameter in self.model.parameters() if id(parameter) not in forward_ids
        ]
        self.optimiser = torch.optim.AdamW(
            [{"params": forward}, {"params": other_parameters}],
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
        )
        self.features: FeatureMaps | None = None
        if not self.forward_alone:
            layers = self.settings.feature_layers
            self.features = load_features(self.settings.features, layers=layers).to(device)
        self.replicas.spread(self.model.encoder, self.model.decoder)
        if self.features is not None:
            self.replicas.spread(self.features)
        self.step, self.seconds = 0, 0.0
        self.joint_begin: int | None = None
        self.frozen = False
        self.taken = ""
        self.clusters: MorphologyClusters | None = None
        self.smooth: dict[str, float] = {}

    @property
    def average(self) -> VaeReg:
        """Networks with the running mean of the weights."""
        module = self.running_mean.module
        if not isinstance(module, VaeReg):
            raise TypeError(f"expected a running mean of VaeReg, got {type(module).__name__}")
        return module

    def _average(self, mean: Tensor, value: Tensor, averaged: Tensor | int) -> Tensor:
        """Exponential running mean of a parameter; the decay grows to that of the settings."""
        count = float(averaged)
        decay = min(self.settings.average, count / (9.0 + count))
        return mean.lerp(value, 1.0 - decay)

    def take_over(self, regressor: VaeReg, *, whole: bool) -> None:
        """Copy a trained model, or its encoder and regressor alone, and freeze what is not trained."""
        parts = [""] if whole or self.forward_alone else ["encoder.", "property_head."]
        weights = {
            name: value for name, value in regressor.state_dict().items() if name.startswith(tuple(parts))
        }
        try:
            for model in (self.model, self.average):
                model.load_state_dict(model.state_dict() | weights)
        except RuntimeError as error:
            raise InputError("expected a model of the shape that is configured, got another") from error
        self.taken = _digest(weights)
        self._freeze()

    def _freeze(self) -> None:
        """Train the regressor alone, or all but the regressor, from the next step."""
        self.frozen = True
        if not self.forward_alone:
            self.joint_begin = self.joint_begin or 0
        forward = (self.model.encoder, self.model.property_head)
        for part in self.model.children():
            part.requires_grad_((part in forward) == self.forward_alone)

    def save(self) -> None:
        save_state(
            self.out / STATE_FILE,
            {
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "generator": self.generator.get_state(),
                "step": self.step,
                "joint_begin": self.joint_begin,
                "frozen": self.frozen,
                "taken": self.taken,
                "seconds": self.seconds,
                "smooth": self.smooth,
                "config": self.config.to_json(),
                "data": self.data.identity,
            },
        )

    def restore(self) -> None:
        path = self.out / STATE_FILE
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a file that is not its own
            raise InputError(f"{path} is no saved state of a run, or is damaged") from error
        if state.get("data", self.data.identity) != self.data.identity:
            raise InputError(f"the run in {self.out} was begun on another data set: {state['data']}")
        if RunConfig.from_json(state["config"]) != self.config:
            raise InputError(f"the run in {self.out} has another configuration: see {CONFIG_FILE} there")
        if state.get("taken", self.taken) != self.taken:
            raise InputError(f"the run in {self.out} was begun from another model, or from none")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.step, self.seconds, self.smooth = state["step"], state["seconds"], state["smooth"]
        self.running_mean.n_averaged.fill_(1 + self.step)
        self.joint_begin = state["joint_begin"]
        if state["frozen"]:
            self._freeze()
        if self.replicas.is_first:
            truncate_log(self.out / LOG_FILE, self.step)

    def run(self, on_progress: Callable[[int, int, dict[str, float]], None] | None) -> None:
        first = self.replicas.is_first
        self.out.mkdir(parents=True, exist_ok=True)
        if first:
            (self.out / CONFIG_FILE).write_text(self.config.to_json())
        began, saved = time.monotonic() - self.seconds, time.monotonic()
        while self.step < self.settings.steps and self.seconds < self.max_seconds:
            terms = self._train_step()
            self.step += 1
            self.seconds = self.replicas.agree(time.monotonic() - began)
            for name, value in terms.items():
                self.smooth[name] = 0.97 * self.smooth.get(name, value) + 0.03 * value
            if first and self.step % 20 == 0:
                if self.step % 200 == 0:
                    self.smooth["validation_mape"] = self._validate()
                self._write_log()
                if on_progress:
                    on_progress(self.step, self.settings.steps, self.smooth)
            if first and time.monotonic() - saved > 60.0 * self.settings.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
        if first:
            self.save()
        self.replicas.wait()

    def _progress(self) -> float:
        """Part of the run that is spent, by steps or by time, 0 to 1."""
        return min(1.0, max(self.step / self.settings.steps, self.seconds / self.max_seconds))

    def _set_learning_rate(self) -> None:
        cosine = 0.5 * (1.0 + math.cos(math.pi * self._progress()))
        for group, begin in zip(self.optimiser.param_groups, (0, self.joint_begin or 0), strict=True):
            rate = cosine * min(1.0, (self.step - begin + 1) / self.settings.warmup)
            group["lr"] = self.settings.learning_rate * (0.01 + 0.99 * rate)

    def _train_step(self) -> dict[str, float]:
        if self.joint_begin is None and self._progress() >= self.settings.forward_share:
            self.joint_begin = self.step
        volumes, properties = self._batch()
        if self.joint_begin is None:
            joint_step = 0
            terms = regression_terms(self.model.encode(volumes), properties)
        elif self.features is None:
            raise RuntimeError("expected feature maps for the joint training, got none")
        else:
            joint_step = self.step - self.joint_begin
            self.clusters = self.clusters or self._find_clusters()
            terms = loss_terms(
                self.model,
                self.features,
                volumes,
                properties,
                self.config,
                self.clusters,
                step=joint_step,
                generator=self.generator,
            )
        weights = term_weights(self.config, joint_step)
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        if not torch.isfinite(total):
            raise RuntimeError(f"the loss is not finite at step {self.step}: {_plain(terms)}")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.replicas.average_gradients(self.model.parameters())
        for part in self.model.children():
            nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        self._set_learning_rate()
        self.optimiser.step()
        self.running_mean.update_parameters(self.model)
        return _plain(terms)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Random volumes of the training split, all of one size."""
        group = 0
        if len(self.size_groups) > 1:
            shares = torch.tensor([len(rows) / count for rows, count in self.size_groups])
            group = int(torch.multinomial(shares, 1, generator=self.generator))
        rows, count = self.size_groups[group]
        picks = torch.randint(len(rows), (count,), generator=self.generator)
        return self._turned(rows[picks.numpy()], self.generator)

    def _turned(self, indices: NDArray[np.intp], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Volumes, each turned by a random symmetry of the cube and shifted, and their properties."""
        volumes = torch.from_numpy(self.data.volumes(indices)).to(torch.float32)
        volumes, properties = augment(volumes, self.properties[indices], generator=generator)
        return volumes[:, None].to(self.device), properties.to(self.device)

    def _find_clusters(self) -> MorphologyClusters:
        """Clusters of the training split's morphologies; the same ones after a run is resumed."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        correlations, properties = [], []
        indices = self.train_indices[self.data.size[self.train_indices] == self.data.edge][:_CLUSTERED]
        for rows in np.array_split(indices, max(1, len(indices) // 64)):
            volumes, targets = self._turned(rows, generator)
            correlations.append(axis_correlation(autocorrelation(volumes)))
            properties.append(self.model.standardise(targets))
        return MorphologyClusters(
            torch.cat(correlations), torch.cat(properties), self.config.model.components
        )

    def _validate(self) -> float:
        indices = self.validation_indices[:256]
        mean, _, _ = encode_set(self.average, self.data, indices)
        return float(np.abs(mean / self.data.properties[indices] - 1.0)[:, :3].mean())

    def _write_log(self) -> None:
        path = self.out / LOG_FILE
        row = {"step": self.step, "seconds": round(self.seconds, 1)}
        row |= {name: float(f"{self.smooth.get(name, math.nan):.5g}") for name in _COLUMNS}
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["step", "seconds", *_COLUMNS])
            if new:
                writer.writeheader()
            writer.writerow(row)


def _size_groups(
    data: TrainingSet, rows: NDArray[np.intp], batch_size: int
) -> list[tuple[NDArray[np.intp], int]]:
    """Volumes of each size, and how many of them make a batch: of large ones fewer, so that a step costs
    about the same.
    """
    sizes = data.size[rows]
    usual = data.edge
    return [
        (rows[sizes == size], min(batch_size, max(2, batch_size * usual**3 // int(size) ** 3)))
        for size in np.unique(sizes)
    ]


def _digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].cpu().numpy().tobytes())
    return digest.hexdigest()


def _plain(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in terms.items()}
