"""The folder of a training run: names of its files, and a check before anything is read or computed."""

from pathlib import Path

from vaereg.errors import InputError

__all__ = ["CONFIG_FILE", "LOG_FILE", "STATE_FILE", "check_folder", "truncate_log"]

LOG_FILE, STATE_FILE, CONFIG_FILE = "log.csv", "state.pt", "config.json"


def check_folder(folder: Path, *, resume: bool) -> None:
    """Check that a run can begin, or go on, in a folder.

    Raises:
        InputError: The folder holds a run that is not to be resumed, or none that could be; or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder for the run, got the file {folder}")
    if resume and not (folder / STATE_FILE).exists():
        raise InputError(f"there is no run to resume in {folder}")
    if not resume and (folder / STATE_FILE).exists():
        raise InputError(f"{folder} holds a run already: resume it or choose another folder")


def truncate_log(path: Path, step: int) -> None:
    """Drop rows after `step`: they belong to work that was lost between two saved states."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    rows = [line for line in lines[1:] if int(line.split(",")[0]) <= step]
    path.write_text("\n".join([lines[0], *rows]) + "\n")
