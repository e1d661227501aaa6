"""The latent map of the Explore page, and what is chosen in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.sessions import put_aside, state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.sessions.shown import show_volume
from pages.parts.common.text import plain
from pages.parts.common.views.figures import COMPONENT_COLORS, class_title
from pages.parts.common.views.gallery import Caption, Line, Row, selected_volume, volume_gallery
from pages.parts.explore import map_state
from pages.parts.explore.figures import SHORTLIST_COLOR, Overlay, Shade, histogram_figure, map_figure
from pages.parts.explore.places import (
    Place,
    sample_key,
    sample_number,
    sample_place,
    typical_samples,
)
from vaereg.elasticity import PROPERTIES
from vaereg.inverse.walks import axis_variance
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import predict

__all__ = ["View", "show_chosen", "show_gallery", "show_map", "view_inputs"]

SHOWN_MOST = 12
"""Volumes of a selection that the gallery shows at once."""
NEIGHBOURS = 8
SHOWN = PROPERTIES[:3]
"""Properties in the captions of the gallery."""
FRACTION = "volume fraction [-]"
PLANES = ("PCA", "UMAP")
_SHADE_HELP = {
    "mode": "Class: what the generator made. Mode: the component of the inverse model that makes its like.",
    "component": "Component: the one that explains a volume best, given its properties.",
}
_PLANE_HELP = (
    "PCA: the two directions in which the latent vectors differ most, true to scale. "
    "UMAP: volumes that are near each other stay so; distances between groups mean little."
)
_LINE_KINDS = {"solver": "solver", "predicted": "predicted"}
"""Style of the figures under a volume by their source."""
_WALK_HELP = "As an end of the path below."


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How the map is drawn."""

    plane: str
    """One of `PLANES`."""
    shade: str
    """Name of the values that colour the points."""
    designs: bool
    """Whether the designs of the current target are on it."""
    shortlist: bool
    """Whether the volumes that were put aside are on it."""


def view_inputs(embedding: Embedding) -> View:
    """Plane, colour and overlays of the map."""
    plane = st.segmented_control(
        "Plane",
        PLANES,
        default=PLANES[0],
        required=True,
        help=_PLANE_HELP,
        key=state.MAP_PLANE,
        persist_state="session",
    )
    family, component = _class_words(embedding)
    shades = [f"{name} [GPa]" for name in PROPERTIES] + [FRACTION, family, component]
    shade = st.selectbox(
        "Colour by",
        shades,
        index=shades.index(family),
        key=state.MAP_SHADE,
        persist_state="session",
        help=_SHADE_HELP[component],
    )
    designs = st.toggle(
        "Current designs",
        True,
        key=state.MAP_DESIGNS,
        persist_state="session",
        help="Those of the Design page, diamonds in the colour of their component.",
    )
    shortlist = st.toggle(
        "Shortlist",
        True,
        key=state.MAP_SHORTLIST,
        persist_state="session",
        help="Volumes put aside, stars.",
    )
    return View(plane=plane or PLANES[0], shade=shade, designs=designs, shortlist=shortlist)


def show_map(checkpoint: Checkpoint, embedding: Embedding, view: View, places: Mapping[str, Place]) -> None:
    """The map; what the user chooses in it is noted for the rest of the page.

    Args:
        checkpoint: The model.
        embedding: Its map.
        view: What is asked for.
        places: Designs and shortlist by key.
    """
    overlays = _overlays(embedding, view, places)
    drawn = (view, *(key for overlay in overlays for key in overlay.keys))
    figure = map_figure(
        embedding.pca if view.plane == "PCA" else embedding.umap,
        _labels(embedding, checkpoint.hash),
        _shade(embedding, view.shade),
        axes=_axes(embedding, view.plane),
        overlays=overlays,
        selected=_sample_numbers(map_state.drawn_choice(drawn)),
    )
    st.plotly_chart(
        figure,
        key=state.LATENT_MAP,
        on_select=map_state.note_selection,
        selection_mode=("points", "box", "lasso"),
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
            "scrollZoom": True,
        },
        alt=f"Latent map of {len(embedding)} volumes, {view.plane}, coloured by {view.shade}",
    )


