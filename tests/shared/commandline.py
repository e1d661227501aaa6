"""Commands as tests run them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from vaereg.cli import main

ROOT = Path(__file__).parents[2]
RUN = ("format_version", "program", "version", "materials", "phases", "solver", "checkpoint")
"""What a file of results says of its run."""
PROGRESS = ("homogenize: ", "design: ", "generate: ", "train: ", "evaluate: ")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    command = [sys.executable, "-m", "vaereg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def solve(path: Path, *flags: str) -> dict[str, Any]:
    out = path.with_suffix(".json")
    assert main(["homogenize", str(path), "--out", str(out), *flags]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """Run a command that must fail; returns what it says, which must be one line after any progress."""
    try:
        returned = main([str(argument) for argument in arguments])
    except SystemExit as end:
        returned = end.code
    assert returned == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.startswith(PROGRESS)]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("vaereg: error: ")
    return lines[0]


TARGETS = ["--target", "C11=45", "--target", "C33=25:35"]


def make_designs(out: Path, checkpoint: Path, *flags: object) -> h5py.File:
    arguments = ["design", *TARGETS, "--out", out, "--checkpoint", checkpoint, "--size", 16, *flags]
    assert main([str(argument) for argument in arguments]) == 0
    return h5py.File(out)
