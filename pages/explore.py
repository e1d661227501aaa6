"""Explore: the latent space as a map, what is near what, and what lies between."""

from collections.abc import Mapping

import streamlit as st

from pages.parts.common import start
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.sessions import state
from pages.parts.common.text import plain
from pages.parts.common.views.figures import class_title
from pages.parts.explore import latent_map, map_state, walks
from pages.parts.explore.places import Place, known_places, sample_place, typical_samples
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding


def show_space(
    checkpoint: Checkpoint, embedding: Embedding, view: latent_map.View, places: Mapping[str, Place]
) -> None:
    """The map, and what is chosen in it; run again by itself when that changes."""
    left, right = st.columns([7, 5], gap="medium")
    with left:
        latent_map.show_map(checkpoint, embedding, view, places)
    with right:
        latent_map.show_chosen(checkpoint, embedding, places)
    latent_map.show_gallery(embedding, places)


def show_walk(checkpoint: Checkpoint, embedding: Embedding, places: Mapping[str, Place]) -> None:
    """The walk, made once its box is open."""
    box = st.expander("Walk through the latent space", key=state.WALK_BOX, on_change="rerun")
    if not box.open:
        return
    kept = {key: latent_map.find_place(embedding, places, key) for key in map_state.kept_keys()}
    typical = [
        sample_place(embedding, number, f"typical {class_title(family)}")
        for family, number in typical_samples(embedding).items()
    ]
    ends = kept | dict(places) | {place.key: place for place in typical}
    with box:
        st.caption("Latent vectors on a straight line, each of them decoded: what changes on the way.")
        walks.show_walk(checkpoint, embedding, ends)


checkpoint = start.start_page("pages/explore.py")
embedding = checkpoint.embedding
st.title("Explore")
pair, own = current_request(checkpoint).pair, checkpoint.model.materials
of_data = f": the phases of the data set and of its figures. Designs have those of {pair_line(pair)}."
st.caption(plain(pair_line(own) + ("" if pair == own else of_data)))
if embedding is None:
    st.info("This model was saved without a map of its latent space; `python -m vaereg train` makes one.")
    st.stop()
with st.sidebar:
    st.subheader("Latent map")
    view = latent_map.view_inputs(embedding)
    st.caption(f"{len(embedding)} volumes of the data set, {embedding.size}³ voxels each.")

places = known_places(checkpoint)
map_state.forget(places)
if start.has_arrived():
    map_state.redraw()
st.fragment(show_space)(checkpoint, embedding, view, places)

st.fragment(show_walk)(checkpoint, embedding, places)
