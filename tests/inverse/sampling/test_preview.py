"""Previews: one design a mode, near what is asked for, the same again, and smooth in the target."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from modes_fixture import modes_of

from vaereg.errors import InputError
from vaereg.inverse.sampling.preview import Previewer
from vaereg.materials import VOID, Phase, TwoPhase
from vaereg.microstructure.symmetry import is_symmetric
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.targets import parse

SOFT = [6.0, 4.0, 4.0, 1.5, 1.5, 1.5]
STIFF = [60.0, 40.0, 40.0, 15.0, 15.0, 15.0]
ROWS = [
    ("closed-foam", STIFF, 0.4),
    ("periodic", STIFF, 0.5),
    ("grains", STIFF, 0.4),
    ("fibres", SOFT, 0.2),
]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Checkpoint) -> Checkpoint:
    """The tiny checkpoint with untrained modes, of which four know a volume."""
    from dataclasses import replace

    modes = modes_of(ROWS)
    modes.library.latent[:, 3:9] = 1.0  # a whole period along each axis
    return replace(tiny_checkpoint, modes=modes)


def test_every_mode_that_knows_volumes_has_a_preview(checkpoint: Checkpoint) -> None:
    previewer = Previewer(checkpoint, checkpoint.model.materials)
    targets = parse(["C11=60", "C22=40", "C33=40"])
    preview = previewer.preview(targets, size=16)
    assert [MODE_NAMES[mode] for mode in preview.modes] == ["fibres", "closed-foam", "grains", "periodic"]
    assert preview.volumes.shape == (4, 16, 16, 16) and set(np.unique(preview.volumes)) == {0, 1}
    assert preview.names == targets.names and preview.values.shape == (4, 3)
    assert preview.reached.tolist() == [False, True, True, True]
    periodic = preview.modes.index(MODE_NAMES.index("periodic"))
    np.testing.assert_allclose(preview.values[periodic], [60.0, 40.0, 40.0], rtol=0.1)
    again = previewer.preview(targets, size=16)
    np.testing.assert_array_equal(preview.volumes, again.volumes)
    with ThreadPoolExecutor(2) as threads:
        shared = previewer.preview(targets, size=16, threads=threads)
    np.testing.assert_array_equal(preview.volumes, shared.volumes)


def test_chosen_modes_alone_are_shown(checkpoint: Checkpoint) -> None:
    previewer = Previewer(checkpoint, checkpoint.model.materials)
    chosen = [MODE_NAMES.index("periodic"), MODE_NAMES.index("pores")]
    preview = previewer.preview(parse(["C11=60"]), modes=chosen, size=16)
    assert preview.modes == (MODE_NAMES.index("periodic"),)
    with pytest.raises(InputError, match="a mode that knows volumes"):
        previewer.preview(parse(["C11=60"]), modes=[MODE_NAMES.index("pores")])


def test_a_volume_fraction_that_is_asked_for_is_had(checkpoint: Checkpoint) -> None:
    previewer = Previewer(checkpoint, checkpoint.model.materials)
    for share in (0.3, 0.6):
        preview = previewer.preview(parse([f"volume_fraction={share}", "C11=max"]), size=16)
        np.testing.assert_allclose(preview.volumes.mean((1, 2, 3)), share, atol=1e-3)


def test_previews_have_the_phases_that_are_asked_for(checkpoint: Checkpoint) -> None:
    pair = TwoPhase(Phase("light", 70.0, 0.3, density=2.7), VOID)
    preview = Previewer(checkpoint, pair).preview(parse(["density=1.0", "E_x=max"]), size=16)
    np.testing.assert_allclose(preview.values[:, 0], 2.7 * preview.volumes.mean((1, 2, 3)), rtol=0.01)
    with pytest.raises(InputError, match="conductivity"):
        Previewer(checkpoint, pair).preview(parse(["k_x=1"]))


@pytest.mark.parametrize("symmetry", ["orthotropic", "cubic"])
def test_previews_have_the_symmetry(checkpoint: Checkpoint, symmetry: str) -> None:
    preview = Previewer(checkpoint, checkpoint.model.materials).preview(
        parse(["E_x=30"]), also=["E_z", "C16"], symmetry=symmetry, size=16
    )
    assert len(preview.modes) == 4
    assert all(is_symmetric(volume, symmetry) for volume in preview.volumes)
    assert (preview.values[:, 2] == 0.0).all()
    assert np.allclose(preview.values[:, 0], preview.values[:, 1]) == (symmetry == "cubic")


def test_a_free_mixture_has_no_previews(tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match="free mixture"):
        Previewer(tiny_checkpoint, tiny_checkpoint.model.materials)
