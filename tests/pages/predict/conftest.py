"""The Predict page with a tiny checkpoint."""

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture
def page(app: AppTest) -> AppTest:
    return app.switch_page("pages/predict.py").run()
