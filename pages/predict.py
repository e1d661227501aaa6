"""Predict: volumes of the user to their stiffness with any two phases, with bounds, beside the solver's."""

import streamlit as st

from pages.parts.common import background, start
from pages.parts.common.requests.current import current_request
from pages.parts.common.requests.materials_panel import pair_line
from pages.parts.common.sessions import state
from pages.parts.common.sessions.shown import predict_volume, show_example, shown_volume
from pages.parts.common.text import plain, sentence
from pages.parts.common.views import mesh_panel
from pages.parts.common.views.copy_panel import copy_panel
from pages.parts.predict import panels
from pages.parts.predict.results import show_results
from pages.parts.predict.upload import chosen_blocks, upload_inputs
from vaereg.commands.copied import copied_volume

POLL = 0.7  # time between two looks at the solver's progress [s]
SMALL = 40**3  # voxels up to which the solver runs unasked: it takes about half a second

checkpoint = start.start_page("pages/predict.py")
with st.sidebar:
    st.subheader("Volume")
    st.button("Show an example", on_click=show_example, help="A generated volume, another one each time.")
    files, problem = upload_inputs()
own = current_request(checkpoint).pair

shown = shown_volume()
st.title(f"Stiffness of {plain(shown.name)}")
with st.container():
    if problem:
        st.error(f"{plain(problem)}. The former volume is still shown.")
reading = "" if shown.read_as is None else f"  \nRead as {plain(shown.read_as.sentence())}"
size = " × ".join(map(str, shown.volume.shape))
st.caption(f"{plain(pair_line(own))} · {size} voxels · hash `{shown.hash[:10]}`{reading}")

try:
    with st.spinner("Predicting …", show_time=True):
        prediction = predict_volume(checkpoint, shown.volume)
except ValueError as error:
    st.error(sentence(str(error)))
    st.stop()
panels.note_file(shown, prediction)
asked = shown.volume.size <= SMALL
choice = st.container()
if not asked:
    asked = choice.toggle(
        "Run the solver on this volume",
        key=state.SOLVE_LARGE,
        help="It takes seconds for 64³ voxels, a minute for 128³. Switch it off to stop.",
        persist_state="session",
    )
scale = panels.scale_of(own, checkpoint.model.materials)
materials = own if scale is None else checkpoint.model.materials
pending = asked and background.solver().watch(background.session_name(), [shown.volume], materials) == [None]
pending = pending or mesh_panel.mesh_at_work(shown.volume, own)
st.fragment(show_results, run_every=POLL if pending else None)(
    checkpoint, shown, prediction, own, asked, pending
)
if (blocks := chosen_blocks()) is not None:
    panels.blocks_panel(checkpoint, blocks, own, scale)
if len(files) > 1:
    panels.files_panel(checkpoint, files, own, scale)
copied = copied_volume("homogenize", materials=own)
copy_panel(copied, "what the solver says of this volume", "copy-solve", shown.volume)
