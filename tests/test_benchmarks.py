"""docs/ holds what the benchmarks measured: the page is made from their files, not typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_benchmarks_fit_the_package() -> None:
    """What they import and name at import is there; none of them is run."""
    code = (
        "import runpy, sys; from pathlib import Path; sys.path.insert(0, 'benchmarks'); "
        "[runpy.run_path(str(path)) for path in sorted(Path('benchmarks').glob('*.py'))]"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr


def test_solver_page_is_made_from_the_measured_figures(tmp_path: Path) -> None:
    target = tmp_path / "solver.md"
    command = [sys.executable, str(ROOT / "benchmarks" / "solver_report.py"), "--out", str(target)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    expected = target.read_text(encoding="utf-8")
    assert (ROOT / "docs" / "solver.md").read_text(encoding="utf-8") == expected, (
        "run benchmarks/solver_report.py"
    )


def test_data_page_is_made_from_the_measured_figures(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "families.py"), "--out", str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    expected = (tmp_path / "data.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "data.md").read_text(encoding="utf-8") == expected, "run benchmarks/families.py"
    for name in ("families.png", "closure.png"):
        assert (ROOT / "docs" / name).stat().st_size < 500_000
    assert (tmp_path / "families.png").stat().st_size > 10_000


def test_page_of_the_morphologies_is_made_from_the_measured_figures(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "morphologies.py"), "--out", str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    expected = (tmp_path / "morphologies.md").read_text(encoding="utf-8")
    stored = (ROOT / "docs" / "morphologies.md").read_text(encoding="utf-8")
    assert stored == expected, "run benchmarks/morphologies.py"
    assert (ROOT / "docs" / "morphologies.png").stat().st_size < 500_000
    assert (tmp_path / "morphologies.png").stat().st_size > 10_000


def test_recognition_page_is_made_from_the_measured_figures(tmp_path: Path) -> None:
    target = tmp_path / "recognition.md"
    command = [sys.executable, str(ROOT / "benchmarks" / "recognition.py"), "--page", "--out", str(target)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    expected = target.read_text(encoding="utf-8")
    assert (ROOT / "docs" / "recognition.md").read_text(encoding="utf-8") == expected, (
        "run benchmarks/recognition.py --page"
    )


@pytest.mark.parametrize(
    ("program", "page"), [("scaling_report.py", "scaling.md"), ("inverse_report.py", "inverse-figures.md")]
)
def test_pages_are_made_from_the_measured_figures(program: str, page: str, tmp_path: Path) -> None:
    target = tmp_path / page
    command = [sys.executable, str(ROOT / "benchmarks" / program), "--out", str(target)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    expected = target.read_text(encoding="utf-8")
    stored = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert stored == expected, f"run benchmarks/{program}"


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
    command = [sys.executable, str(ROOT / "benchmarks" / "refinement_report.py")]
    command += ["--record", str(tmp_path / "record.json"), "--out", str(tmp_path / "refinement.md")]
    environment = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    text = (tmp_path / "refinement.md").read_text(encoding="utf-8")
    assert "| C11, C22, C33 | design of the model | 1 | 2 | 2 | 3 | 100% | 0.90% |" in text
    assert (tmp_path / "refinement.png").stat().st_size > 5000


def test_every_part_of_the_benchmark_of_gpus_runs(tmp_path: Path) -> None:
    """On the processor, at tiny sizes: no part may fail."""
    out = tmp_path / "gpu.json"
    flags = ["--device", "cpu", "--tiny", "--repeats", "1", "--out", str(out)]
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *flags]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    record = json.loads(done.stdout)
    assert record == json.loads(out.read_text(encoding="utf-8"))
    parts = {name.split()[0] for name in record["figures"]} - {"muGrid,"}  # where it is installed
    assert parts == {"batch", "conduction", "cell", "training", "2"}
    for name, figures in record["figures"].items():
        assert "failed" not in figures and figures["seconds"] > 0.0, f"{name}: {figures}"
