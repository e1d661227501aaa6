"""Effective stiffness of a periodic two-phase cell by matrix-free finite elements.

Every voxel is one trilinear hexahedron with full 2x2x2 integration (HEX8 of Leuschner & Fritzen 2018,
doi:10.1007/s00466-017-1501-5). For each macroscopic strain E the periodic displacement fluctuation u solves

    K u = -f(E),    K = sum over elements of B^T C B,    f(E) = sum over elements of B^T C E,

by conjugate gradients, preconditioned with the exact inverse of K for a homogeneous medium, which is one
real 3x3 block per Fourier mode. The effective stiffness follows from the energy form, whose error is second
order in the residual. The problem is self-adjoint: the derivative of C_ij with respect to the phase of an
element is the energy, between load cases i and j, of that element with the derivative of its law.

Four ideas make it fast on a CPU:

- The element operator is applied in the basis of corner sums and differences
  (see `vaereg.solver.compiled.kernels`).
- Two load cases are the real and the imaginary part of one complex field: one complex FFT serves both, every
  Fourier mode is treated alike (no special case at the Nyquist frequency), and a row of 2 Z real numbers is
  one vectorised loop.
- The preconditioner works in single precision, whatever the precision of the fields.
- Load cases are solved in three such pairs, one after the other, so that the working set stays in the cache.

The cell, its operator and its preconditioner are in `vaereg.solver.cell`, with the layout of packed fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import voigt_bound
from vaereg.materials import TwoPhase
from vaereg.solver.cell import LOAD_PAIRS, Cell
from vaereg.solver.compiled import energies, vectors
from vaereg.solver.problem import (
    as_displacement,
    as_phase_field,
    choose_element,
    scaled_moduli,
    voxel_edges,
    without_rounding,
)

__all__ = [
    "SOFT_REFERENCE_CONTRAST",
    "ConvergenceError",
    "HomogenizationResult",
    "homogenize",
    "iterated_bounds",
]


SOFT_REFERENCE_CONTRAST = 30.0
"""Contrast [-] from which on the reference medium has the Poisson ratio of the softer phase: at 1000 with
Poisson ratios 0.2 and 0.45 it takes 40 in place of 71 iterations, below 30 nothing is gained."""


_RESTARTS = 2
"""Restarts of the iteration from the true residual before a tolerance counts as out of reach."""
_GAIN, _PATIENCE = 1e-3, 100
"""Fall of the residual [-] and iterations after which float32 meets the true residual in float64."""
_DRIFT = 2.0
"""Largest ratio of the true residual to that of the iteration at which a direction is kept [-]."""
_GROWTH = 10.0
"""Growth of the residual [-] from which rounding has taken over, long after a load case was solved."""
_STALLED = 0.3
"""Fall of the true residual above which float32 is given up for float64 [-]."""


class ConvergenceError(RuntimeError):
    """The conjugate gradients stopped above the tolerance that was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HomogenizationResult:
    """Effective stiffness of a cell, with what it cost."""

    stiffness: NDArray[np.float64]
    """Shape (6, 6), Voigt order, engineering shear [GPa]."""
    iterations: int
    """Conjugate-gradient iterations of the slowest load case."""
    residual: float
    """Largest relative residual over the load cases, in the norm of the preconditioner [-]."""
    converged: bool
    """Whether `residual` reached the tolerance."""
    element: str = "hex8"
    """Element of a voxel, "hex8" (full integration) or "bbar" (mean dilatation)."""
    unloaded: tuple[str, ...] = ()
    """Components of stress (xx, ..., xy) that the cell cannot carry: voids cut it."""
    history: NDArray[np.float64] | None = None
    """C11, C22, ... C66 after each iteration [GPa], shape (iterations, 6): upper bounds that fall towards the
    diagonal of the stiffness, which costs nothing to know (Hestenes & Stiefel 1952, theorem 6:1), to single
    precision. None with a warm start or where no iteration was needed."""
    sensitivity: NDArray | None = None
    """Derivative dC_ij / d phase of each voxel [GPa], where asked for: the 21 entries i <= j, row by row,
    shape (21, X, Y, Z), in the precision of the fields. Packed, since (6, 6, X, Y, Z) in float64 would take
    600 MB at 128^3 in place of 180 (float32); `elasticity.unpack_symmetric` expands it."""
    displacement: NDArray | None = None
    """Displacement fluctuation under each unit strain, in the unit of the voxel size, where asked for, shape
    (6, 3, X, Y, Z), in the precision of the fields and up to a translation; entry (x, y, z) is the corner
    that voxel (x, y, z) shares with its predecessors. A warm start for a similar cell (`initial` of
    `homogenize`)."""


