"""The Predict page with a tiny checkpoint, empty and filled: uploads, choices, messages; no traceback."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from dashboard import STIFFNESS, ask, gallery_places
from predicting import cell, gallery, npy, open_tab, table, title, upload
from streamlit.testing.v1 import AppTest

from pages.parts.common import text
from pages.parts.predict.figures import grey_figure, place_figure, young_figure
from pages.parts.predict.panels import nearest_training_samples
from vaereg.elasticity import PROPERTIES, isotropic_stiffness
from vaereg.materials import TwoPhase
from vaereg.microstructure.segmentation import histogram
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import Prediction


def test_it_begins_with_an_example(page: AppTest) -> None:
    assert not page.exception
    assert "example 1" in title(page)
    result = table(page)
    assert list(result["Property"]) == list(PROPERTIES)
    for name in ("90 % from [GPa]", "Predicted [GPa]", "90 % to [GPa]"):
        assert result[name].between(result["Guaranteed from [GPa]"], result["Guaranteed to [GPa]"]).all()
    first = gallery(page)["set"]
    next(button for button in page.button if button.label == "Show an example").click().run()
    assert gallery(page)["set"] != first


def test_an_uploaded_volume_is_shown_and_solved(page: AppTest) -> None:
    upload(page, ("mine.npy", npy(cell())))
    assert "mine" in title(page)
    for _ in range(100):
        if page.metric[-1].value == "done":
            break
        page.run()
    np.testing.assert_allclose(table(page)["Solver [GPa]"], np.diag(STIFFNESS))
    open_tab(page, "Engineering constants")
    (constants,) = [item.value for item in page.dataframe if "Constant" in item.value.columns]
    assert "Ex [GPa]" in list(constants["Constant"])


def test_a_stack_and_a_box(page: AppTest) -> None:
    upload(page, ("stack.npy", npy(np.stack([cell(), 1 - cell()]))))
    assert "volume 1 of 2" in title(page)
    first = gallery(page)["set"]
    (number,) = [item for item in page.number_input if item.label == "Volume"]
    number.set_value(2).run()
    assert "volume 2 of 2" in title(page) and gallery(page)["set"] != first
    upload(page, ("box.npy", npy(cell()[:, :, :8])))
    assert "16 × 16 × 8 voxels" in page.caption[0].value


def test_grey_values_begin_at_otsu_and_follow_the_slider(page: AppTest) -> None:
    noise = np.random.default_rng(0).normal(0.0, 5.0, (16, 16, 16))
    upload(page, ("ct.npy", npy(50.0 + 100.0 * cell() + noise)))
    (slider,) = [item for item in page.slider if item.label.startswith("Threshold")]
    assert 65 < float(slider.value) < 135  # type: ignore[arg-type]
    first = gallery(page)["set"]
    slider.set_value(slider.min + 0.95 * (slider.max - slider.min)).run()
    assert not page.exception and gallery(page)["set"] != first


def test_labels_are_merged_and_phases_swapped(page: AppTest) -> None:
    grid = np.random.default_rng(0).integers(0, 5, (16, 16, 16)).astype(np.uint8)
    upload(page, ("labels.npy", npy(grid)))
    (chooser,) = page.multiselect
    chooser.set_value([1, 3]).run()
    fraction = float(page.metric[0].value)
    assert fraction == pytest.approx(np.isin(grid, (1, 3)).mean(), abs=1e-3)
    former = gallery(page)["set"]
    (swap,) = [item for item in page.toggle if item.label.startswith("Swap")]
    swap.set_value(True).run()
    assert float(page.metric[0].value) == pytest.approx(1 - fraction, abs=2e-3)
    (chooser,) = page.multiselect
    chooser.set_value([]).run()
    assert "some labels stiff" in page.error[0].value
    assert gallery(page)["set"] != former  # what was shown last stays


def test_a_data_set_is_chosen(page: AppTest, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/<b>one</b>"], file["two"], file["curve"] = cell(), 1 - cell(), np.arange(4)
    upload(page, ("a.h5", (tmp_path / "a.h5").read_bytes()))
    (chooser,) = [item for item in page.selectbox if item.label == "Array in the file"]
    assert sorted(chooser.options) == ["scan/<b>one</b>", "two"]
    chooser.set_value("two").run()
    assert "a.h5, two" in title(page)
    chooser.set_value("scan/<b>one</b>").run()
    assert "<b>" not in page.title[0].value


def test_a_volume_is_put_aside(page: AppTest) -> None:
    (button,) = [entry for entry in page.button if entry.label == "Add to the shortlist"]
    button.click().run()
    assert not page.exception
    (item,) = page.session_state["shortlist"]
    np.testing.assert_allclose(item.mean, table(page)["Predicted [GPa]"])
    (button,) = [entry for entry in page.button if entry.label == "Take out of the shortlist"]
    button.click().run()
    assert page.session_state["shortlist"] == []


def test_any_two_phases_are_predicted_between_guaranteed_bounds(page: AppTest) -> None:
    before, places = table(page)["Predicted [GPa]"].to_numpy(), gallery_places(page)
    ask(page, pair=TwoPhase.from_moduli(240.0, 4.8))
    np.testing.assert_allclose(table(page)["Predicted [GPa]"], 2 * before, rtol=1e-4)
    ask(page, pair=TwoPhase.from_moduli(240.0, 48.0, nu_soft=0.4))
    assert not page.exception and not page.warning
    assert gallery_places(page) == places
    shown = table(page)
    assert (
        shown["Predicted [GPa]"].between(shown["Guaranteed from [GPa]"], shown["Guaranteed to [GPa]"]).all()
    )
    assert (shown["Guaranteed to [GPa]"] < 1.1 * shown["Guaranteed from [GPa]"]).all()
    for _ in range(100):
        if table(page)["Solver [GPa]"].notna().all():
            break
        page.run()
    np.testing.assert_allclose(table(page)["Solver [GPa]"], np.diag(STIFFNESS))
    summary = {item.label: item.value for item in page.metric}
    assert summary["Solver check"] == "done" and summary["Prediction against solver"].endswith("%")
    names = [trace["name"] for trace in json.loads(page.get("plotly_chart")[0].proto.spec)["data"]]  # type: ignore
    assert names == ["guaranteed", "predicted, 90 % interval", "solver"]


def test_phases_are_chosen_from_the_library(page: AppTest) -> None:
    """The pair is named, and gives constants, conductivity, density; a void is a phase like others."""
    page.selectbox(key="material-stiff").set_value("E-glass")
    page.selectbox(key="material-soft").set_value("epoxy").run()
    assert not page.exception
    captions = [box.value.replace("\\", "") for box in page.caption]
    assert any("E-glass / epoxy, contrast 21.5" in caption for caption in captions)
    open_tab(page, "Engineering constants")
    (constants,) = [item.value for item in page.dataframe if "Constant" in item.value.columns]
    assert {"Ex [GPa]", "νxy [-]", "anisotropy [-]"} <= set(constants["Constant"])
    assert 3.0 < float(str(constants["Predicted ± std"].to_list()[0]).partition(" ")[0]) < 75.0
    open_tab(page, "Conduction and mass")
    (more,) = [item.value for item in page.dataframe if "Quantity" in item.value.columns]
    assert {"Density [g/cm³]", "Expansion xx [1e-6/K]", "E_x/density"} <= set(more["Quantity"])
    assert [item for item in page.dataframe if list(item.value.columns) == list("xyz")]
    page.selectbox(key="material-soft").set_value("void")
    open_tab(page, "Stiffness")
    assert (table(page)["Guaranteed from [GPa]"] == 0.0).all()


def test_a_cell_that_is_not_periodic_is_noticed(page: AppTest) -> None:
    def notices() -> list[str]:
        return [box.value for box in [*page.info, *page.warning] if "not periodic" in box.value]

    assert not notices()
    places = gallery_places(page)
    upload(page, ("cut.npy", npy(cell(32)[:16, :16, :16])))
    (line,) = notices()  # one line, with what the model knows of such volumes
    assert "mirror it in the sidebar" in line and "%" in line
    assert gallery_places(page) == places
    (mirror,) = [toggle for toggle in page.toggle if toggle.label == "Mirror the cell"]
    mirror.set_value(True).run()
    assert not page.exception and not notices()
    assert any("32 × 32 × 32 voxels" in box.value and "mirror images" in box.value for box in page.caption)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        pytest.param("a.npy", b"", "empty", id="empty"),
        pytest.param("a.pdf", b"%PDF-1.7", "expected a file of .npy", id="another kind"),
        pytest.param("a.npy", b"\x80\x04\x95K\x00.", "pickle", id="pickle"),
        pytest.param("a.h5", b"\x80\x04\x95K\x00.", "pickle", id="pickle as HDF5"),
        pytest.param("a.npy", npy(np.array([{}], dtype=object), allow_pickle=True), "pickled", id="objects"),
        pytest.param("a.npy", npy(cell())[:-100], "truncated", id="truncated"),
        pytest.param("a.npy", npy(np.full((16, 16, 16), np.nan)), "finite", id="nan"),
        pytest.param("a.npy", npy(np.zeros((16, 16, 16), np.uint8)), "both phases", id="one phase"),
        pytest.param("a.npy", npy(np.full((16, 16, 16), 7)), "the value 7 only", id="one value"),
        pytest.param("a.npy", npy(cell()[0]), "shape", id="flat"),
        pytest.param("a.npy", npy(cell(4)), "at least 8 voxels", id="too small"),
        pytest.param("a.npy", npy(np.zeros((300, 300, 300), np.uint8)), "at most 16777216", id="too large"),
        pytest.param("a.vti", b"<VTKFile type='PolyData'/>", "PolyData", id="other VTK"),
        pytest.param("a.tif", b"II*\x00 no more", "expected pages", id="damaged TIFF"),
        pytest.param("a.raw", bytes(100), "got 100", id="raw"),
    ],
)
def test_a_bad_upload_keeps_the_former_volume(
    page: AppTest, name: str, content: bytes, complaint: str
) -> None:
    former, places = gallery(page)["set"], gallery_places(page)
    upload(page, (name, content))
    assert complaint in page.error[0].value.replace("\\", "")
    assert gallery(page)["set"] == former and gallery_places(page) == places
    assert "example 1" in title(page)


def test_another_shape_of_a_raw_file_is_another_volume(page: AppTest) -> None:
    upload(page, ("a.raw", np.random.default_rng(0).permutation(16 * 16 * 32).astype("<u2").tobytes()))
    (shape,) = [item for item in page.text_input if item.label.startswith("Shape")]
    (kind,) = [item for item in page.selectbox if item.label.startswith("Type")]
    shape.set_value("16,16,32").run()
    kind.set_value("<u2").run()
    assert not page.exception and not page.error
    assert gallery(page)["shapes"][0] == [16, 16, 32]
    first = gallery(page)["set"]
    shape.set_value("32,16,16").run()
    assert not page.error and gallery(page)["shapes"][0] == [32, 16, 16]
    kind.set_value(">u2").run()
    assert not page.exception and not page.error
    assert gallery(page)["set"] != first


def test_a_stiffness_without_engineering_constants_is_said_so(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(stiffness: np.ndarray) -> None:
        raise ValueError("expected a positive definite stiffness")

    monkeypatch.setattr("pages.parts.predict.panels.engineering_constants", refuse)
    open_tab(page, "Engineering constants")
    for _ in range(100):
        page.run()
        if page.warning:
            break
    assert not page.exception
    assert "no engineering constants" in page.warning[0].value


def test_messages_begin_with_a_capital_or_the_name_of_a_file() -> None:
    assert text.sentence("no volume of 98.9 GPa: the nearest") == r"No volume of 98\.9 GPa\: the nearest."
    assert text.sentence("scan_1.npy: empty") == r"scan\_1\.npy\: empty."


def test_a_hostile_name_is_shown_as_text(page: AppTest) -> None:
    name = "![x](http://example.com/a.png)<script>`$x$` :red[y].npy"
    upload(page, (name, npy(cell())))
    shown = page.title[0].value
    assert "![" not in shown and "<script>" not in shown.replace("\\<script\\>", "")
    upload(page, (name, b""))
    assert "![" not in page.error[0].value


def test_only_training_volumes_are_nearest_training_samples(tiny_embedding: Embedding) -> None:
    """The volume that is nearest of all is of the test split here: the model was not trained on it."""
    split = np.full(len(tiny_embedding), "train")
    split[[7, 8]] = "test"
    embedding = replace(tiny_embedding, split=split)
    latent = tiny_embedding.latent[7:8]
    assert embedding.nearest(latent, 1)[0].tolist() == [7]
    nothing = np.zeros((1, 6))
    prediction = Prediction(
        mean=nothing,
        std=nothing,
        volume_fraction=nothing[:, 0],
        latent=latent,
        novelty=nothing[:, 0],
        in_distribution=np.array([True]),
    )
    nearest = nearest_training_samples(embedding, prediction, 3)
    order = embedding.nearest(latent, len(embedding))[0]
    assert nearest.tolist() == [index for index in order if index not in (7, 8)][:3]
    few = replace(embedding, split=np.where(np.arange(len(split)) < 2, "train", "held-out"))
    assert sorted(nearest_training_samples(few, prediction, 3)) == [0, 1]


def test_intervals_lie_about_the_mean_and_within_what_is_guaranteed(page: AppTest) -> None:
    shown = table(page)
    mean, low, high, least, most = (
        shown[name].to_numpy()
        for name in (
            "Predicted [GPa]",
            "90 % from [GPa]",
            "90 % to [GPa]",
            "Guaranteed from [GPa]",
            "Guaranteed to [GPa]",
        )
    )
    assert (least <= low).all() and (low <= mean).all() and (mean <= high).all() and (high <= most).all()
    assert (high - low < 0.5 * mean).all()


def test_figures() -> None:
    counts, edges = histogram(np.arange(100.0))
    assert "grey value" in str(grey_figure(counts, edges, 50.0).to_plotly_json()["layout"]["xaxis"])
    isotropic = young_figure(isotropic_stiffness(10.0, 0.3)).data[0]
    np.testing.assert_allclose(np.asarray(isotropic["surfacecolor"]), 10.0)
    place = place_figure(np.zeros((5, 2)), np.ones(2), np.ones((3, 2)))
    assert [trace["name"] for trace in place.to_plotly_json()["data"]][-1] == "this volume"
