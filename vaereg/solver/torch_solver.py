"""The equations of `vaereg.solver.homogenization` in plain torch: for CUDA, and as a second implementation.

Nothing is shared with the compiled solver: element matrices come from Gauss points, Fourier blocks from the
element matrices, the stiffness from the energy of total displacements. All load cases of all volumes are
solved at once; precision and device are those of the phase field.

Letters: B volumes, 24 = 8 corners x 3 components of an element. `first` and
`shear` are the Lamé parameters, in units of the larger Young's modulus.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import VOIGT_ORDER, isotropic_stiffness, lame_parameters
from vaereg.materials import TwoPhase
from vaereg.solver.batches import BatchResult, in_halves
from vaereg.solver.homogenization import SOFT_REFERENCE_CONTRAST, ConvergenceError, HomogenizationResult
from vaereg.solver.problem import choose_element, voxel_edges, without_rounding

__all__ = [
    "AXES",
    "CORNERS",
    "BatchResult",
    "assemble_corners",
    "check_phases",
    "corner_values",
    "homogenize_batch",
    "homogenize_on",
    "solve_cells",
]

CORNERS = tuple(itertools.product((0, 1), repeat=3))
"""Corners of an element, in the order of all element matrices."""
AXES = (-3, -2, -1)
"""Dimensions of the voxels in fields."""
_RESTARTS = 2


def homogenize_batch(
    phase: Tensor,
    materials: TwoPhase | None = None,
    *,
    rtol: float = 1e-6,
    max_iter: int = 1000,
    raise_on_failure: bool = True,
    sensitivities: bool = False,
    keep_displacement: bool = False,
    initial: Tensor | None = None,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> BatchResult:
    """Effective stiffness of periodic cells (Leuschner & Fritzen 2018, doi:10.1007/s00466-017-1501-5).

    A batch for which the memory of the device does not suffice is solved in halves.

    Args:
        phase: Stiff phase per voxel, 0 to 1, shape (B, X, Y, Z), float32 or float64, on any device.
        materials: The two phases; the reference pair if left out.
        rtol: Residual, relative to that of the uniform strain, at which a load case is taken as solved.
        max_iter: Upper limit of iterations.
        raise_on_failure: With False, a result that has not converged is returned with its status.
        sensitivities: Return dC_ij / d phase of each voxel as well.
        keep_displacement: Return the displacements as well.
        initial: Displacements of similar cells to start from, shape (B, 6, 3, X, Y, Z).
        voxel_size: Edges of a voxel along x, y, z; cubes of edge 1 if left out.
        element: As in `homogenize`.

    Raises:
        InputError: `voxel_size` or `element` is not what is expected.
        ValueError: `phase` has another shape or dtype, is empty, or leaves 0 to 1; `rtol` or `max_iter` is
            not positive; `initial` has another shape.
        ConvergenceError: A residual stayed above `rtol` after `max_iter` iterations.
    """
    check_phases(phase, rtol, max_iter)
    expected = (phase.shape[0], 6, 3, *phase.shape[1:])
    if initial is not None and tuple(initial.shape) != expected:
        raise ValueError(
            f"expected initial displacements of shape {expected}, got shape {tuple(initial.shape)}"
        )
    options = (materials, rtol, max_iter, raise_on_failure, sensitivities, keep_displacement)
    return in_halves(
        lambda part, start: _solve_batch(part, start, *options, voxel_size, element), phase, initial
    )


def _solve_batch(
    phase: Tensor,
    initial: Tensor | None,
    materials: TwoPhase | None,
    rtol: float,
    max_iter: int,
    raise_on_failure: bool,
    sensitivities: bool,
    keep_displacement: bool,
    voxel_size: Sequence[float] | None,
    element: str,
) -> BatchResult:
    with torch.no_grad():
        pair = TwoPhase() if materials is None else materials
        unit = max(pair.e_stiff, pair.e_soft)
        stiff = lame_parameters(pair.e_stiff / unit, pair.nu_stiff)
        soft = lame_parameters(pair.e_soft / unit, pair.nu_soft)
        steps = (stiff[0] - soft[0], stiff[1] - soft[1])
        chosen = choose_element(element, pair)
        edges = voxel_edges(voxel_size)
        mean_edge = float(np.prod(edges)) ** (1.0 / 3.0)
        x, y, z = (edge / mean_edge for edge in edges)
        matrices = _element_matrices((x, y, z), chosen == "bbar")
        ratio = None  # of the mean Lamé parameters
        if pair.has_void:
            ratio = soft if pair.stiff.is_void else stiff
        elif pair.ordered().contrast >= SOFT_REFERENCE_CONTRAST:
            ratio = soft if pair.e_stiff >= pair.e_soft else stiff
        cells = _Cells(soft[0] + phase * steps[0], soft[1] + phase * steps[1], matrices, ratio)
        start = None if initial is None else initial / mean_edge
        u, iterations, residual = solve_cells(cells, rtol, max_iter, start)
        converged = bool((residual <= rtol).all())
        if not converged and raise_on_failure:
            raise ConvergenceError(
                f"residual {float(residual.max()):.2e} is above the tolerance {rtol:.2e} after "
                f"{iterations} iterations: allow more iterations, a looser tolerance or, at a tolerance near "
                "rounding, float64"
            )
        total = corner_values(u) + cells.uniform_strain.reshape(6, 24, 1, 1, 1)
        forces = cells.element_forces(total, cells.first, cells.shear)
        voxels = phase[0].numel()
        rows = [(total[:, i, None] * forces).sum(dim=(2, 3, 4, 5), dtype=torch.float64) for i in range(6)]
        stiffness = torch.stack(rows, dim=1) * (unit / voxels)
        sensitivity = None
        if sensitivities:
            forces = cells.element_forces(total, steps[0] * unit / voxels, steps[1] * unit / voxels)
            pairs = [(i, j) for i in range(6) for j in range(i, 6)]
            sensitivity = torch.stack([(total[:, i] * forces[:, j]).sum(dim=1) for i, j in pairs], dim=1)
        stiffness = (stiffness + stiffness.transpose(1, 2)) / 2.0
        unloaded: tuple[tuple[str, ...], ...] = ((),) * len(phase)
        if pair.has_void:
            cleaned = [without_rounding(matrix / unit) for matrix in stiffness.cpu().numpy()]
            stiffness = torch.from_numpy(unit * np.stack([matrix for matrix, _ in cleaned])).to(stiffness)
            unloaded = tuple(names for _, names in cleaned)
        return BatchResult(
            stiffness=stiffness,
            element=chosen,
            unloaded=unloaded,
            iterations=iterations,
            residual=residual,
            converged=converged,
            sensitivity=sensitivity,
            displacement=mean_edge * u if keep_displacement else None,
        )


def check_phases(phase: Tensor, rtol: float, max_iter: int) -> None:
    """Raise a ValueError for a batch of phases, a tolerance or a limit that no solver takes."""
    if phase.ndim != 4 or phase.numel() == 0:
        raise ValueError(f"expected phase fields of shape (B, X, Y, Z), got shape {tuple(phase.shape)}")
    if phase.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be float32 or float64, got {phase.dtype}")
    low, high = float(phase.min()), float(phase.max())
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"expected phase values from 0 (soft) to 1 (stiff), got {low:g} to {high:g}")
    if not rtol > 0.0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter}")


def _element_matrices(
    edges: tuple[float, float, float], bbar: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Element matrices of the first Lamé parameter and of the shear modulus, both (24, 24), per unit modulus
    and volume, and the corner displacements of the six unit strains, (6, 24).

    With `bbar`, the volume change at each point is that averaged over the element.
    """
    pairs = [tuple("xyz".index(letter) for letter in name) for name in VOIGT_ORDER]
    corners = np.array(CORNERS, dtype=np.float64)
    laws = isotropic_stiffness(1.0, 0.0)  # E = 1, nu = 0: first Lamé parameter 0, shear modulus 1/2
    shear_law = 2.0 * laws
    first_law = np.zeros((6, 6))
    first_law[:3, :3] = 1.0
    strains = []
    for point in itertools.product((0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5), repeat=3):
        shapes = np.where(corners == 1.0, point, 1.0 - np.array(point))
        slopes = 2.0 * corners - 1.0
        gradient = [slopes[:, a] * np.delete(shapes, a, axis=1).prod(axis=1) / edges[a] for a in range(3)]
        strain_of = np.zeros((6, 24))
        for row, (i, j) in enumerate(pairs):
            strain_of[row, i::3] += gradient[j]
            if i != j:
                strain_of[row, j::3] += gradient[i]
        strains.append(strain_of)
    if bbar:
        dilatation = sum(strain_of[:3].sum(axis=0) for strain_of in strains) / 8.0
        for strain_of in strains:
            strain_of[:3] += (dilatation - strain_of[:3].sum(axis=0)) / 3.0
    first, shear = (sum(b.T @ law @ b for b in strains) / 8.0 for law in (first_law, shear_law))
    strain = np.zeros((6, 8, 3))
    for row, (i, j) in enumerate(pairs):
        strain[row, :, i] += corners[:, j] * edges[j] / 2.0
        strain[row, :, j] += corners[:, i] * edges[i] / 2.0
    return np.asarray(first), np.asarray(shear), strain.reshape(6, 24)


