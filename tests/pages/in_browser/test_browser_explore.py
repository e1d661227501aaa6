"""Headless Chromium on the latent map, on a link and on what is called off: what AppTest cannot do."""

import re
import time
from collections.abc import Callable

import pytest
from browser import PATIENCE, drawn, settled
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

PRESS_CANCEL = """() => {
    globalThis.isCancelPressed = false;
    const press = () => {
        const buttons = [...document.querySelectorAll("button")];
        const button = buttons.find(({ textContent }) => textContent.trim() === "Cancel");
        if (!button) return;
        observer.disconnect();
        button.click();
        globalThis.isCancelPressed = true;
    };
    const observer = new MutationObserver(press);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def first_point(plot: Locator) -> tuple[float, float]:
    """Where the first volume of the map is on the screen [pixel]."""
    script = """plot => {
        const {xaxis, yaxis} = plot._fullLayout, {x, y} = plot._fullData[0];
        const box = plot.getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.d2p(x[0]), box.y + yaxis._offset + yaxis.d2p(y[0])];
    }"""
    x, y = plot.evaluate(script)
    return x, y


def hovered_point(page: Page, plot: Locator) -> tuple[float, float]:
    """Point at the first volume of the map until it is named there: a click chooses what is hovered."""
    named = plot.locator(".hoverlayer .hovertext")
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        x, y = first_point(plot)
        page.mouse.move(x - 20, y)  # the map may have been at work when the mouse came
        page.mouse.move(x, y)
        page.wait_for_timeout(200)
        if named.is_visible() and first_point(plot) == (x, y):
            return x, y
        assert time.monotonic() < deadline, "no volume is named"


def call_off(page: Page, begin: Callable[[], None]) -> None:
    """Begin work, and press its button Cancel as soon as there is one, however soon it would end."""
    page.evaluate(PRESS_CANCEL)
    begin()
    page.wait_for_function("() => globalThis.isCancelPressed")


def in_view(page: Page, *, other_than: str | None = None) -> str:
    """Hash of what the first gallery shows; one that is out of sight is not drawn."""
    settled(page)
    page.locator(".gallery .card").first.evaluate("card => card.scrollIntoView({block: 'nearest'})")
    return drawn(page, other_than=other_than)


def test_lasso_and_click_on_the_map(page: Page, server: str) -> None:
    page.goto(f"{server}/explore")
    expect(page.locator("h1")).to_contain_text("Explore")
    typical = in_view(page)
    plot = page.locator(".js-plotly-plot").first

    # A lasso around the middle: its volumes in the gallery, and their histograms.
    plot.hover()
    plot.locator("[data-title='Lasso Select']").click()
    box = plot.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 90, y - 60)
    page.mouse.down()
    for across, down in ((90, -60), (90, 60), (-90, 60), (-90, -60)):
        page.mouse.move(x + across, y + down, steps=4)
    page.mouse.up()
    expect(page.get_by_role("heading", name=re.compile(r"^\d+ volumes$"))).to_be_visible()
    expect(page.locator(".st-key-map-histograms .js-plotly-plot")).to_be_visible()
    selected = in_view(page, other_than=typical)
    assert 1 < page.locator(".gallery").first.locator(".card").count() <= 12

    # A click: one volume, its properties, and what is near it.
    plot.hover()
    plot.locator("[data-title='Pan']").click()
    settled(page)
    page.mouse.click(*hovered_point(page, plot))
    expect(page.get_by_role("heading", name=re.compile(r"^Sample \d+"))).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    in_view(page, other_than=selected)
    assert page.locator(".gallery").first.locator(".card").count() == 9
    expect(page.get_by_text("by latent vector, all axes")).to_be_visible()


def test_a_link_restores_target_seed_modes_and_size(page: Page, server: str) -> None:
    link = f"{server}/?C11=42&seed=7&modes=Irregular&size=64&count=1"
    page.goto(link)
    expect(page.locator("h1")).to_contain_text("C11 = 42")
    first = drawn(page)
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("7")
    expect(page.get_by_text(re.compile("· 64³ voxels"))).to_be_visible()
    assert page.locator(".gallery").first.locator(".card").count() == 1
    expect(page.locator(".gallery").first).to_contain_text("Irregular")

    # What the address says by now leads to the same designs, whoever opens it.
    settled(page)
    address = page.url
    page.goto(f"{server}/model")
    page.goto(address)
    expect(page.locator("h1")).to_contain_text("C11 = 42")
    assert drawn(page) == first


def test_designing_large_cells_is_called_off_and_taken_up_again(page: Page, server: str) -> None:
    page.goto(f"{server}/?count=1&seed=11")
    first = drawn(page)
    call_off(page, page.get_by_role("radiogroup", name="Cell size").get_by_text("96", exact=True).click)
    expect(page.get_by_text("Designing was cancelled.")).to_be_visible()
    assert drawn(page) == first
    expect(page.get_by_text("These designs belong to the former settings")).to_be_visible()
    page.get_by_role("button", name="Make these designs").click()
    drawn(page, other_than=first)
    expect(page.get_by_text("Designing was cancelled.")).to_have_count(0)
    expect(page.get_by_text(re.compile("· 96³ voxels"))).to_be_visible()
    large = drawn(page)
    call_off(page, page.get_by_role("button", name="More like this").click)
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    settled(page)
    assert drawn(page) == large
    page.get_by_role("button", name="More like this").click()
    expect(page.get_by_text("the same structure drawn anew, draw 1")).to_be_visible()
    drawn(page, other_than=large)
