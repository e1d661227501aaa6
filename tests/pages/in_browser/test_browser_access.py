"""The dashboard in headless Chromium by keyboard alone, and as a screen reader finds it."""

import re
import zipfile
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import drawn, settled
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

PAGES = ("Design", "Explore", "Predict", "Compare & export", "Chart", "Batch", "Model")
"""Names of all pages."""
MOST_STEPS = 200
"""Presses of the tabulator after which something counts as out of reach."""

MARKED = """planes => [".cross", "circle"].map(
    (kind) => planes.reduce((sum, plane) => sum + plane.querySelectorAll(kind).length, 0)
)"""
"""Number of targets and of reachable places that are marked in the figure of what is reachable."""


def tab_to(page: Page, target: Locator) -> None:
    """Press the tabulator until something has the focus."""
    has_focus = """element => {
        let active = document.activeElement;
        while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
        return active === element;
    }"""
    for _ in range(MOST_STEPS):
        if target.evaluate(has_focus):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by the tabulator")


def choose_phase(page: Page, which: str, name: str) -> None:
    """Choose a material by typing its name."""
    tab_to(page, page.get_by_role("combobox", name=f"{which} phase"))
    page.keyboard.type(name)
    expect(page.get_by_role("option", name=re.compile(f"^{name}")).first).to_be_visible()
    page.keyboard.press("Enter")
    settled(page)


def test_a_design_by_keyboard_alone(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}/?count=1&target=none")
    expect(page.get_by_text("Ask for at least one quantity")).to_be_visible()
    choose_phase(page, "Soft", "epoxy")
    choose_phase(page, "Stiff", "E-glass")
    expect(page.get_by_text("E-glass / epoxy, contrast").first).to_be_visible()

    # A quantity and its value, typed.
    tab_to(page, page.get_by_role("combobox", name="Add a quantity"))
    page.keyboard.type("Young's modulus along x")
    expect(page.get_by_role("option").first).to_have_text("Ex · Young's modulus along x")
    page.keyboard.press("Enter")
    typed = page.get_by_role("spinbutton", name="Ex [GPa], typed")
    expect(typed).to_be_visible()
    settled(page)
    tab_to(page, typed)
    page.keyboard.press("Control+A")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Designs for Ex = 20 GPa")
    first = drawn(page)

    # The slider: while it moves previews, and the target in the figure of what is reachable; then designs.
    slider = page.get_by_role("slider", name="Ex [GPa]")
    tab_to(page, slider)
    plane = page.locator(".vaereg-plane")
    marks = plane.locator(".cross")
    crosses, circles = 0, 0
    for step in range(MOST_STEPS):  # the first preview with other phases takes a while
        page.keyboard.press("ArrowLeft" if step % 20 < 10 else "ArrowRight")
        page.wait_for_timeout(250)  # less than what ends a movement
        crosses, circles = plane.evaluate_all(MARKED)  # at one moment: they go with the preview
        if crosses:
            break
    assert crosses == 1 and circles > 1
    expect(typed).to_have_value(f"{float(slider.input_value()):g}")  # beside it, at once
    page.keyboard.press("ArrowLeft")  # never back to 20, however many steps that took
    value = f"{float(slider.input_value()):g}"
    expect(page.locator("h1")).to_have_text(f"Designs for Ex = {value} GPa")
    expect(page.locator(".vaereg-preview section")).to_be_hidden()
    expect(marks).to_have_count(0)
    drawn(page, other_than=first)

    # A design is chosen, checked by the solver, put aside and taken out again.
    expect(page.get_by_text("solver 1/1")).to_be_visible()
    settled(page)
    card = page.locator(".card").first
    tab_to(page, card)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Design #1")).to_be_visible()
    star = card.get_by_role("button", name=re.compile("to the shortlist"))
    tab_to(page, star)
    page.keyboard.press("Enter")
    taken = card.get_by_role("button", name=re.compile("^Take .* out of the shortlist"))
    expect(taken).to_be_visible()
    settled(page)
    tab_to(page, taken)
    page.keyboard.press("Enter")
    expect(taken).to_have_count(0)
    settled(page)

    # It is refined, and what comes of it is put aside, reported and exported.
    tab_to(page, page.get_by_role("button", name="Refine 1 design"))
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-summary-refined").get_by_text("finished", exact=True)).to_be_visible()
    settled(page)
    tab_to(page, page.get_by_role("button", name="Add the refined one to the shortlist"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take the refined one out of the shortlist")).to_be_visible()
    settled(page)

    tab_to(page, page.get_by_role("link", name="Compare & export"))
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("One design")
    settled(page)
    tab_to(page, page.get_by_role("button", name="Download the report"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "report.html")
    assert "refined from design #1" in (tmp_path / "report.html").read_text(encoding="utf-8")
    tab_to(page, page.get_by_role("button", name="Download the design as a zip"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "design.zip")
    with zipfile.ZipFile(tmp_path / "design.zip") as archive:
        assert "manifest.json" in archive.namelist()


def test_axe_finds_nothing_serious_on_any_page(page: Page, server: str) -> None:
    found = []
    page.goto(f"{server}/?count=1&target=E_x%3D40")
    for name in PAGES:
        page.get_by_role("link", name=name, exact=True).click()
        settled(page)
        expect(page.locator("h1")).to_be_visible()
        found += [f"{name}: {finding}" for finding in lasting(page)]
        page.emulate_media(color_scheme="dark")  # the same page in its other colours
        settled(page)
        found += [f"{name}, dark: {finding}" for finding in lasting(page, "color-contrast")]
        page.emulate_media(color_scheme="light")
    assert not found, "\n".join(found)


def lasting(page: Page, *rules: str) -> list[str]:
    """Findings that are still there later: what is made anew is dimmed."""
    serious = findings(page, *rules)
    for _ in range(3):
        if serious:
            page.wait_for_timeout(3000)
            serious = findings(page, *rules)
    return serious


def findings(page: Page, *rules: str) -> list[str]:
    """Serious and critical findings of axe-core, by some of its rules or by all."""
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    result = Axe().run(page, options=options).response
    return [
        f"{item['id']} at {node['target'][-1]}: {node['html'][:120]} {node.get('failureSummary', '')[:400]}"
        for item in result["violations"]
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]
