"""The compiled preconditioner of cubes against NumPy's Fourier transforms."""

import numpy as np
import pytest

from vaereg.materials import TwoPhase
from vaereg.solver.compiled import transforms
from vaereg.solver.compiled.transforms import EDGES, apply_green_operator, transposed_green
from vaereg.solver.green import green_operator
from vaereg.solver.homogenization import homogenize

QUICK = (16, 24, 32)


@pytest.mark.parametrize(
    "edge", [pytest.param(edge, marks=[] if edge in QUICK else pytest.mark.slow) for edge in EDGES]
)
def test_convolution_with_the_green_operator(edge: int, rng: np.random.Generator) -> None:
    green = green_operator((edge, edge, edge), 3.0, 1.5)
    field = rng.standard_normal((3, edge, edge, 2 * edge)).astype(np.float32)
    modes, out = np.empty((2, 3, edge, edge**2), np.float32), np.empty_like(field)
    apply_green_operator(transposed_green(green), field, modes, out)
    blocks = green[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    packed = np.fft.fftn(field[..., 0::2] + 1j * field[..., 1::2].astype(np.float64), axes=(1, 2, 3))
    expected = np.fft.ifftn(np.einsum("abxyz,bxyz->axyz", blocks, packed), axes=(1, 2, 3))
    actual = out[..., 0::2] + 1j * out[..., 1::2]
    assert np.abs(actual - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_result_may_take_the_place_of_the_field(rng: np.random.Generator) -> None:
    green = transposed_green(green_operator((16, 16, 16), 1.0, 1.0))
    field = rng.standard_normal((3, 16, 16, 32)).astype(np.float32)
    modes, out = np.empty((2, 3, 16, 256), np.float32), np.empty_like(field)
    apply_green_operator(green, field, modes, out)
    apply_green_operator(green, field, modes, field)
    np.testing.assert_array_equal(field, out)


def test_a_solve_is_the_same_with_transforms_of_scipy(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    phase = (rng.random((16, 16, 16)) < 0.4).astype(np.uint8)
    pair = TwoPhase.from_moduli(70.0, 0.7, 0.2, 0.35)
    here = homogenize(phase, pair, rtol=1e-8)
    monkeypatch.setattr(transforms, "EDGES", ())
    elsewhere = homogenize(phase, pair, rtol=1e-8)
    assert abs(here.iterations - elsewhere.iterations) <= 1
    np.testing.assert_allclose(here.stiffness, elsewhere.stiffness, atol=1e-10 * here.stiffness.max())
