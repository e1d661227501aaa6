"""What can be had: known volumes in every orientation, and how far apart such volumes are."""

import numpy as np
import pytest

from vaereg.model.reachability import TrainingProperties

ONE = np.array([[60.0, 40.0, 20.0, 5.0, 8.0, 11.0, 0.5]])


def cloud(count: int) -> np.ndarray:
    """Volumes whose properties fill a box."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(20.0, 60.0, (count, 6)), rng.uniform(0.3, 0.7, count)])


@pytest.mark.parametrize(
    ("wanted", "distance"),
    [
        ({0: (60.0, 60.0)}, 0.0),
        ({0: (20.0, 20.0), 1: (40.0, 40.0), 2: (60.0, 60.0)}, 0.0),  # turned
        ({0: (20.0, 20.0), 3: (11.0, 11.0)}, 0.0),  # x is now z, and the y-z plane the x-y plane
        ({0: (20.0, 20.0), 3: (5.0, 5.0)}, np.log(2.0)),  # 40 and 8: stiffness and shear turn together
        ({0: (66.0, 70.0)}, np.log(1.1)),
        ({0: (50.0, 70.0), 6: (0.6, 0.7)}, np.log(1.2)),
        ({6: (0.5, 0.5)}, 0.0),
    ],
)
def test_distance_is_that_of_the_best_orientation(
    wanted: dict[int, tuple[float, float]], distance: float
) -> None:
    result = TrainingProperties(ONE).reachability(wanted)
    assert result.distance == pytest.approx(distance, abs=1e-9)
    assert sorted(result.nearest) == pytest.approx(sorted(ONE[0]))


def test_the_limit_follows_the_density_of_known_volumes() -> None:
    """Neighbours are farther apart in more dimensions, and with fewer volumes."""
    few, many = TrainingProperties(cloud(50)), TrainingProperties(cloud(3000))
    axial = {place: (40.0, 40.0) for place in range(3)}
    every = {place: (40.0, 40.0) for place in range(6)}
    assert many.reachability(axial).limit < few.reachability(axial).limit
    assert many.reachability(axial).limit < many.reachability(every).limit
    assert many.reachability({0: (40.0, 40.0)}).limit == 0.05


def test_a_volume_is_no_neighbour_of_itself() -> None:
    """One volume alone, turned, says nothing of how far apart volumes are."""
    assert TrainingProperties(ONE).reachability({0: (60.0, 60.0), 1: (40.0, 40.0)}).limit == 0.05


def test_ranges_are_those_of_all_orientations() -> None:
    np.testing.assert_allclose(
        TrainingProperties(ONE).ranges, [[20.0, 60.0]] * 3 + [[5.0, 11.0]] * 3 + [[0.5, 0.5]]
    )
