"""What tests of stored data sets and designs share: a plan, and changes of an HDF5 file."""

from collections.abc import Callable
from typing import Any

import h5py

from vaereg.io.datasets import (
    DatasetPlan,
)

COUNT, SIZE = 12, 5


def dataset_of(file: h5py.File, name: str) -> h5py.Dataset:
    item = file[name]
    assert isinstance(item, h5py.Dataset)
    return item


def plan(**changes: Any) -> DatasetPlan:  # noqa: ANN401
    values: dict[str, Any] = {
        "count": COUNT,
        "seed": 3,
        "size": SIZE,
        "families": {"gaussian-free": 0.75, "gaussian-rod-x": 0.25},
        "materials": {"e_stiff": 120.0, "e_soft": 2.4, "nu_stiff": 0.3, "nu_soft": 0.3},
        "solver_tolerance": 1e-4,
        "solver_dtype": "float32",
        "generator_version": 1,
    }
    return DatasetPlan(**{**values, **changes})


def replace_dataset(name: str, **arguments: Any) -> Callable[[h5py.File], None]:  # noqa: ANN401
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **arguments)

    return change


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)
