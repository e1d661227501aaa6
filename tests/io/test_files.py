"""Files are replaced whole or not at all, links stay links, and a lock is held once."""

from pathlib import Path

import pytest

from vaereg.io.files import lock_file, replace_file


def test_a_failed_write_leaves_the_former_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, lambda temporary: temporary.write_text("first"))

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the sec")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("former")
    link = tmp_path / "link"
    link.symlink_to("real")
    replace_file(link, lambda temporary: temporary.write_text("new"))
    assert link.is_symlink() and (tmp_path / "real").read_text() == "new"


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock"), pytest.raises(ValueError, match="no other process at work"):
        lock_file(tmp_path / "lock")
    lock_file(tmp_path / "lock").close()
