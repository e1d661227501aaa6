"""What was computed as Python and as a command line, to be copied."""

from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common.widgets import volume_file
from vaereg.commands.copied import Copied

__all__ = ["copy_panel"]


def copy_panel(copied: Copied, what: str, key: str, volume: NDArray[np.uint8] | None = None) -> None:
    """Show a button that opens both.

    Args:
        copied: The computation.
        what: What it makes, such as "these designs".
        key: Of its place on the page.
        volume: Volume that both read from `volume.npy`.
    """
    with st.container(key=key), st.popover("Copy as Python or command", help=f"Make {what} anywhere."):
        st.caption(f"Both make {what} wherever vaereg is installed.")
        if volume is not None:
            st.download_button(
                "Download volume.npy",
                data=partial(volume_file, volume),
                file_name="volume.npy",
                on_click="ignore",
                key=f"{key}-volume",
            )
        st.markdown("**Python**")
        st.code(copied.python, language="python")
        st.markdown("**Command**")
        st.code(copied.command, language="shell")
