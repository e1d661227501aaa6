"""The mesh check of a volume, on request."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import background, widgets
from pages.parts.common.sessions import state
from pages.parts.common.text import sentence
from pages.parts.solving.queue import QueueFullError
from pages.parts.solving.tasks import MeshTask
from vaereg.materials import TwoPhase
from vaereg.solver.grid_check import MeshCheck


def mesh_at_work(volume: NDArray[np.uint8], materials: TwoPhase) -> bool:
    """Whether the mesh check of a volume is waiting or running."""
    progress = background.solver().progress(MeshTask(volume=volume, materials=materials))
    return progress is not None and progress.status in ("waiting", "running")


def mesh_panel(volume: NDArray[np.uint8], materials: TwoPhase) -> None:
    """How much the grid matters, on request."""
    task = MeshTask(volume=volume, materials=materials)
    progress = background.solver().progress(task)
    if progress is None or progress.status == "failed":
        if progress is not None:
            st.error(f"The mesh check failed. {sentence(str(progress.error))}")
        st.write(
            "A voxel grid is stiffer than the continuum. The check splits each voxel into 2 × 2 × 2 and "
            "solves again."
        )
        if volume.size > state.MAX_EDGE**3 // 8:
            st.info("This volume is too large for a mesh check in this page.")
        elif st.button("Check the mesh"):
            try:
                background.solver().start(background.session_name(), [task], owner=background.owner_name())
            except QueueFullError:
                st.toast("The solver has much to do: ask again in a while.")
            else:
                st.rerun()
        return
    if isinstance(progress.result, MeshCheck):
        table = {
            "This grid [GPa]": np.diag(progress.result.coarse.stiffness),
            "Refined by two [GPa]": np.diag(progress.result.fine.stiffness),
            "Change [%]": 100 * progress.result.change,
        }
        widgets.show_table(widgets.property_table(table), key="mesh-table", missing="–")
        return
    st.write("The mesh check is at work …")
    if st.button("Cancel the mesh check"):
        background.solver().cancel(background.session_name(), [task])
        st.rerun()
