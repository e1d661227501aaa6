"""The first visit: three steps, worked examples, help on each page and a glossary."""

from dataclasses import dataclass, replace
from urllib.parse import parse_qs

import streamlit as st

from pages.parts.common.requests.current import current_request, set_request
from pages.parts.common.requests.request_link import read_link
from pages.parts.common.sessions.shown import show_example
from pages.parts.common.sessions.state import FIRST_STEPS
from vaereg.model.checkpoint import Checkpoint

__all__ = ["EXAMPLES", "GLOSSARY", "HELP", "Example", "first_steps", "help_panel"]

SEEN = "first-steps-seen"


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A worked example."""

    title: str
    sentence: str
    """What it asks for."""
    link: str
    """Request as the address has it; empty for a volume in place of a target."""


EXAMPLES = (
    Example(
        title="Glass/epoxy bracket",
        sentence="Stiff along x, light, glass connected.",
        link="stiff=E-glass&soft=epoxy&target=E_x=18&target=E_y=9:14&target=density=:1.9&connected=stiff",
    ),
    Example(
        title="Open foam",
        sentence="Aluminium, a third of its mass, alike along the axes.",
        link="stiff=aluminium&soft=void&target=E_x=3&target=E_y=3&target=E_z=3&target=density=:0.9"
        "&modes=Closed foam&modes=Open foam&modes=Periodic",
    ),
    Example(
        title="Heat spreader",
        sentence="Copper in epoxy that conducts in its plane.",
        link="stiff=copper&soft=epoxy&target=k_x=100:&target=k_y=60:&target=density=:6",
    ),
    Example(title="CT scan", sentence="A volume of your own, or one to begin with.", link=""),
)

_STEPS = (
    "**1 · Materials.** Choose both phases at the top of the sidebar, from the library or your own; the "
    "soft one "
    "may be a void.",
    "**2 · Targets.** Say what you need: values, ranges, at most, at least, as large as possible. Drag "
    "a slider "
    "to see what each kind of structure would look like.",
    "**3 · Designs.** Each card is a structure with its deviation from the target, checked by the "
    "solver. Refine "
    "it, put it aside with the star, compare, export, report.",
)

HELP = {
    "pages/design.py": "From phases and targets to structures of every kind that reach them. Designs "
    "follow each "
    "change at once; the solver checks them in the background. **Refine** brings one onto its target to "
    "a per "
    "cent. **Copy as Python or command** makes the same designs anywhere.",
    "pages/explore.py": "A map of the structures that the model knows, and walks from one to another. Near "
    "points on the map look alike.",
    "pages/predict.py": "A volume of your own, such as a segmented CT scan, to its stiffness with the "
    "phases in "
    "the sidebar: predicted at once, with guaranteed bounds, and solved beside.",
    "pages/compare.py": "What you have put aside, side by side: deviations, ranking, figures, files for "
    "other "
    "programs, and a report to print.",
    "pages/chart.py": "Materials of the library and what each kind of structure reaches with the chosen "
    "phases, "
    "in the plane of two quantities. Draw a box to ask for its ranges.",
    "pages/batch.py": "A table of targets in CSV to designs for every row, made in the background.",
    "pages/model.py": "How the model was made, and how good it is on volumes that it has not seen.",
}
"""What each page is for, by its file."""

GLOSSARY = {
    "Mode": "A kind of structure that has a name, such as closed foam. Statistically a component of the "
    "mixture "
    "from which designs are drawn.",
    "Weight": "How likely a mode is to reach the target, before anything is made.",
    "Latent vector": "The numbers that a structure is decoded from: lengths, orientation, volume fraction.",
    "Contrast": "Young's modulus of the stiff phase over that of the soft one.",
    "Volume fraction": "Share of the cell that is stiff phase.",
    "Off target": "Relative deviation from what was asked for; zero inside a range.",
    "Predicted, solved": "Predicted values come from the model and have an error; solved ones from finite "
    "elements on the voxels.",
    "Guaranteed bounds": "Two matrices between which the stiffness lies for certain, from a few "
    "iterations of "
    "the solver.",
    "Voigt and Reuss bounds": "What the phases allow at a volume fraction, whatever the structure.",
    "E, G, ν, K": "Young's modulus, shear modulus, Poisson ratio and bulk modulus, as a test would "
    "measure them; "
    "Ex is along x, without an axis the mean over all orientations.",
    "C11 … C66": "Entries of the stiffness matrix. C11 holds all other strains at zero and is above Ex.",
    "E/ρ, √E/ρ, ∛E/ρ": "Merit of ties, beams and plates of least mass.",
    "Universal anisotropy": "0 for a material that is alike in all directions.",
    "Novelty": "How unlike the training data a volume is; above 1 predictions are not to be trusted.",
}


def first_steps(checkpoint: Checkpoint) -> None:
    """Three steps, and examples in a click; closed until it is opened."""
    box = st.expander(
        "First steps and examples", key=FIRST_STEPS, icon=":material/school:", on_change="rerun"
    )
    if box.open:  # the browser takes long for what it has to lay out, in sight or not
        with box:
            _steps_and_examples(checkpoint)
    if st.session_state.pop(SEEN, None) == "scan":
        st.switch_page("pages/predict.py")


def _steps_and_examples(checkpoint: Checkpoint) -> None:
    for column, step in zip(st.columns(len(_STEPS), gap="medium"), _STEPS, strict=True):
        column.markdown(step)
    for column, example in zip(st.columns(len(EXAMPLES), gap="small"), EXAMPLES, strict=True):
        column.button(
            example.title,
            key=f"example-{example.title}",
            on_click=_take,
            args=(checkpoint, example),
            width="stretch",
            help=example.sentence,
        )
        column.caption(example.sentence)


def _take(checkpoint: Checkpoint, example: Example) -> None:
    st.session_state[FIRST_STEPS] = False  # its designs are seen at once
    if not example.link:
        show_example()
        st.session_state[SEEN] = "scan"
        return
    request, _ = read_link(parse_qs(example.link), checkpoint)
    if request is not None:
        now = current_request(checkpoint)
        kept = {name: getattr(now, name) for name in ("count", "size", "seed", "voxel")}
        set_request(checkpoint, replace(request, **kept))


def help_panel(path: str) -> None:
    """What a page is for, and the words of all pages.

    Args:
        path: File of the page, from the root of the app.
    """
    with st.popover("Help and glossary", icon=":material/help:", width="stretch"):
        st.markdown(HELP[path])
        st.markdown("\n".join(f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items()))
