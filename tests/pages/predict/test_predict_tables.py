"""The Predict page's tables of files and of blocks of a large volume."""

import numpy as np
import pytest
from dashboard import ask
from predicting import cell, npy, title, upload
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions import state
from vaereg.elasticity import PROPERTIES
from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness


def test_a_part_and_blocks_of_a_large_volume(page: AppTest) -> None:
    large = np.tile(cell(), (3, 3, 3))
    upload(page, ("large.npy", npy(large)))
    (way,) = [item for item in page.radio if item.label == "Show"]
    way.set_value("part").run()
    assert not page.exception and "part 32³" in title(page)
    (way,) = [item for item in page.radio if item.label == "Show"]
    way.set_value("blocks").run()
    (edge,) = [item for item in page.selectbox if item.label == "Voxels per edge"]
    edge.set_value(16).run()
    assert not page.exception and "block 1 of 27" in title(page)
    spread = [
        item.value for item in page.dataframe if "Standard deviation of blocks [GPa]" in item.value.columns
    ]
    np.testing.assert_allclose(spread[0]["Standard deviation of blocks [GPa]"], 0.0, atol=1e-3)


def test_several_files_give_a_table(page: AppTest) -> None:
    empty = npy(np.zeros((0, 16, 16, 16), np.uint8))
    upload(
        page, ("a.npy", npy(cell())), ("=b.npy", npy(1 - cell())), ("none.npy", empty), ("c.npy", b"rubbish")
    )
    assert "NumPy file" in page.error[0].value.replace("\\", "")
    (files,) = [item.value for item in page.dataframe if "File" in item.value.columns]
    assert list(files["File"]) == ["a.npy", "=b.npy", "none.npy", "c.npy"]
    assert files["C11 [GPa]"].notna().tolist() == [True, True, False, False]
    assert "at least one voxel" in files["Note"][2] and "NumPy file" in files["Note"][3]


def test_the_table_of_files_takes_the_shown_one_as_it_is_shown(page: AppTest) -> None:
    def notes() -> list[str]:
        (files,) = [item.value for item in page.dataframe if "File" in item.value.columns]
        assert (files["Volume fraction [-]"] == fraction).all()
        return list(files["Note"])

    fraction = cell().mean()
    upload(page, ("a.npy", npy(cell())), ("b.npy", npy(cell().transpose(1, 2, 0))))
    assert (
        title(page).endswith("b.npy")
        and notes()[0].startswith("NumPy array of shape")
        and notes()[1] == "as you set it"
    )
    next(button for button in page.button if button.label == "Show an example").click().run()
    assert not page.exception
    assert (
        "example" in title(page)
        and notes()[0].startswith("NumPy array of shape")
        and notes()[1] == "as you set it"
    )


def test_the_table_knows_how_a_file_was_set_before_there_were_several(page: AppTest) -> None:
    grey = np.random.default_rng(2).integers(0, 200, (16, 16, 16)).astype(np.uint8)
    upload(page, ("grey.npy", npy(grey)))
    page.slider[0].set_value(150.0).run()
    ((note, result),) = page.session_state[state.FILES].values()  # the table itself comes with a second file
    assert note == "as you set it" and result.volume_fraction[0] == (grey > 150).mean()


def test_what_is_set_for_a_file_stays_while_another_is_shown(page: AppTest) -> None:
    grey = np.random.default_rng(2).integers(0, 200, (16, 16, 16)).astype(np.uint8)
    upload(page, ("a.npy", npy(cell())), ("grey.npy", npy(grey)))
    page.slider[0].set_value(150.0).run()
    name = next(box for box in page.selectbox if box.label == "File that is shown")
    name.set_value(0).run()
    (files,) = [item.value for item in page.dataframe if "File" in item.value.columns]
    assert list(files["Note"]) == ["as you set it", "as you set it"]
    assert files["Volume fraction [-]"][1] == (grey > 150).mean()
    next(box for box in page.selectbox if box.label == "File that is shown").set_value(1).run()
    assert not page.exception
    assert page.slider[0].value == 150.0


