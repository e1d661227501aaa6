"""The Explore page: map, selection, neighbours and walks; without a map it says what to do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from dashboard import galleries, new_server
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions import state
from pages.parts.common.views.figures import MAX_POINTS, class_rank, class_style, class_title, drawn_points
from pages.parts.explore import map_state, places
from pages.parts.explore.figures import Shade, histogram_figure, map_figure
from pages.parts.explore.places import design_places, sample_key, sample_number, typical_samples
from pages.parts.explore.warm_up import prepare_map
from vaereg.elasticity import PROPERTIES
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint, save_checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.modes.catalogue import CLASS_MODES, MODE_NAMES
from vaereg.targets import Targets

APP = Path(__file__).parents[3] / "app.py"


def open_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", path)
    new_server()
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.session_state["entered"] = True
    app.switch_page("pages/explore.py").run()
    yield app
    new_server()


@pytest.fixture
def page(
    tmp_path: Path, tiny_checkpoint: Checkpoint, tiny_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    """The page, with the tiny checkpoint and its map."""
    item = tiny_checkpoint
    save_checkpoint(tmp_path / "mapped.pt", item.model, item.config, item.fitted, item.card, tiny_embedding)
    yield from open_page(tmp_path / "mapped.pt", monkeypatch)


def choose(app: AppTest, *keys: str) -> AppTest:
    """Choose places as the map does; AppTest cannot click into a figure."""
    app.session_state[state.EXPLORED] = map_state.Explored(chosen=keys)
    return app.run()


def test_without_a_map_the_page_says_what_to_do(
    tmp_path: Path, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = tiny_checkpoint
    save_checkpoint(tmp_path / "bare.pt", item.model, item.config, item.fitted, item.card)
    for app in open_page(tmp_path / "bare.pt", monkeypatch):
        assert not app.exception
        assert "vaereg train" in app.info[0].value
        assert not app.get("plotly_chart")


def test_the_empty_page_shows_typical_volumes(page: AppTest, tiny_embedding: Embedding) -> None:
    assert not page.exception
    assert "Click" in page.info[0].value
    typical = typical_samples(tiny_embedding)
    shown = [panel["title"] for panel in galleries(page)[0]["panels"]]
    assert set(typical) == set(tiny_embedding.family.tolist())
    assert shown == [class_title(name) for name in typical]


def test_typical_volumes_are_made_before_the_page_is_opened(
    tiny_checkpoint: Checkpoint, tiny_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(places, "_volume", lambda *arguments: made.append(arguments[-1]))
    prepare_map(replace(tiny_checkpoint, embedding=tiny_embedding))
    assert made == list(typical_samples(tiny_embedding).values())
    prepare_map(replace(tiny_checkpoint, embedding=None))  # there is nothing to prepare


def test_a_chosen_sample_stands_before_its_neighbours(page: AppTest, tiny_embedding: Embedding) -> None:
    choose(page, sample_key(5))
    assert not page.exception
    assert page.subheader[0].value.startswith("Sample 5")
    shown = [panel["badge"] for panel in galleries(page)[0]["panels"]]
    nearest = tiny_embedding.nearest(tiny_embedding.latent[5:6], 9)[0]
    assert shown == [f"no. {number}" for number in nearest]
    (table,) = page.dataframe
    np.testing.assert_allclose(table.value["Solver [GPa]"], tiny_embedding.properties[5], rtol=1e-6)


@pytest.mark.parametrize(("box", "told"), [([{"xref": "x"}], 1), ([], 0)])
def test_a_box_around_nothing_is_said_so(
    box: list[dict[str, str]], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so a selection that the user has taken back."""
    toasts: list[str] = []
    selection = {"points": [], "box": box, "lasso": []}
    monkeypatch.setattr(st, "session_state", {state.LATENT_MAP: {"selection": selection}})
    monkeypatch.setattr(st, "toast", toasts.append)
    map_state.note_selection()
    assert map_state.choice() == ()
    assert len(toasts) == told


