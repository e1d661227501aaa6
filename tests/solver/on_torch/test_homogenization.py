"""The solver in torch against the compiled one, which shares nothing with it but the equations."""

from typing import Any

import numpy as np
import pytest
import torch

from vaereg.elasticity import isotropic_stiffness
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import ConvergenceError, homogenize
from vaereg.solver.on_torch.homogenization import homogenize_batch, homogenize_on

UNLIKE_POISSON = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.0, nu_stiff=0.17, nu_soft=0.45)
CONTRAST_10000 = TwoPhase.from_moduli(e_stiff=100.0, e_soft=0.01)
MATERIALS = pytest.mark.parametrize("materials", [TwoPhase(), UNLIKE_POISSON, CONTRAST_10000])


def without_translation(displacement: np.ndarray) -> np.ndarray:
    return displacement - displacement.mean(axis=(2, 3, 4), keepdims=True)


def agree(
    phase: np.ndarray,
    materials: TwoPhase,
    device: torch.device,
    tolerance: float = 1e-8,
    **options: Any,  # noqa: ANN401
) -> None:
    """Stiffness, sensitivities and displacements of both implementations, in float64."""
    actual = homogenize_batch(
        torch.from_numpy(phase).to(device),
        materials,
        rtol=1e-12,
        sensitivities=True,
        keep_displacement=True,
        **options,
    )
    assert actual.converged
    assert actual.stiffness.device.type == device.type
    assert actual.sensitivity is not None
    assert actual.displacement is not None
    for index, volume in enumerate(phase):
        expected = homogenize(
            volume, materials, rtol=1e-12, sensitivities=True, keep_displacement=True, **options
        )
        assert expected.sensitivity is not None
        assert expected.displacement is not None
        for first, other in (
            (actual.stiffness[index].cpu(), expected.stiffness),
            (actual.sensitivity[index].cpu(), expected.sensitivity),
            (
                without_translation(actual.displacement[index].cpu().numpy()),
                without_translation(expected.displacement),
            ),
        ):
            limit = tolerance * np.abs(other).max()
            np.testing.assert_allclose(np.asarray(first), other, rtol=0.0, atol=limit)


@MATERIALS
@pytest.mark.parametrize("shape", [(6, 6, 6), (5, 4, 7), (1, 4, 5), (4, 1, 3), (3, 4, 1), (2, 2, 2)], ids=str)
def test_agrees_with_the_compiled_solver(
    shape: tuple[int, ...], materials: TwoPhase, rng: np.random.Generator, device: torch.device
) -> None:
    phase = np.stack([(rng.random(shape) < 0.5).astype(float), rng.random(shape)])
    agree(phase, materials, device)


NEARLY_INCOMPRESSIBLE = TwoPhase.from_moduli(e_stiff=70.0, e_soft=0.5, nu_stiff=0.2, nu_soft=0.49)


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), (0.005, 0.01, 0.017)], ids=["cube", "box"])
@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_boxes_and_elements_agree_with_the_compiled_solver(
    edges: tuple[float, float, float], element: str, rng: np.random.Generator, device: torch.device
) -> None:
    phase = rng.random((2, 5, 4, 6))
    agree(phase, NEARLY_INCOMPRESSIBLE, device, voxel_size=edges, element=element)


def test_voids_are_those_of_the_compiled_solver(rng: np.random.Generator, device: torch.device) -> None:
    phase = np.ones((3, 6, 5, 4))
    phase[0] = rng.random((6, 5, 4)) < 0.7
    phase[1, 2] = 0.0  # a slit normal to x
    phase[2] = 0.0
    pair = TwoPhase.porous(70.0, 0.3)
    result = homogenize_batch(torch.from_numpy(phase).to(device), pair, rtol=1e-9)
    for index, volume in enumerate(phase):
        expected = homogenize(volume, pair, rtol=1e-9)
        assert result.unloaded[index] == expected.unloaded
        np.testing.assert_allclose(result.stiffness[index].cpu().numpy(), expected.stiffness, atol=1e-6)
    assert homogenize_batch(torch.from_numpy(phase), NEARLY_INCOMPRESSIBLE).element == "bbar"


