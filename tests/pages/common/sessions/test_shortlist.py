"""The shortlist: a volume is in it once, under a name of its own, within bounds."""

import numpy as np
import pytest

from pages.parts.common.sessions import shortlist
from pages.parts.common.sessions.shortlist import ShortlistItem, add_item


def item(seed: int = 0, size: int = 8, *, name: str | None = None) -> ShortlistItem:
    volume = np.random.default_rng(seed).integers(0, 2, (size, size, size), dtype=np.uint8)
    return ShortlistItem(name=name or f"design {seed}", volume=volume, origin="test")


def test_a_volume_is_put_aside_once_and_names_differ() -> None:
    items = add_item(add_item([], item(0)), item(0, name="again"))
    assert [entry.name for entry in items] == ["design 0"]
    items = add_item(items, item(1, name="design 0"))
    items = add_item(items, item(2, name=" \n "))
    items = add_item(items, item(3, name="x" * 500))
    assert [entry.name for entry in items][:3] == ["design 0", "design 0 (2)", "unnamed"]
    assert len(items[3].name) == shortlist.MAX_NAME and items[3].name.endswith("x…")


def test_the_shortlist_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[ShortlistItem] = []
    for seed in range(shortlist.MAX_ITEMS):
        items = add_item(items, item(seed))
    with pytest.raises(ValueError, match="holds 24 designs"):
        add_item(items, item(99))
    monkeypatch.setattr(shortlist, "MAX_VOXELS", 1000)
    with pytest.raises(ValueError, match="voxels"):
        add_item([item(0)], item(1))
