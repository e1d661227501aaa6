"""The WebSocket route `/live`: previews of a target while its sliders move; free of any user interface.

A message of the browser is JSON: {"id": number, "link": request as in the address, "changed":
{quantity: [low, high]}, "also": [quantity]}, where the last may be missing. The answer is binary: the length
of its head (4 bytes, little-endian), the head in JSON, and the voxels of all previews, one bit each. What
cannot be answered comes back as {"id", "problem"}.

Such a route has none of Streamlit's checks. Here pages of other origins, large messages, many messages and
many sockets are refused, and a socket that says nothing for a while is closed.
"""

import asyncio
import json
import logging
import math
import struct
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from pages.parts.solving.precedence import Rank, server_precedence
from vaereg.errors import InputError
from vaereg.targets.quantities import QUANTITIES
from vaereg.workers import limit_thread_to_one_thread, pool_threads

if TYPE_CHECKING:  # the server starts before the libraries of the model are loaded
    from vaereg.inverse.sampling.preview import Preview, Previewer
    from vaereg.materials import TwoPhase
    from vaereg.model.checkpoint import Checkpoint

__all__ = [
    "LiveServer",
    "LiveService",
    "is_own_page",
    "live_routes",
    "offer_checkpoint",
    "packed",
    "prepare_previews",
]

MAX_MESSAGE = 8192
"""Largest message of a browser [byte]."""
MAX_SOCKETS = 64
"""Largest number of open sockets."""
MAX_RATE = 60
"""Largest number of messages of a socket in a second: a browser waits for each answer, which takes longer."""
IDLE = 120.0
"""Time without a message after which a socket is closed [s]: the browser opens another one when it moves."""
KEEP_PAIRS = 8
"""Largest number of pairs of phases whose previews are prepared."""
TOO_LARGE, REFUSED, BUSY, NO_TEXT = 1009, 1008, 1013, 1003
"""Codes with which sockets are closed (RFC 6455, section 7.4)."""
_WORKERS = 2
_log = logging.getLogger(__name__)


class LiveService:
    """Previews of requests with one model, several at once; what belongs to a pair of phases is kept."""

    def __init__(self, checkpoint: "Checkpoint") -> None:
        self.model = checkpoint.hash
        self._checkpoint = checkpoint
        self._previewers: OrderedDict[TwoPhase, Previewer] = OrderedDict()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(pool_threads(), "preview", initializer=limit_thread_to_one_thread)

    def answer(self, text: str) -> bytes | str:
        """Answer of a message: bytes of the previews, or JSON that says why there are none."""
        number: object = None
        try:
            message = _read(text)
            number = message["id"]
            with server_precedence().at_work(Rank.PREVIEW):
                return self._previews(message)
        except (InputError, ValueError) as error:
            return json.dumps({"id": number, "problem": " ".join(str(error).split())[:300]})

    def warm_up(self) -> None:
        """Load and compute once what the first preview would wait for."""
        from pages.parts.common.requests.request import default_request

        link = default_request(self._checkpoint).text()
        try:
            self._previews({"id": 0, "link": link, "changed": {}, "also": []})  # not ahead of any designs
        except Exception:  # the first preview says what is wrong
            _log.exception("previews could not be prepared")

    def _previews(self, message: Mapping[str, Any]) -> bytes:
        from pages.parts.common.requests.quantities import missing_property
        from pages.parts.common.requests.request_link import read_link

        if self._checkpoint.modes is None:
            raise InputError("expected a model with modes for previews")
        request, _ = read_link(parse_qs(message["link"], max_num_fields=200), self._checkpoint)
        if request is None or request.targets is None:
            raise InputError("expected a request with a target")
        changed: dict[str, list[float]] = message["changed"]
        wanted = tuple(
            replace(item, low=changed[item.name][0], high=changed[item.name][1])
            if item.name in changed
            else item
            for item in request.wanted
        )
        targets = replace(request, wanted=wanted).targets
        if targets is None:
            raise InputError("expected a request with a target")
        also = [name for name in message["also"] if not missing_property(name, request.pair)]
        preview = self._previewer(request.pair).preview(
            targets,
            modes=request.components(self._checkpoint),
            seed=request.seed,
            also=also,
            symmetry=request.constraints.symmetry,
            threads=self._threads,
        )
        return packed(preview, message["id"], self._checkpoint.modes.names)

    def _previewer(self, pair: "TwoPhase") -> "Previewer":
        with self._lock:
            previewer = self._previewers.get(pair)
            if previewer is not None:
                self._previewers.move_to_end(pair)
                return previewer
        from vaereg.inverse.sampling.preview import Previewer

        previewer = Previewer(self._checkpoint, pair)
        with self._lock:
            self._previewers[pair] = previewer
            while len(self._previewers) > KEEP_PAIRS:
                self._previewers.popitem(last=False)
        return previewer


