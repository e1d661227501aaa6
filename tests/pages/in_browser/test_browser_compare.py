"""Two designs side by side in headless Chromium, with the shipped checkpoint: compared, exported, kept."""

import json
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browser import PATIENCE, drawn, pixels, settled
from PIL import Image
from playwright.sync_api import Download, Page, expect

from vaereg.io.designs import read_designs
from vaereg.solver.homogenization import homogenize

pytestmark = pytest.mark.browser

TAKE_OUT = re.compile(r"^Take .* out of the shortlist")
VIEWS = ("Engineering constants", "Directional stiffness", "Statistics", "Parallel coordinates", "Stiffness")


def download(page: Page, button: str, path: Path) -> Path:
    """The file behind a button."""
    with page.expect_download() as started:
        page.get_by_role("button", name=button).click()
    result: Download = started.value
    result.save_as(path)
    return path


def choose_what(page: Page, name: str) -> None:
    """Choose what to export; a list closes where the page still scrolls, so it does that first."""
    what = page.get_by_role("combobox", name="What")
    what.scroll_into_view_if_needed()
    page.get_by_test_id("stMain").evaluate("""main => new Promise(done => {
        let place = main.scrollTop, still = 0;
        const look = () => {
            still = main.scrollTop === place ? still + 1 : 0;
            place = main.scrollTop;
            if (still > 30) done(); else requestAnimationFrame(look);
        };
        look();
    })""")
    what.click()
    page.get_by_role("option", name=name).click()


def test_two_designs_are_compared_and_exported(page: Page, server: str, tmp_path: Path) -> None:
    # Nothing was put aside yet: the page says what to do, and leads there.
    page.goto(f"{server}/compare")
    expect(page.get_by_text("The shortlist is empty")).to_be_visible()
    page.get_by_role("link", name="Find designs for a target").click()
    expect(page.locator("h1")).to_contain_text("Designs for")
    page.goto(f"{server}/?count=3&seed=3")
    expect(page.get_by_text("solver 3/3")).to_be_visible(timeout=3 * PATIENCE)
    drawn(page)
    for index in (0, 2):
        page.locator(".card").nth(index).get_by_role("button", name=re.compile("to the shortlist")).click()
        expect(page.locator(".card").nth(index).get_by_role("button", name=TAKE_OUT)).to_be_visible()
    settled(page)

    # Side by side, with the solver's values beside the predicted ones.
    page.get_by_role("link", name="Compare & export").click()
    expect(page.locator("h1")).to_contain_text("Compare 2 designs")
    both = drawn(page)
    assert page.locator(".card").count() == 2
    assert all(pixels(page, index).std() > 0.02 for index in (0, 1))
    for index in (0, 1):
        value = page.locator(".card").nth(index).locator("td.solver").first
        expect(value).to_have_text(re.compile(r"^\d+\.\d$"))
    expect(page.get_by_test_id("stMetricValue").get_by_text("2/2")).to_be_visible()
    for view in VIEWS:
        page.get_by_role("tab", name=view, exact=True).click()
        settled(page)
        panel = page.get_by_role("tabpanel")
        expect(panel.locator("canvas, svg").first).to_be_visible()
    expect(page.locator(".matrices table")).to_have_count(2)
    assert drawn(page) == both  # tabs leave the gallery alone

    # A name of the user's.
    page.get_by_label("Name", exact=True).fill("stiff & light")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.locator(".card .name").first).to_have_text("A · stiff & light")
    settled(page)

    # One design in one format: the contract's file, read back.
    choose_what(page, "A · stiff & light")
    formats = page.get_by_test_id("stButtonGroup").filter(has_text="DAMASK")
    for name in ("NumPy .npy", "VTK .vti", "STL .stl", "manifest .json", "designs .h5"):
        formats.get_by_role("button", name=name).click()
        settled(page)
    stored = read_designs(download(page, "Download as .h5", tmp_path / "one.h5"))
    assert stored.microstructures.shape == (1, 32, 32, 32)
    assert stored.stiffness is not None and stored.predicted is not None and stored.seed == 3
    truth = homogenize(stored.microstructures[0]).stiffness
    np.testing.assert_allclose(stored.stiffness[0], truth, rtol=1e-3, atol=0.01)

    # All designs: a zip with a manifest.
    choose_what(page, "All 2 designs")
    with zipfile.ZipFile(download(page, "Download 2 designs as a zip", tmp_path / "all.zip")) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert next(design["name"] for design in manifest["designs"]) == "stiff & light"
        assert all(design["solver"]["tolerance"] == 1e-3 for design in manifest["designs"])

    # The chosen design in pyvista: a scene that is not empty, from this machine alone (see the fixture).
    page.get_by_role("button", name="Open in pyvista").click()
    expect(page.frame_locator("iframe").locator("canvas").first).to_be_visible()
    seen = np.zeros((2, 2, 3))
    deadline = time.monotonic() + PATIENCE / 1000
    while seen.std() <= 0.1 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        page.locator("iframe").screenshot(path=tmp_path / "scene.png")
        seen = np.asarray(Image.open(tmp_path / "scene.png").convert("RGB")) / 255.0
    assert seen.std() > 0.1
    page.get_by_role("button", name="Close").click()
    settled(page)

    # A session outlives the page: taken out by the star, and loaded again.
    download(page, "Save the session", tmp_path / "session.zip")
    page.locator(".card").nth(1).get_by_role("button", name=TAKE_OUT).click()
    expect(page.locator("h1")).to_contain_text("One design")
    page.locator("input[type=file]").set_input_files(tmp_path / "session.zip")
    expect(page.locator("h1")).to_contain_text("Compare 2 designs")
    assert drawn(page) == both
    (tmp_path / "bad.zip").write_bytes(b"no session")
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.zip")
    expect(page.get_by_test_id("stAlert").filter(has_text="What was here before is kept")).to_be_visible()
    assert drawn(page) == both
