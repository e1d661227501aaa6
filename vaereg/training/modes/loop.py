"""Training of the modes: the loop, its log and its resumable state."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaereg.errors import InputError
from vaereg.io.labelled_sets import LabelledSet
from vaereg.model.checkpoint import save_state
from vaereg.model.modes.config import ModesConfig
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.network import ModeNetworks
from vaereg.training.features import load_features
from vaereg.training.folder import CONFIG_FILE, LOG_FILE, STATE_FILE, check_folder, truncate_log
from vaereg.training.modes.data import ORDERS, ModeData, draw_mode_data, read_mode_data
from vaereg.training.modes.losses import TERMS, decoding_terms, encoding_terms, term_weights
from vaereg.training.modes.surrogate import StatisticsSurrogate, fit_surrogate
from vaereg.training.replicas import Replicas

__all__ = ["GateError", "ModesResult", "train_modes"]

_LOSS_SCALE = 0.02
"""Factor of the sum of the terms: gradients are clipped at a norm of one."""
_LOG_EVERY = 20
"""Steps from one line of the log to the next."""
_SMOOTHING = 0.98
"""Decay of the running means that the log shows, by evaluation of the term [-]."""
_FRACTION = 10.0
"""Factor of the volume fraction, which statistics tell exactly, where the encoder alone is trained [-]."""
_DECODED_EDGE = 32
"""Edge of the volumes that are decoded or drawn [voxel]; others train encoder, regressor and prior alone."""
_UNLABELLED = ("fraction", "geometry", "expectation")
"""Terms that need no label."""


class GateError(RuntimeError):
    """Too few decoded volumes are recognised early in a run: it would be wasted time to go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModesResult:
    """Trained networks, with what it took."""

    networks: ModeNetworks
    steps: int
    seconds: float
    """Processor time of all sittings [s]."""
    recognised: float | None
    """Share of decoded volumes that were recognised at the gate [-]; None without a gate."""


def train_modes(
    dataset: LabelledSet,
    out: Path,
    config: ModesConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    max_minutes: float | None = None,
    recognise: Callable[[ModeNetworks], float] | None = None,
    on_construction: Callable[[int, int], None] | None = None,
    on_progress: Callable[[int, int, dict[str, float]], None] | None = None,
    replicas: Replicas | None = None,
) -> ModesResult:
    """Train on the training split of a labelled data set.

    Writes `log.csv` (every term), `config.json` and `state.pt` (all that is needed to go on) into `out`.

    Args:
        dataset: Volumes whose first pair is the reference pair.
        out: Folder of the run.
        config: Sizes, weights and schedule.
        device: "cpu" or "cuda".
        resume: Go on from the state in `out`; its configuration must be the same.
        max_minutes: Processor time, all sittings together, after which the schedule is cut short: the
            learning rate follows the larger of the parts of steps and of time that are spent.
        recognise: Share of decoded volumes that a classifier names rightly, for the gate of the
            configuration; no gate if left out.
        on_construction: Called with the volumes that are made before the first step, and with their number;
            those of the generators come first, then those of the decoder.
        on_progress: Called with step, steps and the smoothed terms.
        replicas: Processes that share the work (`vaereg.training.replicas`); the first one writes the files.

    Raises:
        InputError: A built mode has no volume to decode, or the run to resume is another one.
        GateError: At the gate too few decoded volumes are recognised. The state is saved: the run can be
            resumed all the same, and is not stopped again.
    """
    check_folder(out, resume=resume)
    replicas = replicas or Replicas()
    replicas.wait()  # the folder is looked at before anything is written
    data = read_mode_data(dataset, dataset.indices("train"))
    loop = _Loop(data, dataset, out, config, device, max_minutes, replicas)
    if resume:
        loop.restore()
    if replicas.is_first:
        truncate_log(out / LOG_FILE, loop.steps)  # of steps after the last saved state
    loop.run(recognise if config.gate else None, on_construction, on_progress)
    return ModesResult(
        networks=loop.networks.eval(), steps=loop.steps, seconds=loop.seconds, recognised=loop.recognised
    )


