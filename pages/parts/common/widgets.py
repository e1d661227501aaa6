"""Groups of inputs and figures that the pages share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray
from streamlit.elements.lib.mutable_tab_container import TabContainer

from pages.parts.common.sessions import put_aside, state
from pages.parts.common.sessions.shortlist import ShortlistItem
from pages.parts.solving.queue import Outcome
from pages.parts.solving.tasks import MOST_CONTRAST
from vaereg.elasticity import PROPERTIES
from vaereg.model.prediction import Prediction
from vaereg.solver.homogenization import HomogenizationResult

if TYPE_CHECKING:  # the first designs of a server do not wait for it
    import pandas as pd

PLAIN: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}

_LONG = 30
"""Letters of a cell of a table that are shown."""
PROPERTY_HELP = (
    "C11, C22, C33: stress per strain along x, y, z, all other strains held at zero. C44, C55, C66: shear "
    "stress per shear strain in the planes y-z, x-z, x-y."
)
SOLVER_HELP = (
    "Finite elements on the voxels, in the background: float32, relative residual 1e-3; float64 and 1e-6 at "
    f"a contrast over {MOST_CONTRAST:.0f}, 1e-4 with a void."
)


def solved_stiffness(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    """The solver's stiffness [GPa], shape (N, 6, 6); NaN where there is none yet."""
    missing = np.full((len(PROPERTIES), len(PROPERTIES)), np.nan)
    rows = [
        outcome.stiffness if isinstance(outcome, HomogenizationResult) else missing for outcome in outcomes
    ]
    return np.array(rows).reshape(-1, len(PROPERTIES), len(PROPERTIES))


def solved(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    """The solver's C11 to C66 [GPa], shape (N, 6); NaN where there are none yet."""
    return np.diagonal(solved_stiffness(outcomes), axis1=1, axis2=2)


def volume_summary(
    prediction: Prediction, mean: NDArray[np.float64], outcome: Outcome, *, asked: bool
) -> None:
    """The line above a volume: what it is, and how far prediction and solver agree.

    Args:
        prediction: For the volume.
        mean: Predicted C11 ... C66 for the phases that are set [GPa], NaN where there are none, shape (6,).
        outcome: Of the solver.
        asked: Whether it was asked.
    """
    applies = bool(np.isfinite(mean).all())
    truth = solved([outcome])[0]
    is_solved = isinstance(outcome, HomogenizationResult)
    novel = not prediction.in_distribution[0]
    error = np.median(np.abs(mean / truth - 1)) if is_solved else np.nan
    with st.container(key="summary"):
        first, second, third, fourth = st.columns([2, 2, 3, 2])
    first.metric(
        "Volume fraction", f"{float(prediction.volume_fraction[0]):.3f}", delta="of the stiff phase", **PLAIN
    )
    second.metric(
        "Novelty",
        f"{float(prediction.novelty[0]):.2f}",
        delta="unlike the training data" if novel else "like the training data",
        help="How far the volume is from the training data, or how far the two predictors disagree on it. "
        "About 99 % of volumes of the known kinds are below 1.",
        **PLAIN,
    )
    third.metric(
        "Prediction against solver",
        f"{100 * error:.1f} %" if is_solved and applies else "…" if asked and applies else "–",
        delta="median difference, C11 to C66",
        **PLAIN,
    )
    text = "done" if is_solved else "failed" if outcome else "at work" if asked else "not asked"
    fourth.metric("Solver check", text, delta="finite elements", help=SOLVER_HELP, **PLAIN)


def shortlist_button(volume: NDArray[np.uint8], make: Callable[[], ShortlistItem], which: str = "") -> None:
    """Puts a volume aside, or takes it out; runs the page again.

    Args:
        volume: Two-phase volume, shape (X, Y, Z).
        make: Gives what is put aside.
        one: Which volume is meant, where a page has such buttons for several: "the refined one ".
    """
    pinned = put_aside.is_in_shortlist(volume)
    st.button(
        f"Take {which}out of the shortlist" if pinned else f"Add {which}to the shortlist",
        help="What is put aside stays through the session, can be compared and exported; the page Explore "
        "shows it on the map.",
        on_click=_put_aside,
        args=(make,),
    )
    if st.session_state.pop(state.PUT_ASIDE, False):
        st.rerun()


def _put_aside(make: Callable[[], ShortlistItem]) -> None:
    put_aside.toggle_in_shortlist(make())
    st.session_state[state.PUT_ASIDE] = True


def lasting_tabs(names: Sequence[str], key: str) -> Sequence[TabContainer]:
    """Tabs of which only the open one needs content; the link names it, and a change of pages keeps it."""
    kept = f"{key}-kept"
    if key not in st.session_state and st.session_state.get(kept) in names:
        st.session_state[key] = st.session_state[kept]
    tabs = st.tabs(names, key=key, bind="query-params")
    st.session_state[kept] = st.session_state[key]
    return tabs


def show_table(table: pd.DataFrame, key: str, *, missing: str, digits: int = 1) -> None:
    """A table of figures with as many digits as they deserve, and what to write where there is none; at least
    three digits of the largest modulus of a column.

    Args:
        table: Its columns, named with their units.
        key: Of the widget.
        missing: What stands where there is no figure.
        digits: After the decimal point, one more for figures without a unit.
    """
    config: dict[Any, Any] = {"Property": st.column_config.TextColumn(help=PROPERTY_HELP)}
    for name, column in table.items():
        if column.dtype.kind in "if":
            places = 0 if column.dtype.kind == "i" else digits + ("[-]" in str(name))
            known = np.abs(column[np.isfinite(column)])
            if "[GPa]" in str(name) and len(known) and known.max() > 0.0:  # three digits of the largest
                places = max(places, 2 - math.floor(math.log10(known.max())))
            config[name] = st.column_config.NumberColumn(format=f"%.{places}f")
            table = table.assign(**{str(name): column.mask(column.abs() < 0.5 * 0.1**places, 0)})  # not -0.0
        elif max(map(len, map(str, column)), default=0) > _LONG:
            config[name] = st.column_config.TextColumn(width=8 * _LONG)  # figures are in sight beside it
    st.dataframe(table, hide_index=True, column_config=config, key=key, placeholder=missing)


def whole_text(texts: Iterable[str]) -> Any:  # noqa: ANN401 (of Streamlit)
    """Column of a table that is wide enough for its texts: by itself it is so for the first rows alone."""
    return st.column_config.TextColumn(width=8 * max(map(len, texts)) + 24)


def property_table(columns: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Columns of six entries each, by property."""
    import pandas as pd

    return pd.DataFrame(
        {"Property": PROPERTIES} | {name: np.asarray(values) for name, values in columns.items()}
    )


def volume_file(volume: NDArray[np.uint8]) -> bytes:
    """A volume as `.npy`."""
    buffer = BytesIO()
    np.save(buffer, volume)
    return buffer.getvalue()
