"""The public names, what is loaded at import, and what no module does; `lint-imports` has the layers."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest

import vaereg
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import HomogenizationResult

ROOT = Path(__file__).parents[1]
PACKAGE = Path(vaereg.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
STUBS = sorted(PACKAGE.rglob("*.pyi"))
PUBLIC_NAMES = {
    "Phase",
    "TwoPhase",
    "design",
    "export",
    "generate",
    "homogenize",
    "load_checkpoint",
    "predict",
    "read_volumes",
    "refine",
}
IMPORT_SECONDS = 0.1
"""Time that `import vaereg` may take [s]."""


def relative_name(path: Path) -> str:
    """Path of a module in the package, as the name of its test."""
    return path.relative_to(PACKAGE).as_posix()


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=relative_name)
def test_only_the_command_line_prints(path: Path) -> None:
    if relative_name(path) in ("cli.py", "commands/evaluate.py", "__main__.py"):
        return
    assert not [
        call.lineno for call in calls(path) if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]


@pytest.mark.parametrize("path", MODULES, ids=relative_name)
def test_asserts_are_for_tests(path: Path) -> None:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Assert)]


def test_public_names() -> None:
    assert set(dir(vaereg)) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert inspect.isroutine(getattr(vaereg, name)) or inspect.isclass(getattr(vaereg, name)), name
    assert re.fullmatch(r"\d+\.\d+\.\d+", vaereg.__version__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vaereg.no_such_name  # pyright: ignore[reportAttributeAccessIssue]


def test_types_of_lazy_names_are_seen() -> None:
    """Pyright refuses these lines where a name that is imported lazily is of unknown type."""
    result = assert_type(vaereg.homogenize(np.ones((2, 2, 2))), HomogenizationResult)
    assert assert_type(vaereg.TwoPhase(), TwoPhase) == TwoPhase()
    assert result.converged


@pytest.mark.parametrize("stub", STUBS, ids=relative_name)
def test_lazy_names_exist(stub: Path) -> None:
    """Every name of a stub is in the module that the stub says, and the package hands on that very object."""
    package = ".".join(("vaereg", *stub.parent.relative_to(PACKAGE).parts))
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            assert isinstance(node, ast.ImportFrom)
            home = import_module(f"{package}.{node.module}")
            assert getattr(import_module(package), alias.name) is getattr(home, alias.name)
            assert alias.name in home.__all__, f"{alias.name} is no public name of {home.__name__}"


def test_every_wing_has_a_stub() -> None:
    wings = {path.parent for path in PACKAGE.glob("*/__init__.py")}
    assert wings and wings <= {path.parent for path in STUBS if path.name == "__init__.pyi"}


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    result = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(settings["packages"]) == {*result, *settings["package-dir"]}


def test_importing_the_package_is_light() -> None:
    """No work at import: a page or a command pays only for what it uses."""
    code = (
        "import sys, time\nstart = time.perf_counter()\nimport vaereg\n"
        "print(time.perf_counter() - start, *{name.split('.')[0] for name in sys.modules})"
    )
    seconds: list[float] = []
    for _ in range(3):  # the machine may be busy with something else
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        )
        first, *loaded = result.stdout.split()
        seconds.append(float(first))
        assert "vaereg" in loaded
        assert not {"torch", "numba", "numpy", "scipy", "sklearn", "h5py", "matplotlib"} & set(loaded)
    assert min(seconds) < IMPORT_SECONDS


@pytest.mark.parametrize("arguments", [["--help"], ["homogenize", "--help"]], ids=" ".join)
def test_help_needs_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom vaereg.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, cwd=ROOT)


FIGURES = sorted((ROOT / "pages" / "parts").rglob("figures*.py"))


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_figures_know_no_streamlit(path: Path) -> None:
    assert "streamlit" not in path.read_text(encoding="utf-8")


def test_readme_has_the_test_command_that_ci_runs() -> None:
    """CI reads the command from the README; it is there once, and does all of install and test."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.endswith(" -m pytest -n 2 --dist loadfile")]
    assert len(commands) == 1
    assert "-r requirements.txt" in commands[0]
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def readme_example() -> str:
    """The Python code of the README."""
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return example


def test_readme_example_uses_only_public_names() -> None:
    tree = ast.parse(readme_example())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import vaereg"]


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """On small cells; `.ci/run` runs the example as it stands, with the wheel."""
    example = readme_example().replace("count=4,", "count=4, size=16,")
    assert "size=16" in example
    exec(compile(example, "README.md", "exec"), {})
    assert "solver" in capsys.readouterr().out