def homogenize_on(
    device: str,
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    rtol: float = 1e-6,
    voxel_size: Sequence[float] | None = None,
    element: str = "auto",
) -> HomogenizationResult:
    """One volume (X, Y, Z) in float64 on a device of torch; returned even if it has not converged."""
    phase = torch.from_numpy(volume[None]).to(device, torch.float64)
    result = homogenize_batch(
        phase, materials, rtol=rtol, raise_on_failure=False, voxel_size=voxel_size, element=element
    )
    return HomogenizationResult(
        stiffness=result.stiffness[0].cpu().numpy(),
        iterations=result.iterations,
        residual=float(result.residual.max()),
        converged=result.converged,
        element=result.element,
        unloaded=result.unloaded[0],
    )


def corner_values(field: Tensor) -> Tensor:
    """Values of each element at its eight corners, shape (B, L, 8 n, X, Y, Z), of n components at the nodes,
    shape (B, L, n, X, Y, Z).
    """
    return torch.cat([field.roll([-c for c in corner], AXES) for corner in CORNERS], dim=2)


def assemble_corners(forces: Tensor, components: int) -> Tensor:
    """Sum of the corner forces of all elements at each node, shape (B, L, n, X, Y, Z), of n components."""
    parts = forces.unflatten(2, (8, components)).unbind(dim=2)
    out = torch.zeros_like(parts[0])
    for part, corner in zip(parts, CORNERS, strict=True):
        out += part.roll(corner, AXES)
    return out


