"""The command `generate`: data sets of families and of morphologies."""

from pathlib import Path

import pytest
from commandline import refused, run

from vaereg.cli import main
from vaereg.io.datasets import read_dataset
from vaereg.io.labelled_sets import read_labelled_set


def test_generate_makes_a_data_set_and_leaves_it_at_that(tmp_path: Path) -> None:
    out = tmp_path / "data.h5"
    flags = [
        "--count",
        6,
        "--seed",
        3,
        "--size",
        8,
        "--out",
        out,
        "--families",
        "gaussian-rod-x,gaussian-free",
    ]
    result = run("generate", *flags, "--workers", 1)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[0] == "generate: 0/6 volumes"
    assert result.stderr.splitlines()[-1].startswith("generate: 6/6 volumes, ")
    data = read_dataset(out)
    assert (len(data), data.plan.seed, data.plan.size) == (6, 3, 8)
    assert data.plan.families == {"gaussian-rod-x": 0.5, "gaussian-free": 0.5}
    before = out.read_bytes()
    assert main(["generate", *map(str, flags)]) == 0
    assert out.read_bytes() == before


def test_generate_makes_data_sets_of_morphologies(tmp_path: Path) -> None:
    out = tmp_path / "labels.h5"
    flags = ["--count", 3, "--seed", 3, "--size", 8, 9, "--out", out, "--morphologies", "particles,tpms"]
    result = run("generate", *flags, "--workers", 1)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines()[-1].startswith("generate: 3/3 volumes, ")
    data = read_labelled_set(out)
    assert data.plan.morphologies == {"particles": 0.5, "tpms": 0.5}
    assert data.plan.sizes == {"8": 0.5, "9": 0.5}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--count", "0"], "at least one volume, got 0"),
        (["--count", "many"], "--count: invalid int value: 'many'"),
        (["--seed", "-1"], "seed from 0 to 2^63 - 1, got -1"),
        (["--size", "1"], "size of 2 to 512 voxels per edge, got 1"),
        (["--families", "foam"], "unknown family 'foam', expected one of gaussian-equiaxed, "),
        (["--families", ","], "at least one family of gaussian-equiaxed, "),
        (["--workers", "0"], "at least one worker, got 0"),
        (["--size", "8", "16"], "one size, got 2; several need --morphologies"),
        (["--morphologies", "foam"], "unknown morphology 'foam', expected one of particles, "),
        (["--morphologies", "all", "--size", "7"], "sizes of 8 to 128 voxels per edge, got [7]"),
        (["--morphologies", "all", "--families", "default"], "not allowed with argument"),
    ],
)
def test_bad_flags_of_generate(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--count", "4", "--seed", "1", "--out", str(tmp_path / "data.h5"), *flags]
    assert message in refused(capsys, "generate", *flags)
    assert not list(tmp_path.iterdir())


def test_generate_does_not_write_over_another_file(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = volumes.read_bytes()
    line = refused(capsys, "generate", "--count", 4, "--seed", 1, "--out", volumes)
    assert f"expected a readable HDF5 file, got {volumes}" in line
    assert volumes.read_bytes() == before
