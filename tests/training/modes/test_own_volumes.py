"""Volumes of a user's own: what they are taken for, and that the library reaches what they have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from modes_fixture import modes_of
from numpy.typing import NDArray

from vaereg.cli import main
from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.generators.morphologies import sample
from vaereg.inverse.direct import design
from vaereg.inverse.reach import mode_reach
from vaereg.io.designs import read_designs
from vaereg.microstructure.statistics import two_point_distances
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint, save_checkpoint
from vaereg.model.config import ModelConfig
from vaereg.model.modes.catalogue import MODE_NAMES, MODES
from vaereg.model.modes.library import Rows
from vaereg.model.vae import VaeReg
from vaereg.targets import Target
from vaereg.training.modes.own_volumes import add_volumes

MODEL = VaeReg(ModelConfig(latent=10, components=2, widths=(8, 16), features=32, fields=2, mixing=4)).eval()
ROWS = [("pores", [60.0, 60.0, 60.0, 20.0, 20.0, 20.0], 0.7)]


def test_volumes_are_recognised_and_reached() -> None:
    foams = [sample("closed-foam", 24, generator=np.random.default_rng(seed)).volume for seed in (1, 2)]
    modes, added = add_volumes(modes_of(ROWS), MODEL, foams)
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
    _, (added,) = add_volumes(modes_of(ROWS), MODEL, [volume], mode="irregular")
    assert (added.mode, added.probability) == ("irregular", 1.0)


@pytest.mark.parametrize(
    ("volumes", "mode", "message"),
    [
        ([], None, "at least one volume"),
        ([np.zeros((16, 16, 16), np.uint8)], None, "two phases"),
        ([np.eye(16, dtype=np.uint8)[None].repeat(8, 0)], None, "expected cubes"),
        ([np.eye(16, dtype=np.uint8)[None].repeat(16, 0)], "A sponge", "or a new name of 2 to 32 lower-case"),
    ],
)
def test_bad_volumes(volumes: list[np.ndarray], mode: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        add_volumes(modes_of(ROWS), MODEL, volumes, mode=mode)


def fibres(seeds: range, size: int = 16) -> list[NDArray[np.uint8]]:
    return [sample("fibres", size, generator=np.random.default_rng(seed)).volume for seed in seeds]


@pytest.fixture(scope="module")
def own() -> Checkpoint:
    """The shipped model with a mode of its user's own, made of three volumes of fibres."""
    checkpoint = load_checkpoint()
    assert checkpoint.modes is not None
    modes, added = add_volumes(checkpoint.modes, checkpoint.model, fibres(range(3)), mode="our-fibres")
    assert {(volume.mode, volume.base) for volume in added} == {("our-fibres", "fibres")}
    return replace(checkpoint, modes=modes)


def test_a_new_name_makes_a_mode_of_its_own(own: Checkpoint, tmp_path: Path) -> None:
    assert own.modes is not None and own.modes.names == (*MODE_NAMES, "our-fibres")
    assert own.components == len(MODES) + 1
    assert own.modes.catalogue[-1].sentence == "Like 3 volumes of your own, built as fibres."
    assert own.modes.base(np.array([0, len(MODES)])).tolist() == [0, MODE_NAMES.index("fibres")]
    path = tmp_path / "own.pt"
    save_checkpoint(path, own.model, own.config, own.fitted, own.card, own.embedding, own.modes)
    again = load_checkpoint(path)
    assert again.modes is not None
    np.testing.assert_allclose(
        again.modes.own_modes[0].latent, own.modes.own_modes[0].latent, rtol=1e-3, atol=1e-3
    )
    assert again.modes.names == own.modes.names


def test_latent_vectors_stay_near_the_volumes(own: Checkpoint) -> None:
    assert own.modes is not None
    mode = own.modes.own_modes[0]
    places, order = np.arange(3).repeat(50), np.zeros(150, dtype=np.intp)
    drawn = mode.sample(places, Rows(order=order, row=places), generator=torch.Generator().manual_seed(0))
    off = (drawn.numpy() - mode.latent[places, 0]) / mode.std
    assert abs(off.mean()) < 0.1 and abs(off.std() - 1.0) < 0.1


def test_designs_of_a_mode_of_its_own_have_what_its_volumes_have(own: Checkpoint) -> None:
    """Raw designs come near the stiffness of one volume, and look more like it than closed foam."""
    assert own.modes is not None
    index = len(MODES)
    row = int(np.flatnonzero(own.modes.library.mode == index)[0])
    values = diagonal_properties(own.modes.library.stiffness[[row]])[0]
    target: dict[str, Target] = {f"C{i}{i}": float(values[i - 1]) for i in (1, 2, 3)}
    designs = design(own, target, 4, 16, component=index)
    assert designs.modes[designs.component[0]] == "our-fibres" and set(designs.component.tolist()) == {index}
    assert np.median(designs.largest_deviation) < 0.25
    others = design(own, target, 4, 16, component=MODE_NAMES.index("closed-foam"), only_plausible=False)
    (volume,) = fibres(range(1))
    own_distance, other_distance = (
        np.median(
            [
                two_point_distances(np.stack([volume, cell]), np.array([0, 0]))[0]
                for cell in made.microstructures
            ]
        )
        for made in (designs, others)
    )
    assert own_distance < other_distance


def test_more_volumes_join_a_mode_of_its_own(own: Checkpoint) -> None:
    assert own.modes is not None
    modes, _ = add_volumes(own.modes, own.model, fibres(range(3, 4)), mode="our-fibres")
    assert [len(item.latent) for item in modes.own_modes] == [4] and modes.names == own.modes.names
    assert (modes.library.mode == len(MODES)).sum() == 4


@pytest.mark.parametrize("name", ["spinodal", "tpms"])
def test_irregular_and_periodic_volumes_make_modes_of_their_own(own: Checkpoint, name: str) -> None:
    assert own.modes is not None
    volume = sample(name, 24, generator=np.random.default_rng(1 if name == "tpms" else 0)).volume
    modes, (added,) = add_volumes(own.modes, own.model, [volume], mode="ours")
    assert added.base == ("irregular" if name == "spinodal" else "periodic")
    checkpoint = replace(own, modes=modes)
    values = diagonal_properties(added.stiffness[None])[0]
    designs = design(checkpoint, {"C11": float(values[0])}, 2, 16, component=len(modes.names) - 1)
    assert np.isfinite(designs.largest_deviation).all()


def test_the_command_makes_a_model_that_designs_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run, out = tmp_path / "scans", tmp_path / "ours", tmp_path / "designs.h5"
    folder.mkdir()
    for place, volume in enumerate(fibres(range(2))):
        np.save(folder / f"scan{place}.npy", volume)
    flags = ["--continue-from", DEFAULT_CHECKPOINT, "--volumes", folder, "--mode", "our-fibres"]
    assert main([str(flag) for flag in ["train", *flags, "--out", run]]) == 0
    told = capsys.readouterr().err
    assert "added 2 our-fibres" in told and "our-fibres is a mode of your own, built as fibres" in told
    flags = ["--checkpoint", run / "checkpoint.pt", "--target", "volume_fraction=0.1:0.9"]
    flags += ["--mode", "our-fibres", "--count", 2, "--size", 16, "--out", out]
    assert main([str(flag) for flag in ["design", *flags]]) == 0
    assert read_designs(out).mode(0) == "our-fibres"
