"""Expected statistics of the constructive decoder: learnt from decodings, read from the geometry."""

import numpy as np
import pytest
import torch
from modes_fixture import unsolved_set

from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES
from vaereg.model.modes.constructive.decoder import BUILT, ConstructiveDecoder
from vaereg.model.modes.constructive.geometry import LENGTHS, Geometry
from vaereg.model.modes.encoder import geometric_statistics
from vaereg.model.networks import cut
from vaereg.training.modes.data import ModeData, read_mode_data
from vaereg.training.modes.surrogate import EXPECTED, StatisticsSurrogate, fit_surrogate

EDGE = 16


@pytest.fixture(scope="module")
def data() -> ModeData:
    dataset = unsolved_set([name for name, mode in CLASS_MODES.items() if mode in BUILT])
    return read_mode_data(dataset, np.arange(len(dataset)))


@pytest.fixture(scope="module")
def surrogate(data: ModeData) -> StatisticsSurrogate:
    return fit_surrogate(ConstructiveDecoder(10), data, edge=EDGE, builds=450, steps=300, seed=0)


def geometry_of(data: ModeData, rows: list[int]) -> Geometry:
    return ConstructiveDecoder(10).geometry.within(data.geometry[rows])


def test_it_expects_what_is_built(data: ModeData, surrogate: StatisticsSurrogate) -> None:
    """Surfaces of unseen realisations: nearer to the expectation than those of the classes differ."""
    rows = [int(torch.nonzero(data.mode == index)[0]) for index in BUILT]
    geometry, fraction, mode = geometry_of(data, rows), data.fraction[rows], data.mode[rows]
    generators = [np.random.default_rng(100 + row) for row in rows]
    decoder = ConstructiveDecoder(10)
    fields = decoder.build(geometry, mode, fraction, (EDGE, EDGE, EDGE), generators=generators)
    built = geometric_statistics(cut(fields, fraction))[:, : sum(EXPECTED)]
    expected = surrogate(geometry, fraction, mode)
    faces, told = built[:, -4:], expected[:, -4:]
    assert (told - faces).square().mean() < 0.3 * (faces - faces.mean(0)).square().mean()


def test_gradients_reach_the_numbers_that_a_mode_reads_and_no_others(
    data: ModeData, surrogate: StatisticsSurrogate
) -> None:
    for name, read in (("grains", {"spacing_x", "spread", "warp"}), ("fibres", {"spacing_x", "extent"})):
        row = int(torch.nonzero(data.mode == MODE_NAMES.index(name))[0])
        numbers = geometry_of(data, [row]).numbers.requires_grad_()
        surrogate(Geometry(numbers=numbers), data.fraction[[row]], data.mode[[row]]).sum().backward()
        assert numbers.grad is not None
        moved = {length for length, slope in zip(LENGTHS, numbers.grad[0], strict=True) if slope != 0.0}
        assert read <= moved
        assert ("extent" in moved) == (name == "fibres") and ("spread" in moved) == (name == "grains")


def test_layers_are_expected_by_their_number(data: ModeData, surrogate: StatisticsSurrogate) -> None:
    """Periods of 7 and 9 voxels leave two layers in 16, one of 4.8 voxels three."""
    row = int(torch.nonzero(data.mode == MODE_NAMES.index("layers"))[0])
    numbers = geometry_of(data, [row, row, row]).numbers
    numbers[:, 0] = torch.tensor([7.0, 9.0, 4.8])
    numbers[:, 1:3] = 150.0
    numbers.requires_grad_()
    expected = surrogate(Geometry(numbers=numbers), data.fraction[[row] * 3], data.mode[[row] * 3])
    assert torch.equal(expected[0], expected[1]) and not torch.equal(expected[0], expected[2])
    expected.sum().backward()
    assert numbers.grad is not None and (numbers.grad[:, :3] == 0.0).all()
    assert (numbers.grad[:, LENGTHS.index("warp")] != 0.0).all()


def test_the_same_seed_gives_the_same_surrogate(data: ModeData) -> None:
    fits = [
        fit_surrogate(ConstructiveDecoder(10), data, edge=8, builds=18, steps=3, seed=seed)
        for seed in (1, 1, 2)
    ]
    weights = [torch.cat([value.flatten() for value in fit.state_dict().values()]) for fit in fits]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
