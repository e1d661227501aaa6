"""Volumes of a user's own: what they are taken for, and that the library reaches what they have."""

import numpy as np
import pytest
from modes_fixture import modes_of

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.reach import mode_reach
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.training.modes.own_volumes import add_volumes

ROWS = [("pores", [60.0, 60.0, 60.0, 20.0, 20.0, 20.0], 0.7)]


def test_volumes_are_recognised_and_reached() -> None:
    foams = [sample("closed-foam", 24, generator=np.random.default_rng(seed)).volume for seed in (1, 2)]
    modes, added = add_volumes(modes_of(ROWS), foams)
    assert [volume.mode for volume in added] == ["closed-foam"] * 2
    assert min(volume.probability for volume in added) > 0.5
    assert len(modes.library) == 3
    wanted = diagonal_properties(added[0].stiffness[None])[0]
    foam = MODE_NAMES.index("closed-foam")
    targets = {"C11": wanted[0], "C22": wanted[1], "C33": wanted[2]}
    assert mode_reach(modes, targets).distance[foam] < 1e-6
    assert np.isinf(mode_reach(modes_of(ROWS), targets).distance[foam])


def test_the_mode_may_be_named() -> None:
    volume = sample("gaussian", 16, generator=np.random.default_rng(0)).volume
    _, (added,) = add_volumes(modes_of(ROWS), [volume], mode="irregular")
    assert (added.mode, added.probability) == ("irregular", 1.0)


@pytest.mark.parametrize(
    ("volumes", "mode", "message"),
    [
        ([], None, "at least one volume"),
        ([np.zeros((16, 16, 16), np.uint8)], None, "two phases"),
        ([np.eye(16, dtype=np.uint8)[None].repeat(8, 0)], None, "expected cubes"),
        ([np.eye(16, dtype=np.uint8)[None].repeat(16, 0)], "sponge", "unknown mode 'sponge'"),
    ],
)
def test_bad_volumes(volumes: list[np.ndarray], mode: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        add_volumes(modes_of(ROWS), volumes, mode=mode)
