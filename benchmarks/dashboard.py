"""How fast the dashboard is, in headless Chromium against a server of its own: results/dashboard.json.

    OMP_NUM_THREADS=1 python benchmarks/dashboard.py [--repeats 10] [--starts 3]

Previews are timed by the page itself, from the event of a slider that is dragged by the mouse until all of
them are drawn. Other times are those that a user sees, from a key or a click: until the new volumes are in
the page (`arrived`) and every panel is drawn in full resolution (`drawn`), both of the first look at raw
designs, and until the corrected ones are (`corrected`) with smooth edges too (`refined`). The browser draws
on the processor, so that it competes with the server; four sessions at once share one machine with four
browsers. "From afar" leaves the browsers out: what the server takes for four at once, which move a target, or
drag it and let it go by turns. Memory is the proportional set size of the server and its workers. Where the
machine is busy with other things, the processor time of the server says more than any time that a user would
see.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright
from record import gaussian_cell, write_record
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "pages"))
from browser import CHROMIUM, FLAGS, PATIENCE, answers  # noqa: E402

PAGES = ("Explore", "Predict", "Model", "Design")
SESSIONS = 4
PREVIEWS = 20
"""Positions of the slider while it is dragged."""
PAUSE = 1.0
"""Between two slider moves of one of several sessions [s]."""
SLIDER = "Ex [GPa]"
"""Name of the slider that is moved."""
TARGET = "target=E_x=40&target=E_y=25&target=E_z=25"
"""Target of a new session, in a link that has something else, too."""
LOOK = 0.02
"""Between two looks at a page [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running dashboard."""

    address: str
    process: subprocess.Popen[bytes]
    begun: float
    """When it was started, by `time.perf_counter` [s]."""

    def processor(self) -> float:
        """Processor time of the server so far, without its workers [s]."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Proportional set size of the server and its children [MB]."""
        result = 0
        for process in [self.process.pid, *descendants(self.process.pid)]:
            try:
                text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
            except OSError:  # it has just ended
                continue
            result += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return round(result / 1024, 1)


def descendants(process: int) -> list[int]:
    """Children of a process, and theirs."""
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        text = " ".join((thread / "children").read_text(encoding="ascii") for thread in threads)
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return children + [item for child in children for item in descendants(child)]


@contextmanager
def serving(cache: Path, log: Path | None = None) -> Iterator[Server]:
    """The dashboard as a user starts it, with a folder for compiled kernels and a file for its output."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": str(ROOT),
        "VAEREG_SESSIONS": str(cache / "sessions"),
    }
    begun = time.perf_counter()
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        address = f"http://localhost:{port}"
        while not answers(f"{address}/_stcore/health"):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with code {process.returncode}")
            time.sleep(LOOK)
        yield Server(address=address, process=process, begun=begun)
    finally:
        process.terminate()
        process.wait(30)


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
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(PATIENCE)
            pages.append(page)
        yield pages
        browser.close()


def wait(ready: Callable[[], object]) -> None:
    """Look at a page until it is ready."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError("the page was not ready in time")
        time.sleep(LOOK)


def seconds(action: Callable[[], object], ready: Callable[[], object]) -> float:
    """Time from an action until the page is ready [s]."""
    begin = time.perf_counter()
    action()
    wait(ready)
    return round(time.perf_counter() - begin, 3)


def gallery(page: Page) -> dict[str, str]:
    """The first gallery of the page: hash of its volumes (set), of what it has drawn, and its state."""
    return page.locator(".gallery").evaluate_all("all => all.length ? {...all[0].dataset} : {}")


def has_arrived(page: Page, former: str) -> bool:
    """Whether the first gallery has other volumes than before."""
    return gallery(page).get("set", former) != former


def is_drawn(page: Page, former: str = "") -> bool:
    """Whether the first gallery shows other volumes than before, every panel in full resolution."""
    return gallery(page).get("drawn", former) != former


def is_corrected(page: Page, former: str = "") -> bool:
    """The same, and other volumes do not take their place."""
    return is_drawn(page, former) and not gallery(page).get("stage")


def is_refined(page: Page, former: str = "") -> bool:
    """The same, with smooth edges."""
    return is_corrected(page, former) and gallery(page).get("state") == "refined"


def heading(page: Page) -> str:
    """Title of the page."""
    return " ".join(page.locator("h1").all_inner_texts())


def is_quiet(page: Page) -> bool:
    """Whether the server has nothing more to say."""
    return page.locator("[data-testid=stApp][data-test-script-state=notRunning]").count() > 0


def move_slider(page: Page) -> dict[str, float]:
    """Times from one step of the first slider, to a target that nobody has had yet [s]."""
    slider = page.get_by_role("slider", name=SLIDER)
    slider.focus()
    former = gallery(page).get("set", "")
    begin = time.perf_counter()
    page.keyboard.press("ArrowRight")
    result = {}
    for name, ready in (
        ("arrived", has_arrived),
        ("drawn", is_drawn),
        ("corrected", is_corrected),
        ("refined", is_refined),
    ):
        wait(lambda ready=ready: ready(page, former))
        result[name] = round(time.perf_counter() - begin, 3)
    return result


def drag(
    page: Page, count: int = PREVIEWS, *, processor: Callable[[], float] | None = None
) -> tuple[list[float], float]:
    """Times from the events of a slider that is dragged until their previews are drawn, and the server's time
    of the processor for each, without the designs that follow when the slider is let go [s].
    """
    box = page.get_by_role("slider", name=SLIDER).bounding_box()
    if box is None:
        raise RuntimeError("the slider is not on the page")
    height = box["y"] + box["height"] / 2
    page.evaluate("vaeregLive.times.length = 0")
    page.mouse.move(box["x"] + 0.25 * box["width"], height)
    page.mouse.down()
    before = processor() if processor else 0.0
    for place in range(count):
        page.mouse.move(box["x"] + (0.27 + 0.5 * place / count) * box["width"], height)
        wait(lambda place=place: page.evaluate("vaeregLive.times.length") > place)
    times: list[float] = page.evaluate("vaeregLive.times")
    spent = (processor() - before) / count if processor else 0.0
    former = gallery(page).get("set", "")
    page.mouse.up()
    wait(lambda: is_corrected(page, former) and is_quiet(page))
    return [round(time / 1000.0, 3) for time in times], spent


def several_moves(page: Page, count: int) -> list[dict[str, float]]:
    """Times of moves of the slider, with a pause after each."""
    result = []
    for _ in range(count):
        result.append(move_slider(page))
        time.sleep(PAUSE)
    return result


def start(cache: Path) -> dict[str, float]:
    """Times from the command to the first page, with a browser that waits [s]."""
    with browsing() as (page,), serving(cache) as server:
        result = {"server_answers_s": time.perf_counter() - server.begun}
        page.goto(server.address)
        wait(lambda: "Designs for" in heading(page))
        result["title_s"] = time.perf_counter() - server.begun
        wait(lambda: is_drawn(page))
        result["first_look_s"] = time.perf_counter() - server.begun
        wait(lambda: is_corrected(page))
        result["gallery_s"] = time.perf_counter() - server.begun
        result["server_processor_s"] = server.processor()
    return {name: round(value, 2) for name, value in result.items()}


def switches(page: Page) -> dict[str, float]:
    """Time from a click on the name of a page until it is there, with its first gallery where it has one."""
    result = {}
    for visit in ("first", "again"):
        for name in PAGES:
            former = heading(page)
            link = page.get_by_role("link", name=name, exact=True)

            def there(name: str = name, former: str = former) -> bool:
                shown = heading(page)
                return (
                    bool(shown) and shown != former and is_quiet(page) and (name == "Model" or is_drawn(page))
                )

            result[f"{name.lower()}_{visit}_s"] = seconds(link.click, there)
    return result


def uploads(page: Page, repeats: int) -> list[float]:
    """Times from the choice of a file to its prediction and its volume."""
    page.get_by_role("link", name="Predict", exact=True).click()
    wait(lambda: "Stiffness of" in heading(page) and is_quiet(page) and is_drawn(page))
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            path = Path(folder) / f"volume{number}.npy"
            np.save(path, gaussian_cell(32, seed=number))
            former = gallery(page).get("set", "")
            upload = page.locator("input[type=file]")

            def there(name: str = path.name, former: str = former) -> bool:
                return name in heading(page) and is_drawn(page, former)

            result.append(seconds(lambda: upload.set_input_files(path), there))  # noqa: B023
    return result


def crowd(address: str, moves: int) -> list[dict[str, float]]:
    """Times of slider moves of several sessions at once, each with a browser of its own [s]."""

    def visit(number: int) -> list[dict[str, float]]:
        with browsing() as (page,):
            page.goto(f"{address}/?seed={100 + number}&{TARGET}")
            wait(lambda: is_drawn(page) and is_quiet(page))
            return several_moves(page, moves)

    with ThreadPoolExecutor(SESSIONS) as threads:
        return [item for times in threads.map(visit, range(SESSIONS)) for item in times]


def crowd_previews(address: str) -> list[float]:
    """Times of previews of several sessions that drag at once, each with a browser of its own [s]."""

    def visit(number: int) -> list[float]:
        with browsing() as (page,):
            page.goto(f"{address}/?{TARGET}&seed={300 + number}")
            wait(lambda: is_drawn(page) and is_quiet(page))
            drag(page, 2)
            return drag(page)[0]

    with ThreadPoolExecutor(SESSIONS) as threads:
        return [item for times in threads.map(visit, range(SESSIONS)) for item in times]


@contextmanager
def session_from_afar(address: str, query: str) -> Iterator[tuple[ClientConnection, str]]:
    """A session without a browser: its connection, and the widget in which the first target is typed."""
    socket_address = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
    with connect(socket_address, subprotocols=[Subprotocol("streamlit")], max_size=None) as connection:
        (typed,) = {
            message.delta.new_element.number_input.id
            for message in run_page(connection, query, [])
            if message.delta.new_element.number_input.label == f"{SLIDER}, typed"
        }
        yield connection, typed


def crowd_from_afar(address: str, moves: int) -> list[float]:
    """The same with browsers on machines of their own: times until the server has sent all of a page [s]."""

    def visit(number: int) -> list[float]:
        query, times = f"{TARGET}&seed={200 + number}", []
        with session_from_afar(address, query) as (connection, typed):
            for step in range(moves):
                state = WidgetState(id=typed, double_value=30.0 + 2.0 * step)
                begin = time.perf_counter()
                run_page(connection, query, [state])
                times.append(round(time.perf_counter() - begin, 3))
                time.sleep(PAUSE)
        return times

    with ThreadPoolExecutor(SESSIONS) as threads:
        return [item for times in threads.map(visit, range(SESSIONS)) for item in times]


def crowd_of_designers(address: str, rounds: int) -> list[float]:
    """Times of previews of several sessions that drag and design by turns, without browsers [s]."""

    def visit(number: int) -> list[float]:
        query, times = f"{TARGET}&seed={400 + number}", []
        live_address = f"{address.replace('http', 'ws', 1)}/live"
        with (
            session_from_afar(address, query) as (connection, typed),
            connect(live_address, origin=Origin(address), max_size=None) as live,
        ):
            for step in range(rounds):
                for place in range(PREVIEWS):
                    value = 30.0 + 4.0 * step + 0.2 * place
                    message = {"id": place, "link": query, "changed": {"E_x": [value, value]}}
                    begin = time.perf_counter()
                    live.send(json.dumps(message))
                    if isinstance(answer := live.recv(timeout=PATIENCE / 1000), str):
                        raise RuntimeError(f"no preview came: {answer}")
                    times.append(round(time.perf_counter() - begin, 3))
                run_page(connection, query, [WidgetState(id=typed, double_value=value)])
        return times

    with ThreadPoolExecutor(SESSIONS) as threads:
        return [item for times in threads.map(visit, range(SESSIONS)) for item in times]


def run_page(connection: ClientConnection, query: str, states: Sequence[WidgetState]) -> list[ForwardMsg]:
    """Everything that the server sends until the page is complete, as a browser would ask for it: of designs
    the first look, and those that take its place.
    """
    request = BackMsg()
    request.rerun_script.query_string = query
    request.rerun_script.widget_states.widgets.extend(states)
    connection.send(request.SerializeToString())
    messages: list[ForwardMsg] = []
    while not messages or not is_last(messages[-1]):
        messages.append(ForwardMsg.FromString(connection.recv(timeout=PATIENCE / 1000)))
    return messages


def is_last(message: ForwardMsg) -> bool:
    """Whether the script has run to its end, and not only until it begins anew."""
    finished = message.WhichOneof("type") == "script_finished"
    return finished and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY


def memory_of_sessions(server: Server) -> list[float]:
    """Memory of the server with one session, two, ... [MB], each after two moves of the slider."""
    result = []
    with browsing(SESSIONS) as pages:
        for number, page in enumerate(pages):
            page.goto(f"{server.address}/?seed={number}&{TARGET}")
            wait(lambda: is_drawn(page) and is_quiet(page))  # noqa: B023
            for _ in range(2):
                move_slider(page)
            time.sleep(3.0)  # the solver's values arrive
            result.append(server.memory())
    return result


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Median and worst of some times [s]."""
    return {"median_s": round(statistics.median(times), 3), "worst_s": max(times), "all_s": list(times)}


def moves_summary(moves: Sequence[dict[str, float]]) -> dict[str, Any]:
    """`summary` of each time of `move_slider`."""
    return {name: summary([move[name] for move in moves]) for name in moves[0]}


def measure(repeats: int, starts: int, keep: Callable[[str, object], None]) -> None:
    """All figures, each to be kept as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        keep("start_without_compiled_kernels", start(cache))
        keep("start", [start(cache) for _ in range(starts)])
        with serving(cache) as server:
            with browsing() as (page,):
                page.goto(server.address)
                wait(lambda: is_drawn(page) and is_quiet(page))
                drag(page, 2)  # the socket is open, what is prepared is there
                previews, spent = drag(page, processor=server.processor)
                keep("preview", summary(previews) | {"server_processor_s_per_preview": round(spent, 3)})
                before = server.processor()
                moves = several_moves(page, repeats)
                spent = (server.processor() - before) / repeats
                keep("slider", moves_summary(moves) | {"server_processor_s_per_move": round(spent, 3)})
                keep("page_switches", switches(page))
                keep("upload", summary(uploads(page, 5)))
            keep("four_sessions_preview", summary(crowd_previews(server.address)))
            keep("four_sessions", moves_summary(crowd(server.address, 5)))
            keep("four_sessions_from_afar", summary(crowd_from_afar(server.address, 5)))
            keep("four_sessions_drag_and_design_from_afar", summary(crowd_of_designers(server.address, 4)))
        with serving(cache) as server:
            memory = memory_of_sessions(server)
        keep("memory_mb", memory)
        keep("memory_per_further_session_mb", round((memory[-1] - memory[0]) / (SESSIONS - 1), 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10, help="moves of the slider")
    parser.add_argument("--starts", type=int, default=3, help="starts with compiled kernels")
    parser.add_argument("--out", type=Path, help="record to write (default: results/dashboard.json)")
    arguments = parser.parse_args()
    before = [round(item, 2) for item in os.getloadavg()]
    settings: dict[str, object] = {
        "sessions": SESSIONS,
        "pause_s": PAUSE,
        "viewport": [1440, 900],
        "load_average_before": before,
    }
    figures: dict[str, object] = {}

    def keep(name: str, value: object) -> None:
        figures[name] = value
        path = write_record("dashboard", settings, figures, arguments.out)
        print(f"{path}: {name}: {value}", file=sys.stderr)

    measure(arguments.repeats, arguments.starts, keep)


if __name__ == "__main__":
    main()