def show_chosen(checkpoint: Checkpoint, embedding: Embedding, places: Mapping[str, Place]) -> None:
    """Figures of what is chosen: one place, or histograms of many."""
    keys = map_state.choice()
    if not keys:
        st.info(
            "**Click** a point to see its volume and what lies near it, or take the **lasso** and "
            "draw around some."
        )
        st.caption(
            "Each point is a volume of the data set, placed by what the encoder sees in it. Lasso and box "
            "are in the toolbar at the map; its four arrows lead back to clicking. The wheel zooms, and the "
            "closer the map is, the more of its points are drawn."
        )
    elif len(keys) == 1:
        _show_place(checkpoint, embedding, find_place(embedding, places, keys[0]))
    else:
        rows = np.array(_sample_numbers(keys), dtype=np.intp)
        st.subheader(f"{len(rows)} volumes")
        families, counts = np.unique(embedding.family[rows], return_counts=True)
        most = np.argsort(-counts, kind="stable")[:4]
        text = ", ".join(f"{class_title(str(families[i]))} {counts[i]}" for i in most)
        more = len(families) - len(most)
        plural = {"family": "families", "class": "classes"}[_class_words(embedding)[0]]
        st.caption(text + (f" and {more} other {plural}" if more > 0 else ""))
        columns = _numbers(embedding)
        figure = histogram_figure(columns, {name: values[rows] for name, values in columns.items()})
        st.plotly_chart(
            figure,
            key="map-histograms",
            config={"displayModeBar": False},
            alt="Histograms of the chosen volumes",
        )


