"""Refinement in the Design page: what is to be refined, and how far it is."""

from functools import partial

import numpy as np
import streamlit as st

from pages.parts.common import background, widgets
from pages.parts.common.requests.quantities import target_text
from pages.parts.common.sessions import state
from pages.parts.common.text import counted, sentence
from pages.parts.common.views import mesh_panel
from pages.parts.design import designing
from pages.parts.design.refining.figures import convergence_figure
from pages.parts.design.refining.refined_panel import show_refined
from pages.parts.design.refining.refinement import (
    Entry,
    Run,
    add_run,
    begin_run,
    cancelled,
    curves,
    gone_on,
    refined_file,
    run_table,
)
from pages.parts.design.refining.runs import session_runs, set_session_runs
from pages.parts.solving.queue import QueueFullError
from vaereg.inverse.designs import Designs
from vaereg.inverse.refining.refinement import MAX_SOLVES, TOLERANCE
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint

__all__ = ["is_pending", "show_inputs", "show_runs"]

VERIFIED_HELP = "By a solve in double precision to a relative residual of 1e-6, on the final voxels."
MORE = 20
"""Solves of each design with which a refinement goes on."""


def show_inputs(checkpoint: Checkpoint, designs: Designs) -> None:
    """Which designs are to be refined, how far, and the button that begins it."""
    st.subheader(
        "Refine onto the target",
        help="Flips voxels at the interface, guided by the solver's sensitivities, until the solver finds "
        "every targeted property within the tolerance. The designs keep their mode: where flips bring one no "
        "nearer, its interface is moved at random, or another volume of its mode is drawn, and that is told.",
    )
    count = len(designs.component)
    first, second, third, fourth = st.columns([5, 2, 2, 3], vertical_alignment="bottom")
    chosen = first.multiselect(
        "Designs",
        range(count),
        format_func=lambda index: f"#{index + 1}",
        key=_chosen_key(designs),
        placeholder=f"all {count} that are shown" if count > 1 else "the one that is shown",
        persist_state="session",
    )
    second.number_input(
        "Tolerance [%]",
        0.1,
        20.0,
        100 * TOLERANCE,
        0.5,
        "%.1f",
        key=state.REFINE_TOLERANCE,
        help="Largest relative deviation of all that is asked for from its value or range.",
        persist_state="session",
    )
    third.number_input(
        "Most solves",
        2,
        100,
        MAX_SOLVES,
        key=state.REFINE_SOLVES,
        help="Of one design; a solve is one cell under six load cases. The last one verifies the result.",
        persist_state="session",
    )
    wanted = len(chosen) or count
    # Buttons act by callbacks, which come first of all: a run may end before it gets to its buttons.
    fourth.button(
        f"Refine {wanted} design{'s' if wanted > 1 else ''}",
        type="primary",
        width="stretch",
        on_click=_begin,
        args=(designs,),
    )
    kind, text = st.session_state.pop(state.REFINE_NEWS, ("", ""))
    if kind == "begun":
        st.rerun()
    elif kind == "full":
        st.warning(text)
    elif kind:
        st.error(text)


def _chosen_key(designs: Designs) -> str:
    return f"refine-{volume_hash(designs.microstructures)[:16]}"


def _begin(designs: Designs) -> None:
    """Have the solver refine designs by the inputs as they are now, and note what is to be said of that."""
    run = begin_run(
        designs,
        st.session_state[_chosen_key(designs)],
        number=1 + max((run.number for run in session_runs()), default=0),
        origin=designing.origin(designs),
        tolerance=st.session_state[state.REFINE_TOLERANCE] / 100,
        max_solves=int(st.session_state[state.REFINE_SOLVES]),
    )
    _start(run)


def _go_on(run: Run) -> None:
    """Have the solver go on with the designs of a run that are not on target."""
    number = 1 + max((other.number for other in session_runs()), default=0)
    _start(gone_on(run, number=number, more=MORE))


def _start(run: Run) -> None:
    """Give a run to the solver, and note what is to be said of that."""
    try:
        background.solver().start(
            background.session_name(), [entry.task for entry in run.entries], owner=background.owner_name()
        )
    except QueueFullError as error:
        news = (
            "full",
            "The solver's queue is full: wait until something is done, cancel it, or choose fewer designs. "
            f"{sentence(str(error))}",
        )
    except ValueError as error:
        news = ("refused", f"These designs cannot be refined. {sentence(str(error))}")
    else:
        set_session_runs(add_run(session_runs(), run))
        st.session_state[state.REFINE_RUN] = run.number
        news = ("begun", "")
    st.session_state[state.REFINE_NEWS] = news


def is_pending() -> bool:
    """Whether something that `show_runs` shows is still to come."""
    runs = session_runs()
    chosen = _chosen_run(runs) if runs else None
    entry = None if chosen is None else _chosen_entry(chosen)
    if chosen is not None and entry is not None and entry.result is not None:
        if mesh_panel.mesh_at_work(entry.result.volume, chosen.designs.materials):
            return True
    return any(run.unfinished for run in runs)


