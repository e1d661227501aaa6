"""Boxes and elements against an assembled solve, by closed forms and by refinement."""

import numpy as np
import pytest
from assembled import (
    BOX,
    CONTRAST_10000,
    NEARLY_INCOMPRESSIBLE,
    UNLIKE_POISSON,
    assemble,
    finite_element_stiffness,
    relative_error,
)
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import isotropic_stiffness
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.green import green_operator
from vaereg.solver.grid_check import mesh_check
from vaereg.solver.homogenization import homogenize


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


def test_graded_phase_agrees_with_the_direct_solve(rng: np.random.Generator) -> None:
    phase = rng.random((5, 4, 6))
    expected = finite_element_stiffness(phase, UNLIKE_POISSON)
    assert relative_error(homogenize(phase, UNLIKE_POISSON, rtol=1e-9).stiffness, expected) < 1e-8
