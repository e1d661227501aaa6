"""Several sessions of the dashboard at once, with browsers on the same machine, or from afar without any."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain

from dashboard_page import (
    PATIENCE,
    PAUSE,
    PREVIEWS,
    SLIDER,
    browsing,
    drag,
    gallery_set,
    preview_times,
    release_slider,
    seconds,
    several_moves,
    summary,
    wait,
)
from dashboard_server import Server
from playwright.sync_api import TimeoutError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

SESSIONS = 4
LOOK_MOST, PREVIEW_MOST = 30.0, 3.0
"""Longest wait for a first look, and for one preview, of several sessions with browsers on one machine [s]:
the part of the benchmark ends within four minutes."""
TOGETHER = 60.0
"""Longest wait of sessions for each other [s]."""
TARGET = "target=E_x=40&target=E_y=25&target=E_z=25"
"""Target of a new session, in a link that has something else, too."""


def crowd_of_browsers(address: str, moves: int) -> dict[str, object]:
    """Times of previews, and from the release of a slider until the first look is drawn, of several sessions
    at once, each with a browser of its own [s]; how many were asked for, and how many came in time.
    """
    ready = threading.Barrier(SESSIONS)

    def together() -> None:
        with suppress(threading.BrokenBarrierError):  # one of them takes too long: the others go on
            ready.wait(TOGETHER)

    def visit(number: int) -> tuple[list[float], list[float]]:
        with browsing() as (page,):
            page.set_default_timeout(1000 * LOOK_MOST)
            with suppress(TimeoutError):
                page.goto(f"{address}/?seed={100 + number}&{TARGET}")
                wait(page, "drawn")
                drag(page, 2)
                seconds(page, page.mouse.up, "drawn", former=gallery_set(page))
            together()
            page.set_default_timeout(1000 * PREVIEW_MOST)
            with suppress(TimeoutError):
                drag(page)
            previews = preview_times(page)[:PREVIEWS]  # one more where the slider was taken
            page.mouse.up()
            page.set_default_timeout(1000 * LOOK_MOST)
            together()
            looks = []
            for move in range(moves):
                with suppress(TimeoutError):
                    looks.append(release_slider(page, 0.3 + 0.5 * move / moves, "drawn")["drawn"])
            return previews, looks

    with ThreadPoolExecutor(SESSIONS) as threads:
        previews, looks = zip(*threads.map(visit, range(SESSIONS)), strict=True)
    return {
        "preview": came(list(chain(*previews)), SESSIONS * PREVIEWS),
        "drawn": came(list(chain(*looks)), SESSIONS * moves),
    }


def came(times: Sequence[float], asked: int) -> dict[str, object]:
    """Summary of the times of what came, with its number and that of what was asked for."""
    counts: dict[str, object] = {"asked": asked, "came": len(times)}
    return counts | (summary(times) if times else {})


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
