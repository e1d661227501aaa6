"""Designs of the current target: made, cancelled, kept; and new realisations of one design."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.parts.common.background import session_name
from pages.parts.common.requests.request import Request
from pages.parts.common.sessions import state
from pages.parts.solving.design_jobs import DesignJob, DesignJobs
from vaereg.errors import InputError
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design, more_like
from vaereg.inverse.refining.corrections import STEPS
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Targets

__all__ = [
    "CORRECTIONS",
    "SERVER",
    "Relatives",
    "ShownDesigns",
    "ask_designs",
    "ask_relatives",
    "asked_relatives",
    "begin_designs",
    "cancel_designs",
    "cancel_relatives",
    "design_jobs",
    "design_title",
    "has_designs",
    "hide_relatives",
    "origin",
    "relatives",
    "resume_designs",
    "show_designs",
    "show_relatives",
]

SERVER = "server"
"""Session of the server itself."""
CORRECTIONS = STEPS
"""Steps of correction of the designs, as of the command line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownDesigns:
    """Designs that the Design page shows."""

    designs: Designs | None
    """Designs for the request or, where it has none, for the last one that had."""
    problem: InputError | None = None
    """Reason why the request has no designs."""
    cancelled: bool = False
    """Whether the user cancelled the designs of the request."""
    job: DesignJob | None = None
    """What makes the designs of which these are a first look; None where they are what was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Relatives:
    """New realisations of one design."""

    base: Designs
    """Designs that the design belongs to."""
    index: int
    """Index of the design among them, from 0."""
    designs: Designs
    """Realisations, whose seed is that of the noise."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AskedRelatives:
    """New realisations that have yet to be made."""

    base: Designs
    """Designs that the design belongs to."""
    index: int
    """Index of the design among them, from 0."""
    seed: int
    """Seed of the noise."""


def ask_relatives(base: Designs, index: int, seed: int = 1) -> None:
    """Ask for as many new realisations of one design as there are designs."""
    st.session_state[state.ASKED_RELATIVES] = AskedRelatives(base=base, index=index, seed=seed)


def asked_relatives(designs: Designs) -> AskedRelatives | None:
    """Return the realisations of these designs that were asked for and are not made yet."""
    asked: AskedRelatives | None = st.session_state.get(state.ASKED_RELATIVES)
    return asked if asked and _are_alike(asked.base, designs) else None


def cancel_relatives() -> None:
    """Keep the shown designs, and forget the realisations that were asked for."""
    st.session_state.pop(state.ASKED_RELATIVES, None)


