"""The dashboard in windows of a browser, for its benchmarks: what a page shows, and how long it takes."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from dashboard_server import ROOT, Server, processor_times, spent
from playwright.sync_api import Page, sync_playwright
from record import gaussian_cell

sys.path.append(str(ROOT / "tests" / "pages"))
from browser import CHROMIUM, FLAGS, PATIENCE

PAGES = ("Explore", "Predict", "Model", "Design")
PREVIEWS = 20
"""Positions of the slider while it is dragged."""
PAUSE = 1.0
"""Between two slider moves, and two pages [s]."""
SLIDER = "Ex [GPa]"
"""Name of the slider that is moved."""
LOOK = 50
"""Between two looks of the page at itself [ms]."""
MOVED = ("arrived", "drawn", "corrected", "refined")
"""States after the release of a slider, see `STATES`."""
STATES = """globalThis.vaeregStates = (() => {
    const hosts = () => [...document.querySelectorAll("[data-testid^=stBidiComponent]")];
    const inside = (host) => host.shadowRoot?.querySelector(".gallery"); // in a shadow tree of its own
    let known = null;
    const gallery = () => {
        if (!known?.isConnected) known = hosts().map(inside).find(Boolean);
        return known?.dataset ?? {};
    };
    const title = () => [...document.querySelectorAll("h1")].map(({ innerText }) => innerText).join(" ");
    const app = () => document.querySelector("[data-testid=stApp]");
    const quiet = () => app()?.dataset.testScriptState === "notRunning";
    const arrived = (former) => (gallery().set ?? former) !== former; // other volumes than before
    const drawn = (former) => (gallery().drawn ?? former) !== former; // every panel in full resolution
    const corrected = (former) => drawn(former) && !gallery().stage; // no others take their place
    const refined = (former) => corrected(former) && gallery().state === "refined"; // with smooth edges
    return {
        set: () => gallery().set ?? "", title, quiet, arrived, drawn, corrected, refined,
        asked: () => title().includes("Designs for"),
        named: (name) => title().includes(name) && quiet(),
        other_page: (former) => title() && title() !== former && quiet(),
    };
})();"""
"""Program of the page that says what it shows, of its first gallery where it has several."""


@contextmanager
def browsing(count: int = 1) -> Iterator[list[Page]]:
    """Windows of one browser, each a session of its own."""
    program = next(
        Path(folder) / name
        for folder in os.get_exec_path()
        for name in CHROMIUM
        if (Path(folder) / name).exists()
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS), timeout=PATIENCE)
        pages = []
        for _ in range(count):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.add_init_script(STATES)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            pages.append(page)
        yield pages
        browser.close()


def wait(page: Page, state: str, former: str = "") -> None:
    """Wait until the page is in a state of `STATES`: the page looks itself, which costs it little."""
    page.wait_for_function(
        "([state, former]) => globalThis.vaeregStates[state](former)", arg=[state, former], polling=LOOK
    )


def gallery_set(page: Page) -> str:
    """Hash of the volumes of the first gallery."""
    return str(page.evaluate("globalThis.vaeregStates.set()"))


def heading(page: Page) -> str:
    """Title of the page."""
    return str(page.evaluate("globalThis.vaeregStates.title()"))


def seconds(page: Page, action: Callable[[], object], *states: str, former: str = "") -> dict[str, float]:
    """Times from an action until the page is in each of some states [s]."""
    begin, result = time.perf_counter(), {}
    action()
    for state in states:
        wait(page, state, former)
        result[state] = round(time.perf_counter() - begin, 3)
    return result


def release_slider(page: Page, place: float, *states: str) -> dict[str, float]:
    """Times from the release of the slider at a place of it, from 0 to 1, which nobody has had yet, until
    the page is in each of some states [s].
    """
    left, width, height = slider_place(page)
    page.mouse.move(left + place * width - 8, height)
    page.mouse.down()
    page.mouse.move(left + place * width, height, steps=4)
    time.sleep(PAUSE)  # the last preview is there
    return seconds(page, page.mouse.up, *states, former=gallery_set(page))


def slider_place(page: Page) -> tuple[float, float, float]:
    """Left end, width and height on the page of the slider that is moved [px]."""
    box = page.get_by_role("slider", name=SLIDER).bounding_box()
    if box is None:
        raise RuntimeError("the slider is not on the page")
    return box["x"], box["width"], box["y"] + box["height"] / 2


def drag(page: Page, count: int = PREVIEWS) -> list[float]:
    """Times from the events of a slider that is dragged until their previews are drawn [s]; the slider is not
    let go.
    """
    left, width, height = slider_place(page)
    page.evaluate("vaeregLive.times.length = 0")
    page.mouse.move(left + 0.25 * width, height)
    page.mouse.down()
    for place in range(count):
        page.mouse.move(left + (0.27 + 0.5 * place / count) * width, height)
        page.wait_for_function("count => vaeregLive.times.length > count", arg=place, polling=LOOK)
    return preview_times(page)


def preview_times(page: Page) -> list[float]:
    """Times of the previews that were drawn since a slider was taken [s]."""
    return [round(time / 1000.0, 3) for time in page.evaluate("vaeregLive.times")]


def let_go(page: Page) -> None:
    """Let the slider go, and wait for its designs."""
    former = gallery_set(page)
    page.mouse.up()
    wait(page, "corrected", former)
    wait(page, "quiet")


def several_moves(page: Page, count: int) -> list[dict[str, float]]:
    """Times of releases of the slider, with a pause after each."""
    result = []
    for number in range(count):
        result.append(release_slider(page, 0.3 + 0.5 * number / count, *MOVED))
        wait(page, "refined")
        time.sleep(PAUSE)
    return result


def switches(page: Page, server: Server) -> dict[str, object]:
    """Times from a click on the name of a page until it is there, with its first gallery where it has one,
    and time of the processors [s].
    """
    result: dict[str, object] = {}
    for visit in ("first", "again"):
        for name in PAGES:
            former, before = heading(page), processor_times(server)
            click = page.get_by_role("link", name=name, exact=True).click
            begin = time.perf_counter()
            click()
            wait(page, "other_page", former)
            if name != "Model":
                wait(page, "drawn")
            result[f"{name.lower()}_{visit}_s"] = round(time.perf_counter() - begin, 3)
            result[f"{name.lower()}_{visit}_processor_s"] = spent(before, processor_times(server))
            time.sleep(PAUSE)
    return result


def uploads(page: Page, repeats: int) -> list[float]:
    """Times from the choice of a file to its prediction and its volume."""
    former = heading(page)
    page.get_by_role("link", name="Predict", exact=True).click()
    wait(page, "other_page", former)
    wait(page, "drawn")
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            path = Path(folder) / f"volume{number}.npy"
            np.save(path, gaussian_cell(32, seed=number))
            former, begin = gallery_set(page), time.perf_counter()
            page.locator("input[type=file]").set_input_files(path)
            wait(page, "named", path.name)
            wait(page, "drawn", former)
            result.append(round(time.perf_counter() - begin, 3))
    return result


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Median and worst of some times [s]."""
    return {"median_s": round(statistics.median(times), 3), "worst_s": max(times), "all_s": list(times)}


def moves_summary(moves: Sequence[dict[str, float]]) -> dict[str, Any]:
    """`summary` of each time of `move_slider`."""
    return {name: summary([move[name] for move in moves]) for name in moves[0]}
