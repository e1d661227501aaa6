"""Labelled data sets: right labels, the same bytes whatever happens on the way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.generators.families import generate
from vaereg.io.datasets import DatasetPlan, LabelledBatch, read_dataset
from vaereg.io.files import lock_file
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import ConvergenceError, HomogenizationResult, homogenize
from vaereg.training.labelling import batch_store, families as labelling
from vaereg.training.labelling.families import generate_dataset, label_batch, volume_source

COUNT, SEED, SIZE, BATCH = 14, 11, 8, 4
ROOT = Path(__file__).parents[3]


def label_here(
    plan: DatasetPlan, batches: Sequence[range], workers: int
) -> Generator[tuple[range, LabelledBatch], None, None]:
    """Label in this process, last batch first: neither processes nor their order may matter."""
    del workers
    for indices in reversed(batches):
        yield indices, label_batch(plan, indices)


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "_label_all", label_here)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set made without interruption, by two processes."""
    path = tmp_path_factory.mktemp("whole") / "data.h5"
    generate_dataset(path, COUNT, SEED, SIZE, workers=2, batch_size=BATCH)
    return path


def test_labels_are_the_solver_s_stiffness_of_the_volumes(whole: Path) -> None:
    data = read_dataset(whole)
    for volume, label in zip(data.volumes(slice(0, 4)), data.samples.stiffness[:4], strict=True):
        exact = homogenize(volume).stiffness
        assert np.abs(label - exact).max() < 1e-6 * np.abs(exact).max()


def test_labels_lie_between_reuss_and_voigt(whole: Path) -> None:
    samples = read_dataset(whole).samples
    stiffness = samples.stiffness.astype(np.float64)
    above = np.linalg.eigvalsh(stiffness - reuss_bound(samples.volume_fraction))
    below = np.linalg.eigvalsh(voigt_bound(samples.volume_fraction) - stiffness)
    slack = 1e-6 * stiffness.max()  # laminates lie on the bounds
    assert above.min() > -slack
    assert below.min() > -slack


def test_a_volume_can_be_made_again_from_its_family_and_seed(whole: Path) -> None:
    data = read_dataset(whole)
    volumes = data.volumes(slice(None))
    for index in range(COUNT):
        family, seed = str(data.samples.family[index]), int(data.samples.seed[index])
        assert (family, seed) == volume_source(data.plan, index)
        again = generate(family, SIZE, generator=np.random.default_rng(seed)).volume
        np.testing.assert_array_equal(volumes[index], again)
    np.testing.assert_array_equal(data.samples.volume_fraction, volumes.mean(axis=(1, 2, 3)))


def test_families_come_in_their_shares_and_seeds_differ() -> None:
    plan = DatasetPlan(
        count=1,
        seed=0,
        size=8,
        families={"gaussian-equiaxed": 0.1, "gaussian-free": 0.9},
        materials={"e_stiff": 120.0, "e_soft": 2.4, "nu_stiff": 0.3, "nu_soft": 0.3},
        solver_tolerance=1e-4,
        solver_dtype="float32",
        generator_version=1,
    )
    families, seeds = zip(*(volume_source(plan, index) for index in range(4000)), strict=True)
    assert families.count("gaussian-free") / 4000 == pytest.approx(0.9, abs=0.02)
    assert len(set(seeds)) == 4000
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.usefixtures("no_processes")
def test_neither_processes_nor_order_nor_batches_change_a_byte(whole: Path, tmp_path: Path) -> None:
    for batch_size in (BATCH, 5):
        path = tmp_path / f"{batch_size}.h5"
        generate_dataset(path, COUNT, SEED, SIZE, batch_size=batch_size)
        assert path.read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("no_processes")
def test_another_seed_gives_other_volumes(whole: Path, tmp_path: Path) -> None:
    generate_dataset(tmp_path / "data.h5", COUNT, SEED + 1, SIZE)
    packed = {row.tobytes() for row in read_dataset(tmp_path / "data.h5").samples.microstructures}
    assert len(packed) == COUNT
    assert not packed & {row.tobytes() for row in read_dataset(whole).samples.microstructures}


KILLED = """
import os, signal, sys
from multiprocessing import active_children
from pathlib import Path
import numpy as np
import vaereg.training.labelling.families, vaereg.io.datasets

def kill(*_):
    print(*[child.pid for child in active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def kill_in_a_batch(file, **arrays):
    if len(list(Path(sys.argv[1] + ".parts").glob("*.npz"))) == 1:
        file.write(b"half a batch")
        file.flush()
        kill()
    savez(file, **arrays)

def kill_in_the_file(path, write, **settings):
    def write_half(temporary):
        write(temporary)
        os.truncate(temporary, temporary.stat().st_size // 2)
        kill()
    replace_file(path, write_half, **settings)

savez, replace_file = np.savez, vaereg.io.datasets.replace_file
moment, progress = sys.argv[2], None
if moment == "in a batch":
    np.savez = kill_in_a_batch
elif moment == "between batches":
    progress = lambda done, total: done >= 8 and kill()
else:
    vaereg.io.datasets.replace_file = kill_in_the_file
arguments = [int(argument) for argument in sys.argv[3:6]]
vaereg.training.labelling.families.generate_dataset(
    Path(sys.argv[1]), *arguments, workers=2, on_progress=progress, batch_size=int(sys.argv[6])
)
"""


