"""Examples in docstrings of the package."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import vaereg

PACKAGE = Path(vaereg.__file__).parent
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
"""Modules that may have examples: to import all others for nothing takes long."""


def module_name(path: Path) -> str:
    """Dotted name of a module of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


@pytest.mark.parametrize("name", [module_name(path) for path in MODULES])
def test_examples_print_what_they_say(name: str) -> None:
    results = doctest.testmod(import_module(name))
    assert results.attempted and not results.failed


def test_there_are_examples() -> None:
    assert MODULES
