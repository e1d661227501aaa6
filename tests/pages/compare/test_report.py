"""The report of the Compare page: what it says of the shortlist, and where its links lead."""

from dataclasses import replace
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from comparing import item, opened
from streamlit.testing.v1 import AppTest

from pages.parts.common.requests.request import VoxelLength
from pages.parts.common.requests.request_link import read_link
from pages.parts.compare.report import item_link, report_bytes
from vaereg.inverse.constraints import Constraints
from vaereg.model.checkpoint import load_checkpoint


def test_the_report_has_targets_constraints_and_a_link(app: AppTest, tiny_checkpoint_path: Path) -> None:
    one = item(1, name="<b>bold</b>", solved=True)
    one = replace(one, constraints=Constraints(no_islands=True, symmetry="cubic"))
    address = "http://localhost:8501/"
    page = report_bytes([one, item(2)], VoxelLength(value=5.0, unit="µm"), address).decode()
    assert "&lt;b&gt;bold" in page and "<b>bold" not in page
    assert "Shortlist of 2 designs" in page and "80 µm (16 voxels)" in page
    assert "No islands" in page and "not met" in page and "Cubic symmetry" in page
    assert "no islands:" not in page and "symmetry: symmetry" not in page
    link = item_link(one, address)
    assert escape(link) in page
    request, notices = read_link(parse_qs(urlsplit(link).query), load_checkpoint(tiny_checkpoint_path))
    assert not notices and request is not None
    assert request.targets == one.wanted and request.constraints == one.constraints
    assert item_link(one, "") == "" and item_link(replace(one, targets=None), address) == ""
    opened(app, one)
    labels = [button.proto.label for button in app.get("download_button")]  # type: ignore[attr-defined]
    assert "Download the report (HTML)" in labels
