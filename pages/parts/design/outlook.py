"""Prospects of each mode for a target: how likely it reaches the target, or the nearest that it has.

The module is free of any user interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pages.parts.common.requests.modes import mode_picture, mode_title
from vaereg.inverse.reach import mode_reach
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Target, Targets

__all__ = ["Outlook", "mode_outlook", "probability_text"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """Prospects of one mode."""

    name: str
    """Name of the mode."""
    sentence: str
    """Look of the mode in a sentence."""
    picture: str
    """Small picture of the mode, as the address of an image in itself."""
    probability: float
    """Probability of the mode at the target [-]: those of all modes sum to one."""
    reached: bool
    """Whether the mode reaches the target."""
    nearest: dict[str, float]
    """The nearest that it has, by name, each in its unit; empty where it has no such cells."""

    @property
    def title(self) -> str:
        """Name of the mode as it is shown."""
        return mode_title(self.name)


def mode_outlook(
    checkpoint: Checkpoint,
    targets: Targets | Mapping[str, Target],
    pair: TwoPhase | None = None,
    *,
    symmetry: str = "none",
) -> list[Outlook]:
    """Prospects of all modes in the order of their components; none of a model without modes.

    Args:
        checkpoint: The model.
        targets: What is wanted.
        pair: The two phases; those of the model if left out.
        symmetry: Symmetry that designs are to have.
    """
    if checkpoint.modes is None:
        return []
    wanted, phases = Targets.of(targets), pair or checkpoint.model.materials
    reach, names = mode_reach(checkpoint.modes, wanted, phases, symmetry=symmetry), wanted.names
    return [
        Outlook(
            name=mode.name,
            sentence=mode.sentence,
            picture=mode_picture(checkpoint.modes, index),
            probability=float(reach.weights[index]),
            reached=bool(reach.reached[index]),
            nearest=reach.nearest(index, names),
        )
        for index, mode in enumerate(checkpoint.modes.catalogue)
    ]


def probability_text(probability: float) -> str:
    """Probability in words: "34 % likely", "under 1 % likely"."""
    return "under 1 % likely" if probability < 0.005 else f"{100 * probability:.0f} % likely"
