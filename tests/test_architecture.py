"""What may import what: the levels of the package, no user interface inside it, nothing heavy at import."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vaereg

ROOT = Path(__file__).parents[1]
PACKAGE = Path(vaereg.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))

# A module imports only modules of a smaller number.
LEVELS = {
    "augmentation": 0,
    "config": 0,
    "elasticity": 0,
    "errors": 0,
    "fields": 0,
    "files": 0,
    "kernels": 0,
    "microstructure": 0,
    "features": 1,
    "flips": 1,
    "generators": 2,
    "cell": 1,
    "homogenization": 2,
    "networks": 1,
    "prior": 1,
    "reachability": 0,
    "records": 0,
    "formats": 1,
    "matlab": 0,
    "meshes": 1,
    "provenance": 2,
    "readers": 2,
    "segmentation": 1,
    "vti": 0,
    "shapes": 1,
    "storage": 1,
    "workers": 0,
    "dataset": 3,
    "homogenization_torch": 3,
    "mesh": 3,
    "model": 2,
    "embedding": 3,
    "checkpoint": 4,
    "clusters": 0,
    "differentiable": 4,
    "prediction": 5,
    "losses": 3,
    "guided": 3,
    "fitting": 6,
    "targets": 5,
    "training": 7,
    "design": 6,
    "explore": 6,
    "evaluation": 8,
    "generative": 7,
    "report": 5,
    "solved_designs": 7,
    "morphology": 1,
    "export": 7,
    "refine": 7,
    "commands": 9,
    "cli": 10,
    "__main__": 11,
}
INTERFACES = {"streamlit", "plotly", "pyvista", "stpyvista", "pages"}


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively in line {node.lineno}"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Names of vaereg's modules that a file imports."""
    names = [name.split(".") for name in imports(path)]
    return {name[1] for name in names if name[0] == "vaereg" and len(name) > 1 and name[1] in LEVELS}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_smaller_numbers(path: Path) -> None:
    if path.stem == "__init__":
        return
    assert path.stem in LEVELS, f"give {path.name} a level here and in the conventions"
    wrong = {name for name in own_imports(path) if LEVELS[name] >= LEVELS[path.stem]}
    assert not wrong, f"{path.stem} is at level {LEVELS[path.stem]} and imports {sorted(wrong)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_package_knows_no_user_interface(path: Path) -> None:
    assert not INTERFACES & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_the_command_line_prints(path: Path) -> None:
    if path.stem in ("cli", "commands", "__main__"):
        return
    calls = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_asserts_are_for_tests(path: Path) -> None:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Assert)]


FIGURES = sorted((ROOT / "pages" / "shared").glob("figures*.py"))


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_figures_know_no_streamlit(path: Path) -> None:
    assert "streamlit" not in {name.split(".")[0] for name in imports(path)}


def test_importing_the_package_is_light() -> None:
    """No work at import: a page or a command pays only for what it uses."""
    code = "import sys, vaereg; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(result.stdout.split())
    assert "vaereg" in loaded
    assert not loaded & {"torch", "numba", "scipy", "sklearn", "h5py", "matplotlib", *INTERFACES}


@pytest.mark.parametrize("arguments", [["--help"], ["homogenize", "--help"]], ids=" ".join)
def test_help_needs_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom vaereg.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, cwd=ROOT)


def test_readme_has_the_test_command_that_ci_runs() -> None:
    """CI reads the command from the README; it is there once, and does all of install and test."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.endswith(" -m pytest")]
    assert len(commands) == 1
    assert "-r requirements.txt" in commands[0]
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(example, "README.md", "exec"), {})
    assert "solver" in capsys.readouterr().out
