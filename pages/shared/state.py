"""What the pages remember and share: every key of the session state, cached models, background runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from pages.parts.solving.queue import Outcome, SolverQueue
from pages.parts.solving.tasks import RTOL
from pages.shared.refinement import Run, refreshed
from pages.shared.shortlist import ShortlistItem, add_item, free_name
from vaereg.generators.families import FAMILIES, generate
from vaereg.microstructure.volume import volume_hash
from vaereg.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from vaereg.model.prediction import Prediction, predict
from vaereg.solver.homogenization import HomogenizationResult

# Keys of the session state. Those of the targets are names in the URL too, so they are short.
SEED = "seed"
COUNT = "count"
SIZE = "size"
COMPONENT = "component"
FRACTION = "volume_fraction"
PRESET = "preset"
CLOSURE_AXES = ("closure-across", "closure-up")
SOLVE_ALL = "solve-all"
GALLERY = "design-gallery"
DESIGNS, CANCELLED = "designs", "cancelled-designs"
RELATIVES, ASKED_RELATIVES = "relatives", "asked-relatives"
VOLUME_VIEW = "volume-view"
UPLOAD = "upload"
SOLVE_LARGE, PREDICT_BLOCKS = "solve-large", "predict-blocks"
UPLOAD_SHOWN, UPLOAD_READ, UPLOAD_BLOCKS = "upload-shown", "upload-read", "upload-blocks"
FILES, PREDICT_FILES = "files-table", "predict-files"
LATENT_MAP = "latent-map"
MAP_PLANE, MAP_SHADE = "map-plane", "map-shade"
MAP_DESIGNS, MAP_SHORTLIST = "map-designs", "map-shortlist"
MAP_GALLERY, MAP_PLACE, MAP_PART = "map-gallery", "map-place", "map-part"
WALK_KIND, WALK_ENDS, WALK_AXIS = "walk-kind", ("walk-from", "walk-to"), "walk-axis"
WALK_SEED, WALK_STEP, WALK_PROPERTIES = "walk-seed", "walk-step", "walk-properties"
WALK_GALLERY = "walk-gallery"
EXPLORED = "explored"
MODEL_PART = "part"
REFINEMENT_KIND = "refinement-kind"
REFINE_TOLERANCE = "refine-tolerance"
REFINE_SOLVES = "refine-solves"
REFINE_RUN = "refine-run"
REFINE_DESIGN = "refine-design"
REFINE_NEWS = "refine-news"
REFINED_VIEW = "refined-view"
KEPT_INPUTS = "kept-inputs"
INPUTS_LEFT = "inputs-left"
LINK_NOTICES = "link-notices"
COMPARE_VIEW = "compare-gallery"
SOLVE_SHORTLIST = "solve-shortlist"
SESSION_FILE = "session-file"
SESSION_MESSAGE = "session-message"
RENAMED = "renamed"
PUT_ASIDE = "put-aside"
_ENTERED = "entered"
_WANTED_PAGE = "wanted-page"
_PAGE = "page"
_ARRIVED = "arrived"
_SESSION = "session-name"
_VOLUME = "volume"
_EXAMPLE = "example"
_SHORTLIST = "shortlist"
_REFINEMENTS = "refinements"

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "results"
"""Records of the benchmarks."""
MAX_EDGE = 128
"""Edge of the largest cube that the Predict page takes [voxel]: the command line takes more."""


def value_key(name: str) -> str:
    """Key of the slider of a property."""
    return name


def range_key(name: str) -> str:
    """Key of the slider of a property that has two handles."""
    return f"{name}_range"


def mode_key(name: str) -> str:
    """Key of the choice between free, value and range of a property."""
    return f"{name}_is"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How many designs, which, and how large."""

    count: int
    seed: int
    size: int
    """Voxels per edge."""
    component: int | None
    """The only mixture component, from 0, or None for all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVolume:
    """What the Predict page shows."""

    name: str
    """File name of the user, or what the volume is."""
    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (X, Y, Z)."""
    upload: str = ""
    """Which uploaded file it is of; empty where it is of none."""

    @property
    def hash(self) -> str:
        """Hash of the volume."""
        return volume_hash(self.volume)


@st.cache_resource(show_spinner="Loading the model …")
def _load_checkpoint() -> Checkpoint:
    # Sessions and the solver share the processors: threads that wait for each other cost all of them more.
    torch.set_num_threads(1)
    return load_checkpoint()


def enter_app() -> None:
    """Note that the app runs its pages, and open the one that was asked for before it did."""
    st.session_state[_ENTERED] = True
    wanted = st.session_state.pop(_WANTED_PAGE, None)
    if wanted is not None:
        st.switch_page(wanted)


def start_page(path: str) -> Checkpoint:
    """The shipped checkpoint, shared and never changed; without it the page says so and ends.

    Until the app has run once in a server, Streamlit runs the file of a page that is opened by its own
    address instead of the app: then the app is run first.

    Args:
        path: File of the page, from the root of the app.
    """
    if not st.session_state.get(_ENTERED):
        st.session_state[_WANTED_PAGE] = path
        st.switch_page("app.py")
    st.session_state[_ARRIVED] = st.session_state.get(_PAGE) != path
    st.session_state[_PAGE] = path
    try:
        return _load_checkpoint()
    except (CheckpointError, OSError) as error:
        st.error(f"The model could not be loaded. {sentence(str(error))}")
        st.info(
            "`python -m vaereg generate` and `python -m vaereg train` make one; then load this page again."
        )
        st.stop()


def has_arrived() -> bool:
    """Whether the session was on another page before this run."""
    return st.session_state[_ARRIVED]


