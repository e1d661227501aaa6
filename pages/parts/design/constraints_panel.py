"""Constraints and the length of a voxel in the sidebar: what every design has to meet besides its targets."""

from dataclasses import replace

import streamlit as st

from pages.parts.common.requests.constraints import CHIPS, constraint_words
from pages.parts.common.requests.controls import controlled, first_of, fresh
from pages.parts.common.requests.current import current_request, set_request
from pages.parts.common.requests.request import LENGTH_UNITS, VoxelLength
from pages.parts.common.sessions import state
from vaereg.inverse.constraints import Constraints
from vaereg.microstructure.symmetry import SYMMETRIES
from vaereg.model.checkpoint import Checkpoint

__all__ = ["constraints_box"]

_KEYS = {"chips": "constraint-chips", "symmetry": "constraint-symmetry", "feature": "constraint-feature"}
_VOXEL, _UNIT = "voxel-length", "voxel-unit"
_MOST_FEATURE = 12.0
"""Largest feature that can be asked for [voxel]."""


def constraints_box(checkpoint: Checkpoint) -> None:
    """Inputs of constraints and of the voxel's edge; a box that is closed says what of them is in force."""
    box = st.expander("Constraints and lengths", key=state.CONSTRAINTS_BOX, on_change="rerun")
    if box.open:  # the browser takes long for what it has to lay out, in sight or not
        with box:
            _constraint_inputs(checkpoint)
            _voxel_inputs(checkpoint)
        return
    request = current_request(checkpoint)
    words = [constraint_words(name, request) for name in request.constraints.names]
    if request.voxel:
        words.append(f"voxel of {request.voxel.text(1)}")
    if words:
        st.caption(f"**In force**: {', '.join(words)}")


def _constraint_inputs(checkpoint: Checkpoint) -> None:
    """Chips of what every design has to meet, symmetry and least feature."""
    request = current_request(checkpoint)
    constraints = request.constraints
    chosen = [name for name in CHIPS if name in constraints.names]
    arguments = {"on_change": _take, "args": (checkpoint,)}
    st.pills(
        "Constraints",
        list(CHIPS),
        default=chosen,
        selection_mode="multi",
        format_func=CHIPS.__getitem__,
        key=controlled(_KEYS["chips"], chosen),
        help="Each is checked on the voxels of every design, and its card says if it is met. Islands are "
        "parts of the stiff phase apart from the rest; closed pores are parts of the soft phase.",
        **arguments,
    )
    unit = request.voxel.unit if request.voxel else "voxel"
    factor = request.voxel.value if request.voxel else 1.0
    least = constraints.min_feature_stiff or constraints.min_feature_soft
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            "Symmetry",
            first_of(SYMMETRIES, constraints.symmetry),
            key=controlled(_KEYS["symmetry"], constraints.symmetry),
            help="Mirrors and quarter turns of the voxels: the stiffness has the symmetry exactly.",
            **arguments,
        )
        st.number_input(
            f"Least feature [{unit}]",
            0.0,
            _MOST_FEATURE * factor,
            float(least * factor),
            step=factor,
            format="%g",
            key=controlled(_KEYS["feature"], float(least * factor)),
            help="Balls of this diameter fill both phases; 0 for none.",
            **arguments,
        )
    if least and request.voxel:
        st.caption(f"Least feature: {least:g} voxels, {request.voxel.text(least)}.")


def _take(checkpoint: Checkpoint) -> None:
    request = current_request(checkpoint)
    former = request.constraints
    chips = set(fresh(_KEYS["chips"], [name for name in CHIPS if name in former.names]))
    factor = request.voxel.value if request.voxel else 1.0
    least = former.min_feature_stiff or former.min_feature_soft
    feature = round(fresh(_KEYS["feature"], least * factor) / factor, 6)
    untouched = feature == least
    constraints = Constraints(
        min_feature_stiff=former.min_feature_stiff if untouched else feature,
        min_feature_soft=former.min_feature_soft if untouched else feature,
        connected={
            phase: former.connected.get(phase, "xyz")
            for phase in ("stiff", "soft")
            if f"connected_{phase}" in chips
        },
        no_islands="no_islands" in chips,
        no_closed_pores="no_closed_pores" in chips,
        symmetry=fresh(_KEYS["symmetry"], former.symmetry),
        volume_fraction=former.volume_fraction,
    )
    set_request(checkpoint, replace(request, constraints=constraints))


def _voxel_inputs(checkpoint: Checkpoint) -> None:
    """Edge of a voxel: chosen once, used by all lengths."""
    request = current_request(checkpoint)
    arguments = {"on_change": _take_voxel, "args": (checkpoint,)}
    unit = request.voxel.unit if request.voxel else st.session_state.get(_UNIT, "µm")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.number_input(
            "Edge of a voxel",
            1e-6,
            1e6,
            request.voxel.value if request.voxel else None,
            format="%g",
            placeholder="not set",
            key=controlled(_VOXEL, request.voxel.value if request.voxel else None),
            help="All lengths follow from it: the cell, features, axes of scenes, meshes of exports.",
            **arguments,
        )
        st.selectbox(
            "Unit",
            first_of(LENGTH_UNITS, unit),
            key=controlled(_UNIT, unit),
            width=90,
            **arguments,
        )
    if request.voxel:
        edge = request.voxel.text(request.size)
        st.caption(f"A cell of {request.size}³ voxels has edges of {edge}.")


def _take_voxel(checkpoint: Checkpoint) -> None:
    request = current_request(checkpoint)
    value = fresh(_VOXEL, request.voxel.value if request.voxel else None)
    unit = fresh(_UNIT, request.voxel.unit if request.voxel else st.session_state[_UNIT])
    voxel = None if not value else VoxelLength(value=float(value), unit=unit)
    set_request(checkpoint, replace(request, voxel=voxel))
