"""Recognition of the class and of the mode of two-phase volumes by a classifier of descriptors.

The classifier is a forest of extremely randomised trees (Geurts, Ernst & Wehenkel 2006,
doi:10.1007/s10994-006-6226-1) on the descriptors of `vaereg.microstructure.descriptors`. It is fitted within
seconds, anew in every process: what is stored are the descriptors of volumes of known classes, plain numbers.

Letters: N volumes, D descriptors, C classes, M modes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.io.files import replace_file
from vaereg.microstructure.descriptors import DESCRIPTOR_NAMES, describe_morphologies
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, CheckpointError
from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesClassifier

__all__ = [
    "DEFAULT_REFERENCE",
    "INDEPENDENT_REFERENCE",
    "LAMELLAE",
    "RECOGNISED_MODES",
    "TREES",
    "ModeRecognition",
    "MorphologyClassifier",
    "Reference",
    "Share",
    "fit_classifier",
    "load_classifier",
    "make_reference",
    "read_reference",
    "recognition_of_modes",
    "save_reference",
]

DEFAULT_REFERENCE = DEFAULT_CHECKPOINT.with_name("recognition.npz")
"""Descriptors of volumes of the generators, released with the weights."""
INDEPENDENT_REFERENCE = DEFAULT_CHECKPOINT.with_name("recognition-independent.npz")
"""Descriptors of volumes of `vaereg.evaluation.independent`, for a judge that has not seen the generators."""
LAMELLAE = "lamellae"
"""Class of the spinodal volumes that are layers."""
RECOGNISED_MODES: Mapping[str, int] = MappingProxyType({**CLASS_MODES, LAMELLAE: MODE_NAMES.index("layers")})
"""Index of the mode of each class that a classifier may know."""
TREES = 400
"""Number of trees: probabilities are shares of votes, in steps of 1/400."""
_FEATURES = 0.3
"""Share of the descriptors that are tried at each node [-]."""
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Descriptors of volumes whose classes are known."""

    descriptors: NDArray[np.float16]
    """Descriptors in the order of `DESCRIPTOR_NAMES`, shape (N, D)."""
    labels: NDArray[np.uint8]
    """Index of the class of each volume, shape (N,); every class occurs."""
    classes: tuple[str, ...]
    """Names of the classes."""
    origin: str
    """Volumes that were described: generators and their version, sizes, seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Number of successes among independent trials."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials:
            raise ValueError(f"expected 0 to {self.trials} successes, got {self.successes}")

    @property
    def value(self) -> float:
        """Share of successes [-]; 0 without a trial."""
        return self.successes / self.trials if self.trials else 0.0

    @property
    def standard_error(self) -> float:
        """Standard error of the binomial share [-], of (k + 1/2) / (n + 1), so that 4 of 4 is not certain."""
        share = (self.successes + 0.5) / (self.trials + 1.0)
        return float(np.sqrt(share * (1.0 - share) / (self.trials + 1.0)))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeRecognition:
    """Volumes that are recognised as the mode that they were made for."""

    overall: Share
    """All volumes."""
    by_mode: Mapping[str, Share]
    """Volumes of each mode, by its name; modes without a volume are left out."""
    taken_for: NDArray[np.int64]
    """Number of volumes of a mode (row) that are recognised as a mode (column), shape (M, M)."""


class MorphologyClassifier:
    """Classifier of volumes of 0 and 1 of any size."""

    def __init__(self, forest: ExtraTreesClassifier, classes: Sequence[str]) -> None:
        """Use a fitted forest whose labels are the indices of `classes`."""
        self.classes = tuple(classes)
        """Names of the classes, in the order of the probabilities."""
        self._forest = forest

    def predict_proba(
        self, volumes: Iterable[ArrayLike], *, executor: Executor | None = None
    ) -> NDArray[np.float64]:
        """Probabilities of the classes.

        Args:
            volumes: Phase per voxel, 0 or 1, both present in each volume, each of shape (X, Y, Z).
            executor: Executor that describes the volumes in parallel; this process if left out.

        Returns:
            Share of the trees that vote for each class [-], shape (N, C).
        """
        return self.predict_descriptors(describe_morphologies(volumes, executor=executor))

    def predict_descriptors(self, descriptors: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of the classes of described volumes, shape (N, D); see `predict_proba`."""
        rows = np.asarray(descriptors)
        if rows.ndim != 2 or rows.shape[1] != len(DESCRIPTOR_NAMES):
            raise ValueError(f"expected descriptors of shape (N, {len(DESCRIPTOR_NAMES)}), got {rows.shape}")
        if len(rows) == 0:
            return np.zeros((0, len(self.classes)))
        return np.asarray(self._forest.predict_proba(_rounded(rows)))

    def mode_proba(
        self,
        probabilities: ArrayLike,
        class_modes: Mapping[str, int] = RECOGNISED_MODES,
        count: int = len(MODE_NAMES),
    ) -> NDArray[np.float64]:
        """Probabilities of the modes from those of the classes.

        Args:
            probabilities: Probabilities of the classes [-], shape (N, C).
            class_modes: Index of the mode of each class.
            count: Number of modes, M.

        Returns:
            Sum over the classes of each mode [-], shape (N, M).
        """
        votes = np.asarray(probabilities, dtype=np.float64)
        modes = np.zeros((len(votes), count))
        for place, name in enumerate(self.classes):
            modes[:, class_modes[name]] += votes[:, place]
        return modes

    def most_likely(
        self, probabilities: ArrayLike, class_modes: Mapping[str, int] = RECOGNISED_MODES
    ) -> NDArray[np.int64]:
        """Index of the most likely class of the most likely mode, shape (N,); see `mode_proba`."""
        votes = np.asarray(probabilities, dtype=np.float64)
        modes = np.array([class_modes[name] for name in self.classes])
        likely = self.mode_proba(votes, class_modes, int(modes.max()) + 1).argmax(axis=1)
        return np.where(likely[:, None] == modes, votes, -1.0).argmax(axis=1)


