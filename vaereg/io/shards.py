"""Shards of a data set: files of a range of its volumes each, which say which range, and of what.

A shard is a data set of its own, with further attributes: `shard` (as 2/8), `shard_total` (volumes of the
whole data set), `made_by` (JSON: versions that the labels may depend on) and `checksum` (SHA-256 of its
columns).
"""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from vaereg import __version__
from vaereg.errors import InputError
from vaereg.io.columns import ColumnBatch
from vaereg.io.files import open_hdf5, read_int, read_json, read_text

__all__ = [
    "Shard",
    "ShardHeader",
    "checksum",
    "is_shard",
    "label_versions",
    "read_shard_header",
    "shard_attributes",
]

_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One of several equal parts of a data set."""

    index: int
    """Number of the shard, from 1."""
    of: int
    """Number of shards."""

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            raise InputError(f"expected a shard I/N with I from 1 to N, got {self.index}/{self.of}")

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Shard from a text such as 2/8.

        Raises:
            InputError: The text has another form, or the number is none of 1 to N.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise InputError(f"expected a shard I/N with I from 1 to N, got {text!r}")
        return cls(index=int(match[1]), of=int(match[2]))

    def indices(self, count: int) -> range:
        """Volumes of this shard among `count`; shards differ by one volume at most.

        Raises:
            InputError: There are more shards than volumes.
        """
        if self.of > count:
            raise InputError(f"expected at most {count} shards of {count} volumes, got {self.of}")
        return range(count * (self.index - 1) // self.of, count * self.index // self.of)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardHeader:
    """Header of a shard."""

    shard: Shard
    """Number of the part."""
    total: int
    """Number of volumes of the whole data set."""
    made_by: dict[str, Any]
    """Versions that its labels may depend on."""
    checksum: str
    """SHA-256 of its columns, as `checksum`."""


def label_versions() -> dict[str, str]:
    """Versions that labels may depend on, to the last digit, and the kind of processor."""
    packages = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return {"vaereg": __version__, **packages, "machine": platform.machine()}


def checksum(samples: ColumnBatch) -> str:
    """SHA-256 of all columns: names, shapes and values."""
    digest = hashlib.sha256()
    for name, column in sorted(samples.columns().items()):
        digest.update(f"{name} {column.shape} ".encode())
        if column.dtype.kind == "U":
            digest.update("\n".join(column.tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def shard_attributes(shard: Shard, total: int, samples: ColumnBatch) -> Mapping[str, Any]:
    """Further attributes of the file of a shard.

    Args:
        shard: Which part it is.
        total: Number of volumes of the whole data set.
        samples: Its volumes.
    """
    return {
        "shard": str(shard),
        "shard_total": np.int64(total),
        "made_by": json.dumps(label_versions()),
        "checksum": checksum(samples),
    }


def is_shard(path: Path) -> bool:
    """Whether a readable HDF5 file is a shard."""
    with open_hdf5(path) as file:
        return "shard" in file.attrs


def read_shard_header(path: Path) -> ShardHeader:
    """Read what a shard says of itself.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no shard.
    """
    with open_hdf5(path) as file:
        if "shard" not in file.attrs:
            raise InputError(f"expected a shard of generate --shard, got a file without the mark: {path}")
        return ShardHeader(
            shard=Shard.parse(read_text(file, "shard")),
            total=read_int(file, "shard_total"),
            made_by=read_json(file, "made_by"),
            checksum=read_text(file, "checksum"),
        )
