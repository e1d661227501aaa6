"""docs/ holds what the benchmarks measured: the page is made from their files, not typed."""

import json
from pathlib import Path

import pytest
from benchmark_programs import BENCHMARKS, benchmark, module

DOCS = BENCHMARKS.parent / "docs"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_benchmarks_fit_the_package(name: str) -> None:
    """What they import and name at import is there; none of them is run."""
    assert module(name).__doc__


@pytest.mark.parametrize(
    ("program", "flags", "page"),
    [
        ("solver_report", [], "solver.md"),
        ("recognition", ["--page"], "recognition.md"),
        ("scaling_report", [], "scaling.md"),
        ("inverse_report", [], "inverse-figures.md"),
    ],
)
def test_pages_are_made_from_the_measured_figures(
    program: str, flags: list[str], page: str, tmp_path: Path
) -> None:
    target = tmp_path / page
    benchmark(program, *flags, "--out", target)
    stored = (DOCS / page).read_text(encoding="utf-8")
    assert stored == target.read_text(encoding="utf-8"), f"run benchmarks/{program}.py {' '.join(flags)}"


@pytest.mark.parametrize(
    ("program", "page", "pictures"),
    [
        ("families", "data.md", ["families.png", "closure.png"]),
        ("morphologies", "morphologies.md", ["morphologies.png"]),
    ],
)
def test_pages_with_pictures_are_made_from_the_measured_figures(
    program: str, page: str, pictures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pictures of the test are smaller than those of the documentation, and show fewer volumes."""
    monkeypatch.setattr(module(program), "PIXELS", 100)
    monkeypatch.setattr(module(program), "SEEDS", (1,), raising=False)
    benchmark(program, "--out", tmp_path)
    stored = (DOCS / page).read_text(encoding="utf-8")
    assert stored == (tmp_path / page).read_text(encoding="utf-8"), f"run benchmarks/{program}.py"
    for name in pictures:
        assert (DOCS / name).stat().st_size < 500_000
    assert (tmp_path / pictures[0]).stat().st_size > 10_000


def test_refinement_page_is_made_from_a_record(tmp_path: Path) -> None:
    runs = [
        {"kind": "three", "start": "design", "errors": [0.06, 0.02, 0.009]},
        {"kind": "three", "start": "graded", "errors": [0.7, 0.4], "error_of_the_cut": 0.5},
    ]
    record = {
        "benchmark": "refinement",
        "date": "today",
        "hardware": {"processor": "any", "cores": 2, "memory_gib": 8, "load_average": [0.5, 0.5, 0.5]},
        "versions": {"python": "3.11"},
        "settings": {"designs": 12, "max_solves": {"search": 60, "latent": 20, "graded": 40}},
        "figures": runs,
    }
    (tmp_path / "record.json").write_text(json.dumps(record))
    benchmark("refinement_report", "--record", tmp_path / "record.json", "--out", tmp_path / "refinement.md")
    text = (tmp_path / "refinement.md").read_text(encoding="utf-8")
    assert "| C11, C22, C33 | design of the model | 1 | 2 | 2 | 3 | 100% | 0.90% |" in text
    assert (tmp_path / "refinement.png").stat().st_size > 5000


def test_every_part_of_the_benchmark_of_gpus_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the processor, at tiny sizes: no part may fail."""
    out = tmp_path / "gpu.json"
    benchmark("gpu", "--device", "cpu", "--tiny", "--repeats", 1, "--out", out)
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads(out.read_text(encoding="utf-8"))
    parts = {name.split()[0] for name in record["figures"]} - {"muGrid,"}  # where it is installed
    assert parts == {"batch", "conduction", "cell", "training", "2"}
    for name, figures in record["figures"].items():
        assert "failed" not in figures and figures["seconds"] > 0.0, f"{name}: {figures}"
