"""The volume of the Predict page and the designs of the Design page, as other pages ask for them."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.sessions.state import DESIGNS, EXAMPLE, SHOWN_VOLUME
from vaereg.generators.families import FAMILIES, generate
from vaereg.inverse.designs import Designs
from vaereg.io.importing import ReadAs
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import Prediction, predict

__all__ = [
    "ShownVolume",
    "predict_volume",
    "show_example",
    "show_volume",
    "shown_designs",
    "shown_volume",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVolume:
    """The volume that the Predict page shows."""

    name: str
    """File name of the user, or a description of the volume."""
    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (X, Y, Z)."""
    upload: str = ""
    """Identity of the uploaded file that holds the volume; empty where no file does."""
    read_as: ReadAs | None = None
    """How this file was taken."""

    @property
    def hash(self) -> str:
        """Hash of the volume."""
        return volume_hash(self.volume)


def shown_designs() -> Designs | None:
    """Return the designs that the Design page shows, or showed last; None before it was opened."""
    return st.session_state.get(DESIGNS)


def shown_volume() -> ShownVolume:
    """Return the volume of the Predict page; an example until there is another."""
    if SHOWN_VOLUME not in st.session_state:
        show_example()
    return st.session_state[SHOWN_VOLUME]


def show_volume(
    name: str, volume: NDArray[np.uint8], *, upload: str = "", read_as: ReadAs | None = None
) -> None:
    """Show another volume on the Predict page.

    Args:
        name: What it is called.
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        upload: Identity of its uploaded file.
        read_as: How this file was taken.
    """
    st.session_state[SHOWN_VOLUME] = ShownVolume(name=name, volume=volume, upload=upload, read_as=read_as)


def show_example(size: int = 32) -> None:
    """Show the next generated volume on the Predict page, with `size` voxels per edge."""
    number = st.session_state.get(EXAMPLE, -1) + 1
    st.session_state[EXAMPLE] = number
    family = list(FAMILIES)[(3 * number + 1) % len(FAMILIES)]
    sample = generate(family, size, generator=np.random.default_rng(number))
    show_volume(f"example {number + 1}, {family}", sample.volume)


def predict_volume(checkpoint: Checkpoint, volume: NDArray[np.uint8]) -> Prediction:
    """Return the prediction for a volume of shape (X, Y, Z); computed once for all sessions."""
    return _predict(checkpoint, checkpoint.hash, volume_hash(volume), volume)


@st.cache_resource(max_entries=512, show_spinner=False)
def _predict(
    _checkpoint: Checkpoint, checkpoint_hash: str, name: str, _volume: NDArray[np.uint8]
) -> Prediction:
    return predict(_checkpoint, _volume[None])
