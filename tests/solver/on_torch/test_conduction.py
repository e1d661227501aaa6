"""Conduction in torch against the compiled one, which shares nothing with it but the equations."""

import numpy as np
import pytest
import torch

from vaereg.materials import Phase, TwoPhase
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import ConvergenceError
from vaereg.solver.on_torch.conduction import conduct_batch, conduct_on

BOX = (0.5, 1.0, 1.7)


def pair(stiff: float, soft: float) -> TwoPhase:
    return TwoPhase(Phase("a", 2.0, 0.3, conductivity=stiff), Phase("b", 1.0, 0.3, conductivity=soft))


@pytest.mark.parametrize("materials", [pair(237.0, 0.2), pair(0.2, 1.4)], ids=["up", "down"])
@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), BOX], ids=["cube", "box"])
def test_agrees_with_the_compiled_solver(
    materials: TwoPhase, edges: tuple[float, float, float], rng: np.random.Generator, device: torch.device
) -> None:
    phases = rng.random((2, 5, 4, 6))
    result = conduct_batch(
        torch.from_numpy(phases).to(device), materials, rtol=1e-11, sensitivities=True, voxel_size=edges
    )
    assert result.converged and result.sensitivity is not None
    for index, phase in enumerate(phases):
        expected = conduct(phase, materials, rtol=1e-11, sensitivities=True, voxel_size=edges)
        largest = np.abs(expected.conductivity).max()
        actual = result.conductivity[index].cpu().numpy()
        np.testing.assert_allclose(actual, expected.conductivity, atol=1e-8 * largest)
        assert expected.sensitivity is not None
        limit = 1e-8 * np.abs(expected.sensitivity).max()
        np.testing.assert_allclose(result.sensitivity[index].cpu(), expected.sensitivity, atol=limit)


def test_laminates_are_in_series_and_in_parallel(device: torch.device) -> None:
    layers = torch.zeros(1, 4, 3, 5, dtype=torch.float64, device=device)
    layers[:, :1] = 1.0
    result = conduct_batch(layers, pair(8.0, 0.5), rtol=1e-10).conductivity[0].cpu().numpy()
    parallel, series = 0.25 * 8.0 + 0.75 * 0.5, 1.0 / (0.25 / 8.0 + 0.75 / 0.5)
    np.testing.assert_allclose(result, np.diag([series, parallel, parallel]), atol=1e-8)


def test_an_insulating_phase_blocks_an_axis(rng: np.random.Generator, device: torch.device) -> None:
    volume = np.ones((6, 5, 4), np.uint8)
    volume[2] = 0
    result = conduct_on(device.type, volume, pair(50.0, 0.0), rtol=1e-10)
    expected = conduct(volume, pair(50.0, 0.0), rtol=1e-10)
    assert result.blocked == expected.blocked == ("x",)
    np.testing.assert_allclose(result.conductivity, expected.conductivity, atol=1e-8)
    with pytest.raises(ConvergenceError, match="allow more iterations"):
        conduct_batch(torch.from_numpy(rng.random((1, 4, 4, 4))), pair(50.0, 0.1), max_iter=1)
