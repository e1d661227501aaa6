"""The trade-off of two quantities: verified designs, the front of known volumes, linked with a gallery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import background
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.modes import component_color, component_title
from pages.parts.common.requests.order import design_order
from pages.parts.common.requests.quantities import (
    axis_title,
    describe_quantity,
    figure_text,
    missing_property,
    offered_quantities,
    symbol,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import put_aside
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.common.text import counted, sentence
from pages.parts.common.views.figures import GREY_LINE, LAYOUT, SOLVER, add_bounds
from pages.parts.common.views.gallery import (
    Caption,
    Line,
    Row,
    pinned_volume,
    selected_volume,
    volume_gallery,
)
from pages.parts.solving.fronts import find_front
from pages.parts.solving.queue import QueueFullError
from pages.parts.solving.tasks import CallTask
from vaereg.errors import InputError
from vaereg.inverse.fronts.verified import DesignFront
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Targets, Wanted

__all__ = [
    "choose_card",
    "choose_point",
    "front_figure",
    "front_inputs",
    "front_targets",
    "gain_words",
    "is_searching",
    "picked_designs",
    "show_front",
]

TASK, GALLERY, FIGURE = "front-task", "front-gallery", "front-figure"
CHOSEN, MARKED = "front-chosen", "front-marked"
"""State: the design that is chosen, and the one that is drawn larger."""
_GOALS = {"max": "as large as possible", "min": "as small as possible"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A front that was asked for."""

    task: CallTask
    targets: Targets
    request: Request


def front_targets(request: Request, first: tuple[str, str], second: tuple[str, str]) -> Targets:
    """Two objectives beside what else is asked for.

    Args:
        request: What the session asks for.
        first: Name and goal of the quantity across.
        second: The same of that up.

    Raises:
        InputError: Both are of one quantity.
    """
    if first[0] == second[0]:
        raise InputError("expected two quantities, got one twice")
    goals = [Wanted(name=name, goal=goal) for name, goal in (first, second)]
    others = [item for item in request.wanted if item.name not in (first[0], second[0]) and item.is_bounded]
    return Targets((*(replace(item, goal="") for item in others), *goals))


def front_inputs(checkpoint: Checkpoint) -> None:
    """Choice of both quantities, and the button that begins."""
    request = current_request(checkpoint)
    offered = [name for name in offered_quantities() if not missing_property(name, request.pair)]
    usual = ["density" if "density" in offered else "volume_fraction", "E_x"]
    chosen: list[tuple[str, str]] = []
    for column, label, own, goal in zip(
        st.columns(2, gap="small"), ("Across", "Up"), usual, ("min", "max"), strict=True
    ):
        name = column.selectbox(
            f"{label}, objective",
            offered,
            index=offered.index(own),
            format_func=describe_quantity,
            key=f"front-{label}-{own}",
            persist_state="session",
        )
        wanted = column.segmented_control(
            f"{label} is",
            list(_GOALS),
            default=goal,
            required=True,
            format_func=_GOALS.__getitem__,
            key=f"front-{label}-goal",
            label_visibility="collapsed",
            persist_state="session",
        )
        chosen.append((name, wanted))
    if st.button("Find the trade-off", type="primary", help="About a minute: the solver verifies the best."):
        try:
            _begin(checkpoint, request, front_targets(request, chosen[0], chosen[1]))
        except (InputError, QueueFullError) as error:
            st.error(sentence(str(error)))


def _begin(checkpoint: Checkpoint, request: Request, targets: Targets) -> None:
    order = design_order(checkpoint, request)
    label = f"front {request.key} {targets.to_json()}"
    task = CallTask(call=partial(find_front, order, targets), label=label)
    background.solver().start(background.session_name(), [task])
    st.session_state[TASK] = Search(task=task, targets=targets, request=request)
    st.session_state[CHOSEN] = st.session_state[MARKED] = 0


def is_searching() -> bool:
    """Whether a front of this session is under way."""
    search: Search | None = st.session_state.get(TASK)
    if search is None:
        return False
    progress = background.solver().progress(search.task)
    return progress is not None and progress.status in ("waiting", "running")