def homogenize(
    phase: ArrayLike,
    materials: TwoPhase | None = None,
    *,
    rtol: float = 1e-6,
    dtype: type[np.float32] | type[np.float64] = np.float64,
    max_iter: int = 1000,
    raise_on_failure: bool = True,
    sensitivities: bool = False,
    keep_displacement: bool = False,
    initial: ArrayLike | None = None,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
    on_iteration: Callable[[int, float], None] | None = None,
) -> HomogenizationResult:
    """Effective stiffness of a periodic cell (Leuschner & Fritzen 2018, doi:10.1007/s00466-017-1501-5).

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (X, Y, Z). Values between mix the Lamé parameters
            linearly.
        materials: The two phases, one of which may be a void; the reference pair (120 and 2.4 GPa, Poisson
            ratio 0.3) if left out.
        rtol: Residual, relative to that of the uniform strain, at which a load case is taken as solved. The
            error of the stiffness, relative to the Voigt bound, is of the order of its square, that of the
            sensitivities of the order of `rtol` itself. Soft cells of a high contrast need a small one.
        dtype: Precision of the fields; the stiffness is always accumulated and returned in float64.
        max_iter: Upper limit of iterations per load case.
        raise_on_failure: With False, a result that has not converged is returned with its status.
        sensitivities: Return dC_ij / d phase of each voxel as well (Haug, Choi & Komkov 1986, Design
            Sensitivity Analysis of Structural Systems): no further solve is needed.
        keep_displacement: Return the displacements as well, shape (6, 3, X, Y, Z).
        initial: Displacements of a similar cell of the same shape to start from.
        voxel_size: Edges of a voxel along x, y, z, in any unit of length; cubes of edge 1 if left out.
        element: "hex8", "bbar", or "auto": B-bar where a Poisson ratio is above `BBAR_POISSON_RATIO`.
        on_iteration: Called after each iteration with the load cases that are solved, 0 to 6, and the
            relative residual of those under way; what it raises ends the solve.

    Raises:
        InputError: `voxel_size` or `element` is none of these.
        ValueError: `phase` is not three-dimensional, empty, or leaves 0 to 1; `rtol` or `max_iter` is not
            positive; `initial` has another shape or is not finite.
        ConvergenceError: The residual stayed above `rtol` after `max_iter` iterations.
    """
    field = as_phase_field(phase)
    if not rtol > 0.0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter}")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
    guess = None if initial is None else as_displacement(initial, field.shape)
    pair, unit = scaled_moduli(materials)
    edges, element_name = voxel_edges(voxel_size), choose_element(element, pair)
    cell = Cell(
        field,
        pair,
        np.dtype(dtype),
        edges=edges,
        bbar=element_name == "bbar",
        soft_reference=pair.ordered().contrast >= SOFT_REFERENCE_CONTRAST,
    )

    solutions: list[_SolvedPair] = []
    for load_pair in LOAD_PAIRS:
        start = None if guess is None else cell.pack(guess[list(load_pair)])
        report = None if on_iteration is None else partial(on_iteration, 2 * len(solutions))
        solutions.append(_solve_pair(cell, load_pair, rtol, max_iter, start, report=report))
    fields, drops = [pair.displacement for pair in solutions], [pair.drops for pair in solutions]
    iterations = max(len(fallen) for fallen in drops)
    residual = float(np.max([pair.residual for pair in solutions]))
    converged = bool(residual <= rtol)
    if not converged and raise_on_failure:
        raise ConvergenceError(
            f"residual {residual:.2e} is above the tolerance {rtol:.2e} after {iterations} iterations: "
            "allow more iterations, a looser tolerance or, at a tolerance near rounding, float64"
        )
    bound = voigt_bound(float(field.mean(dtype=np.float64)), pair)
    history = None
    if guess is None and iterations:
        history = unit * _falling(bound, drops, iterations, field.size)
    stiffness = bound + _energy_of_fluctuations(solutions) / field.size
    unloaded: tuple[str, ...] = ()
    if pair.has_void:
        stiffness, unloaded = without_rounding(stiffness)
    return HomogenizationResult(
        stiffness=unit * stiffness,
        element=element_name,
        unloaded=unloaded,
        iterations=iterations,
        residual=residual,
        converged=converged,
        history=history,
        sensitivity=_sensitivity(cell, fields, unit) if sensitivities else None,
        displacement=cell.unpack(fields) if keep_displacement else None,
    )


