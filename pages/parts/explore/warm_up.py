"""What the Explore page shows first, made before it is opened; nothing is imported until then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaereg.model.checkpoint import Checkpoint

__all__ = ["prepare_map"]


def prepare_map(checkpoint: Checkpoint) -> None:
    """Import what the page needs, and make the typical volumes that all sessions share."""
    from pages.parts.explore import latent_map, walks  # noqa: F401
    from pages.parts.explore.places import sample_place, typical_samples

    if checkpoint.embedding is not None:
        for number in typical_samples(checkpoint.embedding).values():
            sample_place(checkpoint.embedding, number).make_volume()
