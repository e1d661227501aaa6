"""Walks of the Explore page: a path between two places, and along a principal axis of the latent map."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.views.figures import COMPONENT_COLORS
from pages.parts.common.views.gallery import Caption, Line, Row, volume_gallery
from pages.parts.explore.figures import walk_figure
from pages.parts.explore.places import Place
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.walks import Walk, along_axis, axis_place, axis_variance, between, walk
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding

__all__ = ["show_walk"]

STEPS = 13
REACH = 3.0
"""Ends of a walk along an axis, from the centre of the map [its standard deviations]."""
SIZE = 32
"""Edge of the volumes [voxel]."""
SHOWN = PROPERTIES[:3]
"""Properties in the captions of the gallery."""
PATH, AXIS = "Between two places", "Along a principal axis"


def show_walk(checkpoint: Checkpoint, embedding: Embedding, places: Mapping[str, Place]) -> None:
    """Inputs of a walk, its volumes and its properties.

    Args:
        checkpoint: The model.
        embedding: Its map.
        places: Where a walk may begin and end, by key.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = st.segmented_control(
            "Walk",
            (PATH, AXIS),
            default=PATH,
            required=True,
            key=state.WALK_KIND,
            persist_state="session",
        )
        start = _place_input("From" if kind == PATH else "Through", places, state.WALK_ENDS[0], 0)
        if kind == PATH:
            end = _place_input("To", places, state.WALK_ENDS[1], 1)
            axis, at = 0, np.linspace(0.0, 100.0, STEPS)
            latent, title = between(start.latent, end.latent, STEPS), "way from start to end [%]"
            what, here = f"path from {start.name} to {end.name}", None
        else:
            axis = _axis_input(embedding)
            at = np.linspace(-REACH, REACH, STEPS)
            latent = along_axis(embedding, start.latent, axis, at)
            title = f"place on principal axis {axis + 1} [standard deviations]"
            what, here = f"axis {axis + 1} through {start.name}", axis_place(embedding, start.latent, axis)
        seed = st.number_input(
            "Realisation",
            0,
            2**31 - 1,
            0,
            key=state.WALK_SEED,
            persist_state="session",
            width=130,
            help="Seed of the noise that every step is decoded from: the same latent vectors, other volumes.",
        )
    path = _walk(checkpoint, checkpoint.hash, latent.tobytes(), latent, int(seed))
    names, step = _show_inputs(at, title)
    _show_volumes(path, at, step, what, unit=" %" if kind == PATH else " σ")
    left, right = st.columns([8, 4], gap="medium")
    with left:
        figure = walk_figure(at, path, names or SHOWN, step=step, axis=title, here=here)
        st.plotly_chart(
            figure, key="walk-figure", config={"displayModeBar": False}, alt="Stiffness along the walk"
        )
    with right:
        st.caption(
            "Every step is decoded from the same noise: the ends are realisations of their latent vectors, "
            "not the chosen volumes themselves. Lines and bands: predicted for each volume, with its 68 % "
            "interval; dotted: mean over all realisations."
        )
        widgets.shortlist_button(
            path.microstructures[step], lambda: _item(checkpoint, path, step, what, int(seed)), "this step "
        )


def _place_input(label: str, places: Mapping[str, Place], key: str, default: int) -> Place:
    keys = list(places)
    chosen = st.selectbox(
        label,
        keys,
        index=min(default, len(keys) - 1),
        format_func=lambda place: places[place].name if place in places else place,
        key=key,
        persist_state="session",
        width=240,
    )
    return places[chosen]


def _axis_input(embedding: Embedding) -> int:
    shares = axis_variance(embedding)
    return st.selectbox(
        "Axis",
        range(len(shares)),
        format_func=lambda axis: f"{axis + 1}, {100 * shares[axis]:.0f} % of the variance",
        key=state.WALK_AXIS,
        persist_state="session",
        width=210,
    )


def _show_inputs(at: NDArray[np.floating], title: str) -> tuple[list[str], int]:
    """Properties that are drawn, and the step whose volume is shown."""
    left, right = st.columns([6, 7], gap="medium")
    with left:
        step = st.slider(
            f"Step of {len(at)}: {title}",
            1,
            len(at),
            len(at) // 2 + 1,
            key=state.WALK_STEP,
            persist_state="session",
        )
    with right:
        names = st.pills(
            "Properties [GPa]",
            PROPERTIES,
            selection_mode="multi",
            default=SHOWN,
            key=state.WALK_PROPERTIES,
            persist_state="session",
        )
    return list(names), int(step) - 1


def _show_volumes(path: Walk, at: NDArray[np.floating], step: int, what: str, *, unit: str) -> None:
    chosen = (0, step, len(at) - 1)
    captions = [
        Caption(
            title=title,
            badge=f"{at[number]:.0f}{unit}" if "%" in unit else f"{at[number]:+.1f}{unit}",
            columns=SHOWN,
            lines=[
                _line("predicted", path.mean[number], "predicted"),
                _line("± std", path.std[number], "spread"),
            ],
        )
        for title, number in zip(("Start", f"Step {step + 1}", "End"), chosen, strict=True)
    ]
    row = Row(
        panels=[0, 1, 2], color=COMPONENT_COLORS[0], title="Walk", weight=step / (len(at) - 1), note=what
    )
    volume_gallery(state.WALK_GALLERY, path.microstructures[list(chosen)], [row], captions, selected=1)


def _line(label: str, values: Sequence[float], kind: str) -> Line:
    return Line(label=label, values=[f"{value:.1f}" for value in values[: len(SHOWN)]], kind=kind)


# Walks are shared between sessions and never changed.
@st.cache_resource(max_entries=32, show_spinner=False)
def _walk(
    _checkpoint: Checkpoint, checkpoint_hash: str, name: bytes, _latent: NDArray[np.float32], seed: int
) -> Walk:
    return walk(_checkpoint, _latent, SIZE, generator=torch.Generator().manual_seed(seed))


def _item(checkpoint: Checkpoint, path: Walk, step: int, what: str, seed: int) -> ShortlistItem:
    """The volume of a step, as it is put aside."""
    return ShortlistItem(
        name=f"step {step + 1} of a walk",
        volume=path.microstructures[step],
        origin=f"Explore, {what}",
        mean=path.mean[step],
        std=path.std[step],
        latent=path.latent[step].astype(np.float64),
        seed=seed,
        checkpoint=checkpoint.hash,
    )
