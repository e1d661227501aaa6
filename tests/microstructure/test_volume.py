"""Two-phase volumes: checks, volume fraction, bit packing."""

import numpy as np
import pytest

from vaereg.microstructure.volume import as_two_phase, pack_bits, unpack_bits, volume_fraction


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((5, 6, 7)) < 0.3).astype(np.uint8)


def test_volume_fraction_is_the_share_of_stiff_voxels() -> None:
    volume = np.zeros((4, 4, 4), dtype=np.uint8)
    volume[:1] = 1
    assert volume_fraction(volume) == 0.25


def test_packing_has_the_bit_order_of_numpy() -> None:
    volume = np.zeros((1, 2, 2, 2), dtype=np.uint8)
    volume[0, 0, 0, 0] = volume[0, 1, 1, 1] = 1
    assert pack_bits(volume).tolist() == [[0b10000001]]


@pytest.mark.parametrize("shape", [(3, 4, 4, 4), (2, 3, 3, 3), (1, 1, 2, 5)])
def test_unpacking_undoes_packing(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    volumes = rng.integers(0, 2, shape, dtype=np.uint8)
    packed = pack_bits(volumes)
    assert packed.shape == (shape[0], -(-int(np.prod(shape[1:])) // 8))
    np.testing.assert_array_equal(unpack_bits(packed, shape[1:]), volumes)


def test_packing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(N, X, Y, Z\), got .*\(4, 4, 4\)"):
        pack_bits(np.zeros((4, 4, 4)))
    with pytest.raises(ValueError, match=r"\(N, 8\), got .*\(2, 7\)"):
        unpack_bits(np.zeros((2, 7), dtype=np.uint8), (4, 4, 4))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_types_of_phases_that_are_two_phase(dtype: type, volume: np.ndarray) -> None:
    checked = as_two_phase(np.asfortranarray(volume.astype(dtype)))
    assert checked.dtype == np.uint8
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, volume)


def test_a_single_phase_is_allowed() -> None:
    assert as_two_phase(np.ones((2, 2, 2))).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"\(X, Y, Z\), got .*\(4, 4\)"),
        (np.zeros((0, 4, 4)), r"at least one voxel, got .*\(0, 4, 4\)"),
        (np.full((2, 2, 2), 0.5), r"0 and 1 only, got .*: 0\.5$"),
        (np.arange(8).reshape(2, 2, 2), r"0 and 1 only, got .*: 2, 3, 4, 5, \.\.\.$"),
        (np.full((2, 2, 2), 255, dtype=np.uint8), r"got .*: 255$"),
        (np.full((2, 2, 2), np.nan), "not finite"),
        (np.full((2, 2, 2), 1j), "bool, integer or float type, got complex128"),
        (np.full((2, 2, 2), "1"), "bool, integer or float type, got <U1"),
    ],
)
def test_what_is_not_two_phase(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_two_phase(array)
