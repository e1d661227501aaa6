"""The worked examples in headless Chromium, from the choice of materials to a refined and reported design.

Each runs in a window of one size, and is looked at in windows of all sizes, one of them dark.
"""

import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browser import drawn, settled
from playwright.sync_api import Page, expect

from vaereg.generators.families import gaussian_field

pytestmark = pytest.mark.browser

WIDE, TABLET, PHONE = (1440, 900), (1024, 768), (390, 844)
"""Sizes of windows [px]."""
LOOKS = ((WIDE, False), (TABLET, True), (PHONE, False))
"""Windows in which every example is looked at, and whether they are dark."""
COUNT = 1
"""Designs of each example."""


def look_through(page: Page, size: tuple[int, int], *, dark: bool = False) -> None:
    """Give the window a size and a theme."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")


def open_sidebar(page: Page) -> None:
    """Open the sidebar where it is closed, as it is on a phone."""
    button = page.get_by_test_id("stExpandSidebarButton")
    if button.is_visible():
        button.click()
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "false")


def choose_phase(page: Page, which: str, name: str) -> None:
    """Choose a phase of the library in the sidebar by typing its name."""
    field = page.get_by_role("combobox", name=f"{which} phase")
    field.click()
    field.fill(name)
    page.get_by_role("option", name=re.compile(f"^{name}")).first.click()
    settled(page)


def take_example(page: Page, title: str) -> None:
    """Ask for a worked example."""
    page.get_by_text("First steps and examples").click()
    page.get_by_test_id("stMain").get_by_role("button", name=title).click()


def visit(page: Page, name: str) -> None:
    """Open a page by the navigation, which is in the sidebar of a phone and goes with it."""
    open_sidebar(page)
    page.get_by_role("link", name=name).click()
    settled(page)
    if (page.viewport_size or {})["width"] == PHONE[0]:
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")


def fits(page: Page) -> bool:
    """Whether the page is as wide as the window: nothing is cut off at the side."""
    main = page.get_by_test_id("stMain")
    return bool(main.evaluate("main => main.scrollWidth <= main.clientWidth"))


def fits_everywhere(page: Page) -> None:
    """Look at the page in windows of all sizes, and go back to its own."""
    own, was_dark = page.viewport_size, page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert own is not None
    for size, dark in (*LOOKS, ((own["width"], own["height"]), was_dark)):
        look_through(page, size, dark=dark)
        drawn(page)
        assert fits(page), size


def taken_home(page: Page, folder: Path) -> str:
    """Refine the first design once the solver has seen it, put it aside, export it; its report."""
    expect(page.get_by_text(f"solver {COUNT}/{COUNT}")).to_be_visible()
    fits_everywhere(page)
    card = page.locator(".card").first
    expect(card.locator("td.solver").first).to_have_text(re.compile(r"^\d+(\.\d+)?$"))
    page.get_by_role("button", name=f"Refine {COUNT} design").click()
    summary = page.locator(".st-key-summary-refined")
    expect(summary.get_by_text("finished", exact=True)).to_be_visible()
    expect(page.get_by_text("1 reached", exact=True)).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Add the refined one to the shortlist").click()
    settled(page)
    visit(page, "Compare & export")
    expect(page.locator("h1")).to_contain_text("One design")
    fits_everywhere(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the report").click()
    download.value.save_as(folder / "report.html")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the design as a zip").click()
    download.value.save_as(folder / "design.zip")
    with zipfile.ZipFile(folder / "design.zip") as archive:
        names = archive.namelist()
        (volume,) = [name for name in names if name.endswith(".npy")]
        assert np.load(BytesIO(archive.read(volume))).shape == (32, 32, 32)
        assert "manifest.json" in names
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "refined from design #1" in report and "verified by the solver" in report
    return report


def test_a_glass_epoxy_bracket(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/?count={COUNT}")  # the designs of a first visit, which the example replaces
    settled(page)  # a list that is open while its page is drawn anew may lose the click on it
    choose_phase(page, "Soft", "epoxy")
    choose_phase(page, "Stiff", "E-glass")
    line = page.get_by_text("E-glass / epoxy, contrast", exact=False).last
    expect(line).to_be_visible()
    take_example(page, "Glass/epoxy bracket")
    expect(page.locator("h1")).to_contain_text("Designs for Ex = 18")
    report = taken_home(page, tmp_path)
    assert "E-glass" in report and "epoxy" in report and "density" in report


def test_an_open_foam_on_a_tablet_in_the_dark(page: Page, server: str, tmp_path: Path) -> None:
    look_through(page, TABLET, dark=True)
    page.goto(f"{server}/?count={COUNT}&target=none")
    take_example(page, "Open foam")
    expect(page.locator("h1")).to_contain_text("Designs for Ex = 3,")
    report = taken_home(page, tmp_path)
    assert "aluminium" in report and "void" in report


def test_a_heat_spreader_on_a_phone(page: Page, server: str, tmp_path: Path) -> None:
    look_through(page, PHONE)
    page.goto(f"{server}/?count={COUNT}&target=none")
    expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
    take_example(page, "Heat spreader")
    expect(page.locator("h1")).to_contain_text("Designs for kx at least 100")
    report = taken_home(page, tmp_path)
    assert "copper" in report and "kx" in report


def test_designs_like_a_scan(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/?count={COUNT}&target=none&stiff=E-glass&soft=epoxy")
    take_example(page, "CT scan")
    expect(page.locator("h1")).to_contain_text("Stiffness of example")
    drawn(page)
    scan = gaussian_field(32, (2.0, 2.0, 2.0), 0.5, generator=np.random.default_rng(1))
    np.save(tmp_path / "scan.npy", scan)
    page.locator("input[type=file]").set_input_files(tmp_path / "scan.npy")
    expect(page.locator("h1")).to_contain_text("scan.npy")
    drawn(page)
    page.get_by_role("button", name="Designs like this, but …").click()
    expect(page.get_by_text("Recognised as irregular")).to_be_visible()
    own = page.get_by_role("spinbutton", name="Ex [GPa]")
    value = 1.1 * float(own.input_value())
    own.fill(f"{value:.3g}")
    own.press("Enter")
    settled(page)
    page.get_by_role("button", name="Show these designs").click()
    expect(page.locator("h1")).to_contain_text(f"Designs for Ex = {value:.3g}")
    expect(page.locator(".gallery").get_by_text("Irregular")).to_be_visible()
    report = taken_home(page, tmp_path)
    assert "irregular" in report.lower() and "E-glass" in report
