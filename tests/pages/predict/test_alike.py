"""Designs like the volume of the Predict page: what is asked for, and the way to the Design page."""

from types import SimpleNamespace

import numpy as np
import pytest
from dashboard import asked_for
from predicting import cell, npy, upload
from streamlit.testing.v1 import AppTest

from pages.parts.predict import alike
from pages.parts.predict.alike import asked_values
from vaereg.elasticity import isotropic_stiffness
from vaereg.materials import TwoPhase, phase_by_name
from vaereg.model.modes.catalogue import MODE_NAMES

PAIR = TwoPhase(phase_by_name("aluminium"), phase_by_name("void"))


def test_moduli_of_directions_that_carry_a_load_are_asked_for() -> None:
    assert asked_values(isotropic_stiffness(10.0, 0.3), 0.5, PAIR) == {"E_x": 10.0, "E_y": 10.0, "E_z": 10.0}
    columns = np.diag([1e-9, 1e-9, 20.0, 1e-9, 1e-9, 1e-9])
    assert asked_values(columns, 0.4, PAIR) == {"E_z": 20.0}
    assert asked_values(1e-9 * np.eye(6), 0.2345, PAIR) == {"volume_fraction": pytest.approx(0.234, abs=1e-3)}


def test_designs_like_a_volume_are_asked_for_but_for_a_change(
    app_of_modes: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = np.eye(len(MODE_NAMES))[[MODE_NAMES.index("grains")]]
    classifier = SimpleNamespace(predict_proba=lambda volumes: None, mode_proba=lambda probabilities: votes)
    monkeypatch.setattr(alike, "load_classifier", lambda: classifier)
    opened = property(lambda panel: True, lambda panel, value: None)
    monkeypatch.setattr("streamlit.elements.lib.mutable_popover_container.PopoverContainer.open", opened)
    page = app_of_modes.switch_page("pages/predict.py").run()
    upload(page, ("scan.npy", npy(cell())))
    (mode,) = [item for item in page.selectbox if item.label == "Mode of the designs"]
    assert mode.value == "grains"
    numbers = {item.label: item for item in page.number_input}
    kept = numbers["Ey [GPa]"].value
    numbers["Ex [GPa]"].set_value(31.0).run()
    page.button("alike-go").click().run()
    assert not page.exception and page.title[0].value.startswith(("Designs for", "No designs for"))
    request = asked_for(page)
    assert request.modes == ("grains",)
    assert {item.name: item.low for item in request.wanted}["E_x"] == 31.0
    assert {item.name: item.high for item in request.wanted}["E_y"] == kept