def iterated_bounds(
    phase: ArrayLike, materials: TwoPhase | None = None, *, iterations: int
) -> NDArray[np.float64]:
    """Upper bounds on C11, C22, ... C66 after 1, 2, ... conjugate-gradient iterations from zero, in float32.

    The same as `HomogenizationResult.history`; computing nothing else saves 0.4 of the time of three.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (X, Y, Z).
        materials: The two phases; the reference pair if left out.
        iterations: How many.

    Returns:
        Shape (iterations, 6) [GPa]; the last one that was needed is repeated where fewer were.

    Raises:
        ValueError: `phase` is not three-dimensional, empty, or leaves 0 to 1.
    """
    field = as_phase_field(phase)
    pair, unit = scaled_moduli(materials)
    cell = Cell(field, pair, np.dtype(np.float32))
    drops = [_solve_pair(cell, item, 1e-12, iterations, None, finish=False).drops for item in LOAD_PAIRS]
    return unit * _falling(voigt_bound(float(field.mean()), pair), drops, iterations, field.size)


def _falling(
    bound: NDArray[np.float64], drops: list[NDArray[np.float64]], iterations: int, voxels: int
) -> NDArray[np.float64]:
    """Diagonal of the stiffness after each iteration, shape (iterations, 6), from Voigt's bound (6, 6)."""
    padded = [np.pad(fallen, ((0, iterations - len(fallen)), (0, 0))) for fallen in drops]
    return np.diag(bound) - np.cumsum(np.concatenate(padded, 1), 0) / voxels


@dataclass(frozen=True, kw_only=True, slots=True)
class _SolvedPair:
    """Solution of two load cases."""

    displacement: NDArray
    """Shape (3, X, Y, 2 Z)."""
    forces: NDArray
    """Load and true residual, load + (load - K displacement), like the displacement."""
    drops: NDArray[np.float64]
    """Fall of the energies in each iteration, shape (iterations, 2)."""
    residual: float
    """Larger (true) relative residual [-]."""