def run_until_killed(path: Path, moment: str) -> list[int]:
    """Generate in another process that kills itself; returns the ids of its workers."""
    numbers = [str(number) for number in (COUNT, SEED, SIZE, BATCH)]
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), moment, *numbers],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    return [int(word) for word in result.stdout.split()]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.usefixtures("no_processes")
def test_a_killed_run_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """Killed in the middle of a batch, between two batches and in the middle of the final file."""
    path = tmp_path / "data.h5"
    parts = tmp_path / "data.h5.parts"
    kept = []
    for moment in ("in a batch", "between batches", "in the file"):
        workers = run_until_killed(path, moment)
        assert not path.exists()
        assert list(parts.glob("*.tmp")) or moment == "between batches", "the kill came too late"
        kept.append(len(list(parts.glob("*.npz"))))
        deadline = time.monotonic() + 20
        while any(map(is_running, workers)):
            assert time.monotonic() < deadline, "workers outlive their parent"
            time.sleep(0.05)
    assert kept == [1, 2, 4]
    generate_dataset(path, COUNT, SEED, SIZE, batch_size=BATCH)
    assert path.read_bytes() == whole.read_bytes()
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside the data set"


def test_an_interrupted_run_says_so_in_one_line_and_can_go_on(tmp_path: Path) -> None:
    """Ctrl-C reaches the parent and the workers alike; the workers must not complain, nor the parent hang."""
    path = tmp_path / "data.h5"
    command = [
        sys.executable,
        "-m",
        "vaereg",
        "generate",
        "--out",
        str(path),
        "--seed",
        "1",
        "--count",
        "100000",
    ]
    # A shell's background job ignores Ctrl-C, and so would the process that it starts.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*command, "--size", "8"], stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    signal.signal(signal.SIGINT, former)
    assert process.stderr is not None
    try:
        while "32/100000" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.stderr.close()
        process.wait(60)
    assert process.returncode == 130
    assert [line for line in rest.splitlines() if " volumes" not in line] == ["vaereg: interrupted"]
    lock_file(tmp_path / "data.h5.parts" / "lock").close()
    assert list((tmp_path / "data.h5.parts").glob("batch-*.npz"))
    assert not path.exists()


@pytest.mark.usefixtures("no_processes")
def test_damaged_batches_are_made_again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.h5"
    monkeypatch.setattr(labelling, "write_dataset", lambda *_, **__: None)
    monkeypatch.setattr(batch_store.shutil, "rmtree", lambda _: None)
    generate_dataset(path, COUNT, SEED, SIZE, batch_size=BATCH)
    monkeypatch.undo()
    monkeypatch.setattr(labelling, "_label_all", label_here)
    batches = sorted((tmp_path / "data.h5.parts").glob("*.npz"))
    assert len(batches) == 4
    batches[0].write_bytes(b"")
    batches[1].write_bytes(batches[1].read_bytes()[:-30])
    damaged = bytearray(batches[2].read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    batches[2].write_bytes(damaged)
    calls: list[tuple[int, int]] = []
    generate_dataset(
        path, COUNT, SEED, SIZE, batch_size=BATCH, on_progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(2, 14), (6, 14), (10, 14), (14, 14)], "what is found done is reported first"
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("no_processes")
def test_a_data_set_is_extended_by_what_is_missing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.h5"
    generate_dataset(path, 10, SEED, SIZE, batch_size=BATCH)
    labelled: list[int] = []

    def watched(plan: DatasetPlan, indices: range) -> LabelledBatch:
        labelled.extend(indices)
        return labelling.label_batch(plan, indices)

    monkeypatch.setitem(label_here.__globals__, "label_batch", watched)  # as `label_here` finds it
    generate_dataset(path, COUNT, SEED, SIZE, batch_size=BATCH)
    assert sorted(labelled) == list(range(8, COUNT)), "whole batches are kept"
    assert path.read_bytes() == whole.read_bytes()


def test_a_finished_data_set_is_left_alone(whole: Path) -> None:
    before = whole.stat()
    calls: list[tuple[int, int]] = []
    generate_dataset(whole, COUNT, SEED, SIZE, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(COUNT, COUNT)]
    assert whole.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": SEED + 1}, r"seed 11\), got seed 12"),
        ({"size": 9}, r"size 8\), got size 9"),
        ({"count": 3}, r"count 14\), got count 3"),
        ({"families": ["gaussian-free"]}, "begun with .families"),
        ({"materials": TwoPhase.from_moduli(e_soft=1.0)}, "begun with .materials"),
        ({"workers": 0}, "at least one worker, got 0"),
        ({"batch_size": 0}, "at least one volume per batch, got 0"),
        ({"families": ["foam"]}, "unknown family 'foam'"),
    ],
)
def test_other_arguments_do_not_touch_what_is_there(
    arguments: dict[str, object], message: str, whole: Path
) -> None:
    before = whole.read_bytes()
    with pytest.raises(ValueError, match=message):
        generate_dataset(**{"path": whole, "count": COUNT, "seed": SEED, "size": SIZE, **arguments})
    assert whole.read_bytes() == before


def test_an_interrupted_data_set_keeps_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Generator[None, None, None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(labelling, "_label_all", interrupted)
    path = tmp_path / "data.h5"
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(path, COUNT, SEED, SIZE)
    with pytest.raises(ValueError, match=r"data\.h5\.parts was begun with \(seed 11\), got seed 12"):
        generate_dataset(path, COUNT, SEED + 1, SIZE)


def test_a_volume_that_the_solver_cannot_do_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> HomogenizationResult:
        raise ConvergenceError("residual 1")

    monkeypatch.setattr(labelling, "homogenize", fail)
    monkeypatch.setattr(labelling, "_label_all", label_here)
    with pytest.raises(ConvergenceError, match=r"volume 0 \(gaussian-.*, seed \d+\): residual 1"):
        generate_dataset(tmp_path / "data.h5", 2, SEED, SIZE)
    assert not (tmp_path / "data.h5").exists()
