"""A session that takes over a former one has all of its saved parts under its own token at once."""

from pathlib import Path

import pytest
import streamlit as st
from dashboard import new_server

from pages.parts.common.sessions import keeper, state
from pages.parts.common.sessions.session_store import SessionStore, new_token


def test_every_part_is_under_the_new_token_at_once(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_server()
    store, former, own = SessionStore(sessions), new_token(), new_token()
    for part in keeper.PARTS:
        store.save(former, part, part.encode())
    store.save(own, "inputs", b"newer")
    session: dict[str, object] = {state.KEEPER: {"stored": former}, state.TOKEN: own}
    monkeypatch.setattr(st, "session_state", session)
    keeper._adopt()
    assert session[state.FORMER_TOKEN] == former
    kept = {part: store.load(own, part) for part in keeper.PARTS}
    assert kept == {
        "shortlist": b"shortlist",
        "refinements": b"refinements",
        "inputs": b"newer",
        "owner": b"owner",
    }