def _solve_pair(
    cell: Cell,
    pair: tuple[int, int],
    rtol: float,
    max_iter: int,
    initial: NDArray | None,
    *,
    finish: bool = True,
    report: Callable[[float], None] | None = None,
) -> _SolvedPair:
    """Conjugate gradients for two load cases; each has step lengths of its own.

    The residual that the iteration updates drifts from the true one by rounding, so the true one is computed
    before the iteration ends; where it is larger than asked for, the iteration starts again from it, at most
    `_RESTARTS` times.

    In float64, displacements are added up and true residuals are computed in float64, but the iteration runs
    in float32. Whenever its residual has fallen by `_GAIN`, or after `_PATIENCE` iterations, the true one
    takes its place (residual replacement, van der Vorst & Ye 2000, doi:10.1137/S1064827599353865). The
    direction of a load case stays unless its true residual is far larger. Where rounding stops the fall, or
    the residual grows, the iteration goes on in float64.

    Without `finish`, the last of `max_iter` iterations gives its energies alone.
    """
    load = cell.load(pair)
    # a uniform or layered cell leaves forces at rounding level: the solution is zero, and 0/0 must not be
    # formed
    rounding = 64.0 * np.finfo(cell.dtype).eps * cell.largest_modulus
    forced = np.array([np.abs(load[..., part::2]).max() > rounding for part in range(2)])
    displacement, image = np.zeros_like(load) if initial is None else initial, cell.empty()
    for part in range(2):
        if not forced[part]:
            load[..., part::2] = displacement[..., part::2] = 0.0
    residual, drops = load.copy(), []

    def solution(remainder: NDArray, relative: float) -> _SolvedPair:
        return _SolvedPair(
            displacement=displacement,
            forces=np.add(load, remainder, out=load),
            drops=np.array(drops).reshape(-1, 2),
            residual=relative,
        )

    conditioned, energy = cell.precondition(residual)
    start = np.where(forced, energy, 1.0)
    if not forced.any() or not np.isfinite(energy).all():
        return solution(residual, float(np.where(np.isfinite(energy), 0.0, np.nan).max()))
    if initial is not None:
        conditioned, energy = _true_residual(cell, load, displacement, image, residual)
        if _relative(energy, start) <= rtol:
            return solution(residual, _relative(energy, start))

    wide, working = image, cell.in_single() if cell.dtype == np.float64 else cell
    gained = displacement  # since the last true residual
    if working is not cell:
        gained, image, residual = (
            np.zeros_like(load, np.float32),
            working.empty(),
            residual.astype(np.float32),
        )
    restarts, direction = 0, conditioned.astype(working.dtype)
    last, first = _relative(energy, start), 0
    for iteration in range(1, max_iter + 1):
        curvature = working.apply(direction, image)
        active = (curvature > 0.0) & (energy > 0.0)
        step = np.where(active, energy / np.where(active, curvature, 1.0), 0.0).astype(working.dtype)
        drops.append(step * energy)
        if iteration == max_iter and not finish:
            return solution(residual, np.nan)
        former = energy
        conditioned, energy = working.precondition(residual, image, step)
        if not np.isfinite(energy).all():
            return solution(residual, np.nan)
        relative = _relative(energy, start)
        if report:
            report(relative)
        keep = True
        is_last = relative <= rtol or iteration == max_iter
        is_due = not _GAIN * last < relative < _GROWTH * last or iteration - first == _PATIENCE
        if is_last or (is_due and working is not cell):
            _move(gained, direction, direction, step, np.zeros_like(step))
            step, updated = np.zeros_like(step), energy
            if working is not cell:
                displacement += gained
                gained.fill(0.0)
                conditioned, energy = _true_residual(cell, load, displacement, wide, wide)
            else:
                conditioned, energy = _true_residual(cell, load, displacement, image, residual)
            exact = _relative(energy, start)
            if exact <= rtol or iteration == max_iter or (is_last and restarts == _RESTARTS):
                return solution(residual if working is cell else wide, exact)
            restarts += is_last
            keep = working is not cell
            active &= energy <= _DRIFT**2 * updated  # the directions of the other load case start anew
            if working is not cell and exact > _STALLED * last:
                keep, working, gained, image, residual = False, cell, displacement, cell.empty(), wide
                restarts = 0
            elif working is not cell:
                residual[...] = wide
            last, first = exact, iteration
        if keep:
            ratio = np.where(active, energy / np.where(active, former, 1.0), 0.0).astype(working.dtype)
            _move(gained, direction, conditioned, step, ratio)
        else:
            direction = conditioned.astype(working.dtype)
    raise ConvergenceError("expected at least one iteration")


def _true_residual(
    cell: Cell, load: NDArray, displacement: NDArray, image: NDArray, residual: NDArray
) -> tuple[NDArray, NDArray[np.float64]]:
    """Write load - K displacement to `residual`; return it preconditioned, and its two energies."""
    cell.apply(displacement, image)
    np.subtract(load, image, out=residual)
    return cell.precondition(residual)


def _move(x: NDArray, p: NDArray, z: NDArray, step: NDArray, ratio: NDArray) -> None:
    vectors.move(x.reshape(-1), p.reshape(-1), z.reshape(-1), step, ratio)


def _relative(energy: NDArray[np.float64], start: NDArray[np.float64]) -> float:
    """Larger of two residuals, relative to those at the start; the squares of both come in."""
    return float(np.sqrt(np.maximum(energy, 0.0) / start).max())


def _energy_of_fluctuations(solutions: list[_SolvedPair]) -> NDArray[np.float64]:
    """Sum over voxels of C_ij - <C>_ij by the energy form, shape (6, 6).

    (E_i + e(u_i)) : C : (E_j + e(u_j)) sums up to <C>_ij + u_i K u_j - u_i f_j - f_i u_j, where K u = f - r.
    """
    energy = vectors.gram(
        [pair.displacement.reshape(-1) for pair in solutions], [pair.forces.reshape(-1) for pair in solutions]
    )
    return -(energy + energy.T) / 2.0


def _sensitivity(cell: Cell, fields: list[NDArray], unit: float) -> NDArray:
    out = np.empty((21, *cell.shape), dtype=cell.dtype)
    scale = unit / (16.0 * np.prod(cell.shape))
    u, v, w = fields
    energies.element_energies(u, v, w, cell.first_step * scale, cell.shear_step * scale, cell.constants, out)
    return out