def _read(text: str) -> dict[str, Any]:
    """A message that is what it should be.

    Raises:
        InputError: It is something else.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("expected a message in JSON") from error
    if not isinstance(message, dict) or {*message, "also"} != {"id", "link", "changed", "also"}:
        raise InputError("expected a message of id, link and changed")
    also = message.get("also", [])
    if (
        not isinstance(also, list)
        or len(also) > 2
        or not all(isinstance(name, str) and name in QUANTITIES for name in also)
    ):
        raise InputError("expected at most two other quantities")
    number, link, changed = message["id"], message["link"], message["changed"]
    if not isinstance(number, int) or isinstance(number, bool) or not isinstance(link, str):
        raise InputError("expected a number and a link")
    if not isinstance(changed, dict) or len(changed) > 24:
        raise InputError("expected the positions of some sliders")
    ends: dict[str, list[float]] = {}
    for name, values in changed.items():
        if not isinstance(values, list) or len(values) != 2:
            raise InputError("expected two ends of a quantity")
        read = [
            (-math.inf, math.inf)[place] if value is None else value for place, value in enumerate(values)
        ]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in read):
            raise InputError("expected ends that are numbers")
        ends[name] = [float(value) for value in read]
    return {"id": number, "link": link, "changed": ends, "also": also}


def packed(preview: "Preview", number: int, names: Sequence[str]) -> bytes:
    """Previews as bytes: length of the head, head, one bit a voxel, each volume beginning with a byte."""
    from pages.parts.common.requests.modes import component_color, mode_title

    cards = [
        {
            "title": mode_title(names[mode]),
            "color": component_color(mode),
            "values": [float(value) if math.isfinite(value) else None for value in preview.values[place]],
            "off": float(min(preview.deviation[place], 1e6)),
            "reached": bool(preview.reached[place]),
        }
        for place, mode in enumerate(preview.modes)
    ]
    head = {"id": number, "edge": preview.volumes.shape[-1], "names": list(preview.names), "cards": cards}
    text = json.dumps(head, allow_nan=False).encode()
    bits = b"".join(np.packbits(volume).tobytes() for volume in preview.volumes)
    return struct.pack("<I", len(text)) + text + bits


class LiveServer:
    """The sockets of the route.

    Args:
        service: The service; None while no model is loaded.
        origins: Hosts of pages, besides the server's own, that may open sockets.
    """

    def __init__(
        self,
        service: Callable[[], LiveService | None],
        origins: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service, self._origins, self._clock = service, tuple(origins), clock
        self._open = 0
        self._workers = ThreadPoolExecutor(_WORKERS, "live", initializer=limit_thread_to_one_thread)

    async def serve(self, socket: WebSocket) -> None:
        """Answer one socket until it is closed."""
        headers = socket.headers
        if not is_own_page(headers.get("origin"), headers.get("host"), self._origins):
            await socket.close(REFUSED)  # before it is accepted: the browser is refused with status 403
            return
        if self._open >= MAX_SOCKETS:
            await socket.close(BUSY)
            return
        self._open += 1
        try:
            await socket.accept()
            await self._answer_all(socket)
        except (WebSocketDisconnect, RuntimeError):  # gone in the middle of an answer
            pass
        finally:
            self._open -= 1

    async def _answer_all(self, socket: WebSocket) -> None:
        times: deque[float] = deque(maxlen=MAX_RATE)
        while True:
            try:
                message = await asyncio.wait_for(socket.receive(), IDLE)
            except TimeoutError:
                await socket.close()
                return
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                await socket.close(NO_TEXT)
                return
            if len(text) > MAX_MESSAGE:
                await socket.close(TOO_LARGE)
                return
            now = self._clock()
            if len(times) == MAX_RATE and now - times[0] < 1.0:
                await socket.close(REFUSED)
                return
            times.append(now)
            service = self._service()
            if service is None:
                answer: bytes | str = json.dumps({"id": None, "problem": "the model is not loaded yet"})
            else:
                try:
                    loop = asyncio.get_running_loop()
                    answer = await loop.run_in_executor(self._workers, service.answer, text)
                except Exception:
                    _log.exception("a preview could not be made")
                    answer = json.dumps({"id": None, "problem": "a preview could not be made"})
            if isinstance(answer, bytes):
                await socket.send_bytes(answer)
            else:
                await socket.send_text(answer)


def is_own_page(origin: str | None, host: str | None, others: Sequence[str] = ()) -> bool:
    """Whether a page of this server opens a socket.

    Args:
        origin: Header `Origin`, which every browser sends.
        host: Header `Host`.
        others: Further hosts, or origins, that may.
    """
    if not origin or not host:
        return False
    try:
        parts = urlsplit(origin)
        name = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    allowed = {entry for other in others for entry in (other, urlsplit(other).hostname) if entry}
    return parts.netloc == host or origin in allowed or name in allowed


_shared: list[LiveService] = []


def offer_checkpoint(checkpoint: "Checkpoint") -> LiveService:
    """Let the route use this model from now on."""
    if not _shared or _shared[0].model != checkpoint.hash:
        _shared[:] = [LiveService(checkpoint)]
    return _shared[0]


def prepare_previews(checkpoint: "Checkpoint") -> None:
    """Load and compute what the first preview would wait for."""
    if checkpoint.modes is not None:
        offer_checkpoint(checkpoint).warm_up()


def live_routes(base: str = "", origins: Sequence[str] = ()) -> list[WebSocketRoute]:
    """The route, for `streamlit.starlette.App`.

    Args:
        base: Path under which the dashboard is served.
        origins: Hosts of pages, besides the server's own, that may open sockets.
    """
    server = LiveServer(lambda: _shared[0] if _shared else None, origins)
    prefix = f"/{base.strip('/')}" if base.strip("/") else ""
    return [WebSocketRoute(f"{prefix}/live", server.serve)]
