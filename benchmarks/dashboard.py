"""How fast the dashboard is, in headless Chromium against a server of its own: results/dashboard.json.

    OMP_NUM_THREADS=1 python benchmarks/dashboard.py [--repeats 10] [--starts 3] [--parts page,browsers]

Previews are timed by the page itself, from the event of a slider that is dragged by the mouse until all of
them are drawn. Other times are those that a user sees, from a click or the release of the slider: until the
new volumes are in the page (`arrived`) and every panel is drawn in full resolution (`drawn`), both of the
first look at raw designs, and until the corrected ones are (`corrected`) with smooth edges too (`refined`).
Beside each stands the time of the processors that it took: of the server, of its workers, of the page in the
browser, and of drawing. Without a graphics card the browser draws by SwiftShader on the processor, so that it
competes with the server: a user's computer has `page` and `drawing` to itself, and a graphics card for the
second. Four sessions at once share one machine with four browsers; "from afar" leaves the browsers out: what
the server takes for four at once, which move a target, or drag it and let it go by turns. Memory is the
proportional set size of the server and its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from dashboard_server import ROOT, Server, processor_times, serving, spent
from playwright.sync_api import Page, sync_playwright
from record import gaussian_cell, write_record
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

sys.path.append(str(ROOT / "tests" / "pages"))
from browser import CHROMIUM, FLAGS, PATIENCE

PAGES = ("Explore", "Predict", "Model", "Design")
SESSIONS = 4
PREVIEWS = 20
"""Positions of the slider while it is dragged."""
PAUSE = 1.0
"""Between two slider moves, and two pages [s]."""
REST = 5.0
"""Time after which what a page began has ended [s]."""
SLIDER = "Ex [GPa]"
"""Name of the slider that is moved."""
TARGET = "target=E_x=40&target=E_y=25&target=E_z=25"
"""Target of a new session, in a link that has something else, too."""
LOOK = 50
"""Between two looks of the page at itself [ms]."""
PARTS = ("starts", "page", "browsers", "afar", "memory")
RECORD = Path(__file__).parent / "results" / "dashboard.json"
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


def release_slider(page: Page, place: float) -> dict[str, float]:
    """Times from the release of the slider at a place of it, from 0 to 1, which nobody has had yet [s]."""
    left, width, height = slider_place(page)
    page.mouse.move(left + place * width - 8, height)
    page.mouse.down()
    page.mouse.move(left + place * width, height, steps=4)
    time.sleep(PAUSE)  # the last preview is there
    return seconds(page, page.mouse.up, *MOVED, former=gallery_set(page))


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
        result.append(release_slider(page, 0.3 + 0.5 * number / count))
        wait(page, "refined")
        time.sleep(PAUSE)
    return result


def start(cache: Path) -> dict[str, object]:
    """Times from the command to the first page, with a browser that waits [s]."""
    with browsing() as (page,), serving(cache) as server:

        def lap(name: str, state: str) -> None:
            wait(page, state)
            result[name] = round(time.perf_counter() - server.begun, 2)

        result: dict[str, object] = {"server_answers_s": round(time.perf_counter() - server.begun, 2)}
        page.goto(server.address)
        lap("title_s", "asked")
        lap("first_look_s", "drawn")
        result["processor_s_to_first_look"] = processor_times(server)
        lap("gallery_s", "corrected")
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


def crowd_of_browsers(address: str, moves: int) -> dict[str, object]:
    """Times of previews, and of designs, of several sessions at once, each with a browser of its own [s]."""
    ready = threading.Barrier(SESSIONS)

    def visit(number: int) -> tuple[list[float], list[dict[str, float]]]:
        with browsing() as (page,):
            page.goto(f"{address}/?seed={100 + number}&{TARGET}")
            wait(page, "corrected")
            wait(page, "quiet")
            drag(page, 2)
            let_go(page)
            ready.wait()
            previews = drag(page)
            let_go(page)
            ready.wait()
            return previews, several_moves(page, moves)

    with ThreadPoolExecutor(SESSIONS) as threads:
        parts = list(threads.map(visit, range(SESSIONS)))
    return {
        "preview": summary([time for previews, _ in parts for time in previews]),
        "slider": moves_summary([move for _, times in parts for move in times]),
    }


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
            wait(page, "corrected")
            wait(page, "quiet")
            several_moves(page, 2)
            time.sleep(3.0)  # the solver's values arrive
            result.append(server.memory())
    return result


def summary(times: Sequence[float]) -> dict[str, Any]:
    """Median and worst of some times [s]."""
    return {"median_s": round(statistics.median(times), 3), "worst_s": max(times), "all_s": list(times)}


def moves_summary(moves: Sequence[dict[str, float]]) -> dict[str, Any]:
    """`summary` of each time of `move_slider`."""
    return {name: summary([move[name] for move in moves]) for name in moves[0]}


def measure(parts: Sequence[str], repeats: int, starts: int, keep: Callable[[str, object], None]) -> None:
    """Figures of some `PARTS`, each to be kept as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        if "starts" in parts:
            keep("start_without_compiled_kernels", start(cache))
            keep("start", [start(cache) for _ in range(starts)])
        if {"page", "browsers", "afar"} & {*parts}:
            with serving(cache) as server:
                if "page" in parts:
                    measure_page(server, repeats, keep)
                if "browsers" in parts:
                    keep("four_sessions", crowd_of_browsers(server.address, min(repeats, 3)))
                if "afar" in parts:
                    keep("four_sessions_from_afar", summary(crowd_from_afar(server.address, 5)))
                    designers = summary(crowd_of_designers(server.address, 4))
                    keep("four_sessions_drag_and_design_from_afar", designers)
        if "memory" in parts:
            with serving(cache) as server:
                memory = memory_of_sessions(server)
            keep("memory_mb", memory)
            keep("memory_per_further_session_mb", round((memory[-1] - memory[0]) / (SESSIONS - 1), 1))