class _Loop:
    """State of a run."""

    def __init__(
        self,
        data: ModeData,
        dataset: LabelledSet,
        out: Path,
        config: ModesConfig,
        device: str,
        max_minutes: float | None,
        replicas: Replicas | None = None,
    ) -> None:
        self.replicas = replicas or Replicas()
        self.data, self.dataset, self.out, self.config = data, dataset, out, config
        self.device = torch.device(device)
        self.max_seconds = math.inf if max_minutes is None else 60.0 * max_minutes
        self.by_mode = _rows_by_mode(data)
        sizes = torch.from_numpy(data.size)
        self.decodable = {index: rows[sizes[rows] == _DECODED_EDGE] for index, rows in self.by_mode.items()}
        if min(len(rows) for rows in self.decodable.values()) == 0:
            raise InputError(f"expected volumes of {_DECODED_EDGE} voxels per edge of every built mode")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.networks = ModeNetworks(config.latent).to(self.device)
        self.networks.set_scaling(data.properties.to(self.device))
        self.networks.encoder.set_scaling(data.statistics.to(self.device))
        self.surrogate = StatisticsSurrogate(_DECODED_EDGE).to(self.device)
        self.drawn: ModeData | None = None
        self.drawn_by_mode: dict[int, Tensor] = {}
        self.optimiser = torch.optim.AdamW(
            self.networks.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.features = load_features(config.features, layers=config.feature_layers).to(self.device)
        self.replicas.spread(self.networks.decoder, self.features)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step, self.encoder_step, self.seconds = 0, 0, 0.0
        self.smooth: dict[str, float] = {}
        self.recognised: float | None = None

    def run(
        self,
        recognise: Callable[[ModeNetworks], float] | None,
        on_construction: Callable[[int, int], None] | None,
        on_progress: Callable[[int, int, dict[str, float]], None] | None,
    ) -> None:
        first = self.replicas.is_first
        self.out.mkdir(parents=True, exist_ok=True)
        if first:
            (self.out / CONFIG_FILE).write_text(self.config.to_json(), encoding="utf-8")
        began, saved = time.process_time() - self.seconds, time.monotonic()
        if self.config.drawn and self._has_steps_left():
            self.drawn = draw_mode_data(
                self.config.drawn,
                _DECODED_EDGE,
                seed=self.config.seed,
                on_progress=on_construction if first else None,
            )
            self.drawn_by_mode = _rows_by_mode(self.drawn)
        if self.step == 0:
            self._fit_surrogate(on_construction if first else None)
        while self._has_steps_left():
            step = self._train_step if self._is_decoding() else self._encoder_step
            for name, value in step().items():
                self.smooth[name] = _SMOOTHING * self.smooth.get(name, value) + (1.0 - _SMOOTHING) * value
            self.seconds = self.replicas.agree(time.process_time() - began)
            if recognise and self.recognised is None and self.seconds > 60.0 * self.config.gate_minutes:
                paused = time.process_time()
                self._try_gate(recognise)
                began += time.process_time() - paused
            if time.monotonic() - saved > 60.0 * self.config.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
            if first and self.steps % _LOG_EVERY == 0:
                self._write_log()
                if on_progress:
                    on_progress(self.steps, self.config.steps + self.config.encoder_steps, self.smooth)
        self.save()
        if recognise and self.recognised is None:
            self._try_gate(recognise)
        self.replicas.wait()

    @property
    def steps(self) -> int:
        """Steps of all networks, and of the encoder alone."""
        return self.step + self.encoder_step

    def _has_steps_left(self) -> bool:
        return self._is_decoding() or self.encoder_step < self.config.encoder_steps

    def _is_decoding(self) -> bool:
        """Whether all networks are trained, before the encoder alone is."""
        return self.step < self.config.steps and self.seconds < self.max_seconds

    def _fit_surrogate(self, on_construction: Callable[[int, int], None] | None) -> None:
        """Learn what statistics to expect of a geometry, in every replica alike."""
        self.surrogate = fit_surrogate(
            self.networks.decoder,
            self.data,
            edge=_DECODED_EDGE,
            builds=self.config.surrogate_builds,
            steps=self.config.surrogate_steps,
            seed=self.config.seed,
            on_progress=on_construction,
        )

    def _try_gate(self, recognise: Callable[[ModeNetworks], float]) -> None:
        """Measure whether the modes can be told apart, and end a run where they cannot."""
        self.recognised = recognise(self.networks.eval())
        self.networks.train()
        self.save()
        if self.recognised < self.config.gate:
            raise GateError(
                f"after {self.seconds / 60.0:.1f} minutes {self.recognised:.0%} of the decoded volumes are "
                f"recognised, expected at least {self.config.gate:.0%}; --resume goes on all the same"
            )

    def save(self) -> None:
        if not self.replicas.is_first:
            return
        state = {
            "networks": self.networks.state_dict(),
            "surrogate": self.surrogate.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "encoder_step": self.encoder_step,
            "seconds": self.seconds,
            "smooth": self.smooth,
            "recognised": self.recognised,
            "config": self.config.to_json(),
        }
        save_state(self.out / STATE_FILE, state)

    def restore(self) -> None:
        path = self.out / STATE_FILE
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            config = ModesConfig.from_json(state["config"])
            if config != self.config:
                raise InputError(f"the run in {self.out} has another configuration: see {CONFIG_FILE} there")
            self.networks.load_state_dict(state["networks"])
            self.surrogate.load_state_dict(state["surrogate"])
            self.surrogate.requires_grad_(False)
            self.optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"])
            self.step, self.encoder_step = int(state["step"]), int(state["encoder_step"])
            self.seconds = float(state["seconds"])
            self.smooth, self.recognised = dict(state["smooth"]), state["recognised"]
        except InputError:
            raise
        except Exception as error:  # torch raises many kinds for a file that is not its own
            raise InputError(f"{path} is no saved state of a run of the modes, or is damaged") from error

    def _train_step(self) -> dict[str, float]:
        """Step of all networks."""
        config, networks = self.config, self.networks
        spent = max(self.step / config.steps, self.seconds / self.max_seconds)
        self._set_rate(_cosine(spent) * min(1.0, (self.step + 1) / config.warmup))
        decoding = self.step % config.decode_every == 0
        rows, order = self._batch(self.by_mode, decoding)
        terms, z = self._encoding_terms(rows, order)
        if decoding:
            count = config.decoded
            seeds = torch.randint(2**62, (2 * count,), generator=self.generator).tolist()
            terms |= decoding_terms(
                networks,
                self.features,
                z[:count],
                self.data.mode[rows[:count]].to(self.device),
                self._volumes(rows[:count], order[:count]),
                config=config,
                style=self.step // config.decode_every % config.style_every == 0,
                generators=[np.random.default_rng(seed) for seed in seeds],
                generator=self.generator,
            )
        self._descend(terms, networks.encoder, networks.decoder, networks.regressor, networks.prior)
        self.step, self.encoder_step = self.step + 1, 0
        return {name: float(term.detach()) for name, term in terms.items()}

    def _encoder_step(self) -> dict[str, float]:
        """Step of the encoder alone: what it is to find, the geometry of the others, moves no more."""
        self._set_rate(0.5 * _cosine(self.encoder_step / self.config.encoder_steps))
        terms, _ = self._encoding_terms(*self._batch(self.by_mode))
        terms["fraction"] = _FRACTION * terms["fraction"]
        self._descend(terms, self.networks.encoder)
        self.encoder_step += 1
        return {name: float(term.detach()) for name, term in terms.items()}

    def _set_rate(self, share: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * (0.01 + 0.99 * share)

    def _encoding_terms(self, rows: Tensor, order: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Terms that need no decoding, and the latent vectors that they are of.

        Those that need no label are means over the labelled volumes and over as many drawn ones.
        """
        terms, z = self._terms_of(self.data, rows, order)
        if self.drawn is not None:
            drawn, _ = self._terms_of(self.drawn, *self._batch(self.drawn_by_mode))
            terms |= {name: 0.5 * (terms[name] + drawn[name]) for name in _UNLABELLED}
        return terms, z

    def _terms_of(self, data: ModeData, rows: Tensor, order: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        statistics, geometry, supervised, properties = (
            column.to(self.device) for column in data.permuted(rows, order)
        )
        mode = data.mode[rows].to(self.device)
        posterior = self.networks.encoder(statistics, mode)
        z = posterior.sample(generator=self.generator)
        terms = encoding_terms(
            self.networks,
            posterior,
            z,
            mode,
            statistics=statistics,
            surrogate=self.surrogate,
            geometry=geometry,
            supervised=supervised,
            properties=properties,
            fraction=data.fraction[rows].to(self.device),
            config=self.config,
        )
        return terms, z

    def _descend(self, terms: dict[str, Tensor], *trained: nn.Module) -> None:
        """Step of the optimiser; other networks than those that are trained stay as they are."""
        weights = term_weights(self.config)
        loss = _LOSS_SCALE * torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        parameters = [parameter for part in trained for parameter in part.parameters()]
        loss.backward(inputs=parameters)
        self.replicas.average_gradients(parameters)
        for part in trained:
            nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        self.optimiser.step()

    def _batch(self, by_mode: dict[int, Tensor], decoding: bool = False) -> tuple[Tensor, Tensor]:
        """Rows of modes at random, and orders of their axes; in front, if decoded, cells of unlike modes."""
        size, generator = self.config.batch_size, self.generator
        modes = [BUILT[i] for i in torch.randint(len(BUILT), (size,), generator=generator).tolist()]
        if decoding:
            front = torch.randperm(len(BUILT), generator=generator)[: self.config.decoded].tolist()
            modes[: len(front)] = [BUILT[i] for i in front]
        rows = []
        for place, index in enumerate(modes):
            candidates = self.decodable[index] if decoding and place < self.config.decoded else by_mode[index]
            rows.append(candidates[torch.randint(len(candidates), (1,), generator=generator)])
        return torch.cat(rows), torch.randint(len(ORDERS), (size,), generator=generator)

    def _volumes(self, rows: Tensor, order: Tensor) -> Tensor:
        """Volumes of some rows with permuted axes, shape (B, 1, X, Y, Z)."""
        volumes = self.dataset.volumes(self.data.rows[rows.numpy()])
        turned = [
            volume.transpose(ORDERS[index]) for volume, index in zip(volumes, order.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(turned).astype(np.float32))[:, None].to(self.device)

    def _write_log(self) -> None:
        path = self.out / LOG_FILE
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", *TERMS])
            row = [f"{self.smooth[name]:.5g}" if name in self.smooth else "" for name in TERMS]
            writer.writerow([self.steps, f"{self.seconds:.1f}", *row])


def _rows_by_mode(data: ModeData) -> dict[int, Tensor]:
    """Rows of the volumes of each built mode."""
    return {index: torch.nonzero(data.mode == index).flatten() for index in BUILT}


def _cosine(spent: float) -> float:
    """Share of the peak of the learning rate when a part of a schedule is spent [-]."""
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, spent)))
