"""What recipes tell of the geometry, and how it turns with the axes."""

import json

import numpy as np
import pytest
import torch

from vaereg.generators.fields import filtered_noise
from vaereg.generators.morphologies import component_of, sample
from vaereg.model.modes.catalogue import CLASS_MODES
from vaereg.model.modes.constructive.decoder import BUILT, WARP_LENGTH
from vaereg.model.modes.constructive.geometry import LENGTHS
from vaereg.training.modes.data import direction_weights, draw_mode_data, geometry_of_recipe

BUILT_CLASSES = [name for name, mode in CLASS_MODES.items() if mode in BUILT]


@pytest.mark.parametrize("name", BUILT_CLASSES)
def test_recipes_of_built_classes_tell_the_spacing(name: str) -> None:
    made = sample(name, 16, generator=np.random.default_rng(1))
    recipe = json.loads(json.dumps(made.recipe))
    numbers, told = geometry_of_recipe(name, component_of(name, recipe), recipe, made.volume)
    assert numbers.shape == told.shape == (len(LENGTHS),)
    assert told[:3].all() and np.isfinite(np.log(numbers)).all()
    if "spacing" in recipe:
        assert numbers[:3].tolist() == pytest.approx(recipe["spacing"])


@pytest.mark.parametrize("squares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05), (0.45, 0.45, 0.1)])
def test_directions_of_the_weights_have_the_mean_squares(squares: tuple[float, float, float]) -> None:
    weights = direction_weights(np.array(squares))
    vectors = weights * np.random.default_rng(5).standard_normal((20_000, 3))
    mean = np.square(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    assert mean == pytest.approx(squares, abs=0.015)


def test_layers_are_counted_in_the_volume() -> None:
    """Lamellae of spinodal decomposition coarsen: fewer are left than wavelengths fit into the cell."""
    volume = np.zeros((16, 16, 16), np.uint8)
    volume[:, 1:5] = volume[:, 8:12] = 1
    volume[3:5, 5:8] = 1  # a bridge between the layers
    recipe = {"wavelength": 4.5, "stretch": (8.0, 1.0, 8.0)}
    numbers, told = geometry_of_recipe("spinodal", "layers", recipe, volume)
    assert numbers[:3].tolist() == [150.0, 8.0, 150.0] and told[:3].all()


def test_drawn_volumes_have_a_geometry_and_no_label() -> None:
    data = draw_mode_data(2, 16, seed=3)
    assert set(data.mode.tolist()) <= set(BUILT) and len(data.mode) >= 2 * len(BUILT_CLASSES)
    assert (data.rows == -1).all() and data.properties.isnan().all()
    assert data.geometry.isfinite().all() and data.statistics.isfinite().all()
    again = draw_mode_data(2, 16, seed=3)
    assert torch.equal(again.statistics, data.statistics)
    assert not torch.equal(draw_mode_data(2, 16, seed=4).statistics[0], data.statistics[0])


def test_waves_of_layers_become_a_warp_of_equal_slopes() -> None:
    """Layers normal to x: slopes along y and z of the recipe's waves and of waves of the decoder's."""
    stds, size, waviness = (9.0, 4.0, 6.5), 96, 1.3
    recipe = {
        "normal": (1.0, 0.0, 0.0), "period": 8.0, "thickness": 4.0, "thickness_spread": 0.1,
        "waviness": waviness, "wave_std": stds,
    }  # fmt: skip
    warp = geometry_of_recipe("laminate", "layers", recipe, np.zeros((8, 8, 8), np.uint8))[0][
        LENGTHS.index("warp")
    ]
    squares = []
    for height, filters in ((waviness, stds), (warp, (WARP_LENGTH,) * 3)):
        noise = filtered_noise(size, filters, generator=np.random.default_rng(2))
        waves = height * noise / noise.std()
        squares.append(sum(np.square(waves - np.roll(waves, 1, axis)).mean() for axis in (1, 2)))
    assert squares[0] == pytest.approx(squares[1], rel=0.1)


def test_the_largest_weight_is_one() -> None:
    assert direction_weights(np.array([0.9, 0.1, 0.0])).max() == 1.0
    assert torch.tensor(direction_weights(np.array([1.0, 0.0, 0.0]))).min() > 0.0
