"""Shards of a data set: made apart, killed and made again, and merged into what one process writes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from manual import ImmediateExecutor

from vaereg.cli import main
from vaereg.errors import InputError
from vaereg.io.datasets import read_dataset
from vaereg.io.files import lock_file
from vaereg.io.labelled_sets import read_labelled_set
from vaereg.io.shards import Shard, read_shard_header
from vaereg.training.labelling import merging
from vaereg.training.labelling.families import generate_dataset
from vaereg.training.labelling.merging import merge_shards
from vaereg.training.labelling.morphologies import generate_morphologies

COUNT, SEED, OF = 7, 11, 3
ROOT = Path(__file__).parents[3]
posix_only = pytest.mark.skipif(os.name != "posix", reason="limits and locks of POSIX")

families = partial(
    generate_dataset, count=COUNT, seed=SEED, size=8, workers=ImmediateExecutor(), batch_size=2
)
morphologies = partial(
    generate_morphologies, count=COUNT, seed=SEED, sizes=[8, 10], workers=ImmediateExecutor(), batch_size=2
)
Make = Callable[..., None]


@pytest.fixture(scope="module", params=[families, morphologies], ids=["format 1", "format 2"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


@pytest.fixture(scope="module")
def whole(make: Make, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file that one process writes."""
    path = tmp_path_factory.mktemp("whole") / "data.h5"
    make(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def made(make: Make, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of all shards."""
    return make_shards(make, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def made_families(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of all shards of format 1."""
    return make_shards(families, tmp_path_factory.mktemp("families"))


@pytest.fixture
def shards(made_families: list[Path], tmp_path: Path) -> list[Path]:
    """Copies of the shards of format 1, which a test may spoil."""
    return [Path(shutil.copy(path, tmp_path)) for path in made_families]


def make_shards(make: Make, folder: Path) -> list[Path]:
    paths = [folder / f"shard-{index}.h5" for index in range(1, OF + 1)]
    for index, path in enumerate(paths, 1):
        make(path, shard=Shard(index=index, of=OF))
    return paths


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("vaereg: error: ")
    return line


@pytest.mark.parametrize("count", [3, 7, 100])
def test_shards_are_equal_parts_in_order(count: int) -> None:
    parts = [Shard(index=index, of=3).indices(count) for index in (1, 2, 3)]
    assert [index for part in parts for index in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/3/5", "1/9999999999"])
def test_a_shard_that_is_none_is_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", "--count", "9", "--seed", "1", "--out", "none.h5", f"--shard={text}"]
    assert main(arguments) == 2
    assert f"expected a shard I/N with I from 1 to N, got {text}" in one_line(capsys).replace("'", "")


def test_there_are_no_more_shards_than_volumes() -> None:
    with pytest.raises(InputError, match="at most 2 shards of 2 volumes, got 3"):
        Shard(index=1, of=3).indices(2)


def test_merged_shards_are_byte_for_byte_what_one_process_writes(
    whole: bytes, made: list[Path], tmp_path: Path
) -> None:
    """Shards are merged in any order; the file that is there before is replaced."""
    out = tmp_path / "data.h5"
    out.write_bytes(b"former")
    calls: list[tuple[int, int]] = []
    assert merge_shards(made[::-1], out, on_progress=lambda *call: calls.append(call)) == COUNT
    assert out.read_bytes() == whole
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert list(tmp_path.iterdir()) == [out], "nothing is left beside the data set"


def test_a_shard_is_a_data_set_that_says_what_it_is_part_of(made: list[Path]) -> None:
    header = read_shard_header(made[1])
    assert header.shard == Shard(index=2, of=3) and header.total == COUNT
    assert header.made_by["numpy"] == np.__version__
    with h5py.File(made[1]) as file:
        read = read_dataset if file.attrs["format_version"] == 1 else read_labelled_set
    assert len(read(made[1])) == len(header.shard.indices(COUNT))


def test_the_command_line_makes_and_merges_shards(
    tmp_path: Path, whole_families: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--count", str(COUNT), "--seed", str(SEED), "--size", "8", "--workers", "1"]
    assert main(["generate", *flags, "--shard", "2/2", "--out", str(tmp_path / "2.h5")]) == 0
    assert "generate: 4/4 volumes" in capsys.readouterr().err
    families(tmp_path / "1.h5", shard=Shard(index=1, of=2))
    arguments = ["merge", str(tmp_path / "2.h5"), str(tmp_path / "1.h5"), "--out", str(tmp_path / "all.h5")]
    assert main(arguments) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("all.h5: 7 volumes of 2 shards")
    assert (tmp_path / "all.h5").read_bytes() == whole_families


@pytest.fixture(scope="module")
def whole_families(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "data.h5"
    families(path)
    return path.read_bytes()


def test_a_missing_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 3 shards, got 2: 2/3 missing"):
        merge_shards([shards[0], shards[2]], tmp_path / "data.h5")
    with pytest.raises(InputError, match=r"got 1: 1/3, 3/3 missing"):
        merge_shards(shards[1:2], tmp_path / "data.h5")
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        merge_shards([*shards, tmp_path / "none.h5"], tmp_path / "data.h5")
    assert not (tmp_path / "data.h5").exists()


def test_a_shard_that_is_given_twice_is_named(shards: list[Path], tmp_path: Path) -> None:
    twin = Path(shutil.copy(shards[1], tmp_path / "twin.h5"))
    with pytest.raises(InputError, match=r"every shard once, got 2/3 in .*shard-2\.h5 and in .*twin\.h5"):
        merge_shards([*shards, twin], tmp_path / "data.h5")


def test_shards_of_another_data_set_are_named(shards: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    families(other, seed=SEED + 1, shard=Shard(index=2, of=OF))
    with pytest.raises(InputError, match=r"got seed 11 in .*shard-1\.h5 and 12 in .*other\.h5"):
        merge_shards([shards[0], other, shards[2]], tmp_path / "data.h5")
    families(other.with_name("four.h5"), shard=Shard(index=2, of=4))
    with pytest.raises(InputError, match="got shards 3 in .* and 4 in"):
        merge_shards([shards[0], other.with_name("four.h5")], tmp_path / "data.h5")
    families(other.with_name("whole.h5"), count=2)
    with pytest.raises(InputError, match=r"expected a shard of generate --shard, got .*whole\.h5"):
        merge_shards([shards[0], other.with_name("whole.h5")], tmp_path / "data.h5")


def test_shards_of_another_version_are_named(shards: list[Path], tmp_path: Path) -> None:
    with h5py.File(shards[2], "r+") as file:
        file.attrs["made_by"] = str(file.attrs["made_by"]).replace('"numpy": "', '"numpy": "9.')
    with pytest.raises(InputError, match=r"version of numpy .* in .*shard-1\.h5 and 9\..* in .*shard-3\.h5"):
        merge_shards(shards, tmp_path / "data.h5")


def test_a_damaged_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    with h5py.File(shards[1], "r+") as file:
        stiffness = file["stiffness"]
        assert isinstance(stiffness, h5py.Dataset)
        stiffness[1, 2, 2] = 1.0
    with pytest.raises(InputError, match=r"shard-2\.h5 was written with, got another checksum"):
        merge_shards(shards, tmp_path / "data.h5")
    with h5py.File(shards[1], "r+") as file:
        seed = file["seed"]
        assert isinstance(seed, h5py.Dataset)
        seed[1] = seed[1] + 1
    with pytest.raises(InputError, match=r"expected the seed \d+ of volume 3 in .*shard-2\.h5, got \d+"):
        merge_shards(shards, tmp_path / "data.h5")
    shards[1].write_bytes(shards[1].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"readable HDF5 file, got .*shard-2\.h5"):
        merge_shards(shards, tmp_path / "data.h5")
    assert not (tmp_path / "data.h5").exists() and not (tmp_path / "data.h5.merge").exists()


def test_a_shard_is_not_replaced_by_its_merger(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = shards[0].read_bytes()
    assert main(["merge", *map(str, shards), "--out", str(shards[0])]) == 2
    assert "expected another file to write" in one_line(capsys)
    assert shards[0].read_bytes() == before


@posix_only
def test_of_two_mergers_at_once_one_says_so(
    shards: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.h5.merge").mkdir()
    arguments = ["merge", *map(str, shards), "--out", str(tmp_path / "data.h5")]
    with lock_file(tmp_path / "data.h5.merge" / "lock"):
        assert main(arguments) == 2
        assert "expected no other process at work in" in one_line(capsys)
    (tmp_path / "data.h5.merge" / "data.h5.killed.tmp").touch()
    assert main(arguments) == 0
    assert not (tmp_path / "data.h5.merge").exists()


FILLS_A_SMALL_DISK = """
import resource, sys
from vaereg.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
sys.exit(main(["merge", *sys.argv[2:], "--out", sys.argv[1]]))
"""


@posix_only
def test_a_full_disk_is_one_line_and_all_shards_stay(shards: list[Path], tmp_path: Path) -> None:
    """The size of a file is limited, which a process meets as it meets a full disk."""
    out = tmp_path / "data.h5"
    command = [sys.executable, "-c", FILLS_A_SMALL_DISK, str(out), *map(str, shards)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"vaereg: error: [Errno 27] File too large: {str(out)!r}"
    assert sorted(tmp_path.iterdir()) == shards
    merge_shards(shards, out)


def test_a_killed_shard_goes_on_where_it_was(
    whole: bytes, make: Make, made: list[Path], tmp_path: Path
) -> None:
    """Ended after its first batch; the second run makes the rest alone."""
    path, shard = tmp_path / "again.h5", Shard(index=2, of=OF)

    def end(done: int, total: int) -> None:
        assert total == len(shard.indices(COUNT))
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(path, shard=shard, batch_size=1, on_progress=end)
    assert len(list((tmp_path / "again.h5.parts").glob("batch-*.npz"))) == 1
    with pytest.raises(InputError, match=r"again\.h5\.parts was begun with \(shard 2/3\), got shard 3/3"):
        make(path, shard=Shard(index=3, of=OF), batch_size=1)
    with pytest.raises(InputError, match=r"begun with \(shard 2/3\), got shard None"):
        make(path, batch_size=1)
    calls: list[int] = []
    make(path, shard=shard, batch_size=1, on_progress=lambda done, total: calls.append(done))
    assert calls == list(range(1, len(shard.indices(COUNT)) + 1))
    make(path, shard=shard)  # it is there: nothing is done
    merge_shards([made[0], path, made[2]], tmp_path / "data.h5")
    assert (tmp_path / "data.h5").read_bytes() == whole


KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from manual import ImmediateExecutor
from vaereg.io.shards import Shard
from vaereg.training.labelling.families import generate_dataset

def end(done, total):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)

generate_dataset(
    Path(sys.argv[1]), count=7, seed=11, size=8, workers=ImmediateExecutor(), batch_size=1,
    shard=Shard(index=2, of=3), on_progress=end,
)
"""


@posix_only
def test_a_shard_whose_process_is_killed_goes_on(
    whole_families: bytes, made_families: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "again.h5"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared")])}
    done = subprocess.run([sys.executable, "-c", KILLS_ITSELF, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL and not path.exists()
    calls: list[int] = []
    families(path, shard=Shard(index=2, of=OF), batch_size=1, on_progress=lambda done, _: calls.append(done))
    assert calls[0] == 1
    merge_shards([made_families[0], path, made_families[2]], tmp_path / "data.h5")
    assert (tmp_path / "data.h5").read_bytes() == whole_families


@posix_only
def test_mergers_that_begin_together_leave_a_whole_file(
    shards: list[Path], whole_families: bytes, tmp_path: Path
) -> None:
    """One of them at least succeeds; what another one says is one line about it."""
    out, begin = tmp_path / "data.h5", threading.Barrier(2)

    def merge(number: int) -> str:
        begin.wait()
        try:
            return str(merge_shards(shards, out))
        except InputError as error:
            return str(error)

    for _ in range(10):
        with ThreadPoolExecutor(2) as threads:
            said = list(threads.map(merge, range(2)))
        assert str(COUNT) in said
        others = f"expected no other process at work in {out}.merge, got one"
        assert set(said) <= {str(COUNT), others}
        assert out.read_bytes() == whole_families
        assert not Path(f"{out}.merge").exists()


def test_a_shard_is_not_taken_for_a_whole_data_set(made_families: list[Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(made_families[0], tmp_path))
    with pytest.raises(InputError, match=r"expected the shard 2/3 in .*, got 1/3"):
        families(path, shard=Shard(index=2, of=OF))
    with pytest.raises(InputError, match=r"begun with \(count 7\), got count 8"):
        families(path, count=COUNT + 1, shard=Shard(index=1, of=OF))
    before = path.read_bytes()
    with pytest.raises(InputError, match="expected a whole data set in .*, got a shard"):
        families(path)
    assert path.read_bytes() == before


def test_an_error_names_a_few_of_many_missing_shards(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_NAMED", 1)
    with pytest.raises(InputError, match="got 1: 1/3 and 1 more missing"):
        merge_shards(shards[1:2], tmp_path / "data.h5")
