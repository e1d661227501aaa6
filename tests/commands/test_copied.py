"""What pages offer to copy is run: Python and commands give the bytes of the page's own volumes."""

import json
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vaereg.cli import main
from vaereg.commands.copied import Copied, copied_design, copied_volume
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.direct import design
from vaereg.io.designs import read_designs
from vaereg.materials import VOID, Phase, TwoPhase, choose_materials
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import parse

HOSTILE = Phase('it\'s "$(touch oops)" `x`\n;', 70.0, 0.21, density=2.5)


def run_python(copied: Copied, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program that is copied, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    exec(compile(copied.python, "copied.py", "exec"), {"__name__": "copied"})


def run_command(copied: Copied, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the lines that are copied: the last one in this process, those before it in a shell."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    *before, last = copied.command.splitlines()
    if before:
        subprocess.run(["sh", "-c", "\n".join(before)], check=True, cwd=folder)
    words = shlex.split(last)
    assert words[0] == "vaereg" and main(words[1:]) == 0


@pytest.fixture
def model(modes_checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The tiny checkpoint with modes, in place of the shipped one."""
    monkeypatch.setattr("vaereg.model.checkpoint.DEFAULT_CHECKPOINT", modes_checkpoint_path)
    return load_checkpoint(modes_checkpoint_path)


def test_designs_are_made_again_to_the_byte(
    model: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = parse(["C11=50:56", "C22=48:57@2"])
    constraints = Constraints(no_islands=True, connected={"stiff": "xy"}, min_feature_stiff=2.0)
    wanted = {"count": 3, "size": 16, "seed": 5, "constraints": constraints}
    made = design(model, targets, 3, 16, seed=5, component=[6, 7], constraints=constraints)
    copied = copied_design(targets, components=[6, 7], **wanted)
    run_python(copied, tmp_path / "python", monkeypatch)
    run_command(copied, tmp_path / "command", monkeypatch)
    for name in ("python", "command"):
        stored = read_designs(tmp_path / name / "designs.h5")
        assert stored.microstructures.tobytes() == made.microstructures.tobytes()
        assert stored.wanted == targets and stored.constraints == constraints.to_json()


def test_all_that_can_be_asked_for_is_written() -> None:
    targets = parse(["E_x=20:30", "density=:1.9", "nu_xy=0.2:0.3@2"], maximize=["E_x", "E_z@3"])
    pair = choose_materials("E-glass/epoxy").pairs[0]
    copied = copied_design(
        targets,
        count=4,
        size=32,
        materials=pair,
        components=[6],
        constraints=Constraints(symmetry="cubic", no_closed_pores=True, min_feature_soft=3.0),
    )
    words = shlex.split(copied.command)
    pairs = list(pairwise(words))
    for expected in (
        ("--target", "E_x=20:30"),
        ("--target", "E_z=max@3"),
        ("--maximize", "E_x"),
        ("--materials", "E-glass/epoxy"),
        ("--mode", "closed-foam"),
        ("--symmetry", "cubic"),
        ("--min-feature", "0,3"),
        ("--corrections", "0"),
    ):
        assert expected in pairs, expected
    values: dict[str, object] = {}
    head = copied.python.partition("designs = design(")[0]
    exec(head + "def design(*given, **named):\n    return given, named\n", values)
    monkey = copied.python.partition("designs = ")[2].rpartition("save_designs")[0]
    values["load_checkpoint"] = lambda: None
    given, named = eval(monkey, values)
    assert given[1] == targets and named["materials"] == pair and named["constraints"].symmetry == "cubic"


def test_phases_of_the_user_are_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with quotes, line breaks and commands is a name, in the shell and in Python."""
    volume = np.zeros((4, 4, 4), dtype=np.uint8)
    volume[:2] = 1
    pair = TwoPhase(HOSTILE, VOID)
    copied = copied_volume("homogenize", materials=pair)
    for name, run in (("python", run_python), ("command", run_command)):
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "volume.npy", volume)
        run(copied, folder, monkeypatch)
        assert not list(tmp_path.rglob("oops"))
    content = json.loads((tmp_path / "command" / "homogenize.json").read_text(encoding="utf-8"))
    assert content["materials"]["stiff"]["name"] == HOSTILE.name
    result = content["results"][0]["stiffness"]
    np.testing.assert_allclose(result, homogenize(volume, pair).stiffness, rtol=1e-6, atol=1e-6)


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(InputError, match="one component"):
        copied_design(parse(["C11=60"]), count=1, size=32, components=[0, 1], modes=())
    with pytest.raises(InputError, match="homogenize or predict"):
        copied_volume("refine")
    copied = copied_design(parse(["C11=60"]), count=1, size=32, components=[1], modes=())
    assert "--component 1" in copied.command