@st.cache_resource(show_spinner=False)
def solver() -> SolverQueue:
    """The background solver of all sessions."""
    queue = SolverQueue()
    queue.close_with_program()
    return queue


def session_name() -> str:
    """What the background solver calls this session."""
    return st.session_state.setdefault(_SESSION, uuid4().hex)


def watch(
    checkpoint: Checkpoint, volumes: Sequence[NDArray[np.uint8]], asked: Sequence[bool] | None = None
) -> list[Outcome]:
    """Have the solver work on the volumes that this session shows now; what is known of them so far.

    Args:
        checkpoint: Whose materials count.
        volumes: What is shown, the most wanted first.
        asked: Which of them the solver is to work on; all if left out.
    """
    materials = checkpoint.model.materials
    wanted = volumes if asked is None else [v for v, one in zip(volumes, asked, strict=True) if one]
    solver().watch(session_name(), wanted, materials)
    return known(checkpoint, volumes)


def known(checkpoint: Checkpoint, volumes: Sequence[NDArray[np.uint8]]) -> list[Outcome]:
    """What the solver knows of volumes, without asking it to work on them."""
    return solver().known(volumes, checkpoint.model.materials)


def shortlist() -> list[ShortlistItem]:
    """The volumes that this session has put aside, in the order in which it did."""
    return list(st.session_state.get(_SHORTLIST, []))


def add_to_shortlist(item: ShortlistItem) -> bool:
    """Put a volume aside, once; whether it is there now. A full shortlist says so in a toast."""
    try:
        st.session_state[_SHORTLIST] = add_item(shortlist(), item)
    except ValueError as error:
        st.toast(sentence(str(error)))
        return False
    return True


def is_in_shortlist(volume: NDArray[np.uint8]) -> bool:
    """Whether this volume was put aside."""
    return volume_hash(volume) in {item.hash for item in shortlist()}


def toggle_in_shortlist(item: ShortlistItem) -> None:
    """Put a volume aside or, where it is already, take it out."""
    if is_in_shortlist(item.volume):
        remove_from_shortlist(item.hash)
    else:
        add_to_shortlist(item)


def remove_from_shortlist(volume: str) -> None:
    """Take the volume of this hash out of the shortlist."""
    set_shortlist([item for item in shortlist() if item.hash != volume])


def rename_in_shortlist(volume: str, name: str) -> None:
    """Give the volume of this hash another name."""
    taken = {item.name for item in shortlist() if item.hash != volume}
    set_shortlist(
        [replace(item, name=free_name(name, taken)) if item.hash == volume else item for item in shortlist()]
    )


def set_shortlist(items: Sequence[ShortlistItem]) -> None:
    """Put these volumes in place of the shortlist."""
    st.session_state[_SHORTLIST] = list(items)


def refinements() -> list[Run]:
    """The refinements of this session with what is known of them now, the oldest first."""
    found = [refreshed(run, solver().progress) for run in st.session_state.get(_REFINEMENTS, [])]
    set_refinements(found)
    return found


def set_refinements(runs: Sequence[Run]) -> None:
    """Put these refinements in place of those of this session."""
    st.session_state[_REFINEMENTS] = list(runs)


def complete_shortlist(checkpoint: Checkpoint) -> list[ShortlistItem]:
    """The shortlist, with what the solver has found since; what it found stays with the volumes."""
    items = shortlist()
    for i, (item, found) in enumerate(
        zip(items, known(checkpoint, [one.volume for one in items]), strict=True)
    ):
        if not isinstance(found, HomogenizationResult) or item.tolerance is not None:
            continue
        if item.stiffness is None or np.array_equal(item.stiffness, found.stiffness):
            items[i] = replace(item, stiffness=found.stiffness, tolerance=RTOL)
    set_shortlist(items)
    return items


@st.cache_resource(max_entries=512, show_spinner=False)
def _predict(
    _checkpoint: Checkpoint, checkpoint_hash: str, name: str, _volume: NDArray[np.uint8]
) -> Prediction:
    return predict(_checkpoint, _volume[None])


def predict_volume(checkpoint: Checkpoint, volume: NDArray[np.uint8]) -> Prediction:
    """Prediction for one volume of shape (X, Y, Z); computed once, for all sessions."""
    return _predict(checkpoint, checkpoint.hash, volume_hash(volume), volume)


def shown_volume() -> ShownVolume:
    """The volume of the Predict page; an example until there is another."""
    if _VOLUME not in st.session_state:
        show_example()
    return st.session_state[_VOLUME]


def show_volume(name: str, volume: NDArray[np.uint8], *, upload: str = "") -> None:
    """Show another volume on the Predict page, such as one of an uploaded file."""
    st.session_state[_VOLUME] = ShownVolume(name=name, volume=volume, upload=upload)


def show_example(size: int = 32) -> None:
    """Show the next generated volume on the Predict page."""
    number = st.session_state.get(_EXAMPLE, -1) + 1
    st.session_state[_EXAMPLE] = number
    family = list(FAMILIES)[(3 * number + 1) % len(FAMILIES)]
    sample = generate(family, size, generator=np.random.default_rng(number))
    show_volume(f"example {number + 1}, {family}", sample.volume)


def plain(text: str) -> str:
    """Text from outside, with every character that Markdown gives a meaning escaped."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return escaped.replace(":material", ":\u2060material")  # icons are looked for after Markdown is read


def sentence(text: str) -> str:
    """A message of the library, which is a clause, as a sentence of the page."""
    text = text.strip().rstrip(".")
    of_file = re.search(r"\.[A-Za-z]\w{1,4}$", text.partition(": ")[0])  # which begins with its name
    return plain(text if of_file else text[:1].upper() + text[1:]) + "."
