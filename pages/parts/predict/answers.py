"""The full answer for a volume and any pair of phases, computed once for all sessions, and its panels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from pages.parts.common import widgets
from vaereg.elasticity import VOIGT_ORDER
from vaereg.engineering import ENGINEERING_NAMES
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.model.pairs.regressor import (
    CONDUCTION_RESIDUAL,
    PairModel,
    StiffnessPrediction,
    engineering_spread,
    load_pair_model,
    predict_stiffness,
)
from vaereg.solver.conduction import conduct
from vaereg.solver.properties import elastic_properties

__all__ = ["LARGEST", "PairOutcome", "conduction_panel", "constants_table", "matrix_panel", "predict_pair"]

LARGEST = 128**3
"""Voxels up to which volumes are answered: the fields of six load cases take about 1 GB there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairOutcome:
    """Answers on one volume that need no full solve."""

    stiffness: StiffnessPrediction
    """Predicted stiffness and guaranteed bounds."""
    conductivity: NDArray[np.float64] | None
    """Solved conductivity, shape (3, 3) [W/(m K)]; None where a phase has none."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """Predicted stiffness, shape (6, 6) [GPa]."""
        return self.stiffness.mean[0]

    @property
    def std(self) -> NDArray[np.float64]:
        """Its standard deviation, shape (6, 6) [GPa]."""
        return self.stiffness.std[0]


def predict_pair(volume: NDArray[np.uint8], pair: TwoPhase) -> PairOutcome:
    """The answer for a volume of shape (X, Y, Z); computed once for all sessions."""
    model = _pair_model()
    return _predict(model, model.hash, volume_hash(volume), repr(pair), volume, pair)


@st.cache_resource(show_spinner=False)
def _pair_model() -> PairModel:
    return load_pair_model()


@st.cache_resource(max_entries=256, show_spinner=False)
def _predict(
    _model: PairModel, model: str, name: str, phases: str, _volume: NDArray[np.uint8], _pair: TwoPhase
) -> PairOutcome:
    conductivity = None
    if _pair.stiff.conductivity is not None and _pair.soft.conductivity is not None:
        result = conduct(_volume, _pair, rtol=CONDUCTION_RESIDUAL, dtype=np.float32, raise_on_failure=False)
        conductivity = result.conductivity
    return PairOutcome(stiffness=predict_stiffness(_model, [_volume], [_pair]), conductivity=conductivity)


def constants_table(outcome: PairOutcome | None, solved: dict[str, float | None] | None) -> pd.DataFrame:
    """Engineering constants with their spread, beside the solver's by name, as far as they are there."""
    spreads: dict[str, tuple[float | None, float | None]] = dict.fromkeys(ENGINEERING_NAMES, (None, None))
    if outcome is not None:
        spreads = engineering_spread(outcome.mean, outcome.std)
    rows = []
    for name in ENGINEERING_NAMES:
        value, spread = spreads[name]
        row = {"Constant": f"{name} [{'-' if name.startswith('nu') or name == 'anisotropy' else 'GPa'}]"}
        row |= {"Predicted": _text(value), "± std": _text(spread)}
        rows.append(row | {"Solver": _text(None if solved is None else solved[name])})
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
