"""The solver against an independent finite element solve, closed forms, symmetries and bounds."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from vaereg.elasticity import (
    VOIGT_ORDER,
    hashin_shtrikman_bounds,
    isotropic_stiffness,
    reuss_bound,
    rotate_stiffness,
    voigt_bound,
)
from vaereg.engineering import engineering_constants, thermal_expansion
from vaereg.errors import InputError
from vaereg.materials import Phase, TwoPhase
from vaereg.solver import homogenization
from vaereg.solver.cell import green_operator
from vaereg.solver.grid_check import mesh_check
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize, iterated_bounds

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


# An independent solve: B matrices at Gauss points, assembled sparse stiffness, direct factorisation.


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


@pytest.mark.parametrize(
    "shape",
    [(6, 6, 6), (5, 4, 6), (7, 5, 3), (2, 2, 2), (1, 1, 1), (1, 4, 5), (4, 1, 3), (3, 4, 1)],
    ids=str,
)
@pytest.mark.parametrize(
    "materials",
    [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON],
    ids=["reference", "contrast-10000", "unlike-poisson"],
)
def test_agrees_with_an_assembled_direct_solve(
    shape: tuple[int, int, int], materials: TwoPhase, rng: np.random.Generator
) -> None:
    phase = (rng.random(shape) < 0.5).astype(float)
    expected = finite_element_stiffness(phase, materials)
    assert relative_error(homogenize(phase, materials, rtol=1e-9).stiffness, expected) < 1e-8


BOX = (0.5, 1.0, 1.7)
NEARLY_INCOMPRESSIBLE = TwoPhase.from_moduli(e_stiff=70.0, e_soft=0.05, nu_stiff=0.2, nu_soft=0.499)


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
@pytest.mark.parametrize(
    "materials", [UNLIKE_POISSON, NEARLY_INCOMPRESSIBLE], ids=["unlike-poisson", "incompressible"]
)
def test_boxes_and_elements_agree_with_an_assembled_solve(
    edges: tuple[float, float, float], element: str, materials: TwoPhase, rng: np.random.Generator
) -> None:
    phase = (rng.random((5, 4, 6)) < 0.5).astype(float)
    expected = finite_element_stiffness(phase, materials, edges, element == "bbar")
    result = homogenize(phase, materials, rtol=1e-9, voxel_size=edges, element=element)
    assert result.element == element
    assert relative_error(result.stiffness, expected) < 1e-8


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_void_in_a_percolating_solid_agrees_with_an_assembled_solve(
    edges: tuple[float, float, float], element: str, rng: np.random.Generator
) -> None:
    phase = (rng.random((5, 4, 6)) < 0.4).astype(float)
    phase[0], phase[:, 0], phase[:, :, 0] = 1.0, 1.0, 1.0
    materials = TwoPhase.porous(70.0, 0.3)
    expected = finite_element_stiffness(phase, materials, edges, element == "bbar")
    result = homogenize(phase, materials, rtol=1e-9, voxel_size=edges, element=element)
    assert result.unloaded == ()
    assert relative_error(result.stiffness, expected) < 1e-8


def test_only_the_ratio_of_the_edges_matters(rng: np.random.Generator) -> None:
    phase = rng.random((4, 5, 6))
    expected = homogenize(phase, voxel_size=BOX)
    scaled = homogenize(phase, voxel_size=[1e-6 * edge for edge in BOX], keep_displacement=True)
    assert relative_error(scaled.stiffness, expected.stiffness) < 1e-12
    cubes = homogenize(phase, voxel_size=(0.3, 0.3, 0.3), keep_displacement=True)
    unit = homogenize(phase, keep_displacement=True)
    np.testing.assert_array_equal(cubes.stiffness, unit.stiffness)
    assert cubes.displacement is not None and unit.displacement is not None
    np.testing.assert_allclose(cubes.displacement, 0.3 * unit.displacement, rtol=1e-14)


def test_a_box_is_as_many_boxes_of_half_its_edge_within_the_grid_error(rng: np.random.Generator) -> None:
    """The same geometry on boxes and on cubes: the finer grid is the softer one (its displacements include
    those of the coarser), and not by much for a graded cell."""
    phase = gaussian_filter(rng.random((8, 8, 8)), 1.0, mode="wrap")
    boxes = homogenize(phase, voxel_size=(1.0, 1.0, 2.0)).stiffness
    cubes = homogenize(np.repeat(phase, 2, axis=2)).stiffness
    assert np.linalg.eigvalsh(boxes - cubes).min() > -1e-9 * boxes.max()
    assert relative_error(cubes, boxes) < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_solid_that_does_not_percolate_carries_no_load(axis: int) -> None:
    """A solid with a slit normal to one axis: nothing is carried along it, nor in its two shears."""
    phase = np.ones((6, 5, 4))
    phase[3, 2, 1] = 0.0
    np.moveaxis(phase, axis, 0)[0] = 0.0
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3))
    names = [name for name, pair in zip(VOIGT_ORDER, PAIRS, strict=True) if axis in pair]
    assert list(result.unloaded) == names
    rows = [VOIGT_ORDER.index(name) for name in names]
    assert np.abs(result.stiffness[rows]).max() < 1e-5
    constants = engineering_constants(result.stiffness)
    assert constants.young[axis] == 0.0
    assert np.delete(constants.young, axis).min() > 10.0
    assert constants.by_name()["anisotropy"] is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_isolated_particles_in_a_void_have_no_stiffness(dtype: type) -> None:
    phase = np.zeros((8, 8, 8))
    phase[2:5, 3:6, 1:5] = 1.0
    rtol = 1e-4 if dtype == np.float32 else 1e-6
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3), rtol=rtol, dtype=dtype)
    assert result.unloaded == VOIGT_ORDER
    np.testing.assert_array_equal(result.stiffness, 0.0)
    assert homogenize(np.zeros((3, 3, 3)), TwoPhase.porous(70.0, 0.3)).unloaded == VOIGT_ORDER


def test_swapping_the_phases_and_inverting_the_volume_changes_nothing(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 7, 5)) < 0.4).astype(float)
    for pair in (UNLIKE_POISSON, TwoPhase.porous(70.0, 0.3), NEARLY_INCOMPRESSIBLE):
        swapped = TwoPhase(pair.soft, pair.stiff)
        expected = homogenize(phase, pair, rtol=1e-9).stiffness
        assert relative_error(homogenize(1.0 - phase, swapped, rtol=1e-9).stiffness, expected) < 1e-8


def test_bbar_is_chosen_above_a_poisson_ratio_of_0_45() -> None:
    phase = np.zeros((2, 2, 2))
    assert homogenize(phase, NEARLY_INCOMPRESSIBLE).element == "bbar"
    assert homogenize(phase, UNLIKE_POISSON).element == "hex8"
    assert homogenize(phase, NEARLY_INCOMPRESSIBLE, element="hex8").element == "hex8"
    with pytest.raises(InputError, match="hex8"):
        homogenize(phase, element="tet4")
    for edges in [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, np.nan, 1.0)]:
        with pytest.raises(InputError, match="three positive numbers"):
            homogenize(phase, voxel_size=edges)


def test_bbar_does_not_lock() -> None:
    """A soft sphere in a nearly incompressible matrix: full integration on the fine grid is still stiffer in
    shear than B-bar on the coarse one, which refining lowers by a hundredth."""
    materials = TwoPhase.from_moduli(e_stiff=10.0, e_soft=0.1, nu_stiff=0.499, nu_soft=0.0)
    phase = (((np.indices((8, 8, 8)) - 3.5) ** 2).sum(axis=0) > 3.2**2).astype(float)
    moduli = {}
    for element in ("hex8", "bbar"):
        check = mesh_check(phase, materials, element=element, rtol=1e-4)
        moduli[element] = [(c[0, 0] - c[0, 1]) / 2.0 for c in (check.coarse.stiffness, check.fine.stiffness)]
    assert moduli["hex8"][1] > 1.04 * moduli["bbar"][0]
    assert 0.985 < moduli["bbar"][1] / moduli["bbar"][0] <= 1.0


@pytest.mark.parametrize(("nu_stiff", "nu_soft"), [(0.2, 0.45), (0.45, 0.2)])
def test_reference_medium_of_the_soft_phase_saves_iterations(
    nu_stiff: float, nu_soft: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = two_phase_field((16, 16, 16), rng, 0.5)
    materials = TwoPhase.from_moduli(1.0, 1e-3, nu_stiff, nu_soft)
    soft = homogenize(phase, materials, rtol=1e-4)
    monkeypatch.setattr(homogenization, "SOFT_REFERENCE_CONTRAST", np.inf)
    mean = homogenize(phase, materials, rtol=1e-4)
    assert soft.iterations < 0.85 * mean.iterations
    assert relative_error(soft.stiffness, mean.stiffness) < 1e-5


GLASS_EPOXY = TwoPhase(
    Phase("glass", 73.0, 0.22, thermal_expansion=5.0), Phase("epoxy", 3.4, 0.35, thermal_expansion=60.0)
)


def thermal_stress(layers: Array, materials: TwoPhase) -> tuple[Array, Array]:
    """Stiffness and C : alpha of each voxel, shapes (voxels, 6, 6) and (voxels, 6)."""
    c = local_stiffness(layers, materials)
    first, second = materials.stiff.thermal_expansion, materials.soft.thermal_expansion
    assert first is not None and second is not None
    alpha = np.where(layers.ravel() == 1.0, first, second)[:, None] * np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    return c, np.einsum("vij,vj->vi", c, alpha)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thermal_expansion_of_a_laminate_is_the_closed_form(axis: int) -> None:
    """No stress normal to the layers, one strain along them, no mean stress along them."""
    layers = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    c, s = thermal_stress(layers, GLASS_EPOXY)
    n = [row for row, pair in enumerate(PAIRS) if axis in pair]
    t = [row for row in range(6) if row not in n]
    inverse = np.linalg.inv(c[:, n][:, :, n])
    nt, tt = c[:, n][:, :, t], c[:, t][:, :, t]
    reduced = (tt - nt.transpose(0, 2, 1) @ inverse @ nt).mean(axis=0)
    load = (s[:, t, None] - nt.transpose(0, 2, 1) @ inverse @ s[:, n, None]).mean(axis=0)
    expected = np.zeros(6)
    expected[t] = np.linalg.solve(reduced, load)[:, 0]
    expected[n] = (inverse @ (s[:, n, None] - nt @ expected[t][:, None])).mean(axis=0)[:, 0]
    shape = [1, 1, 1]
    shape[axis] = 5
    stiffness = homogenize(layers.reshape(shape), GLASS_EPOXY).stiffness
    np.testing.assert_allclose(thermal_expansion(stiffness, 0.4, GLASS_EPOXY), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_thermal_expansion_is_that_of_a_thermoelastic_solve(
    edges: tuple[float, float, float], element: str, rng: np.random.Generator
) -> None:
    phase = (rng.random((4, 5, 3)) < 0.5).astype(float)
    k, f, mean = assemble(phase, GLASS_EPOXY, edges, element == "bbar")
    _, stress = thermal_stress(phase, GLASS_EPOXY)
    force = np.zeros(len(k))
    matrices = strain_matrices(edges, element == "bbar")
    np.add.at(force, degrees_of_freedom(phase.shape), sum(stress @ b for b in matrices) / 8.0)
    u, t = (np.linalg.lstsq(k, load, rcond=1e-13)[0] for load in (f, force))
    stiffness = mean - f.T @ u / phase.size
    expected = np.linalg.solve(stiffness, stress.mean(axis=0) - f.T @ t / phase.size)
    result = homogenize(phase, GLASS_EPOXY, rtol=1e-9, voxel_size=edges, element=element).stiffness
    np.testing.assert_allclose(
        thermal_expansion(result, float(phase.mean()), GLASS_EPOXY), expected, rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("length", [2, 31, 32, 33, 34, 64, 65])
def test_rows_of_any_length(length: int, rng: np.random.Generator) -> None:
    """The compiled kernel sweeps rows in blocks: their seams must not show."""
    phase = (rng.random((3, 2, length)) < 0.5).astype(float)
    expected = finite_element_stiffness(phase, TwoPhase())
    assert relative_error(homogenize(phase, rtol=1e-9).stiffness, expected) < 1e-8


def test_default_tolerance_is_enough_for_eight_digits(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 6, 6), rng)
    assert relative_error(homogenize(phase).stiffness, finite_element_stiffness(phase, TwoPhase())) < 1e-8


@pytest.mark.parametrize("shape", [(4, 4, 4), (3, 4, 5), (2, 1, 6)], ids=str)
@pytest.mark.parametrize(("edges", "bbar"), [((1.0, 1.0, 1.0), False), (BOX, False), (BOX, True)])
def test_green_operator_inverts_the_assembled_homogeneous_stiffness(
    shape: tuple[int, int, int], edges: tuple[float, float, float], bbar: bool
) -> None:
    materials = TwoPhase.from_moduli(e_stiff=10.0, e_soft=10.0, nu_stiff=0.2, nu_soft=0.2)
    k = assemble(np.ones(shape), materials, edges, bbar)[0]
    k *= np.outer(
        np.tile(np.reciprocal(edges), np.prod(shape)), np.tile(np.reciprocal(edges), np.prod(shape))
    )
    stiffness = isotropic_stiffness(10.0, 0.2)
    green = green_operator(shape, stiffness[0, 1], stiffness[3, 3], edges=edges, bbar=bbar)
    # row block of the first node: its transform over nodes is the block of each wave vector
    blocks = np.fft.fftn(k[:3].reshape(3, *shape, 3), axes=(1, 2, 3))
    assert np.abs(blocks.imag).max() < 1e-12 * np.abs(blocks).max()
    for index in np.ndindex(*shape):
        xx, yy, zz, yz, xz, xy = green[(slice(None), *index)]
        inverse = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        expected = np.eye(3) if any(index) else np.zeros((3, 3))
        np.testing.assert_allclose(inverse @ blocks[(slice(None), *index)].real, expected, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON])
def test_homogeneous_cell_returns_its_own_stiffness(value: int, materials: TwoPhase, dtype: type) -> None:
    result = homogenize(np.full((5, 6, 7), value, dtype=np.uint8), materials, dtype=dtype)
    young, poisson = (
        (materials.e_stiff, materials.nu_stiff) if value else (materials.e_soft, materials.nu_soft)
    )
    assert relative_error(result.stiffness, isotropic_stiffness(young, poisson)) < 1e-8
    assert result.converged
    assert result.iterations == 0


def laminate_stiffness(layers: Array, axis: int, materials: TwoPhase) -> Array:
    """Exact laminate: stress normal to the layers and strain along them are uniform (Backus 1962)."""
    c = local_stiffness(layers, materials)
    n = [row for row, pair in enumerate(PAIRS) if axis in pair]
    t = [row for row in range(6) if row not in n]
    nn, nt, tt = c[:, n][:, :, n], c[:, n][:, :, t], c[:, t][:, :, t]
    inverse = np.linalg.inv(nn)
    normal = np.linalg.inv(inverse.mean(axis=0))
    coupling = (inverse @ nt).mean(axis=0)
    rest = (tt - nt.transpose(0, 2, 1) @ inverse @ nt).mean(axis=0)
    effective = np.zeros((6, 6))
    effective[np.ix_(n, n)] = normal
    effective[np.ix_(n, t)] = normal @ coupling
    effective[np.ix_(t, n)] = (normal @ coupling).T
    effective[np.ix_(t, t)] = rest + coupling.T @ normal @ coupling
    return effective


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON])
@pytest.mark.parametrize(
    "layers",
    [[1, 0], [1, 1, 0, 0, 0, 1, 0], [0.0, 0.3, 1.0, 0.7, 0.05, 0.5]],
    ids=["two", "seven", "graded"],
)
def test_laminate_matches_the_closed_form(layers: list[float], axis: int, materials: TwoPhase) -> None:
    shape = [3, 4, 5]
    shape[axis] = len(layers)
    along = [1, 1, 1]
    along[axis] = len(layers)
    phase = np.broadcast_to(np.reshape(layers, along), shape)
    expected = laminate_stiffness(np.array(layers, dtype=float), axis, materials)
    assert relative_error(homogenize(phase, materials).stiffness, expected) < 1e-8


@pytest.mark.parametrize("shape", [(16, 16, 16), (12, 15, 17)], ids=str)
@pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON], ids=["reference", "unlike-poisson"])
def test_single_precision_at_1e_4_is_within_1e_6(
    shape: tuple[int, int, int], materials: TwoPhase, rng: np.random.Generator
) -> None:
    phase = two_phase_field(shape, rng)
    expected = homogenize(phase, materials).stiffness
    actual = homogenize(phase, materials, rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(actual, expected) < 1e-6


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_permuting_axes_permutes_the_stiffness(axes: tuple[int, int, int], rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 8), rng)
    rows = [PAIRS.index(tuple(sorted((axes[i], axes[j]), reverse=(i, j) == (1, 0)))) for i, j in PAIRS]
    expected = homogenize(phase).stiffness[np.ix_(rows, rows)]
    assert relative_error(homogenize(phase.transpose(axes)).stiffness, expected) < 1e-9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_the_cell_turns_the_stiffness(axis: int, rng: np.random.Generator) -> None:
    """A quarter turn about each axis, by the tensor's own law."""
    phase = two_phase_field((6, 7, 8), rng)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.zeros((3, 3))
    turn[axis, axis] = turn[second, first] = 1.0
    turn[first, second] = -1.0
    result = homogenize(np.rot90(phase, axes=(first, second))).stiffness
    assert relative_error(result, rotate_stiffness(homogenize(phase).stiffness, turn)) < 1e-9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reflection_turns_the_sign_of_its_shears(axis: int, rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 8), rng)
    sign = np.array([-1.0 if (i == axis) != (j == axis) else 1.0 for i, j in PAIRS])
    expected = homogenize(phase).stiffness * np.outer(sign, sign)
    assert relative_error(homogenize(np.flip(phase, axis)).stiffness, expected) < 1e-9


