"""The panels of the full answer for a volume and any pair of phases."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from pages.parts.common.answers import PairOutcome
from pages.parts.common.requests.quantities import axis_title, guaranteed_text
from vaereg.elasticity import VOIGT_ORDER
from vaereg.engineering import ENGINEERING_NAMES
from vaereg.materials import TwoPhase
from vaereg.model.pairs.spread import engineering_spread
from vaereg.solver.properties import elastic_properties

__all__ = ["conduction_panel", "constants_table", "matrix_panel"]


def constants_table(
    outcome: PairOutcome | None,
    solved: dict[str, float | None] | None,
    ends: NDArray[np.float64],
) -> pd.DataFrame:
    """Engineering constants with their spread, beside the solver's by name, as far as they are there.

    Args:
        outcome: The prediction.
        solved: Constants by the solver.
        ends: Guaranteed ends of each, shape (number of constants, 2).
    """
    spreads: dict[str, tuple[float | None, float | None]] = dict.fromkeys(ENGINEERING_NAMES, (None, None))
    if outcome is not None:
        spreads = engineering_spread(outcome.mean, outcome.std)
    rows = []
    for name, (low, high) in zip(ENGINEERING_NAMES, ends.tolist(), strict=True):
        value, spread = spreads[name]
        row = {"Constant": axis_title(name)}
        spread_text = "" if spread is None else f" ± {spread:.2g}"
        row |= {"Predicted ± std": _text(value) + spread_text}
        row |= {"Solver": _text(None if solved is None else solved[name])}
        rows.append(row | {"Guaranteed": guaranteed_text(name, low, high)})
    return pd.DataFrame(rows)


def matrix_panel(outcome: PairOutcome) -> None:
    """The whole stiffness with its spread, and the guaranteed bounds of it as a matrix."""
    left, right = st.columns(2, gap="medium")
    left.caption("Predicted stiffness ± standard deviation [GPa], Voigt order with engineering shear")
    with left:
        _matrix(outcome.mean, outcome.std, "stiffness-matrix")
    prediction = outcome.stiffness
    right.caption(
        f"Guaranteed for any volume: lower ≤ C ≤ upper as matrices, after {prediction.iterations[0]} "
        "iterations of the solver; entries as lower … upper [GPa]"
    )
    frame = pd.DataFrame(
        {
            name: [f"{prediction.lower[0, i, j]:.4g} … {prediction.upper[0, i, j]:.4g}" for i in range(6)]
            for j, name in enumerate(VOIGT_ORDER)
        },
        index=list(VOIGT_ORDER),
    )
    right.dataframe(frame, key="guaranteed-matrix")


def conduction_panel(outcome: PairOutcome, fraction: float, pair: TwoPhase) -> None:
    """Conductivity, thermal expansion, density and what follows, as far as the phases say."""
    known = elastic_properties(outcome.mean, fraction, pair)
    missing = []
    if outcome.conductivity is None:
        missing.append("a conductivity")
    else:
        st.caption("Conductivity, solved [W/(m K)]")
        frame = pd.DataFrame(outcome.conductivity, index=list("xyz"), columns=list("xyz"))
        st.dataframe(frame.map(lambda value: f"{value:.4g}"), key="conductivity-matrix")
    rows: dict[str, float] = {}
    if "thermal_expansion" in known:
        rows |= {
            f"Expansion {name} [1e-6/K]": np.nan if value is None else value
            for name, value in zip(VOIGT_ORDER, known["thermal_expansion"], strict=True)
        }
    else:
        missing.append("a thermal expansion")
    if "density" in known:
        rows["Density [g/cm³]"] = known["density"]
        rows |= {f"{name}": value for name, value in known.get("specific", {}).items()}
        for axis, speeds in known.get("wave_speeds", {}).items():
            rows |= {f"Wave {number + 1} along {axis} [km/s]": speed for number, speed in enumerate(speeds)}
    else:
        missing.append("a density")
    if rows:
        values = [_text(None if np.isnan(value) else value) for value in rows.values()]
        widgets.show_table(
            pd.DataFrame({"Quantity": list(rows), "Value": values}), "thermal-table", missing="–"
        )
    if missing:
        st.info(f"Not every phase has {', '.join(missing)}: choose materials of the library, or state them.")


def _matrix(mean: NDArray[np.float64], std: NDArray[np.float64], key: str) -> None:
    frame = pd.DataFrame(
        {
            name: [f"{mean[i, j]:.4g} ± {std[i, j]:.2g}" for i in range(6)]
            for j, name in enumerate(VOIGT_ORDER)
        },
        index=list(VOIGT_ORDER),
    )
    st.dataframe(frame, key=key)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
