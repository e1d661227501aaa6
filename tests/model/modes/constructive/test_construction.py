"""Constructions: how many points a volume gets."""

import numpy as np
import pytest
import torch

from vaereg.model.modes.constructive.construction import cells_field, coordinates, point_count, room

EDGE = 16
LENGTHS = torch.full((3,), float(EDGE))


@pytest.mark.parametrize(
    ("construction", "spacing", "places", "count"),
    [
        ("cells", (8.0, 8.0, 8.0), 8.0, 8),
        ("cells", (8.0, 8.0, 10.0), 6.4, 6),
        ("cells", (16.0, 16.0, 16.0), 1.0, 3),  # cells need neighbours
        ("bodies", (20.0, 20.0, 20.0), 0.512, 1),
        ("layers", (6.0, 150.0, 150.0), 16.0 / 6.0, 3),  # no structure along two axes
    ],
)
def test_points_are_rounded_to_whole_numbers(
    construction: str, spacing: tuple[float, float, float], places: float, count: int
) -> None:
    told = room(torch.tensor(spacing), LENGTHS, construction)
    assert float(told) == pytest.approx(places, rel=1e-6)
    assert int(point_count(told, construction)) == count


@pytest.mark.parametrize("spacing", [4.0, 5.3, 6.5, 7.1])
def test_layers_are_as_many_as_are_counted(spacing: float) -> None:
    """The distance to the nearest layer has one minimum along x for each layer."""
    spacings = torch.tensor([spacing, 150.0, 150.0])
    places = coordinates((EDGE, EDGE, EDGE), torch.tensor(0.0), torch.zeros(3, EDGE, EDGE, EDGE))
    field = cells_field(
        spacings,
        torch.tensor(0.0),
        places,
        order=1,
        apart=0.93,
        layered=True,
        generator=np.random.default_rng(0),
    )
    line = field.mean((1, 2))
    minima = (line < line.roll(1)) & (line <= line.roll(-1))
    assert int(minima.sum()) == int(point_count(room(spacings, LENGTHS, "layers"), "layers"))