def test_periodic_shift_changes_nothing(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 7, 6), rng)
    shifted = np.roll(phase, (3, -2, 5), (0, 1, 2))
    assert relative_error(homogenize(shifted).stiffness, homogenize(phase).stiffness) < 1e-9


def test_repeated_cell_has_the_same_stiffness(rng: np.random.Generator) -> None:
    phase = two_phase_field((5, 4, 6), rng)
    repeated = np.tile(phase, (2, 1, 2))
    assert relative_error(homogenize(repeated).stiffness, homogenize(phase).stiffness) < 1e-9


def test_stiffness_scales_with_the_unit(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 6, 6), rng)
    expected = homogenize(phase).stiffness * 1e9
    pascal = TwoPhase.from_moduli(e_stiff=120e9, e_soft=2.4e9)
    assert relative_error(homogenize(phase, pascal).stiffness, expected) < 1e-9
    single = homogenize(phase, pascal, rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(single, expected) < 1e-6


@pytest.mark.parametrize(
    "materials",
    [TwoPhase(), CONTRAST_10000, UNLIKE_POISSON],
    ids=["reference", "contrast-10000", "unlike-poisson"],
)
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_symmetric_positive_and_within_the_bounds(
    materials: TwoPhase, fraction: float, rng: np.random.Generator
) -> None:
    phase = two_phase_field((8, 8, 8), rng, fraction)
    stiffness = homogenize(phase, materials).stiffness
    np.testing.assert_array_equal(stiffness, stiffness.T)
    assert np.linalg.eigvalsh(stiffness).min() > 0.0
    # in the sense of strain energy for every strain, not only entry by entry
    assert np.linalg.eigvalsh(voigt_bound(phase.mean(), materials) - stiffness).min() > 0.0
    assert np.linalg.eigvalsh(stiffness - reuss_bound(phase.mean(), materials)).min() > 0.0


def test_more_stiff_material_is_stiffer(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    more = phase.copy()
    more[np.unravel_index(np.argmin(phase), phase.shape)] = 1.0
    gain = homogenize(more).stiffness - homogenize(phase).stiffness
    assert np.linalg.eigvalsh(gain).min() > 0.0


@pytest.mark.parametrize("fraction", [0.3, 0.6])
@pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON], ids=["reference", "unlike-poisson"])
def test_isotropic_cell_is_within_hashin_shtrikman(
    materials: TwoPhase, fraction: float, rng: np.random.Generator
) -> None:
    """Averages over orientations, of stiffness and of compliance, of a statistically isotropic cell."""
    phase = two_phase_field((16, 16, 16), rng, fraction)
    bounds = hashin_shtrikman_bounds(phase.mean(), materials)
    c = homogenize(phase, materials).stiffness
    s = np.linalg.inv(c)
    bulk = (c[:3, :3].sum() / 9.0, 1.0 / s[:3, :3].sum())
    deviator = np.eye(3) - 1.0 / 3.0
    shear = (
        ((deviator * c[:3, :3]).sum() / 2.0 + np.trace(c[3:, 3:])) / 5.0,
        2.5 / ((deviator * s[:3, :3]).sum() + np.trace(s[3:, 3:]) / 2.0),
    )
    assert bounds.bulk_lower < bulk[1] <= bulk[0] < bounds.bulk_upper
    assert bounds.shear_lower < shear[1] <= shear[0] < bounds.shear_upper


