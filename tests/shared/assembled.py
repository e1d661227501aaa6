"""An independent solve of periodic cells: B matrices at Gauss points, assembled stiffness, factorisation."""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from vaereg.elasticity import VOIGT_ORDER
from vaereg.materials import TwoPhase

Array = NDArray[np.float64]
CONTRAST_10000 = TwoPhase.from_moduli(e_stiff=100.0, e_soft=0.01)
UNLIKE_POISSON = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.0, nu_stiff=0.17, nu_soft=0.45)
PAIRS = [tuple("xyz".index(letter) for letter in name) for name in VOIGT_ORDER]


def relative_error(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def two_phase_field(shape: tuple[int, ...], rng: np.random.Generator, fraction: float = 0.4) -> Array:
    """Smooth random phases, so that both percolate in part."""
    noise = gaussian_filter(rng.standard_normal(shape), 1.0, mode="wrap")
    return (noise > np.quantile(noise, 1.0 - fraction)).astype(float)


def local_stiffness(phase: Array, materials: TwoPhase) -> Array:
    """Stiffness of each voxel, shape (voxels, 6, 6), by inverting Hooke's law written with E and nu."""

    def invert(young: float, poisson: float) -> Array:
        compliance = np.diag([1.0] * 3 + [2.0 * (1.0 + poisson)] * 3)
        compliance[:3, :3] += -poisson * (1.0 - np.eye(3))
        return young * np.linalg.inv(compliance).astype(np.float64)

    soft = invert(materials.e_soft, materials.nu_soft)
    stiff = invert(materials.e_stiff, materials.nu_stiff)
    return soft + phase.reshape(-1, 1, 1) * (stiff - soft)


def strain_matrices(edges: tuple[float, float, float] = (1.0, 1.0, 1.0), bbar: bool = False) -> list[Array]:
    """B, shape (6, 24), of a box's trilinear shape functions at the 2 x 2 x 2 Gauss points; with `bbar`, the
    volume change at each point is that averaged over the box (Hughes 1980)."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    points = itertools.product((0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5), repeat=3)
    matrices = []
    for point in points:
        b = np.zeros((6, 24))
        for n, corner in enumerate(corners):
            factor = np.where(corner == 1, point, 1.0 - np.array(point))
            slope = np.where(corner == 1, 1.0, -1.0)
            gradient = [slope[a] * np.delete(factor, a).prod() / edges[a] for a in range(3)]
            for row, (i, j) in enumerate(PAIRS):
                b[row, 3 * n + i] += gradient[j]
                if i != j:
                    b[row, 3 * n + j] += gradient[i]
        matrices.append(b)
    if bbar:
        mean = sum(b[:3].sum(axis=0) for b in matrices) / len(matrices)
        for b in matrices:
            b[:3] += (mean - b[:3].sum(axis=0)) / 3.0
    return matrices


def degrees_of_freedom(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Periodic numbering, shape (voxels, 24)."""
    node = np.arange(np.prod(shape)).reshape(shape)
    shifts = itertools.product((0, -1), repeat=3)
    corners = np.stack([np.roll(node, shift, (0, 1, 2)).ravel() for shift in shifts], axis=1)
    return (3 * corners[:, :, None] + np.arange(3)).reshape(-1, 24)


def assemble(
    phase: Array,
    materials: TwoPhase,
    edges: tuple[float, float, float] = (1.0, 1.0, 1.0),
    bbar: bool = False,
) -> tuple[Array, Array, Array]:
    """Dense global stiffness and forces of the unit strains, per volume of a voxel, and mean stiffness."""
    stiffness = local_stiffness(phase, materials)
    matrices = strain_matrices(edges, bbar)
    element = sum(np.einsum("pi,vpq,qj->vij", b, stiffness, b) / 8.0 for b in matrices)
    force = sum(np.einsum("pi,vpq->viq", b, stiffness) / 8.0 for b in matrices)
    dofs = degrees_of_freedom(phase.shape)
    size = 3 * phase.size
    rows, columns = np.repeat(dofs, 24, axis=1), np.tile(dofs, (1, 24))
    k = coo_array((np.ravel(element), (rows.ravel(), columns.ravel())), shape=(size, size))
    f = np.zeros((size, 6))
    np.add.at(f, dofs, force)
    return k.toarray(), f, stiffness.mean(axis=0)


def finite_element_stiffness(
    phase: Array,
    materials: TwoPhase,
    edges: tuple[float, float, float] = (1.0, 1.0, 1.0),
    bbar: bool = False,
) -> Array:
    k, f, mean = assemble(phase, materials, edges, bbar)
    u = np.zeros_like(f)
    if materials.has_void:  # nodes inside the void are free to move
        u = np.linalg.lstsq(k, f, rcond=1e-12)[0]
    elif phase.size > 1:  # without its rigid translations: the first node is held
        free = coo_array(k[3:, 3:]).tocsc()
        u[3:] = splu(free).solve(f[3:])
    return mean - f.T @ u / phase.size


BOX = (0.5, 1.0, 1.7)
NEARLY_INCOMPRESSIBLE = TwoPhase.from_moduli(e_stiff=70.0, e_soft=0.05, nu_stiff=0.2, nu_soft=0.499)