class LinearCells(Protocol):
    """Operators of many cells at once, on fields of shape (B, L, n, X, Y, Z)."""

    largest_modulus: Tensor

    def load(self) -> Tensor: ...

    def apply(self, u: Tensor) -> Tensor: ...

    def precondition(self, residual: Tensor) -> Tensor: ...


class _Cells:
    """Operators on fields of shape (B, 6, 3, X, Y, Z) for volumes with given Lamé parameters (B, X, Y, Z)."""

    def __init__(
        self,
        first: Tensor,
        shear: Tensor,
        element: tuple[np.ndarray, np.ndarray, np.ndarray],
        reference: tuple[float, float] | None,
    ) -> None:
        """Element matrices of `_element_matrices`; a reference medium in the ratio of `reference`, or of the
        mean Lamé parameters.
        """
        self.reference = reference
        self.first, self.shear = first[:, None, None], shear[:, None, None]
        self.largest_modulus = (first + 2.0 * shear).amax(dim=AXES)
        matrices = [torch.from_numpy(matrix) for matrix in element]
        self.first_matrix, self.shear_matrix, self.uniform_strain = (matrix.to(first) for matrix in matrices)
        self.green = self._green(matrices[0], matrices[1])

    def element_forces(self, corners: Tensor, first: Tensor | float, shear: Tensor | float) -> Tensor:
        """Corner forces of each element with the Lamé parameters `first` and `shear`."""
        flat = corners.flatten(3)
        return first * (self.first_matrix @ flat).view_as(corners) + shear * (
            self.shear_matrix @ flat
        ).view_as(corners)

    def apply(self, u: Tensor) -> Tensor:
        """K u."""
        return assemble_corners(self.element_forces(corner_values(u), self.first, self.shear), 3)

    def load(self) -> Tensor:
        """Right-hand sides -f(E) of the six unit strains."""
        shape = (self.first.shape[0], 6, 24, *self.first.shape[3:])
        strain = self.uniform_strain.reshape(6, 24, 1, 1, 1).expand(shape).contiguous()
        return -assemble_corners(self.element_forces(strain, self.first, self.shear), 3)

    def precondition(self, residual: Tensor) -> Tensor:
        """Inverse of K of the homogeneous medium with the mean Lamé parameters of each volume."""
        modes = torch.fft.rfftn(residual, dim=AXES)
        modes = torch.einsum("nxyzij,nljxyz->nlixyz", self.green, modes)
        return torch.fft.irfftn(modes, s=residual.shape[-3:], dim=AXES)

    def _green(self, first_matrix: Tensor, shear_matrix: Tensor) -> Tensor:
        """Inverse block of each Fourier mode, shape (B, X, Y, Z // 2 + 1, 3, 3), complex; 0 at mode 0."""
        x, y, z = self.first.shape[-3:]
        frequencies = [torch.fft.fftfreq(x), torch.fft.fftfreq(y), torch.fft.rfftfreq(z)]
        waves = torch.meshgrid(*[2.0 * torch.pi * item.double() for item in frequencies], indexing="ij")
        angles = [sum((c * wave for c, wave in zip(corner, waves, strict=True))) for corner in CORNERS]
        phases = torch.exp(1j * torch.stack([torch.as_tensor(angle) for angle in angles]))
        blocks = [
            torch.einsum(
                "axyz,aibj,bxyz->xyzij", phases.conj(), item.reshape(8, 3, 8, 3).to(phases.dtype), phases
            ).real
            for item in (first_matrix, shear_matrix)
        ]
        if self.reference is None:
            means = [
                modulus.double().mean(dim=AXES).reshape(-1, 1, 1, 1, 1, 1)
                for modulus in (self.first, self.shear)
            ]
        else:  # its size does not matter
            ratio = torch.tensor([self.reference[0] / self.reference[1], 1.0], dtype=torch.float64)
            means = [modulus.expand(len(self.first), 1, 1, 1, 1, 1) for modulus in ratio]
        total = means[0].cpu() * blocks[0] + means[1].cpu() * blocks[1]
        total[:, 0, 0, 0] = torch.eye(3, dtype=total.dtype)
        green = torch.linalg.inv(total)
        green[:, 0, 0, 0] = 0.0
        complex_dtype = torch.complex64 if self.first.dtype == torch.float32 else torch.complex128
        return green.to(device=self.first.device, dtype=complex_dtype)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each load case, shape (B, 6), in float64."""
    return (a * b).sum(dim=(2, 3, 4, 5), dtype=torch.float64)


def _scaled(factor: Tensor, field: Tensor) -> Tensor:
    return factor.to(field.dtype)[:, :, None, None, None, None] * field


def _ratio(numerator: Tensor, denominator: Tensor, active: Tensor) -> Tensor:
    return torch.where(active, numerator / torch.where(active, denominator, 1.0), 0.0)


def solve_cells(
    cells: LinearCells, rtol: float, max_iter: int, initial: Tensor | None
) -> tuple[Tensor, int, Tensor]:
    """Conjugate gradients: displacements, iterations and largest relative residual of each volume, (B,)."""
    load = cells.load()
    # a uniform or layered cell leaves forces at rounding level, and the solution is zero
    rounding = 64.0 * torch.finfo(load.dtype).eps * cells.largest_modulus
    forced = load.abs().amax(dim=(2, 3, 4, 5)) > rounding[:, None]
    load = _scaled(forced, load)
    u = torch.zeros_like(load) if initial is None else _scaled(forced, initial.to(load))
    start = torch.where(forced, _dot(load, cells.precondition(load)), 1.0)

    def relative(energy: Tensor) -> Tensor:
        return (energy.clamp(min=0.0) / start).sqrt().amax(dim=1)

    def true_residual() -> tuple[Tensor, Tensor, Tensor]:
        residual = load - cells.apply(u)
        conditioned = cells.precondition(residual)
        return residual, conditioned, _dot(residual, conditioned)

    residual, direction, energy = true_residual()
    iterations, restarts = 0, 0
    while bool((relative(energy) > rtol).any()) and iterations < max_iter:
        iterations += 1
        image = cells.apply(direction)
        curvature = _dot(direction, image)
        active = (curvature > 0.0) & (energy > 0.0)
        step = _ratio(energy, curvature, active)
        u += _scaled(step, direction)
        residual -= _scaled(step, image)
        conditioned = cells.precondition(residual)
        former, energy = energy, _dot(residual, conditioned)
        if bool((relative(energy) <= rtol).all()) or iterations == max_iter:
            residual, direction, energy = true_residual()
            if restarts == _RESTARTS:
                break
            restarts += 1
            continue
        direction = conditioned + _scaled(_ratio(energy, former, active), direction)
    return u, iterations, relative(energy)
