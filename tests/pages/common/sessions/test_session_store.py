"""Files of sessions: private, bounded, expiring, and of no use without their token."""

import os
import stat
import sys
from pathlib import Path

import pytest

from pages.parts.common.sessions import session_store
from pages.parts.common.sessions.session_store import SessionStore, default_folder, new_token


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "sessions").iterdir())


def test_a_part_comes_back_to_its_token_alone(store: SessionStore, tmp_path: Path) -> None:
    token, other = new_token(), new_token()
    assert store.save(token, "shortlist", b"first") and store.save(token, "shortlist", b"second")
    assert store.save(token, "refinements", b"runs")
    assert store.load(token, "shortlist") == b"second"
    assert store.load(token, "refinements") == b"runs"
    assert store.load(other, "shortlist") is None
    assert not any(token in path.name for path in files(tmp_path)) and len(files(tmp_path)) == 2
    store.remove(token, "shortlist")
    assert store.load(token, "shortlist") is None


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "a" * 42, "a" * 43 + "\n", "ä" * 43])
def test_a_token_that_is_none_reaches_no_file(store: SessionStore, tmp_path: Path, token: str) -> None:
    assert not store.save(token, "shortlist", b"x")
    assert store.load(token, "shortlist") is None
    store.remove(token, "shortlist")
    assert not (tmp_path / "sessions").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits (issue 17)")
def test_the_folder_is_private(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir(mode=0o755)
    store.save(new_token(), "shortlist", b"x")
    assert stat.S_IMODE((tmp_path / "sessions").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)] == [0o600]


def test_a_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sessions").symlink_to(tmp_path / "elsewhere")
    assert not SessionStore(tmp_path / "sessions").save(new_token(), "shortlist", b"x")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_old_files_expire(store: SessionStore, tmp_path: Path) -> None:
    token = new_token()
    store.save(token, "shortlist", b"x")
    (path,) = files(tmp_path)
    long_ago = path.stat().st_mtime - session_store.MAX_AGE - 60.0
    os.utime(path, (long_ago, long_ago))
    assert store.load(token, "shortlist") is None
    store.save(new_token(), "shortlist", b"y")
    assert path not in files(tmp_path)


def test_sizes_are_bounded(store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "MAX_PART_BYTES", 100)
    monkeypatch.setattr(session_store, "MAX_BYTES", 250)
    tokens = [new_token() for _ in range(4)]
    assert not store.save(tokens[0], "shortlist", bytes(101))
    for age, token in enumerate(reversed(tokens)):
        assert store.save(token, "shortlist", bytes(90))
        for path in files(tmp_path):
            facts = path.stat()
            os.utime(path, (facts.st_atime, facts.st_mtime - 10.0 - age))
    assert [store.load(token, "shortlist") is not None for token in tokens] == [True, True, False, False]


def test_a_folder_that_cannot_be_written_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = SessionStore(tmp_path / "file" / "sessions")
    assert not store.save(new_token(), "shortlist", b"x") and not store.save(new_token(), "shortlist", b"x")
    assert len([record for record in caplog.records if "cannot be saved" in record.message]) == 1


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == tmp_path / "sessions"
    monkeypatch.delenv("VAEREG_SESSIONS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "vaereg" / "sessions"