def test_a_selection_shows_its_volumes_in_parts(page: AppTest) -> None:
    choose(page, *map(sample_key, range(20)))
    assert not page.exception
    assert page.subheader[0].value == "20 volumes"
    first = galleries(page)[0]
    assert [panel["badge"] for panel in first["panels"]] == [f"no. {number}" for number in range(12)]
    assert first["rows"][0]["note"] == "1 to 12 of 20"
    page.session_state[state.MAP_PART] = 2
    page.run()
    assert not page.exception
    rest = galleries(page)[0]
    assert [panel["badge"] for panel in rest["panels"]] == [f"no. {number}" for number in range(12, 20)]
    assert rest["rows"][0]["note"] == "13 to 20 of 20"


def test_a_place_that_is_gone_is_forgotten(page: AppTest) -> None:
    choose(page, "design 3 0")
    assert not page.exception
    assert "Click" in page.info[0].value


def test_a_sample_becomes_the_end_of_a_walk(page: AppTest) -> None:
    choose(page, sample_key(7))
    (button,) = [button for button in page.button if button.label == "Walk to here"]
    button.click().run()
    assert not page.exception
    assert page.selectbox(state.WALK_ENDS[1]).value == sample_key(7)
    assert "to sample 7" in galleries(page)[-1]["rows"][0]["note"]


@pytest.fixture
def walk(page: AppTest) -> AppTest:
    """The page with the box of the walk open."""
    assert len(galleries(page)) == 1
    page.session_state[state.WALK_BOX] = True
    return page.run()


def test_steps_and_realisations_change_the_walk(walk: AppTest) -> None:
    page = walk
    first = galleries(page)[-1]["set"]
    page.slider(state.WALK_STEP).set_value(3).run()
    second = galleries(page)[-1]["set"]
    page.number_input(state.WALK_SEED).set_value(4).run()
    assert len({first, second, galleries(page)[-1]["set"]}) == 3
    assert not page.exception


def test_a_walk_along_an_axis(walk: AppTest) -> None:
    page = walk
    (kind,) = [group for group in page.segmented_control if group.key == state.WALK_KIND]
    kind.set_value("Along a principal axis").run()
    assert not page.exception
    badges = [panel["badge"] for panel in galleries(page)[-1]["panels"]]
    assert badges == ["-3.0 σ", "+0.0 σ", "+3.0 σ"]


def test_every_colour_and_plane_is_drawn(page: AppTest) -> None:
    (plane,) = [group for group in page.segmented_control if group.key == state.MAP_PLANE]
    plane.set_value("UMAP").run()
    for name in ("C11 [GPa]", "volume fraction [-]", "component"):
        page.selectbox(state.MAP_SHADE).set_value(name).run()
        assert not page.exception


@pytest.fixture
def class_map(tiny_embedding: Embedding) -> Embedding:
    """A map of classes: that of families, told to be one of laminates, tpms and lattices."""
    names = np.array(["laminate", "tpms", "lattice"])[np.arange(len(tiny_embedding)) % 3]
    component = np.array([CLASS_MODES[str(name)] for name in names])
    return replace(tiny_embedding, family=names, component=component, modes=MODE_NAMES)


