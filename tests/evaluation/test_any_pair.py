"""Figures for phases of the user: the solver, the prediction and its bounds on a few small volumes."""

from pathlib import Path

import numpy as np
import pytest

from vaereg.errors import InputError
from vaereg.evaluation.any_pair import evaluate_pairs, read_volumes_of
from vaereg.io.datasets import Dataset, write_dataset
from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import load_pair_model


def test_every_volume_lies_between_its_guaranteed_bounds(rng: np.random.Generator) -> None:
    """The shipped regressor on volumes of noise, with a void for one."""
    volumes = [(rng.random((8, 8, 8)) < share).astype(np.uint8) for share in (0.4, 0.6, 0.8)]
    pairs = [TwoPhase.from_moduli(70.0, 3.5, 0.2, 0.35), TwoPhase(), TwoPhase.porous(70.0, 0.3)]
    seen: list[int] = []
    figures = evaluate_pairs(
        load_pair_model(), volumes, pairs, on_progress=lambda done, count: seen.append(done)
    )
    assert seen == [1, 2, 3] and figures["volumes"] == figures["carrying"] == 3
    assert figures["bounded"] == 1.0
    assert figures["mean"] < 0.05 and figures["young"] < 0.1 and figures["iterations"] < figures["solver"]
    with pytest.raises(InputError, match="at least one volume"):
        evaluate_pairs(load_pair_model(), [], [])


def test_volumes_of_a_split_are_read(tiny_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    write_dataset(path, tiny_dataset.plan, tiny_dataset.samples)
    volumes = read_volumes_of(path, "train", 2)
    np.testing.assert_array_equal(volumes, tiny_dataset.volumes(tiny_dataset.indices("train")[:2]))
