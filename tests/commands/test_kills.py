"""What kills, full disks and closed streams leave behind: nothing, or the former file."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vaereg.cli import main
from vaereg.io.designs import read_designs, write_designs
from vaereg.io.files import check_output

posix_only = pytest.mark.skipif(os.name != "posix", reason="locks, limits and signals of POSIX")

WRITES_SLOWLY = """
import sys, time
from pathlib import Path
from vaereg.io.files import replace_file

def write(temporary):
    temporary.write_bytes(bytes(1000))
    print(temporary, flush=True)
    time.sleep(60)

replace_file(Path(sys.argv[1]), write)
"""

FILLS_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from vaereg.io.datasets import DatasetPlan, LabelledBatch, write_dataset

count = 100
plan = DatasetPlan(
    count=count, seed=0, size=16, families={"gaussian": 1.0}, solver_tolerance=1e-4, solver_dtype="float32",
    materials={"e_stiff": 120.0, "e_soft": 2.4, "nu_stiff": 0.3, "nu_soft": 0.3}, generator_version=1,
)
batch = LabelledBatch(
    microstructures=np.zeros((count, 512), np.uint8), stiffness=np.zeros((count, 6, 6), np.float32),
    volume_fraction=np.zeros(count), family=np.full(count, "gaussian"), seed=np.arange(count),
)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    write_dataset(Path(sys.argv[1]), plan, batch)
except OSError as error:
    print(error)
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


@posix_only
def test_a_full_disk_is_one_line_and_the_former_file_stays(tmp_path: Path) -> None:
    """The size of a file is limited, which HDF5 meets as it meets a full disk."""
    path = tmp_path / "data.h5"
    path.write_bytes(b"former")
    done = subprocess.run(python(FILLS_A_SMALL_DISK, path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended by {done.returncode}"
    assert done.stdout.splitlines() == [f"[Errno 27] File too large: {str(path)!r}"]
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


@posix_only
def test_temporary_files_of_killed_processes_are_removed_at_the_next_start(tmp_path: Path) -> None:
    path, other = tmp_path / "designs.h5", tmp_path / "designs.h5.backup.tmp"
    other.touch()
    with subprocess.Popen(python(WRITES_SLOWLY, path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        temporary = Path(process.stdout.readline().strip())
        check_output(path)
        assert temporary.exists(), "it is being written"
        process.kill()
        process.wait()
    assert temporary.exists()
    check_output(path)
    assert sorted(tmp_path.iterdir()) == [other]


def close_standard_error() -> None:
    os.close(2)


@posix_only
@pytest.mark.parametrize("close", [None, close_standard_error], ids=["reader gone", "closed"])
def test_work_goes_on_where_nobody_reads_standard_error(
    close: Callable[[], None] | None, tmp_path: Path
) -> None:
    np.save(tmp_path / "volume.npy", (np.indices((8, 8, 8)).sum(0) % 2).astype(np.uint8))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "vaereg", "homogenize", "volume.npy", "--out", "out.json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stderr=writer, preexec_fn=close, check=False
    )
    os.close(writer)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text())["results"][0]["converged"]


@posix_only
def test_termination_gives_everything_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vaereg", "generate", "--count", "4000", "--seed", "1", "--size", "16"]
    command += ["--workers", "2", "--out", str(tmp_path / "data.h5")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "0/4000" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert "semaphore" not in rest and "Traceback" not in rest
    assert rest.splitlines()[-1] == "vaereg: terminated"


@pytest.mark.parametrize(
    "target",
    [
        '{"C11": 1' + "0" * 400 + "}",
        '{"C11": NaN}',
        '{"C11": true}',
        '{"C11": [1, Infinity]}',
        '{"C11": -3}',
        '{"C11": 1' + "0" * 5000 + "}",
    ],
    ids=["400 digits", "NaN", "true", "infinite", "negative", "5000 digits"],
)
def test_a_target_that_is_no_number_is_named_with_its_file(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "designs.h5"
    write_designs(
        path,
        microstructures=np.eye(8, dtype=np.uint8)[None, :, :, None] * np.ones(8, dtype=np.uint8),
        component=[0],
        latent=np.zeros((1, 2)),
        target={"C11": 40.0},
        seed=0,
        made_by="",
    )
    with h5py.File(path, "r+") as file:
        file.attrs["target"] = target
    with pytest.raises(ValueError, match="designs.h5"):
        read_designs(path)
    assert main(["refine", str(path), "--out", str(tmp_path / "refined.h5")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "designs.h5" in line and len(line) < 300


@pytest.mark.parametrize(
    ("files", "flags", "message"),
    [(["state.pt"], [], "holds a run already"), ([], ["--resume"], "no run to resume")],
    ids=["begin", "resume"],
)
def test_train_looks_at_its_folder_first(
    files: list[str], flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data, which do not even exist here."""
    for name in files:
        (tmp_path / name).touch()
    assert main(["train", "--data", str(tmp_path / "none.h5"), "--out", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err
