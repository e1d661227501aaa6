"""Designs in the files of other programs, each with what is known of it.

One volume at a time by `export`; many, in many formats, with a manifest as a zip archive by `bundle`. Moduli
are in GPa; lengths are in voxels, or in the unit in which a voxel size is given. Axes are x, y, z.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.io.designs import write_designs
from vaereg.io.exporting.comments import comments_of
from vaereg.io.exporting.meshes import describe_surface, write_abaqus, write_stl
from vaereg.io.exporting.provenance import (
    BundleItem,
    Provenance,
    describe_design,
    describe_setting,
    describe_volume,
    write_properties,
)
from vaereg.io.exporting.reports.report import report_html
from vaereg.io.exporting.solver_inputs import FANS_DATASET, damask_input, fans_input
from vaereg.io.exporting.tiff_files import write_tif
from vaereg.io.exporting.vti_files import write_vti
from vaereg.io.files import hdf5_bytes, replace_file, write_array
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import as_two_phase

__all__ = [
    "FORMATS",
    "BundleItem",
    "Format",
    "Provenance",
    "bundle",
    "describe_surface",
    "export",
    "write_report",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One kind of file."""

    title: str
    """Name in a word."""
    label: str
    """Description, and the program that reads it."""
    suffix: str
    """Suffix of its file; that of the first file where there are several."""
    write: Callable[[Path, _Job], None]
    """Writes the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    volume: NDArray[np.uint8]
    materials: TwoPhase
    provenance: Provenance
    voxel_size: float
    length_unit: str
    name: str
    """Stem of the file."""

    @property
    def comments(self) -> str:
        """Comments that the file should hold."""
        return comments_of(self.volume, self.materials, self.provenance)


def export(
    volume: ArrayLike,
    materials: TwoPhase,
    format: str,
    path: Path,
    *,
    provenance: Provenance | None = None,
    voxel_size: float = 1.0,
    length_unit: str = "",
) -> list[Path]:
    """Write one volume in one format.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        materials: The two phases.
        format: One of `FORMATS`.
        path: File to create or replace. Input files of FANS and DAMASK lie beside it.
        provenance: What is known of the volume.
        voxel_size: Edge of a voxel, in any unit of length.
        length_unit: That unit, such as "µm"; what the file says of lengths is in it, too.

    Returns:
        The files that were written.

    Raises:
        ValueError: There is no such format, `volume` is no two-phase volume or none of this format's, or the
            voxel size is not positive.
    """
    if format not in FORMATS:
        raise InputError(f"expected a format of {', '.join(FORMATS)}, got {format!r}")
    if not (np.isfinite(voxel_size) and voxel_size > 0.0):
        raise InputError(f"expected a positive voxel size, got {voxel_size}")
    if format == "fans" and path.suffix == ".json":
        raise InputError(f"expected a file .h5, beside which the input file .json is written, got {path}")
    job = _Job(
        volume=as_two_phase(volume),
        materials=materials,
        provenance=provenance or Provenance(),
        voxel_size=voxel_size,
        length_unit=length_unit,
        name=path.name,
    )
    replace_file(path, lambda temporary: FORMATS[format].write(temporary, job))
    paths = [path]
    for ending, text in _INPUTS.get(format, lambda _: {})(job).items():
        beside = path.with_name(path.stem + ending)
        replace_file(beside, partial(_write_text, text=text))
        paths.append(beside)
    return paths


def bundle(
    path: Path,
    items: Sequence[BundleItem],
    materials: TwoPhase,
    *,
    formats: Sequence[str] | None = None,
    voxel_size: float = 1.0,
    length_unit: str = "",
) -> None:
    """Write a zip archive of volumes: a folder for each, a table of properties, and a manifest.

    Args:
        path: File to create or replace.
        items: One or more volumes.
        materials: The two phases.
        formats: Names of `FORMATS`; all if left out.
        voxel_size: Edge of a voxel, in any unit of length.
        length_unit: That unit, such as "µm".

    Raises:
        ValueError: As in `export`, or there is no item.
    """
    if not items:
        raise InputError("expected at least one volume to export, got none")
    format_names = list(FORMATS) if formats is None else list(dict.fromkeys(formats))
    records: list[dict[str, Any]] = []

    def write(temporary: Path) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for number, item in enumerate(items, start=1):
                stem = f"{number:02d}-{_file_name(item.provenance.name) or 'volume'}"
                files: list[str] = []
                for format in format_names:
                    suffix = FORMATS[format].suffix if format in FORMATS else ""
                    # .h5 and .vti are each written by two formats
                    name = f"{stem}-{format}{suffix}" if format in ("fans", "damask") else f"{stem}{suffix}"
                    for file in export(
                        item.volume,
                        materials,
                        format,
                        Path(folder) / name,
                        provenance=item.provenance,
                        voxel_size=voxel_size,
                        length_unit=length_unit,
                    ):
                        archive.write(file, f"{stem}/{file.name}")
                        files.append(f"{stem}/{file.name}")
                        file.unlink()
                record = describe_design(item.volume, item.provenance, materials, voxel_size, length_unit)
                record["files"] = files
                if "stl" in format_names:
                    record["surface"] = describe_surface(item.volume)
                records.append(record)
            setting = describe_setting(materials, voxel_size=voxel_size, length_unit=length_unit)
            content = setting | {"designs": records}
            archive.writestr("manifest.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
            table = Path(folder) / "properties.csv"
            write_properties(table, records)
            archive.write(table, table.name)

    replace_file(path, write)


def write_report(
    path: Path,
    items: Sequence[BundleItem],
    materials: TwoPhase,
    *,
    voxel_size: float = 1.0,
    length_unit: str = "",
    title: str = "",
) -> None:
    """Write a report on one volume or several as a self-contained page; see `report.report_html`."""
    text = report_html(items, materials, voxel_size=voxel_size, length_unit=length_unit, title=title)
    replace_file(path, partial(_write_text, text=text))


def _write_npy(path: Path, job: _Job) -> None:
    with path.open("wb") as file:  # given a name, NumPy would add a suffix
        np.save(file, job.volume)


def _write_vti(path: Path, job: _Job) -> None:
    write_vti(path, {"phase": job.volume}, voxel_size=job.voxel_size, comments=job.comments)


def _write_damask(path: Path, job: _Job) -> None:
    material = job.volume.astype(np.int32)
    write_vti(
        path,
        {"material": material},
        voxel_size=job.voxel_size,
        comments=job.comments,
    )


def _write_stl(path: Path, job: _Job) -> None:
    if not job.volume.any():
        raise InputError("expected stiff voxels for a surface, got soft ones only")
    write_stl(path, job.volume, voxel_size=job.voxel_size)


def _write_tif(path: Path, job: _Job) -> None:
    write_tif(path, job.volume, voxel_size=job.voxel_size, comments=job.comments)


def _write_h5(path: Path, job: _Job) -> None:
    provenance = job.provenance
    latent = np.zeros(0, np.float32) if provenance.latent is None else np.asarray(provenance.latent)
    write_designs(
        path,
        microstructures=job.volume[None],
        component=[-1 if provenance.component is None else provenance.component],
        latent=latent[None],
        predicted=None if provenance.mean is None else np.asarray(provenance.mean)[None],
        target=provenance.target,
        seed=-1 if provenance.seed is None else provenance.seed,
        made_by=provenance.made_by,
        judged_by=provenance.judged_by,
        materials=job.materials,
        stiffness=None if provenance.stiffness is None else np.asarray(provenance.stiffness)[None],
        solver_tolerance=None if provenance.solver_tolerance is None else [provenance.solver_tolerance],
        solver_dtype=[provenance.solver_dtype] if provenance.solver_dtype else None,
        solves=None if provenance.solves is None else [provenance.solves],
        recipes=[provenance.recipe] if provenance.recipe else [],
        spread={
            f"{kind}/{name}": [value]
            for kind, values in provenance.spread.items()
            for name, value in values.items()
        },
    )


def _write_abaqus(path: Path, job: _Job) -> None:
    write_abaqus(
        path,
        job.volume,
        job.materials,
        voxel_size=job.voxel_size,
        comments=job.comments,
    )


def _write_fans(path: Path, job: _Job) -> None:
    if job.volume.min() == job.volume.max():
        raise InputError("expected both phases for FANS, which takes the phases from the volume, got one")

    def fill(file: h5py.File) -> None:
        write_array(file, FANS_DATASET, job.volume)
        file[FANS_DATASET].attrs["permute_order"] = "xyz"  # its own tools take z first where this is missing

    path.write_bytes(hdf5_bytes(fill))


def _write_csv(path: Path, job: _Job) -> None:
    write_properties(path, [describe_volume(job.volume, job.provenance, job.materials)])


def _write_manifest(path: Path, job: _Job) -> None:
    size, unit = job.voxel_size, job.length_unit
    setting = describe_setting(job.materials, voxel_size=size, length_unit=unit)
    _write_json(path, setting | describe_design(job.volume, job.provenance, job.materials, size, unit))


def _write_html(path: Path, job: _Job) -> None:
    item = BundleItem(volume=job.volume, provenance=job.provenance)
    _write_text(
        path, report_html([item], job.materials, voxel_size=job.voxel_size, length_unit=job.length_unit)
    )


def _write_json(path: Path, content: object) -> None:
    _write_text(path, _json(content))


def _json(content: object) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _file_name(name: str) -> str:
    """A name in letters that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60]


