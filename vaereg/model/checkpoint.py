"""Released models: weights, configuration and what is fitted to them, in one file without pickled classes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.io.files import replace_file
from vaereg.materials import TwoPhase
from vaereg.model.config import RunConfig
from vaereg.model.embedding import Embedding
from vaereg.model.modes.release import Modes, pack_modes, unpack_modes
from vaereg.model.networks import GuidedRegressor, LatentRegressor
from vaereg.model.prior import PropertyMixture
from vaereg.model.reachability import TrainingProperties
from vaereg.model.vae import VaeReg

__all__ = [
    "DEFAULT_CHECKPOINT",
    "CellSizes",
    "Checkpoint",
    "CheckpointError",
    "Fitted",
    "load_checkpoint",
    "save_checkpoint",
    "save_state",
    "shipped_file",
]


def shipped_file(name: str) -> Path:
    """Path of a shipped file: package data of an installation, `checkpoints/` of a source tree."""
    package = Path(str(files("vaereg")))
    installed = package / "checkpoints" / name
    return installed if installed.is_file() else package.resolve().parent / "checkpoints" / name


DEFAULT_CHECKPOINT = shipped_file("default.pt")
"""The shipped checkpoint."""

FORMAT_VERSION = 2
_MAX_BYTES = 200 * 2**20


class CheckpointError(RuntimeError):
    """A file is no checkpoint of this program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellSizes:
    """Corrections by the size of a cell, for models that were trained on several sizes."""

    edges: NDArray[np.float64]
    """Edges that the corrections were fitted for, ascending, shape (S,) [voxel]."""
    encoder: NDArray[np.float64]
    """Factor of the standard deviation of the encoder's regressor, shape (S,) [-]."""
    guided: NDArray[np.float64]
    """Factor of the standard deviation of the guided regressor, shape (S,) [-]."""
    novelty: NDArray[np.float64]
    """Usual distance from the training set, relative to that at the usual size, shape (S,) [-]."""

    def at(self, name: str, edge: ArrayLike) -> NDArray[np.float64]:
        """A correction at other edges [voxel], linear in the logarithm of the edge."""
        return np.interp(np.log(edge), np.log(self.edges), getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Quantities that are fitted to a trained model on the training and validation splits."""

    property_quantiles: NDArray[np.float64]
    """1st and 99th percentile of the properties of the training set, shape (2, T) [GPa]."""
    training_properties: TrainingProperties
    """Properties and volume fractions of the training volumes: they say which targets are reachable."""
    mixture: PropertyMixture
    """p(c) over standardised logarithmic properties and, last, the logarithm of the volume fraction."""
    spread_factor: NDArray[np.float64]
    """Calibration of the predicted spread on the validation split, shape (T,)."""
    guided: GuidedRegressor
    """Correction of the solver's first iterations (`vaereg.model.guided`); runs on the CPU."""
    guided_spread_factor: NDArray[np.float64]
    """Calibration of its spread on the validation split, shape (T,)."""
    latent_regressor: LatentRegressor
    """Latent vector to the mean log c of its realisations, as the encoder's regressor sees them."""
    novelty_mean: Tensor
    """Mean of the encoder's statistics, shape (S,)."""
    novelty_whitening: Tensor
    """Maps centred statistics to unit covariance, in units of the distance that is novel, shape (S, S')."""
    disagreement_limit: float
    """Disagreement of the two regressors that counts as novel, see `vaereg.model.prediction` [-]."""
    cell_sizes: CellSizes | None = None
    """Corrections by size; None for a model that was trained on cells of one size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A trained model, ready for use. Shared between users: never changed in place."""

    model: VaeReg
    """Networks in evaluation mode."""
    config: RunConfig
    """Configuration that the model was built and trained with."""
    fitted: Fitted
    """Ranges, calibration, novelty."""
    card: dict[str, Any]
    """Plain facts on data, training and hardware."""
    embedding: Embedding | None
    """A map of the latent space; None where the checkpoint was saved without one."""
    modes: Modes | None
    """Named modes, one a component; None for a checkpoint whose components are those of a free mixture."""
    hash: str
    """First 16 hexadecimal digits of the SHA-256 of the file."""

    @property
    def components(self) -> int:
        """Number K of mixture components."""
        return self.config.model.components if self.modes is None else len(self.modes.names)

    @property
    def training_edge(self) -> int | None:
        """Edge of the cells that it was trained on [voxel], as far as the map of its latent space tells."""
        return None if self.embedding is None else self.embedding.size

    @property
    def property_ranges(self) -> dict[str, tuple[float, float]]:
        """1st to 99th percentile of each property over the training set [GPa]."""
        low, high = self.fitted.property_quantiles
        return {name: (float(low[i]), float(high[i])) for i, name in enumerate(PROPERTIES)}

    @property
    def fraction_range(self) -> tuple[float, float]:
        """1st to 99th percentile of the volume fraction over the training set [-]."""
        low, high = np.quantile(self.fitted.training_properties.values[:, -1], [0.01, 0.99])
        return float(low), float(high)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; a reader sees the former file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # given a name, torch would write it into the archive
            torch.save(state, file)

    replace_file(path, write)


def save_checkpoint(
    path: Path,
    model: VaeReg,
    config: RunConfig,
    fitted: Fitted,
    card: dict[str, Any],
    embedding: Embedding | None = None,
    modes: Modes | None = None,
) -> None:
    """Write a released model.

    Args:
        path: File to write.
        model: Trained networks.
        config: What they were built and trained with.
        fitted: What was fitted to them.
        card: Plain facts, JSON-serialisable.
        embedding: A map of the latent space.
        modes: Named modes.
    """
    mixture = fitted.mixture
    materials = model.materials
    state = {
        "format_version": FORMAT_VERSION,
        "config": config.to_json(),
        "card": json.dumps(card),
        "materials": materials.moduli(),
        "weights": model.state_dict(),
        "property_quantiles": torch.from_numpy(fitted.property_quantiles),
        "known": torch.from_numpy(fitted.training_properties.values.astype(np.float32)),
        "mixture_weights": torch.from_numpy(mixture.weights),
        "mixture_means": torch.from_numpy(mixture.means),
        "mixture_covariances": torch.from_numpy(mixture.covariances),
        "spread_factor": torch.from_numpy(fitted.spread_factor),
        "guided": fitted.guided.state_dict(),
        "guided_spread_factor": torch.from_numpy(fitted.guided_spread_factor),
        "latent_regressor": fitted.latent_regressor.state_dict(),
        "novelty_mean": fitted.novelty_mean,
        "novelty_whitening": fitted.novelty_whitening,
        "disagreement_limit": fitted.disagreement_limit,
        "cell_sizes": None if fitted.cell_sizes is None else _pack(fitted.cell_sizes),
        "embedding": None if embedding is None else _pack(embedding),
        "modes": None if modes is None else pack_modes(modes),
    }
    save_state(path, state)


def load_checkpoint(path: Path | None = None, device: str = "cpu") -> Checkpoint:
    """Read a released model (`weights_only`: no code in the file is ever run).

    Args:
        path: File; the shipped checkpoint if left out.
        device: "cpu" or "cuda".

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is no checkpoint, or one of another format version.
    """
    path = DEFAULT_CHECKPOINT if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"expected a checkpoint of at most {_MAX_BYTES >> 20} MB, got {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise zipfile.BadZipFile("a member is compressed")  # and could inflate to any size
            if archive.testzip() is not None:  # torch itself does not look at the checksums
                raise zipfile.BadZipFile("a checksum is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state["format_version"]
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(f"{path} is no vaereg checkpoint") from error
    if not isinstance(version, int) or version != FORMAT_VERSION:
        raise CheckpointError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}")
    try:
        config = RunConfig.from_json(state["config"])
        model = VaeReg(config.model, TwoPhase.from_dict(state["materials"]))
        model.load_state_dict(state["weights"])
        latent_regressor = LatentRegressor(config.model.latent, len(PROPERTIES))
        latent_regressor.load_state_dict(state["latent_regressor"])
        guided = GuidedRegressor(len(PROPERTIES))
        guided.load_state_dict(state["guided"])
        fitted = Fitted(
            property_quantiles=state["property_quantiles"].numpy(),
            training_properties=TrainingProperties(state["known"].numpy()),
            mixture=PropertyMixture(
                weights=state["mixture_weights"].numpy(),
                means=state["mixture_means"].numpy(),
                covariances=state["mixture_covariances"].numpy(),
            ),
            spread_factor=state["spread_factor"].numpy(),
            guided=guided.eval().requires_grad_(False),
            guided_spread_factor=state["guided_spread_factor"].numpy(),
            latent_regressor=latent_regressor.to(device).eval().requires_grad_(False),
            novelty_mean=state["novelty_mean"].to(device),
            novelty_whitening=state["novelty_whitening"].to(device),
            disagreement_limit=float(state["disagreement_limit"]),
            cell_sizes=_unpack_sizes(state.get("cell_sizes")),
        )
        card = json.loads(state["card"])
        packed = state["embedding"]
        embedding = None if packed is None else _unpack(packed)
        packed_modes = state.get("modes")  # files of version 0.1 have none
        modes = None if packed_modes is None else unpack_modes(packed_modes, device)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or belongs to another version: {error}") from error
    model.to(device).eval().requires_grad_(False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Checkpoint(
        model=model,
        config=config,
        fitted=fitted,
        card=card,
        embedding=embedding,
        modes=modes,
        hash=digest,
    )


def _pack(record: Embedding | CellSizes) -> dict[str, Any]:
    """Plain values and tensors of a dataclass; text as lists, which tensors cannot hold."""
    return {
        field.name: torch.from_numpy(value)
        if isinstance(value := getattr(record, field.name), np.ndarray) and value.dtype.kind != "U"
        else value.tolist()
        if isinstance(value, np.ndarray)
        else value
        for field in dataclasses.fields(record)
    }


def _unpack_sizes(packed: dict[str, torch.Tensor] | None) -> CellSizes | None:
    """Corrections by size; None where a file has none, as those of version 0.1."""
    return None if packed is None else CellSizes(**{name: value.numpy() for name, value in packed.items()})


def _unpack(packed: dict[str, Any]) -> Embedding:
    """Inverse of `_pack`.

    Raises:
        InputError: The columns differ in length.
    """
    columns: dict[str, Any] = {
        name: value.numpy()
        if isinstance(value, torch.Tensor)
        else np.array(value)
        if isinstance(value, list)
        else value
        for name, value in packed.items()
    }
    embedding = Embedding(**columns)
    rows = ("family", "seed", "split", "properties", "volume_fraction", "component", "latent", "umap")
    if {len(columns[name]) for name in rows} != {len(embedding)}:
        raise InputError("the columns of the latent map differ in length")
    return embedding
