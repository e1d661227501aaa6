"""Uploads are bounded each, per session, and in sum."""

from io import BytesIO

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.common.sessions import uploads


def volume(seed: int) -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.random.default_rng(seed).integers(0, 2, (16, 16, 16), dtype=np.uint8))
    return buffer.getvalue()


def upload(page: AppTest, *seeds: int) -> AppTest:
    content = [(f"{seed}.npy", volume(seed), "application/octet-stream") for seed in seeds]
    page.file_uploader[0].set_value(content).run()  # type: ignore[arg-type]
    assert not page.exception
    return page


@pytest.mark.parametrize("bound", ["MAX_SESSION_BYTES", "MAX_ALL_BYTES"])
def test_the_latest_file_is_refused_and_removed(
    app: AppTest, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, bound, 2 * len(volume(0)))
    page = upload(app.switch_page("pages/predict.py").run(), 0, 1, 2)
    assert [message.value.replace("\\", "").split(":")[0] for message in page.error] == ["2.npy"]
    assert [box.options for box in page.selectbox if box.label == "File that is shown"] == [
        ["0.npy", "1.npy"]
    ]
    assert "1.npy" in page.title[0].value.replace("\\", "")
    page.run()
    assert page.error  # it is said until other files are chosen
    upload(page, 3)
    assert not page.error and "3.npy" in page.title[0].value.replace("\\", "")