FORMATS: dict[str, Format] = {
    "npy": Format(title="NumPy", label="NumPy array", suffix=".npy", write=_write_npy),
    "vti": Format(title="VTK", label="VTK image data (ParaView)", suffix=".vti", write=_write_vti),
    "stl": Format(
        title="STL", label="STL, closed surface of the stiff phase", suffix=".stl", write=_write_stl
    ),
    "tif": Format(
        title="TIFF",
        label="TIFF stack (ImageJ), 0 and 255, a page for each z",
        suffix=".tif",
        write=_write_tif,
    ),
    "h5": Format(title="designs", label="HDF5 file of designs (vaereg)", suffix=".h5", write=_write_h5),
    "abaqus": Format(
        title="Abaqus", label="Abaqus input, periodic voxel mesh", suffix=".inp", write=_write_abaqus
    ),
    "fans": Format(title="FANS", label="FANS microstructure and input file", suffix=".h5", write=_write_fans),
    "damask": Format(
        title="DAMASK", label="DAMASK grid, material and load files", suffix=".vti", write=_write_damask
    ),
    "csv": Format(title="table", label="table of properties", suffix=".csv", write=_write_csv),
    "json": Format(
        title="manifest",
        label="manifest: target, seed, versions, solver",
        suffix=".json",
        write=_write_manifest,
    ),
    "html": Format(
        title="report",
        label="report to read and to print: picture, target against result, structure, origin",
        suffix=".html",
        write=_write_html,
    ),
}
"""Kinds of files that `export` writes, by name."""

_INPUTS: dict[str, Callable[[_Job], dict[str, str]]] = {
    "fans": lambda job: fans_input(job.volume.shape, job.materials, job.voxel_size, job.name),
    "damask": lambda job: damask_input(job.materials),
}
"""Texts that lie beside a file, by the end of their names."""
