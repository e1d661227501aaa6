"""The parts of the Design page: summary and gallery, the chosen design, what is reachable."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts.common import background, widgets
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.requests.modes import component_kind, component_title, lowered
from pages.parts.common.requests.quantities import (
    figure_text,
    missing_property,
)
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import put_aside, state
from pages.parts.common.sessions.shown import show_volume
from pages.parts.common.text import plain, sentence
from pages.parts.common.views.gallery import pinned_volume, selected_volume, volume_gallery
from pages.parts.common.views.scene import open_scene
from pages.parts.design import designing, view, wording
from pages.parts.solving.compiling import server_kernels
from pages.parts.solving.design_jobs import DesignJob
from pages.parts.solving.queue import Outcome
from vaereg.commands.copied import Copied, copied_design
from vaereg.inverse.designs import Designs
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Targets

__all__ = [
    "DETAILS",
    "copied_request",
    "finish_designs",
    "is_pending",
    "make_designs",
    "make_relatives",
    "relatives_bar",
    "show_details",
    "show_first_look",
    "show_gallery",
    "show_table",
]

DETAILS = "details"
SMALL = 40
"""Edge up to which the solver runs on all designs unasked [voxel]: it takes about half a second for each."""


def make_designs(
    checkpoint: Checkpoint, request: Request, begun: DesignJob | None = None
) -> designing.ShownDesigns:
    """Designs for the request, or a first look at them; of large cells, and with a least feature, with
    progress and a way to call it off.

    Args:
        checkpoint: The model.
        request: What is asked for.
        begun: What `designing.begin_designs` returned for it.
    """
    arguments = checkpoint, request
    at_once = _is_quick(request) or designing.has_designs(*arguments)
    with _progress("designs", "Designing", at_once, partial(designing.cancel_designs, *arguments)) as report:
        return designing.show_designs(*arguments, report, begun)


def finish_designs(checkpoint: Checkpoint, request: Request, job: DesignJob) -> None:
    """Wait for the designs of which the page shows a first look, and show them in its place."""
    cancel = partial(designing.cancel_designs, checkpoint, request)
    with _progress("corrections", "Correcting raw designs", _is_quick(request), cancel) as report:
        job.wait(report)
    if job.error is not None:
        raise job.error
    st.rerun()


def _tell_of_kernels(place: DeltaGenerator, done: int, total: int) -> None:
    """Say what a first start waits for. Reading the state ends this run where the user has gone on."""
    words = server_kernels().words
    if words != st.session_state.get(state.KERNELS, ""):
        st.session_state[state.KERNELS] = words
        place.caption(words)


def _is_quick(request: Request) -> bool:
    """Whether designs come soon enough that a word does."""
    features = request.constraints.min_feature_stiff or request.constraints.min_feature_soft
    return request.size <= SMALL and not features


def make_relatives(checkpoint: Checkpoint, designs: Designs) -> None:
    """New realisations, where they were asked for, as `make_designs` makes designs."""
    if asked := designing.asked_relatives(designs):
        at_once = designs.size <= SMALL
        with _progress("relatives", "Designing", at_once, designing.cancel_relatives) as report:
            designing.show_relatives(checkpoint, asked, report)


@contextmanager
def _progress(
    what: str, word: str, at_once: bool, on_cancel: Callable[[], None]
) -> Iterator[Callable[[int, int], None]]:
    """Says that designs are being made: with a word, or with progress and a way to call it off.

    Yields:
        What is to be told of candidates that are decoded, and of their number; where the user has changed
        something, it ends this run of the page.
    """
    if at_once:
        # over the page: nothing moves for it
        with st.container(key=f"designing-{what}"), st.spinner(f"{word} …"):
            yield partial(_tell_of_kernels, st.empty())
        return
    place = st.empty()
    with place.container(key=f"progress-{what}", horizontal=True, vertical_alignment="bottom"):
        bar, told = st.progress(0.0, f"{word} …"), -1
        kernels = st.empty()
        st.button("Cancel", key=f"cancel-{what}", on_click=on_cancel)

    def report(done: int, total: int) -> None:
        nonlocal told
        if done != told:
            told = done
            bar.progress(done / total, f"{word}: {done} of {total} candidates")
        _tell_of_kernels(kernels, done, total)

    yield report
    place.empty()


def look(designs: Designs) -> tuple[int, list[bool], list[Outcome]]:
    """The chosen design, which ones the solver is to work on, and what it knows; has it work on them.

    Without a choice of the user's it is the best one. Of large cells only the chosen one is solved unasked.
    """
    volumes = list(designs.microstructures)
    every = designs.size <= SMALL or st.session_state.get(state.SOLVE_ALL, False)
    chosen = selected_volume(state.GALLERY, volumes)
    if chosen is None:
        chosen = view.best_design(designs, background.outcomes_of(designs.materials, volumes))[0]
    asked = [every or index == chosen for index in range(len(volumes))]
    return chosen, asked, background.watch(designs.materials, volumes, asked)


def is_pending(designs: Designs) -> bool:
    """Whether the solver is still at work on what it was asked for."""
    _, asked, outcomes = look(designs)
    return any(wanted and outcome is None for wanted, outcome in zip(asked, outcomes, strict=True))


def show_gallery(checkpoint: Checkpoint, designs: Designs, notice: str, polling: bool) -> None:
    """Summary and gallery; to be run again while the solver is at work."""
    chosen, asked, outcomes = look(designs)
    if polling != is_pending(designs):
        st.rerun()  # once more as a whole, with or without the clock
    design_summary(checkpoint, designs, outcomes, asked)
    choice = st.container()
    if designs.size > SMALL:
        choice.toggle(
            "Run the solver on all designs, not on the chosen one alone",
            key=state.SOLVE_ALL,
            help="Seconds for each design of 64³ voxels, and four times as long for 96³.",
        )
    volume_gallery(
        state.GALLERY,
        designs.microstructures,
        view.design_rows(checkpoint, designs),
        view.design_captions(designs, current_request(checkpoint), outcomes, asked),
        selected=chosen,
        pinned=[i for i, volume in enumerate(designs.microstructures) if put_aside.is_in_shortlist(volume)],
        notice=notice,
        on_select=lambda: st.rerun(DETAILS),
        on_pin=lambda: _toggle_pin(checkpoint, designs),
    )


def show_first_look(checkpoint: Checkpoint, designs: Designs) -> None:
    """What `show_gallery` shows, for raw designs whose corrections are on their way: the solver waits."""
    outcomes, asked = [None] * len(designs.component), [False] * len(designs.component)
    design_summary(checkpoint, designs, outcomes, asked, raw=True)
    st.container()
    volume_gallery(
        state.GALLERY,
        designs.microstructures,
        view.design_rows(checkpoint, designs),
        view.design_captions(designs, current_request(checkpoint), outcomes, asked, raw=True),
        selected=view.best_design(designs, outcomes)[0],
        stage="raw",
    )


def design_summary(
    checkpoint: Checkpoint,
    designs: Designs,
    outcomes: Sequence[Outcome],
    asked: Sequence[bool],
    *,
    raw: bool = False,
) -> None:
    """The line above the gallery: how many, how good, how far the solver is."""
    judgement = view.judgement_of(designs, outcomes)
    done, wanted = sum(outcome is not None for outcome in outcomes), sum(asked)
    is_solved = judgement.is_solved
    best, judge = view.best_design(designs, outcomes)
    predicted, verified = judgement.deviations()
    nearest = verified if judge == "solver" else predicted
    used, kind = len(np.unique(designs.component)), component_kind(checkpoint)
    error = judgement.prediction_error()
    failed = done - int(is_solved.sum())
    with st.container(key="summary"):
        first, second, third, fourth = st.columns([2, 2, 3, 2])
        if designs.idle:
            st.caption(wording.idle_text(designs.idle))
    first.metric(
        "Designs",
        len(outcomes),
        delta=f"{used} of {checkpoint.components} {kind}s{_met_text(designs)}",
        **widgets.PLAIN,
    )
    second.metric(
        f"Best by {judge}",
        f"{100 * nearest[best]:.1f} %",
        delta=f"off target, design #{best + 1}",
        help="Largest relative deviation over all that is asked for.",
        **widgets.PLAIN,
    )
    third.metric(
        "Prediction against solver",
        f"{100 * error:.1f} %" if np.isfinite(error) else "…",
        delta="median difference over what is asked for",
        help="Of the designs that the solver has seen so far.",
        **widgets.PLAIN,
    )
    if raw:
        fourth.metric("First look", "raw", help="The designs before their corrections, by the encoder alone.")
        fourth.progress(0.0, text="corrections are running")
        return
    fourth.metric("Solver check", f"{done}/{len(outcomes)}", help=widgets.SOLVER_HELP)
    text = f"solver {done}/{len(outcomes)}" + (f", {failed} failed" if failed else "")
    fourth.progress(done / len(outcomes), text=text if wanted == len(outcomes) else f"{text}, chosen only")


def _met_text(designs: Designs) -> str:
    """How many designs meet all constraints; nothing without constraints."""
    if not designs.constraints:
        return ""
    count = int(designs.met.all(axis=1).sum())
    return f", {count} {'meets' if count == 1 else 'meet'} the constraints"


def relatives_bar(checkpoint: Checkpoint, relatives: designing.Relatives) -> None:
    """Says that the gallery shows realisations of one design, and the way back."""
    base, index, own = relatives.base, relatives.index, relatives.designs
    made_by = component_title(checkpoint, int(base.component[index]))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**More like design #{index + 1}**, {lowered(made_by)}: the same structure drawn anew, "
            f"draw {own.seed}",
            width="stretch",
        )
        st.button("Other realisations", on_click=designing.ask_relatives, args=(base, index, own.seed + 1))
        st.button("Back to all designs", on_click=designing.hide_relatives)


def show_details(checkpoint: Checkpoint, designs: Designs, polling: bool) -> None:
    """Figures and files of the chosen design; run again when another one is chosen."""
    if polling != is_pending(designs):  # of large cells the solver begins with the choice
        st.rerun()
    chosen, _, outcomes = look(designs)
    judgement = view.judgement_of(designs, outcomes)
    made_by = component_title(checkpoint, int(designs.component[chosen]))
    st.subheader(f"Design {designing.design_title(designs, chosen)}, {lowered(made_by)}")
    with st.container(key="details-panes"):
        left, right = st.columns([3, 2], gap="medium")
    with left:
        st.caption(_about(checkpoint, designs, chosen))
        volume = designs.microstructures[chosen]
        table = view.quantity_table(designs.wanted, judgement, chosen, designs.std[chosen], volume)
        st.dataframe(
            table,
            hide_index=True,
            key="selected-table",
            height=35 * (min(len(table), 11) + 1) + 2,
            column_config={"Target": widgets.whole_text(table["Target"])},
        )
        if isinstance(outcomes[chosen], Exception):
            st.error(f"The solver gave up on this design. {sentence(str(outcomes[chosen]))}")
        _actions(checkpoint, designs, chosen, outcomes[chosen])
    with right:
        figure = view.target_figure(designs, judgement, chosen)
        alt = f"Design {designing.design_title(designs, chosen)} against its target"
        st.plotly_chart(figure, key="selected-figure", config={"displayModeBar": False}, alt=alt)


def show_table(checkpoint: Checkpoint, designs: Designs) -> None:
    """All figures of all designs, once their box is open, and the file of them."""
    volumes = list(designs.microstructures)
    box = st.expander("All designs in a table", key=state.TABLE_BOX, on_change="rerun")
    if box.open:
        table = view.design_table(checkpoint, designs, background.outcomes_of(designs.materials, volumes))
        with box:
            widgets.show_table(table, key="design-table", missing="–")
    # Built from what is known when it is clicked.
    st.download_button(
        "Download all designs (designs.h5)",
        data=partial(view.latest_designs_file, designs, background.solver()),
        file_name="designs.h5",
        mime="application/x-hdf5",
        on_click="ignore",
    )


def _actions(checkpoint: Checkpoint, designs: Designs, chosen: int, outcome: Outcome) -> None:
    """Show the buttons of the chosen design."""
    volume = designs.microstructures[chosen]
    with st.container(horizontal=True):
        widgets.shortlist_button(volume, lambda: view.design_item(checkpoint, designs, chosen, outcome))
        st.download_button(
            f"Download design #{chosen + 1} (.npy)",
            data=partial(widgets.volume_file, volume),
            file_name=f"design-{chosen + 1}.npy",
            on_click="ignore",
        )
        if designing.relatives(designs) is None:
            st.button(
                "More like this",
                help="The same structure drawn anew: equal in kind and lengths, other in its details.",
                on_click=designing.ask_relatives,
                args=(designs, chosen),
            )
        if designing.asked_relatives(designs):
            st.rerun()
        if st.button("Open in pyvista", help="A full scene of this design, with axes."):
            title = designing.design_title(designs, chosen)
            open_scene(f"Design {title}", volume, current_request(checkpoint).voxel)
        if st.button("Open in Predict"):
            show_volume(f"design #{chosen + 1}, {designing.origin(designs)}", volume)
            st.switch_page("pages/predict.py")


def _toggle_pin(checkpoint: Checkpoint, designs: Designs) -> None:
    """Put the design whose star was clicked into the shortlist, or take it out."""
    index = pinned_volume(state.GALLERY, designs.microstructures)
    if index is not None:
        (outcome,) = background.outcomes_of(designs.materials, [designs.microstructures[index]])
        put_aside.toggle_in_shortlist(view.design_item(checkpoint, designs, index, outcome))


def _about(checkpoint: Checkpoint, designs: Designs, chosen: int) -> str:
    """Phases, fraction, density and size of a design, in a line."""
    request = current_request(checkpoint)
    parts = [pair_line(designs.materials), f"fraction {designs.fraction[chosen]:.3f}"]
    if not missing_property("density", designs.materials):
        density = designs.cells.rows([chosen]).values(["density"])[0, 0]
        parts.append(f"density {figure_text(density)} g/cm³")
    parts.append(f"{designs.size}³ voxels")
    if request.voxel:
        parts.append(f"edge {request.voxel.text(designs.size)}")
    return plain(" · ".join(parts))


def copied_request(checkpoint: Checkpoint, request: Request) -> Copied:
    """The designs of a request as Python and as a command."""
    own = checkpoint.model.materials
    return copied_design(
        Targets(request.wanted),
        count=request.made,
        size=request.size,
        materials=None if request.pair == own else request.pair,
        seed=request.seed,
        components=request.components(checkpoint),
        modes=() if checkpoint.modes is None else checkpoint.modes.names,
        corrections=designing.CORRECTIONS,
        constraints=request.constraints,
    )
