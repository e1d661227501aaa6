"""Two-sided bounds of the effective stiffness after a few conjugate-gradient iterations.

After k iterations from zero, load case i has the displacement u_i, the residual r_i = f_i - K u_i and the
preconditioned residual z_i with K0 z_i = r_i, where K0 belongs to the reference medium of law C0. N is the
number of voxels, V the mean of the phases' stiffness (Voigt's bound).

Upper bound: the strains E_i + e(u_i) are compatible, so that their mutual energies

    U = V - sym(u.r + f.u) / N

are no smaller than the stiffness C, as a matrix (Loewner order): sum a_i (E_i + e(u_i)) has the mean strain
sum a_i E_i for all a.

Lower bound: the stresses s_i = C : (E_i + e(u_i)) + C0 : e(z_i) are in equilibrium, exactly in the discrete
sense. Their means M and their mutual complementary energies S give, by the principle of complementary energy,

    M = V - f.u / N,    S = U + (u.r + (u.r)^T) / N + z.K'z / N,    L = M S^-1 M^T <= C,

where K' is the element operator with the law C0 C^-1 C0 in each voxel. A void has no such law: L is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import voigt_bound, voigt_to_mandel
from vaereg.materials import TwoPhase
from vaereg.solver.cell import LOAD_PAIRS, Cell
from vaereg.solver.compiled import energies, vectors
from vaereg.solver.problem import as_phase_field, choose_element, scaled_moduli, voxel_edges

__all__ = ["StiffnessBounds", "StrainEnergies", "bound_stiffness", "residual_over_bound"]

_EXHAUSTED = 10.0
"""Residual over that at the start, in units of rounding, below which a load case is left as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StrainEnergies:
    """Energies of voxels with the derivative of their law, under any macroscopic strain E: nearly the
    derivative of E.C E with respect to the phase of each voxel.

    They are kept as displacements: the energies under one strain take a twentieth of the time of those of all
    21 pairs of load cases.
    """

    displacements: tuple[NDArray, NDArray, NDArray]
    """Displacements of the load cases in pairs, packed, each of shape (3, X, Y, 2 Z)."""
    steps: tuple[float, float]
    """Stiff minus soft Lamé parameters, scaled so that energies are in GPa per phase of a voxel."""
    constants: NDArray
    """From `element_constants`."""

    def under(self, strain: NDArray[np.float64]) -> NDArray:
        """Energies under a strain, Voigt order with engineering shear, shape (6,): shape (X, Y, Z) [GPa]."""
        return energies.strain_energies(*self.displacements, strain, *self.steps, self.constants)

    def negated(self) -> StrainEnergies:
        """Those of a cell whose phases are called the other way round."""
        return replace(self, steps=(-self.steps[0], -self.steps[1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class StiffnessBounds:
    """Matrices between which the effective stiffness lies: lower <= C <= upper in the Loewner order."""

    lower: NDArray[np.float64]
    """L, shape (6, 6), Voigt order [GPa]; zero if a phase is a void."""
    upper: NDArray[np.float64]
    """U, shape (6, 6), Voigt order [GPa]."""
    iterations: int
    """Conjugate-gradient iterations of all six load cases."""
    residual: float
    """Largest relative residual over the load cases, in the norm of the preconditioner [-]."""
    steps: tuple[int, ...]
    """Iterations after which `uppers` and `residual_energies` are kept."""
    uppers: NDArray[np.float64]
    """U after each of `steps`, shape (len(steps), 6, 6) [GPa]."""
    residual_energies: NDArray[np.float64]
    """sym(r.z) / N after each of `steps`, shape (len(steps), 6, 6) [GPa]."""
    residuals: NDArray[np.float64]
    """Largest relative residual after 0, 1, 2, ... iterations [-], shape (iterations + 1,)."""
    element: str
    """Element of a voxel, "hex8" or "bbar"."""
    sensitivity: StrainEnergies | None = None
    """Nearly the derivative of the stiffness with respect to the phase of each voxel, where asked for."""


def bound_stiffness(
    phase: ArrayLike,
    materials: TwoPhase | None = None,
    *,
    residual: float = 0.05,
    energy: float = np.inf,
    max_iter: int = 12,
    steps: Sequence[int] = (),
    only_after_steps: bool = False,
    dtype: type[np.float32] | type[np.float64] = np.float32,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
    sensitivities: bool = False,
    lower_bound: bool = True,
) -> StiffnessBounds:
    """Bounds of the effective stiffness after few iterations: of a given number, or down to a residual.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (X, Y, Z).
        materials: The two phases; the reference pair if left out.
        residual: Relative residual of the slowest load case at which the iteration stops [-]; 0 to do
            `max_iter` iterations.
        energy: Residual relative to the bound (see `residual_over_bound`) that must be reached as well [-].
        max_iter: Upper limit of iterations.
        steps: Iterations after which upper bounds are kept besides the last; those not reached are left out.
        only_after_steps: Stop for the residual only after one of `steps`, and not after the first.
        dtype: Precision of the fields. In float32 the bounds hold to 1e-6 of the stiffness.
        voxel_size: Edges of a voxel along x, y, z; cubes if left out.
        element: As in `homogenize`.
        sensitivities: Return the energies of each voxel as well.
        lower_bound: Compute L, which takes one more application of an operator; zero otherwise.

    Raises:
        InputError: `voxel_size` or `element` is not what is expected.
        ValueError: `phase` is not three-dimensional, empty, or leaves 0 to 1; `max_iter` is negative.
    """
    field = as_phase_field(phase)
    if max_iter < 0:
        raise ValueError(f"max_iter must be at least 0, got {max_iter}")
    pair, unit = scaled_moduli(materials)
    element_name = choose_element(element, pair)
    cell = Cell(field, pair, np.dtype(dtype), edges=voxel_edges(voxel_size), bbar=element_name == "bbar")
    iteration = _SixLoads(cell, voigt_bound(float(field.mean()), pair))
    step_set, stops, records = set(steps), set(sorted(steps)[1:]), []
    residuals = [iteration.relative_residual()]
    while True:
        if iteration.count in step_set:
            records.append((iteration.count, iteration.upper(), iteration.residual_energy()))
        small = residuals[-1] <= residual and (iteration.count in stops or not only_after_steps)
        if small and np.isfinite(energy):
            ratio = residual_over_bound(iteration.upper(), iteration.residual_energy())
            small = bool(ratio <= energy)
        if iteration.count == max_iter or small or not iteration.advance():
            break
        residuals.append(iteration.relative_residual())
    lower = np.zeros((6, 6)) if pair.has_void or not lower_bound else iteration.lower()
    return StiffnessBounds(
        lower=unit * lower,
        upper=unit * iteration.upper(),
        iterations=iteration.count,
        residual=residuals[-1],
        steps=tuple(step for step, _, _ in records),
        uppers=unit * np.array([upper for _, upper, _ in records]).reshape(-1, 6, 6),
        residual_energies=unit * np.array([energy for _, _, energy in records]).reshape(-1, 6, 6),
        residuals=np.array(residuals),
        element=element_name,
        sensitivity=iteration.sensitivity(unit) if sensitivities else None,
    )


def residual_over_bound(
    upper: NDArray[np.float64], residual_energy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Root of the trace of the residual's energy over that of the upper bound, in the Mandel basis [-].

    The relative residual is relative to the forces of a uniform strain. Where stiff inclusions touch nothing,
    these are of the order of the stiff phase and the stiffness is of the order of the soft one: what counts
    there is the energy of the residual beside the bound.

    Args:
        upper: Upper bounds, Voigt order, shape (..., 6, 6).
        residual_energy: Energies of the preconditioned residual, shape (..., 6, 6).
    """
    traces = [np.trace(voigt_to_mandel(matrix), axis1=-2, axis2=-1) for matrix in (residual_energy, upper)]
    return np.sqrt(np.maximum(traces[0], 0.0) / np.maximum(traces[1], np.finfo(np.float64).tiny))


class _SixLoads:
    """Conjugate gradients of all load cases side by side, in pairs: fields of shape (3, X, Y, 2 Z) each."""

    def __init__(self, cell: Cell, mean: NDArray[np.float64]) -> None:
        self.cell, self.mean, self.count = cell, mean, 0
        self._upper: NDArray[np.float64] | None = None
        self._residual_energy: NDArray[np.float64] | None = None
        self.loads = [cell.load(pair) for pair in LOAD_PAIRS]
        rounding = 64.0 * np.finfo(cell.dtype).eps * cell.largest_modulus
        for load in self.loads:
            for part in range(2):
                if np.abs(load[..., part::2]).max() <= rounding:
                    load[..., part::2] = 0.0
        self.displacements = [np.zeros_like(load) for load in self.loads]
        self.residuals = [load.copy() for load in self.loads]
        self.conditioned, self.energies = self._precondition()
        self.directions = list(self.conditioned)  # which `advance` replaces
        self.image = cell.empty()
        self.start = np.where(self.energies > 0.0, self.energies, 1.0)

    def _precondition(self) -> tuple[list[NDArray], NDArray[np.float64]]:
        """Preconditioned residuals, and their energies, shape (3, 2)."""
        pairs = [self.cell.precondition(residual) for residual in self.residuals]
        fields = [field.astype(self.cell.dtype, copy=False) for field, _ in pairs]
        return fields, np.array([energy for _, energy in pairs])

    def relative_residual(self) -> float:
        """Largest residual over the load cases, relative to its start [-]."""
        return float(np.sqrt(np.maximum(self.energies, 0.0) / self.start).max())

    def advance(self) -> bool:
        """One iteration of all load cases; False where nothing is left to do."""
        rounding = float(np.finfo(self.cell.dtype).eps)
        active = self.energies > (_EXHAUSTED * rounding) ** 2 * self.start
        if not active.any():
            return False
        for pair in range(3):
            direction, former = self.directions[pair], self.energies[pair]
            curvature = self.cell.apply(direction, self.image)
            moving = active[pair] & (curvature > 0.0)
            step = np.divide(former, curvature, out=np.zeros(2), where=moving).astype(self.cell.dtype)
            field, energy = self.cell.precondition(self.residuals[pair], self.image, step)
            ratio = np.divide(energy, former, out=np.zeros(2), where=active[pair])
            self.conditioned[pair] = field.astype(self.cell.dtype, copy=False)
            vectors.move(
                self.displacements[pair].reshape(-1),
                direction.reshape(-1),
                self.conditioned[pair].reshape(-1),
                step,
                ratio.astype(self.cell.dtype),
            )
            self.energies[pair] = energy
        self.count += 1
        self._upper = self._residual_energy = None
        return True

    def upper(self) -> NDArray[np.float64]:
        """U in the unit of the cell, shape (6, 6)."""
        if self._upper is None:
            work = np.zeros((6, 6))
            if self.count:
                work = self._gram(self.displacements, self.residuals, self.loads)
            self._upper = self.mean - (work + work.T) / 2.0
        return self._upper

    def residual_energy(self) -> NDArray[np.float64]:
        """sym(r.z) / N in the unit of the cell, shape (6, 6)."""
        if self._residual_energy is None:  # the preconditioner is symmetric
            energy = self._gram(self.residuals, self.conditioned)
            self._residual_energy = (energy + energy.T) / 2.0
        return self._residual_energy

    def lower(self) -> NDArray[np.float64]:
        """L in the unit of the cell, shape (6, 6); without voids."""
        images = [self.cell.empty() for _ in range(3)]
        self.cell.apply_dual(self.conditioned, images)
        work = self._gram(self.displacements, self.residuals)
        dual = self._gram(self.conditioned, images)
        stress = self.mean - self._gram(self.loads, self.displacements)
        complementary = self.upper() + work + work.T + (dual + dual.T) / 2.0
        bound = stress @ np.linalg.solve(complementary, stress.T)
        return (bound + bound.T) / 2.0

    def sensitivity(self, unit: float) -> StrainEnergies:
        """Energies of each voxel, in GPa where `unit` is that of the cell in GPa."""
        scale = unit / (16.0 * float(np.prod(self.cell.shape)))
        u, v, w = self.displacements
        steps = self.cell.first_step * scale, self.cell.shear_step * scale
        return StrainEnergies(displacements=(u, v, w), steps=steps, constants=self.cell.constants)

    def _gram(
        self, rows: list[NDArray], columns: list[NDArray], others: list[NDArray] | None = None
    ) -> NDArray[np.float64]:
        """Inner products of the fields of all load cases with others, or with the sum of two others, over the
        number of voxels, shape (6, 6).
        """
        last = None if others is None else [field.reshape(-1) for field in others]
        first, second = ([field.reshape(-1) for field in fields] for fields in (rows, columns))
        return vectors.gram(first, second, last) / np.prod(self.cell.shape)
