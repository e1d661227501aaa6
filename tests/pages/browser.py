"""What the tests in headless Chromium share: one server, a browser window each, what is seen of a gallery.

The 3D gallery is judged by its pixels, and nothing but the local server may be asked for anything.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-gpu-compositing",  # SwiftShader draws the volumes alone: a page costs it four times as much
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 120_000
"""Longest wait for anything [ms]: the machine may be slow, and busy."""
WATCH = Path(__file__).with_name("watch.js")
"""Program in every window that notes when the page asked the server for a run, and when a run ended."""
STILL = """new MutationObserver((_, observer) => {
    if (!document.head) return;
    observer.disconnect();
    const style = document.createElement("style");
    style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important; }";
    document.head.append(style);
}).observe(document, { childList: true, subtree: true });"""
"""Program in every window that leaves out what moves by itself: without a graphics card frames cost time."""
SETTLED = """() => {
    const { testScriptState: state, testConnectionState: connection } =
        document.querySelector("[data-testid=stApp]")?.dataset ?? {};
    const { asked, ended, partAsked, partEnded } = globalThis.vaeregRuns;
    const isAnswered = ended > asked && Math.max(ended, partEnded) > partAsked;
    const quiet = performance.now() - Math.max(ended, asked, partAsked) > 100;
    return state === "notRunning" && connection === "CONNECTED" && isAnswered && quiet;
}"""
"""Whether every run that the page asked for has ended. One that was asked for while another one ended begins
within the tenth of a second."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard as a user starts it, on a free port."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, free_port()) as (address, _):
        yield address
    log = (folder / "log").read_text()
    assert "Traceback" not in log, log


def free_port() -> int:
    """A port that no server listens to."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(folder: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process of a dashboard that keeps its log and its sessions in a folder."""
    log = folder / "log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    options = ["--server.port", str(port), "--server.headless", "true"]
    address = f"http://localhost:{port}"
    environment = os.environ | {"VAEREG_SESSIONS": str(folder / "sessions")}
    with log.open("a") as output:
        process = subprocess.Popen(
            command + options, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + PATIENCE / 1000
            while not answers(f"{address}/_stcore/health"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address, process
        finally:
            process.terminate()
            process.wait(PATIENCE / 1000)


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of all windows of a file of tests."""
    with launched() as browser:
        yield browser


@pytest.fixture
def page(server: str, chromium: Browser) -> Iterator[Page]:
    """A browser window that notes every request and every error, and lets none pass."""
    requests: list[str] = []
    errors: list[str] = []
    with opened(chromium) as window:
        window.on("request", lambda request: requests.append(request.url))
        window.on("websocket", lambda socket: requests.append(socket.url))
        window.on("console", lambda message: errors.append(complaint(message)) if is_error(message) else None)
        window.on("pageerror", lambda error: errors.append(str(error)))
        yield window
    local = urlsplit(server).netloc
    foreign = [url for url in requests if urlsplit(url).scheme not in ("data", "blob")]
    foreign = [url for url in foreign if urlsplit(url).netloc != local]
    assert requests and not foreign, foreign
    assert not errors, errors


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, without a window."""
    expect.set_options(timeout=PATIENCE)
    program = next(path for path in map(shutil.which, CHROMIUM) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS), timeout=PATIENCE)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    """A window that knows nothing of others."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.add_init_script(path=WATCH)
    context.add_init_script(STILL)
    window = context.new_page()
    window.set_default_timeout(PATIENCE)
    yield window
    context.close()


def complaint(message: ConsoleMessage) -> str:
    """What the console said, and of which address."""
    return f"{message.text} {message.location['url']}"


def is_error(message: ConsoleMessage) -> bool:
    """Whether a message is an error; Streamlit probes the address of a page for its server, in vain."""
    return message.type == "error" and not re.search(r"/\w+/_stcore/", urlsplit(message.location["url"]).path)


def drawn(page: Page, *, other_than: str | None = None) -> str:
    """Wait until the first gallery of the page shows volumes in full; their hash.

    Others may be in tabs that are not open. While the server is at work, the gallery of the page before may
    still be there, so that is waited for first.
    """
    settled(page)
    gallery = page.locator(".gallery:visible").first
    gallery.scroll_into_view_if_needed()  # only what is seen is drawn
    expect(gallery).to_have_attribute("data-drawn", re.compile(f"^(?!{other_than}$)."))
    expect(gallery).to_have_attribute("data-state", "refined")
    return str(gallery.get_attribute("data-drawn"))


def settled(page: Page) -> None:
    """Wait until the server has answered whatever the page asked of it."""
    page.wait_for_function(SETTLED, polling=50)


def pixels(page: Page, index: int = 0, *, within: str = "") -> np.ndarray:
    """Picture of the volume of a panel as it is seen, shape (height, width, 3), as floats from 0 to 1.

    Args:
        page: The page.
        index: Place of the panel among those of the page, or of a part of it.
        within: Selector of that part.
    """
    page.mouse.move(2, 2)  # what is pointed at may look otherwise
    image = page.locator(f"{within} .card .view").nth(index).screenshot()
    return np.asarray(Image.open(BytesIO(image)).convert("RGB")) / 255.0


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pixels that are clearly different [-], where both pictures are; a panel keeps its size."""
    assert np.abs(np.subtract(one.shape, other.shape)).max() <= 2  # rounding
    height, width = np.minimum(one.shape, other.shape)[:2]
    return float((np.abs(one[:height, :width] - other[:height, :width]).max(axis=2) > 0.08).mean())
