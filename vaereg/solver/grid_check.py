"""How much the effective stiffness of a cell depends on its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.solver.problem import voxel_edges

__all__ = ["MeshCheck", "mesh_check"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshCheck:
    """Effective stiffness on the given grid and on one that is refined by two along each axis."""

    coarse: HomogenizationResult
    """Result on the given grid."""
    fine: HomogenizationResult
    """Each voxel split into 2 x 2 x 2. Never stiffer than `coarse`: its displacements include those."""

    @property
    def change(self) -> NDArray[np.float64]:
        """Relative change C11, C22, ..., C66 from `coarse` to `fine` [-], shape (6,)."""
        return diagonal_properties(self.fine.stiffness) / diagonal_properties(self.coarse.stiffness) - 1.0


def mesh_check(
    phase: ArrayLike,
    materials: TwoPhase | None = None,
    *,
    rtol: float = 1e-6,
    dtype: type[np.float32] | type[np.float64] = np.float64,
    max_iter: int = 1000,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> MeshCheck:
    """How much the stiffness depends on the grid: solve again with each voxel split into 2 x 2 x 2.

    A voxel grid is stiffer than the continuum that it stands for, at a contrast of 50 by several per cent.
    The finer solve has eight times as many voxels; it starts from the coarser solution.

    Args and Raises: as in `homogenize`.
    """
    edges = voxel_edges(voxel_size)
    coarse = homogenize(
        phase,
        materials,
        rtol=rtol,
        dtype=dtype,
        max_iter=max_iter,
        keep_displacement=True,
        voxel_size=edges,
        element=element,
    )
    refined, initial = np.asarray(phase), np.asarray(coarse.displacement)
    for axis in range(3):
        refined = np.repeat(refined, 2, axis=axis)
        middle = (initial + np.roll(initial, -1, axis=axis + 2)) / 2
        initial = np.stack([initial, middle], axis=axis + 3)
        shape = initial.shape
        initial = initial.reshape(*shape[: axis + 2], 2 * shape[axis + 2], *shape[axis + 4 :])
    fine = homogenize(
        refined,
        materials,
        rtol=rtol,
        dtype=dtype,
        max_iter=max_iter,
        initial=initial,
        voxel_size=[edge / 2.0 for edge in edges],
        element=element,
    )
    return MeshCheck(coarse=replace(coarse, displacement=None), fine=fine)
