"""What the solver is given: kinds of numbers, and what is refused."""

import numpy as np
import pytest
from assembled import two_phase_field
from numpy.typing import NDArray

from vaereg.solver.homogenization import homogenize


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
