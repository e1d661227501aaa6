"""The periodic cell in torch: element matrices from Gauss points, the operator and the preconditioner.

Letters: B volumes, L load cases, 24 = 8 corners x 3 components of an element. `first` and `shear` are the
Lamé parameters, in units of the larger Young's modulus.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from vaereg.elasticity import VOIGT_ORDER, isotropic_stiffness, lame_parameters
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import SOFT_REFERENCE_CONTRAST

__all__ = ["AXES", "CORNERS", "ElasticCells", "assemble_corners", "corner_values", "elastic_cells"]

CORNERS = tuple(itertools.product((0, 1), repeat=3))
"""Corners of an element, in the order of all element matrices."""
AXES = (-3, -2, -1)
"""Dimensions of the voxels in fields."""


def elastic_cells(
    phase: Tensor,
    materials: TwoPhase,
    edges: tuple[float, float, float],
    element: str,
    *,
    soft_reference: bool,
) -> ElasticCells:
    """Operators of cells with moduli in units of the larger Young's modulus.

    Args:
        phase: Stiff phase per voxel, shape (B, X, Y, Z).
        materials: The two phases.
        edges: Edges of a voxel along x, y, z, in any unit.
        element: "hex8" or "bbar".
        soft_reference: Take the softer phase's ratio of Lamé parameters for the reference medium at high
            contrasts, as full solves do.
    """
    unit = max(materials.e_stiff, materials.e_soft)
    stiff = lame_parameters(materials.e_stiff / unit, materials.nu_stiff)
    soft = lame_parameters(materials.e_soft / unit, materials.nu_soft)
    ratio = None  # of the mean Lamé parameters
    if materials.has_void:
        ratio = soft if materials.stiff.is_void else stiff
    elif soft_reference and materials.ordered().contrast >= SOFT_REFERENCE_CONTRAST:
        ratio = soft if materials.e_stiff >= materials.e_soft else stiff
    mean_edge = float(np.prod(edges)) ** (1.0 / 3.0)
    x, y, z = (edge / mean_edge for edge in edges)
    first, shear = (low + phase * (high - low) for low, high in zip(soft, stiff, strict=True))
    return ElasticCells(first, shear, _element_matrices((x, y, z), element == "bbar"), ratio)


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


class ElasticCells:
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
        moving = torch.ones(total.shape[1:4], dtype=total.dtype)
        moving[0, 0, 0] = 0.0
        green = torch.linalg.inv(total) * moving[..., None, None]
        complex_dtype = torch.complex64 if self.first.dtype == torch.float32 else torch.complex128
        return green.to(device=self.first.device, dtype=complex_dtype)


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
