"""A model with named modes on the pages: names, sentences and prospects in place of numbers and weights."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from dashboard import galleries
from streamlit.testing.v1 import AppTest

from pages.parts.common.first_visit import GLOSSARY
from pages.parts.common.requests import modes
from pages.parts.common.sessions import state
from pages.parts.common.views.figures import COMPONENT_COLORS
from pages.parts.compare.export_panel import item_provenance
from pages.parts.design.outlook import mode_outlook, probability_text
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES, MODES

INNER_WORDS = re.compile(r"\b(components?|weights?|latent|closed-foam)\b", re.IGNORECASE)
"""Words that only the Model and Explore pages use."""


@pytest.fixture(scope="module")
def checkpoint(modes_checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(modes_checkpoint_path)


@pytest.fixture
def visit(app_of_modes: AppTest, checkpoint: Checkpoint) -> AppTest:
    """The app, about to be opened by a link to four designs with the middle of the training data."""
    middle = np.median(checkpoint.fitted.property_quantiles, axis=0)
    for name, value in zip(("C11", "C22", "C33"), middle, strict=False):
        app_of_modes.query_params[name] = f"{value:.1f}"
    app_of_modes.query_params[state.COUNT] = "4"
    return app_of_modes


def words(app: AppTest) -> str:
    """All text of a page, helps included, but for the glossary, which explains the inner words."""
    kinds = ("title", "subheader", "markdown", "caption", "metric", "button", "selectbox", "multiselect")
    texts = [str(galleries(app)), *(name for table in app.dataframe for name in table.value)]
    for element in itertools.chain.from_iterable(getattr(app, kind) for kind in kinds):
        texts += [str(getattr(element, name, "")) for name in ("label", "value", "help", "delta")]
    texts = [text for text in texts if not all(word in text for word in GLOSSARY)]
    return " ".join(texts).replace("'weight':", "")  # of the protocol of the gallery


def test_names_of_modes() -> None:
    assert [modes.mode_title(name) for name in ("closed-foam", "fibres")] == ["Closed foam", "Fibres"]
    assert all(modes.mode_named(modes.mode_title(name)) == name for name in MODE_NAMES)
    assert modes.mode_named("Component 3") == ""
    assert modes.with_titles("the mode closed-foam does not") == "the mode closed foam does not"
    assert [probability_text(value) for value in (0.344, 1e-4)] == ["34 % likely", "under 1 % likely"]


def test_a_component_of_another_model_has_its_number(
    checkpoint: Checkpoint, tiny_checkpoint: Checkpoint
) -> None:
    assert modes.component_title(checkpoint, 6, made_by=checkpoint.hash) == "Closed foam"
    assert modes.component_title(checkpoint, 6, made_by="another") == "Component 7"
    assert modes.component_title(tiny_checkpoint, 1) == "Component 2"


def test_colours_of_modes_differ_and_are_seen_on_both_grounds() -> None:
    assert len(COMPONENT_COLORS) >= len(MODES)
    many = [modes.component_color(index) for index in range(2 * len(COMPONENT_COLORS))]
    assert many[: len(COMPONENT_COLORS)] == list(COMPONENT_COLORS) and len(set(many)) == len(many)

    def light(color: str) -> np.ndarray:
        red_green_blue = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        return np.where(
            red_green_blue <= 0.04045, red_green_blue / 12.92, ((red_green_blue + 0.055) / 1.055) ** 2.4
        )

    def contrast(first: str, second: str) -> float:
        low, high = sorted(float(light(color) @ [0.2126, 0.7152, 0.0722]) for color in (first, second))
        return (high + 0.05) / (low + 0.05)

    for color in COMPONENT_COLORS:
        assert min(contrast(color, ground) for ground in ("#ffffff", "#10151c")) >= 3.0
    for first, second in itertools.combinations(COMPONENT_COLORS, 2):
        assert np.abs(light(first) - light(second)).max() > 0.08


def test_the_outlook_says_who_reaches_a_target(checkpoint: Checkpoint, tiny_checkpoint: Checkpoint) -> None:
    middle = float(np.median(checkpoint.fitted.property_quantiles, axis=0)[0])
    outlook = {mode.name: mode for mode in mode_outlook(checkpoint, {"C11": middle})}
    assert [name for name, mode in outlook.items() if mode.reached] == ["closed-foam", "grains"]
    assert outlook["closed-foam"].probability == pytest.approx(0.5)
    assert 0.1 * middle <= outlook["fibres"].nearest["C11"] < 0.2 * middle
    assert outlook["pores"].nearest == {}
    assert mode_outlook(tiny_checkpoint, {"C11": middle}) == []


def test_designs_are_named_by_their_modes(visit: AppTest) -> None:
    visit.session_state[state.TABLE_BOX] = True
    app = visit.run()
    assert not app.exception
    rows = galleries(app)[0]["rows"]
    assert [row["title"] for row in rows] == ["Closed foam", "Grains"]
    assert rows[0]["note"] == "50 % likely" and rows[0]["character"] == "Stiff walls around soft cells."
    (table,) = [item.value for item in app.dataframe if "Mode" in item.value]
    assert table["Mode"].tolist() == ["Closed foam"] * 2 + ["Grains"] * 2
    (told,) = [item.proto.body for item in app.get("html") if "Out of reach" in item.proto.body]
    assert "<b>Fibres</b>" in told and "Nearest C11" in told
    assert not INNER_WORDS.findall(words(app))
    # one of them is put aside and compared
    next(button for button in app.button if button.label == "Add to the shortlist").click().run()
    app.switch_page("pages/compare.py").run()
    assert not app.exception
    assert galleries(app)[0]["panels"][0]["title"].startswith(("A · Closed foam #", "A · Grains #"))
    (table, *_) = [item.value for item in app.dataframe if "Mode" in item.value]
    assert table["Mode"].item() in ("Closed foam", "Grains")
    (item,) = app.session_state[state.SHORTLIST]
    assert modes.mode_title(item_provenance(item).mode) == table["Mode"].item()
    assert not INNER_WORDS.findall(words(app))
    app.switch_page("pages/model.py")
    app.query_params[state.MODEL_PART] = "Modes"
    app.run()
    assert not app.exception
    (table,) = [item.value for item in app.dataframe if "Look" in item.value]
    assert sum(table["Training volumes"]) == 3


def test_modes_are_chosen_by_chips_and_by_links(visit: AppTest) -> None:
    visit.query_params[state.CHOSEN_MODES] = ["Grains", "Fibres"]
    app = visit.run()
    assert not app.exception
    assert [row["title"] for row in galleries(app)[0]["rows"]] == ["Grains"]
    app.button_group(key=state.CHOSEN_MODES).set_value(["grains", "closed-foam"]).run()
    assert [row["title"] for row in galleries(app)[0]["rows"]] == ["Closed foam", "Grains"]
    app.button_group(key=state.CHOSEN_MODES).set_value(["fibres"]).run()
    assert not app.exception
    assert "mode fibres does not" in app.warning[0].value
    app.button_group(key="nearest-of").set_value("fibres").run()
    assert [row["title"] for row in galleries(app)[0]["rows"]] == ["Fibres"]


def test_a_link_to_a_component_of_another_model_is_told(visit: AppTest) -> None:
    visit.query_params[state.COMPONENT] = "3"
    app = visit.run()
    assert not app.exception
    assert "a component of another model" in app.warning[0].value
    assert [row["title"] for row in galleries(app)[0]["rows"]] == ["Closed foam", "Grains"]