def fit_classifier(
    descriptors: ArrayLike, labels: ArrayLike, classes: Sequence[str], *, trees: int = TREES, seed: int = 0
) -> MorphologyClassifier:
    """Fit a classifier to described volumes of known classes.

    Args:
        descriptors: As of `describe_morphologies`, shape (N, D).
        labels: Index of the class of each volume, shape (N,); every class occurs.
        classes: Names of the classes.
        trees: Number of trees.
        seed: Seed of the trees.

    Raises:
        ValueError: Shapes do not fit, or a class has no volume.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # a second of imports

    rows, numbers = np.asarray(descriptors), np.asarray(labels)
    if rows.ndim != 2 or rows.shape[1] != len(DESCRIPTOR_NAMES):
        raise ValueError(f"expected descriptors of shape (N, {len(DESCRIPTOR_NAMES)}), got {rows.shape}")
    if numbers.shape != rows.shape[:1]:
        raise ValueError(f"expected labels of shape ({len(rows)},), got {numbers.shape}")
    if np.unique(numbers).tolist() != list(range(len(classes))):
        raise ValueError(
            f"expected volumes of each of {len(classes)} classes, got labels {np.unique(numbers)}"
        )
    forest = ExtraTreesClassifier(trees, max_features=_FEATURES, random_state=seed)  # pyright: ignore[reportArgumentType]
    return MorphologyClassifier(forest.fit(_rounded(rows), numbers), classes)


def make_reference(
    volumes: Iterable[ArrayLike], names: Sequence[str], *, origin: str, executor: Executor | None = None
) -> Reference:
    """Describe volumes of known classes.

    Args:
        volumes: Phase per voxel, 0 or 1, both present in each volume, each of shape (X, Y, Z).
        names: Name of the class of each volume, in the same order; classes are listed as they first occur.
        origin: What the volumes are: generators and their version, sizes, seed.
        executor: Executor that describes the volumes in parallel; this process if left out.
    """
    classes = tuple(dict.fromkeys(names))
    descriptors = describe_morphologies(volumes, executor=executor)
    if len(descriptors) != len(names):
        raise ValueError(
            f"expected the name of a class for each of {len(descriptors)} volumes, got {len(names)}"
        )
    return Reference(
        descriptors=descriptors.astype(np.float16),
        labels=np.array([classes.index(name) for name in names], dtype=np.uint8),
        classes=classes,
        origin=origin,
    )


def save_reference(reference: Reference, path: Path) -> None:
    """Write a reference as plain arrays, in NumPy's npz format."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file,
                format_version=np.array(_FORMAT),
                names=np.array(DESCRIPTOR_NAMES),
                descriptors=reference.descriptors,
                labels=reference.labels,
                classes=np.array(reference.classes),
                origin=np.array(reference.origin),
            )

    replace_file(path, write)


