"""Thermal expansion of a cell against a closed form and a thermoelastic solve."""

import numpy as np
import pytest
from assembled import BOX, PAIRS, Array, assemble, degrees_of_freedom, local_stiffness, strain_matrices

from vaereg.engineering import thermal_expansion
from vaereg.materials import Phase, TwoPhase
from vaereg.solver.homogenization import homogenize

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