def test_the_table_of_files_can_be_stopped(page: AppTest) -> None:
    upload(page, ("a.npy", npy(cell())), ("b.npy", npy(1 - cell())))
    next(item for item in page.toggle if item.label == "Predict all files").set_value(False).run()
    assert not page.exception
    assert not [item for item in page.dataframe if "File" in item.value.columns]


def test_blocks_are_spread_over_the_volume(page: AppTest) -> None:
    grid = np.tile(cell(), (5, 5, 5))
    grid[:16, :16, :16] = 0
    upload(page, ("large.npy", npy(np.pad(grid, ((0, 8), (0, 0), (0, 0))))))
    next(item for item in page.radio if item.label == "Show").set_value("blocks").run()
    next(item for item in page.selectbox if item.label == "Voxels per edge").set_value(16).run()
    assert not page.exception
    (blocks,) = [item.value for item in page.dataframe if "First voxel" in item.value.columns]
    assert len(blocks) == 64
    assert {first.split(",")[0] for first in blocks["First voxel"]} == {"(0", "(16", "(32", "(48", "(64"}
    (caption,) = [item.value for item in page.caption if "Left out" in item.value]
    assert "60 blocks between those taken, 1 blocks of one phase, 9 % of the voxels" in caption


def test_labels_and_grey_values_are_told_apart_without_a_question(page: AppTest) -> None:
    labels, grey = np.arange(4096).reshape(16, 16, 16) % 5, np.arange(4096.0).reshape(16, 16, 16)
    upload(page, ("labels.npy", npy(labels)), ("grey.npy", npy(grey)), ("shown.npy", npy(cell())))
    (files,) = [item.value for item in page.dataframe if "File" in item.value.columns]
    notes = files["Note"].tolist()
    assert notes[0].endswith("labels 4 stiff, others soft") and "(Otsu)" in notes[1]
    np.testing.assert_allclose(files["Volume fraction [-]"][:2], [0.2, 0.5], atol=2e-3)


def test_what_was_read_of_a_file_goes_with_it(page: AppTest) -> None:
    upload(page, ("a.npy", npy(cell())), ("b.npy", npy(1 - cell())))
    assert page.session_state[state.UPLOAD_READ][1]
    page.file_uploader[0].set_value([]).run()
    assert state.UPLOAD_READ not in page.session_state


def test_tables_are_for_the_phases_that_are_asked_for(page: AppTest) -> None:
    """Of any two phases, for the file that is shown and the others, and for blocks."""
    pair, volumes = TwoPhase.from_moduli(72.0, 3.2, 0.22, 0.35), (cell(), 1 - cell())
    upload(page, ("a.npy", npy(volumes[0])), ("b.npy", npy(volumes[1])))
    ask(page, pair=pair)
    assert not page.exception
    (files,) = [item.value for item in page.dataframe if "File" in item.value.columns]
    told = predict_stiffness(load_pair_model(), volumes, [pair])
    for row in range(2):
        for i, name in enumerate(PROPERTIES):
            assert float(files[f"{name} [GPa]"].iloc[row]) == pytest.approx(told.mean[row, i, i], rel=1e-4)
            spread = float(files[f"{name} ± std [GPa]"].iloc[row])
            assert spread == pytest.approx(told.std[row, i, i], rel=1e-2, abs=5e-3)
    upload(page, ("large.npy", npy(np.tile(volumes[0], (3, 3, 3)))))
    next(item for item in page.radio if item.label == "Show").set_value("blocks").run()
    next(item for item in page.selectbox if item.label == "Voxels per edge").set_value(16).run()
    (blocks,) = [item.value for item in page.dataframe if "First voxel" in item.value.columns]
    np.testing.assert_allclose(blocks["C11 [GPa]"], told.mean[0, 0, 0], rtol=1e-4)
