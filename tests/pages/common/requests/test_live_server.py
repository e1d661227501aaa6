"""The route `/live`: what it answers, and what it refuses."""

import asyncio
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from pages.parts.common.requests import live_server
from pages.parts.common.requests.live_server import LiveService, is_own_page, live_routes
from vaereg.model.checkpoint import load_checkpoint

OWN = {"origin": "http://own.example", "host": "own.example"}
LINK = "target=C11%3D60&target=C22%3D40"


@pytest.fixture(scope="module")
def service(modes_checkpoint_path: Path) -> LiveService:
    """Previews of the tiny checkpoint with modes."""
    return LiveService(load_checkpoint(modes_checkpoint_path))


@pytest.fixture
def app(service: LiveService, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """A server that has this model."""
    monkeypatch.setattr(live_server, "_shared", [service])
    return Starlette(routes=list(live_routes()))


async def connection(
    app: Starlette, messages: Sequence[str | bytes], headers: dict[str, str], path: str, stay: float
) -> list[dict[str, Any]]:
    """What the server sends to a browser that sends these messages, stays a while and goes."""
    sent: list[dict[str, Any]] = []
    script: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    script += [
        {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}
        for message in messages
    ]

    async def receive() -> dict[str, Any]:
        if script:
            return script.pop(0)
        await asyncio.sleep(stay)
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": b"",
        "subprotocols": [],
    }
    await app(scope, receive, send)
    return sent


def talk(
    app: Starlette,
    *messages: str | bytes,
    headers: dict[str, str] = OWN,
    path: str = "/live",
    stay: float = 0.0,
) -> list[dict[str, Any]]:
    """The same, run until it ends."""
    return asyncio.run(connection(app, messages, headers, path, stay))


def asked(number: int = 1, **others: object) -> str:
    """A message as a browser sends it."""
    return json.dumps({"id": number, "link": LINK, "changed": {"C11": [55.0, 55.0]}} | others)


def unpacked(answer: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Head and voxels of an answer."""
    (length,) = struct.unpack_from("<I", answer)
    head = json.loads(answer[4 : 4 + length])
    edge, count = head["edge"], len(head["cards"])
    bits = np.frombuffer(answer[4 + length :], np.uint8)
    return head, np.unpackbits(bits)[: count * edge**3].reshape(count, edge, edge, edge)


def problem(message: dict[str, Any]) -> str:
    """What the server says of a message that it does not answer."""
    return json.loads(message["text"])["problem"]


def test_a_position_is_answered_by_a_preview_a_mode(app: Starlette) -> None:
    accepted, first, second = talk(app, asked(7), asked(8, link=f"{LINK}&modes=Grains"))
    assert accepted["type"] == "websocket.accept"
    head, volumes = unpacked(first["bytes"])
    assert head["id"] == 7 and head["names"] == ["C11", "C22"]
    assert [card["title"] for card in head["cards"]] == ["Fibres", "Closed foam", "Grains"]
    assert volumes.shape[0] == 3 and 0.0 < volumes.mean() < 1.0
    assert len(first["bytes"]) < 12_000
    assert [card["title"] for card in unpacked(second["bytes"])[0]["cards"]] == ["Grains"]


def test_other_quantities_are_told_besides(app: Starlette) -> None:
    _, answer = talk(app, asked(also=["volume_fraction", "density"]))  # these phases have no density
    head, volumes = unpacked(answer["bytes"])
    assert head["names"] == ["C11", "C22", "volume_fraction"]
    fractions = [card["values"][2] for card in head["cards"]]
    np.testing.assert_allclose(fractions, volumes.mean((1, 2, 3)), atol=0.01)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{", "JSON"),
        ("[]", "id, link and changed"),
        (asked(link=3), "a number and a link"),
        (asked(changed={"C11": [1]}), "two ends"),
        (asked(also=["C99"]), "two other quantities"),
        (asked(also=[["C11"]]), "two other quantities"),
        (asked(changed={"C11": ["<script>", 2]}), "numbers"),
        (asked(changed={"C11": [70.0, 60.0]}), "low:high"),
        (asked(link="target=none"), "a target"),
        (asked(link="unknown=1"), "a target"),
        (asked(link="&".join(["a=1"] * 300)), "fields"),
        ("[" * 5000, "JSON"),
    ],
)
def test_messages_that_make_no_sense_have_one_line(app: Starlette, message: str, expected: str) -> None:
    _, first, second = talk(app, message, asked())
    text = problem(first)
    assert expected in text and "\n" not in text and len(text) <= 300
    assert second["bytes"]  # the socket is still there


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://evil.example",
        "http://own.example.evil.example",
        "http://own.example:8502",
        "null",
        "file://own.example",
        "http://[bad",
    ],
)
def test_pages_of_other_origins_are_refused(app: Starlette, origin: str | None) -> None:
    headers = OWN | {"origin": origin} if origin else {"host": OWN["host"]}
    (sent,) = talk(app, asked(), headers=headers)
    assert sent["type"] == "websocket.close" and sent["code"] == live_server.REFUSED


def test_origins() -> None:
    assert is_own_page("https://a.org", "a.org") and is_own_page("http://a.org:8501", "a.org:8501")
    assert not is_own_page("http://a.org:8502", "a.org:8501")
    assert is_own_page("https://a.org", "127.0.0.1:8501", ["a.org"])
    assert is_own_page("https://a.org", "127.0.0.1:8501", ["https://a.org"])
    assert not is_own_page(None, "a.org") and not is_own_page("https://a.org", None)


def test_large_and_binary_messages_close_the_socket(app: Starlette) -> None:
    for message, code in (
        ("x" * (live_server.MAX_MESSAGE + 1), live_server.TOO_LARGE),
        (b"1", live_server.NO_TEXT),
    ):
        assert talk(app, message, asked())[-1] == {"type": "websocket.close", "code": code, "reason": ""}


def test_the_rate_is_bounded(app: Starlette) -> None:
    sent = talk(app, *["{}"] * (live_server.MAX_RATE + 5))
    assert sent[-1]["code"] == live_server.REFUSED and len(sent) == live_server.MAX_RATE + 2


def test_the_number_of_sockets_is_bounded(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_server, "MAX_SOCKETS", 1)

    async def both() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(connection(app, ["{"], OWN, "/live", 0.2) for _ in range(2)))

    first, second = asyncio.run(both())
    assert [message["type"] for message in first] == ["websocket.accept", "websocket.send"]
    assert [message.get("code") for message in second] == [live_server.BUSY]
    assert talk(app, "{")[0]["type"] == "websocket.accept"  # the first one has gone


def test_a_socket_that_says_nothing_is_closed(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_server, "IDLE", 0.05)
    assert talk(app, stay=5.0)[-1]["code"] == 1000


def test_without_a_model_the_page_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_server, "_shared", [])
    app = Starlette(routes=list(live_routes("/base/")))
    assert problem(talk(app, asked(), path="/base/live")[1]) == "the model is not loaded yet"


def test_pairs_of_phases_are_kept_for_a_while(service: LiveService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_server, "KEEP_PAIRS", 1)
    for _ in range(2):
        assert isinstance(service.answer(asked(link=f"{LINK}&stiff=steel&soft=epoxy")), bytes)
    assert len(service._previewers) == 1