def show_gallery(embedding: Embedding, places: Mapping[str, Place]) -> None:
    """Volumes of what is chosen: a place and its neighbours, a part of many, or typical ones of all."""
    keys, note = map_state.choice(), ""
    if len(keys) == 1:
        place = find_place(embedding, places, keys[0])
        nearest = embedding.nearest(place.latent[None], NEIGHBOURS + 1)[0]
        near = [sample_place(embedding, int(i)) for i in nearest if sample_key(int(i)) != place.key]
        near = near[:NEIGHBOURS]
        if place.make_volume().shape != (embedding.size,) * 3:
            _gallery(state.MAP_PLACE, [place], [Row(panels=[0], color=_color(place))], embedding, place)
            _gallery(state.MAP_GALLERY, near, [_row(near, 0, "Nearest in the map's space")], embedding, None)
            return
        rows = [_row([place], 0, "Chosen"), _row(near, 1, "Nearest", "by latent vector, all axes")]
        _gallery(state.MAP_GALLERY, [place, *near], rows, embedding, place)
        return
    if keys:
        begin = 0
        if len(keys) > SHOWN_MOST:
            parts = -(-len(keys) // SHOWN_MOST)
            begin = SHOWN_MOST * (st.pagination(parts, key=state.MAP_PART, persist_state="session") - 1)
            note = f"{begin + 1} to {min(begin + SHOWN_MOST, len(keys))} of {len(keys)}"
        shown = [sample_place(embedding, i) for i in _sample_numbers(keys)[begin : begin + SHOWN_MOST]]
        rows = [_row(shown, 0, "Selection", note)]
    else:
        shown = [sample_place(embedding, i) for i in typical_samples(embedding).values()]
        note = f"nearest to the middle of their {_class_words(embedding)[0]}"
        rows = [_row(shown, 0, "Typical volumes", note)]
    _gallery(state.MAP_GALLERY, shown, rows, embedding, None)


def find_place(embedding: Embedding, places: Mapping[str, Place], key: str) -> Place:
    """The place that a key stands for."""
    number = sample_number(key)
    return places[key] if number is None else sample_place(embedding, number)


def _show_place(checkpoint: Checkpoint, embedding: Embedding, place: Place) -> None:
    st.subheader(plain(place.name[:1].upper() + place.name[1:]))
    facts = [place.note, f"volume fraction {place.volume_fraction:.3f}"]
    facts.append(place.kind)
    st.caption(plain(" · ".join(fact for fact in facts if fact)))
    ordered = np.sort(embedding.properties, axis=0)
    rank = [np.searchsorted(ordered[:, i], place.properties[i]) for i in range(len(PROPERTIES))]
    table = {
        f"{place.source.capitalize()} [GPa]": place.properties,
        "Percentile [%]": 100.0 * np.array(rank) / len(embedding),
    }
    widgets.show_table(widgets.property_table(table), key="map-properties", missing="–")
    with st.container(horizontal=True):
        clicked = [
            st.button(label, on_click=map_state.keep_end, args=(place.key, end), help=_WALK_HELP)
            for end, label in enumerate(("Walk from here", "Walk to here"))
        ]
        if not place.key.startswith("shortlist "):
            clicked.append(st.button("Shortlist", on_click=_put_aside, args=(checkpoint, place)))
        if any(clicked):
            st.rerun()  # the whole page: the walk and the overlays change
        if st.button("Open in Predict"):
            show_volume(place.name, place.make_volume())
            st.switch_page("pages/predict.py")
    if map_state.former_choice():
        st.button(
            f"Back to the selection of {len(map_state.former_choice())} volumes",
            on_click=map_state.restore,
            type="tertiary",
            icon="↩",
        )


def _put_aside(checkpoint: Checkpoint, place: Place) -> None:
    volume = place.make_volume()
    prediction = predict(checkpoint, volume)
    put_aside.add_to_shortlist(
        ShortlistItem(
            name=place.name,
            volume=volume,
            origin=f"Explore, {place.note}",
            mean=prediction.mean[0],
            std=prediction.std[0],
            latent=np.asarray(place.latent, dtype=np.float64),
            component=place.component,
            checkpoint=checkpoint.hash,
        )
    )


def _gallery(
    key: str, places: Sequence[Place], rows: Sequence[Row], embedding: Embedding, chosen: Place | None
) -> None:
    volumes = np.stack([place.make_volume() for place in places])

    def choose() -> None:
        index = selected_volume(key, volumes)
        if index is not None:
            map_state.choose(places[index].key)

    volume_gallery(
        key,
        volumes,
        rows,
        [_caption(embedding, place) for place in places],
        selected=None if chosen is None else 0,
        on_select=choose,
    )


def _caption(embedding: Embedding, place: Place) -> Caption:
    number = sample_number(place.key)
    title = place.name if number is None else _class_and_mode(embedding, number)
    values = [f"{value:.1f}" for value in place.properties[: len(SHOWN)]]
    return Caption(
        title=title,
        badge="" if number is None else f"no. {number}",
        columns=SHOWN,
        lines=[Line(label=place.source, values=values, kind=_LINE_KINDS.get(place.source, "spread"))],
    )


def _class_words(embedding: Embedding) -> tuple[str, str]:
    """Words for the kinds of volumes of a map, and for the components of the model."""
    return ("class", "mode") if embedding.modes else ("family", "component")


def _class_and_mode(embedding: Embedding, index: int) -> str:
    """Class of a volume of the map, and its mode where that has another name."""
    name = str(embedding.family[index])
    mode = embedding.component_name(int(embedding.component[index])) if embedding.modes else name
    return class_title(name) if name == mode else f"{class_title(name)}, {class_title(mode)}"


def _row(places: Sequence[Place], begin: int, title: str, note: str = "") -> Row:
    panels = list(range(begin, begin + len(places)))
    return Row(panels=panels, color=COMPONENT_COLORS[0], title=title, note=note)


def _color(place: Place) -> str:
    return COMPONENT_COLORS[(place.component or 0) % len(COMPONENT_COLORS)]


def _sample_numbers(keys: Sequence[str]) -> list[int]:
    return [number for number in map(sample_number, keys) if number is not None]


def _numbers(embedding: Embedding) -> dict[str, NDArray[np.floating]]:
    """Everything of the map that is a number, by name with unit."""
    columns = {f"{name} [GPa]": embedding.properties[:, i] for i, name in enumerate(PROPERTIES)}
    return columns | {FRACTION: embedding.volume_fraction}


def _shade(embedding: Embedding, name: str) -> Shade:
    family, component = _class_words(embedding)
    if name == family:
        return Shade(name=name, values=embedding.family)
    if name == component:
        return Shade(name=name, values=np.array(list(map(embedding.component_name, embedding.component))))
    return Shade(name=name, values=_numbers(embedding)[name])


def _axes(embedding: Embedding, plane: str) -> tuple[str, str]:
    if plane != "PCA":
        return "UMAP, first [-]", "UMAP, second [-]"
    first, second = (f"{100 * share:.0f} %" for share in axis_variance(embedding)[:2])
    return f"principal axis 1, {first} of the variance [-]", f"principal axis 2, {second} [-]"


def _overlays(embedding: Embedding, view: View, places: Mapping[str, Place]) -> list[Overlay]:
    overlays = []
    for name, begin, wanted, symbol in (
        ("designs", "design ", view.designs, "diamond"),
        ("shortlist", "shortlist ", view.shortlist, "star"),
    ):
        overlaid = [place for key, place in places.items() if key.startswith(begin)] if wanted else []
        if not overlaid:
            continue
        latent = np.stack([place.latent for place in overlaid])
        project = embedding.project_pca if view.plane == "PCA" else embedding.project_umap
        overlays.append(
            Overlay(
                name=name,
                keys=[place.key for place in overlaid],
                labels=[f"{_plain_text(place.name)}<br>{_plain_text(place.note)}" for place in overlaid],
                places=project(latent),
                colors=[SHORTLIST_COLOR if name == "shortlist" else _color(place) for place in overlaid],
                symbol=symbol,
            )
        )
    return overlays


def _plain_text(text: str) -> str:
    """Text from outside, without what Plotly takes for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%", "&#37;")


@st.cache_resource(max_entries=4, show_spinner=False)
def _labels(_embedding: Embedding, checkpoint_hash: str) -> list[str]:
    columns = zip(_embedding.properties, _embedding.volume_fraction, strict=True)
    return [
        f"sample {number}, {_class_and_mode(_embedding, number)}"
        f"<br>C11 {row[0]:.1f}, C22 {row[1]:.1f}, C33 {row[2]:.1f} GPa<br>volume fraction {fraction:.2f}"
        for number, (row, fraction) in enumerate(columns)
    ]