def test_a_map_of_classes_names_classes_and_modes(
    class_map: Embedding, tmp_path: Path, tiny_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, path = tiny_checkpoint, tmp_path / "classes.pt"
    save_checkpoint(path, item.model, item.config, item.fitted, item.card, class_map)
    for app in open_page(path, monkeypatch):
        assert not app.exception
        titles = [panel["title"] for panel in galleries(app)[0]["panels"]]
        assert titles == ["laminate, layers", "lattice, periodic", "minimal surface, periodic"]
        shades = app.selectbox(state.MAP_SHADE)
        assert shades.value == "class" and "family" not in shades.options
        shades.set_value("mode").run()
        choose(app, sample_key(4))
        assert not app.exception
        assert app.subheader[0].value == r"Sample 4\, minimal surface"
        assert any("periodic" in caption.value for caption in app.caption)
        again = sample("tpms", class_map.size, generator=np.random.default_rng(class_map.seed[4]))
        np.testing.assert_array_equal(class_map.volume(4), again.volume)


def test_designs_of_modes_are_placed_by_what_the_encoder_sees() -> None:
    """Their own latent vectors are of another space than the map's."""
    cells = np.zeros((2, 8, 8, 8), dtype=np.uint8)
    cells[1, 0] = 1
    rows = np.zeros((2, 6))
    designs = Designs(
        microstructures=cells,
        component=np.array([0, 2]),
        latent=np.ones((2, 12), dtype=np.float32),
        realisation=np.zeros(2, dtype=np.int64),
        cut_fraction=np.zeros(2),
        fraction=np.zeros(2),
        mean=rows,
        std=rows,
        stiffness=np.zeros((2, 6, 6)),
        conductivity=np.full((2, 3, 3), np.nan),
        mean_distance=np.zeros(2),
        largest_deviation=np.zeros(2),
        score=np.zeros(2),
        raw_deviation=np.zeros(2),
        met=np.zeros((2, 0), dtype=np.bool_),
        weights=np.ones(11),
        wanted=Targets.of({"C11": 40.0}),
        materials=TwoPhase(),
        constraints=Constraints(),
        modes=MODE_NAMES,
        size=8,
        stretch=1.0,
        seed=0,
        checkpoint="",
    )
    shown = design_places(designs, MODE_NAMES, np.array([[0.0] * 4, [0.125] * 4]))
    assert [place.kind for place in shown] == ["particles", "fibres"]
    assert [place.latent.tolist() for place in shown] == [[0.0] * 4, [0.125] * 4]
    assert design_places(designs, MODE_NAMES)[0].latent.tolist() == [1.0] * 12


def test_classes_have_the_colour_of_their_mode() -> None:
    """And no two modes, nor two classes, share both colour and symbol."""
    modes = {name: class_style(name, MODE_NAMES) for name in MODE_NAMES}
    classes = {name: class_style(name, list(MORPHOLOGIES)) for name in MORPHOLOGIES}
    assert len(set(modes.values())) == len(modes) and len(set(classes.values())) == len(classes)
    assert all(classes[name][0] == modes[MODE_NAMES[CLASS_MODES[name]]][0] for name in classes)
    assert sorted(MODE_NAMES, key=class_rank) == list(MODE_NAMES)


def test_keys_of_samples_read_back() -> None:
    assert sample_number(sample_key(17)) == 17
    assert sample_number("design 3 0") is None
    assert sample_number("sample x") is None


def test_the_map_says_which_point_is_which() -> None:
    """Whatever the traces, customdata gives the number of the volume back, and the choice is drawn."""
    family = np.array(["spheres", "laminate", "spheres", "voronoi"])
    places = np.arange(8.0).reshape(4, 2)
    figure = map_figure(
        places, list("abcd"), Shade(name="family", values=family), axes=("x", "y"), selected=[2]
    )
    result = {}
    traces: Any = figure["data"]
    for trace in traces:
        for number, x, text in zip(trace["customdata"], trace["x"], trace["text"], strict=True):
            assert places[number, 0] == x
            assert "abcd"[number] == text
            result[number] = trace["name"]
        chosen = [trace["customdata"][i] for i in trace["selectedpoints"]]
        assert chosen == ([2] if trace["name"] == "spheres" else [])
    assert [result[i] for i in range(4)] == family.tolist()


def test_a_large_map_is_thinned_evenly() -> None:
    rows = drawn_points(4_938)
    assert len(rows) <= MAX_POINTS
    assert (rows[0], rows[-1]) == (0, 4_937)
    assert set(np.diff(rows)) <= {2, 3}
    np.testing.assert_array_equal(drawn_points(10), np.arange(10))


def test_histograms_have_units(tiny_embedding: Embedding) -> None:
    columns = {f"{name} [GPa]": tiny_embedding.properties[:, i] for i, name in enumerate(PROPERTIES)}
    figure = histogram_figure(
        columns, {name: values[:9] for name, values in columns.items()}
    ).to_plotly_json()
    titles = [axis["title"]["text"] for name, axis in figure["layout"].items() if name.startswith("xaxis")]
    assert titles == list(columns)
    assert len(figure["data"]) == 2 * len(columns)