def measure_page(server: Server, repeats: int, keep: Callable[[str, object], None]) -> None:
    """Figures of one session in a browser."""
    with browsing() as (page,):
        page.goto(f"{server.address}/?{TARGET}")
        wait(page, "refined")
        wait(page, "quiet")
        time.sleep(REST)  # the solver's values are there
        drag(page, 2)  # the socket is open, what is prepared is there
        let_go(page)
        time.sleep(REST)
        before = processor_times(server)
        previews = drag(page)
        each = spent(before, processor_times(server), PREVIEWS)
        keep("preview", summary(previews) | {"processor_s_per_preview": each})
        let_go(page)
        time.sleep(REST)
        before = processor_times(server)
        moves = several_moves(page, repeats)
        each = spent(before, processor_times(server), repeats)
        keep("slider", moves_summary(moves) | {"processor_s_per_move": each})
        time.sleep(REST)
        keep("page_switches", switches(page, server))
        keep("upload", summary(uploads(page, 5)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10, help="releases of the slider")
    parser.add_argument("--starts", type=int, default=3, help="starts with compiled kernels")
    parser.add_argument(
        "--parts", default=",".join(PARTS), help="what to measure; the rest of the record stays"
    )
    parser.add_argument("--out", type=Path, default=RECORD, help="record to write (default: %(default)s)")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"expected parts of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    former = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    whole = {*parts} == {*PARTS}
    figures: dict[str, object] = {} if whole else former.get("figures", {})
    known = former.get("settings", {})
    settings: dict[str, object] = {
        "sessions": SESSIONS,
        "pause_s": PAUSE,
        "viewport": [1440, 900],
        "load_average_before": {} if whole else known.get("load_average_before", {}),
    }
    loads: dict[str, list[float]] = settings["load_average_before"]  # type: ignore[assignment]
    loads |= {part: [round(item, 2) for item in os.getloadavg()] for part in parts}

    def keep(name: str, value: object) -> None:
        figures[name] = value
        path = write_record("dashboard", settings, figures, arguments.out)
        print(f"{path}: {name}: {value}", file=sys.stderr)

    measure(parts, arguments.repeats, arguments.starts, keep)


if __name__ == "__main__":
    main()
