"""Places of the latent space that the Explore page knows: samples, designs, volumes put aside."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.sessions import put_aside
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.sessions.shown import shown_designs
from pages.parts.common.views.figures import class_rank, class_title
from vaereg.inverse.designs import Designs
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import encode_batch

__all__ = [
    "Place",
    "component_names",
    "design_places",
    "item_places",
    "known_places",
    "sample_key",
    "sample_number",
    "sample_place",
    "typical_samples",
]

_SAMPLE = "sample "
_AT_ONCE = 12 * 32**3
"""Largest number of voxels that are encoded at once, for the memory that it takes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Place:
    """A volume and its latent vector."""

    key: str
    """Identity that is unique in the session."""
    name: str
    """Name of the volume in the page."""
    note: str
    """Further facts in words."""
    latent: NDArray[np.floating]
    """Shape (D,)."""
    component: int | None
    """Mixture component or mode, from 0."""
    kind: str
    """Name of the component or mode; empty where there is none."""
    volume_fraction: float
    """Volume fraction of the stiff phase [-]."""
    properties: NDArray[np.floating]
    """Shape (T,) [GPa]; not a number where nothing is known."""
    source: str
    """Source of the properties: solver, from file, or predicted."""
    make_volume: Callable[[], NDArray[np.uint8]]
    """Its voxels, shape (X, Y, Z)."""


def sample_key(index: int) -> str:
    """Key of a volume of the latent map."""
    return f"{_SAMPLE}{index}"


def sample_number(key: str) -> int | None:
    """Volume of the latent map that a key stands for; None if it stands for something else."""
    number = key.removeprefix(_SAMPLE)
    return int(number) if key != number and number.isdecimal() else None


def sample_place(embedding: Embedding, index: int, name: str | None = None) -> Place:
    """A volume of the latent map.

    Args:
        embedding: The map.
        index: Number of the volume.
        name: What to call it, if not by number and class.
    """
    return Place(
        key=sample_key(index),
        name=name or f"sample {index}, {class_title(str(embedding.family[index]))}",
        note=f"{embedding.split[index]} split, seed {embedding.seed[index]}",
        latent=embedding.latent[index],
        component=int(embedding.component[index]),
        kind=embedding.component_name(int(embedding.component[index])),
        volume_fraction=float(embedding.volume_fraction[index]),
        properties=embedding.properties[index],
        source="solver",
        make_volume=lambda: _volume(
            str(embedding.family[index]),
            int(embedding.seed[index]),
            embedding.size,
            bool(embedding.modes),
            embedding,
            index,
        ),
    )


@st.cache_resource(max_entries=256, show_spinner=False)
def _volume(
    name: str, seed: int, size: int, has_modes: bool, _embedding: Embedding, _index: int
) -> NDArray[np.uint8]:
    """A volume of the map, made once for all sessions; equal for an equal class, seed and size."""
    volume = _embedding.volume(_index)
    volume.flags.writeable = False
    return volume


def typical_samples(embedding: Embedding) -> dict[str, int]:
    """Return the volume of each family or class that is nearest to the mean of its latent vectors."""
    samples = {}
    for family in sorted(set(embedding.family.tolist()), key=class_rank):
        rows = np.flatnonzero(embedding.family == family)
        latent = embedding.latent[rows]
        samples[family] = int(rows[np.linalg.norm(latent - latent.mean(0), axis=1).argmin()])
    return samples


def component_names(checkpoint: Checkpoint) -> list[str]:
    """Names of the components that designs are made by: modes, or components by their number from 1."""
    if checkpoint.modes is not None:
        return list(checkpoint.modes.names)
    return [f"component {index + 1}" for index in range(checkpoint.components)]


def known_places(checkpoint: Checkpoint) -> dict[str, Place]:
    """Designs of the current target and volumes that were put aside, by key."""
    designs, names = shown_designs(), component_names(checkpoint)

    def encode(volumes: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _latent(checkpoint, checkpoint.hash, volume_hash(volumes), volumes)

    own = []
    if designs is not None:
        latent = None if checkpoint.modes is None else encode(designs.microstructures)
        own = design_places(designs, names, latent)
    items = item_places(put_aside.shortlist(), checkpoint, names, lambda volume: encode(volume[None])[0])
    return {place.key: place for place in own + items}


def design_places(
    designs: Designs, names: Sequence[str], latent: NDArray[np.floating] | None = None
) -> list[Place]:
    """The designs of the current target.

    Args:
        designs: The designs.
        names: Names of the components or modes by index.
        latent: Where they are in the latent space of the map, shape (N, D), if they were decoded from another
            one.
    """
    own = designs.latent if latent is None else latent
    return [
        Place(
            key=f"design {number} {volume_hash(designs.microstructures[number])[:16]}",
            name=f"design #{number + 1}",
            note=f"{designs.size}³ voxels",
            latent=own[number],
            component=int(component),
            kind=names[int(component)],
            volume_fraction=float(designs.microstructures[number].mean()),
            properties=designs.mean[number],
            source="predicted",
            make_volume=lambda number=number: designs.microstructures[number],
        )
        for number, component in enumerate(designs.component)
    ]


def item_places(
    items: Iterable[ShortlistItem],
    checkpoint: Checkpoint,
    names: Sequence[str],
    encode: Callable[[NDArray[np.uint8]], NDArray],
) -> list[Place]:
    """The volumes that were put aside.

    Args:
        items: The shortlist.
        checkpoint: Model whose latent space is meant.
        names: Names of its components or modes by index.
        encode: Gives the latent vector (D,) of a volume that was not decoded from this space.
    """
    places = []
    for item in items:
        same = item.latent is not None and item.checkpoint == checkpoint.hash
        latent = item.latent if same else None
        of_mode = checkpoint.modes is not None and item.component is not None
        if latent is None or of_mode or len(latent) != checkpoint.config.model.latent:
            latent = encode(item.volume)
        properties = np.diag(item.stiffness) if item.stiffness is not None else item.mean
        source = "solver" if item.verified else "from file" if item.from_file else "predicted"
        places.append(
            Place(
                key=f"shortlist {item.hash}",
                name=item.name,
                note=item.origin,
                latent=latent,
                component=item.component if same else None,
                kind=names[item.component] if same and item.component is not None else "",
                volume_fraction=float(item.volume.mean()),
                properties=np.full(6, np.nan) if properties is None else properties,
                source=source,
                make_volume=lambda item=item: item.volume,
            )
        )
    return places


@st.cache_resource(max_entries=64, show_spinner=False)
def _latent(
    _checkpoint: Checkpoint, checkpoint_hash: str, name: str, _volumes: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Latent vectors of N volumes that this model did not decode, shape (N, D)."""
    group = max(1, _AT_ONCE // _volumes[0].size)
    parts = [_volumes[begin : begin + group] for begin in range(0, len(_volumes), group)]
    return np.concatenate([encode_batch(_checkpoint, part)[2] for part in parts])
