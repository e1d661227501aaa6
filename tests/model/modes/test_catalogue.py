"""The modes are the components that the generators name."""

from vaereg.generators.morphologies import COMPONENTS, MORPHOLOGIES
from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES


def test_every_component_of_the_generators_is_a_mode() -> None:
    assert set(MODE_NAMES) == set(COMPONENTS)
    assert len(set(MODE_NAMES)) == len(MODE_NAMES) == 11


def test_every_class_belongs_to_the_mode_of_its_component() -> None:
    assert {name: MODE_NAMES[index] for name, index in CLASS_MODES.items()} == {
        name: morphology.component for name, morphology in MORPHOLOGIES.items()
    }