def test_void_is_the_limit_of_a_soft_phase(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng, 0.5)
    result = homogenize(phase, TwoPhase.porous(70.0, 0.3)).stiffness
    nearly = homogenize(phase, TwoPhase.from_moduli(e_stiff=70.0, e_soft=70e-8)).stiffness
    assert np.abs(nearly / result - 1.0)[:3, :3].max() < 1e-4
    assert np.linalg.eigvalsh(nearly - result).min() > 0.0
    single = homogenize(phase, TwoPhase.porous(70.0, 0.3), rtol=1e-4, dtype=np.float32).stiffness
    assert relative_error(single, result) < 1e-5


@pytest.mark.parametrize("materials", [TwoPhase(), CONTRAST_10000], ids=["reference", "contrast-10000"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_voxel_inclusion(value: float, materials: TwoPhase) -> None:
    phase = np.full((6, 6, 6), 1.0 - value)
    phase[2, 3, 4] = value
    stiffness = homogenize(phase, materials, rtol=1e-9).stiffness
    assert relative_error(stiffness, finite_element_stiffness(phase, materials)) < 1e-8
    # the inclusion is a cube: three equal axes, no coupling of shear to anything
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = stiffness[0, 1]
    np.fill_diagonal(cubic, [stiffness[0, 0]] * 3 + [stiffness[3, 3]] * 3)
    assert relative_error(stiffness, cubic) < 1e-9


def test_graded_phase_agrees_with_the_direct_solve(rng: np.random.Generator) -> None:
    phase = rng.random((5, 4, 6))
    expected = finite_element_stiffness(phase, UNLIKE_POISSON)
    assert relative_error(homogenize(phase, UNLIKE_POISSON, rtol=1e-9).stiffness, expected) < 1e-8


def test_faint_contrast_is_not_lost(rng: np.random.Generator) -> None:
    """Second order in the contrast: a load near rounding is either solved or rightly left out."""
    phase = (rng.random((6, 6, 6)) < 0.5).astype(float)
    for contrast in (1e-2, 1e-5, 1e-8, 1e-12):
        materials = TwoPhase.from_moduli(e_stiff=1.0 + contrast, e_soft=1.0)
        expected = finite_element_stiffness(phase, materials)
        assert relative_error(homogenize(phase, materials).stiffness, expected) < 1e-12


def test_swapping_phases_and_materials_changes_nothing(rng: np.random.Generator) -> None:
    phase = two_phase_field((6, 7, 5), rng)
    swapped = TwoPhase.from_moduli(e_stiff=3.0, e_soft=70.0, nu_stiff=0.45, nu_soft=0.17)
    expected = homogenize(phase, UNLIKE_POISSON).stiffness
    assert relative_error(homogenize(1.0 - phase, swapped).stiffness, expected) < 1e-9


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_any_number_type_gives_the_same_and_is_left_alone(dtype: type, rng: np.random.Generator) -> None:
    phase = two_phase_field((5, 5, 5), rng)
    given = phase.astype(dtype)
    before = given.copy()
    np.testing.assert_array_equal(homogenize(given).stiffness, homogenize(phase).stiffness)
    np.testing.assert_array_equal(given, before)


def test_memory_order_does_not_matter(rng: np.random.Generator) -> None:
    phase = two_phase_field((5, 6, 7), rng)
    expected = homogenize(phase).stiffness
    np.testing.assert_array_equal(homogenize(np.asfortranarray(phase)).stiffness, expected)
    view = np.repeat(phase, 2, axis=2)[:, :, ::2]
    np.testing.assert_array_equal(homogenize(view).stiffness, expected)


def test_too_few_iterations_raise_and_return_no_number(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    with pytest.raises(ConvergenceError, match="2 iterations"):
        homogenize(phase, max_iter=2)
    result = homogenize(phase, max_iter=2, raise_on_failure=False)
    assert isinstance(result, HomogenizationResult)
    assert not result.converged
    assert result.iterations == 2
    assert result.residual > 1e-6


def test_unconverged_energy_is_an_upper_bound_that_falls(rng: np.random.Generator) -> None:
    phase = two_phase_field((8, 8, 8), rng)
    steps = [homogenize(phase, max_iter=n, raise_on_failure=False).stiffness for n in (1, 2, 3, 100)]
    for above, below in itertools.pairwise(steps):
        assert (np.diagonal(above) > np.diagonal(below)).all()


@pytest.mark.parametrize(
    ("dtype", "young"), [(np.float32, 1e39), (np.float32, 1e30), (np.float32, 1e-39), (np.float64, 1e300)]
)
def test_overflow_is_no_success(dtype: type, young: float, rng: np.random.Generator) -> None:
    """Either the right stiffness or ConvergenceError, whatever the unit: never a number that is not one."""
    phase = two_phase_field((6, 6, 6), rng)
    expected = homogenize(phase, TwoPhase.from_moduli(e_stiff=1.0, e_soft=0.02)).stiffness
    try:
        result = homogenize(
            phase, TwoPhase.from_moduli(e_stiff=young, e_soft=young / 50), rtol=1e-4, dtype=dtype
        )
    except ConvergenceError:
        return
    assert relative_error(result.stiffness / young, expected) < 1e-5


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (np.zeros((4, 4)), r"\(X, Y, Z\).*\(4, 4\)"),
        (np.zeros((1, 4, 4, 4)), r"\(X, Y, Z\).*\(1, 4, 4, 4\)"),
        (np.zeros((0, 4, 4)), r"\(X, Y, Z\)"),
        (np.full((4, 4, 4), np.nan), "0 .*1 .*nan"),
        (np.full((4, 4, 4), np.inf), "0 .*1 .*inf"),
        (np.full((4, 4, 4), 255, dtype=np.uint8), "0 .*1 .*255"),
        (np.full((4, 4, 4), -1e-9), "0 .*1 .*-1e-09"),
        (np.full((4, 4, 4), "a"), "dtype"),
        (np.full((4, 4, 4), 1j), "dtype"),
        (np.full((4, 4, 4), None), "dtype"),
    ],
    ids=["2d", "4d", "empty", "nan", "inf", "255", "negative", "text", "complex", "object"],
)
def test_rejects_what_is_no_phase_field(phase: NDArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        homogenize(phase)


@pytest.mark.parametrize("rtol", [0.0, -1.0, float("nan")])
def test_rejects_a_tolerance_that_is_not_positive(rtol: float) -> None:
    with pytest.raises(ValueError, match="rtol"):
        homogenize(np.zeros((4, 4, 4)), rtol=rtol)


def test_rejects_no_iterations_and_other_precisions() -> None:
    with pytest.raises(ValueError, match="max_iter"):
        homogenize(np.zeros((4, 4, 4)), max_iter=0)
    with pytest.raises(ValueError, match="dtype"):
        homogenize(np.zeros((4, 4, 4)), dtype=np.float16)  # pyright: ignore[reportArgumentType]


def test_history_falls_to_the_stiffness_from_above() -> None:
    phase = np.random.default_rng(7).random((8, 7, 9)) < 0.5
    result = homogenize(phase, rtol=1e-9)
    assert result.history is not None
    assert result.history.shape == (result.iterations, 6)
    assert np.all(np.diff(result.history, axis=0) <= 1e-9)
    assert np.all(result.history[0] < np.diag(voigt_bound(phase.mean())))
    np.testing.assert_allclose(result.history[-1], np.diag(result.stiffness), rtol=1e-10)


def test_history_is_the_energy_form_of_each_iteration() -> None:
    phase = np.random.default_rng(8).random((6, 6, 6)) < 0.4
    history = homogenize(phase, rtol=1e-9).history
    assert history is not None
    for iterations in (1, 3):
        early = homogenize(phase, rtol=1e-9, max_iter=iterations, raise_on_failure=False)
        np.testing.assert_allclose(history[iterations - 1], np.diag(early.stiffness), rtol=1e-9)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_iterated_bounds_are_the_history(iterations: int, rng: np.random.Generator) -> None:
    volume = rng.random((9, 8, 7)) < 0.4
    result = homogenize(volume, rtol=1e-12, dtype=np.float32, max_iter=iterations, raise_on_failure=False)
    assert result.history is not None
    np.testing.assert_array_equal(iterated_bounds(volume, iterations=iterations), result.history)
    in_other_units = TwoPhase.from_moduli(e_stiff=120e3, e_soft=2.4e3)
    np.testing.assert_allclose(
        iterated_bounds(volume, in_other_units, iterations=iterations), 1e3 * result.history, rtol=1e-6
    )


def test_iterated_bounds_end_where_the_solution_is_exact() -> None:
    result = iterated_bounds(np.ones((4, 4, 4)), iterations=3)
    np.testing.assert_allclose(
        result, np.tile(np.diag(homogenize(np.ones((4, 4, 4))).stiffness), (3, 1)), rtol=1e-6
    )
    with pytest.raises(ValueError, match="expected a phase field of shape"):
        iterated_bounds(np.ones((4, 4)), iterations=3)
