"""One chosen volume in a full pyvista scene, through stpyvista; a plotly figure where that does not work."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.requests.request import VoxelLength
from pages.parts.common.text import plain
from pages.parts.common.views.figures import isosurface_figure
from vaereg.microstructure.volume import volume_hash

__all__ = ["open_scene"]

_log = logging.getLogger(__name__)
_ROOT = Path(__file__).parents[4]
_PATIENCE = 60.0
"""Longest wait for a scene [s]."""
_HEIGHT = 540
"""Height of the scene [px]."""
_COLORS = {"light": ("#ffffff", "#4a5563"), "dark": ("#10151c", "#aab4c0")}
"""Colours of the background and of lines and letters, by theme."""


class SceneError(RuntimeError):
    """There is no pyvista scene to be had."""


def open_scene(name: str, volume: NDArray[np.uint8], voxel: VoxelLength | None = None) -> None:
    """Show a volume in a window of its own over the page.

    Args:
        name: Title of the window.
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        voxel: Edge of a voxel, for the axes; in voxels without it.
    """

    @st.dialog(plain(name), width="large")
    def show() -> None:
        theme = "dark" if st.context.theme.type == "dark" else "light"
        try:
            with st.spinner("Building the scene …"):
                _show_pyvista(volume, theme, voxel)
            st.caption("Drag to turn, shift and drag to move, wheel to zoom.")
        except SceneError as error:
            _log.warning("no pyvista scene: %s", error)
            st.info("The pyvista scene is not available here; this is a plainer view.")
            st.plotly_chart(
                isosurface_figure(volume),
                key="scene-figure",
                config={"displayModeBar": False},
                alt="Surface of the stiff phase",
            )

    show()


def _show_pyvista(volume: NDArray[np.uint8], theme: str, voxel: VoxelLength | None) -> None:
    """Show the scene with stpyvista's component.

    stpyvista would fork the server for each view, and wait for ever if the fork fails; so the scene is made
    in a process of its own, once, and given to the component as it is.
    """
    page = _scene(volume_hash(volume), volume, theme, voxel)
    try:
        import stpyvista

        length = "" if voxel is None else voxel.text(1.0)
        data = {"_html": page, "backend": "trame", "height": _HEIGHT, "width": 0, "use_container_width": True}
        stpyvista._stpv_component(key=f"scene-{volume_hash(volume)}-{length}", data=data)
    except Exception as error:  # an optional library, of which anything may be missing
        raise SceneError(f"stpyvista: {error}") from error


@st.cache_data(max_entries=16, show_spinner=False)
def _scene(name: str, _volume: NDArray[np.uint8], theme: str, voxel: VoxelLength | None) -> str:
    """The scene as HTML."""
    length = ["1", "voxel"] if voxel is None else [f"{voxel.value:.9g}", voxel.unit]
    command = [sys.executable, "-m", "pages.parts.common.views.scene_file", *_COLORS[theme], *length]
    try:
        done = subprocess.run(
            command,
            check=False,
            input=widgets.volume_file(_volume),
            capture_output=True,
            cwd=_ROOT,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SceneError(str(error)) from error
    if done.returncode or not done.stdout:
        raise SceneError(
            done.stderr.decode(errors="replace").strip()[-2000:] or f"ended by {done.returncode}"
        )
    return done.stdout.decode("utf-8")