def read_reference(path: Path) -> Reference:
    """Read a reference: plain arrays, no code in the file is ever run.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is no reference, or one of other descriptors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no reference of the classifier at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise zipfile.BadZipFile("a member is compressed")  # and could inflate to any size
        with np.load(path, allow_pickle=False) as file:
            version, names = int(file["format_version"]), tuple(file["names"].tolist())
            reference = Reference(
                descriptors=np.asarray(file["descriptors"], dtype=np.float16),
                labels=np.asarray(file["labels"], dtype=np.uint8),
                classes=tuple(file["classes"].tolist()),
                origin=str(file["origin"]),
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is no reference of a classifier of morphologies") from error
    if version != _FORMAT or names != DESCRIPTOR_NAMES:
        raise CheckpointError(f"{path} is of other descriptors than this program's; make it anew")
    return reference


def load_classifier(path: Path | None = None, *, seed: int = 0) -> MorphologyClassifier:
    """Fit a classifier to a stored reference, within seconds; kept for further calls of this process.

    Args:
        path: File; the reference released with the weights if left out.
        seed: Seed of the trees.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is no reference, or one of other descriptors.
    """
    return _fitted(DEFAULT_REFERENCE if path is None else Path(path), seed)


def recognition_of_modes(
    classifier: MorphologyClassifier,
    volumes: Iterable[ArrayLike],
    modes: Sequence[int],
    *,
    class_modes: Mapping[str, int] = RECOGNISED_MODES,
    mode_names: Sequence[str] = MODE_NAMES,
    executor: Executor | None = None,
) -> ModeRecognition:
    """Share of volumes that are recognised as the mode that they were made for.

    Args:
        classifier: Classifier of the classes in `class_modes`.
        volumes: Decoded volumes, 0 or 1, each of shape (X, Y, Z). A volume of a single phase counts as not
            recognised.
        modes: Index of the mode of each volume, N in number.
        class_modes: Index of the mode of each class.
        mode_names: Names of the modes by index, M in number.
        executor: Executor that describes the volumes in parallel; this process if left out.

    Raises:
        ValueError: There are more or fewer modes than volumes.
    """
    cells = [np.asarray(volume) for volume in volumes]
    own_mode = np.asarray(modes, dtype=np.int64)
    if own_mode.shape != (len(cells),):
        raise ValueError(f"expected the mode of each of {len(cells)} volumes, got shape {own_mode.shape}")
    mixed = np.array([bool(cell.any() and not cell.all()) for cell in cells], dtype=bool)
    votes = classifier.predict_proba([cells[row] for row in np.flatnonzero(mixed)], executor=executor)
    recognised_mode = classifier.mode_proba(votes, class_modes, len(mode_names)).argmax(axis=1)
    taken_for = np.zeros((len(mode_names), len(mode_names)), dtype=np.int64)
    np.add.at(taken_for, (own_mode[mixed], recognised_mode), 1)
    return ModeRecognition(
        overall=Share(successes=int(np.trace(taken_for)), trials=len(cells)),
        by_mode={
            name: Share(successes=int(taken_for[index, index]), trials=int((own_mode == index).sum()))
            for index, name in enumerate(mode_names)
            if (own_mode == index).any()
        },
        taken_for=taken_for,
    )


@lru_cache(maxsize=4)
def _fitted(path: Path, seed: int) -> MorphologyClassifier:
    reference = read_reference(path)
    return fit_classifier(reference.descriptors, reference.labels, reference.classes, seed=seed)


def _rounded(descriptors: NDArray[np.generic]) -> NDArray[np.float32]:
    """Descriptors to the precision of stored ones, so that a threshold parts both alike."""
    return descriptors.astype(np.float16).astype(np.float32)
