"""Measures of recognition and of diversity: confusion of classes, coverage, Vendi score.

Volumes of known classes come from the generators (`vaereg.generators.morphologies`) or from the independent
ones (`vaereg.evaluation.independent`); the classifier itself is in `vaereg.model.recognition`.

Letters: N volumes, D descriptors, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from vaereg.evaluation.independent import INDEPENDENT_CLASSES, draw_independent
from vaereg.generators.morphologies import (
    MORPHOLOGIES,
    MORPHOLOGY_VERSION,
    REFERENCE_EDGE,
    component_of,
    draw,
    make,
)
from vaereg.microstructure.descriptors import describe_morphology
from vaereg.model.recognition import LAMELLAE, RECOGNISED_MODES, MorphologyClassifier, Reference, Share

__all__ = [
    "CELL_SIZES",
    "Confusion",
    "DescriptorKernel",
    "Source",
    "confusion",
    "coverage",
    "draw_class",
    "draw_reference",
    "fit_kernel",
    "vendi_score",
]

Source = Literal["generators", "independent"]
"""Origin of volumes of known classes: generators of the data set, or those that share nothing with them."""

CELL_SIZES: Mapping[int, float] = MappingProxyType({16: 0.15, 24: 0.35, 32: 0.5})
"""Shares of the cell sizes [voxel per edge] in a reference; larger cells are described alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """Recognised against true classes."""

    true: tuple[str, ...]
    """Names of the classes of the volumes."""
    recognised: tuple[str, ...]
    """Names of the classes that the classifier tells apart."""
    counts: NDArray[np.int64]
    """Volumes of a true class (row) that are recognised as a class (column)."""

    def by_class(self) -> dict[str, Share]:
        """Volumes of each class that are recognised as of its mode."""
        modes = np.array([RECOGNISED_MODES[name] for name in self.recognised])
        return {
            name: Share(successes=int(row[modes == RECOGNISED_MODES[name]].sum()), trials=int(row.sum()))
            for name, row in zip(self.true, self.counts, strict=True)
        }

    def overall(self) -> Share:
        """Volumes of all classes that are recognised as of their mode."""
        shares = self.by_class().values()
        return Share(
            successes=sum(share.successes for share in shares), trials=sum(share.trials for share in shares)
        )

    def mistakes(self, name: str, limit: int = 2) -> list[tuple[str, int]]:
        """Classes of other modes that volumes of a class are taken for, with their numbers, most first."""
        row = self.counts[self.true.index(name)]
        mode = RECOGNISED_MODES[name]
        wrong = [
            (recognised, int(count))
            for recognised, count in zip(self.recognised, row, strict=True)
            if count and RECOGNISED_MODES[recognised] != mode
        ]
        return sorted(wrong, key=lambda pair: -pair[1])[:limit]


@dataclass(frozen=True, kw_only=True, slots=True)
class DescriptorKernel:
    """Similarity of two volumes, exp(-d² / (2 b²)) of the distance d of their standardised descriptors."""

    centre: NDArray[np.float64]
    """Mean of the descriptors, shape (D,)."""
    scale: NDArray[np.float64]
    """Standard deviation of the descriptors, shape (D,)."""
    bandwidth: float
    """Distance b at which the similarity has fallen to exp(-1/2)."""

    def __call__(self, descriptors: ArrayLike) -> NDArray[np.float64]:
        """Similarities of all pairs [-], shape (N, N), of descriptors of shape (N, D)."""
        rows = _standardised(np.asarray(descriptors, dtype=np.float64), self.centre, self.scale)
        return np.exp(-_squared_distances(rows) / (2.0 * self.bandwidth**2))


def draw_class(name: str, size: int, *, source: Source, generator: Generator) -> NDArray[np.uint8]:
    """Volume of a class, with lengths in voxels or relative to the cell, at random.

    Args:
        name: Class of the source; of the generators also `LAMELLAE`, which "spinodal" then leaves out.
        size: Voxels per edge, n.
        source: Origin of the volume.
        generator: Source of random numbers.

    Raises:
        ValueError: The class is unknown.
    """
    if source == "independent":
        return draw_independent(name, size, generator=generator)
    morphology = "spinodal" if name == LAMELLAE else name
    layered = name in (LAMELLAE, "laminate")
    parameters = draw(morphology, generator=generator)
    while (component_of(morphology, dataclasses.asdict(parameters)) == "layers") != layered:
        parameters = draw(morphology, generator=generator)
    if generator.random() < 0.5:
        parameters = parameters.scaled(size / REFERENCE_EDGE)
    return make(morphology, parameters, size, generator=generator).volume