def show_front(checkpoint: Checkpoint, polling: bool) -> None:
    """The figure with the gallery of its designs; to be run again while it is searched."""
    search: Search | None = st.session_state.get(TASK)
    if search is None:
        st.caption(
            "Other targets and constraints are those of the Design page; ranges of these two are left out."
        )
        return
    if polling != is_searching():
        st.rerun()
    progress = background.solver().progress(search.task)
    if progress is None or progress.status == "forgotten":
        st.info("The trade-off was given up or made room for others: find it again.")
        return
    if progress.error is not None:
        st.error(sentence(str(progress.error)))
        return
    front = progress.result
    if not isinstance(front, DesignFront):
        st.write("The trade-off is being searched …")
        if st.button("Cancel the search"):
            background.solver().cancel(background.session_name(), [search.task])
            st.session_state.pop(TASK)
            st.rerun()
        return
    _show(checkpoint, search, front)


def _show(checkpoint: Checkpoint, search: Search, front: DesignFront) -> None:
    names = [item.name for item in search.targets.objectives]
    volumes = list(front.designs.microstructures)
    key = f"{FIGURE}-{search.task.label}"
    picked = _picked(key)
    is_part = len(picked) > 1
    chosen, shown = st.session_state[CHOSEN], picked if is_part else list(range(len(volumes)))
    if not is_part:  # another figure would let go what was drawn around some
        st.session_state[MARKED] = chosen
    marked = st.session_state[MARKED]
    st.plotly_chart(
        front_figure(names, front.values, front.known_values, marked, front.designs.materials),
        key=key,
        on_select=partial(choose_point, key),
        selection_mode=["points", "box"],
        config={"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "autoScale2d"]},
        alt=f"Trade-off: {axis_title(names[1])} over {axis_title(names[0])}",
    )
    st.caption(
        f"{counted(len(volumes), 'design')} of which none is better in both, verified by the solver, of "
        f"{counted(front.candidates, 'candidate')}. {gain_words(front, checkpoint.model.materials)} "
        "**Click** a point to choose its design; the **box** in the toolbar shows some alone, and a double "
        "click all of them again."
    )
    inside = [volumes[i] for i in shown]
    volume_gallery(
        GALLERY,
        inside,
        [Row(panels=list(range(len(inside))), color=component_color(0))],
        [_caption(checkpoint, front, i, names) for i in shown],
        selected=shown.index(chosen) if chosen in shown else None,
        pinned=[place for place, volume in enumerate(inside) if put_aside.is_in_shortlist(volume)],
        on_select=partial(choose_card, front, shown),
        on_pin=partial(_toggle, search, front, shown),
    )


def _picked(key: str) -> list[int]:
    """Designs that are picked in the figure."""
    return picked_designs(((st.session_state.get(key) or {}).get("selection") or {}).get("points") or [])


def choose_point(key: str) -> None:
    """Choose the design that was clicked in the figure; what is drawn around some chooses none."""
    picked = _picked(key)
    if len(picked) == 1:
        st.session_state[CHOSEN] = picked[0]


def choose_card(front: DesignFront, shown: list[int]) -> None:
    """Choose the design whose card was clicked."""
    place = selected_volume(GALLERY, [front.designs.microstructures[i] for i in shown])
    if place is not None:
        st.session_state[CHOSEN] = shown[place]


def gain_words(front: DesignFront, own: TwoPhase) -> str:
    """How the designs of a front compare with the volumes that the model was trained on.

    Args:
        front: The front.
        own: Phases that the known volumes were solved with.
    """
    designs, known = (round(100 * share) for share in (front.hypervolume, front.known_hypervolume))
    gain = "the designs go beyond them" if designs > known else "**the designs gain nothing over them**"
    words = (
        f"Of the rectangle around both fronts known volumes cover {known} %, the designs {designs} %: {gain}."
    )
    doubts = []
    if front.designs.materials != own:
        doubts.append("are estimated for these phases")
    if front.designs.constraints:
        doubts.append("need not meet the constraints")
    return f"{words} Known volumes {' and '.join(doubts)}." if doubts else words


def picked_designs(points: Sequence[Mapping[str, Any]]) -> list[int]:
    """Designs among the points that were picked: Streamlit hands on numbers in a list or by place."""
    found = set()
    for point in points:
        own = point.get("customdata")
        values = list(own.values()) if isinstance(own, Mapping) else np.ravel([] if own is None else own)
        found |= {int(value) for value in values[:1]}
    return sorted(found)


def _caption(checkpoint: Checkpoint, front: DesignFront, index: int, names: list[str]) -> Caption:
    title = component_title(checkpoint, int(front.designs.component[index]))
    lines = [
        Line(label=axis_title(name), values=[figure_text(float(front.values[index, place]))], kind="solver")
        for place, name in enumerate(names)
    ]
    return Caption(title=f"#{index + 1}", badge=title, columns=["solver"], kinds=["solver"], lines=lines)


def _toggle(search: Search, front: DesignFront, shown: list[int]) -> None:
    """Put the design whose star was clicked into the shortlist, or take it out."""
    place = pinned_volume(GALLERY, [front.designs.microstructures[i] for i in shown])
    if place is None:
        return
    index, designs = shown[place], front.designs
    component = int(designs.component[index])
    heat = front.properties.conductivity
    put_aside.toggle_in_shortlist(
        ShortlistItem(
            name=f"trade-off #{index + 1}",
            volume=designs.microstructures[index],
            origin="on the front of " + " and ".join(symbol(item.name) for item in search.targets.objectives),
            targets=search.targets,
            materials=designs.materials,
            constraints=designs.constraints,
            mean=designs.mean[index],
            std=designs.std[index],
            predicted=designs.stiffness[index],
            conductivity=None if heat is None else heat[index],
            stiffness=front.properties.stiffness[index],
            latent=designs.latent[index].astype(np.float64),
            component=component,
            mode=designs.modes[component] if designs.modes else "",
            seed=designs.seed,
            checkpoint=designs.checkpoint,
        )
    )


def front_figure(
    names: list[str],
    values: NDArray[np.float64],
    known: NDArray[np.float64],
    chosen: int,
    materials: TwoPhase,
) -> go.Figure:
    """Designs of a front in the plane of two objectives, with that of known volumes and the bounds.

    Args:
        names: Quantities across and up.
        values: Objectives of the designs by the solver, shape (F, 2).
        known: Objectives of the known volumes' own front, shape (K, 2).
        chosen: Design that is marked.
        materials: The two phases, for the bounds.
    """
    figure = go.Figure()
    add_bounds(figure, (names[0], names[1]), materials)
    order = np.argsort(known[:, 0]) if len(known) else []
    figure.add_scatter(
        x=known[order, 0],
        y=known[order, 1],
        mode="lines+markers",
        name="known volumes",
        line={"color": GREY_LINE, "width": 1, "dash": "dot"},
        marker={"color": GREY_LINE, "size": 5},
    )
    figure.update_traces(hoverinfo="skip")  # a click is for the designs, which may lie on these lines
    sizes = np.where(np.arange(len(values)) == chosen, 15, 10)
    figure.add_scatter(
        x=values[:, 0],
        y=values[:, 1],
        mode="markers",
        name="designs, solver",
        customdata=np.arange(len(values))[:, None],
        text=[f"design #{i + 1}" for i in range(len(values))],
        marker={"color": SOLVER, "symbol": "diamond", "size": sizes, "line": {"width": 1}},
        hovertemplate=f"%{{text}}<br>{axis_title(names[0])} %{{x:.3g}}<br>{axis_title(names[1])} %{{y:.3g}}"
        "<extra></extra>",
    )
    figure.update_layout(**LAYOUT, height=420, dragmode="pan")
    figure.update_xaxes(title=axis_title(names[0]))
    figure.update_yaxes(title=axis_title(names[1]))
    return figure
