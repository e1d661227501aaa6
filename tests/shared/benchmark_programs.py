"""Programs of benchmarks/ as tests run them: in the process of the test, which has PyTorch loaded already."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name: str) -> ModuleType:
    """Module of benchmarks/, whose folder is searched for the modules that it imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        for path in BENCHMARKS.glob("*.py"):
            known = sys.modules.get(path.stem)
            if known is not None and known.__file__ != str(path):  # a module of tests of the same name
                patch.delitem(sys.modules, path.stem)
        return importlib.import_module(name)


def benchmark(name: str, *arguments: object) -> None:
    """Run a program of benchmarks/ as if with these arguments."""
    program = module(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        program.main()