def show_runs(checkpoint: Checkpoint, designs: Designs | None, polling: bool) -> None:
    """The refinements of this session; to be run again while the solver is at work on them.

    Args:
        checkpoint: The model.
        designs: What is shown above; None where the target has none.
        polling: Whether the fragment runs by a clock.
    """
    if polling != is_pending():
        st.rerun()  # once more as a whole, with or without the clock
    runs = session_runs()
    if designs is None:
        if not runs:
            return
        st.subheader("Refined before")
    elif not runs:
        st.caption(
            "Nothing has been refined yet. Designs are taken in order of promise and go on in the "
            "background: the curves of the largest deviation against solves appear here."
        )
        return
    labels = {run.number: _label(run) for run in runs}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Refinement",
            sorted(labels, reverse=True),
            format_func=labels.__getitem__,
            key=state.REFINE_RUN,
            label_visibility="collapsed",
            persist_state="session",
        )
        run = _chosen_run(runs)
        if run.unfinished:
            st.button(
                "Cancel",
                help="After the solve of the moment; what was found stays.",
                on_click=_cancel,
                args=(run,),
            )
        elif len(run.reached) < len(run.entries):
            rest = len(run.entries) - len(run.reached)
            st.button(
                f"{MORE} more solves for {counted(rest, 'design')}",
                help="Goes on with the designs that are not on target, from where they are.",
                on_click=_go_on,
                args=(run,),
            )
    whose = st.container()  # a place of its own: what follows is not built anew when the words come or go
    if designs is None or (run.designs.wanted, run.designs.materials) != (designs.wanted, designs.materials):
        whose.caption(f"These belong to another target than the one above: {_target(run)}.")
    _summary(run)
    # A chart with a key of its own would be built anew whenever a curve grows.
    with st.container(key="convergence"):
        figure = convergence_figure(curves(run), run.tolerance)
        st.plotly_chart(figure, config={"displayModeBar": False}, alt="Deviation from the target over solves")
    entry = _chosen_entry(run)
    if entry is not None and entry.result is not None:
        show_refined(checkpoint, run, entry, entry.result)
    st.markdown(
        "##### "
        + ("All designs of this refinement" if len(run.entries) > 1 else "The design of this refinement")
    )
    st.dataframe(
        run_table(run, checkpoint),
        hide_index=True,
        key="refine-table",
        placeholder="–",
        column_config={
            "Largest deviation before, solver [%]": st.column_config.NumberColumn(format="%.1f"),
            "Largest deviation after, verified [%]": st.column_config.NumberColumn(format="%.2f"),
            "Voxels changed [%]": st.column_config.NumberColumn(format="%.2f"),
            "Two-point statistics moved [-]": st.column_config.NumberColumn(format="%.4f"),
        },
    )
    if run.done:
        st.download_button(
            f"Download {len(run.done)} refined designs (designs.h5)",
            data=partial(refined_file, checkpoint, run),
            file_name="refined.h5",
            mime="application/x-hdf5",
            on_click="ignore",
            help="With verified stiffness and number of solves of every design that is through.",
        )


def _chosen_run(runs: list[Run]) -> Run:
    wanted = st.session_state.get(state.REFINE_RUN)
    return next((run for run in runs if run.number == wanted), runs[-1])


def _chosen_entry(run: Run) -> Entry | None:
    """The design that is shown before and after; the most promising one without a choice of the user's."""
    wanted = st.session_state.get(state.REFINE_DESIGN)
    done = run.done
    return next((entry for entry in done if entry.index == wanted), done[0] if done else None)


def _target(run: Run) -> str:
    return target_text(run.designs.wanted)


def _label(run: Run) -> str:
    made = counted(len(run.designs.component), "design")
    return (
        f"{run.number}: {_target(run)}; {len(run.entries)} of {made} of "
        f"{run.designs.size}³, {run.origin}; within {100 * run.tolerance:g} %"
    )


def _cancel(run: Run) -> None:
    """Give up what is unfinished, but for what another refinement of this session waits for too."""
    runs = session_runs()
    rest = {
        entry.task.name
        for other in runs
        if other.number != run.number
        for entry in other.entries
        if entry.unfinished
    }
    tasks = [entry.task for entry in run.entries if entry.unfinished and entry.task.name not in rest]
    background.solver().cancel(background.session_name(), tasks)
    set_session_runs([cancelled(other) if other.number == run.number else other for other in runs])


def _summary(run: Run) -> None:
    """The line above the curves: how many are there, what it took, how far it is."""
    total, ended = len(run.entries), sum(not entry.unfinished for entry in run.entries)
    done = run.done
    best = min(
        done, key=lambda entry: entry.result.largest_distance if entry.result else np.inf, default=None
    )
    with st.container(key="summary-refined"):
        first, second, third, fourth = st.columns([2, 2, 2, 3])
    first.metric(
        "On target, verified",
        f"{len(run.reached)}/{total}",
        delta=f"all within {100 * run.tolerance:g} %",
        help=VERIFIED_HELP,
        **widgets.PLAIN,
    )
    second.metric(
        "Solves",
        str(run.solves),
        delta=f"median {np.median([entry.solves for entry in done]):g} a design" if done else "so far",
        help="Every solve counts, the verification among them; all designs together.",
        **widgets.PLAIN,
    )
    third.metric(
        "Best, verified",
        "…" if best is None or best.result is None else f"{100 * best.result.largest_distance:.2f} %",
        delta="off target" if best is None else f"off target, design #{best.index + 1}",
        help="Largest relative deviation over all that is asked for.",
        **widgets.PLAIN,
    )
    fourth.metric("Refinement", "at work" if run.unfinished else "finished")
    words = [entry.status.split(" after")[0] for entry in run.entries]
    fourth.progress(
        ended / total, text=", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    )
