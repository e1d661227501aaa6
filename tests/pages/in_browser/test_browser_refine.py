"""Refinement in headless Chromium with the shipped checkpoint: from the button to the file, and back."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import drawn, pixels, settled
from playwright.sync_api import Page, expect

from vaereg.io.designs import read_designs
from vaereg.solver.homogenization import homogenize

pytestmark = pytest.mark.browser

SHEAR = "&target=C44%3D12&target=C55%3D14&target=C66%3D16"
"""Further moduli [GPa] in a link."""


def test_designs_are_refined_to_the_end(page: Page, server: str, tmp_path: Path) -> None:
    # Six moduli, which designs without a solve meet less closely than three: many voxels are to change.
    page.goto(f"{server}/?count=2&target=C11%3D60&target=C22%3D40&target=C33%3D40{SHEAR}")
    expect(page.locator("h1")).to_contain_text("Designs for C11 = 60")
    settled(page)
    tolerance = page.get_by_role("spinbutton", name="Tolerance [%]")
    tolerance.fill("0.5")  # they may be within the usual one
    tolerance.press("Enter")
    page.get_by_role("button", name="Refine 2 designs").click()

    # Curves and volumes appear while the solver is at work, and the result while another page is open.
    summary = page.locator(".st-key-summary-refined")
    expect(summary).to_be_visible()
    page.get_by_role("link", name="Predict").click()
    expect(page.locator("h1")).to_contain_text("Stiffness of")
    page.get_by_role("link", name="Design").click()
    expect(summary.get_by_text("finished", exact=True)).to_be_visible()
    expect(summary.get_by_text("2/2", exact=True)).to_be_visible()
    expect(page.get_by_text("2 reached", exact=True)).to_be_visible()
    figure = page.locator(".st-key-convergence")
    for curve in ("#1 reached", "#2 reached"):
        expect(figure.get_by_text(curve).first).to_be_visible()  # twice, while Plotly draws it anew

    # Before and after, with the changed voxels in another colour than all others.
    settled(page)
    panes = page.locator(".st-key-refined-panes")
    gallery = panes.locator(".gallery")
    gallery.scroll_into_view_if_needed()
    expect(gallery).to_have_attribute("data-state", "refined")
    assert panes.locator(".card").count() == 2
    seen = [pixels(page, place, within=".st-key-refined-panes") for place in range(2)]
    marked = [((image[..., 0] > 0.6) & (image[..., 0] > 1.6 * image[..., 2])).mean() for image in seen]
    assert 1e-4 < max(marked) < 0.2  # few voxels change, which may all lie inside one of the two
    expect(panes.locator(".card thead th.solver").last).to_have_text("verified")

    # The file: the designs on target, by the solver's own word.
    with page.expect_download() as download:
        page.get_by_role("button", name="Download 2 refined designs").click()
    path = tmp_path / "refined.h5"
    download.value.save_as(path)
    stored = read_designs(path)
    assert stored.stiffness is not None and stored.solves is not None
    assert 2 <= stored.solves.min() and stored.solves.max() <= 20
    np.testing.assert_allclose(
        stored.stiffness[0], homogenize(stored.microstructures[0]).stiffness, rtol=1e-6, atol=1e-6
    )
    for name, place in (("C11", 0), ("C22", 1), ("C33", 2)):
        np.testing.assert_allclose(stored.stiffness[:, place, place], stored.target[name], rtol=0.0101)

    # Another target: other designs, and what was found stays, with the target that it belongs to.
    former = gallery.get_attribute("data-drawn")
    first = drawn(page)
    page.get_by_role("slider", name="C11 [GPa]").press("PageUp")
    expect(page.locator("h1")).not_to_contain_text("C11 = 60,")
    drawn(page, other_than=first)
    expect(page.get_by_text("These belong to another target")).to_be_visible()
    gallery.scroll_into_view_if_needed()  # only what is seen is drawn
    expect(gallery).to_have_attribute("data-drawn", str(former))


def test_a_refinement_is_cancelled_and_a_target_brought_back(page: Page, server: str) -> None:
    # Large cells and a tolerance that take long, so that there is something to cancel.
    page.goto(f"{server}/?count=2&seed=3&size=64")
    expect(page.locator("h1")).to_contain_text("Designs for C11 = 60")
    tolerance = page.get_by_role("spinbutton", name="Tolerance [%]")
    tolerance.fill("0.1")
    tolerance.press("Enter")
    page.get_by_role("button", name="Refine 2 designs").click()
    summary = page.locator(".st-key-summary-refined")
    expect(summary.get_by_text("at work", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(summary.get_by_text("finished", exact=True)).to_be_visible()
    expect(summary.get_by_text(re.compile(r"\d cancelled$"))).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)

    # More like one of them, and back.
    first = drawn(page)
    page.get_by_role("button", name="More like this").click()
    expect(page.get_by_role("button", name="Back to all designs")).to_be_visible()
    drawn(page, other_than=first)
    page.get_by_role("button", name="Back to all designs").click()
    expect(page.get_by_role("button", name="More like this")).to_be_visible()
    assert drawn(page) == first

    # Out of reach: that is said above the designs, and the nearest that can be had is one click away.
    page.goto(f"{server}/?count=2&C11=90&C22=10&C33=10&C44=30&C44_is=value")
    expect(page.get_by_text("These designs come as near as they can.")).to_be_visible()
    page.get_by_role("button", name="Use the nearest reachable target").click()
    expect(page.locator("h1")).to_contain_text("Designs for C11")
    drawn(page)
