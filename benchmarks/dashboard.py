"""How fast the dashboard is, in headless Chromium against a server of its own: results/dashboard.json.

    OMP_NUM_THREADS=1 python benchmarks/dashboard.py [--repeats 10] [--starts 3] [--parts page,browsers]

Previews are timed by the page itself, from the event of a slider that is dragged by the mouse until all of
them are drawn. Other times are those that a user sees, from a click or the release of the slider: until the
new volumes are in the page (`arrived`) and every panel is drawn in full resolution (`drawn`), both of the
first look at raw designs, and until the corrected ones are (`corrected`) with smooth edges too (`refined`).
Beside each stands the time of the processors that it took: of the server, of its workers, of the page in the
browser, and of drawing. Without a graphics card the browser draws by SwiftShader on the processor, so that it
competes with the server: a user's computer has `page` and `drawing` to itself, and a graphics card for the
second. Four sessions at once share one machine with four browsers, and what does not come in time is counted;
"from afar" leaves the browsers out: what the server takes for four at once, which move a target, or drag it
and let it go by turns. Memory is the
proportional set size of the server and its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard_crowds import (
    SESSIONS,
    TARGET,
    crowd_from_afar,
    crowd_of_browsers,
    crowd_of_designers,
    memory_of_sessions,
)
from dashboard_page import (
    PAUSE,
    PREVIEWS,
    browsing,
    drag,
    let_go,
    moves_summary,
    several_moves,
    summary,
    switches,
    uploads,
    wait,
)
from dashboard_server import Server, processor_times, serving, spent
from record import write_record

REST = 5.0
"""Time after which what a page began has ended [s]."""
PARTS = ("starts", "page", "browsers", "afar", "memory")
RECORD = Path(__file__).parent / "results" / "dashboard.json"


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
                    keep("four_sessions", crowd_of_browsers(server.address, min(repeats, 2)))
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
