"""Bounds in torch: those of the compiled solver, on both sides of the stiffness, with exact gradients."""

import numpy as np
import pytest
import torch

from vaereg.elasticity import voigt_to_mandel
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.bounds import bound_stiffness
from vaereg.solver.homogenization import homogenize
from vaereg.solver.on_torch.bounds import bound_batch

UNLIKE = TwoPhase.from_moduli(70.0, 3.0, 0.17, 0.45)


@pytest.mark.parametrize("pair", [UNLIKE, TwoPhase.porous(70.0, 0.2)], ids=["pair", "void"])
@pytest.mark.parametrize(("edges", "element"), [((1.0, 1.0, 1.0), "hex8"), ((0.5, 1.0, 1.7), "bbar")])
def test_they_are_those_of_the_compiled_solver(
    pair: TwoPhase, edges: tuple[float, float, float], element: str, rng: np.random.Generator
) -> None:
    phases = rng.random((2, 6, 5, 4))
    for iterations in (0, 1, 4):
        bounds = bound_batch(
            torch.from_numpy(phases), pair, iterations=iterations, voxel_size=edges, element=element
        )
        for index, phase in enumerate(phases):
            expected = bound_stiffness(
                phase,
                pair,
                residual=0.0,
                max_iter=iterations,
                dtype=np.float64,
                voxel_size=edges,
                element=element,
            )
            size = 1e-5 * expected.upper.max()  # the compiled preconditioner rounds to float32
            np.testing.assert_allclose(bounds.upper[index].numpy(), expected.upper, atol=size)
            np.testing.assert_allclose(bounds.lower[index].numpy(), expected.lower, atol=size)
            assert float(bounds.residual[index]) == pytest.approx(expected.residual, rel=1e-4)


def test_the_stiffness_lies_between_them(rng: np.random.Generator) -> None:
    phase = (rng.random((6, 6, 6)) < 0.4).astype(np.float64)
    exact = voigt_to_mandel(homogenize(phase, UNLIKE, rtol=1e-9).stiffness)
    widths = []
    for iterations in (1, 3, 6):
        bounds = bound_batch(torch.from_numpy(phase)[None], UNLIKE, iterations=iterations)
        lower, upper = (voigt_to_mandel(item[0].numpy()) for item in (bounds.lower, bounds.upper))
        assert np.linalg.eigvalsh(upper - exact).min() > -1e-9 * np.linalg.norm(exact)
        assert np.linalg.eigvalsh(exact - lower).min() > -1e-9 * np.linalg.norm(exact)
        widths.append(np.trace(upper - lower))
    assert widths[2] < 0.2 * widths[0]


def test_gradients_are_those_of_finite_differences(rng: np.random.Generator) -> None:
    phase = torch.from_numpy(rng.uniform(0.1, 0.9, (1, 4, 3, 4))).requires_grad_()

    def both(field: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bounds = bound_batch(field, UNLIKE, iterations=2)
        return bounds.lower, bounds.upper

    direction = torch.from_numpy(rng.uniform(-1.0, 1.0, phase.shape))
    weights = torch.from_numpy(rng.standard_normal((2, 6, 6)))

    def loss(field: torch.Tensor) -> torch.Tensor:
        return sum((w * item[0]).sum() for w, item in zip(weights, both(field), strict=True))  # type: ignore[return-value]

    loss(phase).backward()
    assert phase.grad is not None
    step = 1e-5
    with torch.no_grad():
        expected = (loss(phase + step * direction) - loss(phase - step * direction)) / (2.0 * step)
    assert float((phase.grad * direction).sum()) == pytest.approx(float(expected), rel=1e-6)


def test_uniform_and_layered_cells_have_finite_gradients() -> None:
    layered = torch.zeros(1, 4, 4, 4, dtype=torch.float64)
    layered[:, :2] = 1.0
    for phase in (torch.ones_like(layered), layered):
        field = phase.clone().requires_grad_()
        bounds = bound_batch(field, UNLIKE, iterations=3)
        (bounds.lower.sum() + bounds.upper.sum()).backward()
        assert field.grad is not None and bool(torch.isfinite(field.grad).all())
        exact = homogenize(phase[0].numpy(), UNLIKE, rtol=1e-9).stiffness
        np.testing.assert_allclose(bounds.upper[0].detach().numpy(), exact, atol=1e-6 * exact.max())


def test_a_number_of_iterations_is_not_negative() -> None:
    with pytest.raises(InputError, match="0 or more iterations, got -1"):
        bound_batch(torch.zeros(1, 4, 4, 4), iterations=-1)
