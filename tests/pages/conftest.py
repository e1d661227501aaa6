"""Fixtures and collection rules of the tests of the pages."""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from browser import CHROMIUM, chromium, page, server
from dashboard import app, app_of_modes, gate, small_cells
from streamlit.components.v2 import manifest_scanner

from pages.parts.solving import design_jobs
from pages.parts.solving.precedence import server_precedence

__all__ = ["app", "app_of_modes", "chromium", "gate", "page", "server", "small_cells"]


@pytest.fixture(autouse=True, scope="session")
def components_sought_once() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package when an app starts; AppTest starts it in every
    run, and these tests read them once.
    """
    found = cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", found)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_head_start() -> Iterator[None]:
    """No browser draws a first look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design_jobs, "HEAD_START", 0.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def solver_begins_at_once() -> Iterator[None]:
    """The solver of a page that is tested in this process waits for designs under way, and no longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_precedence(), "_calm", 0.0)
        yield


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the saved sessions of a test."""
    folder = tmp_path / "sessions"
    monkeypatch.setenv("VAEREG_SESSIONS", str(folder))
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Chromium a developer's run leaves the browser tests out, and says so; CI fails instead."""
    if os.environ.get("CI") or any(shutil.which(name) for name in CHROMIUM):
        return
    missing = pytest.mark.skip(reason="no Chromium on PATH: apt-get install chromium")
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(missing)
