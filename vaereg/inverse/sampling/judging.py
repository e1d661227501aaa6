"""What says how far decoded volumes are from a target: the encoder at once, a guided regressor in the end.

For C11 ... C66 with the phases of the checkpoint both tiers are its own. For other phases and quantities the
encoder's answer is moved to these phases by the surrogate of the modes (`vaereg.model.modes.materials`), and
the regressor for any pair has the last word, with the conductivity solved.

Letters: B volumes, T properties.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, meet
from vaereg.inverse.sampling.scoring import score
from vaereg.materials import TwoPhase
from vaereg.microstructure.carrying import carried_part, carried_strains
from vaereg.microstructure.symmetry import cut_symmetric
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import decode_fields
from vaereg.model.modes.library import Rows
from vaereg.model.networks import cut
from vaereg.model.pairs.regressor import CONDUCTION_RESIDUAL, PairModel, load_pair_model, predict_stiffness
from vaereg.model.prediction import encode_batch, predict
from vaereg.solver.conduction import conduct
from vaereg.targets import TARGETS, CellProperties, Targets
from vaereg.workers import thread_map

__all__ = ["Judge", "Judged"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Predicted properties of volumes."""

    cells: CellProperties
    """Properties; entries of the stiffness that are not predicted are NaN."""
    std: NDArray[np.float64]
    """Calibrated standard deviation of C11 ... C66, shape (B, T) [GPa]."""
    score: NDArray[np.float64]
    """What is to be small, see `scoring.score`, shape (B,)."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """C11 ... C66, shape (B, T) [GPa]."""
        return diagonal_properties(self.cells.stiffness)

    def replaced(self, rows: NDArray[np.intp], other: Judged, chosen: NDArray[np.bool_]) -> Judged:
        """The same with some rows from chosen ones of another judgement."""
        cells = self.cells
        stiffness, fraction = cells.stiffness.copy(), cells.fraction.copy()
        stiffness[rows], fraction[rows] = other.cells.stiffness[chosen], other.cells.fraction[chosen]
        conductivity = cells.conductivity
        if conductivity is not None and other.cells.conductivity is not None:
            conductivity = conductivity.copy()
            conductivity[rows] = other.cells.conductivity[chosen]
        std, score = self.std.copy(), self.score.copy()
        std[rows], score[rows] = other.std[chosen], other.score[chosen]
        merged = CellProperties(
            stiffness=stiffness, fraction=fraction, materials=cells.materials, conductivity=conductivity
        )
        return Judged(cells=merged, std=std, score=score)


class Judge:
    """Tiers that judge volumes for one target and one pair of phases.

    Args:
        checkpoint: Trained model.
        targets: What is wanted.
        pair: Phases; those of the checkpoint if left out.
        constraints: What volumes have to meet besides.

    Raises:
        InputError: Other quantities or phases are asked for, and the checkpoint has no modes.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        targets: Targets,
        pair: TwoPhase | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        own_pair = checkpoint.model.materials
        self.constraints = Constraints() if constraints is None else constraints
        self.checkpoint, self.targets = checkpoint, targets
        self.pair = own_pair if pair is None else pair
        self.plain = self.pair.moduli() == own_pair.moduli() and set(targets.names) <= set(TARGETS)
        if not self.plain and checkpoint.modes is None:
            raise InputError(
                "expected C11 ... C66 or volume_fraction with the phases of the checkpoint: it has no modes"
            )
        targets.check_materials(self.pair)
        self._pairs: PairModel | None = None if self.plain else load_pair_model()

    def fields(
        self,
        z: torch.Tensor,
        component: NDArray[np.int64],
        size: int,
        *,
        seeds: Sequence[int] | NDArray[np.int64],
        stretch: float,
    ) -> torch.Tensor:
        """Fields of latent vectors with the symmetry that is wanted; see `model.decoding.decode_fields`."""
        symmetry = self.constraints.symmetry
        return decode_fields(
            self.checkpoint, z, component, size, seeds=seeds, stretch=stretch, symmetry=symmetry
        )

    def cut(self, field: torch.Tensor, fraction: torch.Tensor, *, meeting: bool = True) -> NDArray[np.uint8]:
        """Volumes, shape (B, X, Y, Z), from fields (B, 1, X, Y, Z) cut at fractions (B,).

        Args:
            field: Fields of latent vectors.
            fraction: Volume fractions of the stiff phase [-].
            meeting: Change the volumes so that they meet the constraints, as far as that is possible.
        """
        symmetry = self.constraints.symmetry
        if symmetry == "none":
            volumes = cut(field, fraction).squeeze(1).to(torch.uint8).cpu().numpy()
        else:
            parts = zip(field.squeeze(1).cpu().numpy(), fraction.tolist(), strict=True)
            volumes = np.stack([cut_symmetric(part, share, symmetry) for part, share in parts])
        if not (self.constraints and meeting):
            return volumes
        return np.stack([meet(volume, self.constraints) for volume in volumes])

    def quick(self, volumes: NDArray[np.uint8] | torch.Tensor, rows: Rows | None) -> Judged:
        """Judge by the encoder.

        Args:
            volumes: Phases 0 and 1, shape (B, X, Y, Z).
            rows: Volumes of the library that they are like; needed for other quantities and phases.
        """
        mean, std, _, _ = encode_batch(self.checkpoint, volumes)
        fraction = np.asarray(torch.as_tensor(volumes).double().mean((1, 2, 3)).cpu())
        modes = self.checkpoint.modes
        if self.plain or modes is None or rows is None:
            cells = CellProperties.from_diagonal(mean, fraction, self.pair)
        else:
            heat = self.targets.needs_conductivity
            cells = modes.cells(rows, self.pair, diagonal=mean, fraction=fraction, with_conductivity=heat)
            if self.pair.has_void:
                cells = self._held_together(cells, np.asarray(torch.as_tensor(volumes).cpu()))
        diagonal = diagonal_properties(cells.stiffness)
        return Judged(cells=cells, std=diagonal * std / mean, score=score(self.targets, cells))

    def _held_together(self, cells: CellProperties, volumes: NDArray[np.uint8]) -> CellProperties:
        """Cells without what the surrogate says of strains that meet no stress."""
        solids = volumes == (0 if self.pair.stiff.is_void else 1)
        parts = zip(cells.stiffness, solids, strict=True)
        stiffness = np.stack([carried_part(matrix, carried_strains(solid)) for matrix, solid in parts])
        return replace(cells, stiffness=stiffness)

    def final(
        self, volumes: NDArray[np.uint8], on_progress: Callable[[int, int], None] | None = None
    ) -> Judged:
        """Judge by a physics-guided regressor.

        Args:
            volumes: Phases 0 and 1, shape (B, X, Y, Z).
            on_progress: Called with the volumes that are done and their number.
        """
        fraction = volumes.mean((1, 2, 3), dtype=np.float64)
        if self._pairs is None:
            better = predict(self.checkpoint, volumes, on_progress=on_progress)
            cells = CellProperties.from_diagonal(better.mean, fraction, self.pair)
            return Judged(cells=cells, std=better.std, score=score(self.targets, cells))
        prediction = predict_stiffness(
            self._pairs, list(volumes), [self.pair], fast=True, lower_bound=False, on_progress=on_progress
        )
        conductivity = None
        if self.targets.needs_conductivity:
            conductivity = np.stack(list(thread_map(self._conductivity, volumes)))
        cells = CellProperties(
            stiffness=prediction.mean, fraction=fraction, materials=self.pair, conductivity=conductivity
        )
        return self.of_prediction(cells, prediction.std)

    def of_prediction(self, cells: CellProperties, stiffness_std: NDArray[np.float64]) -> Judged:
        """Judgement of cells that the regressor for any pair has predicted, std of shape (B, 6, 6) [GPa]."""
        return Judged(cells=cells, std=diagonal_properties(stiffness_std), score=score(self.targets, cells))

    def _conductivity(self, volume: NDArray[np.uint8]) -> NDArray[np.float64]:
        result = conduct(volume, self.pair, rtol=CONDUCTION_RESIDUAL, dtype=np.float32)
        return np.asarray(result.conductivity, dtype=np.float64)
