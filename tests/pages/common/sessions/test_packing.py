"""Values of sessions as bytes: exact round trips, nothing unpickled, damaged content refused."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest

from pages.parts.common.sessions import put_aside
from pages.parts.common.sessions.packing import pack, unpack
from pages.parts.common.sessions.shortlist import ShortlistItem


@dataclass(frozen=True, kw_only=True)
class Other:
    value: object


def test_values_come_back_exactly() -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 2, (3, 5, 7), dtype=np.uint8)
    item = ShortlistItem(
        name="ä",
        volume=volume,
        origin="",
        targets={"C11": 60.0, "C22": (30.0, 40.5)},
        mean=rng.random(6),
        tolerance=1e-3,
        seed=7,
    )
    (result, number), error, rest = unpack(
        pack([(item, 3), ValueError("no"), {"a": [None, True, "x", np.float32(0.5)]}]), put_aside._TYPES
    )
    np.testing.assert_array_equal(result.volume, volume)
    assert result.volume.dtype == np.uint8 and result.volume.flags.writeable
    np.testing.assert_array_equal(result.mean, item.mean)
    assert (result.name, result.targets, result.tolerance, result.seed) == ("ä", item.targets, 1e-3, 7)
    assert (result.std, result.from_file, number) == (None, False, 3)
    assert str(error) == "no" and rest == {"a": [None, True, "x", 0.5]}


def test_volumes_take_a_bit_a_voxel() -> None:
    assert len(pack(np.ones((64, 64, 64), np.uint8))) < 64**3 / 8 + 2000
    grey = np.arange(250, dtype=np.uint8)
    np.testing.assert_array_equal(unpack(pack(grey), []), grey)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {3}}, np.array([{}], dtype=object)])
def test_what_cannot_be_kept_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected"):
        pack(value)


def test_only_named_dataclasses_are_made() -> None:
    with pytest.raises(ValueError, match="expected the values"):
        unpack(pack(Other(value=1)), [ShortlistItem])


@pytest.mark.parametrize("damage", ["cut", "pickle", "empty", "fields"])
def test_damaged_content_is_refused(damage: str) -> None:
    content = pack([np.zeros((4, 4, 4), np.uint8)])
    buffer = BytesIO()
    np.savez(buffer, index=np.array([{}], dtype=object), allow_pickle=True)
    bad = {
        "cut": content[: len(content) // 2],
        "pickle": buffer.getvalue(),
        "empty": b"",
        "fields": pack(Other(value=1)).replace(b"value", b"valux"),
    }[damage]
    with pytest.raises(ValueError, match="expected the values"):
        unpack(bad, [Other])