@pytest.mark.gpu
@MATERIALS
def test_agrees_with_the_compiled_solver_on_cuda(materials: TwoPhase, rng: np.random.Generator) -> None:
    agree((rng.random((2, 16, 15, 16)) < 0.5).astype(float), materials, torch.device("cuda"))


def test_one_volume_as_the_compiled_solver_gives_it(rng: np.random.Generator, device: torch.device) -> None:
    volume = (rng.random((8, 8, 8)) < 0.5).astype(np.uint8)
    actual = homogenize_on(device.type, volume, UNLIKE_POISSON)
    expected = homogenize(volume, UNLIKE_POISSON)
    np.testing.assert_allclose(actual.stiffness, expected.stiffness, atol=1e-6 * expected.stiffness.max())
    assert actual.converged and actual.residual <= 1e-6


def test_single_precision_at_1e_4_is_within_1e_6(rng: np.random.Generator, device: torch.device) -> None:
    phase = (rng.random((12, 10, 11)) < 0.5).astype(np.float32)
    actual = homogenize_batch(torch.from_numpy(phase)[None].to(device), rtol=1e-4).stiffness[0].cpu().numpy()
    expected = homogenize(phase).stiffness
    assert np.abs(actual - expected).max() < 1e-6 * expected.max()


def test_a_batch_may_hold_uniform_and_layered_cells(rng: np.random.Generator, device: torch.device) -> None:
    phase = np.stack([np.ones((4, 5, 6)), np.zeros((4, 5, 6)), rng.random((4, 5, 6))])
    phase[2] = phase[2, :1]  # layers that do not change along x
    result = homogenize_batch(torch.from_numpy(phase).to(device), rtol=1e-9).stiffness.cpu().numpy()
    np.testing.assert_allclose(result[0], isotropic_stiffness(120.0, 0.3), atol=1e-9)
    np.testing.assert_allclose(result[1], isotropic_stiffness(2.4, 0.3), atol=1e-9)
    np.testing.assert_allclose(result[2], homogenize(phase[2], rtol=1e-9).stiffness, atol=1e-7)


def test_solution_as_start_needs_no_iteration(rng: np.random.Generator, device: torch.device) -> None:
    phase = torch.from_numpy(rng.random((1, 5, 6, 4))).to(device)
    first = homogenize_batch(phase, keep_displacement=True)
    assert homogenize_batch(phase, initial=first.displacement).iterations == 0


def test_too_few_iterations_raise(rng: np.random.Generator, device: torch.device) -> None:
    phase = torch.from_numpy(rng.random((1, 5, 6, 4))).to(device)
    with pytest.raises(ConvergenceError, match="2 iterations"):
        homogenize_batch(phase, max_iter=2)
    result = homogenize_batch(phase, max_iter=2, raise_on_failure=False)
    assert not result.converged
    assert result.iterations == 2
    assert float(result.residual[0]) > 1e-6


@pytest.mark.parametrize(
    ("phase", "options", "message"),
    [
        (torch.zeros(4, 4, 4), {}, r"\(B, X, Y, Z\)"),
        (torch.zeros(0, 4, 4, 4), {}, r"\(B, X, Y, Z\)"),
        (torch.zeros(1, 4, 4, 4, dtype=torch.float16), {}, "float32 or float64"),
        (torch.full((1, 4, 4, 4), torch.nan), {}, "nan"),
        (torch.full((1, 4, 4, 4), 1.5), {}, "1.5"),
        (torch.zeros(1, 4, 4, 4), {"rtol": 0.0}, "rtol"),
        (torch.zeros(1, 4, 4, 4), {"max_iter": 0}, "max_iter"),
        (torch.zeros(1, 4, 4, 4), {"initial": torch.zeros(6, 3, 4, 4, 4)}, "initial"),
    ],
)
def test_rejects_bad_input(phase: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        homogenize_batch(phase, **options)
