"""What tests of the Predict page share: files, and what the page shows."""

from io import BytesIO
from typing import Any

import numpy as np
from dashboard import galleries
from streamlit.testing.v1 import AppTest

from pages.parts.predict.results import TABS
from vaereg.generators.families import gaussian_field


def gallery(page: AppTest) -> dict[str, Any]:
    """What the page gave to its first 3D view."""
    return galleries(page)[0]


def title(page: AppTest) -> str:
    return page.title[0].value.replace("\\", "")


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def cell(size: int = 16) -> np.ndarray:
    return gaussian_field(size, (2.0, 2.0, 2.0), 0.5, generator=np.random.default_rng(1))


def upload(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    content = [(name, data, "application/octet-stream") for name, data in files]
    page.file_uploader[0].set_value(content)  # type: ignore[arg-type]
    page.run()
    assert not page.exception
    return page


def open_tab(page: AppTest, name: str) -> AppTest:
    page.session_state[TABS] = name
    page.run()
    assert not page.exception
    return page


def table(page: AppTest) -> Any:  # noqa: ANN401
    (result,) = [item.value for item in page.dataframe if "Predicted [GPa]" in item.value.columns]
    return result
