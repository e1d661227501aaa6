"""Files in which the sessions of this server keep their work over a restart; free of any user interface.

A session is known by a token that only its browser tab has. A file is named by the hash of its token, so
that the folder tells no tokens. The folder belongs to the user of the server alone. Files that were not
written for long, and the oldest of too many, are removed.
"""

import hashlib
import logging
import os
import re
import secrets
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["SessionStore", "default_folder", "new_token"]

MAX_PART_BYTES = 32 * 2**20
"""Size of the largest part of a session that is kept [byte]."""
MAX_BYTES = 512 * 2**20
"""Size of all files together [byte]."""
MAX_AGE = 7 * 24 * 3600.0
"""Time after which a file that was not written is removed [s]."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SUFFIX = ".vaereg"
_log = logging.getLogger(__name__)


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(32)


def default_folder() -> Path:
    """Return the folder of saved sessions: `VAEREG_SESSIONS`, or one in the user's folder for states."""
    if given := os.environ.get("VAEREG_SESSIONS"):
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "vaereg" / "sessions"


class SessionStore:
    """Parts of sessions by token, in the files of a private folder.

    Args:
        folder: The folder; it is made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._complained = False

    def save(self, token: str, part: str, content: bytes) -> bool:
        """Keep a part of a session in place of its former content, and return whether it is kept.

        A folder that cannot be written costs a warning in the log, not the work of the session.
        """
        if not _TOKEN.fullmatch(token) or len(content) > MAX_PART_BYTES:
            return False
        path = self._path(token, part)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        try:
            with self._lock:
                self._make_folder()
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(temporary, path)
                self._remove_surplus(keep=path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            if not self._complained:
                _log.warning("sessions cannot be saved in %s: %s", self._folder, error)
                self._complained = True
            return False
        return True

    def load(self, token: str, part: str) -> bytes | None:
        """Return a part of a session; None where there is none, or it is older than `MAX_AGE`."""
        if not _TOKEN.fullmatch(token):
            return None
        path = self._path(token, part)
        try:
            facts = path.stat()
            if time.time() - facts.st_mtime > MAX_AGE or facts.st_size > MAX_PART_BYTES:
                return None
            return path.read_bytes()
        except OSError:
            return None

    def remove(self, token: str, part: str) -> None:
        """Remove a part of a session."""
        if _TOKEN.fullmatch(token):
            self._path(token, part).unlink(missing_ok=True)

    def _path(self, token: str, part: str) -> Path:
        name = hashlib.sha256(f"{token} {part}".encode()).hexdigest()[:40]
        return self._folder / f"{name}{_SUFFIX}"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform == "win32":  # where the user's folder is private
            return
        facts = self._folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
            raise PermissionError(f"{self._folder} is not a folder of this user")
        if facts.st_mode & 0o077:
            self._folder.chmod(0o700)

    def _remove_surplus(self, *, keep: Path) -> None:
        """Remove files that are too old, and the oldest ones where all together are too large."""
        files: list[tuple[os.stat_result, Path]] = []
        for path in self._folder.iterdir():
            if path.suffix in (_SUFFIX, ".tmp"):
                with suppress(FileNotFoundError):  # another server has removed or renamed it
                    files.append((path.stat(), path))
        files.sort(key=lambda entry: entry[0].st_mtime)
        total, now = sum(facts.st_size for facts, _ in files), time.time()
        for facts, path in files:
            if path != keep and (total > MAX_BYTES or now - facts.st_mtime > MAX_AGE):
                path.unlink(missing_ok=True)
                total -= facts.st_size
