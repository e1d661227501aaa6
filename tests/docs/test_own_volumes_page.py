"""docs/own-volumes.md runs as it stands, with smaller cells."""

import json
import re
import shlex
from pathlib import Path

import pytest

from vaereg.cli import main
from vaereg.io.designs import read_designs
from vaereg.model.checkpoint import DEFAULT_CHECKPOINT

PAGE = Path(__file__).parents[2] / "docs" / "own-volumes.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    Path("checkpoints/default.pt").symlink_to(DEFAULT_CHECKPOINT)
    text = PAGE.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(example.replace('"fibres", 32', '"fibres", 16'), PAGE.name, "exec"), {})
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").strip().splitlines()]
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command.replace("--size 32", "--size 16"))
        assert program == "python" and arguments[:2] == ["-m", "vaereg"]
        assert main(arguments[2:]) == 0, command
    designs = read_designs(Path("runs/ours/designs.h5"))
    assert {designs.mode(place) for place in range(len(designs))} == {"our-fibres"}
    modes = json.loads(Path("runs/ours/modes.json").read_text(encoding="utf-8"))["modes"]
    assert modes["our-fibres"]["reached"] and modes["our-fibres"]["sentence"].startswith("Like 3 volumes")