def draw_reference(
    count: int,
    *,
    source: Source,
    generator: Generator,
    sizes: Mapping[int, float] = CELL_SIZES,
    executor: Executor | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Reference:
    """Draw and describe volumes of every class of a source.

    Args:
        count: Volumes of each class.
        source: Origin of the volumes.
        generator: Source of random numbers.
        sizes: Shares of the cell sizes [voxel per edge].
        executor: Executor that makes and describes the volumes in parallel; this process if left out.
        on_progress: Called with the number of volumes that are described and with that of all.

    Raises:
        ValueError: `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"expected at least one volume of each class, got {count}")
    names = (*MORPHOLOGIES, LAMELLAE) if source == "generators" else tuple(INDEPENDENT_CLASSES)
    edges = _cell_sizes(count, sizes)
    tasks: list[tuple[str, int, Source]] = [(name, size, source) for name in names for size in edges]
    described: Iterator[NDArray[np.float64]] = (map if executor is None else executor.map)(
        _describe_drawn, tasks, generator.spawn(len(tasks))
    )
    rows = []
    for row in described:
        rows.append(row)
        if on_progress is not None:
            on_progress(len(rows), len(tasks))
    version = f" of version {MORPHOLOGY_VERSION}" if source == "generators" else ""
    return Reference(
        descriptors=np.array(rows).astype(np.float16),
        labels=np.repeat(np.arange(len(names)), count).astype(np.uint8),
        classes=names,
        origin=f"{source}{version}, {count} volumes of each class, of {_listing(edges)} voxels per edge",
    )


def confusion(classifier: MorphologyClassifier, volumes: Reference) -> Confusion:
    """Classes that a classifier recognises in described volumes of known classes."""
    recognised = classifier.most_likely(classifier.predict_descriptors(volumes.descriptors))
    counts = np.zeros((len(volumes.classes), len(classifier.classes)), dtype=np.int64)
    np.add.at(counts, (volumes.labels, recognised), 1)
    return Confusion(true=volumes.classes, recognised=classifier.classes, counts=counts)


def coverage(present: Sequence[Collection[int]], expected: Sequence[int]) -> Share:
    """Share of unseen volumes whose class the designs for their properties include.

    Args:
        present: Classes, or modes, that are recognised among the designs for each volume's properties.
        expected: Class, or mode, of each volume.

    Raises:
        ValueError: The numbers of targets differ.
    """
    if len(present) != len(expected):
        raise ValueError(f"expected designs for each of {len(expected)} volumes, got {len(present)}")
    hits = sum(name in classes for name, classes in zip(expected, present, strict=True))
    return Share(successes=hits, trials=len(expected))


def fit_kernel(reference: Reference) -> DescriptorKernel:
    """Kernel whose bandwidth is the median distance of two volumes of the same class of a reference.

    So two volumes of a class are similar by about exp(-1/2), and those of different classes less.

    Raises:
        ValueError: No class has two volumes.
    """
    descriptors = reference.descriptors.astype(np.float64)
    centre, scale = descriptors.mean(axis=0), descriptors.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    rows = _standardised(descriptors, centre, scale)
    within = []
    for label in range(len(reference.classes)):
        squares = _squared_distances(rows[reference.labels == label])
        within.append(squares[np.triu_indices(len(squares), 1)])
    pairs = np.concatenate(within)
    if not pairs.size:
        raise ValueError("expected a reference with two volumes of a class, got one of each")
    return DescriptorKernel(centre=centre, scale=scale, bandwidth=float(np.sqrt(np.median(pairs))))


def vendi_score(similarity: ArrayLike) -> float:
    """Effective number of different volumes (Friedman & Dieng 2023, arXiv:2210.02410).

    The exponential of the entropy of the eigenvalues of K / N: 1 where all are the same, N where all differ.

    Args:
        similarity: Positive semidefinite similarities K with a diagonal of ones, shape (N, N).

    Raises:
        ValueError: `similarity` is no such matrix.
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"expected similarities of shape (N, N), got {matrix.shape}")
    if not np.allclose(np.diag(matrix), 1.0) or not np.allclose(matrix, matrix.T):
        raise ValueError("expected symmetric similarities with a diagonal of ones, got others")
    eigenvalues = np.linalg.eigvalsh(matrix / len(matrix))
    if eigenvalues[0] < -1e-8:
        raise ValueError(
            f"expected positive semidefinite similarities, got the eigenvalue {eigenvalues[0]:g}"
        )
    positive = eigenvalues[eigenvalues > 0.0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


_FARTHEST = 5.0
"""Standard deviations beyond which a descriptor is cut off: a few of them have long tails."""


def _standardised(
    descriptors: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.clip((descriptors - centre) / scale, -_FARTHEST, _FARTHEST)


def _squared_distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.square(rows).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2.0 * rows @ rows.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _describe_drawn(task: tuple[str, int, Source], generator: Generator) -> NDArray[np.float64]:
    name, size, source = task
    return describe_morphology(draw_class(name, size, source=source, generator=generator))


def _cell_sizes(count: int, sizes: Mapping[int, float]) -> list[int]:
    """Sizes of `count` volumes, in the given shares as nearly as whole numbers can be."""
    edges = np.cumsum(list(sizes.values())) / sum(sizes.values())
    return [list(sizes)[int(np.searchsorted(edges, (place + 0.5) / count))] for place in range(count)]


def _listing(edges: Sequence[int]) -> str:
    return ", ".join(f"{size} ({edges.count(size)})" for size in sorted(set(edges)))
