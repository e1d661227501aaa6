"""One visit to the dashboard in headless Chromium, with the shipped checkpoint: what AppTest cannot see.

The 3D gallery is judged by its pixels, and nothing but the local server may be asked for anything.
"""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from vaereg.generators import gaussian_field
from vaereg.homogenization import homogenize
from vaereg.storage import read_designs

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 120_000
"""Longest wait for anything [ms]: the machine may be slow, and busy."""
COUNT = 6
"""Designs shown."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard as a user starts it, on a free port."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    options = ["--server.port", str(port), "--server.headless", "true"]
    address = f"http://localhost:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(command + options, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + PATIENCE / 1000
            while not answers(f"{address}/_stcore/health"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(PATIENCE / 1000)
    assert "Traceback" not in log.read_text(), log.read_text()


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


@pytest.fixture
def page(server: str) -> Iterator[Page]:
    """A browser window that notes every request and every error, and lets none pass."""
    requests: list[str] = []
    errors: list[str] = []
    expect.set_options(timeout=PATIENCE)
    program = next(path for path in map(shutil.which, CHROMIUM) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS), timeout=PATIENCE)
        window = browser.new_page(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        window.set_default_timeout(PATIENCE)
        window.on("request", lambda request: requests.append(request.url))
        window.on("websocket", lambda socket: requests.append(socket.url))
        window.on("console", lambda message: errors.append(complaint(message)) if is_error(message) else None)
        window.on("pageerror", lambda error: errors.append(str(error)))
        yield window
        browser.close()
    local = urlsplit(server).netloc
    foreign = [url for url in requests if urlsplit(url).scheme not in ("data", "blob")]
    foreign = [url for url in foreign if urlsplit(url).netloc != local]
    assert requests and not foreign
    assert not errors


def complaint(message: ConsoleMessage) -> str:
    """What the console said, and of which address."""
    return f"{message.text} {message.location['url']}"


def is_error(message: ConsoleMessage) -> bool:
    """Whether a message is an error; Streamlit probes the address of a page for its server, in vain."""
    return message.type == "error" and "/predict/_stcore/" not in message.location["url"]


def drawn(page: Page, *, other_than: str | None = None) -> str:
    """Wait until the first gallery of the page shows volumes in full; their hash.

    Others may be in tabs that are not open. While the server is at work, the gallery of the page before may
    still be there.
    """
    settled(page)
    gallery = page.locator(".gallery").first
    expect(gallery).to_have_attribute("data-drawn", re.compile(f"^(?!{other_than}$)."))
    expect(gallery).to_have_attribute("data-state", "refined")
    return str(gallery.get_attribute("data-drawn"))


def settled(page: Page) -> None:
    """Wait until the server has nothing more to say."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def pixels(page: Page, index: int = 0) -> np.ndarray:
    """What is seen of the volume of a panel, shape (height, width, 3), as floats from 0 to 1."""
    page.mouse.move(2, 2)  # what is pointed at may look otherwise
    image = page.locator(".card .view").nth(index).screenshot()
    return np.asarray(Image.open(BytesIO(image)).convert("RGB")) / 255.0


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pixels that are clearly different [-], where both pictures are; a panel keeps its size."""
    assert np.abs(np.subtract(one.shape, other.shape)).max() <= 2  # rounding
    height, width = np.minimum(one.shape, other.shape)[:2]
    return float((np.abs(one[:height, :width] - other[:height, :width]).max(axis=2) > 0.08).mean())


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
    expect(page.locator(".card .figures tr.solver")).to_have_count(COUNT)
    expect(page.locator(".card").first.locator("tr.solver td").first).to_have_text(re.compile(r"^\d+\.\d$"))

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
    page.get_by_role("slider", name="C11 [GPa]").press("PageUp")
    expect(page.locator("h1")).not_to_contain_text("C11 = 60,")
    second = drawn(page, other_than=first)
    assert difference(turned[0], pixels(page, 0)) > 0.02
    expect(page).to_have_url(re.compile(r"C11="))
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

    # Back: the target is as it was left.
    page.get_by_role("link", name="Design").click()
    expect(page.locator("h1")).to_contain_text("Designs for")
    assert drawn(page) == second