def show_relatives(
    checkpoint: Checkpoint, asked: AskedRelatives, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Make and show the realisations, until there are other designs or `hide_relatives` is called."""
    base, index, count = asked.base, asked.index, len(asked.base.component)
    realisations = more_like(checkpoint, base, index, count, seed=asked.seed, on_progress=on_progress)
    st.session_state[state.RELATIVES] = Relatives(base=base, index=index, designs=realisations)
    cancel_relatives()


def hide_relatives() -> None:
    """Show all designs again."""
    st.session_state.pop(state.RELATIVES, None)
    cancel_relatives()


def relatives(designs: Designs) -> Relatives | None:
    """Return the realisations that are shown in place of these designs; None where there are none."""
    shown_relatives: Relatives | None = st.session_state.get(state.RELATIVES)
    return (
        shown_relatives
        if shown_relatives
        and (designs is shown_relatives.designs or _are_alike(shown_relatives.base, designs))
        else None
    )


def _are_alike(first: Designs, second: Designs) -> bool:
    alike = (first.wanted, first.materials, first.seed) == (second.wanted, second.materials, second.seed)
    return alike and np.array_equal(first.latent, second.latent)


def design_title(designs: Designs, index: int) -> str:
    """Title of a design: "#3", or "#1 like #3" of a new realisation."""
    shown_relatives = relatives(designs)
    if shown_relatives is None or designs is not shown_relatives.designs:
        return f"#{index + 1}"
    return f"#{index + 1} like #{shown_relatives.index + 1}"


def origin(designs: Designs) -> str:
    """Return the origin of designs in words."""
    shown_relatives = relatives(designs)
    if shown_relatives is None or designs is not shown_relatives.designs:
        return f"seed {designs.seed}"
    return f"draw {designs.seed} of design #{shown_relatives.index + 1} of seed {shown_relatives.base.seed}"


def begin_designs(checkpoint: Checkpoint, request: Request) -> DesignJob | None:
    """Have designs begun while the page says what was asked for; None where there is nothing to compute.

    Args:
        checkpoint: The model.
        request: What is asked for, at least one quantity.
    """
    return None if has_designs(checkpoint, request) else ask_designs(checkpoint, request, session_name())


def show_designs(
    checkpoint: Checkpoint,
    request: Request,
    look: Callable[[int, int], None],
    begun: DesignJob | None = None,
) -> ShownDesigns:
    """Return designs for a request, or the former designs where it has none or was cancelled.

    Where they are not there yet, they are asked for: what comes back soon is a first look at raw designs,
    with the job that makes them.

    Args:
        checkpoint: The model.
        request: What is asked for, at least one quantity.
        look: Called with the progress while there is nothing to be seen; what it raises ends the wait.
        begun: What `begin_designs` returned for this request.
    """
    key, former = _design_key(checkpoint, request), st.session_state.get(state.DESIGNS)
    designs = design_jobs().find(key)
    if designs is None:
        if st.session_state.get(state.CANCELLED) == key:
            return ShownDesigns(designs=former, cancelled=True)
        job = begun or ask_designs(checkpoint, request, session_name())
        job.wait(look, for_first=True)
        if isinstance(job.error, InputError):
            return ShownDesigns(designs=former, problem=job.error)
        if job.error is not None:
            raise job.error
        if job.result is None:
            return ShownDesigns(designs=job.first, job=job)
        designs = job.result
    st.session_state[state.DESIGNS] = designs
    st.session_state.pop(state.CANCELLED, None)
    if relatives(designs) is None and asked_relatives(designs) is None:
        hide_relatives()
    return ShownDesigns(designs=designs)


def ask_designs(checkpoint: Checkpoint, request: Request, session: str) -> DesignJob:
    """Have the designs of a request made, corrected as those of the command line are.

    Args:
        checkpoint: The model.
        request: What is asked for, at least one quantity.
        session: Who asks. `SERVER`, which asks before anybody does, gives way to all others.
    """

    def make(on_first: Callable[[Designs], None], on_progress: Callable[[int, int], None]) -> Designs:
        return design(
            checkpoint,
            Targets(request.wanted),
            request.made,
            request.size,
            materials=request.pair,
            seed=request.seed,
            component=request.components(checkpoint) or None,
            corrections=CORRECTIONS,
            constraints=request.constraints,
            on_first=on_first,
            on_progress=on_progress,
        )

    job = design_jobs().ask(session, _design_key(checkpoint, request), make)
    if session != SERVER:
        design_jobs().leave(SERVER)
    return job


def has_designs(checkpoint: Checkpoint, request: Request) -> bool:
    """Whether `show_designs` has nothing to compute."""
    key = _design_key(checkpoint, request)
    return design_jobs().find(key) is not None or st.session_state.get(state.CANCELLED) == key


def cancel_designs(checkpoint: Checkpoint, request: Request) -> None:
    """Keep the former designs in place of these, until other designs or `resume_designs` are asked for."""
    design_jobs().leave(session_name())
    st.session_state[state.CANCELLED] = _design_key(checkpoint, request)


def resume_designs() -> None:
    """Make the designs that were cancelled after all."""
    st.session_state.pop(state.CANCELLED, None)


def _design_key(checkpoint: Checkpoint, request: Request) -> Hashable:
    return checkpoint.hash, request.key


@st.cache_resource(show_spinner=False)
def design_jobs() -> DesignJobs:
    """Return the designs of all sessions: a link that a second person opens is not computed again."""
    return DesignJobs()
