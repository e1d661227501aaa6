"""Gradients of the stiffness through torch: against finite differences, in loops, by batch."""

import numpy as np
import pytest
import torch

from vaereg.materials import Phase, TwoPhase
from vaereg.solver import differentiable
from vaereg.solver.differentiable import SolverState, effective_conductivity, effective_stiffness
from vaereg.solver.homogenization import ConvergenceError, homogenize

UNLIKE_POISSON = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.0, nu_stiff=0.17, nu_soft=0.45)


def random_phase(*shape: int, generator: torch.Generator) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(shape, generator=generator, dtype=torch.float64)


@pytest.fixture(params=["compiled", "torch"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one of the CPU, and the one of other devices (run on the CPU)."""
    if request.param == "torch":
        monkeypatch.setattr(differentiable, "_solve_compiled", differentiable._solve_torch)
        monkeypatch.setattr(differentiable, "_conduct_compiled", differentiable._conduct_torch)
    return request.param


@pytest.mark.parametrize("materials", [None, UNLIKE_POISSON], ids=["reference", "nu"])
def test_gradcheck(implementation: str, materials: TwoPhase | None, generator: torch.Generator) -> None:
    """Every derivative of every entry against finite differences."""
    phase = random_phase(2, 2, 3, 2, generator=generator).requires_grad_()

    def solve(x: torch.Tensor) -> torch.Tensor:
        return effective_stiffness(x, materials, rtol=1e-11)

    assert torch.autograd.gradcheck(solve, phase, eps=1e-4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("element", ["hex8", "bbar"])
def test_gradcheck_of_boxes_and_voids(implementation: str, element: str, generator: torch.Generator) -> None:
    phase = random_phase(2, 3, 2, generator=generator).requires_grad_()

    def solve(x: torch.Tensor) -> torch.Tensor:
        pair = TwoPhase.porous(70.0, 0.3)
        return effective_stiffness(x, pair, rtol=1e-11, voxel_size=(1.0, 2.0, 0.7), element=element)

    assert torch.autograd.gradcheck(solve, phase, eps=1e-4, rtol=1e-5, atol=1e-6)


def test_gradcheck_of_conduction(implementation: str, generator: torch.Generator) -> None:
    phase = random_phase(2, 2, 3, 2, generator=generator).requires_grad_()
    pair = TwoPhase(Phase("", 2.0, 0.3, conductivity=0.1), Phase("", 1.0, 0.3, conductivity=5.0))

    def solve(x: torch.Tensor) -> torch.Tensor:
        return effective_conductivity(x, pair, rtol=1e-11, voxel_size=(1.0, 2.0, 0.7))

    assert torch.autograd.gradcheck(solve, phase, eps=1e-4, rtol=1e-5, atol=1e-6)
    single = effective_conductivity(phase[0].detach().float().requires_grad_(), pair)
    assert single.shape == (3, 3) and single.dtype == torch.float32 and single.requires_grad


def test_gradient_of_a_loss_along_a_direction(implementation: str, generator: torch.Generator) -> None:
    phase = random_phase(6, 5, 7, generator=generator).requires_grad_()
    direction = torch.rand(6, 5, 7, generator=generator, dtype=torch.float64) - 0.5

    def loss(x: torch.Tensor) -> torch.Tensor:
        stiffness = effective_stiffness(x, rtol=1e-10)
        return (stiffness[0, 0] - 60.0) ** 2 + stiffness[1, 2] * stiffness[5, 5] + torch.logdet(stiffness)

    (gradient,) = torch.autograd.grad(loss(phase), phase)
    step = 1e-4
    with torch.no_grad():
        expected = (loss(phase + step * direction) - loss(phase - step * direction)) / (2.0 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(expected), rel=1e-5)


def test_value_is_that_of_the_solver(implementation: str, generator: torch.Generator) -> None:
    phase = random_phase(2, 4, 5, 6, generator=generator)
    actual = effective_stiffness(phase)
    assert actual.shape == (2, 6, 6)
    assert actual.dtype == torch.float64
    for item, volume in zip(actual, phase, strict=True):
        expected = homogenize(volume.numpy()).stiffness
        np.testing.assert_allclose(item.numpy(), expected, atol=1e-9 * expected.max())


def test_single_precision_stays_single(implementation: str, generator: torch.Generator) -> None:
    phase = random_phase(6, 6, 6, generator=generator)
    exact = phase.clone().requires_grad_()
    single = phase.float().requires_grad_()
    effective_stiffness(exact)[0, 0].backward()
    result = effective_stiffness(single)
    result[0, 0].backward()
    assert result.dtype == torch.float32
    assert exact.grad is not None
    assert single.grad is not None
    assert single.grad.dtype == torch.float32
    assert float((single.grad - exact.grad).norm()) < 1e-3 * float(exact.grad.norm())


def test_each_volume_of_a_batch_has_its_own_gradient(implementation: str, generator: torch.Generator) -> None:
    phase = random_phase(2, 4, 4, 4, generator=generator).requires_grad_()
    effective_stiffness(phase)[1, 0, 0].backward()
    assert phase.grad is not None
    assert float(phase.grad[0].abs().max()) == 0.0
    assert float(phase.grad[1].abs().min()) > 0.0


def test_descent_reaches_a_target(implementation: str, generator: torch.Generator) -> None:
    """Newton's steps along the gradient bring C11 to its target; warm starts shorten the later solves."""
    phase = random_phase(6, 6, 6, generator=generator)
    target = 1.05 * float(effective_stiffness(phase)[0, 0])
    state = SolverState()
    errors = []
    for _ in range(6):
        phase.requires_grad_()
        stiffness = effective_stiffness(phase, state=state)[0, 0]
        (gradient,) = torch.autograd.grad(stiffness, phase)
        errors.append(target - float(stiffness.detach()))
        phase = (phase + gradient * errors[-1] / (gradient**2).sum()).clamp(0.0, 1.0).detach()
    assert abs(errors[-1]) < 1e-4 * target
    assert state.solves == 6
    cold = SolverState()
    effective_stiffness(phase, state=cold)
    assert state.iterations < 6 * cold.iterations


def test_state_of_another_shape_is_no_start(implementation: str, generator: torch.Generator) -> None:
    state = SolverState()
    effective_stiffness(random_phase(4, 4, 4, generator=generator), state=state)
    phase = random_phase(4, 4, 5, generator=generator)
    result = effective_stiffness(phase, state=state)
    assert state.solves == 2
    torch.testing.assert_close(result, effective_stiffness(phase), rtol=1e-8, atol=1e-8)


@pytest.mark.gpu
def test_gradient_on_cuda(generator: torch.Generator) -> None:
    phase = random_phase(2, 8, 7, 8, generator=generator)
    gradients = []
    for device in ("cpu", "cuda"):
        x = phase.to(device).requires_grad_()
        stiffness = effective_stiffness(x, rtol=1e-10)
        assert stiffness.device.type == device
        (gradient,) = torch.autograd.grad(stiffness[:, 0, 1].sum(), x)
        gradients.append(gradient.cpu())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-7, atol=1e-9)


def test_rejects_bad_input_and_says_when_unconverged(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"\(X, Y, Z\)"):
        effective_stiffness(torch.zeros(4, 4))
    with pytest.raises(ValueError, match="float32 or float64"):
        effective_stiffness(torch.zeros(4, 4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="0 .*1 "):
        effective_stiffness(torch.full((4, 4, 4), 1.5))
    with pytest.raises(ConvergenceError):
        effective_stiffness(random_phase(4, 4, 4, generator=generator), max_iter=1)
