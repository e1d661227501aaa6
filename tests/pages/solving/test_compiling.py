"""Kernels that are missing are compiled by a process of its own; who needs them waits, and is told."""

import threading

import pytest

from pages.parts.solving import compiling
from pages.parts.solving.compiling import DECODING, SOLVING, Kernels, compile_kernels


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Loads of the compiled kernels."""
    calls: list[int] = []
    monkeypatch.setattr(compiling, "solve_something", lambda: calls.append(1))
    return calls


def test_missing_kernels_are_waited_for_in_their_order(
    loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, step = threading.Event(), threading.Event()

    def compile_apart(self: Kernels) -> None:
        self._under_way = {SOLVING}
        step.set()
        gate.wait(60.0)

    monkeypatch.setattr(compiling, "_are_missing", lambda: True)
    monkeypatch.setattr(Kernels, "_compile_apart", compile_apart)
    kernels = Kernels()
    assert kernels.are_ready() and kernels.words == ""
    thread = kernels.prepare()
    assert step.wait(60.0) and thread is kernels.prepare()
    assert kernels.are_ready(DECODING) and not kernels.are_ready(SOLVING)
    assert "once on this machine" in kernels.words and not loaded
    gate.set()
    thread.join()
    assert kernels.are_ready(SOLVING) and kernels.words == "" and loaded == [1]


def test_kernels_that_are_there_are_only_loaded(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_are_missing", lambda: False)
    kernels = Kernels()
    kernels.prepare().join()
    assert kernels.are_ready() and loaded == [1]


def test_without_a_process_the_server_compiles(loaded: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(compiling, "_are_missing", lambda: True)
    monkeypatch.setattr(compiling.subprocess, "Popen", refuse)
    kernels = Kernels()
    kernels.prepare().join()
    assert kernels.are_ready() and loaded == [1]


def test_the_process_says_what_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    compile_kernels()
    assert capsys.readouterr().out.split() == [DECODING, SOLVING]
    assert not compiling._are_missing()
