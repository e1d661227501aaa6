"""One visit to the dashboard in headless Chromium, with the shipped checkpoint: what AppTest cannot see."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import difference, drawn, pixels
from playwright.sync_api import Page, expect

from vaereg.generators.families import gaussian_field
from vaereg.io.designs import read_designs
from vaereg.solver.homogenization import homogenize

pytestmark = pytest.mark.browser

COUNT = 3
"""Designs shown."""
NOTE_BOX = """() => {
    window.figuresInBox = [];
    new MutationObserver(() => {
        const box = document.querySelector(".st-key-designing-corrections");
        if (!box?.querySelector("[data-testid=stSpinner]")) return;
        const inside = box.querySelectorAll("[data-testid=stPlotlyChart], [data-testid=stDataFrame]");
        window.figuresInBox.push(inside.length);
    }).observe(document.body, { subtree: true, childList: true });
}"""
"""Notes how many figures and tables stand in the box that says that raw designs are corrected, while it does:
on a quick machine that is for less than a tenth of a second."""


def test_a_visit(page: Page, server: str, tmp_path: Path) -> None:
    # The first visitor of a server may come by the address of any page.
    page.goto(f"{server}/predict")
    expect(page.locator("h1")).to_contain_text("Stiffness of example")
    drawn(page)

    # Design: the gallery shows volumes, not an empty canvas.
    page.goto(f"{server}/?count={COUNT}")
    expect(page.locator("h1")).to_contain_text("Designs for C11 = 60")
    first = drawn(page)
    assert page.locator(".card").count() == COUNT
    seen = pixels(page)
    background = seen[2, seen.shape[1] // 2]
    middle = seen[seen.shape[0] // 3 : -seen.shape[0] // 3, seen.shape[1] // 3 : -seen.shape[1] // 3]
    covered = np.abs(seen - background).max(axis=2) > 0.06
    assert 0.1 < covered.mean() < 0.9
    assert middle.std(axis=(0, 1)).max() > 0.02  # shaded and cut, not of one colour

    # The solver's values arrive beside the predictions.
    expect(page.get_by_text(f"solver {COUNT}/{COUNT}")).to_be_visible()
    expect(page.locator(".card .figures.pending")).to_have_count(0)
    expect(page.locator(".card").first.locator("td.solver").first).to_have_text(re.compile(r"^\d+\.\d+$"))

    # The cameras are linked: dragging one panel turns all.
    drawn(page)
    before = [pixels(page, index) for index in (0, 1)]
    page.locator(".card .view").first.hover()
    box = page.locator(".card .view").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 70, y + 25, steps=5)
    page.mouse.up()
    drawn(page)
    turned = [pixels(page, index) for index in (0, 1)]
    assert all(difference(a, b) > 0.05 for a, b in zip(before, turned, strict=True))

    # A click chooses a design, without turning the others or the camera back.
    page.locator(".card").nth(2).click()
    expect(page.get_by_role("heading", name="Design #3")).to_be_visible()
    drawn(page)
    assert difference(turned[0], pixels(page, 0)) < 0.01

    # A slider: other designs from the same camera, and the link follows.
    page.evaluate(NOTE_BOX)
    page.get_by_role("slider", name="C11 [GPa]").press("PageUp")
    expect(page.locator("h1")).not_to_contain_text("C11 = 60,")
    second = drawn(page, other_than=first)
    assert not any(page.evaluate("window.figuresInBox")), "the box over the page hides the first look"
    assert difference(turned[0], pixels(page, 0)) > 0.02
    expect(page).to_have_url(re.compile(r"target=C11"))
    expect(page.get_by_text(f"solver {COUNT}/{COUNT}")).to_be_visible()
    assert drawn(page) == second

    # The file holds what was shown, with the solver's stiffness.
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all designs").click()
    path = tmp_path / "designs.h5"
    download.value.save_as(path)
    stored = read_designs(path)
    assert stored.microstructures.shape == (COUNT, 32, 32, 32)
    assert stored.stiffness is not None
    np.testing.assert_allclose(
        stored.stiffness[0], homogenize(stored.microstructures[0]).stiffness, rtol=1e-3, atol=0.01
    )

    # Predict: a volume of the user's, and a file that is none.
    page.get_by_role("link", name="Predict").click()
    expect(page.locator("h1")).to_contain_text("Stiffness of example")
    example = drawn(page)
    volume = gaussian_field(24, (1.5, 1.5, 6.0), 0.4, generator=np.random.default_rng(3))
    np.save(tmp_path / "rods.npy", volume)
    page.locator("input[type=file]").set_input_files(tmp_path / "rods.npy")
    expect(page.locator("h1")).to_contain_text("rods.npy")
    uploaded = drawn(page, other_than=example)
    assert pixels(page).std() > 0.02
    expect(page.get_by_test_id("stMetricValue").get_by_text("done", exact=True)).to_be_visible()

    (tmp_path / "text.npy").write_text("no array")
    page.locator("input[type=file]").set_input_files(tmp_path / "text.npy")
    refusal = page.get_by_test_id("stAlert").filter(has_text="expected a NumPy file")
    expect(refusal).to_be_visible()
    expect(page.locator("h1")).to_contain_text("rods.npy")
    assert drawn(page) == uploaded

    # Back, by the browser and by the menu: the target is as it was left.
    page.go_back()
    expect(page.locator("h1")).to_contain_text("Designs for")
    assert drawn(page) == second
    expect(page).to_have_url(re.compile(r"target=C11"))
    page.evaluate("scrollTo(0, 0)")
    left = pixels(page, 1)
    page.get_by_role("link", name="Predict").click()
    expect(page.locator("h1")).to_contain_text("Stiffness of")
    page.get_by_role("link", name="Design").click()
    expect(page.locator("h1")).to_contain_text("Designs for")
    assert drawn(page) == second
    assert difference(left, pixels(page, 1)) == 0  # the picture that was kept, to the pixel
