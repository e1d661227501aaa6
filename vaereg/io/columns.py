"""Batches of columns: arrays that hold a row for each volume."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColumnBatch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnBatch:
    """Base of dataclasses whose fields are arrays of one row for each volume."""

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Arrays by the names of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rows(self, rows: slice) -> Self:
        """Batch of some of the volumes.

        Args:
            rows: Rows, in steps of one.
        """
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def is_whole(self, count: int) -> bool:
        """Whether every column holds `count` volumes."""
        return all(len(column) == count for column in self.columns().values())

    @classmethod
    def join(cls, batches: Sequence[Self]) -> Self:
        """Batch of the volumes of several batches, in their order."""
        columns = [batch.columns() for batch in batches]
        return cls(**{name: np.concatenate([column[name] for column in columns]) for name in columns[0]})

    @classmethod
    def names(cls) -> list[str]:
        """Names of the columns."""
        return [field.name for field in fields(cls)]
