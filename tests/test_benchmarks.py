"""docs/ holds what the benchmarks measured: the page is made from their files, not typed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


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
