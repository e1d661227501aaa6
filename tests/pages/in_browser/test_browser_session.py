"""A tab in headless Chromium outlives its server: target, shortlist and refinements come back."""

import re
from pathlib import Path

import pytest
from browser import PATIENCE, drawn, free_port, launched, opened, serving, settled
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TAKE_OUT = re.compile(r"^Take .* out of the shortlist")


def test_a_tab_outlives_a_reload_and_a_killed_server(tmp_path: Path) -> None:
    port = free_port()
    with launched() as browser, opened(browser) as page:
        with serving(tmp_path, port) as (address, process):
            page.goto(f"{address}/?count=1&C11=55&seed=3")
            expect(page.locator("h1")).to_contain_text("Designs for C11 = 55")
            drawn(page)
            page.locator(".card").first.get_by_role("button", name=re.compile("to the shortlist")).click()
            expect(page.locator(".card").first.get_by_role("button", name=TAKE_OUT)).to_be_visible()
            page.get_by_role("button", name="Refine 1 design").click()
            summary = page.locator(".st-key-summary-refined")
            expect(summary.get_by_text("finished", exact=True)).to_be_visible(timeout=4 * PATIENCE)
            expect(summary.get_by_text("1 reached", exact=True)).to_be_visible()
            settled(page)

            # The link has the inputs on every page, and after every change of pages.
            page.get_by_role("link", name="Predict").click()
            expect(page.locator("h1")).to_contain_text("Stiffness of")
            expect(page).to_have_url(re.compile(r"/predict\?.*C11%3D55.*seed=3"))

            # A reload begins a new session: what was put aside is there.
            page.reload()
            expect(page.locator("h1")).to_contain_text("Stiffness of")
            settled(page)
            page.get_by_role("link", name="Compare & export").click()
            expect(page.locator("h1")).to_contain_text("One design")
            settled(page)
            process.kill()
            process.wait()

        # The tab stays open meanwhile, finds the server again, and goes on where it was.
        page.locator("[data-testid=stApp]:not([data-test-connection-state=CONNECTED])").wait_for()
        with serving(tmp_path, port):
            settled(page)
            expect(page.locator("h1")).to_contain_text("One design")
            expect(page).to_have_url(re.compile(r"/compare\?.*C11%3D55"))
            page.get_by_role("link", name="Design", exact=True).click()
            expect(page.locator("h1")).to_contain_text("Designs for C11 = 55")
            settled(page)
            expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("3")
            assert page.locator(".gallery").first.locator(".card").count() == 1
            expect(
                page.locator(".st-key-summary-refined").get_by_text("finished", exact=True)
            ).to_be_visible()
            expect(page.locator(".card").first.get_by_role("button", name=TAKE_OUT)).to_be_visible()
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log
