"""The examples of the guide, run by the commands on small cells: several modes, refined, exported."""

import json
from pathlib import Path

from benchmark_programs import BENCHMARKS, benchmark

ROOT = BENCHMARKS.parent


def test_examples_of_the_guide(tmp_path: Path) -> None:
    record = tmp_path / "examples.json"
    flags = ["--size", 16, "--count", 3, "--max-solves", 4, "--workers", 1]
    benchmark("examples", "--out", record, *flags, "--folder", tmp_path)
    figures = json.loads(record.read_text(encoding="utf-8"))["figures"]
    assert len(figures) == 4
    for name, example in figures.items():
        designs = example["designs"]
        assert len({design["mode"] for design in designs}) == 3, name
        assert all(design["met"] for design in designs), name
        assert example["reached"] >= 1, name
        stem = name.replace(",", "").replace(" ", "-")
        told = json.loads((tmp_path / f"{stem}.json").read_text(encoding="utf-8"))
        assert told["spec_sheet"]["recipe"]["class"] == told["spec_sheet"]["class"]
    guide = (ROOT / "docs" / "inverse.md").read_text(encoding="utf-8")
    for example in figures.values():
        for flag, value in zip(example["command"][::2], example["command"][1::2], strict=True):
            assert flag in ("--size", "--count") or value in guide, f"{flag} {value} is not in the guide"
